//! `explain` on whole bounces, mbox files, logs and JSON lines.

use proptest::prelude::*;

use listproof::explain::Explainer;
use listproof::policy::ReplyRules;
use listproof::{Cause, Confidence, Verdict};

fn provider_of(host: &str) -> Option<&'static str> {
    [("google.com", "google"), ("mail.protection.outlook.com", "microsoft365"), ("gmx.net", "gmx")]
        .into_iter()
        .find_map(|(suffix, id)| host.ends_with(suffix).then_some(id))
}

fn explainer() -> Explainer<'static> {
    Explainer { rules: ReplyRules::built_in(), provider_of: &provider_of }
}

/// Recipient, stage, host and cause of each failure, in order.
fn explained(text: &str) -> Vec<String> {
    let explanations = explainer().explain_text(text.as_bytes());
    let show = |e: &listproof::explain::Explanation<'_>| {
        format!(
            "{} {} {} {}",
            e.failure.recipient.as_deref().unwrap_or("-"),
            e.failure.stage.map_or("-", |stage| stage.word()),
            e.failure.host.as_deref().unwrap_or("-"),
            e.meaning.cause.word()
        )
    };
    explanations.iter().map(show).collect()
}

#[test]
fn a_delivery_status_names_each_recipient() {
    assert_eq!(
        explained(include_str!("explain/dsn.eml")),
        [
            "a@example.com rcpt mx.example.com mailbox_unknown",
            "b@example.net - mx.example.net ip_blocklisted"
        ]
    );
}

#[test]
fn encoded_parts_are_decoded_and_the_returned_mail_is_ignored() {
    assert_eq!(explained(include_str!("explain/exchange-online.eml")), ["a@example.com - - mailbox_unknown"]);
    assert_eq!(
        explained(include_str!("explain/postfix-three.eml")),
        [
            "a@example.com - mx.example.com mailbox_unknown",
            "b@example.net eod mx.example.net mailbox_full",
            "c@example.org - mx.example.org greylisted",
        ]
    );
}

#[test]
fn the_stage_stands_in_the_text_of_a_bounce() {
    let bounce = "From: MAILER-DAEMON\nContent-Type: multipart/report; boundary=b\n\n--b\n\n<a@example.com>: host mx.example.com said:\n\
        550 5.1.1 User unknown (in reply to MAIL FROM command)\n\n--b\nContent-Type: message/delivery-status\n\n\
        Final-Recipient: rfc822; a@example.com\nAction: failed\nStatus: 5.1.1\n\
        Diagnostic-Code: smtp; 550 5.1.1 User unknown\n\n--b--\n";
    assert_eq!(explained(bounce), ["a@example.com mail - sender_rejected"]);
}

#[test]
fn a_text_without_a_code_is_read_with_less_confidence() {
    let explanation = explainer().explain_text(b"The user unknown is all that it says").remove(0);
    assert_eq!(
        (explanation.meaning.cause, explanation.meaning.confidence),
        (Cause::MailboxUnknown, Confidence::Inferred)
    );
    let explanation = explainer().explain_text(b"550 User unknown").remove(0);
    assert_eq!(
        (explanation.meaning.cause, explanation.meaning.confidence),
        (Cause::MailboxUnknown, Confidence::Confirmed)
    );
    let explanation = explainer().explain_text(b"User unknown for now, we will keep trying").remove(0);
    assert_eq!(explanation.meaning.cause, Cause::MailboxUnverified);
}

#[test]
fn a_providers_link_identifies_its_replies() {
    let provider = |text: &str| explainer().explain_text(text.as_bytes()).remove(0).provider;
    assert_eq!(
        provider("421 4.7.0 Deferred, see https://postmaster.yahooinc.com/error-codes"),
        Some("yahoo")
    );
    assert_eq!(provider("550 Refused. See https://www.gmx.net/mail/senderguidelines"), Some("gmx"));
    assert_eq!(provider("host mx.example.com said: 550 See https://www.gmx.net/mail"), None);
}

#[test]
fn plain_text_bounces_are_read_as_their_programs_write_them() {
    for (bounce, expected) in [
        (
            include_str!("explain/qmail.txt"),
            &["a@example.com rcpt - mailbox_unknown", "b@example.net - - mailbox_full"][..],
        ),
        (include_str!("explain/exim.txt"), &["a@example.com rcpt mx.example.com mailbox_unknown"]),
        (include_str!("explain/exchange.txt"), &["a@example.com - - mailbox_unknown"]),
        (include_str!("explain/sendmail.txt"), &["a@example.com rcpt mx.example.com mailbox_disabled"]),
        (include_str!("explain/gmail.txt"), &["- - - sender_auth"]),
    ] {
        assert_eq!(explained(bounce), expected, "{bounce}");
    }
}

