//! Any text in a cell: an address is written as it was read, fits into one command, and gets the same analysis twice.

use listproof::Address;
use listproof::internals::address;
use listproof::internals::run::{AnalyzeOptions, Analyzer};
use listproof::internals::smtp::SmtpCommand;
use listproof::policy::AddressLists;

/// The bytes are a cell.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Address::parse(&text) {
        Ok(address) => {
            is_sound(&address);
            let (read, repairs) = address::repair(&text);
            assert_eq!(read.as_ref(), Ok(&address), "a valid address was repaired");
            assert!(repairs.is_none(), "a valid address was repaired: {repairs:?}");
        }
        Err(fault) => assert!(text.is_char_boundary(fault.at), "{fault:?} in {text:?}"),
    }
    if let (read, Some(repaired)) = address::repair(&text) {
        assert_eq!(Address::parse(&repaired.text), read, "the repaired text is what was read");
    }
    for apply_suggestions in [false, true] {
        let mut analyzer =
            Analyzer::new(AnalyzeOptions { apply_suggestions, ..AddressLists::built_in().into() });
        let seen = analyzer.analyze(&text);
        assert_eq!(analyzer.analyze(&text), seen, "a second look shows something else");
        if let Some(address) = seen.form.address() {
            is_sound(address);
        }
        if let Some(typo) = &seen.typo {
            is_sound(&Address::parse(&typo.meant).unwrap_or_else(|fault| panic!("{}: {fault}", typo.meant)));
        }
    }
}

fn is_sound(address: &Address) {
    let text = address.to_string();
    assert_eq!(Address::parse(&text).as_ref(), Ok(address), "{text:?} does not read back");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(address.local().len() <= 64 && text.len() <= 254, "{text:?} is too long");
    for command in [SmtpCommand::Rcpt(address), SmtpCommand::Mail { sender: address, smtputf8: true }] {
        let mut line = Vec::new();
        command.write_to(&mut line);
        let ends = line.iter().filter(|&&byte| byte < b' ').count();
        assert!(line.ends_with(b"\r\n") && ends == 2, "{:?} is not one line", String::from_utf8_lossy(&line));
    }
    let Some(domain) = address.domain() else { return };
    let name = domain.as_str();
    assert!(name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len())), "{name:?}");
    assert!(
        name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_')),
        "{name:?}"
    );
}
