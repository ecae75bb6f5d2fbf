//! How a value stands in a column: routes, replies and the words of a result. Each is written and read here, so that
//! both directions agree.
//!
//! A reply is split into a template and parts. Servers repeat a few sentences with other addresses, ids and times in
//! them, so the sentence is stored once and the parts with each reply. Both together give the reply back, byte for
//! byte. Can't know: values that no version wrote; they are read as `None`, and what they belong to counts as not
//! known.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use crate::address::Domain;
use crate::evidence::{NotCatchAllProof, NotProbedReason, PositiveControl, RecipientKind};
use crate::route::{DnsFault, MxHost, NoMailReason, Route};
use crate::smtp::Enhanced;

/// `reply.kind`: a recipient of the list, a random recipient, `postmaster`. Queries have the numbers as literals.
pub(super) fn kind_number(kind: RecipientKind) -> i64 {
    match kind {
        RecipientKind::Listed(_) | RecipientKind::Recheck(_) => 0,
        RecipientKind::Random => RANDOM,
        RecipientKind::Postmaster => 2,
    }
}

/// `reply.kind` of a random recipient.
pub(super) const RANDOM: i64 = 1;

/// The control with this number; `None` for a recipient of the list, which the number does not name.
pub(super) fn control(number: i64) -> Option<RecipientKind> {
    match number {
        RANDOM => Some(RecipientKind::Random),
        2 => Some(RecipientKind::Postmaster),
        _ => None,
    }
}

/// Words of `result.catch_all` beside those of [`PROOFS`].
pub(super) const CATCH_ALL: &str = "yes";
pub(super) const CATCH_ALL_UNCLEAR: &str = "unclear";
pub(super) const CONTROL_FAILED: &str = "failed";

/// Words of `result.catch_all` for a domain that is no catch-all, by the proof.
pub(super) const PROOFS: Words<NotCatchAllProof, 3> = Words([
    (NotCatchAllProof::Control, "no.control"),
    (NotCatchAllProof::UnclearControl, "no.unclear_control"),
    (NotCatchAllProof::Listed, "no.listed"),
]);

/// Words of `result.positive_control`; null if there was none.
pub(super) const POSITIVE_CONTROLS: Words<PositiveControl, 3> = Words([
    (PositiveControl::Accepted, "accepted"),
    (PositiveControl::SameText, "same_words"),
    (PositiveControl::Inconclusive, "silent"),
]);

