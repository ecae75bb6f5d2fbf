//! The lab: the records and servers of all scenarios together, and the tests of each scenario.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use listproof::Reason;

use crate::dialogue;
use crate::doctor;
use crate::names;
use crate::namespace::{self, SCRATCH};
use crate::scenario::Scenario;
use crate::servers::{self, Server};
use crate::verify::{Judged, verify};

/// The first number for hosts of a network; lower ones are addresses of clients.
const FIRST_HOST: usize = 10;

/// The running lab.
pub(crate) struct Lab {
    scenarios: Vec<Scenario>,
    hosts: HashMap<String, Server>,
    /// One per scenario: its two tests must not run together, because its servers may limit their clients.
    turns: Vec<Mutex<()>>,
}

impl Lab {
    /// Starts name servers and mail servers of all scenarios and waits until they listen.
    pub(crate) fn up(scenarios: Vec<Scenario>) -> Result<Lab, String> {
        let mut records = String::new();
        let (mut hosts, mut owners) = (HashMap::new(), HashMap::new());
        for scenario in &scenarios {
            for name in scenario.zone.lines().filter_map(|record| record.split_whitespace().next()) {
                let owner = *owners.entry(name).or_insert(&scenario.name);
                if *owner != scenario.name {
                    return Err(format!("`{owner}` and `{}` both have records of `{name}`", scenario.name));
                }
            }
            records.push_str(&scenario.zone);
            records.push('\n');
            if scenario.missing_program().is_some() {
                continue;
            }
            for host in scenario.hosts() {
                let address = format!("{}.{}", scenario.client.network(), FIRST_HOST + hosts.len());
                records.push_str(&names::host(host, &address));
                if hosts.insert(host.to_owned(), address).is_some() {
                    return Err(format!("two scenarios have a host `{host}`"));
                }
            }
        }
        let mut others = names::up(Path::new(SCRATCH), &records)?;
        if namespace::program("openssl").is_some() {
            servers::certificates()?;
        }
        if namespace::program("postgrey").is_some() {
            others.push(servers::postgrey()?);
        }
        let mut running = HashMap::new();
        for scenario in &scenarios {
            for (program, host, config) in scenario.servers() {
                if let Some(address) = hosts.get(host) {
                    running.insert(host.to_owned(), program.start(host, address, config)?);
                }
            }
        }
        for server in running.values_mut().chain(&mut others) {
            server.wait_until_listening()?;
        }
        Ok(Lab { turns: scenarios.iter().map(|_| Mutex::default()).collect(), scenarios, hosts: running })
    }

    pub(crate) fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// A scenario, after its other test has ended.
    fn turn(&self, index: usize) -> (&Scenario, MutexGuard<'_, ()>) {
        let turn = self.turns[index].lock().unwrap_or_else(PoisonError::into_inner);
        (&self.scenarios[index], turn)
    }

    /// Fails unless resolver and servers give the answers of the scenario.
    pub(crate) fn servers_say(&self, index: usize) -> Result<(), String> {
        let (scenario, _turn) = self.turn(index);
        for lookup in &scenario.lookups {
            let answer = names::mx(&lookup.mx)
                .map_err(|error| format!("`{}`: {error}\n{}", lookup.mx, names::resolver_log()))?;
            if answer != lookup.answer {
                return Err(format!("MX of `{}`: {answer}, not {}", lookup.mx, lookup.answer));
            }
        }
        let sender = format!("by-hand@{}", scenario.sender_domain);
        for row in &scenario.rows {
            let (Some(expected), Some(host)) = (&row.reply, scenario.host_of(row)) else {
                continue;
            };
            let reply = dialogue::probe(self.hosts[host].address(), &scenario.helo, &sender, &row.address)
                .map_err(|error| format!("`{host}` about `{}`: {error}", row.address))?;
            if !reply.starts_with(expected) {
                return Err(format!("`{host}` about `{}`:\n  {reply}\nnot\n  {expected}", row.address));
            }
        }
        Ok(())
    }

    /// Fails unless `doctor` reports what the scenario says.
    pub(crate) fn doctor_reports(&self, index: usize) -> Result<(), String> {
        let (scenario, _turn) = self.turn(index);
        let folder = Path::new(SCRATCH).join("checks").join(&scenario.name);
        fs::create_dir_all(&folder).map_err(|error| format!("can't make `{}`: {error}", folder.display()))?;
        doctor::reports(scenario, &folder)
    }

    /// Fails unless the program gives every row the reason, and so the verdict, of the scenario, and connects to no canary.
    pub(crate) fn listproof_judges(&self, index: usize) -> Result<(), String> {
        let (scenario, _turn) = self.turn(index);
        let canaries = Canaries::listen(&scenario.canary)?;
        let folder = Path::new(SCRATCH).join("runs").join(&scenario.name);
        fs::create_dir_all(&folder).map_err(|error| format!("can't make `{}`: {error}", folder.display()))?;
        let judged = verify(scenario, &folder)?;
        let expected: Vec<Judged> =
            scenario.rows.iter().filter_map(|row| expected(&row.address, &row.reason)).collect();
        if judged != expected {
            let logs: String = scenario.hosts().map(end_of_log).collect();
            return Err(format!("{}{logs}", difference(&expected, &judged)));
        }
        canaries.must_be_untouched()
    }
}

fn expected(address: &str, reason: &str) -> Option<Judged> {
    let verdict = Reason::from_word(reason)?.verdict();
    Some(Judged {
        address: address.to_owned(),
        verdict: verdict.word().to_owned(),
        reason: reason.to_owned(),
    })
}

fn difference(expected: &[Judged], judged: &[Judged]) -> String {
    let mut text = format!("{} rows of {} came back\n", judged.len(), expected.len());
    for (want, have) in expected.iter().zip(judged) {
        let mark = if want == have { ' ' } else { '!' };
        let _ = writeln!(
            text,
            "{mark} {}: {} {}, expected {} {}",
            have.address, have.verdict, have.reason, want.verdict, want.reason
        );
    }
    text
}

/// The end of a host's log.
fn end_of_log(host: &str) -> String {
    let folder = Path::new(SCRATCH).join(host);
    let log = ["maillog", "mainlog"].map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default());
    let lines: Vec<&str> = log.iter().flat_map(|text| text.lines()).collect();
    let last = &lines[lines.len().saturating_sub(15)..];
    format!("-- {host}\n{}\n", last.join("\n"))
}

/// Listeners at addresses that must not be connected to.
struct Canaries(Vec<(SocketAddr, TcpListener)>);

impl Canaries {
    fn listen(addresses: &[String]) -> Result<Canaries, String> {
        let mut listeners = Vec::new();
        for text in addresses {
            let wrong = |error: &dyn std::fmt::Display| format!("no canary at `{text}`: {error}");
            let address: SocketAddr = text.parse().map_err(|error| wrong(&error))?;
            let listener = TcpListener::bind(address).map_err(|error| wrong(&error))?;
            listener.set_nonblocking(true).map_err(|error| wrong(&error))?;
            listeners.push((address, listener));
        }
        Ok(Canaries(listeners))
    }

    /// Fails if a canary had a connection. Then connects to each canary, to show that it would have noticed one.
    fn must_be_untouched(&self) -> Result<(), String> {
        for (address, listener) in &self.0 {
            if listener.accept().is_ok() {
                return Err(format!("there was a connection to {address}"));
            }
            let connection =
                TcpStream::connect(address).map_err(|error| format!("the canary at {address}: {error}"))?;
            listener.accept().map_err(|error| format!("the canary at {address} does not listen: {error}"))?;
            drop(connection);
        }
        Ok(())
    }
}
