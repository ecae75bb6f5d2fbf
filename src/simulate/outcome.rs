//! What a simulation shows: its figures, as text for people and as one JSON object.
#![expect(clippy::cast_precision_loss, reason = "shares and times of a simulation need not be exact")]

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::bound::{Bound, BoundLane};
use super::list::GeneratedList;
use super::receivers::{ControlCounts, Load, Violations};
use super::{Simulation, SimulationSetup};
use crate::policy::Pace;

/// Rows of the pace table.
const TABLE_ROWS: usize = 12;

/// The figures.
#[derive(Clone, Debug)]
pub struct SimulationReport {
    setup: SimulationSetup,
    /// Rows of the list.
    pub rows: u32,
    /// Domains of the list.
    pub domains: usize,
    /// Addresses that the scheduler was asked about.
    pub ordered: u64,
    /// Of these, settled.
    pub settled: u64,
    /// Of these, settled without an answer to the address itself.
    pub unanswered: u64,
    /// Of these, left to a later run because a cap on unknown recipients was reached.
    pub left: u64,
    /// Until the last address was settled.
    pub makespan: Duration,
    /// The bound.
    pub bound: Bound,
    /// Connections.
    pub connections: u64,
    /// RCPT commands.
    pub probes: u64,
    /// Of these, controls.
    pub controls: ControlCounts,
    /// The most connections at once.
    pub most_open: usize,
    /// Limits broken, as counted by the receivers.
    pub violations: Violations,
    /// The most sessions at one operator that refuses us.
    pub refuser_sessions: u64,
    /// What each operator got.
    pub loads: Vec<Load>,
    /// The operators with the longest bounds.
    table: Vec<(String, BoundLane, Load)>,
}

/// What the simulation itself cost.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredCost {
    /// By the clock on the wall.
    pub wall: Duration,
    /// Of the processor; `None` where the system does not tell.
    pub cpu: Option<Duration>,
}

impl SimulationReport {
    pub(super) fn new(
        list: &GeneratedList,
        setup: &SimulationSetup,
        bound: Bound,
        run: &Simulation,
    ) -> SimulationReport {
        let loads = &run.receivers.loads;
        let refusers = list.hosts.iter().zip(loads).filter(|(host, _)| host.refuses);
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
            ordered: run.ordered,
            settled: run.settled,
            unanswered: run.unanswered,
            left: run.left,
            makespan: run.settled_last,
            table: table.collect(),
            bound,
            connections: loads.iter().map(|load| load.connections).sum(),
            probes: loads.iter().map(|load| load.probes).sum(),
            controls: run.receivers.controls,
            most_open: run.most_open,
            violations: run.receivers.violations,
            refuser_sessions: refusers.map(|(_, load)| load.connections).max().unwrap_or(0),
            loads: loads.clone(),
        }
    }

    /// How hard was pressed.
    pub fn pace(&self) -> Pace {
        self.setup.pace
    }

    /// From how many addresses.
    pub fn egresses(&self) -> usize {
        self.setup.egresses
    }

    /// Makespan over bound; `None` where rows were left over, because the bound is for all of them.
    pub fn ratio(&self) -> Option<f64> {
        (self.left == 0).then(|| self.makespan.as_secs_f64() / self.bound.time().as_secs_f64())
    }

    /// Connections for each row.
    pub fn connections_per_row(&self) -> f64 {
        self.connections as f64 / f64::from(self.rows)
    }

    /// Probes over necessary probes, by the closed formula of the theory.
    pub fn probes_ratio(&self) -> f64 {
        self.probes as f64 / self.bound.need().probes_by_formula as f64
    }

    /// For people.
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
        line("rows", format!("{} at {} domains; {} to ask about", self.rows, self.domains, self.ordered));
        line(
            "settled",
            format!(
                "{}, {} without an answer of their own, {} left to a later run",
                self.settled, self.unanswered, self.left
            ),
        );
        line("makespan", time(self.makespan));
        line("bound", time(self.bound.time()));
        line("  operators", format!("{} ({slowest})", time(self.bound.providers)));
        line("  sockets", time(self.bound.sockets));
        line("  dns", time(self.bound.dns));
        line("  greylisting", time(self.bound.greylisting));
        line(
            "ratio",
            self.ratio()
                .map_or("none, because rows were left over".to_owned(), |ratio| format!("{ratio:.3}")),
        );
        line(
            "connections",
            format!(
                "{}, {:.4} a row (at least {}), {} at once",
                self.connections,
                self.connections_per_row(),
                self.bound.sessions(),
                self.most_open
            ),
        );
        let controls = self.controls;
        line(
            "probes",
            format!(
                "{}, of these {} controls ({} closing, {} positive)",
                self.probes,
                controls.sum(),
                controls.closing,
                controls.positive
            ),
        );
        line(
            "necessary probes",
            format!(
                "{} ({:.3} times as many asked); {} with what these operators take for proof",
                need.probes_by_formula,
                self.probes_ratio(),
                need.probes,
            ),
        );
        line("refusers", format!("{} sessions at most", self.refuser_sessions));
        line("violations", self.violations.sum().to_string());
        let cpu = cost.cpu.map_or("unknown".to_owned(), |cpu| format!("{:.1} s", cpu.as_secs_f64()));
        line("wall, cpu", format!("{:.1} s, {cpu}", cost.wall.as_secs_f64()));
        let _ = writeln!(
            out,
            "\n{:<14}{:>9}{:>9}{:>10}{:>9}{:>9}{:>11}{:>11}{:>7}",
            "operator", "rows", "probes", "necessary", "conns", "at least", "bound", "took", "ratio"
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

    /// For programs. Times are seconds.
    pub fn json(&self, list: &GeneratedList, cost: MeasuredCost) -> Value {
        let need = self.bound.need();
        let pace: Vec<Value> =
            self.table.iter().map(|(name, lane, load)| lane_json(name, lane, *load)).collect();
        json!({
            "rows": self.rows, "domains": self.domains, "egress": self.setup.egresses,
            "pace": format!("{:?}", self.setup.pace).to_lowercase(), "seed": self.setup.seed,
            "ordered": self.ordered, "settled": self.settled, "unanswered": self.unanswered, "left": self.left,
            "makespan_s": self.makespan.as_secs_f64(), "bound_s": self.bound.time().as_secs_f64(), "ratio": self.ratio(),
            "bound": {
                "slowest_operator": &*list.hosts[self.bound.slowest as usize].name,
                "operators_s": self.bound.providers.as_secs_f64(), "sockets_s": self.bound.sockets.as_secs_f64(),
                "dns_s": self.bound.dns.as_secs_f64(), "greylisting_s": self.bound.greylisting.as_secs_f64(),
            },
            "connections": self.connections, "connections_at_least": self.bound.sessions(),
            "connections_per_row": self.connections_per_row(), "most_open": self.most_open,
            "probes": self.probes, "controls": self.controls.sum(),
            "closing_controls": self.controls.closing, "positive_controls": self.controls.positive,
            "necessary_probes": need.probes_by_formula, "necessary_probes_as_proven": need.probes,
            "probes_ratio": self.probes_ratio(),
            "refuser_sessions": self.refuser_sessions,
            "violations": self.violations, "violations_sum": self.violations.sum(),
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
