//! Macros: RFC 7208 7, with the examples of 7.4.

use super::*;
use crate::doctor::spf::expand::MacroValues;
use crate::doctor::spf::macros::{MacroString, Place};

const SENDER: (&str, &str) = ("strong-bad", "email.example.com");

fn values(ip: &str) -> MacroValues<'static> {
    MacroValues {
        local: SENDER.0,
        sender_domain: SENDER.1,
        domain: SENDER.1,
        ip: ip.parse().unwrap(),
        client_name: "mx.example.org",
        helo: "mail.example.net",
        receiver: "unknown",
        time: 1_700_000_000,
    }
}

#[track_caller]
fn expands(text: &str, ip: &str, expected: &str) {
    let parsed = MacroString::parse(text, Place::Explanation).unwrap();
    assert_eq!(parsed.expand(&values(ip)), expected, "{text}");
}

#[test]
fn the_examples_of_the_rfc() {
    for (text, expected) in [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
    ] {
        expands(text, "192.0.2.3", expected);
    }
    expands(
        "%{ir}.%{v}._spf.%{d2}",
        "2001:db8::cb01",
        "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
    );
}

#[test]
fn each_letter_stands_for_its_value() {
    for (text, expected) in [
        ("%{h}", "mail.example.net"),
        ("%{p}", "mx.example.org"),
        ("%{i}", "192.0.2.3"),
        ("%{c}", "192.0.2.3"),
        ("%{v}", "in-addr"),
        ("%{r}", "unknown"),
        ("%{t}", "1700000000"),
        ("a%%b%_c%-d", "a%b c%20d"),
        ("%{D2R}", "example.email"),
        ("%{d99999999999999999999999}", "email.example.com"),
        ("%{d02}", "example.com"),
        ("%{s1-@}", "bad@email.example.com"),
    ] {
        if text.contains('@') {
            assert!(MacroString::parse(text, Place::Explanation).is_err(), "{text}");
            continue;
        }
        expands(text, "192.0.2.3", expected);
    }
    expands("%{c}", "2001:db8::1", "2001:db8::1");
    expands("%{v}", "2001:db8::1", "ip6");
}

#[test]
fn a_letter_in_upper_case_is_percent_encoded() {
    let values = MacroValues { local: "jack&jill=up/_-.~\u{e4}", ..values("192.0.2.3") };
    let expand = |text| MacroString::parse(text, Place::Record).unwrap().expand(&values);
    assert_eq!(expand("%{L}"), "jack%26jill%3Dup%2F_-.~%C3%A4");
    assert_eq!(expand("%{l=}"), "jack&jill.up/_-.~\u{e4}");
    assert_eq!(expand("%{L1=/}"), "_-.~%C3%A4");
}

#[test]
fn malformed_macros() {
    for text in [
        "%{d0}", "%{d00}", "%{}", "%{d", "%", "%x", "% ", "%{x}", "%{dd}", "%{d-r}", "%{dr2}", "%{d;}",
        "%{ d}", "%{d }",
    ] {
        assert!(MacroString::parse(text, Place::Explanation).is_err(), "{text}");
    }
    for text in ["%{c}", "%{r}", "%{t}", "%{C}", "a b"] {
        assert!(MacroString::parse(text, Place::Record).is_err(), "{text}");
        assert!(MacroString::parse(text, Place::Explanation).is_ok(), "{text}");
    }
}

#[test]
fn a_name_that_is_too_long_loses_labels_at_the_left() {
    let domain = |count: usize| vec!["abcdefghi"; count].join(".");
    let text = format!("%{{d}}.{}.com", domain(2));
    let spec = MacroString::parse_domain(&text).unwrap();
    let long = domain(24);
    let values = MacroValues { domain: &long, ..values("192.0.2.3") };
    let name = spec.expand_domain(&values);
    assert!(
        name.len() <= 253 && name.strip_suffix(".com").is_some() && name.starts_with("abcdefghi."),
        "{name}"
    );
    assert_eq!(name, format!("{}.com", domain(25)));
}

#[test]
fn macros_in_mechanisms_are_expanded() {
    gives(
        "pass",
        "v=spf1 exists:%{ir}.%{l}.%{h}.%{v} -all".replace(".%{v}", ".x.example").as_str(),
        "1.2.0.192.me.mail.example.org.x.example A 127.0.0.2",
    );
    gives("pass", "v=spf1 a:%{o} -all", "example.com A 192.0.2.1");
    gives("pass", "v=spf1 include:%{d2}.spf.example -all", "example.com.spf.example TXT v=spf1 +all");
}

#[test]
fn without_a_local_part_the_sender_is_the_postmaster() {
    let zone = "example.com TXT v=spf1 exists:%{l}.%{s}.x.example -all\npostmaster.postmaster@example.com.x.example A 127.0.0.2";
    for (helo, sender) in [
        ("a.example", "@example.com"),
        ("a.example", "example.com"),
        ("example.com", ""),
        ("example.com", "<>"),
    ] {
        assert_eq!(evaluate(zone, CLIENT, helo, sender).result, SpfResult::Pass, "{helo} {sender}");
    }
}

#[test]
fn p_is_a_validated_name_of_the_client_and_prefers_the_domain() {
    let record = "v=spf1 exists:%{p}.x.example -all";
    let name = |name: &str| format!("1.2.0.192.in-addr.arpa PTR {name}\n{name} A 192.0.2.1\n");
    let other = name("mail.other.example");
    let below = name("mail.example.com");
    let same = name("example.com");
    gives("pass", record, &format!("{other}{below}{same}example.com.x.example A 127.0.0.2"));
    gives("pass", record, &format!("{other}{below}mail.example.com.x.example A 127.0.0.2"));
    gives("pass", record, &format!("{other}mail.other.example.x.example A 127.0.0.2"));
    gives("pass", record, "unknown.x.example A 127.0.0.2");
    gives("pass", record, "1.2.0.192.in-addr.arpa PTR FAIL\nunknown.x.example A 127.0.0.2");
    gives(
        "pass",
        record,
        "1.2.0.192.in-addr.arpa PTR m.example.com\nm.example.com A 192.0.2.7\nunknown.x.example A 127.0.0.2",
    );
}

#[test]
fn macros_of_an_explanation_are_expanded() {
    let zone = "e.example TXT %{c} %{t} %{r} %{p} %{S}\n";
    let report = report("v=spf1 -all exp=e.example", zone, CLIENT);
    assert_eq!(report.explanation.as_deref(), Some("192.0.2.1 1700000000 unknown unknown me%40example.com"));
}