#[test]
fn a_log_is_read_line_by_line_and_a_folded_reply_as_one() {
    let line = |to: &str, said: &str| {
        format!(
            "Nov 21 10:00:00 mail postfix/smtp[81]: 4Fx1: to=<{to}>, relay=mx.example.com[192.0.2.1]:25, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.1] said: {said} (in reply to RCPT TO command))\n"
        )
    };
    let log = line("a@example.com", "550 5.1.1 No such user")
        + "Nov 21 10:00:01 mail postfix/qmgr[1]: 4Fx1: removed\n"
        + &line("b@example.com", "552 5.2.2 Mailbox full");
    assert_eq!(
        explained(&log),
        [
            "a@example.com rcpt mx.example.com mailbox_unknown",
            "b@example.com rcpt mx.example.com mailbox_full"
        ]
    );
    assert_eq!(
        explained(
            "550-Requested action not taken: mailbox unavailable\n550 Reject due to policy restrictions"
        ),
        ["- - - sender_blocked"]
    );
}

#[test]
fn an_mbox_of_bounces_shows_whether_one_domain_or_every_domain_rejects_us() {
    let bounce = |domain: &str, said: &str| {
        format!(
            "From MAILER-DAEMON Sat Nov 21 10:00:00 2026\nSubject: Undelivered\n\nFinal-Recipient: rfc822; a@{domain}\nAction: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; {said}\n\n"
        )
    };
    let run = |mailbox: &str| {
        let mut out = Vec::new();
        explainer().write_cards(mailbox.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().last().unwrap().to_owned()
    };
    let listed = "554 5.7.1 Client host [192.0.2.1] blocked using zen.example.org";
    let dead = "550 5.1.1 User unknown";
    let every =
        bounce("example.com", listed) + &bounce("example.net", listed) + &bounce("example.org", listed);
    assert_eq!(
        run(&every),
        "3 of 3 domains reject the sender: look at your IP address, its name and your sender domain first"
    );
    let one = bounce("example.com", listed) + &bounce("example.net", dead) + &bounce("example.org", dead);
    assert_eq!(
        run(&one),
        "one domain rejects the sender, example.com: look at its reply, not at your whole set-up"
    );
    let none = bounce("example.com", dead) + &bounce("example.net", dead);
    assert_eq!(run(&none), "no domain rejects the sender: look at the addresses");
}

#[test]
fn json_lines_are_answered_one_for_one_and_in_order() {
    let input = concat!(
        "{\"reply\": \"550 5.1.1 No such user\", \"stage\": \"rcpt\", \"mx\": \"mx.example.com\"}\n",
        "{\"reply\": \"550 5.4.1 Recipient address rejected: Access denied\", \"mx\": \"x.mail.protection.outlook.com\"}\n",
        "{\"reply\": \"550 5.1.1 No such user\", \"stage\": \"mail\"}\n",
        "no json\n",
        "{\"reply\": 5}\n",
        "{\"reply\": \"\"}\n",
    );
    let mut out = Vec::new();
    explainer().write_json_lines(input.as_bytes(), &mut out).unwrap();
    let lines: Vec<serde_json::Value> = out
        .split(|&b| b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        ["mailbox_unknown", "mailbox_unknown", "sender_rejected", "ambiguous", "ambiguous", "ambiguous"]
    );
    assert_eq!(
        lines[0],
        serde_json::json!({
            "reason": "mailbox_unknown", "fault": "mailbox", "verdict": "undeliverable", "confidence": "confirmed",
            "retry": "no", "rule": "user-unknown", "advice": "remove the address, or look for a typing error in it",
        })
    );
}

proptest! {
    #[test]
    fn garbage_is_explained_and_never_called_undeliverable(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let explanations = explainer().explain_text(&bytes);
        prop_assert!(!explanations.is_empty());
        for explanation in explanations {
            prop_assert_ne!(explanation.meaning.cause.verdict(), Verdict::Undeliverable);
        }
        let mut out = Vec::new();
        explainer().write_json_lines(&bytes[..], &mut out).unwrap();
    }
}

#[test]
fn no_control_character_is_written() {
    let samples = [
        include_str!("explain/dsn.eml"),
        include_str!("explain/qmail.txt"),
        include_str!("explain/exim.txt"),
        include_str!("explain/exchange.txt"),
        "Nov 21 10:00:00 mail postfix/smtp[9]: 4Fx1: to=<a@example.com>, relay=mx.example.com[192.0.2.1]:25, dsn=5.7.1, status=bounced (host mx.example.com[192.0.2.1] said: 554 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org, retry in 5 minutes (in reply to RCPT TO command))\n",
        "#Fields: date-time,recipient-address,recipient-status,server-hostname\n1,a@example.com,[{LED=550 5.1.1 no such user};{FQDN=mx.example.com}],host.example.com\n",
    ];
    let steering: Vec<char> = ('\0'..='\u{1f}')
        .chain('\u{7f}'..='\u{9f}')
        .filter(|c| *c != '\n')
        .chain(['\u{200b}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{feff}'])
        .collect();
    let mut turn = steering.iter().cycle();
    for sample in samples {
        for (at, _) in sample.char_indices().step_by(11) {
            let mut pasted = sample.to_owned();
            pasted.insert(at, *turn.next().unwrap());
            let mut out = Vec::new();
            explainer().write_cards(pasted.as_bytes(), &mut out).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert!(!out.contains(|c| c != '\n' && steering.contains(&c)), "{out:?} of {pasted:?}");
        }
    }
}
