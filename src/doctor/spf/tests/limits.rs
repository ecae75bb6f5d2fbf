//! The limits: RFC 7208 4.6.4.

use super::*;

fn terms(count: usize, term: impl Fn(usize) -> String) -> String {
    (0..count).map(term).collect::<Vec<_>>().join(" ")
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn addresses(count: usize) -> String {
    lines(count, |n| format!("h{n}.example A 203.0.113.1"))
}

fn mx_hosts(count: usize) -> String {
    lines(count, |n| format!("example.com MX {n} h{n}.example"))
}

#[test]
fn ten_terms_may_cause_look_ups() {
    let a = |n| format!("a:h{n}.example");
    gives("fail", &format!("v=spf1 {} -all", terms(10, a)), &addresses(11));
    gives("permerror", &format!("v=spf1 {} -all", terms(11, a)), &addresses(11));
    // A match before the limit is reached counts.
    gives("pass", &format!("v=spf1 {} +all", terms(10, a)), &addresses(11));
    gives("pass", &format!("v=spf1 ip4:192.0.2.1 {}", terms(11, a)), &addresses(11));
}

#[test]
fn terms_without_look_ups_do_not_count() {
    let record = format!(
        "v=spf1 {} {} -all exp=e.example",
        terms(10, |n| format!("a:h{n}.example")),
        terms(20, |n| format!("ip4:203.0.113.{n} ip6:2001:db8:1::{n} x{n}=y"))
    );
    let report = report(&record, &format!("{}e.example TXT no", addresses(10)), CLIENT);
    assert_eq!((report.result, report.lookups), (SpfResult::Fail, 10));
    assert_eq!(report.explanation.as_deref(), Some("no"));
}

#[test]
fn look_ups_of_included_and_redirected_records_count() {
    let zone = |count| {
        format!("o.example TXT v=spf1 {}\n{}", terms(count, |n| format!("a:h{n}.example")), addresses(11))
    };
    gives("fail", "v=spf1 include:o.example -all", &zone(9));
    gives("permerror", "v=spf1 include:o.example -all", &zone(10));
    gives("neutral", "v=spf1 redirect=o.example", &zone(9));
    gives("permerror", "v=spf1 redirect=o.example", &zone(10));
}

#[test]
fn a_record_that_includes_itself_reaches_the_limit() {
    let report = report("v=spf1 include:example.com -all", "", CLIENT);
    assert_eq!((report.result, report.lookups), (SpfResult::PermError, 11));
    gives("permerror", "v=spf1 redirect=example.com", "");
}

#[test]
fn each_mechanism_that_asks_counts_once() {
    let zone = "example.com MX 1 a.example\nexample.com MX 2 b.example\na.example A 203.0.113.1\nb.example A 203.0.113.2\n\
        example.com A 203.0.113.1\nhere.example AAAA 2001:db8::1\n1.2.0.192.in-addr.arpa PTR x.example\nx.example A 192.0.2.1";
    let report = report("v=spf1 mx a ptr exists:here.example -all", zone, CLIENT);
    assert_eq!((report.result, report.lookups, report.void_lookups), (SpfResult::Fail, 4, 1));
}

#[test]
fn two_look_ups_may_find_nothing() {
    gives("fail", "v=spf1 a:x1.example a:x2.example -all", "");
    gives("permerror", "v=spf1 a:x1.example a:x2.example a:x3.example -all", "");
    gives("permerror", "v=spf1 mx:x1.example exists:x2.example a:x3.example -all", "");
    // A name without such a record is void too.
    let zone = "x1.example AAAA 2001:db8::1\nx2.example TXT x\nx3.example MX 1 m.example";
    gives("permerror", "v=spf1 a:x1.example a:x2.example a:x3.example -all", zone);
    gives("pass", "v=spf1 a:x1.example a:x2.example ip4:192.0.2.1 a:x3.example", "");
}

#[test]
fn mx_hosts_without_an_address_of_the_family_are_not_void_look_ups() {
    let report = report("v=spf1 mx -all", &(mx_hosts(5) + &addresses(5)), CLIENT_V6);
    assert_eq!((report.result, report.void_lookups), (SpfResult::Fail, 0));
}

#[test]
fn ten_mx_hosts_are_allowed() {
    let zone = |count| mx_hosts(count) + &addresses(count);
    gives("fail", "v=spf1 mx -all", &zone(10));
    gives("permerror", "v=spf1 mx -all", &zone(11));
}

#[test]
fn names_of_the_client_after_the_tenth_are_ignored() {
    let zone = |position: usize| {
        lines(12, |n| {
            let domain = if n == position { "example.com" } else { "example.net" };
            format!("1.2.0.192.in-addr.arpa PTR h{n}.{domain}\nh{n}.{domain} A 192.0.2.1")
        })
    };
    gives("pass", "v=spf1 ptr -all", &zone(9));
    gives("fail", "v=spf1 ptr -all", &zone(10));
}
