//! Records, tree walks, organizational domains, policies and alignment, as RFC 9989 has them.

use std::collections::HashMap;
use std::net::IpAddr;

use super::policy::AppliedPolicy;
use super::record::{DmarcPolicy, DmarcRecord, PsdFlag};
use super::tree_walk::{DmarcWalk, is_aligned};
use crate::route::{Dns, DnsAnswer, DnsFault, DnsRecord, LookupError, LookupFuture, Mx, RecordType};

/// Domains with the texts at `_dmarc` below them; the text `FAIL` is a look-up that fails.
struct Zone(HashMap<String, Vec<&'static str>>);

impl Zone {
    fn of(records: &[(&str, &'static str)]) -> Zone {
        let mut zone = HashMap::new();
        for (domain, text) in records {
            zone.entry(format!("_dmarc.{domain}")).or_insert_with(Vec::new).push(*text);
        }
        Zone(zone)
    }
}

impl Dns for Zone {
    fn mx<'a>(&'a self, _: &'a crate::address::Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        Box::pin(async { Err(LookupError::NoSuchDomain) })
    }

    fn addresses<'a>(&'a self, _: &'a crate::address::Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        Box::pin(async { Err(LookupError::NoSuchDomain) })
    }

    fn records<'a>(&'a self, name: &'a str, _: RecordType) -> LookupFuture<'a, Vec<DnsRecord>> {
        let answer = match self.0.get(name).map(Vec::as_slice) {
            None => Err(LookupError::NoSuchDomain),
            Some(["FAIL"]) => Err(LookupError::Failed(DnsFault::ServFail)),
            Some(texts) => Ok(texts.iter().map(|text| DnsRecord::Text(text.as_bytes().to_vec())).collect()),
        };
        Box::pin(async { answer })
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn walk(domain: &str, records: &[(&str, &'static str)]) -> DmarcWalk {
    wait(DmarcWalk::from(&Zone::of(records), domain)).unwrap()
}

#[test]
fn a_record_begins_with_its_version() {
    for text in ["v=DMARC1", "v=DMARC1;", "v = DMARC1 ; p=none", "v=DMARC1;p=reject", " v=DMARC1"] {
        assert!(DmarcRecord::parse(text).is_some(), "{text}");
    }
    for text in
        ["", "v=dmarc1", "V=DMARC1", "v=DMARC2; p=none", "p=none; v=DMARC1", "v=DMARC1 p=none", "DMARC1"]
    {
        assert_eq!(DmarcRecord::parse(text), None, "{text}");
    }
}

#[test]
fn the_tags_are_read() {
    let text = "v=DMARC1; p=Reject; sp=quarantine; np=none; psd=n; t=y; adkim=s; aspf=S; x=y;; \
                rua=mailto:a@example.com!10m, mailto:b@example.com ,nothing; ruf=mailto:c@example.com; pct=10; rf=afrf; ri=86400; p=none";
    let expected = DmarcRecord {
        policy: Some(DmarcPolicy::Reject),
        subdomains: Some(DmarcPolicy::Quarantine),
        nonexistent: Some(DmarcPolicy::None),
        psd: PsdFlag::No,
        is_test: true,
        is_dkim_strict: true,
        is_spf_strict: true,
        aggregate_reports: vec!["mailto:a@example.com".into(), "mailto:b@example.com".into()],
        failure_reports: vec!["mailto:c@example.com".into()],
        removed: vec!["pct=10".into(), "rf=afrf".into(), "ri=86400".into()],
    };
    assert_eq!(DmarcRecord::parse(text), Some(expected));
    let wrong = "v=DMARC1; p=block; sp=; psd=u; t=n; adkim=r; aspf=x";
    assert_eq!(DmarcRecord::parse(wrong), Some(DmarcRecord::default()));
}

#[test]
fn a_record_without_a_policy_counts_if_it_asks_for_reports() {
    let own = |text| DmarcRecord::parse(text).unwrap().own_policy();
    assert_eq!(own("v=DMARC1; rua=mailto:a@example.com"), Some(DmarcPolicy::None));
    assert_eq!(own("v=DMARC1; p=oops; rua=mailto:a@example.com"), Some(DmarcPolicy::None));
    assert_eq!(own("v=DMARC1"), None);
    assert_eq!(own("v=DMARC1; p=oops; rua=oops"), None);
    assert_eq!(own("v=DMARC1; p=reject"), Some(DmarcPolicy::Reject));
}

#[test]
fn a_walk_asks_each_parent_and_eight_names_at_most() {
    let short = walk("a.mail.example.com", &[]);
    let names = ["a.mail.example.com", "mail.example.com", "example.com", "com"];
    assert_eq!(short.queried, names.map(|name| format!("_dmarc.{name}")));
    for (domain, second) in [
        ("a.b.c.d.e.f.g.example.com", "c.d.e.f.g.example.com"),
        ("a.b.c.d.e.f.g.h.i.j.k.example.com", "g.h.i.j.k.example.com"),
        ("b.c.d.e.f.g.example.com", "c.d.e.f.g.example.com"),
        ("c.d.e.f.g.example.com", "d.e.f.g.example.com"),
    ] {
        let long = walk(domain, &[]);
        assert_eq!(long.queried[1], format!("_dmarc.{second}"));
        assert!(long.queried.len() <= 8, "{:?}", long.queried);
        assert_eq!(long.queried.last().unwrap(), "_dmarc.com");
    }
}

#[test]
fn a_walk_ends_where_a_record_has_the_tag_psd() {
    for (tag, queries) in [("psd=n", 2), ("psd=y", 2), ("psd=u", 4), ("p=none", 4)] {
        let text: &'static str = Box::leak(format!("v=DMARC1; {tag}").into_boxed_str());
        assert_eq!(walk("a.mail.example.com", &[("mail.example.com", text)]).queried.len(), queries, "{tag}");
    }
}

#[test]
fn two_records_at_a_name_count_as_none() {
    let records = [("example.com", "v=DMARC1; p=none"), ("example.com", "v=DMARC1; p=reject")];
    assert_eq!(walk("example.com", &records).found, []);
    let records = [("example.com", "hello"), ("example.com", "v=DMARC1; p=reject")];
    assert_eq!(walk("example.com", &records).found.len(), 1);
}

#[test]
fn a_failed_look_up_is_not_a_missing_record() {
    let failed =
        wait(DmarcWalk::from(&Zone::of(&[("example.com", "FAIL")]), "mail.example.com")).unwrap_err();
    assert_eq!((failed.name.as_str(), failed.fault), ("_dmarc.example.com", DnsFault::ServFail));
}

#[test]
fn the_organizational_domain() {
    let plain = "v=DMARC1; p=none";
    for (domain, records, expected) in [
        ("mail.example.com", vec![], "mail.example.com"),
        ("mail.example.com", vec![("mail.example.com", plain)], "mail.example.com"),
        ("mail.example.com", vec![("mail.example.com", plain), ("example.com", plain)], "example.com"),
        (
            "a.mail.example.com",
            vec![("mail.example.com", "v=DMARC1; psd=n"), ("example.com", plain)],
            "mail.example.com",
        ),
        ("a.giant.bank.example", vec![("bank.example", "v=DMARC1; psd=y")], "giant.bank.example"),
        (
            "giant.bank.example",
            vec![("giant.bank.example", plain), ("bank.example", "v=DMARC1; psd=y")],
            "giant.bank.example",
        ),
        (
            "a.b.giant.bank.example",
            vec![("b.giant.bank.example", plain), ("bank.example", "v=DMARC1; psd=y")],
            "giant.bank.example",
        ),
        ("bank.example", vec![("bank.example", "v=DMARC1; psd=y")], "bank.example"),
        ("Mail.Example.COM.", vec![("example.com", plain)], "example.com"),
        ("mail.example.com", vec![("com", plain)], "com"),
    ] {
        assert_eq!(walk(domain, &records).organizational_domain(), expected, "{domain} {records:?}");
    }
}

#[test]
fn the_policy_that_applies() {
    use DmarcPolicy::{None as Nothing, Quarantine, Reject};
    for (domain, exists, records, expected) in [
        (
            "example.com",
            true,
            vec![("example.com", "v=DMARC1; p=reject; sp=none; np=none")],
            Some((Reject, Reject, "example.com")),
        ),
        (
            "m.example.com",
            true,
            vec![("example.com", "v=DMARC1; p=reject")],
            Some((Reject, Reject, "example.com")),
        ),
        (
            "m.example.com",
            true,
            vec![("example.com", "v=DMARC1; p=reject; sp=quarantine; np=none")],
            Some((Quarantine, Quarantine, "example.com")),
        ),
        (
            "m.example.com",
            false,
            vec![("example.com", "v=DMARC1; p=none; sp=quarantine; np=reject")],
            Some((Reject, Reject, "example.com")),
        ),
        (
            "m.example.com",
            false,
            vec![("example.com", "v=DMARC1; p=none; sp=quarantine")],
            Some((Quarantine, Quarantine, "example.com")),
        ),
        (
            "m.example.com",
            true,
            vec![("m.example.com", "v=DMARC1; p=none"), ("example.com", "v=DMARC1; p=reject")],
            Some((Nothing, Nothing, "m.example.com")),
        ),
        (
            "example.com",
            true,
            vec![("example.com", "v=DMARC1; p=reject; t=y")],
            Some((Reject, Quarantine, "example.com")),
        ),
        (
            "example.com",
            true,
            vec![("example.com", "v=DMARC1; p=quarantine; t=y; pct=50")],
            Some((Quarantine, Nothing, "example.com")),
        ),
        (
            "example.com",
            true,
            vec![("example.com", "v=DMARC1; p=reject; pct=0")],
            Some((Reject, Reject, "example.com")),
        ),
        (
            "giant.bank.example",
            true,
            vec![("bank.example", "v=DMARC1; p=reject; sp=quarantine; psd=y")],
            Some((Quarantine, Quarantine, "bank.example")),
        ),
        ("example.com", true, vec![("example.com", "v=DMARC1")], None),
        ("example.com", true, vec![], None),
    ] {
        let applied = AppliedPolicy::of(&walk(domain, &records), exists);
        let applied = applied.as_ref().map(|found| (found.published, found.policy, found.domain.as_str()));
        assert_eq!(applied, expected, "{domain} {records:?}");
    }
}

#[test]
fn alignment() {
    let records = [("example.com", "v=DMARC1; p=none"), ("bank.example", "v=DMARC1; psd=y")];
    let zone = Zone::of(&records);
    for (author, authenticated, relaxed, strict) in [
        ("example.com", "example.com", true, true),
        ("Example.com", "EXAMPLE.com.", true, true),
        ("example.com", "bounce.example.com", true, false),
        ("shop.example.com", "bounce.example.com", true, false),
        ("example.com", "example.net", false, false),
        ("a.bank.example", "b.bank.example", false, false),
        ("a.bank.example", "x.a.bank.example", true, false),
    ] {
        let walk = wait(DmarcWalk::from(&zone, author)).unwrap();
        let aligned = |is_strict| wait(is_aligned(&zone, &walk, authenticated, is_strict)).unwrap();
        assert_eq!((aligned(false), aligned(true)), (relaxed, strict), "{author} {authenticated}");
    }
}
