//! The report as a page: what it shows, what it never holds, and how large it gets.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at what fails")]

#[path = "support/example_run.rs"]
mod example_run;
mod support;

use std::time::Instant;

use example_run::{Rows, campaign, summary};
use listproof::policy::SendingAdvice;
use listproof::report::{BatchTally, ReportPage, html, markdown};
use listproof::{Cause, Summary};
use support::Folder;

fn pages(summary: &Summary) -> (String, String) {
    let page = ReportPage::of(summary, SendingAdvice::built_in());
    (html(&page), markdown(&page))
}

/// The parts of a page that a browser would load or run.
fn assert_inert(html: &str) {
    assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'"), "no policy");
    for active in [
        "<script",
        "<img",
        "<iframe",
        "<link",
        "<object",
        "<form",
        "<a h",
        "src=",
        "url(",
        "http:",
        "https:",
        "javascript:",
        "onerror=\"",
        "@import",
    ] {
        let found: Vec<usize> = html.match_indices(active).map(|(at, _)| at).collect();
        assert!(found.is_empty(), "{active}: {}", &html[found[0]..(found[0] + 120).min(html.len())]);
    }
}

#[test]
fn the_page_has_the_numbers_of_the_summary_and_nothing_active() {
    let summary = campaign();
    let (html, markdown) = pages(&summary);
    assert_inert(&html);
    for text in [
        "clean first",
        "3,600",
        "72.0 %",
        "353 to 656",
        "blocked using list.example",
        "greylisted",
        "2026-01-05 09:20 UTC",
    ] {
        assert!(html.contains(text), "{text}");
        assert!(markdown.contains(text), "{text} in Markdown");
    }
    assert!(!html.contains("sam@") && !markdown.contains("sam@"), "an address");
    // Each table has a caption, and its heads say what they are for.
    assert_eq!(html.matches("<table").count(), html.matches("<caption>").count());
    assert_eq!(html.matches("<th ").count(), html.matches(" scope=").count());
    // One first heading, then second ones.
    assert_eq!((html.matches("<h1>").count(), html.matches("<h3").count()), (1, 0));
    assert!(html.matches("<svg").count() > 4);
    assert_eq!(html.matches("<svg").count(), html.matches("role=\"img\" aria-label=").count());
}

#[test]
fn hostile_strings_are_text() {
    let attack =
        "\"><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\x1b[31m|[x](javascript:alert(1))";
    let reply = "550 5.7.1 \"><script>alert(1)</script> {{7*7}} {% raw %} |a|b| `x`";
    let rows = [
        Rows::new(10, Cause::Accepted, "ann@a.example"),
        Rows {
            reply: Some(reply),
            provider: Some("<b>x</b>"),
            ..Rows::new(5, Cause::IpBlocklisted, "sam@c.example")
        },
    ];
    let mut hostile = summary(&rows);
    hostile.input = attack.to_owned();
    hostile.folder = Some(attack.to_owned());
    let (html, markdown) = pages(&hostile);
    for text in ["<script>", "<img", "<b>x", "\u{202e}", "\x1b"] {
        assert!(!html.contains(text), "{text:?}");
        assert!(!markdown.contains(text), "{text:?} in Markdown");
    }
    assert!(html.contains("{{7*7}}"), "a template in a reply is text");
    assert!(!markdown.replace("\\]", "").contains("](javascript"));
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert!((3..=8).contains(&cells), "{line}");
    }
    // In text and Markdown no control character reaches a terminal.
    assert!(!hostile.text().contains('\u{202e}') && !hostile.text().contains('\x1b'), "{}", hostile.text());
}

#[test]
fn a_page_about_a_million_rows_is_small_and_quick() {
    let mut large = campaign();
    let mut batch = BatchTally::default();
    for part in 0..100 {
        batch.clear(false);
        for row in 0..10_000u32 {
            let domain = format!("d{}.example", (part * 10_000 + row) % 300_000);
            batch.add(&Rows::new(1, Cause::Accepted, "ann@a.example").result(), Some(&domain));
        }
        large.tally.add(&batch, &vec![None; 10_000]);
    }
    let began = Instant::now();
    let (html, _) = pages(&large);
    assert!(html.len() < 500_000, "{} bytes", html.len());
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn a_run_writes_its_page_and_names_addresses_only_where_that_is_wanted() {
    let world = include_str!("../samples/world.toml");
    let folder = Folder::with(include_bytes!("../samples/contacts.csv"), world);
    let verify = ["verify", "list.csv", "--world", "world.toml", "-o", "out"];
    folder.run(&verify).exits(0);
    let page = folder.read("out/list.report.html");
    assert_inert(&page);
    let shown = page.replace("info@, sales@", "").replace("name+tag@", "");
    assert!(
        !shown.contains('@')
            || shown.matches('@').count() == shown.matches("@media").count() + shown.matches("@page").count()
    );
    assert!(!folder.path("out/list.report.md").exists());

    let summary = folder.summary("out");
    folder.run(&[&verify[..], &["--report-addresses", "--report-md"]].concat()).exits(0);
    assert_eq!(folder.summary("out")["verdicts"], summary["verdicts"]);
    for name in ["out/list.report.html", "out/list.report.md"] {
        assert!(
            folder.read(name).contains("jane.doe@acme-tools.example")
                || folder.read(name).contains("jane.doe@acme-tools"),
            "{name}"
        );
    }
    // A later run without the flag leaves no page of this one behind.
    folder.run(&verify).exits(0);
    assert!(!folder.path("out/list.report.md").exists());
    assert!(!folder.read("out/list.report.html").contains("jane.doe"));
}
