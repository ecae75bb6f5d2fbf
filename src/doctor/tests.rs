//! The checks in scripted worlds: each status, and what a resolver that fails makes of them.

mod golden;
mod lists;
mod visits;

use std::future::pending;
use std::net::IpAddr;
use std::pin::Pin;

use super::check::{Check, CheckList, CheckStatus};
use super::checks::{CheckOptions, SenderChecks};
use super::egress::CheckedEgress;
use super::visit::VisitedHost;
use crate::address::Domain;
use crate::policy::{Blocklists, Policy};
use crate::route::{AllowedNets, Dns, DnsAnswer, LookupFuture, Mx, NxdomainRewriting};
use crate::smtp::EgressPath;
use crate::world::World;

/// A world where all is well.
const GOOD: &str = r#"
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
    mailboxes = ["list-check"]
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

/// The good world, with one text replaced by another.
fn world(replaced: &str, by: &str) -> World {
    assert!(GOOD.contains(replaced), "{replaced}");
    World::parse(&GOOD.replace(replaced, by)).unwrap()
}

fn sender() -> CheckedEgress {
    CheckedEgress {
        path: EgressPath::Direct(None),
        address: Some("203.0.113.25".parse().unwrap()),
        is_own: true,
        helo: Some("probe.example.org".to_owned()),
        mail_from: Some("list-check@example.org".to_owned()),
    }
}

/// How the checks of a test go beside the usual.
#[derive(Default)]
struct Setup<'a> {
    options: CheckOptions,
    visits: bool,
    hosts: Vec<VisitedHost>,
    lists: &'a str,
    key: Option<&'a str>,
}

fn checks_with(world: &World, egress: &CheckedEgress, setup: Setup<'_>) -> CheckList {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let lists = Blocklists::none().with("lists.toml", setup.lists).unwrap();
    let checks = SenderChecks {
        dns: world,
        connect: setup.visits.then_some(world),
        port: 25,
        allowed: &AllowedNets::new(world.networks()),
        policy: Policy::built_in().with_blocklists(lists),
        now: world.start_time(),
        key: setup.key,
        options: &setup.options,
        hosts: setup.hosts,
    };
    runtime.block_on(checks.run(std::slice::from_ref(egress)))
}

fn options() -> CheckOptions {
    CheckOptions { selectors: vec!["s".to_owned()], ..CheckOptions::default() }
}

/// The checks that need DNS only.
fn checks(world: &World, egress: &CheckedEgress) -> CheckList {
    checks_with(world, egress, Setup { options: options(), ..Setup::default() })
}

fn check<'a>(list: &'a CheckList, id: &str) -> &'a Check {
    list.checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no `{id}` in\n{list}"))
}

#[test]
fn a_good_sender_passes() {
    let list = checks(&world("", ""), &sender());
    let run: Vec<&Check> = list.checks.iter().filter(|check| check.status != CheckStatus::NotRun).collect();
    assert!(run.iter().all(|check| check.status == CheckStatus::Pass), "{list}");
    let ids: Vec<&str> = run.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "dns.resolver",
            "smtp.egress",
            "dns.ptr",
            "smtp.helo",
            "spf",
            "from.mx",
            "dmarc",
            "dkim",
            "mta_sts",
            "tls_rpt",
            "host.files",
        ]
    );
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
        let check = check(&list, id);
        assert_eq!(check.status, status, "{id} {by}\n{list}");
        let text = format!("{} {} {:?}", check.sentence, check.details.join(" "), check.fix);
        assert!(text.contains(said), "`{said}` is missing in {text}");
        assert_eq!(list.has_failed(), list.checks.iter().any(|check| check.status == Fail));
    }
}

#[test]
fn what_is_not_given_is_not_confirmed() {
    let nothing = CheckedEgress {
        path: EgressPath::Direct(None),
        address: None,
        is_own: true,
        helo: None,
        mail_from: None,
    };
    let list = checks_with(&world("", ""), &nothing, Setup { visits: true, ..Setup::default() });
    let unconfirmed = list
        .checks
        .iter()
        .filter(|check| !matches!(check.id.as_str(), "dns.resolver" | "host.files"))
        .all(|check| check.status == CheckStatus::CouldNotConfirm && check.fix.is_some());
    assert!(unconfirmed, "{list}");
    assert!(!list.has_failed());
}

#[test]
fn an_author_of_another_domain_is_not_aligned() {
    let world = world("_dmarc.example.org", "_dmarc.example.net");
    let options = CheckOptions { from: Some("me@example.net".into()), ..options() };
    let list = checks_with(&world, &sender(), Setup { options, ..Setup::default() });
    let check = check(&list, "dmarc");
    assert_eq!(check.status, CheckStatus::Warn);
    assert!(check.sentence.contains("SPF of example.org is not aligned"), "{}", check.sentence);
}

#[test]
fn a_name_of_a_customers_line_is_a_warning() {
    let named = GOOD.replace("ptr = [\"probe.example.org\"]", "ptr = [\"203-0-113-25.dsl.example.net\"]")
        + "[[domain]]\nname = \"203-0-113-25.dsl.example.net\"\naddress = [\"203.0.113.25\"]\n";
    let list = checks(&World::parse(&named).unwrap(), &sender());
    assert_eq!(check(&list, "dns.ptr").status, CheckStatus::Warn, "{list}");
}

/// A name service that never answers.
struct NoNetwork;
impl Dns for NoNetwork {
    fn mx<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        Box::pin(pending())
    }
    fn addresses<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        Box::pin(pending())
    }
    fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(pending())
    }
}

#[test]
fn without_a_network_nothing_is_confirmed_and_each_check_says_why() {
    // The name servers of all names are silent.
    let silent = GOOD.replace("[[domain]]", "[[domain]]\nfault = \"timeout\"");
    let world = World::parse(&silent).unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (list, took) = runtime.block_on(async {
        let began = tokio::time::Instant::now();
        let options = options();
        let allowed = AllowedNets::new(world.networks());
        let checks = SenderChecks {
            dns: &NoNetwork,
            connect: Some(&world),
            port: 25,
            allowed: &allowed,
            policy: Policy::built_in(),
            now: world.start_time(),
            key: None,
            options: &options,
            hosts: Vec::new(),
        };
        (checks.run(&[sender()]).await, began.elapsed())
    });
    assert!(took < std::time::Duration::from_secs(10), "{took:?}");
    for check in &list.checks {
        assert_eq!(check.status, CheckStatus::CouldNotConfirm, "{list}");
        assert!(check.sentence.contains("answer"), "{}", check.sentence);
    }
    assert!(list.checks.len() > 12 && !list.has_failed());
}
