//! The plan of a run in a few lines for people, and the same numbers as JSON.
//!
//! Decides: which providers are named. All figures of probes and time are estimates, and the text says so.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::policy::Pace;
use crate::simulate::{GeneratedList, SimulationReport};

/// Unknown providers that are named one by one, the slowest first.
const NAMED_HOSTS: usize = 5;

/// The width of the column of names.
const NAME_WIDTH: usize = 28;

/// The rows of the list by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForecastRows {
    /// Rows that can be read.
    pub rows: u64,
    /// Rows that can't be read.
    pub rejected: u64,
    /// Rows without a usable address.
    pub not_addresses: u64,
    /// Rows that repeat an earlier one.
    pub duplicates: u64,
    /// Rows that the user's own lists exclude, without duplicates.
    pub excluded: u64,
    /// Distinct addresses.
    pub addresses: u64,
    /// Their domains.
    pub domains: u64,
}

/// Addresses that are not probed, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotProbedCounts {
    /// Their domain takes no mail.
    pub no_mail: u64,
    /// The DNS did not answer for it.
    pub dns_failure: u64,
    /// Disposable domains, and providers whose replies prove nothing.
    pub not_checkable: u64,
}

/// The plan of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    input: String,
    rows: ForecastRows,
    not_asked: NotProbedCounts,
    /// Routes were looked up in the DNS.
    looked_up: bool,
    pace: Pace,
    egresses: usize,
    /// Providers, the slowest first; those that are not named are summed up in the last.
    providers: Vec<Share>,
    all: Share,
    /// Probes of `postmaster` that confirm rejections, if `--confirm` asks for them.
    confirming: Option<u32>,
}

/// The share of one provider.
#[derive(Clone, Debug, Default, PartialEq)]
struct Share {
    name: String,
    /// Providers that are summed up in it.
    hosts: u64,
    addresses: u64,
    domains: u64,
    questions: u64,
    connections: u64,
    time: Duration,
    /// Addresses that exceed the limits of today.
    left: u64,
}

impl Share {
    fn add(&mut self, other: &Share) {
        self.hosts += other.hosts;
        self.addresses += other.addresses;
        self.domains += other.domains;
        self.questions += other.questions;
        self.connections += other.connections;
        self.time = self.time.max(other.time);
        self.left += other.left;
    }

    /// Days until all addresses are probed, if each day is like the first.
    fn days(&self) -> u64 {
        let fit = self.addresses.saturating_sub(self.left);
        if self.left == 0 { 1 } else { self.addresses.div_ceil(fit.max(1)) }
    }

    fn json(&self) -> Value {
        json!({
            "operator": self.name, "hosts": self.hosts, "addresses": self.addresses, "domains": self.domains,
            "questions": self.questions, "connections": self.connections, "seconds": self.time.as_secs(),
            "left_for_later_days": self.left, "days": self.days(),
        })
    }
}

impl Forecast {
    /// The plan that a simulated run of the list shows.
    pub fn new(
        input: String,
        rows: ForecastRows,
        not_asked: NotProbedCounts,
        looked_up: bool,
        list: &GeneratedList,
        outcome: &SimulationReport,
    ) -> Forecast {
        let mut shares: Vec<Share> = list
            .hosts
            .iter()
            .zip(&outcome.loads)
            .map(|(host, load)| Share {
                name: host.name.to_string(),
                hosts: 1,
                questions: load.probes,
                connections: load.connections,
                time: load.until,
                left: load.postponed,
                ..Share::default()
            })
            .collect();
        for domain in &list.domains {
            let share = &mut shares[domain.host as usize];
            share.domains += 1;
            share.addresses += u64::from(domain.recipients);
        }
        let mut all = Share { name: "all".to_owned(), ..Share::default() };
        for share in &shares {
            all.add(share);
        }
        let known = list.hosts.iter().map(|host| host.provider.is_known());
        let (mut providers, mut hosts): (Vec<_>, Vec<_>) =
            shares.into_iter().zip(known).partition(|(_, known)| *known);
        hosts.sort_by_key(|(share, _)| std::cmp::Reverse((share.left, share.time)));
        let rest = hosts.split_off(hosts.len().min(NAMED_HOSTS));
        providers.append(&mut hosts);
        let mut providers: Vec<Share> = providers.into_iter().map(|(share, _)| share).collect();
        providers.sort_by_key(|share| std::cmp::Reverse((share.time, share.left)));
        if !rest.is_empty() {
            let mut others = Share { name: format!("{} other hosts", rest.len()), ..Share::default() };
            for (share, _) in &rest {
                others.add(share);
            }
            providers.push(others);
        }
        let (pace, egresses) = (outcome.pace(), outcome.egresses());
        let confirming = outcome.confirming_probes();
        Forecast { input, rows, not_asked, looked_up, pace, egresses, providers, all, confirming }
    }

