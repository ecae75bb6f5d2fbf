//! Blocklists in scripted worlds: only a listing of a list that works is a listing.

use super::*;

const LISTS: &str = r#"
    [[list]]
    id = "one"
    zone = "bl.example.net"
    lists = ["ipv4", "ipv6", "domain"]
    asked = "always"
    rejects = true
    errors = [{ answer = "127.255.255.254", means = "it does not answer this network" }]
    means = [{ answer = "127.0.0.10", means = "a dynamic line", pbl = true }]
    remove = "ask at bl.example.net"
    source = "a test"
"#;

/// The good world with the test entries of the list and with these records of it.
fn listed(records: &str) -> World {
    let tests = r#"
        [[domain]]
        name = "2.0.0.127.bl.example.net"
        address = ["127.0.0.2"]
        [[domain]]
        name = "test.bl.example.net"
        address = ["127.0.0.2"]
    "#;
    World::parse(&format!("{GOOD}{tests}{records}")).unwrap()
}

fn entry(name: &str, rest: &str) -> String {
    format!("[[domain]]\nname = \"{name}.bl.example.net\"\n{rest}\n")
}

fn statuses(world: &World, lists: &str) -> (Vec<CheckStatus>, CheckList) {
    let list = checks_with(world, &sender(), Setup { options: options(), lists, ..Setup::default() });
    let statuses = list.checks.iter().filter(|check| check.id == "blocklist.one").map(|check| check.status);
    (statuses.collect(), list)
}

#[test]
fn an_address_and_a_domain_are_listed_or_not() {
    use CheckStatus::{CouldNotConfirm, Fail, Pass};
    let ip = "25.113.0.203";
    for (records, expected, said) in [
        (String::new(), [Pass, Pass], "bl.example.net does not list 203.0.113.25."),
        (entry(ip, "address = [\"127.0.0.2\"]\ntxt = [\"see why\"]"), [Fail, Pass], "see why"),
        (entry(ip, "address = [\"127.0.0.10\"]"), [Fail, Pass], "no bad reputation"),
        (entry(ip, "address = [\"127.0.0.10\", \"127.0.0.2\"]"), [Fail, Pass], "Repair the cause first"),
        (entry("example.org", "address = [\"127.0.0.2\"]"), [Pass, Fail], "lists example.org"),
        (
            entry(ip, "address = [\"127.255.255.254\"]"),
            [CouldNotConfirm, Pass],
            "does not answer this network",
        ),
        (entry(ip, "address = [\"192.0.2.7\"]"), [CouldNotConfirm, Pass], "192.0.2.7 is none of a blocklist"),
        (entry(ip, "fault = \"servfail\""), [CouldNotConfirm, Pass], "SERVFAIL"),
        (entry(ip, "fault = \"timeout\""), [CouldNotConfirm, Pass], "no answer in time"),
        (entry("1.0.0.127", "address = [\"127.0.0.2\"]"), [CouldNotConfirm, Pass], "lists everything"),
        (entry("invalid", "address = [\"127.0.0.2\"]"), [Pass, CouldNotConfirm], "lists everything"),
    ] {
        let (found, list) = statuses(&listed(&records), LISTS);
        assert_eq!(found, expected, "{records}\n{list}");
        let text = format!("{list:?}");
        assert!(text.contains(said), "`{said}` is missing in {text}");
    }
}

#[test]
fn a_list_without_its_test_entry_is_not_trusted_unless_the_user_says_so() {
    let world =
        World::parse(&format!("{GOOD}{}", entry("25.113.0.203", "address = [\"127.0.0.2\"]"))).unwrap();
    let (found, _) = statuses(&world, LISTS);
    assert_eq!(found, [CheckStatus::CouldNotConfirm; 2]);
    let (found, _) = statuses(&world, &LISTS.replace("asked =", "test = false\nasked ="));
    assert_eq!(found, [CheckStatus::Fail, CheckStatus::Pass]);
    let refusing = entry("2.0.0.127", "address = [\"127.255.255.254\"]");
    let world = World::parse(&format!("{GOOD}{refusing}")).unwrap();
    let (found, list) = statuses(&world, LISTS);
    assert_eq!(found[0], CheckStatus::CouldNotConfirm);
    assert!(check(&list, "blocklist.one").sentence.contains("does not answer this network"), "{list}");
}

#[test]
fn a_list_that_few_receivers_use_is_a_warning_and_a_dead_one_is_not_asked() {
    let world = listed(&entry("25.113.0.203", "address = [\"127.0.0.2\"]"));
    let (found, list) = statuses(&world, &LISTS.replace("rejects = true", "rejects = false"));
    assert_eq!(found, [CheckStatus::Warn, CheckStatus::Pass]);
    assert!(!list.has_failed());
    let (found, _) = statuses(&world, &LISTS.replace("\"always\"", "\"never\""));
    assert!(found.is_empty());
}

#[test]
fn a_key_is_asked_with_and_never_shown() {
    let keyed = LISTS.replace("asked = \"always\"", "asked = \"wanted\"\nkeyed = \"{key}.dq.example.net\"");
    let records = r#"
        [[domain]]
        name = "2.0.0.127.secretkey.dq.example.net"
        address = ["127.0.0.2"]
        [[domain]]
        name = "25.113.0.203.secretkey.dq.example.net"
        address = ["127.0.0.2"]
    "#;
    let world = World::parse(&format!("{GOOD}{records}")).unwrap();
    let setup = Setup { options: options(), lists: &keyed, key: Some("secretkey"), ..Setup::default() };
    let list = checks_with(&world, &sender(), setup);
    assert_eq!(check(&list, "blocklist.one").status, CheckStatus::Fail, "{list}");
    assert!(!format!("{list:?}").contains("secretkey"), "{list:?}");
    assert!(statuses(&world, &keyed).0.is_empty(), "without a key it is not asked");
}
