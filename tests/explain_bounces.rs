//! Twenty bounces of the kinds that people ask about: the cause, whose fault it is, and the first step.

use listproof::Fault;
use listproof::explain::{Explainer, LetterFacts};
use listproof::policy::Policy;

/// The bounce, its cause, whose fault, and a part of the first step.
const BOUNCES: [(&str, &str, Fault, &str); 20] = [
    // An address that does not exist, in the words of four systems.
    (
        "host gmail-smtp-in.l.google.com[192.0.2.26] said: 550-5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos (in reply to RCPT TO command)",
        "mailbox_unknown",
        Fault::Mailbox,
        "remove the address",
    ),
    (
        "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found",
        "mailbox_unknown",
        Fault::Mailbox,
        "remove the address",
    ),
    (
        "host example-com.mail.protection.outlook.com[192.0.2.36] said: 550 5.4.1 Recipient address rejected: Access denied. AS(201806281) (in reply to RCPT TO command)",
        "mailbox_unknown",
        Fault::Mailbox,
        "try again tomorrow",
    ),
    (
        "host mta5.am0.yahoodns.net[192.0.2.72] said: 552 1 Requested mail action aborted, mailbox not found (in reply to end of DATA command)",
        "mailbox_unknown",
        Fault::Mailbox,
        "remove the address",
    ),
    // Blocklists and reputation.
    (
        "host mx.example.com[192.0.2.9] said: 554 5.7.1 Service unavailable; Client host [203.0.113.25] blocked using zen.spamhaus.org (in reply to RCPT TO command)",
        "ip_blocklisted",
        Fault::Us,
        "check.spamhaus.org",
    ),
    (
        "host example-com.mail.protection.outlook.com[192.0.2.36] said: 550 5.7.606 Access denied, banned sending IP [203.0.113.25]. To request removal from this list please visit https://sender.office.com/ (in reply to RCPT TO command)",
        "ip_blocklisted",
        Fault::Us,
        "sender.office.com",
    ),
    (
        "host outlook-com.olc.protection.outlook.com[192.0.2.37] said: 550 5.7.1 Unfortunately, messages from [203.0.113.25] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). (in reply to MAIL FROM command)",
        "ip_blocklisted",
        Fault::Us,
        "SNDS",
    ),
    (
        "host d1.ess.barracudanetworks.com[192.0.2.40] said: 550 permanent failure for one or more recipients (a@example.com:blocked) (in reply to end of DATA command)",
        "sender_blocked",
        Fault::Us,
        "barracudacentral.org",
    ),
    ("550 blocked", "sender_blocked", Fault::Us, "stop sending to this provider"),
    (
        "host mta6.am0.yahoodns.net[192.0.2.73] said: 421 4.7.0 [TSS04] Messages from 203.0.113.25 temporarily deferred due to unexpected volume or user complaints (in reply to MAIL FROM command)",
        "rate_limited",
        Fault::Us,
        "send more slowly",
    ),
    // SPF, DKIM, DMARC.
    (
        "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
        "sender_auth",
        Fault::Us,
        "SPF",
    ),
    (
        "host gmail-smtp-in.l.google.com[192.0.2.26] said: 550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM. (in reply to end of DATA command)",
        "sender_auth",
        Fault::Us,
        "SPF or DKIM",
    ),
    (
        "host outlook-com.olc.protection.outlook.com[192.0.2.37] said: 550 5.7.515 Access denied, sending domain example.org does not meet the required authentication level. (in reply to end of DATA command)",
        "sender_auth",
        Fault::Us,
        "DMARC",
    ),
    // Reverse DNS and HELO.
    (
        "host gmail-smtp-in.l.google.com[192.0.2.26] said: 550-5.7.25 The IP address sending this message does not have a PTR record setup (in reply to end of DATA command)",
        "ptr_or_helo",
        Fault::Us,
        "reverse name",
    ),
    (
        "host mx.example.com[192.0.2.9] said: 550 5.7.1 Client host rejected: cannot find your reverse hostname, [203.0.113.25] (in reply to RCPT TO command)",
        "ptr_or_helo",
        Fault::Us,
        "reverse name",
    ),
    // The message.
    (
        "550 5.7.350 Remote server returned message detected as spam -> 554 5.7.1 This message has been blocked because it contains a suspicious link",
        "content_rejected",
        Fault::Us,
        "look at the message",
    ),
    (
        "host mx.example.com[192.0.2.9] said: 552 5.3.4 Message size exceeds fixed limit (in reply to MAIL FROM command)",
        "message_too_large",
        Fault::Us,
        "smaller message",
    ),
    // The recipient's side.
    (
        "host gmail-smtp-in.l.google.com[192.0.2.26] said: 452-4.2.2 The recipient's inbox is out of storage space. (in reply to RCPT TO command)",
        "mailbox_full",
        Fault::Mailbox,
        "some days",
    ),
    (
        "host mx.example.com[192.0.2.9] said: 550 5.7.1 <a@example.com>: Relay access denied (in reply to RCPT TO command)",
        "relay_denied",
        Fault::Host,
        "MX records",
    ),
    (
        "host mx.example.com[192.0.2.9] said: 553 5.1.3 <a..b@example.com>: Invalid address syntax (in reply to RCPT TO command)",
        "recipient_syntax",
        Fault::List,
        "stray characters",
    ),
];

