//! Mail logs: the failed deliveries, each from its line.
//!
//! Decides: which lines of a log report a failed delivery, and where recipient, host and reply stand in them. Knows the logs
//! of Postfix, Exim and Sendmail, and two of Exchange, message tracking and the protocol log, by the fields that their first
//! lines name. Must not: say what a failure means. Lines of other programs are skipped, so the result is empty for a text
//! that is not a known log.

use super::locate::{self, LocatedReply};
use crate::smtp::{Reply, Stage};
use regex::Regex;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A delivery that failed or was deferred: Postfix's status, Exim's `**` and `==`, Sendmail's `stat=`; and the text after it.
static DELIVERY: LazyLock<Regex> = LazyLock::new(|| {
    locate::pattern(
        r"(?:\bstatus=(?:bounced|deferred|expired|undeliverable) \((?<postfix>.*)\)|\s(?<sign>\*\*|==) (?<exim>\S+@\S+.*)|\b(?:reply=.*, )?stat=(?<sendmail>.*))$",
    )
});

/// The failures in a log, in order; none if the text is not a known log or no delivery failed.
pub(super) fn failures(text: &str) -> Vec<LocatedReply> {
    match text.lines().find_map(|line| line.strip_prefix("#Fields: ")) {
        Some(fields) => exchange(text, fields),
        None => text.lines().filter_map(delivery).collect(),
    }
}

/// The failure in a line of Postfix, Exim or Sendmail.
fn delivery(line: &str) -> Option<LocatedReply> {
    let found = DELIVERY.captures(line.trim_end())?;
    let words = |name| found.name(name).map(|words| words.as_str());
    if words("sendmail").is_some_and(|words| words.starts_with("Sent")) {
        return None;
    }
    let mut failure = locate::failure(line);
    if !locate::has_code(line) {
        // There is no reply; the program's own text takes its place.
        let own = words("postfix").or_else(|| words("exim").map(after_names)).or(words("sendmail"));
        let is_final = line.contains("status=bounced") || words("sign") == Some("**");
        failure.reply = with_code_of(&failure.reply, is_final, own.unwrap_or(line));
    }
    Some(failure)
}

/// Exim's text: what follows the address and `R=… T=… H=…`, as in `** a@example.com R=dnslookup: all hosts failed`.
fn after_names(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(_, words)| words)
}

/// A text as a reply, with the status code of the log line; a code is chosen by whether the failure is final.
fn with_code_of(reply: &Reply, is_final: bool, words: &str) -> Reply {
    let status = reply.enhanced.map_or(String::new(), |code| format!("{code} "));
    let class = reply.enhanced.map(|code| code.class);
    let code = if class == Some(4) || class.is_none() && !is_final { 450 } else { 550 };
    Reply::new(code, [format!("{status}{words}")])
}

/// The failures in a log of Exchange: comma-separated values; the head of the log names the columns.
fn exchange(text: &str, fields: &str) -> Vec<LocatedReply> {
    let names: Vec<&str> = fields.split(',').map(str::trim).collect();
    let column = |name: &str| names.iter().position(|known| *known == name);
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let records = rows.records().filter_map(Result::ok);
    match (column("recipient-status"), column("data")) {
        (Some(status), _) => {
            let (recipient, host) = (column("recipient-address"), column("server-hostname"));
            records.flat_map(|row| tracked(&row, status, recipient, host)).collect()
        }
        (None, Some(data)) => protocol(records, data, column("session-id"), column("remote-endpoint")),
        (None, None) => Vec::new(),
    }
}

