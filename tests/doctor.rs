//! `doctor` against a name server on loopback.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at what fails")]

mod support;

use serde_json::Value;
use support::Folder;

const WORLD: &str = r#"
[[domain]]
name = "example.com"
txt = ["unrelated", ["v=spf1 a:_hosts.exam", "ple.com include:provider.example -all exp=why.example.com"]]
[[domain]]
name = "_hosts.example.com"
address = ["192.0.2.7", "2001:db8:1::7"]
[[domain]]
name = "why.example.com"
txt = ["%{i} is not a server of %{d}"]
[[domain]]
name = "provider.example"
txt = ["v=spf1 ptr ?exists:%{l}.users.provider.example ~mx ip6:2001:db8::/32"]
mx = ["10 lost.example"]
[[domain]]
name = "9.2.0.192.in-addr.arpa"
ptr = ["out.provider.example"]
[[domain]]
name = "out.provider.example"
address = ["192.0.2.9"]
[[domain]]
name = "long.example"
txt = ["v=spf1 ip4:203.0.113.1 ip4:203.0.113.2 ip4:203.0.113.3 ip4:203.0.113.4 ip4:203.0.113.5 ip4:203.0.113.6 ip4:203.0.113.7 ip4:203.0.113.8 ip4:203.0.113.9 ip4:203.0.113.10 ip4:203.0.113.11 ip4:203.0.113.12 ip4:203.0.113.13 ip4:203.0.113.14 ip4:203.0.113.15 ip4:203.0.113.16 ip4:203.0.113.17 ip4:203.0.113.18 ip4:203.0.113.19 ip4:203.0.113.20 ip4:203.0.113.21 ip4:203.0.113.22 ip4:203.0.113.23 ip4:192.0.2.1 -all"]
[[domain]]
name = "sick.example"
fault = "servfail"
fault_on = "txt"
[[domain]]
name = "wrong.example"
txt = ["v=spf1 ip5:192.0.2.1 -all"]
"#;

#[test]
fn spf_of_a_client_is_evaluated() {
    let folder = Folder::with_file("world.toml", WORLD);
    let served = folder.serve("world.toml");
    let dns = served.flags()[1];
    let ask = |ip: &str, helo: &str, mail_from: &[&str]| -> Value {
        let arguments =
            [&["doctor", "spf", "--json", "--dns", dns, "--ip", ip, "--helo", helo], mail_from].concat();
        serde_json::from_str(&folder.run(&arguments).exits(0).stdout()).unwrap()
    };
    let from = |ip: &str, sender: &str| ask(ip, "mail.example.org", &["--mail-from", sender]);

    let pass = from("192.0.2.7", "me@example.com");
    assert_eq!(
        (pass["result"].as_str(), pass["decided_by"].as_str()),
        (Some("pass"), Some("a:_hosts.example.com"))
    );
    assert_eq!(
        (&pass["lookups"], &pass["void_lookups"], &pass["explanation"]),
        (&1.into(), &0.into(), &Value::Null)
    );

    let included = from("192.0.2.9", "me@example.com");
    assert_eq!(included["decided_by"], "include:provider.example");
    assert_eq!(included["lookups"], 3);
    assert_eq!(included["tree"]["terms"][1]["record"]["terms"][0]["term"], "ptr");
    assert_eq!(from("2001:db8::5", "me@example.com")["result"], "pass");

    let fail = from("192.0.2.8", "me@example.com");
    assert_eq!((&fail["result"], &fail["decided_by"]), (&"fail".into(), &"-all".into()));
    assert_eq!(fail["explanation"], "192.0.2.8 is not a server of example.com");
    assert_eq!((&fail["lookups"], &fail["void_lookups"]), (&5.into(), &2.into()));

    assert_eq!(ask("192.0.2.8", "example.com", &[])["result"], "fail");
    assert_eq!(from("192.0.2.1", "me@long.example")["result"], "pass");
    assert_eq!(from("192.0.2.1", "me@nowhere.example")["result"], "none");
    assert_eq!(from("192.0.2.1", "me@out.provider.example")["result"], "none");
    let sick = from("192.0.2.1", "me@sick.example");
    assert_eq!((&sick["result"], &sick["tree"]["record"]), (&"temperror".into(), &Value::Null));
    assert!(sick["problem"]["message"].as_str().unwrap().contains("SERVFAIL"));
    let wrong = from("192.0.2.1", "me@wrong.example");
    assert_eq!((&wrong["result"], &wrong["problem"]["offset"]), (&"permerror".into(), &7.into()));
}

#[test]
fn spf_as_text() {
    let folder = Folder::with_file("world.toml", WORLD);
    let served = folder.serve("world.toml");
    let dns = served.flags()[1];
    let flags = [
        "doctor",
        "spf",
        "--dns",
        dns,
        "--ip",
        "192.0.2.8",
        "--helo",
        "h.example",
        "--mail-from",
        "a@wrong.example",
    ];
    let printed = folder.run(&flags).exits(0).stdout();
    let expected = "permerror, decided by `ip5:192.0.2.1`\n\
                    wrong.example: `ip5` is not a mechanism (byte 7 of the record)\n\
                    look-ups: 0 of 10, 0 of 2 void\n\
                    wrong.example: v=spf1 ip5:192.0.2.1 -all\n";
    assert_eq!(printed, expected);
}

/// A world with a sender that is in order, but for what a test adds.
const SENDER_WORLD: &str = r#"
[[domain]]
name = "1.0.0.127.in-addr.arpa"
ptr = ["probe.example.org"]
[[domain]]
name = "example.org"
mx = ["10 mx.example.org"]
txt = ["v=spf1 ip4:127.0.0.1 -all"]
mailboxes = ["check"]
[[domain]]
name = "_dmarc.example.org"
txt = ["v=DMARC1; p=reject"]
[[domain]]
name = "shop.example"
mx = ["10 mx.shop.example"]
mailboxes = ["jane"]
[[host]]
name = "mx.example.org"
[[host]]
name = "mx.shop.example"
"#;

