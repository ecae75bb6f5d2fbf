//! Sentences made of a subject and a predicate: a missing mailbox is recognized whatever words stand for it, and the same
//! predicates about another subject mean no dead mailbox.

use listproof::policy::{ReplyContext, ReplyRules};
use listproof::{Cause, Reply, Stage, Verdict};

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

fn cause(reply: &str) -> Cause {
    let at = ReplyContext { stage: Stage::Rcpt, provider: None };
    ReplyRules::built_in().classify(&Reply::parse(reply.as_bytes()).unwrap(), &at).cause
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
