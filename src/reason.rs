//! The vocabulary on the ground floor: verdicts, causes, reasons, faults, and when to ask again.
//!
//! Decides: which word belongs to which verdict, whose fault it is and whether a later try can help. These
//! words are the contract with spreadsheets, CRMs and scripts: they may be added to, never changed.
//! Must not: look at a reply, a domain or an address. That a reply *means* a cause is decided in
//! [`crate::policy::replies`], that an address *has* a reason in [`mod@crate::verdict::decide`].

use std::fmt;

/// What the user should do with an address. One [`Reason`] has exactly one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// This very mailbox was asked for and accepted, and a made-up one at the same exchanger was not.
    Deliverable,
    /// May work, may bounce; the user decides.
    Risky,
    /// Will bounce: syntax, domain or mailbox says so.
    Undeliverable,
    /// Could not be found out now, or not by us.
    Unknown,
}

impl Verdict {
    /// All verdicts, in the order in which reports list them.
    pub const ALL: [Verdict; 4] =
        [Verdict::Deliverable, Verdict::Risky, Verdict::Undeliverable, Verdict::Unknown];

    /// The word in the `verdict` column.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Deliverable => "deliverable",
            Verdict::Risky => "risky",
            Verdict::Undeliverable => "undeliverable",
            Verdict::Unknown => "unknown",
        }
    }

    /// The word in the `action` column: what a list owner does with such a row.
    pub fn action(self) -> &'static str {
        match self {
            Verdict::Deliverable => "send",
            Verdict::Risky => "review",
            Verdict::Undeliverable => "remove",
            Verdict::Unknown => "retry",
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
    /// The receiver refuses us, or we failed ourselves. Can never make an address look bad.
    Us,
    /// Nobody's.
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

/// How sure a judgement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Confidence {
    /// This mailbox was refused in clear words, or accepted with a refused control; or our parser or
    /// authoritative DNS decided.
    Confirmed,
    /// Everything else.
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

/// When, if ever, asking again can change the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The answer is final.
    No,
    /// One more try is worth it.
    Once,
    /// At once, but over TLS.
    WithTls,
    /// At another exchanger of the domain.
    OtherExchanger,
    /// Later, and at a lower pace.
    Slower,
    /// Later: the failure is expected to pass.
    Later,
    /// When the reply says so, else after 5 minutes, 15 minutes, 1 hour.
    AsTold,
    /// After an hour.
    Hour,
    /// After a day.
    Day,
    /// After some days: a full mailbox is rarely emptied within hours.
    Days,
    /// After our address was taken off the blocklist.
    AfterDelisting,
    /// After we repaired our own set-up.
    AfterRepair,
}

impl Retry {
    /// The word that `explain` prints.
    pub fn word(self) -> &'static str {
        match self {
            Retry::No => "no",
            Retry::Once => "once",
            Retry::WithTls => "with_tls",
            Retry::OtherExchanger => "other_mx",
            Retry::Slower => "slower",
            Retry::Later => "later",
            Retry::AsTold => "as_told",
            Retry::Hour => "hour",
            Retry::Day => "day",
            Retry::Days => "days",
            Retry::AfterDelisting => "after_delisting",
            Retry::AfterRepair => "after_repair",
        }
    }
}

