//! The preflight of a run: whether it may probe at all.
//!
//! Decides: that a run that would find out little does not begin (exit code 12), unless `--force` is given. What could not be
//! confirmed never stops a run. There is none in a scripted world, and none where no mail server is contacted. A preflight that
//! found no fault counts for an hour; a fault is looked for again each time.

use super::probe_job::ProbeJob;
use crate::address::Domain;
use crate::doctor::{Check, CheckOptions, CheckStatus, CheckedEgress, LabExemptions, SenderChecks};
use crate::error::Error;
use crate::settings::{BlocklistKey, NetworkTarget, RunDepth, Settings};
use crate::smtp::{Connect, Egress, EgressPath};
use crate::state::{Namespace, RunId, State};

/// The port of mail servers on the Internet.
const SMTP_PORT: u16 = 25;

/// The preflight of a run that probes.
pub(super) struct Preflight {
    force: bool,
    key: Option<BlocklistKey>,
    lab: LabExemptions,
}

impl Preflight {
    /// The preflight that the settings ask for; `None` for a run without one.
    pub(super) fn of(settings: &Settings) -> Result<Option<Preflight>, Error> {
        let RunDepth::Probe(target @ NetworkTarget::Internet { smtp_port, .. }) = &settings.depth else {
            return Ok(None);
        };
        let lab = LabExemptions {
            has_own_port: *smtp_port != SMTP_PORT,
            has_own_dns: target.namespace()? != Namespace::internet(),
        };
        Ok(Some(Preflight { force: settings.force, key: settings.spamhaus_key.clone(), lab }))
    }

    /// Checks all egresses. Fails where a check shows that the run would find out little; with `--force` returns the ids of
    /// these checks, and records them.
    pub(super) async fn check(
        &self,
        job: &ProbeJob,
        state: &mut State,
        run: RunId,
    ) -> Result<Vec<String>, Error> {
        let network = &job.network;
        let (now, policy) = (network.clock.now().wall, job.policy);
        let options = CheckOptions::default();
        let checks = SenderChecks {
            dns: &*network.dns,
            connect: Some(&*network.connect as &dyn Connect),
            port: network.smtp_port,
            allowed: &network.allowed,
            policy,
            now,
            key: self.key.as_ref().map(BlocklistKey::secret),
            options: &options,
            hosts: Vec::new(),
        };
        let domains = sample(state, run, policy.sender().port_25.hosts * DOMAINS_A_HOST)?;
        let mut failed: Vec<Check> = Vec::new();
        for egress in &network.egresses {
            network.connect.reach_proxy(&egress.path).await.map_err(|fault| Error::Setting {
                message: format!("no connection can leave: {fault}"),
                hint: "start the proxy, or correct `--proxy socks5://[USER:PASSWORD@]HOST:PORT`".to_owned(),
            })?;
            let name = format!("{:?} {}", egress.path, egress.helo);
            if state.has_passed_preflight(&name, policy.sender().preflight_lifetime(), now)? {
                continue;
            }
            let found = checks.preflight(&checked(egress), &domains, self.lab).await;
            let before = failed.len();
            failed.extend(found.into_iter().filter(|check| check.status == CheckStatus::Fail));
            if failed.len() == before {
                state.write_passed_preflight(&name, now)?;
            }
        }
        if failed.is_empty() {
            return Ok(Vec::new());
        }
        if !self.force {
            return Err(refused(&failed));
        }
        let ids: Vec<String> = failed.iter().map(|check| check.id.clone()).collect();
        for check in &failed {
            tracing::warn!(event = "forced", check = %check.id, "probing all the same: {}", check.sentence);
        }
        state.write_forced(run, failed.iter().map(|check| (check.id.as_str(), check.sentence.as_str())))?;
        Ok(ids)
    }
}

/// Domains that are looked up for one host to try port 25 at: some share a provider, some are dead.
const DOMAINS_A_HOST: usize = 2;

/// Some domains of the worklist. Its order is that of hashes, so they are a random sample.
fn sample(state: &mut State, run: RunId, most: usize) -> Result<Vec<Domain>, Error> {
    let (mut domains, mut after) = (Vec::new(), None);
    while domains.len() < most
        && let Some((key, domain)) = state.next_domain(run, after)?
    {
        domains.push(domain);
        after = Some(key);
    }
    Ok(domains)
}

fn checked(egress: &Egress) -> CheckedEgress {
    CheckedEgress {
        path: egress.path.clone(),
        address: match egress.path {
            EgressPath::Direct(source) => source,
            EgressPath::Socks5 { .. } => None,
        },
        is_own: true,
        helo: Some(egress.helo.to_string()),
        mail_from: Some(egress.sender.to_string()),
    }
}

/// The error that names each failed check and its fix.
fn refused(failed: &[Check]) -> Error {
    // Each on a line of its own.
    let names: Vec<String> = failed.iter().map(|check| format!("{}: {}", check.id, check.sentence)).collect();
    let fixes =
        failed.iter().filter_map(|check| check.fix.as_ref().map(|fix| format!("  {}: {fix}\n", check.id)));
    let fixes: String = fixes.collect();
    Error::Unready {
        what: names.join("\n  "),
        hint: format!("{fixes}  `listproof doctor` shows all checks; `--force` probes all the same"),
    }
}

#[cfg(test)]
mod tests;
