//! The checks of the list and of what a run needs on this machine: how the list is read, its providers, the time, disk and state.
//!
//! Decides: nothing that the plan of a run decides differently; its figures are taken from there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::list_job::OpenedList;
use crate::doctor::{Check, CheckFinding, CheckGroup, CheckStatus};
use crate::policy::Policy;
use crate::settings::{NetworkTarget, Settings};
use crate::state::StateLock;

const READ: &str = "A wrong column or encoding makes every row wrong.";
const DUPLICATES: &str = "Each address is probed once.";
const PROVIDERS: &str = "Each provider has limits of its own, and some do not say which mailboxes exist.";
const TIME: &str = "A provider is asked only as fast as it tolerates.";
const LIMITS: &str =
    "Providers limit how many unknown recipients a client may ask about in an hour and a day.";
const DISK: &str = "Every reply is stored before anything follows from it.";
const STATE: &str = "Answers are kept, so that no address is probed twice.";
/// Providers that are named.
const NAMED: usize = 5;

/// The checks of a list, by its plan.
pub(super) fn of_list(list: &OpenedList, plan: &Value) -> Vec<Check> {
    let number = |key: &str| plan[key].as_u64().unwrap_or(0);
    let (rows, addresses) = (number("rows"), number("addresses"));
    let mut checks = vec![read(list, Some((rows, number("rejected"), number("not_addresses"))))];
    let duplicates = number("duplicates");
    let sentence = match duplicates {
        0 => format!("{addresses} addresses, none of them twice."),
        _ => format!("{addresses} addresses; {duplicates} rows repeat an earlier one and cost nothing."),
    };
    checks.push(of(CheckFinding::new(CheckStatus::Pass, sentence), "list.duplicates", DUPLICATES));
    let not_asked = |key: &str| plan["not_asked"][key].as_u64().unwrap_or(0);
    let (silent, failed, no_mail) =
        (not_asked("not_checkable"), not_asked("dns_failure"), not_asked("no_mail"));
    let providers: Vec<&Value> =
        plan["operators"].as_array().map(|all| all.iter().collect()).unwrap_or_default();
    let line = |provider: &&Value| {
        let text = |key: &str| provider[key].as_u64().unwrap_or(0);
        let time = std::time::Duration::from_secs(text("seconds"));
        let name = provider["operator"].as_str().unwrap_or_default();
        format!(
            "{name}: {} addresses, about {}, {} left over",
            text("addresses"),
            humantime::format_duration(time),
            text("left_for_later_days")
        )
    };
    let mut finding = CheckFinding::new(
        if failed * 10 > addresses { CheckStatus::Warn } else { CheckStatus::Pass },
        format!(
            "{} domains; {silent} addresses are at providers that do not say which mailboxes exist, {no_mail} at domains without mail, {failed} at domains whose DNS fails.",
            number("domains")
        ),
    )
    .details(providers.iter().take(NAMED).map(line));
    if finding.status == CheckStatus::Warn {
        finding = finding.fix("Run it again later, or with another resolver: --dns ADDR:PORT.");
    }
    checks.push(of(finding, "list.providers", PROVIDERS));
    let time = humantime::format_duration(std::time::Duration::from_secs(number("seconds")));
    let (pace, egresses) = (plan["pace"].as_str().unwrap_or_default(), number("egresses"));
    checks.push(of(
        CheckFinding::new(
            CheckStatus::Pass,
            format!("About {time} at pace {pace} from {egresses} IP address(es)."),
        ),
        "list.time",
        TIME,
    ));
    let (left, days) = (number("left_for_later_days"), number("days"));
    let finding = match left {
        0 => CheckFinding::new(CheckStatus::Pass, "All addresses fit into the limits of today."),
        _ => CheckFinding::new(
            CheckStatus::Warn,
            format!("{left} of {addresses} addresses exceed the limits of today; with one run a day it takes {days} days."),
        )
        .fix("Run the same command again on the following days, or let one run wait for the next hour with --max-wait 70m."),
    };
    checks.push(of(finding, "list.limits", LIMITS));
    checks
}

