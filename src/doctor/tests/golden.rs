//! The card as it is printed, at three widths, plain and colored.

use super::*;
use crate::doctor::CardStyle;

fn list() -> CheckList {
    let lists = r#"
        [[list]]
        id = "one"
        zone = "bl.example.net"
        lists = ["ipv4"]
        asked = "always"
        rejects = true
        remove = "ask at bl.example.net for removal"
        source = "a test"
    "#;
    let records = r#"
        [[domain]]
        name = "2.0.0.127.bl.example.net"
        address = ["127.0.0.2"]
        [[domain]]
        name = "25.113.0.203.bl.example.net"
        address = ["127.0.0.2"]
        txt = ["listed, see https://bl.example.net/203.0.113.25"]
        [[host]]
        name = "mx.example.org"
    "#;
    let text = GOOD
        .replace(
            "name = \"mx.example.org\"\n    address = [\"203.0.113.26\"]",
            "name = \"unused.example.org\"",
        )
        .replace("ip4:203.0.113.25 -all", "~all")
        .replace("v=DMARC1; p=reject", "x");
    let world = World::parse(&format!("{text}{records}")).unwrap();
    let setup = Setup { options: options(), visits: true, lists, ..Setup::default() };
    let mut list = checks_with(&world, &sender(), setup);
    // It depends on the machine.
    list.checks.retain(|check| check.id != "host.files");
    list
}

#[test]
fn cards() {
    let list = list();
    for (width, colored) in [60, 80, 120].into_iter().flat_map(|width| [(width, false), (width, true)]) {
        let card = list.card(CardStyle { width, colored });
        let plain = strip(&card);
        for line in plain.lines() {
            let is_pasted = line.contains("TXT \"");
            assert!(is_pasted || line.chars().count() <= width, "{line}");
        }
        assert_eq!(colored, card != plain);
        let name = format!("card_{width}_{}", if colored { "colored" } else { "plain" });
        insta::assert_snapshot!(name, card.replace('\u{1b}', "^["));
    }
}

/// Without the sequences of colors.
fn strip(card: &str) -> String {
    let mut parts = card.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').map_or("", |(_, rest)| rest)).collect::<String>()
}
