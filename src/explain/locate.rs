//! Locates the server's reply in a text: a pasted reply, a log line, a paragraph of a bounce.
//!
//! Decides: where in a text the reply begins and ends, and which stage, host and recipient the text names. Reads log lines of
//! Postfix, Exim, Sendmail and Exchange by the marks that they share (`said:`, `after RCPT TO`, `stat=`, `relay=`).
//! Must not: say what the reply means. Can't know: where the reply is in a text without a code; then the whole text is the
//! reply, and [`LocatedReply::has_code`] is false.

use crate::smtp::{Enhanced, Reply, Stage};
use regex::Regex;
use std::sync::LazyLock;

/// A reply found in a text, and what the text says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedReply {
    /// The reply. If the text has no code, it gets one: 450 if the text speaks of a retry, otherwise 550.
    pub reply: Reply,
    /// True if the text has a reply code or an enhanced code, so that it is a server's reply and not prose.
    pub has_code: bool,
    /// The stage that the text names: the command that the reply answers.
    pub stage: Option<Stage>,
    /// The host that sent the reply.
    pub host: Option<String>,
    /// The recipient of the delivery.
    pub recipient: Option<String>,
}

/// Compiles a constant pattern.
#[expect(clippy::expect_used, reason = "constant patterns, compiled by the tests")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// A number that is a reply code, because an enhanced code, a letter or a bracket follows.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r##"(?:^|[\s:;('"#<>,]|LED=|reply=)([245][0-5][0-9])(?:[ -]+#?[245]\.[0-9]{1,3}\.[0-9]{1,3}\b|[):]{0,2}[ -]+[^\s0-9]|, ?b?['"]|[ -]*$)"##,
    )
});
/// A rejection in the server's own log: Exim's mark before the text of the reply.
static REJECTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:temporarily )?rejected (?:(?:MAIL|RCPT|EHLO|HELO|AUTH|DATA|connection|after DATA)\b|EHLO or HELO)(?: <[^>]*>| [^ :]+)?[^:]{0,60}: ",
    )
});
/// Words before a code that show that it answers a callout about the sender. They belong to the reply.
static SENDER_CALLOUT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\bsender verif|\bsender callout|\b(?:callback|verification) failed for"));
/// Words of a text without a code that call the failure temporary.
static LATER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\btemporar|try(?:ing)? again|try later|will (?:be )?(?:retr|tr(?:y|ied)|keep|continue)|\bdelayed|deferred|being retried|vor(?:ü|ue)bergehend|momentan|temporaneamente|временн|稍后|稍後|暂时|暫時|一時的",
    )
});
/// The host that sent the reply.
static HOST: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\bhost |\brelay=|\bH=|while talking to |remote-mta: *dns; *|generating server: *|\bby (?:server )?)([a-z0-9-]+(?:\.[a-z0-9-]+)+)",
    )
});
/// The recipient of the delivery.
static RECIPIENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?mi)(?:\bto=<?|RCPT TO: ?<?|\*\* |== |=> |^\s*<?|final-recipient: *rfc822; *<?)([^\s<>@,;:()]+@[^\s<>@,;:()]+)",
    )
});
/// The status of a delivery in a log line without a reply: `dsn=5.1.1`.
static STATUS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bdsn=([245]\.[0-9]{1,3}\.[0-9]{1,3})"));

/// The failure that a text reports. A text without a reply becomes the text of one.
pub(super) fn failure(text: &str) -> LocatedReply {
    let (reply, has_code) = extract_reply(text);
    let recipient = first(&RECIPIENT, text).map(str::to_owned);
    LocatedReply { reply, has_code, stage: stage_named(text), host: host_named(text), recipient }
}

/// The reply in a text, and whether the text has a code.
pub fn extract_reply(text: &str) -> (Reply, bool) {
    // The log of qmail has `_` for a space and `/` for the end of a line.
    if let Some((_, quoted)) = text.split_once("emote_host_said:_") {
        let quoted = quoted.replace('_', " ").replace('/', "\n");
        let code = CODE.captures(&quoted).and_then(|found| found.get(1));
        if let Some(reply) = code.and_then(|code| pasted(close_quote(&quoted, code.start()))) {
            return (reply, true);
        }
    }
    // In a server's own log, sender and recipient follow the text of the reply.
    let text = text.split("; from=<").next().unwrap_or(text);
    let Some(sign) = REJECTED.find_iter(text).last().filter(|sign| sign.end() < text.len()) else {
        return reply_among(text);
    };
    let (reply, has_code) = reply_among(&text[sign.end()..]);
    let is_temporary = sign.as_str().starts_with("temporarily") && !has_code;
    (if is_temporary { Reply::new(450, reply.lines) } else { reply }, has_code)
}

