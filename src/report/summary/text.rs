//! The summary as a text for people: the decision first, the next command last.
//!
//! Decides: order and layout. Nothing is said by color alone.

use std::fmt::{Result, Write};
use std::time::Duration;

use super::data::{ProbeCounts, Summary};
use super::estimate::BounceEstimate;
use super::headline::{Decision, percent};
use super::outlook::Outlook;
use super::retry_plan::RetryPlan;
use super::style::{TextStyle, time};
use crate::error::Exit;
use crate::list::OutputCounts;
use crate::reason::{Finding, Reason, Verdict};
use crate::schedule::HostRejection;
use crate::smtp::sanitize;

/// How many of the hosts that reject us are shown.
const REJECTIONS: usize = 5;
/// How many providers are shown.
const PROVIDERS: usize = 12;
/// From this width on a sentence stands beside its reason.
const WIDE: usize = 76;

impl Summary {
    /// For people, as plain text of 80 columns.
    pub fn text(&self) -> String {
        self.text_as(TextStyle::default())
    }

    /// For people, as it looks best on their terminal.
    pub fn text_as(&self, style: TextStyle) -> String {
        let outlook = self.outlook();
        let mut out = String::new();
        let writer = TextWriter { summary: self, outlook: &outlook, style };
        // Writing into a string can't fail.
        let _ = writer.write(&mut out);
        out
    }
}

struct TextWriter<'a> {
    summary: &'a Summary,
    outlook: &'a Outlook<'a>,
    style: TextStyle,
}

