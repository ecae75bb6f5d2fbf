//! The checks against blocklists: the address of this host, and the domains of sender and HELO name.
//!
//! Decides: when a list may be trusted. Its test entries are asked first; an answer outside 127.0.0.0/8, an answer that is an
//! error of the list, and a look-up that failed are never a listing. A key is never shown.

use std::net::IpAddr;

use super::answer::{Answer, ask};
use super::check::{CheckStatus, Finding};
use super::spf::reverse_name;
use crate::policy::{Blocklist, BlocklistAnswer, ListedKind};
use crate::route::{Dns, RecordType};

/// What is looked up in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed<'a> {
    /// An address of this host.
    Address(IpAddr),
    /// A domain of the sender.
    Domain(&'a str),
}

impl Listed<'_> {
    pub(super) fn kind(self) -> ListedKind {
        match self {
            Listed::Address(IpAddr::V4(_)) => ListedKind::Ipv4,
            Listed::Address(IpAddr::V6(_)) => ListedKind::Ipv6,
            Listed::Domain(_) => ListedKind::Domain,
        }
    }

    /// The first part of the name that is asked.
    fn label(self) -> String {
        match self {
            Listed::Address(ip) => reversed(ip),
            Listed::Domain(domain) => domain.to_owned(),
        }
    }

    fn shown(self) -> String {
        match self {
            Listed::Address(ip) => ip.to_string(),
            Listed::Domain(domain) => domain.to_owned(),
        }
    }
}

/// `192.0.2.1` -> `1.2.0.192`
fn reversed(ip: IpAddr) -> String {
    let name = reverse_name(ip);
    let name = name.strip_suffix(".in-addr.arpa").or_else(|| name.strip_suffix(".ip6.arpa")).unwrap_or(&name);
    name.to_owned()
}

/// What a list says about one name.
enum Said {
    Listed {
        means: Vec<String>,
        is_policy: bool,
    },
    NotListed,
    /// Nothing that can be used: why.
    Nothing(String),
}

/// The list has no entry for it.
pub(super) async fn blocklist(
    dns: &dyn Dns,
    list: &Blocklist,
    key: Option<&str>,
    listed: Listed<'_>,
) -> Finding {
    let zone = list.zone(key);
    let public = list.public_zone();
    let shown = listed.shown();
    let unconfirmed = |why: String| {
        Finding::new(
            CheckStatus::CouldNotConfirm,
            format!("{public} could not be asked about {shown}: {why}."),
        )
        .fix("Ask it by hand, or use a resolver of your own with --dns ADDR:PORT.")
    };
    if list.has_test_entries {
        let (entry, free) = test_entries(list, listed.kind());
        let (entry_name, free_name) = (format!("{entry}.{zone}"), format!("{free}.{zone}"));
        let (entry_said, free_said) =
            tokio::join!(ask(dns, &entry_name, RecordType::A), ask(dns, &free_name, RecordType::A));
        let details = [&entry_said, &free_said].map(|answer| answer.detail.replace(&zone, public));
        let fault = match (said(list, &entry_said), said(list, &free_said)) {
            (Said::Nothing(why), _) | (_, Said::Nothing(why)) => Some(why),
            (Said::NotListed, _) => Some(format!("its test entry {entry} is not listed")),
            (_, Said::Listed { .. }) => {
                Some(format!("it lists {free} too, which no list may, so it lists everything"))
            }
            (Said::Listed { .. }, Said::NotListed) => None,
        };
        if let Some(fault) = fault {
            return unconfirmed(fault.replace(&zone, public)).details(details);
        }
    }
    let name = format!("{}.{zone}", listed.label());
    let answer = ask(dns, &name, RecordType::A).await;
    let detail = answer.detail.replace(&zone, public);
    match said(list, &answer) {
        Said::Nothing(why) => unconfirmed(why.replace(&zone, public)).detail(detail),
        Said::NotListed => {
            Finding::new(CheckStatus::Pass, format!("{public} does not list {shown}.")).detail(detail)
        }
        Said::Listed { means, is_policy } => {
            let status = if list.rejects { CheckStatus::Fail } else { CheckStatus::Warn };
            let mut sentence = format!("{public} lists {shown}.");
            if is_policy {
                sentence.push_str(
                    " That is no bad reputation: mail is not expected to come directly from this address.",
                );
            } else if !list.rejects {
                sentence.push_str(" Few receivers reject mail because of it.");
            }
            let reason = ask(dns, &name, RecordType::Txt).await;
            let finding = Finding::new(status, sentence).detail(detail).details(means);
            let finding = if reason.records.is_empty() {
                finding
            } else {
                finding.detail(reason.detail.replace(&zone, public))
            };
            if is_policy {
                finding.fix("Probe from an address that is meant for mail servers (`--source-ip`), or ask the network's owner to exempt this one.")
            } else {
                let remove = &list.remove;
                finding.fix(format!("Repair the cause first. Then: {remove}."))
            }
        }
    }
}

/// A name that the list has, and one that it must not have (RFC 5782 5).
fn test_entries(list: &Blocklist, kind: ListedKind) -> (String, String) {
    let v6 = |last: u16| reversed(std::net::Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x7f00, last).into());
    match kind {
        ListedKind::Ipv4 => ("2.0.0.127".to_owned(), "1.0.0.127".to_owned()),
        ListedKind::Ipv6 => (v6(2), v6(1)),
        ListedKind::Domain => {
            (list.test_domain.clone().unwrap_or_else(|| "test".to_owned()), "invalid".to_owned())
        }
    }
}

/// What an answer of the list says.
fn said(list: &Blocklist, answer: &Answer) -> Said {
    if let Some(failure) = &answer.failure {
        return Said::Nothing(failure.clone());
    }
    let (mut listings, mut policies, mut means) = (0, 0, Vec::new());
    for address in answer.addresses() {
        match list.read(address) {
            BlocklistAnswer::Refused(why) => return Said::Nothing(why),
            BlocklistAnswer::Foreign => {
                return Said::Nothing(format!(
                    "the answer {address} is none of a blocklist; the resolver rewrites answers, or the list is gone"
                ));
            }
            BlocklistAnswer::Listed { means: text, is_policy } => {
                listings += 1;
                policies += u32::from(is_policy);
                means.extend(text);
            }
        }
    }
    match listings {
        0 => Said::NotListed,
        _ => Said::Listed { means, is_policy: policies == listings },
    }
}