/// The reply in a text: what follows the code, or the whole text if it has none.
fn reply_among(text: &str) -> (Reply, bool) {
    if let Some(reply) = pasted(text) {
        return (reply, true);
    }
    // In a transcript of Sendmail, lines of the reply begin with `<<<`; the lines below them are Sendmail's own.
    let received: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("<<< ")).collect();
    if let Some(reply) = pasted(&received.join("\n")) {
        return (reply, true);
    }
    if let Some(code) = CODE.captures(text).and_then(|found| found.get(1))
        && SENDER_CALLOUT.is_match(&text[..code.start()])
        && let Ok(number) = code.as_str().parse()
    {
        return (Reply::new(number, [text]), true);
    }
    if let Some(code) = CODE.captures(text).and_then(|found| found.get(1))
        && let Some(reply) = pasted(close_quote(text, code.start()))
    {
        return (reply, true);
    }
    let status = first(&STATUS, text).map(str::to_owned);
    let enhanced =
        status.clone().or_else(|| text.split_whitespace().find_map(bare_status).map(|code| code.to_string()));
    let code = match enhanced.as_deref().and_then(|code| code.bytes().next()) {
        Some(b'2') => 250,
        Some(b'4') => 450,
        None if LATER.is_match(text) => 450,
        _ => 550,
    };
    (
        Reply::new(code, [format!("{} {}", status.unwrap_or_default(), text_of_status(text)).trim()]),
        enhanced.is_some(),
    )
}

/// The text of a log line of Sendmail; other texts are returned whole.
fn text_of_status(text: &str) -> &str {
    text.split_once("stat=").map_or(text, |(_, words)| words)
}

/// A reply as people paste it: one or more lines; the first one begins with the code, the others may.
fn pasted(text: &str) -> Option<Reply> {
    let text = text.trim();
    let digits = text.get(..3)?;
    let code: u16 = digits.parse().ok().filter(|code| (200..600).contains(code))?;
    if text[3..].starts_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let lines = text.lines().map(|line| {
        let line = line.trim();
        line.strip_prefix(digits).map_or(line, |rest| rest.strip_prefix(['-', ' ']).unwrap_or(rest))
    });
    Some(Reply::new(code, lines))
}

/// True if a text has a reply code.
pub(super) fn has_code(text: &str) -> bool {
    pasted(text).is_some() || CODE.is_match(text)
}

/// True if a text names the recipient of a delivery.
pub(super) fn names_recipient(text: &str) -> bool {
    RECIPIENT.is_match(text)
}

/// The text from the code of a reply to the quote that closes it, or to the words with which the program continues.
fn close_quote(text: &str, code: usize) -> &str {
    let (before, reply) = text.split_at(code);
    let quote = before.chars().next_back().filter(|c| matches!(c, '\'' | '"'));
    let reply = quote.and_then(|quote| reply.rsplit_once(quote)).map_or(reply, |(quoted, _)| quoted);
    let ends = ["\nGiving up on ", " (in reply to ", "(in reply to ", "};{"];
    let reply = ends.iter().fold(reply, |reply, end| reply.split(end).next().unwrap_or(reply)).trim_end();
    // A bracket opened before the code is closed at the end of the text, unless it is closed right after the code.
    let is_unopened = reply.ends_with(')')
        && !reply.get(3..).is_some_and(|words| words.starts_with(')'))
        && reply.matches(')').count() > reply.matches('(').count();
    if is_unopened { &reply[..reply.len() - 1] } else { reply }
}

fn bare_status(word: &str) -> Option<Enhanced> {
    Enhanced::parse(word.trim_matches(['(', ')', '#', ',', ';', ':']))
}

fn first<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    pattern.captures(text).and_then(|found| found.get(1)).map(|found| found.as_str())
}

/// The host that a text names as the sender of the reply: `host mx.example.com said`, `relay=mx.example.com`.
pub(super) fn host_named(text: &str) -> Option<String> {
    first(&HOST, text).map(|host| host.trim_end_matches('.').to_ascii_lowercase())
}