/// The failures in a row of message tracking. Its recipients and their statuses are two lists of equal length.
fn tracked(
    row: &csv::StringRecord,
    status: usize,
    recipient: Option<usize>,
    host: Option<usize>,
) -> Vec<LocatedReply> {
    let list = |at: Option<usize>| at.and_then(|at| row.get(at)).unwrap_or("");
    let recipients: Vec<&str> = list(recipient).split(';').collect();
    // A status may contain semicolons, in braces.
    let statuses = list(Some(status)).split("];[");
    let failures = statuses.enumerate().filter(|(_, status)| locate::has_code(status)).map(|(at, status)| {
        let mut failure = locate::failure(status);
        failure.recipient = recipients.get(at).or(recipients.first()).map(|&name| name.to_owned());
        let named = status.split("FQDN=").nth(1).and_then(|rest| rest.split('}').next());
        let host = named.filter(|host| !host.is_empty()).unwrap_or_else(|| list(host));
        failure.host = Some(host.to_ascii_lowercase()).filter(|host| !host.is_empty());
        failure
    });
    failures.filter(|failure| failure.reply.code >= 400).collect()
}

/// The failures in the protocol log: commands of a session (`>`) and replies (`<`). The last `RCPT TO` names the recipient.
fn protocol(
    records: impl Iterator<Item = csv::StringRecord>,
    data: usize,
    session: Option<usize>,
    remote: Option<usize>,
) -> Vec<LocatedReply> {
    let mut last_commands = HashMap::<String, String>::new();
    let mut failures = Vec::new();
    for row in records {
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).unwrap_or("");
        let (session, words) = (cell(session).to_owned(), cell(Some(data)));
        let Some(direction) = data.checked_sub(1).and_then(|at| row.get(at)) else { continue };
        match direction {
            ">" => {
                last_commands.insert(session, words.to_owned());
            }
            "<" if words.starts_with(['4', '5']) && locate::has_code(words) => {
                let command = last_commands.get(&session).map_or("", String::as_str);
                let stage = locate::stage_named(&format!(">>> {command}"));
                let mut failure = locate::failure(words);
                failure.stage = stage.or(command.is_empty().then_some(Stage::Connect));
                failure.recipient = locate::failure(command).recipient.filter(|_| stage == Some(Stage::Rcpt));
                let address = cell(remote).rsplit_once(':').map_or("", |(host, _)| host);
                failure.host = Some(address.to_owned()).filter(|host| !host.is_empty());
                failures.push(failure);
            }
            _ => {}
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(log: &str) -> Vec<String> {
        let show = |failure: LocatedReply| {
            let stage = failure.stage.map_or("-", Stage::word);
            let (to, host) = (failure.recipient.unwrap_or_default(), failure.host.unwrap_or_default());
            format!("{to} {stage} {host}: {}", failure.reply)
        };
        failures(log).into_iter().map(show).collect()
    }

    #[test]
    fn lines_of_postfix_hold_a_reply_or_its_own_finding() {
        assert_eq!(
            found(concat!(
                "Nov 21 10:00:00 mail postfix/qmgr[8]: 4Fx1: from=<letter@example.org>, size=1, nrcpt=1 (queue active)\n",
                "Nov 21 10:00:00 mail postfix/smtp[9]: 4Fx1: to=<a@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.1] said: 550 5.1.1 No such user (in reply to RCPT TO command))\n",
                "Nov 21 10:00:00 mail postfix/smtp[9]: 4Fx2: to=<b@example.net>, relay=none, delay=30, dsn=4.4.1, status=deferred (connect to mx.example.net[192.0.2.9]:25: Connection timed out)\n",
                "Nov 21 10:00:00 mail postfix/smtp[9]: 4Fx3: to=<c@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=1, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n",
            )),
            [
                "a@example.com rcpt mx.example.com: 550 5.1.1 No such user",
                "b@example.net - : 450 4.4.1 connect to mx.example.net[192.0.2.9]:25: Connection timed out",
            ]
        );
    }

    #[test]
    fn lines_of_exim_and_sendmail_are_recognized_by_their_signs() {
        assert_eq!(
            found(concat!(
                "2026-11-21 10:00:00 1abcde-000001-AA <= letter@example.org U=letter P=local S=1234\n",
                "2026-11-21 10:00:01 1abcde-000001-AA ** a@example.com R=dnslookup T=remote_smtp H=mx.example.com [192.0.2.1]: SMTP error from remote mail server after RCPT TO:<a@example.com>: 550 5.1.1 No such user\n",
                "2026-11-21 10:00:03 1abcde-000003-AA ** c@example.net: Unrouteable address\n",
                "2026-11-21 10:00:03 1abcde-000004-AA == d@example.net R=dnslookup T=remote_smtp defer (110): Connection timed out\n",
                "2026-11-21 10:00:04 1abcde-000003-AA => b@example.net R=dnslookup T=remote_smtp\n",
                "Nov 21 10:00:00 mail sendmail[81]: 0A1: to=<e@example.com>, relay=mx.example.com. [192.0.2.1], dsn=5.1.1, stat=User unknown\n",
                "Nov 21 10:00:00 mail sendmail[82]: 0A2: to=<f@example.com>, relay=mx.example.com., dsn=5.7.1, reply=550 5.7.1 Go away, stat=Service unavailable\n",
                "Nov 21 10:00:00 mail sendmail[83]: 0A3: to=<g@example.com>, relay=mx.example.com., dsn=2.0.0, stat=Sent (OK 1)\n",
            )),
            [
                "a@example.com rcpt mx.example.com: 550 5.1.1 No such user",
                "c@example.net - : 550 Unrouteable address",
                "d@example.net - : 450 Connection timed out",
                "e@example.com - mx.example.com: 550 5.1.1 User unknown",
                "f@example.com - mx.example.com: 550 5.7.1 Go away, stat=Service unavailable",
            ]
        );
    }

    #[test]
    fn logs_of_exchange_are_read_by_the_fields_in_their_head() {
        let tracking = concat!(
            "#Software: Microsoft Exchange Server\n",
            "#Fields: date-time,event-id,recipient-address,recipient-status,sender-address\n",
            "2026-11-21T10:00:00.000Z,RECEIVE,a@example.com,,letter@example.org\n",
            "2026-11-21T10:00:01.000Z,FAIL,a@example.com;b@example.net,[{LED=550 5.1.1 RESOLVER.ADR.RecipNotFound; not found};{FQDN=};{IP=}];[{LED=550 5.7.1 Rejected};{FQDN=MX.example.net};{IP=192.0.2.9}],letter@example.org\n",
        );
        assert_eq!(
            found(tracking),
            [
                "a@example.com - : 550 5.1.1 RESOLVER.ADR.RecipNotFound; not found",
                "b@example.net - mx.example.net: 550 5.7.1 Rejected",
            ]
        );
        let protocol = concat!(
            "#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context\n",
            "2026-11-21T10:00:00Z,Out,08D1,1,192.0.2.9:25,192.0.2.1:25,+,,\n",
            "2026-11-21T10:00:00Z,Out,08D1,2,192.0.2.9:25,192.0.2.1:25,<,220 mx.example.com,\n",
            "2026-11-21T10:00:00Z,Out,08D1,3,192.0.2.9:25,192.0.2.1:25,>,RCPT TO:<a@example.com>,\n",
            "2026-11-21T10:00:00Z,Out,08D1,4,192.0.2.9:25,192.0.2.1:25,<,550 5.1.1 User unknown,\n",
            "2026-11-21T10:00:00Z,Out,08D2,1,192.0.2.9:25,192.0.2.2:25,<,554 5.7.1 No access,\n",
        );
        assert_eq!(
            found(protocol),
            [
                "a@example.com rcpt 192.0.2.1: 550 5.1.1 User unknown",
                " connect 192.0.2.2: 554 5.7.1 No access"
            ]
        );
    }

    #[test]
    fn a_text_that_is_not_a_log_has_no_failures() {
        for text in ["", "550 5.1.1 User unknown", "#Fields: a,b\n1,2\n", "a line\nand another: 550 no\n"] {
            assert_eq!(failures(text), [], "{text}");
        }
    }
}
