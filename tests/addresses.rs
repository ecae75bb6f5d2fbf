//! Hard addresses, in a file for each document that defines them, and cells as they are in exports.
//!
//! A line of `addresses/*.txt` has the expected result, a tab, and the text. The result is `=` if the text is sent as it is,
//! another text if that one is sent, or `!` and the name of the fault. A line of `repairs.txt` has the address, what was
//! removed, and the cell. `\u{a0}` stands for an invisible character.

#![expect(clippy::unwrap_used, reason = "a test stops at what fails")]

use listproof::Address;
use listproof::details::Repair;
use listproof::internals::address;

const DOCUMENTS: &[&str] = &[
    include_str!("addresses/dot_strings.txt"),
    include_str!("addresses/quoted_strings.txt"),
    include_str!("addresses/rfc_5322_alone.txt"),
    include_str!("addresses/domains.txt"),
    include_str!("addresses/literals.txt"),
    include_str!("addresses/international.txt"),
];

/// Replaces `\u{...}` by the characters that they stand for.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, escaped)) = rest.split_once("\\u{") {
        let (digits, after) = escaped.split_once('}').unwrap();
        plain.push_str(before);
        plain.push(char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap());
        rest = after;
    }
    plain + rest
}

fn cases(file: &str) -> impl Iterator<Item = (String, String)> {
    let lines = file.lines().filter(|line| !line.starts_with("# "));
    lines.map(|line| {
        let (expected, text) = line.rsplit_once('\t').unwrap();
        (unescape(expected), unescape(text))
    })
}

#[test]
fn hard_addresses_are_read_as_their_documents_say() {
    let (mut right, mut wrong) = (0, Vec::new());
    for (expected, text) in DOCUMENTS.iter().copied().flat_map(cases) {
        let read = match Address::parse(&text) {
            Ok(address) if address.to_string() == text => "=".to_owned(),
            Ok(address) => address.to_string(),
            Err(fault) => format!("!{}", fault.kind.word()),
        };
        if read == expected {
            right += 1;
        } else {
            wrong.push(format!("{text:?} is {read}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), right + wrong.len(), wrong.join("\n"));
    assert!(right > 1_000, "{right} cases");
}

#[test]
fn each_repair_is_made_and_named() {
    let wrong: Vec<String> = cases(include_str!("addresses/repairs.txt"))
        .filter_map(|(expected, cell)| {
            let (address, repairs) = match address::repair(&cell) {
                (Ok(address), None) => (address.to_string(), String::new()),
                (Ok(address), Some(repaired)) => {
                    let words: Vec<&str> = repaired.repairs.into_iter().map(Repair::word).collect();
                    (address.to_string(), words.join(" "))
                }
                (Err(fault), _) => (format!("!{}", fault.kind.word()), String::new()),
            };
            let read = format!("{address}\t{repairs}");
            (read != expected).then(|| format!("{cell:?} is {read:?}, not {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// RFC 5321 4.5.3.1 and RFC 1035 2.3.4: 64 octets in the local part, 63 in a label, 254 in all, even if a letter has two.
#[test]
fn lengths_are_counted_in_octets() {
    let read = |text: String| Address::parse(&text).map(|_| ()).map_err(|fault| fault.kind.word());
    let domain = |last: usize| format!("{0}.{0}.{0}.{1}", "d".repeat(60), "e".repeat(last));
    for (text, expected) in [
        (format!("{}@example.com", "a".repeat(64)), Ok(())),
        (format!("{}@example.com", "a".repeat(65)), Err("local_too_long")),
        (format!("{}@example.com", "ü".repeat(32)), Ok(())),
        (format!("{}@example.com", "ü".repeat(33)), Err("local_too_long")),
        (format!("\"{}\"@example.com", " ".repeat(62)), Ok(())),
        (format!("\"{}\"@example.com", " ".repeat(63)), Err("local_too_long")),
        (format!("a@{}.example", "b".repeat(63)), Ok(())),
        (format!("a@{}.example", "b".repeat(64)), Err("label_too_long")),
        (format!("{}@{}", "a".repeat(64), domain(6)), Ok(())),
        (format!("{}@{}", "a".repeat(64), domain(7)), Err("too_long")),
        (format!("a@{}", domain(63)), Ok(())),
    ] {
        assert_eq!(read(text.clone()), expected, "{text}");
    }
}
