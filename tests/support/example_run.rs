//! Summaries of runs that did not take place, for tests of what is written about them.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use listproof::details::AddressKinds;
use listproof::list::OutputCounts;
use listproof::policy::BouncePriors;
use listproof::report::{BatchTally, ProbeCounts, Rerun, RowTally};
use listproof::{
    Address, AddressResult, Cause, Confidence, Exit, Finding, Judgment, Reason, Reply, Summary, Verdict,
};

/// The end of the run.
pub(crate) fn ended() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600)
}

/// Rows that are alike.
pub(crate) struct Rows {
    pub(crate) count: u64,
    pub(crate) reason: Reason,
    pub(crate) confidence: Confidence,
    pub(crate) address: &'static str,
    pub(crate) provider: Option<&'static str>,
    pub(crate) reply: Option<&'static str>,
    /// Minutes after the end of the run.
    pub(crate) retry: Option<u64>,
}

impl Rows {
    pub(crate) fn new(count: u64, reason: impl Into<Reason>, address: &'static str) -> Rows {
        let (confidence, reason) = (Confidence::Confirmed, reason.into());
        Rows { count, reason, confidence, address, provider: None, reply: None, retry: None }
    }

    pub(crate) fn result(&self) -> AddressResult {
        let address = Address::parse(self.address).ok();
        let reply = self.reply.map(|text| {
            let (code, text) = text.split_once(' ').unwrap();
            Reply::new(code.parse().unwrap(), [text])
        });
        AddressResult {
            judgment: Judgment {
                reason: self.reason,
                rule: "rule".into(),
                confidence: self.confidence,
                retry_after: self.retry.map(|minutes| ended() + Duration::from_secs(minutes * 60)),
            },
            repairs: Vec::new(),
            did_you_mean: (self.reason == Finding::ProbableTypo.into()).then(|| "jane@gmail.com".to_owned()),
            mx_host: address.as_ref().and_then(|address| address.domain().cloned()),
            kinds: AddressKinds { free: Some(self.provider == Some("yahoo")), ..AddressKinds::default() },
            address,
            provider: self.provider.map(Arc::from),
            catch_all: None,
            reply,
            attempts: 1,
            checked_at: None,
            expires_at: None,
        }
    }
}

pub(crate) fn summary(rows: &[Rows]) -> Summary {
    let (mut tally, mut batch, mut counts) =
        (RowTally::default(), BatchTally::default(), OutputCounts::default());
    for rows in rows {
        batch.clear(false);
        let result = rows.result();
        (0..rows.count).for_each(|_| batch.add(&result, None));
        tally.add(&batch, &vec![None; usize::try_from(rows.count).unwrap()]);
        counts.results += rows.count;
        *counts.reasons.entry(rows.reason).or_default() += rows.count;
        counts.verdicts[rows.reason.verdict() as usize] += rows.count;
    }
    counts.suppressed = counts.of(Verdict::Undeliverable);
    Summary {
        input: "contacts.csv".to_owned(),
        format: "CSV in UTF-8; addresses: column 4 `Email`, by its name".to_owned(),
        counts,
        tally,
        priors: BouncePriors::built_in(),
        probed: ProbeCounts { connections: 120, questions: 4_100, domains: 310, unanswered: 0 },
        provider_events: BTreeMap::new(),
        took: Duration::from_secs(4_000),
        ended: ended(),
        unprobed: false,
        changed_only: false,
        still_to_probe: 0,
        blocked: None,
        rejections: Vec::new(),
        forced: Vec::new(),
        out_of_time: false,
        exit: Exit::Finished,
        folder: Some("out".to_owned()),
        stem: "contacts".to_owned(),
        ending: "csv",
        profile: None,
        rerun: Rerun {
            again: Some("listproof verify contacts.csv -o out --helo probe.example.org".to_owned()),
            flags: None,
            keeps_answers: true,
        },
    }
}

pub(crate) fn campaign() -> Summary {
    let blocked =
        "550 5.7.1 <sam@c.example>: Service unavailable; client [192.0.2.1] blocked using list.example";
    summary(&[
        Rows {
            provider: Some("google"),
            reply: Some("250 2.1.5 Ok"),
            ..Rows::new(2_900, Cause::Accepted, "ann@a.example")
        },
        Rows { provider: Some("microsoft365"), ..Rows::new(700, Cause::Accepted, "ann@b.example") },
        Rows { provider: Some("microsoft365"), ..Rows::new(260, Cause::MailboxUnknown, "bo@b.example") },
        Rows { confidence: Confidence::Inferred, ..Rows::new(14, Cause::MailboxUnknown, "bo@h.example") },
        Rows::new(310, Finding::CatchAll, "kim@d.example"),
        Rows { provider: Some("yahoo"), ..Rows::new(420, Finding::NotCheckable, "lee@e.example") },
        Rows::new(31, Finding::ProbableTypo, "jane@gmial.example"),
        Rows::new(22, Finding::DomainNotFound, "max@f.example"),
        Rows { retry: Some(20), ..Rows::new(180, Cause::Greylisted, "pat@g.example") },
        Rows { retry: Some(2_000), ..Rows::new(12, Cause::ServerFailure, "pat@i.example") },
        Rows {
            provider: Some("microsoft365"),
            reply: Some(blocked),
            ..Rows::new(151, Cause::IpBlocklisted, "sam@c.example")
        },
    ])
}
