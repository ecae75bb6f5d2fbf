//! The mechanisms: RFC 7208 5.

use super::*;

#[test]
fn a_qualifier_gives_the_result() {
    for (qualifier, result) in
        [("", "pass"), ("+", "pass"), ("-", "fail"), ("~", "softfail"), ("?", "neutral")]
    {
        gives(result, &format!("v=spf1 {qualifier}all"), "");
        gives(result, &format!("v=spf1 {qualifier}ip4:192.0.2.1 -all"), "");
    }
}

#[test]
fn the_first_match_decides() {
    let report =
        report("v=spf1 ip4:203.0.113.1 ~ip4:192.0.2.0/24 ip4:192.0.2.1 -all a:lost.example", "", CLIENT);
    assert_eq!(report.decided_by.as_deref(), Some("~ip4:192.0.2.0/24"));
    assert_eq!((report.result, report.lookups), (SpfResult::SoftFail, 0));
}

#[test]
fn ip4_and_ip6_compare_prefixes_of_their_family() {
    for (term, result) in [
        ("ip4:192.0.2.1", "pass"),
        ("ip4:192.0.2.2", "fail"),
        ("ip4:192.0.2.2/31", "fail"),
        ("ip4:192.0.2.0/31", "pass"),
        ("ip4:192.0.3.0/23", "pass"),
        ("ip4:10.0.0.0/0", "pass"),
        ("ip6:::/0", "fail"),
    ] {
        gives(result, &format!("v=spf1 {term} -all"), "");
    }
    for (term, result) in [
        ("ip6:2001:db8::1", "pass"),
        ("ip6:2001:DB8:0::1", "pass"),
        ("ip6:2001:db8::2", "fail"),
        ("ip6:2001:db8::2/126", "pass"),
        ("ip6:2001:db8::4/126", "fail"),
        ("ip6:::/0", "pass"),
        ("ip4:0.0.0.0/0", "fail"),
    ] {
        gives_v6(result, &format!("v=spf1 {term} -all"), "");
    }
}

#[test]
fn a_compares_the_addresses_of_a_name() {
    gives("pass", "v=spf1 a -all", "example.com A 203.0.113.1\nexample.com A 192.0.2.1");
    gives("fail", "v=spf1 a -all", "example.com A 192.0.2.2");
    gives("pass", "v=spf1 a/30 -all", "example.com A 192.0.2.2");
    gives("pass", "v=spf1 a:other.example/30//128 -all", "other.example A 192.0.2.2");
    gives("pass", "v=spf1 a/0 -all", "example.com A 203.0.113.1");
    gives("fail", "v=spf1 a/0 -all", "example.com AAAA 2001:db8::1");
    gives("pass", "v=spf1 A:OTHER.Example. -all", "other.example A 192.0.2.1");
    gives_v6("pass", "v=spf1 a -all", "example.com AAAA 2001:db8::1\nexample.com A 192.0.2.1");
    gives_v6("fail", "v=spf1 a/0 -all", "example.com A 192.0.2.1");
    gives_v6("pass", "v=spf1 a//64 -all", "example.com AAAA 2001:db8::2");
    gives_v6(
        "fail",
        "v=spf1 a/64//128 -all".replace("/64//", "/32//").as_str(),
        "example.com AAAA 2001:db8::2",
    );
}

#[test]
fn a_name_without_addresses_does_not_match_and_a_failed_look_up_is_an_error() {
    gives("fail", "v=spf1 a:lost.example -all", "");
    gives("temperror", "v=spf1 a:sick.example +all", "sick.example A FAIL");
    gives("temperror", "v=spf1 a:sick.example +all", "sick.example A SILENT");
    let report = report("v=spf1 ip4:203.0.113.1 a:sick.example +all", "sick.example A FAIL", CLIENT);
    assert_eq!(report.decided_by.as_deref(), Some("a:sick.example"));
    assert_eq!(report.problem.unwrap().offset, Some(23));
}

#[test]
fn a_name_that_cannot_be_looked_up_does_not_match() {
    let long = "a".repeat(64);
    gives("fail", &format!("v=spf1 a:{long}.example.com -all"), "");
    gives("fail", "v=spf1 a:lost..example.com -all", "");
    gives("fail", "v=spf1 exists:.example.com -all", "");
}

#[test]
fn mx_compares_the_addresses_of_the_mx_hosts() {
    let zone = "example.com MX 10 mx1.example.com\nexample.com MX 5 mx2.example.com.\nmx1.example.com A 192.0.2.1\nmx2.example.com A 192.0.2.9";
    gives("pass", "v=spf1 mx -all", zone);
    gives("pass", "v=spf1 mx:example.com/24 -all", zone);
    gives_v6("fail", "v=spf1 mx -all", zone);
    gives_v6("pass", "v=spf1 mx//64 -all", "example.com MX 1 m.example\nm.example AAAA 2001:db8::2");
    gives("temperror", "v=spf1 mx +all", "example.com MX FAIL");
    gives("temperror", "v=spf1 mx +all", "example.com MX 1 sick.example\nsick.example A FAIL");
    gives("fail", "v=spf1 mx -all", "example.com MX 1 lost.example");
}