/// Values with their words.
pub(super) struct Words<T, const N: usize>([(T, &'static str); N]);

impl<T: Clone + PartialEq, const N: usize> Words<T, N> {
    pub(super) fn word(&self, value: &T) -> Option<&'static str> {
        self.0.iter().find(|(known, _)| known == value).map(|(_, word)| *word)
    }

    pub(super) fn value(&self, word: &str) -> Option<T> {
        self.0.iter().find(|(_, known)| *known == word).map(|(value, _)| value.clone())
    }
}

/// Why a recipient was not probed to the end, by the word in `result.not_probed_because`; `wait` is the time that is
/// left until `result.retry_at`.
pub(super) fn not_probed_reason(word: &str, wait: Duration) -> Option<NotProbedReason> {
    let all = [
        NotProbedReason::Offline,
        NotProbedReason::DnsOnly,
        NotProbedReason::Deadline,
        NotProbedReason::Budget(wait),
        NotProbedReason::ProviderPaused,
    ];
    all.into_iter().find(|reason| reason.word() == word)
}

/// `result.retry_at`: the wait, counted from the end of the run.
pub(super) fn retry_at(reason: Option<NotProbedReason>, now: SystemTime) -> Option<SystemTime> {
    match reason {
        Some(NotProbedReason::Budget(wait)) => Some(now + wait),
        _ => None,
    }
}

/// `route.kind` and `route.detail`: a line for each MX host, or the failure.
pub(super) fn encode_route(route: &Route) -> (&'static str, String) {
    match route {
        Route::Hosts(mx_hosts) => {
            let mut lines = String::new();
            for MxHost { host, preference, addresses } in mx_hosts {
                // Writing into a string can't fail.
                let _ = write!(lines, "{preference} {host}");
                for address in addresses {
                    let _ = write!(lines, " {address}");
                }
                lines.push('\n');
            }
            ("hosts", lines)
        }
        Route::NullMx => ("null_mx", String::new()),
        Route::Absent(NoMailReason::NoSuchDomain) => ("no_such_domain", String::new()),
        Route::Absent(NoMailReason::NoMailHost) => ("no_mail_host", String::new()),
        Route::Unroutable(address) => ("unroutable", address.to_string()),
        Route::Failed(DnsFault::Other(words)) => ("failed", words.clone()),
        Route::Failed(fault) => ("failed", fault.word().to_owned()),
    }
}

/// The route in these two columns.
pub(super) fn decode_route(kind: &str, detail: &str) -> Option<Route> {
    Some(match kind {
        "hosts" => Route::Hosts(detail.lines().map(mx_host).collect::<Option<_>>()?),
        "null_mx" => Route::NullMx,
        "no_such_domain" => Route::Absent(NoMailReason::NoSuchDomain),
        "no_mail_host" => Route::Absent(NoMailReason::NoMailHost),
        "unroutable" => Route::Unroutable(detail.parse().ok()?),
        "failed" => Route::Failed(match detail {
            "servfail" => DnsFault::ServFail,
            "refused" => DnsFault::Refused,
            "timeout" => DnsFault::Timeout,
            "unreachable" => DnsFault::Unreachable,
            "rewritten" => DnsFault::Rewritten,
            "private_address" => DnsFault::PrivateAddress,
            "internal" => DnsFault::Internal,
            words => DnsFault::Other(words.to_owned()),
        }),
        _ => return None,
    })
}

fn mx_host(line: &str) -> Option<MxHost> {
    let mut words = line.split(' ');
    Some(MxHost {
        preference: words.next()?.parse().ok()?,
        host: Domain::from_dns(words.next()?).ok()?,
        addresses: words.map(|word| word.parse().ok()).collect::<Option<_>>()?,
    })
}

/// In a template: the address that was probed. No reply holds one of these three, which are control characters.
const ADDRESS: char = '\u{11}';
/// In a template: its local part.
const LOCAL: char = '\u{12}';
/// In a template: the next part.
const PART: char = '\u{1a}';

/// The address and the local part of a reply that is not about one recipient. No reply holds it, so every name in the reply
/// becomes a part.
pub(super) const NO_ADDRESS: &str = "\u{11}";

/// Characters around a name in a reply.
const AROUND: &[char] = &['<', '>', '(', ')', '[', ']', '"', '\'', '`', ':', ';', ',', '.'];

/// The template of a reply's lines, and the parts, separated by blanks, if there are any.
pub(super) fn split_reply(lines: &[String], local: &str, address: &str) -> (String, Option<String>) {
    let (mut template, mut parts) = (String::new(), String::new());
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            template.push('\n');
        }
        for (place, word) in line.split(' ').enumerate() {
            if place > 0 {
                template.push(' ');
            }
            split_word(word, local, address, &mut template, &mut parts);
        }
    }
    (template, (!parts.is_empty()).then_some(parts))
}

fn split_word(word: &str, local: &str, address: &str, template: &mut String, parts: &mut String) {
    if let Some(at) = word.find(address) {
        let (before, after) = (&word[..at], &word[at + address.len()..]);
        if !is_part(before) && !is_part(after) {
            template.push_str(before);
            template.push(ADDRESS);
            template.push_str(after);
            return;
        }
    } else if word.trim_matches(AROUND) == local {
        template.push_str(&word.replace(local, LOCAL.encode_utf8(&mut [0; 4])));
        return;
    }
    if !is_part(word) {
        template.push_str(word);
        return;
    }
    if !parts.is_empty() {
        parts.push(' ');
    }
    parts.push_str(word);
    template.push(PART);
}

/// True for a word that differs from reply to reply: one with a digit or an `@` that is no reply code.
fn is_part(word: &str) -> bool {
    /// `(#5.1.1)` and the like; longer ones are times and ids.
    const CODE_BYTES: usize = 9;
    let is_code = |word: &str| {
        word.len() <= CODE_BYTES && word.bytes().all(|b| b.is_ascii_digit() || b".-#()[]:;,".contains(&b))
    };
    word.contains('@')
        || (word.bytes().any(|b| b.is_ascii_digit()) && !is_code(word) && Enhanced::parse(word).is_none())
}

