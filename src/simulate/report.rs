//! What a simulation writes: its figures, as text and as one JSON object, and a log from which they can be worked out
//! again.
#![expect(clippy::cast_precision_loss, reason = "shares and times of a simulation need not be exact")]

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::bound::{Bound, BoundLane};
use super::list::GeneratedList;
use super::receivers::{ControlCounts, Load, Receivers, SimConnection, Violations};
use super::setup::SimulationSetup;
use crate::policy::{Pace, RateLimits};

/// The rows of the pace table.
const TABLE_ROWS: usize = 12;

/// The figures of a simulation.
#[derive(Clone, Debug)]
pub struct SimulationReport {
    setup: SimulationSetup,
    /// The number of rows of the list.
    pub rows: u32,
    /// The number of domains of the list.
    pub domains: usize,
    /// What became of the recipients, and when.
    pub completion: Completion,
    /// The bound.
    pub bound: Bound,
    /// The number of connections.
    pub connections: u64,
    /// The number of RCPT commands.
    pub probes: u64,
    /// Of these, controls.
    pub controls: ControlCounts,
    /// Exceeded limits of providers, as the receivers counted them.
    pub violations: Violations,
    /// Exceeded limits of IP addresses.
    pub address_violations: Violations,
    /// The most sessions at one provider that rejects us.
    pub rejected_sessions: u64,
    /// What each provider got, in the order of the list's providers.
    pub loads: Vec<Load>,
    /// The providers with the longest bounds.
    table: Vec<(String, BoundLane, Load)>,
}

/// What became of the recipients of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Recipients that were submitted to the scheduler.
    pub submitted: u64,
    /// Of these, recipients with a result.
    pub completed: u64,
    /// Of these, recipients without a reply of their own.
    pub without_reply: u64,
    /// Of the completed ones, recipients that wait for a later run, because a limit of unknown recipients was reached.
    pub postponed: u64,
    /// The time of the last result.
    pub makespan: Duration,
    /// The most connections that were open at the same time.
    pub most_open: usize,
}

/// The cost of the simulation itself.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredCost {
    /// Elapsed time.
    pub wall: Duration,
    /// CPU time; `None` where the system does not report it.
    pub cpu: Option<Duration>,
}

impl SimulationReport {
    pub(super) fn new(
        list: &GeneratedList,
        setup: &SimulationSetup,
        bound: Bound,
        completion: Completion,
        receivers: &Receivers,
    ) -> SimulationReport {
        let loads = &receivers.loads;
        let rejecting = list.hosts.iter().zip(loads).filter(|(host, _)| host.rejects_us);
        let mut longest: Vec<usize> =
            (0..list.hosts.len()).filter(|&id| bound.lanes[id].need.probes > 0).collect();
        longest.sort_by_key(|&id| std::cmp::Reverse(bound.lanes[id].time));
        longest.truncate(TABLE_ROWS);
        let table =
            longest.into_iter().map(|id| (list.hosts[id].name.to_string(), bound.lanes[id], loads[id]));
        SimulationReport {
            setup: *setup,
            rows: list.rows,
            domains: list.domains.len(),
            completion,
            table: table.collect(),
            bound,
            connections: loads.iter().map(|load| load.connections).sum(),
            probes: loads.iter().map(|load| load.probes).sum(),
            controls: receivers.controls,
            violations: receivers.violations,
            address_violations: receivers.address_violations,
            rejected_sessions: rejecting.map(|(_, load)| load.connections).max().unwrap_or(0),
            loads: loads.clone(),
        }
    }

    /// The pace of the run.
    pub fn pace(&self) -> Pace {
        self.setup.pace
    }

    /// The number of source addresses of the run.
    pub fn egresses(&self) -> usize {
        self.setup.egresses
    }

    /// The probes of `postmaster` that confirm rejections; `None` if the run does not send any.
    pub fn confirming_probes(&self) -> Option<u32> {
        self.setup.confirm.then_some(self.controls.positive)
    }

    /// Makespan over bound; `None` if recipients wait for a later run, because the bound is for all of them.
    pub fn ratio(&self) -> Option<f64> {
        let Completion { postponed, makespan, .. } = self.completion;
        (postponed == 0).then(|| makespan.as_secs_f64() / self.bound.time().as_secs_f64())
    }

    /// The connections for each row.
    pub fn connections_per_row(&self) -> f64 {
        self.connections as f64 / f64::from(self.rows)
    }

    /// Probes over necessary probes, if one rejection proves that a domain is no catch-all.
    pub fn probes_ratio(&self) -> f64 {
        self.probes as f64 / self.bound.need().probes_by_formula as f64
    }

