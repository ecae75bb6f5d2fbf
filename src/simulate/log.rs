//! The log of a simulation: its world and one line per session, as JSON lines, for whoever wants to count again.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;

use super::SimulationSetup;
use super::list::GeneratedList;
use super::receivers::{ControlCounts, SimConnection};
use crate::policy::RateLimits;

/// Where the log goes, if anywhere.
pub(super) struct SimulationLog<'a>(Option<&'a mut dyn Write>);

impl<'a> SimulationLog<'a> {
    /// A log to a place.
    pub(super) fn to(place: Option<&'a mut dyn Write>) -> SimulationLog<'a> {
        SimulationLog(place)
    }

    /// The setup, the operators and the domains. Times are seconds, shares are not needed: everything is drawn already.
    pub(super) fn world(&mut self, list: &GeneratedList, setup: &SimulationSetup) -> io::Result<()> {
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
                "refuses": host.refuses, "greylists": host.greylists,
                "latency_s": host.latency.as_secs_f64(), "think_s": host.think.as_secs_f64(), "tls": provider.tls,
                "open": open, "connections_per_minute": connections, "recipients_per_minute": recipients,
                "unknown_per_hour": unknown_per_hour, "unknown_per_day": unknown_per_day,
                "transactions": provider.session_limits.transactions, "recipients": provider.session_limits.recipients,
                "refused": provider.session_limits.rejections,
            });
            writeln!(out, "{line}")?;
        }
        for (id, domain) in list.domains.iter().enumerate() {
            let rows = domain.first..domain.first + domain.listed;
            let unknown = rows.filter(|row| list.is_unknown(*row)).count();
            let operator = &*list.hosts[domain.host as usize].name;
            writeln!(
                out,
                r#"{{"kind":"domain","domain":"d{id}.test","operator":"{operator}","listed":{},"unknown":{unknown},"catch_all":{},"dead":{}}}"#,
                domain.listed, domain.catch_all, domain.dead,
            )?;
        }
        Ok(())
    }

    /// A session that is over. Times are seconds of the run; closing and positive controls are among the controls, and these
    /// among who was asked.
    pub(super) fn session(
        &mut self,
        list: &GeneratedList,
        call: &SimConnection,
        now: Duration,
    ) -> io::Result<()> {
        let Some(out) = &mut self.0 else { return Ok(()) };
        let (operator, egress) = (&*list.hosts[call.host as usize].name, call.egress);
        let (start, end) = (call.began.as_secs_f64(), now.as_secs_f64());
        let SimConnection { transactions, asked, refused, controls, .. } = call;
        let (all, ControlCounts { closing, positive, .. }) = (controls.sum(), controls);
        writeln!(
            out,
            r#"{{"kind":"session","operator":"{operator}","egress":{egress},"start":{start},"end":{end},"transactions":{transactions},"asked":{asked},"refused":{refused},"controls":{all},"closing":{closing},"positive":{positive}}}"#,
        )
    }
}