/// The hosts that a reply itself names, mostly in links: `see https://postmaster.example.com/error`.
pub(super) fn hosts_in(reply: &Reply) -> impl Iterator<Item = &str> {
    let words = reply.lines.iter().flat_map(|line| line.split_ascii_whitespace());
    words.filter(|word| word.contains('.')).filter_map(|word| {
        let after_scheme = word.split_once("://").map_or(word, |(_, rest)| rest);
        let host = after_scheme.split(['/', '?', ':']).next()?;
        Some(host.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
    })
}

/// The stage that a text names: the command that the reply answers.
pub(super) fn stage_named(text: &str) -> Option<Stage> {
    let text = text.to_ascii_lowercase();
    let marks = [
        ("in reply to rcpt to", Stage::Rcpt),
        ("in reply to mail from", Stage::Mail),
        ("in reply to end of data", Stage::Eod),
        ("in reply to data", Stage::Data),
        ("in reply to ehlo", Stage::Helo),
        ("in reply to helo", Stage::Helo),
        ("refused to talk to me", Stage::Connect),
        ("after rcpt to", Stage::Rcpt),
        ("after mail from", Stage::Mail),
        ("after end of data", Stage::Eod),
        ("after pipelined end of data", Stage::Eod),
        ("after pipelined mail from", Stage::Mail),
        ("after pipelined rcpt to", Stage::Rcpt),
        ("after initial connection", Stage::Connect),
        ("after ehlo", Stage::Helo),
        ("after helo", Stage::Helo),
        ("after data", Stage::Data),
        (">>> rcpt to", Stage::Rcpt),
        (">>> mail from", Stage::Mail),
        (">>> data", Stage::Data),
        ("does not like recipient", Stage::Rcpt),
        ("reject: rcpt from", Stage::Rcpt),
        ("reject: mail from", Stage::Mail),
        ("reject: connect from", Stage::Connect),
        ("reject: ehlo from", Stage::Helo),
        ("reject: helo from", Stage::Helo),
        ("rejected rcpt", Stage::Rcpt),
        ("rejected mail", Stage::Mail),
        ("rejected after data", Stage::Eod),
        ("rejected connection", Stage::Connect),
    ];
    marks.into_iter().find_map(|(mark, stage)| text.contains(mark).then_some(stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(text: &str) -> (String, Option<Stage>, Option<String>, Option<String>) {
        let failure = failure(text);
        (failure.reply.to_string(), failure.stage, failure.host, failure.recipient)
    }

    #[test]
    fn a_line_has_reply_stage_host_and_recipient() {
        let (host, recipient) = (Some("mx.example.com".to_owned()), Some("a@example.com".to_owned()));
        assert_eq!(
            located(
                "to=<a@example.com>, relay=mx.example.com[192.0.2.1]:25 (host mx.example.com[192.0.2.1] said: 550 5.1.1 No such user (in reply to RCPT TO command))"
            ),
            ("550 5.1.1 No such user".to_owned(), Some(Stage::Rcpt), host.clone(), recipient.clone())
        );
        assert_eq!(
            located(
                "** a@example.com H=mx.example.com [192.0.2.1]: SMTP error from remote mail server after RCPT TO:<a@example.com>: 550 5.7.1 Blocked"
            ),
            ("550 5.7.1 Blocked".to_owned(), Some(Stage::Rcpt), host, recipient)
        );
    }

    #[test]
    fn replies_are_read_as_they_are_pasted() {
        for (text, reply) in [
            ("550-5.1.1 a\n550 5.1.1 b", "550 5.1.1 a 5.1.1 b"),
            ("550-5.1.1 a 550 5.1.1 b", "550 5.1.1 a 550 5.1.1 b"),
            ("550-one\r\nsecond", "550 one second"),
            ("User unknown", "550 User unknown"),
            ("Your mail is delayed, we will keep trying", "450 Your mail is delayed, we will keep trying"),
            ("SMTP Error (451): Failed to add it (later)", "451 ): Failed to add it (later)"),
            ("{'a@example.com': (550, b'5.1.1 no such user')}", "550 , b'5.1.1 no such user')}"),
            ("{[{LED=452 4.2.2 full};{MSG=}]}", "452 4.2.2 full"),
            (
                "192.0.2.1_does_not_like_recipient./Remote_host_said:_550_No_such_user/Giving_up_on_192.0.2.1./",
                "550 No such user",
            ),
            (
                "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <a@example.com>: Relay access denied; from=<n@example.org> to=<a@example.com> proto=ESMTP helo=<mail>",
                "554 5.7.1 <a@example.com>: Relay access denied",
            ),
            (
                "H=mail.example.org [192.0.2.1] X=TLS1.3:AES_256_GCM:256 CV=no rejected MAIL <n@example.org>: Sender verify failed",
                "550 Sender verify failed",
            ),
            (
                "sender verify fail for <n@example.org>: response to \"RCPT TO:<n@example.org>\" was: 550 5.1.1 No such user",
                "550 sender verify fail for <n@example.org>: response to \"RCPT TO:<n@example.org>\" was: 550 5.1.1 No such user",
            ),
            ("H=(x) [192.0.2.1] temporarily rejected RCPT <a@example.com>: greylisted", "450 greylisted"),
            ("4.2.2 Mailbox full", "450 4.2.2 Mailbox full"),
            ("Remote Server returned '550 5.1.1 no such thing here' today", "550 5.1.1 no such thing here"),
        ] {
            assert_eq!(extract_reply(text).0.to_string(), reply, "{text}");
        }
    }
}
