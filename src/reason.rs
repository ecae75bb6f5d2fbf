//! The words of the results: verdicts, causes, reasons, faults, and when to probe again.
//!
//! Decides: which verdict and which fault belong to a word, and whether a later probe can help. The words are the contract
//! with spreadsheets, CRMs and scripts: new ones may be added, none may change.
//! Must not: look at a reply, a domain or an address. [`crate::policy::replies`] decides which cause a reply has,
//! [`mod@crate::verdict::decide`] which reason an address has.

use std::fmt;

/// What the user should do with an address. One [`Reason`] has exactly one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The MX host accepted this recipient and rejected a random one.
    Deliverable,
    /// Mail may arrive or bounce; the user decides.
    Risky,
    /// Mail will bounce: the syntax, the domain or the mailbox shows it.
    Undeliverable,
    /// Not determined: a later run, or a run from another network, may determine it.
    Unknown,
    /// No verdict: the row has no address, or the user's own list excludes it. It counts in no rate.
    None,
}

impl Verdict {
    /// All verdicts but [`Verdict::None`], in the order in which reports list them.
    pub const ALL: [Verdict; 4] =
        [Verdict::Deliverable, Verdict::Risky, Verdict::Undeliverable, Verdict::Unknown];

    /// The word in the `verdict` column.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Deliverable => "deliverable",
            Verdict::Risky => "risky",
            Verdict::Undeliverable => "undeliverable",
            Verdict::Unknown => "unknown",
            Verdict::None => "",
        }
    }

    /// What the owner of the list should do with an address of this verdict.
    pub fn action(self) -> &'static str {
        match self {
            Verdict::Deliverable => "send",
            Verdict::Risky => "review",
            Verdict::Undeliverable => "remove",
            Verdict::Unknown => "retry",
            Verdict::None => "",
        }
    }
}

/// Whose fault it is that an address is not deliverable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The entry in the list is wrong (spelling, form).
    List,
    /// A fact about the mailbox.
    Mailbox,
    /// A fact about the domain.
    Domain,
    /// The receiving host or its name servers fail.
    Host,
    /// The server rejects us, or we failed. Such a reason never makes an address undeliverable.
    Us,
    /// No fault.
    None,
}

impl Fault {
    /// The word in the `fault` column.
    pub fn word(self) -> &'static str {
        match self {
            Fault::List => "list",
            Fault::Mailbox => "mailbox",
            Fault::Domain => "domain",
            Fault::Host => "host",
            Fault::Us => "us",
            Fault::None => "none",
        }
    }
}

/// How sure a judgment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Confidence {
    /// A clear rejection of this recipient, an acceptance beside a rejected control, a syntax fault, or an
    /// authoritative DNS answer.
    Confirmed,
    /// Concluded from anything less.
    Inferred,
}

impl Confidence {
    /// The word in the `confidence` column.
    pub fn word(self) -> &'static str {
        match self {
            Confidence::Confirmed => "confirmed",
            Confidence::Inferred => "inferred",
        }
    }
}

/// When another probe can lead to another reply, if ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Never: the reply is final.
    No,
    /// One more time.
    Once,
    /// Immediately, over TLS.
    WithTls,
    /// At another MX host of the domain.
    OtherMxHost,
    /// Later, at a lower rate.
    Slower,
    /// Later: the failure is expected to pass.
    Later,
    /// After the time that the reply names, else after 5 minutes, 15 minutes, 1 hour.
    AsRequested,
    /// After an hour.
    Hour,
    /// After a day.
    Day,
    /// After some days: a full mailbox is rarely empty within hours.
    Days,
    /// When our IP address is no longer on the blocklist.
    AfterDelisting,
    /// When our own DNS, HELO name or sender is repaired.
    AfterRepair,
}

impl Retry {
    /// The word that `explain` prints.
    pub fn word(self) -> &'static str {
        match self {
            Retry::No => "no",
            Retry::Once => "once",
            Retry::WithTls => "with_tls",
            Retry::OtherMxHost => "other_mx",
            Retry::Slower => "slower",
            Retry::Later => "later",
            Retry::AsRequested => "as_told",
            Retry::Hour => "hour",
            Retry::Day => "day",
            Retry::Days => "days",
            Retry::AfterDelisting => "after_delisting",
            Retry::AfterRepair => "after_repair",
        }
    }
}