    /// Days until all addresses are probed; for the total those of the slowest provider.
    fn days_of(&self, share: &Share) -> u64 {
        if share.name == self.all.name {
            return self.providers.iter().map(Share::days).max().unwrap_or(1);
        }
        share.days()
    }

    /// For people: short, the next command last.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let ForecastRows { rows, rejected, not_addresses, duplicates, excluded, addresses, domains } =
            self.rows;
        writeln!(out, "{}: {rows} rows; {addresses} addresses at {domains} domains", self.input)?;
        let excluded_rows = if excluded > 0 { format!("{excluded} excluded, ") } else { String::new() };
        writeln!(
            out,
            "not probed: {duplicates} duplicates, {excluded_rows}{not_addresses} without an address, {rejected} unreadable"
        )?;
        let NotProbedCounts { no_mail, dns_failure, not_checkable } = self.not_asked;
        if no_mail + dns_failure + not_checkable > 0 {
            writeln!(
                out,
                "also not probed: {no_mail} at domains without mail, {not_checkable} at providers that cannot be checked, \
                 {dns_failure} whose DNS does not answer"
            )?;
        }
        if !self.looked_up {
            writeln!(out, "the DNS was not used: each unknown domain counts as a provider of its own")?;
        }
        writeln!(
            out,
            "\n{:<NAME_WIDTH$}{:>10}{:>9}{:>11}{:>13}{:>11}  about",
            "provider", "addresses", "domains", "probes", "connections", "left over"
        )?;
        for share in self.providers.iter().chain([&self.all]) {
            let name = &share.name;
            if name.chars().count() >= NAME_WIDTH {
                // A long name has a line of its own.
                writeln!(out, "{name}")?;
            }
            let name = if name.chars().count() >= NAME_WIDTH { "" } else { name };
            let Share { addresses, domains, questions, connections, left, .. } = share;
            write!(
                out,
                "{name:<NAME_WIDTH$}{addresses:>10}{domains:>9}{questions:>11}{connections:>13}{left:>11}  {}",
                time(share.time)
            )?;
            let days = self.days_of(share);
            writeln!(
                out,
                "{}",
                if days > 1 { format!(", then on {} more days", days - 1) } else { String::new() }
            )?;
        }
        let (pace, egresses) = (self.pace.word(), self.egresses);
        writeln!(
            out,
            "\nabout {} at `--pace {pace}` from {egresses} IP address{}; estimates, because no mail server was contacted",
            time(self.all.time),
            if egresses == 1 { "" } else { "es" }
        )?;
        if let Some(probes) = self.confirming {
            writeln!(
                out,
                "`--confirm`: about {probes} of these probes ask `postmaster`, where \"no such mailbox\" stands alone"
            )?;
        }
        if self.all.left > 0 {
            writeln!(
                out,
                "{} addresses don't fit today: limits for unknown recipients will be reached. With `--max-wait 70m` a run \
                 waits for the next hour and goes on, up to the limits of a day. Otherwise run again on {} more days, add \
                 IP addresses of yours with `--source-ip`, or use `--pace fast` where the providers know you",
                self.all.left,
                self.days_of(&self.all).saturating_sub(1)
            )?;
        }
        let confirm = if self.confirming.is_some() { " --confirm" } else { "" };
        writeln!(out, "next: listproof verify {}{confirm}", self.input)
    }

    /// For programs. Times are seconds.
    pub fn json(&self) -> Value {
        let ForecastRows { rows, rejected, not_addresses, duplicates, excluded, addresses, domains } =
            self.rows;
        let NotProbedCounts { no_mail, dns_failure, not_checkable } = self.not_asked;
        json!({
            "input": self.input, "rows": rows, "rejected": rejected, "not_addresses": not_addresses,
            "duplicates": duplicates, "excluded": excluded, "addresses": addresses, "domains": domains,
            "not_asked": { "no_mail": no_mail, "dns_failure": dns_failure, "not_checkable": not_checkable },
            "looked_up": self.looked_up, "pace": self.pace.word(), "egresses": self.egresses,
            "operators": self.providers.iter().map(Share::json).collect::<Vec<_>>(),
            "questions": self.all.questions, "connections": self.all.connections, "confirming_probes": self.confirming,
            "seconds": self.all.time.as_secs(), "left_for_later_days": self.all.left,
            "days": self.days_of(&self.all),
        })
    }
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs().max(u64::from(!time.is_zero()));
    // Above an hour, seconds of an estimate mean nothing.
    let seconds = if seconds > 3600 { seconds.div_ceil(60) * 60 } else { seconds };
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}
