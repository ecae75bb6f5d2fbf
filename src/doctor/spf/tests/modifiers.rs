//! The modifiers: RFC 7208 6.

use super::*;

#[test]
fn redirect_is_followed_where_nothing_matches() {
    let zone = "o.example TXT v=spf1 ~all";
    gives("softfail", "v=spf1 redirect=o.example", zone);
    gives("softfail", "v=spf1 REDIRECT=o.example ip4:203.0.113.1", zone);
    gives("fail", "v=spf1 redirect=o.example -all", zone);
    gives("pass", "v=spf1 redirect=lost.example ip4:192.0.2.1", zone);
}

#[test]
fn redirect_has_the_result_of_its_target() {
    for (other, expected) in [
        ("v=spf1 +all", "pass"),
        ("v=spf1", "neutral"),
        ("v=spf1 a:sick.example", "temperror"),
        ("v=spf1 oops", "permerror"),
        ("FAIL", "temperror"),
        ("nothing", "permerror"),
    ] {
        gives(expected, "v=spf1 redirect=o.example", &format!("o.example TXT {other}\nsick.example A FAIL"));
    }
    gives("permerror", "v=spf1 redirect=lost.example", "");
    gives("permerror", "v=spf1 redirect=a..example.com", "");
}

#[test]
fn in_a_redirected_record_the_domain_is_the_target() {
    gives("pass", "v=spf1 redirect=o.example", "o.example TXT v=spf1 a -all\no.example A 192.0.2.1");
    gives(
        "pass",
        "v=spf1 redirect=o.example",
        "o.example TXT v=spf1 exists:%{d}.%{o} -all\no.example.example.com A 127.0.0.2",
    );
}

#[test]
fn redirect_and_exp_stand_once() {
    gives("permerror", "v=spf1 redirect=a.example Redirect=b.example", "");
    gives("permerror", "v=spf1 -all exp=a.example exp=a.example", "");
    gives("fail", "v=spf1 -all foo=a foo=b", "");
}

#[test]
fn unknown_modifiers_are_ignored() {
    gives("fail", "v=spf1 foo=bar a.b-c_d=%{d} -all", "");
}

fn explanation(record: &str, zone: &str) -> Option<String> {
    report(record, zone, CLIENT).explanation
}

#[test]
fn a_fail_is_explained() {
    let zone = "e.example TXT %{i} may not | send mail for %{d}.\nexample.com A 203.0.113.1";
    let text = Some("192.0.2.1 may notsend mail for example.com.".to_owned());
    assert_eq!(explanation("v=spf1 -all exp=e.example", zone), text);
    assert_eq!(explanation("v=spf1 exp=e.example a -all", zone), text);
    assert_eq!(explanation("v=spf1 -all EXP=E.%{d:}", zone), None);
    for other in ["~all", "?all", "+all", ""] {
        assert_eq!(explanation(&format!("v=spf1 {other} exp=e.example"), zone), None, "{other}");
    }
    assert_eq!(explanation("v=spf1 -all", zone), None);
}

#[test]
fn an_explanation_that_cannot_be_had_is_no_error() {
    for zone in [
        "",
        "e.example A 192.0.2.1",
        "e.example TXT FAIL",
        "e.example TXT one\ne.example TXT two",
        "e.example TXT %{x}",
        "e.example TXT 100% sure",
        "e.example TXT n\u{f6}",
        "e.example TXT a\tb",
    ] {
        let report = report("v=spf1 -all exp=e.example", zone, CLIENT);
        assert_eq!((report.result, report.explanation), (SpfResult::Fail, None), "{zone}");
    }
    let long = format!("v=spf1 -all exp={}.example.com", "a".repeat(64));
    assert_eq!(report(&long, "", CLIENT).result, SpfResult::Fail);
}

#[test]
fn the_explanation_is_that_of_the_record_that_fails() {
    let zone = "o.example TXT v=spf1 -all exp=e2.example\np.example TXT v=spf1 -all\ne.example TXT first\ne2.example TXT second";
    assert_eq!(explanation("v=spf1 redirect=o.example exp=e.example", zone).as_deref(), Some("second"));
    assert_eq!(explanation("v=spf1 redirect=p.example exp=e.example", zone), None);
    assert_eq!(explanation("v=spf1 include:o.example -all exp=e.example", zone).as_deref(), Some("first"));
    assert_eq!(explanation("v=spf1 include:o.example -all", zone), None);
}
