//! The summary of a run: how it looks on terminals of three widths, and how honest its forecast is.
//!
//! `INSTA_UPDATE=always cargo test --test summary` accepts changed texts; read the diff.

#![expect(clippy::unwrap_used, reason = "a test stops at what fails")]

#[path = "support/example_run.rs"]
mod example_run;

use example_run::{Rows, campaign, summary};
use listproof::policy::BouncePriors;
use listproof::report::{BounceEstimate, Decision, TextStyle};
use listproof::{Cause, Exit, Finding, Summary};

#[test]
fn the_text_fits_terminals_of_three_widths_with_and_without_color() {
    let summary = campaign();
    for width in [60, 80, 120] {
        for has_color in [false, true] {
            let style = TextStyle { width, wraps: true, has_color, has_unicode: has_color };
            let text = summary.text_as(style);
            let mut plain = String::new();
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once('\x1b') {
                plain.push_str(before);
                rest = after.split_once('m').unwrap().1;
            }
            plain.push_str(rest);
            for line in plain.lines().filter(|line| !line.starts_with("next: ")) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
            assert_eq!(text.contains('\x1b'), has_color);
            assert!(has_color || text.is_ascii(), "{text}");
            assert!(!text.contains("sam"), "an address: {text}");
            let name = format!("{width}_columns{}", if has_color { "_color" } else { "" });
            insta::assert_snapshot!(name, text.replace('\x1b', "ESC"));
        }
    }
}

#[test]
fn off_a_terminal_each_fact_is_one_plain_line() {
    let text = campaign().text();
    assert!(text.contains(
        "\nresults 5000 = 3600 deliverable + 761 risky + 296 undeliverable + 343 retry + 0 duplicates + "
    ));
    assert!(
        text.is_ascii()
            && text.ends_with("next: listproof verify contacts.csv -o out --helo probe.example.org\n"),
        "{text}"
    );
}

#[test]
fn the_headline_names_what_stops_a_list() {
    let decision = |summary: &Summary| summary.outlook().headline.decision;
    let accepted = |count| Rows::new(count, Cause::Accepted, "ann@a.example");
    let dead = |count| Rows::new(count, Cause::MailboxUnknown, "bo@a.example");
    assert_eq!(decision(&summary(&[accepted(1_000)])), Decision::Ready);
    assert_eq!(decision(&summary(&[accepted(1_000), dead(60)])), Decision::CleanFirst);
    assert_eq!(decision(&summary(&[dead(60)])), Decision::DoNotSend);
    assert_eq!(decision(&summary(&[])), Decision::DoNotSend);
    let greylisted = Rows::new(900, Cause::Greylisted, "pat@g.example");
    assert_eq!(decision(&summary(&[accepted(100), dead(60), greylisted])), Decision::DoNotSend);
    for broken in [
        Summary { unprobed: true, ..summary(&[accepted(9)]) },
        Summary { still_to_probe: 3, ..summary(&[accepted(9)]) },
        Summary { exit: Exit::Interrupted, ..summary(&[accepted(9)]) },
        Summary { exit: Exit::NetworkDown, ..summary(&[accepted(9)]) },
    ] {
        assert_eq!(decision(&broken), Decision::DoNotSend);
        assert!(!broken.text().contains("expected hard bounces"));
    }
}

/// Lists of worlds with drawn rates: the range holds the true rate of at least nine in ten, and the headline is hardly ever
/// wrong. What is unknown or not checkable is dead as often as the rest, give or take a third.
#[test]
fn the_printed_range_holds_the_true_rate() {
    let mut random = fastrand::Rng::with_seed(20_260_105);
    let priors = BouncePriors::built_in();
    let (mut held, mut held_cleaned, mut wrong) = (0, 0, Vec::new());
    for world in 0..200 {
        let rows = random.u64(200..6_000);
        // A third of the lists are well kept.
        let most_dead = if world % 3 == 0 { 0.01 } else { 0.35 };
        let (dead_share, catch_all, unknown) = (
            random.f64() * most_dead,
            random.f64() * 0.25,
            random.f64() * if world % 3 == 0 { 0.1 } else { 0.4 },
        );
        let not_checkable = random.f64() * 0.15;
        let mut counts = [0u64; 5];
        let mut bounces = [0u64; 5];
        let rates = [
            0.01 + random.f64() * 0.01,
            1.0 - random.f64() * 0.03,
            0.08 + random.f64() * 0.32,
            dead_share * (0.67 + random.f64() * 0.67),
            dead_share * (0.67 + random.f64() * 0.67),
        ];
        for _ in 0..rows {
            let kind = match random.f64() {
                draw if draw < catch_all => 2,
                draw if draw < catch_all + unknown => 3,
                draw if draw < catch_all + unknown + not_checkable => 4,
                _ => usize::from(random.f64() < dead_share),
            };
            counts[kind] += 1;
            bounces[kind] += u64::from(random.f64() < rates[kind]);
        }
        let summary = summary(&[
            Rows::new(counts[0], Cause::Accepted, "ann@a.example"),
            Rows::new(counts[1], Cause::MailboxUnknown, "bo@a.example"),
            Rows::new(counts[2], Finding::CatchAll, "kim@d.example"),
            Rows::new(counts[3], Cause::Greylisted, "pat@g.example"),
            Rows { provider: Some("yahoo"), ..Rows::new(counts[4], Finding::NotCheckable, "lee@e.example") },
        ]);
        let is_held =
            |estimate: &BounceEstimate, bounced: u64| (estimate.low..=estimate.high).contains(&bounced);
        let all: u64 = bounces.iter().sum();
        held += u32::from(is_held(&BounceEstimate::of_list(&summary.tally, priors), all));
        held_cleaned += u32::from(is_held(&BounceEstimate::of_cleaned(&summary.tally, priors), bounces[0]));
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no exact arithmetic")]
        let rate = all as f64 / rows as f64;
        let decision = summary.outlook().headline.decision;
        if (decision == Decision::Ready && rate > 0.05) || (decision == Decision::DoNotSend && rate < 0.02) {
            wrong.push((world, decision, rate));
        }
    }
    assert!(held >= 180 && held_cleaned >= 180, "{held} and {held_cleaned} of 200 held");
    assert!(wrong.len() <= 2, "{wrong:?}");
    println!("{held} of 200 as they are and {held_cleaned} cleaned held, {} headlines wrong", wrong.len());
}
