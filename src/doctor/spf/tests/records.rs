//! Which record is evaluated for which identity: RFC 7208 2 to 4.5, 4.7.

use super::*;

#[track_caller]
fn identity(expected: &str, zone: &str, helo: &str, mail_from: &str) {
    let report = evaluate(zone, CLIENT, helo, mail_from);
    assert_eq!(report.result.word(), expected, "{helo} {mail_from}\n{report}");
}

#[test]
fn the_domain_of_the_sender_is_checked_and_without_a_sender_that_of_helo() {
    let zone = "example.com TXT v=spf1 -all\nmail.example.org TXT v=spf1 ip4:192.0.2.1 -all";
    identity("fail", zone, "mail.example.org", "me@example.com");
    identity("pass", zone, "mail.example.org", "");
    identity("pass", zone, "mail.example.org", "<>");
    identity("pass", zone, "mail.example.org.", "");
    identity("fail", zone, "mail.example.org", "<me@example.com.>");
    identity("fail", zone, "mail.example.org", "example.com");
    identity("fail", zone, "mail.example.org", "\"odd@local\"@example.com");
}

#[test]
fn a_name_that_is_no_domain_has_no_result() {
    let long = "a".repeat(64);
    for domain in [
        "localhost",
        "example..com",
        ".example.com",
        "[192.0.2.1]",
        "m\u{fc}ller.example",
        &format!("{long}.example.com"),
        &vec!["abcdefgh"; 30].join("."),
    ] {
        let zone = format!("{domain} TXT v=spf1 -all");
        identity("none", &zone, "mail.example.org", &format!("me@{domain}"));
        identity("none", &zone, domain, "");
    }
    identity("none", "", "", "");
    let label = format!("{}.example.com", "a".repeat(63));
    identity("fail", &format!("{label} TXT v=spf1 -all"), "mail.example.org", &format!("me@{label}"));
}

#[test]
fn a_missing_record_is_none_and_a_failed_look_up_is_not() {
    let from = |zone: &str| evaluate(zone, CLIENT, "mail.example.org", "me@example.com");
    assert_eq!(from("").result, SpfResult::None);
    assert_eq!(from("example.com A 192.0.2.1").result, SpfResult::None);
    assert_eq!(from("example.com TXT hello").result, SpfResult::None);
    for (value, words) in [("FAIL", "SERVFAIL"), ("SILENT", "no answer in time")] {
        let report = from(&format!("example.com TXT {value}"));
        assert_eq!(report.result, SpfResult::TempError);
        assert!(report.problem.unwrap().message.contains(words));
    }
}

#[test]
fn a_record_is_recognized_by_its_version() {
    gives("fail", "v=spf1 -all", "");
    gives("fail", "V=SpF1 -all", "");
    gives("neutral", "v=spf1", "");
    gives("neutral", "v=spf1 ", "");
    for other in
        ["v=spf10 -all", "v=spf1-all", "v=spf1\t-all", " v=spf1 -all", "v=spf2.0/pra -all", "spf1 -all"]
    {
        gives("none", other, "");
    }
    gives("fail", "v=spf10 +all", "example.com TXT v=spf1 -all");
}

#[test]
fn two_records_are_an_error() {
    gives("permerror", "v=spf1 -all", "example.com TXT v=spf1 -all");
    gives("permerror", "v=spf1", "example.com TXT V=SPF1 +all");
}

#[test]
fn the_strings_of_a_record_are_joined_without_a_space() {
    gives("fail", "v=spf1 ip4:203. | 0.113.1 -a | ll", "");
    gives("none", "v=spf1 | -all", "");
    gives("permerror", "v=spf1 ip4:192.0.2.1 | -all", "");
}

#[test]
fn without_a_match_the_result_is_neutral() {
    let report = report("v=spf1 ip4:203.0.113.1", "", CLIENT);
    assert_eq!((report.result, report.decided_by), (SpfResult::Neutral, None));
}

#[test]
fn an_ipv4_address_in_ipv6_form_is_an_ipv4_address() {
    assert_eq!(report("v=spf1 ip4:192.0.2.1 -all", "", "::ffff:192.0.2.1").result, SpfResult::Pass);
    assert_eq!(report("v=spf1 ip6:::ffff:192.0.2.1 -all", "", "::ffff:192.0.2.1").result, SpfResult::Fail);
}