/// Makes an enum of words with their verdict, fault, retry and sentence from one table, so that a word can't
/// exist without them.
macro_rules! vocabulary {
    ($(#[$enum_doc:meta])* $name:ident {
        $($(#[$doc:meta])* $variant:ident = $word:literal, $verdict:ident, $fault:ident, $retry:ident, $sentence:literal;)+
    }) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $sentence] $(#[$doc])* $variant,)+ }

        impl $name {
            /// Every word of this vocabulary, in table order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The `snake_case` word, as columns and files have it.
            pub fn word(self) -> &'static str { match self { $($name::$variant => $word,)+ } }

            /// The one verdict that belongs to it.
            pub fn verdict(self) -> Verdict { match self { $($name::$variant => Verdict::$verdict,)+ } }

            /// Whose fault it is.
            pub fn fault(self) -> Fault { match self { $($name::$variant => Fault::$fault,)+ } }

            /// Whether and when asking again can help.
            pub fn retry(self) -> Retry { match self { $($name::$variant => Retry::$retry,)+ } }

            /// One plain sentence for people.
            pub fn sentence(self) -> &'static str { match self { $($name::$variant => $sentence,)+ } }

            /// The variant of a word; `None` for any other text.
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

vocabulary! {
/// What one SMTP reply means. A closed set: a reply rule can name nothing else.
Cause {
    Accepted = "accepted", Deliverable, None, No,
        "the server accepts mail for this mailbox";
    MailboxFull = "mailbox_full", Risky, Mailbox, Days,
        "the mailbox exists but is full";
    MailboxSuspended = "mailbox_suspended", Risky, Mailbox, Days,
        "the mailbox is switched off for now";
    RecipientRateLimited = "recipient_rate_limited", Risky, Mailbox, Hour,
        "the mailbox exists and receives too much mail just now";
    RecipientPolicy = "recipient_policy", Risky, Mailbox, No,
        "the mailbox exists but does not take mail from strangers";
    MailboxUnknown = "mailbox_unknown", Undeliverable, Mailbox, No,
        "there is no such mailbox at this domain";
    MailboxDisabled = "mailbox_disabled", Undeliverable, Mailbox, No,
        "the mailbox was closed";
    MailboxMoved = "mailbox_moved", Undeliverable, Mailbox, No,
        "the mailbox has a new address or a new owner";
    DomainNoMail = "domain_no_mail", Undeliverable, Domain, No,
        "the domain takes no mail at all";
    RecipientSyntax = "recipient_syntax", Risky, List, No,
        "the server finds this unusual address malformed";
    MailboxUnverified = "mailbox_unverified", Unknown, Mailbox, Hour,
        "the server could not confirm the mailbox just now";
    RecipientDomainUnknown = "recipient_domain_unknown", Unknown, Host, Once,
        "the server cannot resolve the recipient's domain";
    RelayDenied = "relay_denied", Unknown, Host, OtherExchanger,
        "the server says that it does not serve this domain";
    IpBlocklisted = "ip_blocklisted", Unknown, Us, AfterDelisting,
        "our IP address is on a blocklist that this server uses";
    SenderBlocked = "sender_blocked", Unknown, Us, Slower,
        "the server refuses us by reputation, region or policy";
    SenderAuth = "sender_auth", Unknown, Us, AfterRepair,
        "our sender domain fails SPF, DKIM or DMARC";
    PtrOrHelo = "ptr_or_helo", Unknown, Us, AfterRepair,
        "our reverse DNS or HELO name is refused";
    SenderRejected = "sender_rejected", Unknown, Us, AfterRepair,
        "our envelope sender is refused";
    RateLimited = "rate_limited", Unknown, Us, Slower,
        "we asked too much or too fast";
    TlsRequired = "tls_required", Unknown, Us, WithTls,
        "the server demands an encrypted connection";
    ProtocolError = "protocol_error", Unknown, Us, Once,
        "the server rejects our command or its order";
    Greylisted = "greylisted", Unknown, None, AsTold,
        "the server asks newcomers to come back later";
    ServerFailure = "server_failure", Unknown, Host, Later,
        "the receiving system is broken, full or busy";
    RoutingFailure = "routing_failure", Unknown, Host, Later,
        "a hop behind the server fails, loops or times out";
    ContentRejected = "content_rejected", Unknown, Us, No,
        "the content of a message was refused";
    MessageTooLarge = "message_too_large", Unknown, Us, No,
        "a message was too large";
    Ambiguous = "ambiguous", Unknown, None, Once,
        "the server's words and codes do not tell what it means";
}
}

vocabulary! {
/// What was found without a reply, or by weighing more than one.
Finding {
    CatchAll = "catch_all", Risky, Domain, No,
        "the domain accepts mail for any name, so this one proves nothing";
    CatchAllUnknown = "catch_all_unknown", Risky, Domain, No,
        "accepted, but the server would not say whether it accepts any name";
    NotCheckable = "not_checkable", Risky, Domain, No,
        "this operator refuses unknown mailboxes only after the message, so it can't be asked";
    DomainNotServed = "domain_not_served", Undeliverable, Domain, No,
        "none of the domain's mail servers serves this domain";
    OperatorAnomaly = "provider_anomaly", Unknown, Host, Day,
        "too many mailboxes vanished at this operator at once, which looks like an outage of theirs";
    Syntax = "syntax", Undeliverable, List, No,
        "this is not a valid e-mail address";
    ProviderSyntax = "provider_syntax", Undeliverable, List, No,
        "this provider does not allow such a name";
    Empty = "empty", Undeliverable, List, No,
        "there is no address in this row";
    DomainNotFound = "domain_not_found", Undeliverable, Domain, No,
        "the domain does not exist";
    NoMailHost = "no_mail_host", Undeliverable, Domain, No,
        "the domain has no mail server";
    NullMx = "null_mx", Undeliverable, Domain, No,
        "the domain declares that it takes no mail";
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
        "the mail server hung up";
    MalformedReply = "malformed_reply", Unknown, Host, Later,
        "the mail server answered with something that is not SMTP";
    Smtputf8Unsupported = "smtputf8_unsupported", Unknown, Host, No,
        "the mail server does not take addresses with letters beyond ASCII";
    AddressLiteral = "address_literal", Unknown, None, No,
        "the address names a host by number and is not probed unless asked";
    NotProbed = "not_probed", Unknown, Us, Later,
        "the mailbox was not asked about";
    Internal = "internal", Unknown, Us, Once,
        "listproof failed on this row; please report it";
    Disposable = "disposable", Risky, Domain, No,
        "a throw-away address";
    ProbableTypo = "probable_typo", Risky, List, No,
        "the domain looks like a slip of the keyboard";
    RoleAccount = "role_account", Risky, List, No,
        "a shared role address, not a person's";
}
}

/// Why an address has its verdict: what a reply said, or what was found otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A reply decided.
    Said(Cause),
    /// Anything but a single reply decided.
    Found(Finding),
}

macro_rules! forward {
    ($($(#[$doc:meta])* $method:ident -> $ty:ty;)+) => {
        $($(#[$doc])* pub fn $method(self) -> $ty {
            match self { Reason::Said(cause) => cause.$method(), Reason::Found(finding) => finding.$method() }
        })+
    };
}

impl Reason {
    forward! {
        /// The `snake_case` word in the `reason` column.
        word -> &'static str;
        /// The one verdict that belongs to it.
        verdict -> Verdict;
        /// Whose fault it is.
        fault -> Fault;
        /// Whether and when asking again can help.
        retry -> Retry;
        /// One plain sentence for people.
        sentence -> &'static str;
    }

    /// Every reason there is.
    pub fn all() -> impl Iterator<Item = Reason> {
        let said = Cause::ALL.iter().copied().map(Reason::Said);
        said.chain(Finding::ALL.iter().copied().map(Reason::Found))
    }

    /// The reason of a word; `None` for any other text.
    pub fn from_word(word: &str) -> Option<Reason> {
        Cause::from_word(word).map(Reason::Said).or_else(|| Finding::from_word(word).map(Reason::Found))
    }
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Reason {
        Reason::Said(cause)
    }
}

impl From<Finding> for Reason {
    fn from(finding: Finding) -> Reason {
        Reason::Found(finding)
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
    fn words_are_unique_and_read_back() {
        let mut seen = HashSet::new();
        for reason in Reason::all() {
            assert!(seen.insert(reason.word()), "`{reason}` stands twice");
            assert_eq!(Reason::from_word(reason.word()), Some(reason));
        }
        assert_eq!(Reason::from_word("Accepted"), None);
    }

    /// The one law, as far as the vocabulary can hold it.
    #[test]
    fn our_own_faults_and_the_hosts_never_condemn() {
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