/// The lines of a reply, from its template and its parts.
pub(super) fn join_reply(template: &str, parts: Option<&str>, local: &str, address: &str) -> Vec<String> {
    let mut parts = parts.unwrap_or_default().split(' ');
    let line = |line: &str| {
        let mut whole = String::with_capacity(line.len() + 32);
        for c in line.chars() {
            match c {
                ADDRESS => whole.push_str(address),
                LOCAL => whole.push_str(local),
                PART => whole.push_str(parts.next().unwrap_or_default()),
                c => whole.push(c),
            }
        }
        whole
    };
    template.split('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::smtp::Reply;

    const JANE: (&str, &str) = ("jane", "jane@acme.example");

    fn template(line: &str) -> String {
        split_reply(&[line.to_owned()], JANE.0, JANE.1).0
    }

    #[test]
    fn a_route_is_read_as_it_was_written() {
        let host = |host: &str, preference, addresses: &[&str]| MxHost {
            host: Domain::from_dns(host).unwrap(),
            preference,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        };
        for route in [
            Route::Hosts(vec![
                host("mx1.acme.example", 10, &["192.0.2.1", "2001:db8::1"]),
                host("_mx.acme.example", 20, &["192.0.2.2"]),
            ]),
            Route::NullMx,
            Route::Absent(NoMailReason::NoSuchDomain),
            Route::Absent(NoMailReason::NoMailHost),
            Route::Unroutable("127.0.0.1".parse().unwrap()),
            Route::Failed(DnsFault::ServFail),
            Route::Failed(DnsFault::Refused),
            Route::Failed(DnsFault::Timeout),
            Route::Failed(DnsFault::Unreachable),
            Route::Failed(DnsFault::Rewritten),
            Route::Failed(DnsFault::PrivateAddress),
            Route::Failed(DnsFault::Internal),
            Route::Failed(DnsFault::Other("the server said no".to_owned())),
        ] {
            let (kind, detail) = encode_route(&route);
            assert_eq!(decode_route(kind, &detail), Some(route));
        }
        assert_eq!(decode_route("elsewhere", ""), None);
    }

    #[test]
    fn a_template_of_no_recipient_holds_no_name() {
        let lines = ["4.7.1 <jane@acme.example>: Try again later".to_owned()];
        let (template, parts) = split_reply(&lines, NO_ADDRESS, NO_ADDRESS);
        assert_eq!(
            (&*template, parts.as_deref()),
            ("4.7.1 \u{1a} Try again later", Some("<jane@acme.example>:"))
        );
        assert_eq!(join_reply(&template, parts.as_deref(), NO_ADDRESS, NO_ADDRESS), lines);
    }

    #[test]
    fn replies_that_differ_in_names_ids_and_times_share_a_template() {
        for (one, other) in [
            (
                "5.1.1 <jane@acme.example>: Recipient address rejected",
                "5.1.1 <jane@acme.example>: Recipient address rejected",
            ),
            ("5.1.1 No such user d2e1a72fcca58-7f3b - gsmtp", "5.1.1 No such user 77a0f3 - gsmtp"),
            (
                "5.4.1 Access denied. [AM0EUR02FT003.eop.example 2026-01-05T09:00:00.000Z 08DE2F1A2B3C4D5E]",
                "5.4.1 Access denied. [VE1EUR01FT009.eop.example 2026-11-22T01:02:03.004Z 08DE000000000000]",
            ),
        ] {
            assert_eq!(template(one), template(other));
        }
        assert_ne!(template("5.1.1 x"), template("5.2.1 x"));
        assert_eq!(template("user jane unknown"), "user \u{12} unknown");
    }

    proptest! {
        #[test]
        fn a_reply_that_is_split_and_joined_is_the_same(
            lines in prop::collection::vec("([a-z0-9.@<>#() -]|jane@acme.example|jane|5.1.1 ){0,12}", 1..4),
        ) {
            let lines = Reply::new(550, lines).lines;
            let (template, parts) = split_reply(&lines, JANE.0, JANE.1);
            prop_assert_eq!(join_reply(&template, parts.as_deref(), JANE.0, JANE.1), lines);
        }
    }
}
