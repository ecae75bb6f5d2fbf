//! The words and numbers of a page, from the summary of a run.
//!
//! Decides: which sections a page has, and how numbers are written. Must not: judge; `summary` has drawn the conclusions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::charts::{self, BarSegment, TimeBar, verdict_bar};
use super::sections::{
    BasisLine, CauseLine, EstimateLine, Fact, GroupLine, ReasonLine, StepLine, TypoLine, VerdictLine,
};
use crate::policy::SendingAdvice;
use crate::reason::{Fault, Reason, Verdict};
use crate::report::summary::{BounceEstimate, Decision, Outlook, Summary, percent_text, time_text};
use crate::smtp::sanitize;

/// How many providers a page shows.
const PROVIDERS: usize = 40;
/// How many domains and typos it shows.
const NAMED: usize = 20;

/// What pages are written, and whether they hold addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageOptions {
    /// Some addresses of each reason are examples on the page.
    pub has_addresses: bool,
    /// The page is also written as Markdown.
    pub has_markdown: bool,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportPage {
    pub(super) input: String,
    pub(super) format: String,
    pub(super) decision: &'static str,
    pub(super) decision_class: &'static str,
    pub(super) decision_symbol: char,
    pub(super) because: String,
    pub(super) notes: Vec<String>,
    pub(super) steps: Vec<StepLine>,
    pub(super) estimates: Vec<EstimateLine>,
    pub(super) basis: Vec<BasisLine>,
    pub(super) verdicts: Vec<VerdictLine>,
    pub(super) bar: Vec<BarSegment>,
    pub(super) sum: String,
    pub(super) reasons: Vec<ReasonLine>,
    pub(super) has_examples: bool,
    pub(super) providers: Vec<GroupLine>,
    pub(super) more_providers: usize,
    pub(super) scope: Option<String>,
    pub(super) causes: Vec<CauseLine>,
    pub(super) typos: Vec<TypoLine>,
    pub(super) domains: Vec<GroupLine>,
    pub(super) hygiene: Vec<Fact>,
    pub(super) retries: Vec<Fact>,
    pub(super) sending: Vec<String>,
    pub(super) time_line: Vec<TimeBar>,
    pub(super) time_line_text: String,
    pub(super) facts: Vec<Fact>,
}

impl ReportPage {
    /// The page of a run.
    pub fn of(summary: &Summary, advice: &SendingAdvice) -> ReportPage {
        let outlook = summary.outlook();
        let (decision_class, decision_symbol) = match outlook.headline.decision {
            Decision::Ready => ("deliverable", '✓'),
            Decision::CleanFirst => ("risky", '!'),
            Decision::DoNotSend => ("undeliverable", '✗'),
        };
        let rows = Verdict::ALL.map(|verdict| summary.counts.of(verdict));
        let judged: u64 = rows.iter().sum();
        let (time_line, time_line_text) = time_line(summary);
        let is_known = summary.unfinished().is_none();
        ReportPage {
            input: sanitize(&summary.input),
            format: sanitize(&summary.format),
            decision: outlook.headline.decision.text(),
            decision_class,
            decision_symbol,
            because: sanitize(&outlook.headline.because),
            notes: notes(summary),
            steps: outlook
                .steps
                .iter()
                .map(|step| StepLine {
                    text: sanitize(&step.text),
                    command: step.command.as_deref().map(sanitize),
                })
                .collect(),
            estimates: if is_known { estimates(&outlook) } else { Vec::new() },
            basis: if is_known { basis(&outlook.list) } else { Vec::new() },
            verdicts: Verdict::ALL.map(|verdict| verdict_line(summary, verdict, judged)).into(),
            bar: verdict_bar(rows, judged),
            sum: summary.sum(),
            reasons: reasons(summary),
            has_examples: summary.tally.has_examples(),
            providers: providers(&outlook),
            more_providers: outlook.providers.len().saturating_sub(PROVIDERS),
            scope: outlook.rejections.as_ref().map(|scope| {
                format!(
                    "{}. Domains that replied: {}; that reject this server: {}; addresses that stay unknown because of it, none of \
                     which counts as bad: {}.",
                    capital(scope.word.sentence()),
                    grouped(scope.replied),
                    grouped(scope.rejecting),
                    grouped(scope.addresses)
                )
            }),
            causes: causes(summary),
            typos: typos(summary),
            domains: domains(summary),
            hygiene: hygiene(summary),
            retries: retries(&outlook),
            sending: if is_known { sending(summary, advice) } else { Vec::new() },
            time_line,
            time_line_text,
            facts: facts(summary),
        }
    }
}

fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if summary.changed_only {
        notes.push(format!(
            "The files hold changes only; {} rows are as last reported. The decision is about the whole list.",
            grouped(summary.counts.unchanged)
        ));
    }
    if summary.unprobed {
        notes.push("This run contacted no mail server, so no mailbox was checked.".to_owned());
    }
    if let Some(blocked) = summary.blocked {
        notes.push(format!("{}. {}.", capital(blocked.sentence()), capital(blocked.hint())));
        let rejections = summary.rejections.iter().take(5);
        notes.extend(
            rejections.map(|rejection| sanitize(&format!("{}: {}", rejection.mx_host, rejection.reply))),
        );
    }
    notes
}