    /// The figures as text for people.
    pub fn text(&self, list: &GeneratedList, cost: MeasuredCost) -> String {
        let need = self.bound.need();
        let slowest = &list.hosts[self.bound.slowest as usize].name;
        let mut out = String::new();
        let time =
            |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
        let mut line = |what: &str, value: String| {
            // Writing to a string can't fail.
            let _ = writeln!(out, "{what:<20} {value}");
        };
        let done = &self.completion;
        line("rows", format!("{} at {} domains; {} to probe", self.rows, self.domains, done.submitted));
        line(
            "completed",
            format!(
                "{}, {} without a reply of their own, {} wait for a later run",
                done.completed, done.without_reply, done.postponed
            ),
        );
        line("makespan", time(done.makespan));
        line("bound", time(self.bound.time()));
        line("  providers", format!("{} ({slowest})", time(self.bound.providers)));
        line("  machines", time(self.bound.machines));
        line("  sockets", time(self.bound.sockets));
        line("  dns", time(self.bound.dns));
        line("  greylisting", time(self.bound.greylisting));
        line(
            "ratio",
            self.ratio().map_or("none, because recipients wait for a later run".to_owned(), |ratio| {
                format!("{ratio:.3}")
            }),
        );
        line(
            "connections",
            format!(
                "{}, {:.4} a row (at least {}), at most {} open",
                self.connections,
                self.connections_per_row(),
                self.bound.sessions(),
                done.most_open
            ),
        );
        let controls = self.controls;
        line(
            "probes",
            format!(
                "{}, of these {} controls ({} closing, {} positive, {} closing positive)",
                self.probes,
                controls.sum(),
                controls.closing,
                controls.positive,
                controls.closing_positive
            ),
        );
        line(
            "necessary probes",
            format!(
                "{} ({:.3} times as many sent); {} by the rejections that each provider's data require",
                need.probes_by_formula,
                self.probes_ratio(),
                need.probes,
            ),
        );
        line("rejecting us", format!("{} sessions at most at one provider", self.rejected_sessions));
        line(
            "violations",
            format!(
                "{} at providers, {} at IP addresses",
                self.violations.sum(),
                self.address_violations.sum()
            ),
        );
        let cpu = cost.cpu.map_or("unknown".to_owned(), |cpu| format!("{:.1} s", cpu.as_secs_f64()));
        line("wall, cpu", format!("{:.1} s, {cpu}", cost.wall.as_secs_f64()));
        let _ = writeln!(
            out,
            "\n{:<14}{:>9}{:>9}{:>10}{:>9}{:>9}{:>11}{:>11}{:>7}",
            "provider", "rows", "probes", "necessary", "conns", "at least", "bound", "took", "ratio"
        );
        for (name, lane, load) in &self.table {
            let (bound, took) = (lane.time.as_secs_f64(), load.until.as_secs_f64());
            let _ = writeln!(
                out,
                "{name:<14}{:>9}{:>9}{:>10}{:>9}{:>9}{bound:>10.1}s{took:>10.1}s{:>7.3}",
                lane.need.rows,
                load.probes,
                lane.need.probes,
                load.connections,
                lane.sessions,
                took / bound
            );
        }
        out
    }

    /// The figures as a JSON object. Times are in seconds.
    pub fn json(&self, list: &GeneratedList, cost: MeasuredCost) -> Value {
        let (need, done) = (self.bound.need(), &self.completion);
        let pace: Vec<Value> =
            self.table.iter().map(|(name, lane, load)| lane_json(name, lane, *load)).collect();
        json!({
            "rows": self.rows, "domains": self.domains, "egress": self.setup.egresses,
            "pace": format!("{:?}", self.setup.pace).to_lowercase(), "seed": self.setup.seed,
            "ordered": done.submitted, "settled": done.completed, "unanswered": done.without_reply, "left": done.postponed,
            "makespan_s": done.makespan.as_secs_f64(), "bound_s": self.bound.time().as_secs_f64(), "ratio": self.ratio(),
            "bound": {
                "slowest_operator": &*list.hosts[self.bound.slowest as usize].name,
                "operators_s": self.bound.providers.as_secs_f64(), "sockets_s": self.bound.sockets.as_secs_f64(),
                "machines_s": self.bound.machines.as_secs_f64(), "dns_s": self.bound.dns.as_secs_f64(), "greylisting_s": self.bound.greylisting.as_secs_f64(),
            },
            "connections": self.connections, "connections_at_least": self.bound.sessions(),
            "connections_per_row": self.connections_per_row(), "most_open": done.most_open,
            "probes": self.probes, "controls": self.controls.sum(),
            "closing_controls": self.controls.closing, "positive_controls": self.controls.positive,
            "closing_positive_controls": self.controls.closing_positive,
            "closing_positive_ratio": f64::from(self.controls.closing_positive) / need.probes_by_formula as f64,
            "necessary_probes": need.probes_by_formula, "necessary_probes_as_proven": need.probes,
            "probes_ratio": self.probes_ratio(),
            "refuser_sessions": self.rejected_sessions,
            "violations": self.violations, "address_violations": self.address_violations,
            "violations_sum": self.violations.sum() + self.address_violations.sum(),
            "pace_table": pace,
            "wall_s": cost.wall.as_secs_f64(), "cpu_s": cost.cpu.map(|cpu| cpu.as_secs_f64()),
        })
    }
}

