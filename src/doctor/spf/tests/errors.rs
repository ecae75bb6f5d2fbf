//! Syntax errors anywhere in the record are found before anything is evaluated: RFC 7208 4.6, 12.

use super::*;

#[test]
fn an_error_anywhere_is_an_error_of_the_record() {
    gives("permerror", "v=spf1 +all foo", "");
    gives("permerror", "v=spf1 ip4:192.0.2.1 -all a:", "");
    gives("permerror", "v=spf1 +all redirect=a.example redirect=b.example", "");
    let report = report("v=spf1 ip4:192.0.2.1  mxx -all", "", CLIENT);
    assert_eq!(report.decided_by.as_deref(), Some("mxx"));
    let problem = report.problem.unwrap();
    assert_eq!((problem.offset, problem.term.as_deref()), (Some(22), Some("mxx")));
    assert_eq!(problem.domain, "example.com");
    assert_eq!(problem.message, "`mxx` is not a mechanism");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn malformed_terms() {
    for term in [
        // all
        "all.",
        "all:example.com",
        "all/8",
        "-all:",
        "--all",
        "+",
        "-",
        "?",
        ":",
        "/24",
        // include, exists
        "include",
        "include:",
        "include:example.com/24",
        "include:%{d}/24",
        "include/24",
        "exists",
        "exists:",
        "exists:example.com/24",
        "exists:%{i}//64",
        // a, mx
        "a:",
        "mx:",
        "a:/24",
        "mx://64",
        "a/",
        "a//",
        "a/33",
        "mx/33",
        "a//129",
        "a/24/24",
        "a/24//129",
        "a/024",
        "a//064",
        "a/-1",
        "a/2x",
        "a:example.com:8080",
        "a:192.0.2.1",
        "a:example",
        "a:example.",
        "a:example.-com",
        "a:example.com-",
        "a:example..",
        "a:..",
        "a:example.com/",
        "a:%{d",
        "a:%",
        "a:%{}",
        "a:%d",
        "a:%{d}.",
        "a:%{d}x",
        "a:%(d)",
        "a:ex\tample.com",
        "a:\u{e4}.example",
        // ptr
        "ptr:",
        "ptr/24",
        "ptr:example.com/24",
        "ptr:example",
        // ip4, ip6
        "ip4",
        "ip4:",
        "ip4:192.0.2",
        "ip4:192.0.2.256",
        "ip4:192.0.2.01",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2.1/",
        "ip4:192.0.2.1/08",
        "ip4:192.0.2.1//32",
        "ip4:192.0.2.1:25",
        "ip4:2001:db8::1",
        "ip4:example.com",
        "ip4/24",
        "ip6",
        "ip6:",
        "ip6:192.0.2.1",
        "ip6:2001:db8::1/129",
        "ip6:2001:db8::1/",
        "ip6:2001:db8::1//64",
        "ip6:[2001:db8::1]",
        "ip6:2001:db8:::1",
        "ip6:2001:db8::1/064",
        "ip6:1::2::3",
        // unknown mechanisms
        "foo",
        "foo:bar.example",
        "ipv4:192.0.2.1",
        "a.b",
        "1a",
        "-foo",
        // modifiers
        "redirect=",
        "exp=",
        "redirect=example",
        "exp=example.com/24",
        "redirect:example.com",
        "exp:example.com",
        "=example.com",
        "1x=y",
        "-x=y",
        "+redirect=example.com",
        "x=%",
        "x=%{q}",
        "x=\u{e4}",
        "redirect=%{r}.example.com",
        "-ip4=192.0.2.1",
        "x y=",
        "_x=y",
    ] {
        gives("permerror", &format!("v=spf1 {term} +all"), "");
    }
}

#[test]
fn well_formed_terms() {
    for term in [
        "ALL",
        "a/0",
        "a//0",
        "a/24//64",
        "a/0//0",
        "a:example.com",
        "a:example.com.",
        "a:example.c-m",
        "a:x.1-2",
        "a:foo/24.example.com/24",
        "a:foo:8080.example.com",
        "mX",
        "mx/24",
        "mx//64",
        "a:%{d}",
        "a:foo%{d}",
        "a:_spf.example.com",
        "a:!#$&'()*+,-./:;<=>?@[]^_`{|}~.com",
        "PTR",
        "ptr:%{d2}",
        "ip4:192.0.2.0/0",
        "IP4:192.0.2.0",
        "ip6:::/0",
        "ip6:::1",
        "ip6:2001:db8::192.0.2.1/96",
        "a:%{d}%%",
        "exists:%{ir}.%_.example.com",
        "exists:%{l1r-+,/_=}.%{o}",
        "a=",
        "ip4=192.0.2.1",
        "x=",
        "x=y",
        "x-1_2.3=%{d}%-%_",
        "x=1 x=2",
        "all=x",
        "v=spf1",
        "default=-all",
    ] {
        gives("fail", &format!("v=spf1 -all {term}"), "");
    }
}

#[test]
fn terms_are_separated_by_spaces() {
    gives("pass", "v=spf1    ip4:192.0.2.1   -all   ", "");
    gives("permerror", "v=spf1 ip4:192.0.2.1\t-all", "");
}

#[test]
fn bytes_outside_ascii_are_an_error() {
    gives("permerror", "v=spf1 a:m\u{fc}ller.example -all", "");
    gives("permerror", "v=spf1 -all x=\u{e9}", "");
}
