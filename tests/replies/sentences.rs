//! Sentences made of a subject and a predicate: a missing mailbox is recognized whatever words stand for it, and the same
//! predicates about another subject mean no dead mailbox.

use listproof::policy::{Meaning, ReplyContext, ReplyRules};
use listproof::{Cause, Confidence, Reply, Stage, Verdict};

const MAILBOXES: [&str; 20] = [
    "user",
    "mailbox",
    "recipient",
    "account",
    "address",
    "email address",
    "e-mail account",
    "alias",
    "addressee",
    "username",
    "customer",
    "subscriber",
    "inbox",
    "local user",
    "destination mailbox",
    "recipient's mailbox",
    "userid",
    "intended recipient",
    "recepient",
    "adress",
];
const ABSENT: [&str; 24] = [
    "unknown",
    "not found",
    "does not exist",
    "doesn't exist",
    "doesnt exist",
    "dosn't exist",
    "does no exists",
    "invalid",
    "is not valid",
    "is unkown",
    "was not found",
    "could not be found",
    "no longer exists",
    "is not known",
    "unrecognized",
    "is nonexistent",
    "non-existent",
    "not listed",
    "does not appear to exist",
    "is not here",
    "does not live here",
    "never existed",
    "is not on this server",
    "not registered",
];
const CLOSED: [&str; 12] = [
    "disabled",
    "is inactive",
    "has been deactivated",
    "suspended",
    "closed",
    "has expired",
    "terminated",
    "is no longer active",
    "discontinued",
    "has been deleted",
    "is locked",
    "switched off",
];
const FULL: [&str; 10] = [
    "is full",
    "over quota",
    "quota exceeded",
    "has exceeded its quota",
    "has no space left",
    "exceeded storage limit",
    "out of space",
    "has reached its maximum size",
    "storage exceeded",
    "over the allowed quota",
];
const OTHERS: [&str; 48] = [
    "sender address",
    "envelope sender",
    "sender's mailbox",
    "sender user",
    "return path",
    "return-path",
    "envelope-from address",
    "MAIL FROM address",
    "From: address",
    "header from address",
    "Reply-To address",
    "HELO name",
    "EHLO hostname",
    "client host",
    "client hostname",
    "your host name",
    "your IP",
    "your IP address",
    "your mail server",
    "your account",
    "your mailbox",
    "your email address",
    "sender's domain",
    "domain of sender address news@example.org",
    "reverse DNS entry for your host",
    "PTR record",
    "message header",
    "user database",
    "mailbox store",
    "recipient map",
    "user table",
    "LDAP server",
    "sending account",
    "sending user",
    "authenticated user",
    "SASL user",
    "bounce address",
    "originator address",
    "author address",
    "recipient domain",
    "recipient's domain",
    "destination host",
    "backend server",
    "IP address 192.0.2.1",
    "DKIM key",
    "certificate",
    "login credentials",
    "address verification service",
];

fn meaning(reply: &str) -> Meaning {
    let at = ReplyContext { stage: Stage::Rcpt, provider: None };
    ReplyRules::built_in().classify(&Reply::parse(reply.as_bytes()).unwrap(), &at)
}

fn cause(reply: &str) -> Cause {
    meaning(reply).cause
}

/// All sentences of a subject and a predicate that do not mean one of these.
fn misread(subjects: &[&str], predicates: &[&str], means: &[Cause]) -> Vec<String> {
    let sentences =
        subjects.iter().flat_map(|subject| predicates.iter().map(move |predicate| (subject, predicate)));
    let replies = sentences.map(|(subject, predicate)| format!("550 The {subject} {predicate}"));
    let read = replies.map(|reply| (cause(&reply), reply));
    read.filter(|(cause, _)| !means.contains(cause))
        .map(|(cause, reply)| format!("{}: {reply}", cause.word()))
        .collect()
}

#[test]
fn a_missing_mailbox_is_recognized_whatever_the_words() {
    use Cause::{MailboxDisabled, MailboxFull, MailboxUnknown};
    let none: Vec<String> = Vec::new();
    assert_eq!(misread(&MAILBOXES, &ABSENT, &[MailboxUnknown]), none);
    assert_eq!(misread(&MAILBOXES, &CLOSED, &[MailboxDisabled, MailboxUnknown]), none);
    assert_eq!(misread(&MAILBOXES, &FULL, &[MailboxFull]), none);
}

#[test]
fn a_missing_mailbox_is_recognized_in_many_languages() {
    let recorded = include_str!("absent.txt").lines().filter(|line| !line.starts_with('#'));
    let misread: Vec<&str> = recorded.filter(|reply| cause(reply) != Cause::MailboxUnknown).collect();
    assert_eq!(misread, Vec::<&str>::new());
}