impl TextWriter<'_> {
    fn write(&self, out: &mut String) -> Result {
        self.notes(out)?;
        self.headline(out)?;
        let Summary { input, format, .. } = self.summary;
        writeln!(out, "\n{}", self.style.wrap(&sanitize(&format!("{input} ({format})")), 2))?;
        self.verdicts(out)?;
        self.sums(out)?;
        self.providers(out)?;
        self.rejection_scope(out)?;
        self.again(out)?;
        self.run(out)?;
        self.steps(out)
    }

    fn line(&self, out: &mut String, text: &str) -> Result {
        writeln!(out, "{}", self.style.wrap(text, 2))
    }

    /// What a reader must know before any number.
    fn notes(&self, out: &mut String) -> Result {
        let summary = self.summary;
        if summary.still_to_probe > 0 {
            let n = summary.still_to_probe;
            self.line(out, &format!("not finished: {n} addresses have not been probed yet; run the same command again to continue"))?;
        }
        if summary.unprobed {
            self.line(out, "mailboxes were not checked: this run contacted no mail server")?;
        }
        if summary.changed_only {
            let n = summary.counts.unchanged;
            self.line(out, &format!("changes only: {n} rows have the verdict and reason that were last reported, and are in no file"))?;
        }
        if let Some(blocked) = summary.blocked {
            self.line(out, &format!("blocked: {}", blocked.sentence()))?;
            for HostRejection { mx_host, reply } in summary.rejections.iter().take(REJECTIONS) {
                writeln!(out, "  {}", self.style.wrap(&format!("{mx_host}: {reply}"), 4))?;
            }
            if let Some(more) = summary.rejections.len().checked_sub(REJECTIONS).filter(|more| *more > 0) {
                writeln!(out, "  and {more} more")?;
            }
            self.line(out, &format!("hint: {}", blocked.hint()))?;
        }
        if !summary.forced.is_empty() {
            self.line(out, &format!("forced: the preflight had failed at {}", summary.forced.join(", ")))?;
        }
        if summary.exit == Exit::NetworkDown {
            self.line(
                out,
                "no name server answered: the network or the resolver is down, or `--dns` is wrong",
            )?;
            self.line(
                out,
                "hint: this says nothing about any address; run the same command again when it works",
            )?;
        }
        if matches!(summary.exit, Exit::Interrupted | Exit::Terminated) {
            self.line(out, "stopped by a signal: addresses that were not probed are in the retry file")?;
        }
        Ok(())
    }

    fn headline(&self, out: &mut String) -> Result {
        let Outlook { headline, list, cleaned, .. } = self.outlook;
        let verdict = match headline.decision {
            Decision::Ready => Verdict::Deliverable,
            Decision::CleanFirst => Verdict::Risky,
            Decision::DoNotSend => Verdict::Undeliverable,
        };
        let words = self.style.bold(&self.style.paint(verdict, headline.decision.text()));
        let text = format!("{}: {}", headline.decision.text(), headline.because);
        let wrapped = self.style.wrap(&text, 2);
        writeln!(out, "{}", wrapped.replacen(headline.decision.text(), &words, 1))?;
        if self.summary.unfinished().is_some() || list.addresses == 0 {
            return Ok(());
        }
        writeln!(out, "expected hard bounces")?;
        let ranges = [("as it is", list), ("cleaned", cleaned)];
        for (name, estimate) in ranges.into_iter().filter(|(_, estimate)| estimate.addresses > 0) {
            writeln!(out, "  {name:<9} {}", self.style.wrap(&range(estimate), 12))?;
        }
        writeln!(out, "  {:<9} {}", "assumed", self.style.wrap(&assumed(list), 12))
    }

    fn verdicts(&self, out: &mut String) -> Result {
        let counts = &self.summary.counts;
        let judged: u64 = Verdict::ALL.into_iter().map(|verdict| counts.of(verdict)).sum();
        if judged > 0 {
            writeln!(out, "{}", self.bar(judged))?;
        }
        for verdict in Verdict::ALL {
            let rows = counts.of(verdict);
            let share = (rows * 100 + judged / 2).checked_div(judged).unwrap_or(0);
            let line = format!(
                "{rows:>9} {} {:<13} {share:>3} %  {}",
                self.style.symbol(verdict),
                verdict.word(),
                verdict.action()
            );
            writeln!(out, "{}", self.style.paint(verdict, &line))?;
            let mut reasons: Vec<(&Reason, &u64)> =
                counts.reasons.iter().filter(|(reason, _)| reason.verdict() == verdict).collect();
            reasons.sort_by_key(|(reason, rows)| (std::cmp::Reverse(**rows), reason.word()));
            for (reason, rows) in reasons {
                if self.style.width < WIDE {
                    writeln!(out, "{rows:>9}     {}", reason.word())?;
                    writeln!(out, "{:16}{}", "", self.style.wrap(reason.sentence(), 16))?;
                } else {
                    let sentence = self.style.wrap(reason.sentence(), 40);
                    writeln!(out, "{rows:>9}     {:<25} {sentence}", reason.word())?;
                }
            }
        }
        let OutputCounts { excluded, without_address, .. } = *counts;
        for (rows, word, sentence) in [
            (excluded, "excluded", Finding::Excluded.sentence()),
            (without_address, "no address", "in the results only"),
        ] {
            if rows > 0 {
                writeln!(out, "{rows:>9}   {word:<13}        {}", self.style.wrap(sentence, 33))?;
            }
        }
        Ok(())
    }

    /// One bar for all verdicts; each that occurs has at least one sign.
    fn bar(&self, judged: u64) -> String {
        let width = self.style.width.min(100) as u64;
        let mut cells = Verdict::ALL.map(|verdict| {
            let rows = self.summary.counts.of(verdict);
            if rows == 0 { 0 } else { ((rows * width + judged / 2) / judged).max(1) }
        });
        // What rounding adds or takes is the longest one's.
        let longest = (0..cells.len()).max_by_key(|n| cells[*n]).unwrap_or_default();
        let others: u64 = cells.iter().sum::<u64>() - cells[longest];
        cells[longest] = width.saturating_sub(others);
        let part = |(verdict, cells): (Verdict, u64)| {
            let text: String = (0..cells).map(|_| self.style.block(verdict)).collect();
            self.style.paint(verdict, &text)
        };
        Verdict::ALL.into_iter().zip(cells).filter(|(_, cells)| *cells > 0).map(part).collect()
    }

    fn sums(&self, out: &mut String) -> Result {
        let unconfirmed = self.summary.tally.unconfirmed();
        if unconfirmed > 0 {
            let text = "undeliverable, not confirmed: not in the suppression list";
            writeln!(out, "{unconfirmed:>9}  {}", self.style.wrap(text, 11))?;
        }
        writeln!(out, "{}", self.style.wrap(&self.summary.sum(), 2))?;
        let counts = &self.summary.counts;
        if counts.further_addresses > 0 {
            let n = counts.further_addresses;
            self.line(out, &format!("extra addresses {n}, each beside another in its cell and not checked; `--split-cells` makes rows of them"))?;
        }
        Ok(())
    }

    fn providers(&self, out: &mut String) -> Result {
        let providers = &self.outlook.providers;
        if providers.is_empty() {
            return Ok(());
        }
        let name_width = if self.style.width < WIDE { 17 } else { 23 };
        let heads = if self.style.width < WIDE {
            ["rows", "deliv.", "risky", "undel.", "unkn.", "rejects"]
        } else {
            ["rows", "deliverable", "risky", "undeliv.", "unknown", "rejects us"]
        };
        let widths = heads.map(|head| head.len().max(6) + 1);
        write!(out, "\n{:<name_width$}", "provider")?;
        for (head, width) in heads.iter().zip(widths) {
            write!(out, "{head:>width$}")?;
        }
        writeln!(out)?;
        for (name, counts) in providers.iter().take(PROVIDERS) {
            let name: String = name.text().chars().take(name_width).collect();
            write!(out, "{name:<name_width$}")?;
            let [deliverable, risky, undeliverable, unknown] = counts.verdicts;
            let cells = [counts.rows(), deliverable, risky, undeliverable, unknown, counts.rejecting_us];
            for (cell, width) in cells.iter().zip(widths) {
                write!(out, "{cell:>width$}")?;
            }
            writeln!(out)?;
            if let Some(rejection) = &counts.rejection {
                let text = format!("{}: {}", rejection.mx_host, rejection.reply);
                writeln!(out, "    {}", self.style.wrap(&text, 6))?;
            }
        }
        if let Some(more) = providers.len().checked_sub(PROVIDERS).filter(|more| *more > 0) {
            writeln!(out, "and {more} more, in the summary file")?;
        }
        Ok(())
    }

    fn rejection_scope(&self, out: &mut String) -> Result {
        let Some(scope) = &self.outlook.rejections else { return Ok(()) };
        let (rejecting, replied) = (scope.rejecting, scope.replied);
        writeln!(out, "\n{}", self.style.bold("one domain or every domain?"))?;
        let text = format!(
            "{}. Domains that replied: {replied}; that reject this server: {rejecting}; addresses that stay unknown because of it, \
             none of which counts as bad: {}.",
            scope.word.sentence(),
            scope.addresses
        );
        writeln!(out, "  {}", self.style.wrap(&text, 2))
    }

    fn again(&self, out: &mut String) -> Result {
        let RetryPlan { rows, times, after_repair, without_time } = &self.outlook.again;
        if *rows == 0 || self.summary.unprobed {
            return Ok(());
        }
        writeln!(out, "\n{}", self.style.bold(&format!("when to ask again: {rows} unknown addresses")))?;
        for group in times {
            let text = match group.word {
                "now" => "at once".to_owned(),
                _ if group.from == group.until => format!("from {}", time(group.from)),
                _ => format!("from {}, all from {}", time(group.from), time(group.until)),
            };
            writeln!(out, "{:>9}  {}", group.rows, self.style.wrap(&text, 11))?;
        }
        for (rows, text) in [
            (*after_repair, "after a repair on this side: IP address, reverse DNS, HELO name, SPF or sender"),
            (*without_time, "without a time: the next run asks again where that can help"),
        ] {
            if rows > 0 {
                writeln!(out, "{rows:>9}  {}", self.style.wrap(text, 11))?;
            }
        }
        Ok(())
    }

    fn run(&self, out: &mut String) -> Result {
        let summary = self.summary;
        let ProbeCounts { connections, questions, domains, .. } = summary.probed;
        writeln!(out)?;
        if domains > 0 {
            let took = humantime::format_duration(Duration::from_secs(summary.took.as_secs()));
            self.line(out, &format!("looked up {domains} domains, sent {questions} probes over {connections} connections in {took}"))?;
        }
        for (event, times) in &summary.provider_events {
            writeln!(out, "{times:>8}x  {}", self.style.wrap(event.sentence(), 11))?;
        }
        Ok(())
    }

    fn steps(&self, out: &mut String) -> Result {
        if let Some(folder) = &self.summary.folder {
            writeln!(out, "written to {}", sanitize(folder))?;
        }
        let steps = &self.outlook.steps;
        if !steps.is_empty() {
            writeln!(out, "\n{}", self.style.bold("what to do now"))?;
        }
        for (step, n) in steps.iter().zip(1..) {
            writeln!(out, "  {n}. {}", self.style.wrap(&sanitize(&step.text), 5))?;
        }
        if let Some(command) = steps.iter().find_map(|step| step.command.as_ref()) {
            writeln!(out, "next: {}", sanitize(command))?;
        }
        Ok(())
    }
}

fn range(estimate: &BounceEstimate) -> String {
    let BounceEstimate { addresses, low, high, .. } = estimate;
    let (least, most) = estimate.percent();
    format!("{low} to {high} of {addresses} addresses ({} to {} %)", percent(least), percent(most))
}

/// The shares that an estimate assumes, in words.
pub(super) fn assumed(estimate: &BounceEstimate) -> String {
    let kinds = estimate.basis.iter().map(|kind| {
        let from = if kind.is_concluded { " as in this list" } else { "" };
        format!("{} {} {} to {} %{from}", kind.addresses, kind.name, percent(kind.low), percent(kind.high))
    });
    format!("{}; and chance", kinds.collect::<Vec<_>>().join(", "))
}
