//! The ids of the checks, their groups, and why each matters. An id stays.

use super::check::{Check, CheckGroup, Finding};

/// A check without its result.
pub(super) type Named = (&'static str, CheckGroup, &'static str);

pub(super) const RESOLVER: Named = ("dns.resolver", CheckGroup::Host, "Every verdict rests on its answers.");
pub(super) const PORT: Named = (
    "smtp.port25",
    CheckGroup::Host,
    "Mail servers are asked at port 25, and most clouds and home lines close it.",
);
pub(super) const PORT_IPV6: Named =
    ("smtp.port25_ipv6", CheckGroup::Host, "Mail servers without an IPv4 address can be asked by IPv6 only.");
pub(super) const EGRESS: Named = (
    "smtp.egress",
    CheckGroup::Host,
    "PTR record, SPF and reputation count for the address that receivers see.",
);
pub(super) const PATH: Named = (
    "smtp.path",
    CheckGroup::Host,
    "Answers of a firewall or proxy in between say nothing about an address.",
);
pub(super) const PTR: Named = (
    "dns.ptr",
    CheckGroup::Host,
    "Many receivers reject hosts without a name that leads back to their address.",
);
pub(super) const HELO: Named = (
    "smtp.helo",
    CheckGroup::Host,
    "Receivers look up the name in HELO, and reject one that does not exist.",
);
pub(super) const LISTED: (CheckGroup, &str) =
    (CheckGroup::Host, "Receivers reject hosts that are on a blocklist.");
pub(super) const CLOCK: Named =
    ("host.clock", CheckGroup::Host, "Retry times, lifetimes of results and logs follow the clock.");
pub(super) const FILES: Named = ("host.files", CheckGroup::Host, "Each connection is an open file.");
pub(super) const MX: Named = (
    "from.mx",
    CheckGroup::Sender,
    "Receivers check whether the sender can get a reply, and reject senders that cannot.",
);
pub(super) const MAILBOX: Named = (
    "from.mailbox",
    CheckGroup::Sender,
    "Some receivers ask the sender's own server whether the sender exists.",
);
pub(super) const POSTMASTER: Named = (
    "from.postmaster",
    CheckGroup::Sender,
    "Each domain with mail must accept mail for postmaster (RFC 5321 4.5.1).",
);
pub(super) const SPF: Named =
    ("spf", CheckGroup::Sender, "Receivers reject hosts that the sender's domain does not allow.");
pub(super) const DMARC: Named =
    ("dmarc", CheckGroup::Sender, "Large receivers want a policy from those who send much mail.");
pub(super) const DKIM: Named = ("dkim", CheckGroup::Sender, "Large receivers want signed mail.");
pub(super) const LISTED_DOMAIN: (CheckGroup, &str) =
    (CheckGroup::Sender, "Receivers reject senders whose domain is on a blocklist.");
pub(super) const MTA_STS: Named =
    ("mta_sts", CheckGroup::Sender, "For information: it protects the mail that this domain receives.");
pub(super) const TLS_RPT: Named =
    ("tls_rpt", CheckGroup::Sender, "For information: it reports failures of encrypted mail to this domain.");

pub(super) fn of(finding: Finding, (id, group, why): Named) -> Check {
    finding.of(id, group, why)
}