/// Generates an enum of words from one table, so that each word has a verdict, a fault, a retry and a sentence.
macro_rules! vocabulary {
    ($(#[$enum_doc:meta])* $name:ident {
        $($(#[$doc:meta])* $variant:ident = $word:literal, $verdict:ident, $fault:ident, $retry:ident, $sentence:literal;)+
    }) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $sentence] $(#[$doc])* $variant,)+ }

        impl $name {
            /// All words, in table order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The word in columns and files, in `snake_case`.
            pub fn word(self) -> &'static str { match self { $($name::$variant => $word,)+ } }

            /// The verdict of this word.
            pub fn verdict(self) -> Verdict { match self { $($name::$variant => Verdict::$verdict,)+ } }

            /// Whose fault it is.
            pub fn fault(self) -> Fault { match self { $($name::$variant => Fault::$fault,)+ } }

            /// When another probe can help.
            pub fn retry(self) -> Retry { match self { $($name::$variant => Retry::$retry,)+ } }

            /// A plain sentence for users.
            pub fn sentence(self) -> &'static str { match self { $($name::$variant => $sentence,)+ } }

            /// The variant with this word; `None` for any other text.
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

vocabulary! {
/// What one SMTP reply means. A closed set: reply rules can name no other cause.
Cause {
    Accepted = "accepted", Deliverable, None, No,
        "the server accepts mail for this mailbox";
    MailboxFull = "mailbox_full", Risky, Mailbox, Days,
        "the mailbox exists but is full";
    MailboxSuspended = "mailbox_suspended", Risky, Mailbox, Days,
        "the mailbox is suspended for now";
    RecipientRateLimited = "recipient_rate_limited", Risky, Mailbox, Hour,
        "the mailbox exists but receives too much mail at the moment";
    RecipientPolicy = "recipient_policy", Risky, Mailbox, No,
        "the mailbox exists but accepts mail from known senders only";
    MailboxUnknown = "mailbox_unknown", Undeliverable, Mailbox, No,
        "there is no such mailbox at this domain";
    MailboxDisabled = "mailbox_disabled", Undeliverable, Mailbox, No,
        "the mailbox is closed";
    MailboxMoved = "mailbox_moved", Undeliverable, Mailbox, No,
        "the mailbox has a new address or a new owner";
    DomainNoMail = "domain_no_mail", Undeliverable, Domain, No,
        "the domain accepts no mail at all";
    RecipientSyntax = "recipient_syntax", Risky, List, No,
        "the server rejects this unusual address as malformed";
    MailboxUnverified = "mailbox_unverified", Unknown, Mailbox, Hour,
        "the server could not check the mailbox at the moment";
    RecipientDomainUnknown = "recipient_domain_unknown", Unknown, Host, Once,
        "the server cannot resolve the recipient's domain";
    RelayDenied = "relay_denied", Unknown, Host, OtherMxHost,
        "the server says that it does not serve this domain";
    IpBlocklisted = "ip_blocklisted", Unknown, Us, AfterDelisting,
        "the sender's IP address is on a blocklist that this server uses";
    SenderBlocked = "sender_blocked", Unknown, Us, Slower,
        "the server rejects the sender because of reputation, region or policy";
    SenderAuth = "sender_auth", Unknown, Us, AfterRepair,
        "the sender's domain fails SPF, DKIM or DMARC";
    PtrOrHelo = "ptr_or_helo", Unknown, Us, AfterRepair,
        "the server rejects the sender's reverse DNS or HELO name";
    SenderRejected = "sender_rejected", Unknown, Us, AfterRepair,
        "the server rejects the envelope sender";
    RateLimited = "rate_limited", Unknown, Us, Slower,
        "the sender exceeded a rate limit of the server";
    TlsRequired = "tls_required", Unknown, Us, WithTls,
        "the server requires an encrypted connection";
    ProtocolError = "protocol_error", Unknown, Us, Once,
        "the server rejects an SMTP command or the order of commands";
    Greylisted = "greylisted", Unknown, None, AsRequested,
        "the server defers unknown senders and expects a retry (greylisting)";
    ServerFailure = "server_failure", Unknown, Host, Later,
        "the receiving system is broken, full or busy";
    RoutingFailure = "routing_failure", Unknown, Host, Later,
        "a mail server behind this one fails, loops or times out";
    ContentRejected = "content_rejected", Unknown, Us, No,
        "the content of a message was rejected";
    MessageTooLarge = "message_too_large", Unknown, Us, No,
        "a message was too large";
    Ambiguous = "ambiguous", Unknown, None, Once,
        "the server's reply does not show what is wrong";
}
}

vocabulary! {
/// A reason that is not the cause of one reply: concluded from several replies, or without any.
Finding {
    CatchAll = "catch_all", Risky, Domain, No,
        "the domain accepts mail for any name, so acceptance does not prove that this mailbox exists";
    CatchAllUnknown = "catch_all_unknown", Risky, Domain, No,
        "accepted, but it is not known whether the server accepts any name";
    NotCheckable = "not_checkable", Risky, Domain, No,
        "this provider rejects missing mailboxes only after a message was sent, so no check without sending is possible";
    DomainNotServed = "domain_not_served", Undeliverable, Domain, No,
        "none of the domain's mail servers accepts mail for this domain";
    ProviderAnomaly = "provider_anomaly", Unknown, Host, Day,
        "unusually many mailboxes are missing at this provider, which looks like an outage of the provider";
    Syntax = "syntax", Undeliverable, List, No,
        "this is not a valid e-mail address";
    ProviderSyntax = "provider_syntax", Undeliverable, List, No,
        "this provider does not allow such a name";
    Empty = "empty", None, List, No,
        "there is no address in this row";
    Excluded = "excluded", None, None, No,
        "the address or its domain is on a list of addresses that are not probed";
    DomainNotFound = "domain_not_found", Undeliverable, Domain, No,
        "the domain does not exist";
    NoMailHost = "no_mail_host", Undeliverable, Domain, No,
        "the domain has no mail server";
    NullMx = "null_mx", Undeliverable, Domain, No,
        "the domain declares that it accepts no mail";
    SpecialUseDomain = "special_use_domain", Undeliverable, Domain, No,
        "the domain is reserved and can't receive mail";
    MxUnroutable = "mx_unroutable", Undeliverable, Domain, No,
        "the domain's mail servers have addresses that can't be reached from the Internet";
    DnsFailure = "dns_failure", Unknown, Host, Later,
        "the domain's name servers, or our resolver, did not answer properly";
    ConnectFailed = "connect_failed", Unknown, Host, Later,
        "no connection to the domain's mail servers";
    Timeout = "timeout", Unknown, Host, Later,
        "the mail server did not answer in time";
    Disconnected = "disconnected", Unknown, Host, Later,
        "the mail server closed the connection";
    MalformedReply = "malformed_reply", Unknown, Host, Later,
        "the mail server answered with something that is not SMTP";
    Smtputf8Unsupported = "smtputf8_unsupported", Unknown, Host, No,
        "the mail server does not support addresses with non-ASCII characters";
    AddressLiteral = "address_literal", Unknown, None, No,
        "the address names a host by its IP address, which is probed only on request";
    NotProbed = "not_probed", Unknown, Us, Later,
        "the mailbox was not checked";
    Internal = "internal", Unknown, Us, Once,
        "listproof failed on this row; please report it";
    Disposable = "disposable", Risky, Domain, No,
        "a disposable address";
    ProbableTypo = "probable_typo", Risky, List, No,
        "the domain looks like a typing mistake";
    RoleAccount = "role_account", Risky, List, No,
        "a role address that several people share";
}
}

/// Why an address has its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A single reply decided; its cause.
    Reply(Cause),
    /// Several replies, or something other than a reply, decided.
    Finding(Finding),
}

macro_rules! forward {
    ($($(#[$doc:meta])* $method:ident -> $ty:ty;)+) => {
        $($(#[$doc])* pub fn $method(self) -> $ty {
            match self { Reason::Reply(cause) => cause.$method(), Reason::Finding(finding) => finding.$method() }
        })+
    };
}

impl Reason {
    forward! {
        /// The word in the `reason` column, in `snake_case`.
        word -> &'static str;
        /// The verdict of this reason.
        verdict -> Verdict;
        /// Whose fault it is.
        fault -> Fault;
        /// When another probe can help.
        retry -> Retry;
        /// A plain sentence for users.
        sentence -> &'static str;
    }

    /// The word in the `action` column: what the owner of the list should do with the row. An excluded address has no
    /// verdict and is removed all the same.
    pub fn action(self) -> &'static str {
        match self {
            Reason::Finding(Finding::Excluded) => Verdict::Undeliverable.action(),
            _ => self.verdict().action(),
        }
    }

    /// All reasons.
    pub fn all() -> impl Iterator<Item = Reason> {
        let causes = Cause::ALL.iter().copied().map(Reason::Reply);
        causes.chain(Finding::ALL.iter().copied().map(Reason::Finding))
    }

    /// The reason with this word; `None` for any other text.
    pub fn from_word(word: &str) -> Option<Reason> {
        Cause::from_word(word).map(Reason::Reply).or_else(|| Finding::from_word(word).map(Reason::Finding))
    }
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Reason {
        Reason::Reply(cause)
    }
}

impl From<Finding> for Reason {
    fn from(finding: Finding) -> Reason {
        Reason::Finding(finding)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_unique_and_lead_back_to_their_reason() {
        let mut seen = HashSet::new();
        for reason in Reason::all() {
            assert!(seen.insert(reason.word()), "`{reason}` occurs twice");
            assert_eq!(Reason::from_word(reason.word()), Some(reason));
        }
        assert_eq!(Reason::from_word("Accepted"), None);
    }

    /// Trouble of ours or of a server never makes an address undeliverable: the part of that law that the words can hold.
    #[test]
    fn no_fault_of_ours_or_of_a_host_makes_an_address_undeliverable() {
        for reason in Reason::all() {
            if matches!(reason.fault(), Fault::Us | Fault::Host | Fault::None) {
                assert_ne!(reason.verdict(), Verdict::Undeliverable, "{reason}");
            }
            if reason.verdict() == Verdict::Undeliverable {
                assert_eq!(reason.retry(), Retry::No, "{reason}");
            }
        }
    }
}