fn verdict_line(summary: &Summary, verdict: Verdict, judged: u64) -> VerdictLine {
    let rows = summary.counts.of(verdict);
    let share = (rows * 1_000 + judged / 2).checked_div(judged).unwrap_or_default();
    VerdictLine {
        word: verdict.word(),
        symbol: symbol(verdict),
        rows: grouped(rows),
        share: format!("{}.{} %", share / 10, share % 10),
        action: verdict.action(),
    }
}

fn symbol(verdict: Verdict) -> char {
    match verdict {
        Verdict::Deliverable => '✓',
        Verdict::Risky => '!',
        Verdict::Undeliverable => '✗',
        Verdict::Unknown => '?',
        Verdict::None => ' ',
    }
}

fn estimates(outlook: &Outlook<'_>) -> Vec<EstimateLine> {
    let all = [("the list as it is", &outlook.list), ("the cleaned list", &outlook.cleaned)];
    let line = |(name, estimate): (&'static str, &BounceEstimate)| {
        let (low, high) = estimate.percent();
        EstimateLine {
            name,
            addresses: grouped(estimate.addresses),
            bounces: format!("{} to {}", grouped(estimate.low), grouped(estimate.high)),
            percent: format!("{} to {} %", percent_text(low), percent_text(high)),
        }
    };
    all.into_iter().filter(|(_, estimate)| estimate.addresses > 0).map(line).collect()
}

fn basis(estimate: &BounceEstimate) -> Vec<BasisLine> {
    let line = |kind: &crate::report::BounceBasis| BasisLine {
        name: kind.name.clone(),
        addresses: grouped(kind.addresses),
        percent: format!("{} to {} %", percent_text(kind.low), percent_text(kind.high)),
        from: if kind.is_concluded { "the decided rows of this list" } else { "published rates" },
    };
    estimate.basis.iter().map(line).collect()
}

fn reasons(summary: &Summary) -> Vec<ReasonLine> {
    let mut reasons: Vec<(&Reason, &u64)> = summary.counts.reasons.iter().collect();
    reasons.retain(|(reason, _)| reason.verdict() != Verdict::None);
    reasons.sort_by_key(|(reason, rows)| (reason.verdict(), std::cmp::Reverse(**rows), reason.word()));
    let line = |(reason, rows): (&Reason, &u64)| ReasonLine {
        verdict: reason.verdict().word(),
        symbol: symbol(reason.verdict()),
        reason: reason.word(),
        rows: grouped(*rows),
        sentence: reason.sentence(),
        examples: summary.tally.examples(*reason).iter().map(|address| sanitize(address)).collect(),
    };
    reasons.into_iter().map(line).collect()
}

fn providers(outlook: &Outlook<'_>) -> Vec<GroupLine> {
    let most = outlook.providers.iter().map(|(_, counts)| counts.rows()).max().unwrap_or_default();
    let line =
        |(name, counts): &(crate::report::ProviderName<'_>, crate::report::ProviderCounts)| GroupLine {
            name: sanitize(name.text()),
            rows: grouped(counts.rows()),
            verdicts: counts.verdicts.map(grouped).into(),
            rejecting: grouped(counts.rejecting_us),
            bar: verdict_bar(counts.verdicts, most),
            words: counts.rejection.as_ref().map(|one| sanitize(&format!("{}: {}", one.mx_host, one.reply))),
        };
    outlook.providers.iter().take(PROVIDERS).map(line).collect()
}

fn domains(summary: &Summary) -> Vec<GroupLine> {
    let top = summary.tally.domains.top(NAMED);
    let most = top.first().map(|(_, counts)| counts.rows()).unwrap_or_default();
    let line = |(name, counts): (&str, crate::report::DomainCounts)| GroupLine {
        name: sanitize(name),
        rows: grouped(counts.rows()),
        verdicts: counts.verdicts.map(grouped).into(),
        rejecting: grouped(counts.rejecting_us),
        bar: verdict_bar(counts.verdicts, most),
        words: None,
    };
    top.into_iter().map(line).collect()
}

fn causes(summary: &Summary) -> Vec<CauseLine> {
    let mut causes: Vec<(Reason, u64)> =
        summary.counts.reasons.iter().map(|(reason, rows)| (*reason, *rows)).collect();
    causes.retain(|(reason, _)| matches!(reason, Reason::Reply(_)) && reason.fault() == Fault::Us);
    causes.sort_by_key(|(reason, rows)| (std::cmp::Reverse(*rows), reason.word()));
    let most = causes.first().map(|(_, rows)| *rows).unwrap_or_default();
    let line = |(reason, rows): (Reason, u64)| CauseLine {
        reason: reason.word(),
        sentence: reason.sentence(),
        rows: grouped(rows),
        length: charts::length(rows, most),
    };
    causes.into_iter().map(line).collect()
}