fn with_explainer<T>(use_it: impl Fn(&Explainer<'_>) -> T) -> T {
    let policy = Policy::built_in();
    let provider_of = |host: &str| policy.providers().id_of(host);
    use_it(&Explainer { rules: policy.replies(), provider_of: &provider_of })
}

#[test]
fn twenty_bounces_have_their_cause_their_fault_and_their_first_step() {
    let mut faults = String::new();
    for (bounce, cause, fault, step) in BOUNCES {
        let explanation = with_explainer(|explainer| {
            let explanation = explainer.explain_text(bounce.as_bytes()).remove(0);
            (explanation.meaning.cause, explanation.advice.step.clone())
        });
        let (found, first) = explanation;
        if found.word() != cause || found.fault() != fault || !first.contains(step) {
            faults += bounce;
            faults += &["\n  is ", found.word(), " (", found.fault().word(), "), ", &first, "\n"].concat();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn a_card_of_one_failure_says_what_to_do_next_in_order() {
    let card = with_explainer(|explainer| {
        let mut out = Vec::new();
        explainer.write_cards(BOUNCES[10].0.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    });
    let places: Vec<usize> = [
        "do first",
        "then",
        "one domain rejects you",
        "SPF: let",
        "DKIM: sign",
        "DMARC: publish",
        "--topic authentication",
    ]
    .iter()
    .map(|part| card.find(part).unwrap_or_else(|| panic!("`{part}` is missing in\n{card}")))
    .collect();
    assert!(places.is_sorted(), "{card}");
}

#[test]
fn a_letter_names_time_address_reply_and_request() {
    let bounce = "From: MAILER-DAEMON\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nSubject: Undelivered\n\n\
        Final-Recipient: rfc822; a@example.com\nAction: failed\nStatus: 5.7.1\nRemote-MTA: dns; mx.example.com\n\
        Diagnostic-Code: smtp; 554 5.7.1 Client host [203.0.113.25] blocked using bl.example.net\n";
    let letter = with_explainer(|explainer| explainer.letter(bounce.as_bytes(), &LetterFacts::default()));
    for part in [
        "To: postmaster@example.com\n",
        "Subject: mx.example.com rejects our server 203.0.113.25",
        "time         Sat, 21 Nov 2026 10:00:00 +0000",
        "recipient    a@example.com",
        "its reply    554 5.7.1 Client host [203.0.113.25] blocked using bl.example.net",
        "which list",
    ] {
        assert!(letter.contains(part), "`{part}` is missing in\n{letter}");
    }
    let facts = LetterFacts { ip: Some("192.0.2.7".parse().unwrap()), time: Some("today".to_owned()) };
    let letter = with_explainer(|explainer| explainer.letter(b"550 5.1.1 no such user", &facts));
    for part in [
        "[the recipient's address]",
        "time         today",
        "our server   192.0.2.7",
        "whether the mailbox exists",
    ] {
        assert!(letter.contains(part), "`{part}` is missing in\n{letter}");
    }
}