fn status<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    let check =
        checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no `{id}` in {report:#}"));
    check["status"].as_str().unwrap()
}

#[test]
fn all_checks_of_a_served_world() {
    let list = b"email\njane@shop.example\njane@shop.example\nno address\n";
    let named = "[[domain]]\nname = \"probe.example.org\"\naddress = [\"127.0.0.1\"]\n";
    let folder = Folder::with(list, &format!("{SENDER_WORLD}{named}"));
    let served = folder.serve("world.toml");
    let arguments = [
        &["doctor", "--json", "--list", "list.csv", "--source-ip", "127.0.0.1"],
        &support::SENDER[..],
        &served.flags(),
    ]
    .concat();
    let report: Value = serde_json::from_str(&folder.run(&arguments).exits(0).stdout()).unwrap();
    for (id, expected) in [
        ("dns.resolver", "pass"),
        ("smtp.port25", "pass"),
        ("dns.ptr", "pass"),
        ("smtp.helo", "pass"),
        ("from.mx", "pass"),
        ("from.mailbox", "pass"),
        ("from.postmaster", "pass"),
        ("spf", "pass"),
        ("dmarc", "pass"),
        ("dkim", "could_not_confirm"),
        ("list.read", "pass"),
        ("list.duplicates", "pass"),
        ("list.providers", "pass"),
        ("run.state", "pass"),
        ("run.disk", "pass"),
    ] {
        assert_eq!(status(&report, id), expected, "{id} in {report:#}");
    }
    for check in report["checks"].as_array().unwrap() {
        for key in ["id", "group", "status", "sentence", "why", "details", "fix"] {
            assert!(check.get(key).is_some(), "{key} in {check}");
        }
    }
    let again = folder.run(&[&arguments[..], &["--again", "dns.ptr"]].concat()).exits(0).stdout();
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["checks"].as_array().unwrap().len(), 1);
    folder
        .run(&[&arguments[..], &["--again", "no.such"]].concat())
        .fails(2, &["no check `no.such`", "dns.ptr"]);
}

#[test]
fn a_card_says_what_to_do_first_and_the_exit_code_is_12() {
    let folder =
        Folder::with_file("world.toml", SENDER_WORLD.replace("v=spf1 ip4:127.0.0.1 -all", "v=spf1 -all"));
    let served = folder.serve("world.toml");
    let arguments = [&["doctor", "--source-ip", "127.0.0.1"], &support::SENDER[..], &served.flags()].concat();
    let card = folder.run(&arguments).exits(12).stdout();
    let mut lines = card.lines();
    assert_eq!(lines.next(), Some("Not ready: a run would find out little."), "{card}");
    assert!(lines.next().unwrap().starts_with("Do first: "), "{card}");
    assert!(card.contains("ip4:127.0.0.1"), "{card}");
}

#[test]
fn without_a_network_all_checks_end_within_ten_seconds() {
    let folder = Folder::with_file("list.csv", "email\njane@shop.example\n");
    // Nothing answers there.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dns = silent.local_addr().unwrap().to_string();
    let began = std::time::Instant::now();
    let arguments =
        [&["doctor", "--json", "--dns", &dns, "--list", "list.csv"], &support::SENDER[..]].concat();
    let report: Value = serde_json::from_str(&folder.run(&arguments).exits(0).stdout()).unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    for check in report["checks"].as_array().unwrap() {
        let is_local = ["list.read", "run.state", "run.disk"].iter().any(|id| check["id"] == *id);
        assert!(is_local || check["status"] == "could_not_confirm", "{check:#}");
    }
}

#[test]
fn a_run_whose_helo_name_has_no_address_does_not_begin_unless_forced() {
    let nameless = "[[domain]]\nname = \"probe.example.org\"\n";
    let folder = Folder::with(b"email\njane@shop.example\n", &format!("{SENDER_WORLD}{nameless}"));
    let served = folder.serve("world.toml");
    let run = |more: &[&str]| {
        let flags = [
            &["verify", "list.csv", "-o", "out", "--state", "s.db"],
            &support::SENDER[..],
            &served.flags(),
            more,
        ];
        folder.run(&flags.concat())
    };
    run(&[]).fails(
        12,
        &["smtp.helo: probe.example.org has no address record", "probe.example.org. A ", "--force"],
    );
    assert!(!folder.path("out").exists() || folder.path("out").read_dir().unwrap().next().is_none());
    run(&["--force"]).exits(0);
    let summary = folder.summary("out");
    assert_eq!(summary["forced"], serde_json::json!(["smtp.helo"]), "{summary}");
    assert_eq!(summary["verdicts"]["deliverable"], 1, "{summary}");
    let stored: String = support::query(&folder.path("s.db"), "SELECT check_id FROM forced").unwrap();
    assert_eq!(stored, "smtp.helo");
    let asked = |more: &[&str]| {
        let flags = [&["state", "ledger", "shop.example", "--state", "s.db"], more];
        folder.run(&flags.concat()).exits(0).stdout()
    };
    let all = asked(&["--from", "2020-01-01"]);
    assert!(all.starts_with("at,recipient,kind,mx_host,egress,stage,code,reply\n"), "{all}");
    assert!(all.contains(",jane@shop.example,listed,mx.shop.example,"), "{all}");
    assert_eq!(asked(&["--to", "2020-01-01"]).lines().count(), 1);
    folder.run(&["state", "ledger", "x.example", "--from", "yesterday"]).exits(2);
}
