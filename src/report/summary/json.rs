//! The summary as JSON: the same numbers, for programs.
//!
//! A key never changes its meaning; new ones may be added. `samples/schemas/summary.json` describes all of them.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::data::Summary;
use super::estimate::BounceEstimate;
use super::next_steps::SummaryStep;
use super::outlook::Outlook;
use super::rejection_scope::RejectionScope;
use super::retry_plan::RetryPlan;
use crate::reason::Verdict;
use crate::report::tally::{ProviderCounts, ProviderName};
use crate::schedule::HostRejection;

/// How many domains and typos are named.
const NAMED: usize = 20;

impl Summary {
    /// For programs: the same numbers; a key never changes its meaning.
    pub fn json(&self) -> String {
        format!("{:#}\n", self.object())
    }

    /// The JSON on one line.
    pub fn line(&self) -> String {
        format!("{}\n", self.object())
    }

    fn object(&self) -> Value {
        let outlook = self.outlook();
        let verdicts: Map<String, Value> =
            Verdict::ALL.into_iter().map(|v| (v.word().to_owned(), self.counts.of(v).into())).collect();
        let reasons: Map<String, Value> = self
            .counts
            .reasons
            .iter()
            .map(|(reason, rows)| (reason.word().to_owned(), (*rows).into()))
            .collect();
        let events: Map<String, Value> = self
            .provider_events
            .iter()
            .map(|(event, times)| (event.word().to_owned(), (*times).into()))
            .collect();
        let rejected_by: Vec<Value> = self
            .rejections
            .iter()
            .map(|HostRejection { mx_host, reply }| json!({ "mx_host": mx_host.as_str(), "reply": reply }))
            .collect();
        json!({
            "listproof": env!("CARGO_PKG_VERSION"),
            "input": self.input,
            "rows": self.counts.rows(),
            "results": self.counts.results,
            "rejected": self.counts.unreadable,
            "extra_addresses": self.counts.further_addresses,
            "duplicates": self.counts.duplicates,
            "excluded": self.counts.excluded,
            "without_address": self.counts.without_address,
            "unchanged": self.counts.unchanged,
            "suppressed": self.counts.suppressed,
            "skipped": self.counts.hand_over.skipped(),
            "verdicts": verdicts,
            "reasons": reasons,
            "mailboxes_checked": !self.unprobed,
            "partial": self.still_to_probe > 0,
            "still_to_ask": self.still_to_probe,
            "stopped_because": self.stopped_because(),
            "rejected_by": rejected_by,
            "forced": self.forced,
            "domains": self.probed.domains,
            "questions": self.probed.questions,
            "connections": self.probed.connections,
            "decisions": events,
            "seconds": self.took.as_secs(),
            "exit_code": self.exit.code(),
            "ended": at(self.ended),
            "headline": { "decision": outlook.headline.decision.word(), "because": outlook.headline.because },
            "expected_bounces": expected_bounces(self, &outlook),
            "undeliverable_not_confirmed": self.tally.unconfirmed(),
            "providers": outlook.providers.iter().map(provider).collect::<Vec<_>>(),
            "rejections": outlook.rejections.as_ref().map(scope),
            "ask_again": ask_again(&outlook.again),
            "kinds": self.tally.kinds().into_iter().map(|(kind, rows)| (kind.to_owned(), rows.into())).collect::<Map<_, _>>(),
            "typos": self.tally.typos(NAMED).into_iter().map(typo).collect::<Vec<_>>(),
            "top_domains": top_domains(self),
            "next": outlook.steps.iter().map(step).collect::<Vec<_>>(),
        })
    }
}

/// The rows by verdict.
fn verdicts(rows: [u64; 4]) -> impl Iterator<Item = (String, Value)> {
    Verdict::ALL.into_iter().zip(rows).map(|(verdict, rows)| (verdict.word().to_owned(), rows.into()))
}

fn at(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// `null` where nothing can be said.
fn expected_bounces(summary: &Summary, outlook: &Outlook<'_>) -> Value {
    if summary.unfinished().is_some() {
        return Value::Null;
    }
    json!({ "as_it_is": estimate(&outlook.list), "cleaned": estimate(&outlook.cleaned) })
}

fn estimate(estimate: &BounceEstimate) -> Value {
    let (low_percent, high_percent) = estimate.percent();
    let tenth = |percent: f64| (percent * 10.0).round() / 10.0;
    let basis = estimate.basis.iter().map(|kind| {
        json!({
            "rows": kind.name, "addresses": kind.addresses, "low_percent": tenth(kind.low),
            "high_percent": tenth(kind.high), "from_this_list": kind.is_concluded,
        })
    });
    json!({
        "addresses": estimate.addresses, "low": estimate.low, "high": estimate.high,
        "low_percent": tenth(low_percent), "high_percent": tenth(high_percent),
        "basis": basis.collect::<Vec<_>>(),
    })
}

fn provider((name, counts): &(ProviderName<'_>, ProviderCounts)) -> Value {
    let rejection = counts.rejection.as_ref().map(|rejection| {
        json!({
            "reason": rejection.reason.word(), "rows": rejection.rows, "mx_host": rejection.mx_host,
            "reply": rejection.reply,
        })
    });
    let mut object: Map<String, Value> = verdicts(counts.verdicts).collect();
    object.insert("provider".to_owned(), name.id().into());
    object.insert("name".to_owned(), name.text().into());
    object.insert("rows".to_owned(), counts.rows().into());
    object.insert("rejects_us".to_owned(), counts.rejecting_us.into());
    object.insert("rejection".to_owned(), rejection.into());
    object.into()
}

fn scope(scope: &RejectionScope) -> Value {
    let RejectionScope { word, rejecting, replied, addresses } = scope;
    json!({
        "domains": word.word(), "domains_rejecting": rejecting, "domains_replied": replied, "addresses": addresses,
    })
}

fn ask_again(plan: &RetryPlan) -> Value {
    let times = plan.times.iter().map(|time| {
        json!({ "when": time.word, "from": at(time.from), "until": at(time.until), "rows": time.rows })
    });
    json!({
        "rows": plan.rows, "first": plan.first().map(at), "times": times.collect::<Vec<_>>(),
        "after_repair": plan.after_repair, "without_time": plan.without_time,
    })
}

fn typo((domain, meant, rows): (&str, &str, u64)) -> Value {
    json!({ "domain": domain, "meant": meant, "rows": rows })
}

fn top_domains(summary: &Summary) -> Vec<Value> {
    let domains = summary.tally.domains.top(NAMED).into_iter().map(|(name, counts)| {
        let mut object: Map<String, Value> = verdicts(counts.verdicts).collect();
        object.insert("domain".to_owned(), name.into());
        object.insert("rows".to_owned(), counts.rows().into());
        object.into()
    });
    domains.collect()
}

fn step(step: &SummaryStep) -> Value {
    json!({ "text": step.text, "file": step.file, "command": step.command })
}
