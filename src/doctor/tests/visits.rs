//! Visits in scripted worlds: port 25, the address that others see, and what stands between.

use std::fmt::Write;

use super::*;

/// The good world with these hosts: `mx.example.org` and one for each other domain.
fn hosts(own: &str, others: &[(&str, &str)]) -> (World, Vec<VisitedHost>) {
    let mut text = GOOD.replace(
        "name = \"mx.example.org\"\n    address = [\"203.0.113.26\"]",
        "name = \"unused.example.org\"",
    );
    let _ = write!(text, "[[host]]\nname = \"mx.example.org\"\naddress = [\"203.0.113.26\"]\n{own}\n");
    let mut visited = Vec::new();
    for (n, (name, lines)) in others.iter().enumerate() {
        let address = format!("198.51.100.{}", n + 1);
        let _ = write!(text, "[[host]]\nname = \"{name}\"\naddress = [\"{address}\"]\n{lines}\n");
        visited.push(VisitedHost { host: Domain::parse(name).unwrap(), address: address.parse().unwrap() });
    }
    (World::parse(&text).unwrap(), visited)
}

fn visited(world: &World, hosts: Vec<VisitedHost>) -> CheckList {
    let egress = CheckedEgress { address: None, ..sender() };
    checks_with(world, &egress, Setup { options: options(), visits: true, hosts, ..Setup::default() })
}

const CLOSED: &str = "connect = \"timeout\"";

#[test]
fn an_open_port_passes_with_one_connection_to_each_host() {
    let three = [("mx.a.example", ""), ("mx.b.example", ""), ("mx.c.example", CLOSED)];
    let (world, hosts) = hosts("", &three);
    let list = visited(&world, hosts);
    assert_eq!(check(&list, "smtp.port25").status, CheckStatus::Pass, "{list}");
    assert!(check(&list, "smtp.port25").sentence.contains("2 of 3"), "{list}");
    assert_eq!(check(&list, "from.mailbox").status, CheckStatus::Pass, "{list}");
    assert_eq!(check(&list, "from.postmaster").status, CheckStatus::Pass, "{list}");
    let observed = world.observed();
    for (name, _) in three {
        assert!(observed.hosts[name].sessions <= 1, "{name}");
    }
}

#[test]
fn a_closed_port_fails_where_enough_hosts_are_silent_and_is_not_confirmed_where_few_are() {
    let three =
        [("mx.a.example", CLOSED), ("mx.b.example", "connect = \"refused\""), ("mx.c.example", CLOSED)];
    let (closed, all) = hosts(CLOSED, &three);
    let list = visited(&closed, all.clone());
    assert_eq!(check(&list, "smtp.port25").status, CheckStatus::Fail, "{list}");
    assert_eq!(check(&list, "from.mailbox").status, CheckStatus::NotRun, "{list}");
    assert!(list.has_failed());
    let few = visited(&closed, all[..2].to_vec());
    assert_eq!(check(&few, "smtp.port25").status, CheckStatus::CouldNotConfirm, "{few}");
    let own = visited(&closed, Vec::new());
    assert_eq!(check(&own, "smtp.port25").status, CheckStatus::Fail, "{own}");
    assert!(check(&own, "smtp.port25").sentence.contains("or they are down"), "{own}");
}

#[test]
fn a_host_that_rejects_us_at_the_greeting_shows_that_the_port_is_open() {
    let (world, hosts) = hosts("greeting = \"554 5.7.1 no\"", &[]);
    let list = visited(&world, hosts);
    assert_eq!(check(&list, "smtp.port25").status, CheckStatus::Pass, "{list}");
    assert_eq!(check(&list, "from.mailbox").status, CheckStatus::CouldNotConfirm, "{list}");
}

#[test]
fn the_address_that_servers_echo_is_the_one_that_is_checked() {
    let exim = "software = \"exim\"\ngreeting = \"220 mx.a.example sees 203.0.113.77\"";
    let (world, hosts) = hosts("", &[("mx.a.example", exim)]);
    let list = visited(&world, hosts);
    let egress = check(&list, "smtp.egress");
    assert_eq!(egress.status, CheckStatus::Warn, "{list}");
    assert!(egress.sentence.contains("203.0.113.77, not 203.0.113.25"), "{list}");
    assert!(check(&list, "dns.ptr").sentence.contains("203.0.113.77"), "{list}");
    assert_eq!(check(&list, "spf").status, CheckStatus::Fail, "{list}");
}

#[test]
fn one_greeting_of_all_hosts_and_asterisks_are_hints_of_a_firewall() {
    let same = "greeting = \"220 gate.example.net ready\"";
    let (world, all) = hosts("", &[("mx.a.example", same), ("mx.b.example", same)]);
    assert_eq!(check(&visited(&world, all), "smtp.path").status, CheckStatus::Warn);
    let stars = "greeting = \"220 ****************\"";
    let (world, all) = hosts("", &[("mx.a.example", stars), ("mx.b.example", stars)]);
    let list = visited(&world, all);
    assert!(check(&list, "smtp.path").sentence.contains("asterisks"), "{list}");
    let (world, all) = hosts("", &[("mx.a.example", ""), ("mx.b.example", "")]);
    assert_eq!(check(&visited(&world, all), "smtp.path").status, CheckStatus::Pass);
}

#[test]
fn a_clock_that_differs_from_that_of_mail_servers_is_a_warning() {
    let dated = "greeting = \"220 mx.a.example ESMTP Mon, 05 Jan 2026 10:30:00 +0100\"";
    let (world, all) = hosts("", &[("mx.a.example", dated)]);
    let list = visited(&world, all);
    assert!(check(&list, "host.clock").sentence.contains("at least 30m"), "{list}");
    let (world, all) = hosts("", &[("mx.a.example", &dated.replace("10:30:00", "10:00:30"))]);
    assert_eq!(check(&visited(&world, all), "host.clock").status, CheckStatus::Pass);
}

#[test]
fn a_sender_that_its_own_host_rejects_is_a_warning() {
    let (world, all) = hosts("", &[]);
    let egress = CheckedEgress { mail_from: Some("nothing@example.org".to_owned()), ..sender() };
    let setup = Setup { options: options(), visits: true, hosts: all, ..Setup::default() };
    let list = checks_with(&world, &egress, setup);
    assert_eq!(check(&list, "from.mailbox").status, CheckStatus::Warn, "{list}");
    assert_eq!(check(&list, "from.postmaster").status, CheckStatus::Pass, "{list}");
}
