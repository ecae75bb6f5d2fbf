//! The checks in scripted worlds: each status, and what a resolver that fails makes of them.

use super::check::{CheckList, CheckStatus};
use super::checks::{CheckedSender, all};
use crate::world::World;

/// A world where all is well, with one text replaced by another.
fn world(replaced: &str, by: &str) -> World {
    let good = r#"
        [[domain]]
        name = "25.113.0.203.in-addr.arpa"
        ptr = ["probe.example.org"]
        [[domain]]
        name = "probe.example.org"
        address = ["203.0.113.25"]
        [[domain]]
        name = "example.org"
        mx = ["10 mx.example.org"]
        txt = ["v=spf1 ip4:203.0.113.25 -all"]
        [[domain]]
        name = "mx.example.org"
        address = ["203.0.113.26"]
        [[domain]]
        name = "_dmarc.example.org"
        txt = ["v=DMARC1; p=reject"]
        [[domain]]
        name = "s._domainkey.example.org"
        txt = ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
    "#;
    assert!(good.contains(replaced), "{replaced}");
    World::parse(&good.replace(replaced, by)).unwrap()
}

fn sender() -> CheckedSender {
    CheckedSender {
        ip: Some("203.0.113.25".parse().unwrap()),
        helo: Some("probe.example.org".to_owned()),
        mail_from: Some("list-check@example.org".to_owned()),
        from: None,
        selectors: vec!["s".to_owned()],
    }
}

fn checks(world: &World, sender: &CheckedSender) -> CheckList {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(all(world, sender))
}

#[test]
fn a_good_sender_passes() {
    let list = checks(&world("", ""), &sender());
    assert!(list.checks.iter().all(|check| check.status == CheckStatus::Pass), "{list}");
    let ids: Vec<&str> = list.checks.iter().map(|check| check.id).collect();
    assert_eq!(ids, ["dns.resolver", "dns.ptr", "smtp.helo", "from.mx", "spf", "dmarc", "dkim"]);
}

#[test]
fn each_fault_has_its_status_and_a_fix() {
    use CheckStatus::{CouldNotConfirm, Fail, Warn};
    let reverse = "name = \"25.113.0.203.in-addr.arpa\"";
    let key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    for (replaced, by, id, status, said) in [
        (
            "[\"probe.example.org\"]",
            "[]",
            "dns.ptr",
            Fail,
            "25.113.0.203.in-addr.arpa. PTR probe.example.org.",
        ),
        ("[\"probe.example.org\"]", "[\"x.example.net\"]", "dns.ptr", Fail, "NXDOMAIN"),
        (reverse, &format!("{reverse}\nfault = \"servfail\""), "dns.ptr", CouldNotConfirm, "SERVFAIL"),
        ("[\"203.0.113.25\"]", "[\"203.0.113.99\"]", "smtp.helo", Fail, "probe.example.org. A 203.0.113.25"),
        ("[\"203.0.113.25\"]", "[]", "smtp.helo", Fail, "has no address record"),
        ("[\"203.0.113.25\"]", "[]\nfault = \"timeout\"", "smtp.helo", CouldNotConfirm, "no answer in time"),
        ("10 mx.example.org", "0 .", "from.mx", Fail, "receives no mail"),
        ("10 mx.example.org", "10 lost.example.org", "from.mx", Fail, "No host"),
        ("[\"203.0.113.26\"]", "[]\nfault = \"refused\"", "from.mx", CouldNotConfirm, "REFUSED"),
        (
            "ip4:203.0.113.25 -all",
            "ip4:203.0.113.99 -all",
            "spf",
            Fail,
            "v=spf1 ip4:203.0.113.25 ip4:203.0.113.99 -all",
        ),
        ("ip4:203.0.113.25 -all", "~all", "spf", Warn, "not allow 203.0.113.25 clearly"),
        ("v=spf1 ip4:203.0.113.25 -all", "x", "spf", Warn, "v=spf1 ip4:203.0.113.25 -all"),
        ("ip4:203.0.113.25 -all", "ipv4:203.0.113.25 -all", "spf", Fail, "`ipv4` is not a mechanism"),
        (
            "name = \"example.org\"",
            "name = \"example.org\"\nfault = \"servfail\"\nfault_on = \"txt\"",
            "spf",
            CouldNotConfirm,
            "SERVFAIL",
        ),
        ("v=DMARC1; p=reject", "x", "dmarc", Warn, "_dmarc.example.org. TXT"),
        ("v=DMARC1; p=reject", "v=DMARC1; p=reject; pct=10", "dmarc", Warn, "`pct=10` counts no more"),
        ("[\"v=DMARC1; p=reject\"]", "[]\nfault = \"servfail\"", "dmarc", CouldNotConfirm, "SERVFAIL"),
        (key, "v=DKIM1; p=", "dkim", Warn, "revoked"),
        (key, "v=DKIM1; p=x!", "dkim", Warn, "not a DKIM key"),
        (&format!("[\"{key}\"]"), "[]", "dkim", Warn, "no key"),
        (&format!("[\"{key}\"]"), "[]\nfault = \"servfail\"", "dkim", CouldNotConfirm, "SERVFAIL"),
    ] {
        let list = checks(&world(replaced, by), &sender());
        let check = list.checks.iter().find(|check| check.id == id).unwrap();
        assert_eq!(check.status, status, "{id} {by}\n{list}");
        let text = format!("{} {} {:?}", check.sentence, check.details.join(" "), check.fix);
        assert!(text.contains(said), "`{said}` is missing in {text}");
        assert_eq!(list.has_failed(), list.checks.iter().any(|check| check.status == Fail));
    }
}

#[test]
fn what_is_not_given_is_not_confirmed() {
    let list = checks(&world("", ""), &CheckedSender::default());
    let unconfirmed = list
        .checks
        .iter()
        .skip(1)
        .all(|check| check.status == CheckStatus::CouldNotConfirm && check.fix.is_some());
    assert!(unconfirmed, "{list}");
    assert!(!list.has_failed());
}

#[test]
fn an_author_of_another_domain_is_not_aligned() {
    let list = checks(
        &world("_dmarc.example.org", "_dmarc.example.net"),
        &CheckedSender { from: Some("me@example.net".into()), ..sender() },
    );
    let check = list.checks.iter().find(|check| check.id == "dmarc").unwrap();
    assert_eq!(check.status, CheckStatus::Warn);
    assert!(check.sentence.contains("SPF of example.org is not aligned"), "{}", check.sentence);
}