#[test]
fn a_predicate_of_another_subject_makes_no_mailbox_unknown() {
    let predicates = ABSENT.iter().chain(&CLOSED).chain(["unavailable", "is full", "is missing"].iter());
    let pairs = predicates.flat_map(|predicate| OTHERS.iter().map(move |subject| (subject, predicate)));
    let forms = |(subject, predicate): (&&str, &&str)| {
        [
            format!("550 The {subject} {predicate}"),
            format!("550 {subject}: {predicate}"),
            format!("554 5.7.1 Message refused because the {subject} {predicate}"),
        ]
    };
    let is_dead = |reply: &String| {
        matches!(cause(reply), Cause::MailboxUnknown | Cause::MailboxDisabled | Cause::MailboxMoved)
    };
    let wrong: Vec<String> = pairs.flat_map(forms).filter(is_dead).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn questions_suppositions_and_links_are_no_statements() {
    for reply in [
        "550 5.7.1 Rejected. Contact the postmaster if the user does not exist",
        "554 5.3.0 Cannot tell whether the mailbox exists",
        "550 5.7.1 Refused, see https://help.example.com/no-such-user/user-unknown",
        "550 5.7.1 This user is unknown to our whitelist",
        "550 5.7.1 Your address cannot be found in the list of allowed senders",
        "550 Verification failed for <news@example.org>: 550 5.1.1 no such user",
    ] {
        assert!(cause(reply).verdict() != Verdict::Undeliverable, "{reply}");
    }
}

#[test]
fn a_reason_about_us_beats_a_statement_about_the_mailbox() {
    let statements = [
        "User unknown",
        "Mailbox unavailable",
        "Recipient address rejected",
        "The mailbox could not be found",
    ];
    let reasons = [
        "your network is not trusted",
        "the client host is not known to us",
        "your IP is listed",
        "the sender does not exist",
        "too many connections from your host",
        "your server has a poor reputation",
        "the TLS handshake failed",
        "your clothes do not suit our staff",
        "the directory server is unavailable",
    ];
    let joints = [" because ", " due to ", ", reason: ", " -> 550 "];
    for statement in statements {
        for joint in joints {
            for reason in reasons {
                let reply = format!("550 5.1.1 {statement}{joint}{reason}");
                assert!(cause(&reply).verdict() != Verdict::Undeliverable, "{reply}: {:?}", meaning(&reply));
            }
        }
    }
}

#[test]
fn a_reason_about_the_mailbox_explains_a_refusal() {
    for statement in ["Message refused", "Delivery denied", "Mail rejected", "5.7.1 Not delivered"] {
        for joint in [" because ", " due to ", ": reason: ", " -> 550 "] {
            for reason in ["the mailbox does not exist", "an unknown recipient", "no such user here"] {
                let reply = format!("550 {statement}{joint}{reason}");
                assert_eq!(cause(&reply), Cause::MailboxUnknown, "{reply}");
            }
        }
    }
}

#[test]
fn either_or_never_confirms_a_dead_mailbox() {
    let dead = ["unknown", "not found", "does not exist", "invalid", "could not be found"];
    let others = [
        "full",
        "over quota",
        "access denied",
        "access is denied",
        "you are blocked",
        "your host is not allowed",
        "not permitted",
    ];
    for subject in ["User", "Mailbox", "The recipient", "Account"] {
        for (one, other) in dead.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
            for reply in [
                format!("550 {subject} {one} or {other}"),
                format!("550 5.1.1 {subject} is {other} or {one}"),
            ] {
                let meaning = meaning(&reply);
                let condemns = meaning.cause.verdict() == Verdict::Undeliverable;
                assert!(!(condemns && meaning.confidence == Confidence::Confirmed), "{reply}: {meaning:?}");
            }
        }
    }
}

#[test]
fn who_refuses_whom_is_read_in_both_voices() {
    use Cause::{DomainNoMail, MailboxDisabled, RecipientPolicy, SenderBlocked, SenderRejected};
    for (reply, right) in [
        ("550 The user refused to receive the message", RecipientPolicy),
        ("550 Recipient declined to accept your mail", RecipientPolicy),
        ("550 Your mail was refused by the user", RecipientPolicy),
        ("550 You were blocked by this recipient", RecipientPolicy),
        ("550 We do not accept mail from host.example.org", SenderBlocked),
        ("550 Our system does not take messages from your provider", SenderBlocked),
        ("550 This server refuses to accept mail from residential networks", SenderBlocked),
        ("550 This account does not accept mail", MailboxDisabled),
        ("550 The account does not accept mail from outside", RecipientPolicy),
        ("550 This domain does not accept mail", DomainNoMail),
        ("550 The server refused your sender", SenderRejected),
    ] {
        assert_eq!(cause(reply), right, "{reply}");
    }
}

#[test]
fn a_server_that_moved_is_no_mailbox_that_moved() {
    for subject in
        ["Our mail server", "This server", "The mail system", "The service", "This host", "The platform"]
    {
        for moved in ["has been moved", "is being migrated", "was relocated", "has been transferred"] {
            let reply = format!("550 {subject} {moved}");
            assert!(cause(&reply).verdict() != Verdict::Undeliverable, "{reply}");
        }
    }
    assert_eq!(cause("550 The user has been moved to another company"), Cause::MailboxMoved);
}