fn lane_json(name: &str, lane: &BoundLane, load: Load) -> Value {
    json!({
        "operator": name, "rows": lane.need.rows, "domains": lane.need.domains,
        "necessary_probes": lane.need.probes, "probes": load.probes,
        "connections_at_least": lane.sessions, "connections": load.connections,
        "per_minute_by_recipients": lane.by_recipients, "per_minute_by_connections": lane.by_connections,
        "per_minute_by_open": lane.by_open, "session_s": lane.session.as_secs_f64(),
        "bound_s": lane.time.as_secs_f64(), "took_s": load.until.as_secs_f64(),
    })
}

/// The log of a simulation as JSON lines: its world, and one line per session.
pub(super) struct SimulationLog<'a>(Option<&'a mut dyn Write>);

impl<'a> SimulationLog<'a> {
    /// A log that is written to `out`, or not at all.
    pub(super) fn to(out: Option<&'a mut dyn Write>) -> SimulationLog<'a> {
        SimulationLog(out)
    }

    /// Writes the setup, the providers and the domains. Times are in seconds. Shares are not written, because
    /// everything is drawn already.
    pub(super) fn write_world(&mut self, list: &GeneratedList, setup: &SimulationSetup) -> io::Result<()> {
        let Some(out) = &mut self.0 else { return Ok(()) };
        let pace = setup.pace;
        let setup = json!({
            "kind": "setup", "rows": list.rows, "egress": setup.egresses, "pace": format!("{pace:?}").to_lowercase(),
            "max_wait_s": setup.max_wait.as_secs(), "sockets": setup.sockets, "seed": setup.seed,
            "dns_per_second": list.dns_per_second, "greylisting_wait_s": list.wait.as_secs(),
        });
        writeln!(out, "{setup}")?;
        for host in &list.hosts {
            let provider = &host.provider;
            let RateLimits { open, connections, recipients, unknown_per_hour, unknown_per_day } =
                provider.limits(pace);
            let line = json!({
                "kind": "operator", "operator": &*host.name, "evidence": provider.rcpt_is_evidence,
                "refusals_that_prove": provider.proving_rejections,
                "refuses": host.rejects_us, "greylists": host.greylists,
                "latency_s": host.latency.as_secs_f64(), "think_s": host.think.as_secs_f64(), "tls": provider.tls,
                "open": open, "connections_per_minute": connections, "recipients_per_minute": recipients,
                "unknown_per_hour": unknown_per_hour, "unknown_per_day": unknown_per_day,
                "transactions": provider.session_limits.transactions, "recipients": provider.session_limits.recipients,
                "refused": provider.session_limits.rejections,
                "addresses": host.mx_hosts.iter().flat_map(|mx_hop| &mx_hop.addresses).collect::<Vec<_>>(),
                "per_address": provider.address_limits(pace).map(|limits| json!({
                    "open": limits.open, "connections_per_minute": limits.connections,
                    "recipients_per_minute": limits.recipients,
                    "unknown_per_hour": limits.unknown_per_hour, "unknown_per_day": limits.unknown_per_day,
                })),
            });
            writeln!(out, "{line}")?;
        }
        for (id, domain) in list.domains.iter().enumerate() {
            let recipients = domain.first..domain.first + domain.recipients;
            let unknown = recipients.filter(|row| list.is_unknown(*row)).count();
            let provider = &*list.hosts[domain.host as usize].name;
            writeln!(
                out,
                r#"{{"kind":"domain","domain":"d{id}.test","operator":"{provider}","listed":{},"unknown":{unknown},"catch_all":{},"dead":{}}}"#,
                domain.recipients, domain.catch_all, domain.dead,
            )?;
        }
        Ok(())
    }

    /// Writes a session that has ended. Times are in seconds of the run. Closing and positive controls are among the
    /// controls, and controls among the probes.
    pub(super) fn write_session(
        &mut self,
        list: &GeneratedList,
        connection: &SimConnection,
        now: Duration,
    ) -> io::Result<()> {
        let Some(out) = &mut self.0 else { return Ok(()) };
        let (provider, egress) = (&*list.hosts[connection.host as usize].name, connection.egress);
        let (start, end) = (connection.opened_at.as_secs_f64(), now.as_secs_f64());
        let SimConnection { address, transactions, probes, rejected, controls, .. } = connection;
        let (all, ControlCounts { closing, positive, closing_positive, .. }) = (controls.sum(), controls);
        writeln!(
            out,
            r#"{{"kind":"session","operator":"{provider}","address":"{address}","egress":{egress},"start":{start},"end":{end},"transactions":{transactions},"asked":{probes},"refused":{rejected},"controls":{all},"closing":{closing},"positive":{positive},"closing_positive":{closing_positive}}}"#,
        )
    }
}