#[test]
fn mx_has_no_implicit_host() {
    gives("fail", "v=spf1 mx -all", "example.com A 192.0.2.1");
    gives("fail", "v=spf1 mx -all", "example.com MX 0 .\nexample.com A 192.0.2.1");
}

#[test]
fn exists_matches_any_ipv4_address() {
    gives("pass", "v=spf1 exists:here.example -all", "here.example A 127.0.0.2");
    gives("fail", "v=spf1 exists:here.example -all", "here.example AAAA 2001:db8::1");
    gives_v6("pass", "v=spf1 exists:here.example -all", "here.example A 127.0.0.2");
    gives_v6("fail", "v=spf1 exists:here.example -all", "here.example AAAA 2001:db8::1");
    gives("fail", "v=spf1 exists:lost.example -all", "");
    gives("temperror", "v=spf1 exists:sick.example +all", "sick.example A FAIL");
}

#[test]
fn include_matches_where_the_other_record_passes() {
    for (other, expected) in [
        ("v=spf1 ip4:192.0.2.1 -all", "softfail"),
        ("v=spf1 -all", "fail"),
        ("v=spf1 ~all", "fail"),
        ("v=spf1 ?all", "fail"),
        ("v=spf1", "fail"),
        ("v=spf1 a:sick.example -all", "temperror"),
        ("v=spf1 oops", "permerror"),
        ("nothing", "permerror"),
        ("FAIL", "temperror"),
        ("v=spf1 redirect=third.example", "softfail"),
    ] {
        let zone =
            format!("o.example TXT {other}\nsick.example A FAIL\nthird.example TXT v=spf1 ip4:192.0.2.1");
        gives(expected, "v=spf1 ~include:o.example -all", &zone);
    }
    gives("permerror", "v=spf1 include:lost.example +all", "");
    gives("permerror", "v=spf1 include:%{h} +all", "");
    gives("permerror", "v=spf1 include:a..example.com +all", "");
}

#[test]
fn the_tree_has_the_included_records() {
    let zone = "o.example TXT v=spf1 a:x.example ip4:192.0.2.1\nx.example A 203.0.113.1";
    let report = report("v=spf1 include:o.example -all", zone, CLIENT);
    assert_eq!((report.lookups, report.decided_by.as_deref()), (2, Some("include:o.example")));
    let tree = report.tree.unwrap();
    assert_eq!((tree.domain.as_str(), tree.result), ("example.com", SpfResult::Pass));
    let term = &tree.terms[0];
    assert_eq!((term.lookups, term.matched), (2, true));
    let led = term.record.as_ref().unwrap();
    assert_eq!((led.domain.as_str(), led.terms.len()), ("o.example", 2));
    assert_eq!(led.terms[0].queries, [SpfQuery { name: "x.example".into(), kind: "A", answer: "1".into() }]);
}

#[test]
fn ptr_matches_validated_names_of_the_domain() {
    let ptr = |name: &str| format!("1.2.0.192.in-addr.arpa PTR {name}");
    let zone = |name: &str, address: &str| format!("{}\n{name} A {address}", ptr(name));
    gives("pass", "v=spf1 ptr -all", &zone("mail.example.com", "192.0.2.1"));
    gives("pass", "v=spf1 ptr -all", &zone("example.com", "192.0.2.1"));
    gives("pass", "v=spf1 ptr:Example.NET -all", &zone("mail.example.net", "192.0.2.1"));
    gives("fail", "v=spf1 ptr -all", &zone("mail.example.net", "192.0.2.1"));
    gives("fail", "v=spf1 ptr -all", &zone("badexample.com", "192.0.2.1"));
    gives("fail", "v=spf1 ptr -all", &zone("mail.example.com", "192.0.2.2"));
    gives("fail", "v=spf1 ptr -all", "");
}

#[test]
fn a_failure_in_ptr_is_no_match_and_no_error() {
    gives("fail", "v=spf1 ptr -all", "1.2.0.192.in-addr.arpa PTR FAIL");
    let zone = "1.2.0.192.in-addr.arpa PTR a.example.com\na.example.com A FAIL\n1.2.0.192.in-addr.arpa PTR b.example.com\nb.example.com A 192.0.2.1";
    gives("pass", "v=spf1 ptr -all", zone);
}

#[test]
fn ptr_of_an_ipv6_address() {
    let name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    gives_v6("pass", "v=spf1 ptr -all", &format!("{name} PTR m.example.com\nm.example.com AAAA 2001:db8::1"));
    gives_v6("fail", "v=spf1 ptr -all", &format!("{name} PTR m.example.com\nm.example.com A 192.0.2.1"));
}
