//! Real mail servers behind real name servers: the replies of Postfix, Exim, `OpenSMTPD`, Haraka and aiosmtpd, and the
//! verdicts that `listproof` gives.
//!
//! Each file in `scenarios/` is one situation, named as a sentence. With a list it gives two tests. `servers_say` probes the servers
//! with a client of its own and compares their replies with those of the scenario: without that, a right verdict would prove
//! nothing. `listproof_judges` runs the compiled program over the scenario's addresses and compares every row. With a
//! section `doctor` it gives a test `doctor_reports`, which compares the status of checks.
//!
//! All of it runs in private namespaces (network, mounts, processes): ports 25 and 53 are free there, no packet leaves, and
//! the kernel ends the servers and removes their files when the test process ends. Nothing is installed. Without
//! `LISTPROOF_REAL` no server is started; with `LISTPROOF_REAL=1` tests whose servers or rights are missing are reported as
//! ignored, with the reason. With `LISTPROOF_REAL=required` (as in `.ci/run`) these tests fail, except those with servers
//! from registries, which not every machine reaches.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a lab with files, sockets and clocks of its own, which reports on stderr"
)]

mod dialogue;
mod doctor;
mod lab;
mod names;
mod namespace;
mod scenario;
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod town;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use lab::Lab;
use scenario::Scenario;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = match Scenario::read_all() {
        Ok(scenarios) => scenarios,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::FAILURE;
        }
    };
    let trials = if arguments.list {
        without_lab(&scenarios, "only listed")
    } else if std::env::var_os("LISTPROOF_REAL").is_none() {
        let why = "set `LISTPROOF_REAL=1` to start mail servers for them";
        eprintln!("the {} tests with real servers are left out: {why}", 2 * scenarios.len());
        without_lab(&scenarios, why)
    } else {
        match namespace::enter() {
            Ok(()) => match namespace::furnish().and_then(|()| Lab::up(scenarios)) {
                Ok(lab) => in_lab(&Arc::new(lab)),
                Err(why) => {
                    eprintln!("error: the lab does not come up: {why}");
                    return ExitCode::FAILURE;
                }
            },
            Err(why) => {
                eprintln!("the tests with real servers are left out: {why}");
                without_lab(&scenarios, &why)
            }
        }
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The tests of each scenario.
fn in_lab(lab: &Arc<Lab>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (index, scenario) in lab.scenarios().iter().enumerate() {
        if let Some(program) = scenario.missing_program() {
            let why = format!("`{program}` is not installed");
            eprintln!("`{}` is left out: {why}", scenario.name);
            trials.extend(left_out(scenario, &why));
            continue;
        }
        if scenario.doctor.is_some() {
            let lab = Arc::clone(lab);
            trials.push(Trial::test(doctor_reports(scenario), move || {
                lab.doctor_reports(index).map_err(Failed::from)
            }));
        }
        if scenario.rows.is_empty() {
            continue;
        }
        let (ours, theirs) = (Arc::clone(lab), Arc::clone(lab));
        trials.push(Trial::test(servers_say(scenario), move || {
            theirs.servers_say(index).map_err(Failed::from)
        }));
        trials.push(Trial::test(listproof_judges(scenario), move || {
            ours.listproof_judges(index).map_err(Failed::from)
        }));
    }
    trials
}

fn without_lab(scenarios: &[Scenario], why: &str) -> Vec<Trial> {
    scenarios.iter().flat_map(|scenario| left_out(scenario, why)).collect()
}

/// The tests of a scenario that cannot run here. They are ignored; where real servers are required they fail, except those
/// with a server from a registry.
fn left_out(scenario: &Scenario, why: &str) -> Vec<Trial> {
    let required =
        namespace::required() && !scenario.servers().any(|(program, ..)| program.is_from_registry());
    let of_doctor = scenario.doctor.as_ref().map(|_| doctor_reports(scenario));
    let of_rows = if scenario.rows.is_empty() {
        Vec::new()
    } else {
        vec![servers_say(scenario), listproof_judges(scenario)]
    };
    let trial = |name| {
        let why = why.to_owned();
        Trial::test(name, move || Err(Failed::from(format!("left out: {why}")))).with_ignored_flag(!required)
    };
    of_doctor.into_iter().chain(of_rows).map(trial).collect()
}

fn doctor_reports(scenario: &Scenario) -> String {
    format!("{}::doctor_reports", scenario.name)
}

fn servers_say(scenario: &Scenario) -> String {
    format!("{}::servers_say", scenario.name)
}

fn listproof_judges(scenario: &Scenario) -> String {
    format!("{}::listproof_judges", scenario.name)
}
