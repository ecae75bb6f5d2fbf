//! Runs `doctor` of the compiled program in the lab, and compares the status of its checks.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scenario::{DoctorRun, Scenario};

/// Fails unless the checks have the statuses of the scenario.
pub(crate) fn reports(scenario: &Scenario, folder: &Path) -> Result<(), String> {
    let Some(run) = &scenario.doctor else { return Ok(()) };
    let DoctorRun { flags, blocklists, exit, seconds, others, status, says } = run;
    let policy = folder.join("policy");
    fs::create_dir_all(&policy)
        .and_then(|()| fs::write(policy.join("blocklists.toml"), blocklists))
        .map_err(|error| format!("can't write the policy: {error}"))?;
    let began = Instant::now();
    let output = Command::new("timeout")
        .args(["--kill-after=5s", "120s", env!("CARGO_BIN_EXE_listproof"), "doctor", "--json"])
        .args(["--helo", &scenario.helo, "--source-ip", scenario.client.address()])
        .args(["--mail-from", &format!("check@{}", scenario.sender_domain)])
        .arg("--policy")
        .arg(&policy)
        .args(flags)
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .output()
        .map_err(|error| format!("can't run `timeout`: {error}"))?;
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_str(&text).map_err(|fault| format!("no JSON ({fault}): {text}\n{errors}"))?;
    let mut faults = String::new();
    let mut fault = |text: String| {
        faults.push_str(&text);
        faults.push('\n');
    };
    if output.status.code() != Some(*exit) {
        fault(format!("it ended with {}, not {exit}", output.status));
    }
    if took > Duration::from_secs(*seconds) {
        fault(format!("it took {took:?}"));
    }
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    for (id, expected) in status {
        match checks.iter().find(|check| check["id"] == id.as_str()) {
            Some(check) if check["status"] == expected.as_str() => {}
            Some(check) => fault(format!("`{id}` is not {expected}: {check}")),
            None => fault(format!("there is no `{id}`")),
        }
    }
    for (id, part) in says {
        let has = |check: &&Value| check["id"] == id.as_str() && check.to_string().contains(part.as_str());
        if checks.iter().find(has).is_none() {
            fault(format!("`{id}` does not say `{part}`: {report}"));
        }
    }
    if let Some(expected) = others {
        let is_named = |check: &Value| check["id"].as_str().is_some_and(|id| status.contains_key(id));
        for check in checks.iter().filter(|check| !is_named(check) && check["group"] != "run") {
            if check["status"] != expected.as_str() {
                fault(format!("not {expected}: {check}"));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