/// The checks of a list without a name service.
pub(super) fn without_dns(list: &OpenedList) -> Vec<Check> {
    let rest = [("list.providers", PROVIDERS), ("list.time", TIME), ("list.limits", LIMITS)];
    let mut checks = vec![read(list, None)];
    checks.extend(rest.map(|(id, why)| {
        of(CheckFinding::new(CheckStatus::CouldNotConfirm, "Not known: no name server answers."), id, why)
    }));
    checks
}

/// How the list is read.
fn read(list: &OpenedList, counts: Option<(u64, u64, u64)>) -> Check {
    let form = list.list.format();
    let sentence = format!("{} is {}.", form.name, form.sentence());
    let finding = match counts {
        Some((rows, rejected, not_addresses)) => {
            // A column of something else has hardly any address.
            let is_wrong = rows > 0 && (rejected + not_addresses) * 2 > rows;
            let status = if is_wrong { CheckStatus::Warn } else { CheckStatus::Pass };
            let finding = CheckFinding::new(status, sentence)
                .detail(format!("{rows} rows, {rejected} unreadable, {not_addresses} without an address"));
            if is_wrong {
                finding.fix("Name the column with --column NAME, or the encoding with --encoding LABEL.")
            } else {
                finding
            }
        }
        None => CheckFinding::new(CheckStatus::Pass, sentence),
    };
    of(finding, "list.read", READ)
}

fn of(finding: CheckFinding, id: &'static str, why: &'static str) -> Check {
    finding.of(id, CheckGroup::List, why)
}

/// The checks of disk and state.
pub(super) fn of_machine(settings: &Settings, target: &NetworkTarget, policy: Policy) -> Vec<Check> {
    let file = target.namespace().and_then(|namespace| settings.state_file(&namespace));
    let (finding, place) = match file {
        Err(error) => (
            CheckFinding::new(CheckStatus::Warn, format!("There is no place for the state: {error}."))
                .fix("Name one with --state FILE, or keep none with --no-state."),
            PathBuf::from("."),
        ),
        Ok(None) => (CheckFinding::new(CheckStatus::Pass, "No state is kept."), PathBuf::from(".")),
        Ok(Some(file)) => (state(&file, settings), file),
    };
    let space = free_space(&place, policy.sender().machine.free_mib);
    vec![finding.of("run.state", CheckGroup::Run, STATE), space.of("run.disk", CheckGroup::Run, DISK)]
}

fn state(file: &Path, settings: &Settings) -> CheckFinding {
    let shown = file.display();
    if !file.exists() {
        return CheckFinding::new(CheckStatus::Pass, format!("The state will be made at {shown}."));
    }
    match StateLock::holder_of(file) {
        Ok(None) => {
            CheckFinding::new(CheckStatus::Pass, format!("The state is at {shown}, and no run uses it."))
        }
        Ok(Some(_)) if settings.state.wait_lock => CheckFinding::new(
            CheckStatus::Pass,
            format!("Another run uses the state at {shown}; this one waits for it."),
        ),
        Ok(Some(holder)) => CheckFinding::new(
            CheckStatus::Warn,
            format!("Another run uses the state at {shown}: process {holder}."),
        )
        .fix("Wait for it with --wait-lock, or use another state with --state FILE."),
        Err(fault) => {
            CheckFinding::new(CheckStatus::Warn, format!("The state at {shown} can't be used: {fault}."))
                .fix("Use another state with --state FILE.")
        }
    }
}

/// Free space of the file system, by `df`.
fn free_space(place: &Path, needed_mib: u64) -> CheckFinding {
    let folder = place.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let free = Command::new("df").arg("-Pk").arg(folder).output().ok().and_then(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    let shown = folder.display();
    match free.map(|kib| kib / 1024) {
        Some(mib) if mib < needed_mib => CheckFinding::new(
            CheckStatus::Warn,
            format!("{mib} MiB are free at {shown}; a list of a million rows may need {needed_mib}."),
        )
        .fix("Make room, or name another place with --state FILE and -o FOLDER."),
        Some(mib) => CheckFinding::new(CheckStatus::Pass, format!("{mib} MiB are free at {shown}.")),
        None => CheckFinding::new(
            CheckStatus::CouldNotConfirm,
            format!("The free space at {shown} is not known."),
        )
        .fix("df -h"),
    }
}