fn typos(summary: &Summary) -> Vec<TypoLine> {
    let line = |(domain, meant, rows): (&str, &str, u64)| TypoLine {
        domain: sanitize(domain),
        meant: sanitize(meant),
        rows: grouped(rows),
    };
    summary.tally.typos(NAMED).into_iter().map(line).collect()
}

fn hygiene(summary: &Summary) -> Vec<Fact> {
    let counts = &summary.counts;
    let mut facts = vec![
        Fact::new("duplicates", grouped(counts.duplicates)),
        Fact::new("rows without an address", grouped(counts.without_address)),
        Fact::new("unreadable rows", grouped(counts.unreadable)),
        Fact::new("addresses beside another in one cell, not checked", grouped(counts.further_addresses)),
        Fact::new("excluded by your own lists", grouped(counts.excluded)),
        Fact::new(
            "undeliverable but not confirmed, so not in the suppression list",
            grouped(summary.tally.unconfirmed()),
        ),
    ];
    let names = [
        "role accounts (info@, sales@)",
        "disposable",
        "of free providers",
        "tagged (name+tag@)",
        "of relays",
    ];
    facts.extend(
        summary.tally.kinds().iter().zip(names).map(|((_, rows), name)| Fact::new(name, grouped(*rows))),
    );
    facts
}

fn retries(outlook: &Outlook<'_>) -> Vec<Fact> {
    let again = &outlook.again;
    let mut facts: Vec<Fact> = Vec::new();
    for group in &again.times {
        let name = match group.word {
            "now" => "at once".to_owned(),
            _ if group.from == group.until => format!("from {}", time_text(group.from)),
            _ => format!("from {}, all from {}", time_text(group.from), time_text(group.until)),
        };
        facts.push(Fact::new(name, grouped(group.rows)));
    }
    for (name, rows) in
        [("after a repair on this side", again.after_repair), ("without a time", again.without_time)]
    {
        if rows > 0 {
            facts.push(Fact::new(name, grouped(rows)));
        }
    }
    facts
}

fn sending(summary: &Summary, advice: &SendingAdvice) -> Vec<String> {
    let rows = summary.tally.of(Verdict::Deliverable);
    if rows == 0 {
        return Vec::new();
    }
    let mut lines: Vec<String> = Vec::new();
    for limit in advice.limit.iter().filter(|limit| limit.per_day > 0) {
        let days = rows.div_ceil(limit.per_day);
        let (rows, most) = (grouped(rows), grouped(limit.per_day));
        let days = if days == 1 { "one day".to_owned() } else { format!("at least {} days", grouped(days)) };
        lines.push(format!(
            "From {}, which may send {most} messages a day, the {rows} deliverable addresses take {days}.",
            limit.name
        ));
    }
    let weeks = advice.warm_up.len();
    if weeks > 0 {
        let sum =
            |of: fn(&crate::policy::WarmUpWeek) -> u64| advice.warm_up.iter().map(|week| of(week) * 7).sum();
        let (low, high): (u64, u64) = (sum(|week| week.low), sum(|week| week.high));
        lines.push(format!(
            "A new domain sends little at first: {} to {} messages in all within its first {weeks} weeks.",
            grouped(low),
            grouped(high)
        ));
    }
    if let Some(rates) = advice.complaints {
        lines.push(format!("Keep complaints below {} %, and never reach {} %.", rates.below, rates.never));
    }
    lines
}

fn time_line(summary: &Summary) -> (Vec<TimeBar>, String) {
    let minute = |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60);
    let began = summary.ended.checked_sub(summary.took).unwrap_or(UNIX_EPOCH);
    let (first, last) = (minute(began), minute(summary.ended));
    let rows: Vec<(u64, u64)> =
        summary.tally.checked().filter(|(minute, _)| (first..=last).contains(minute)).collect();
    let all: u64 = rows.iter().map(|(_, rows)| rows).sum();
    if all == 0 || first == last {
        return (Vec::new(), String::new());
    }
    let text = format!(
        "{} addresses were decided between {} and {}.",
        grouped(all),
        time_text(began),
        time_text(summary.ended)
    );
    (charts::time_line(&rows, first, last), text)
}

fn facts(summary: &Summary) -> Vec<Fact> {
    let took = humantime::format_duration(Duration::from_secs(summary.took.as_secs()));
    let mut facts = vec![
        Fact::new("program", format!("listproof {}", env!("CARGO_PKG_VERSION"))),
        Fact::new("ended", time_text(summary.ended)),
        Fact::new("took", took.to_string()),
        Fact::new("domains looked up", grouped(summary.probed.domains)),
        Fact::new("probes", grouped(summary.probed.questions)),
        Fact::new("connections", grouped(summary.probed.connections)),
        Fact::new("exit code", summary.exit.code().to_string()),
    ];
    if let Some(why) = summary.stopped_because() {
        facts.push(Fact::new("stopped because", why));
    }
    let events = summary.provider_events.iter();
    facts.extend(
        events.map(|(event, times)| Fact::new(event.sentence(), format!("{} times", grouped(*times)))),
    );
    facts
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The sentence with a capital letter.
fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
