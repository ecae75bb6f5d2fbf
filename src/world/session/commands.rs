//! What a host hears: each command, its order and its limits.
//!
//! Decides: which commands are in order (RFC 5321 4.1.4) and which go too far.

use std::collections::HashSet;

use super::{Helo, Mail, ServerAction, ServerSession};
use crate::address::Domain;
use crate::world::limits::LimitViolation;
use crate::world::script::{DialogueStep, Misbehavior, TlsBehavior};

/// The verbs that are counted by name.
const VERBS: [&str; 12] =
    ["EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "RSET", "NOOP", "VRFY", "QUIT", "DATA", "BDAT", "HELP"];

impl ServerSession {
    /// Answers one line of the client.
    pub(super) fn hear_command(&mut self, line: &[u8]) {
        if !self.input.is_empty() && !self.offers("PIPELINING") {
            self.note(LimitViolation::UnofferedPipelining);
        }
        let line = String::from_utf8_lossy(line);
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let verb = verb.to_ascii_uppercase();
        let counted = if VERBS.contains(&verb.as_str()) { &verb } else { "OTHER" };
        self.host.hears(counted);
        if !self.host.behaviour.think.is_zero() {
            self.acts.push_back(ServerAction::Wait(self.host.behaviour.think));
        }
        match verb.as_str() {
            "EHLO" => self.hear_ehlo(rest),
            "HELO" => self.hear_helo(rest),
            "STARTTLS" => self.hear_starttls(),
            "MAIL" => self.hear_mail(rest),
            "RCPT" => self.hear_rcpt(rest),
            "RSET" => self.hear_rset(),
            "NOOP" => self.tell("250 2.0.0 Ok"),
            "HELP" => self.tell("214 2.0.0 See RFC 5321"),
            "VRFY" => self.tell("252 2.0.0 Cannot VRFY user"),
            "QUIT" => {
                let (words, deed) = self.rule(DialogueStep::Quit, None);
                let words = words.unwrap_or_else(|| "221 2.0.0 Bye".to_owned());
                self.say(&words, deed.or(Some(Misbehavior::Close)), None);
            }
            "DATA" | "BDAT" => self.refuse(LimitViolation::Data),
            _ => {
                self.note(LimitViolation::BadCommand);
                self.tell("500 5.5.2 Error: command not recognized");
            }
        }
    }

    fn hear_ehlo(&mut self, name: &str) {
        if !self.host.behaviour.ehlo {
            return self.tell("502 5.5.1 Error: command not implemented");
        }
        self.begin(name, true);
        let mut lines = vec!["{host}".to_owned()];
        lines.extend(self.keywords().iter().map(|&keyword| keyword.to_owned()));
        if matches!(
            self.host.behaviour.tls,
            TlsBehavior::Offered | TlsBehavior::Required | TlsBehavior::Broken
        ) && !self.secure
        {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let usual: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }))
            .collect();
        self.answer(DialogueStep::Helo, &usual.join("\n"));
    }

    fn hear_helo(&mut self, name: &str) {
        self.begin(name, false);
        self.answer(DialogueStep::Helo, "250 {host}");
    }

    fn begin(&mut self, name: &str, extended: bool) {
        self.helo = Some(Helo { name: name.trim().to_owned(), extended });
        self.mail = None;
    }

    fn hear_starttls(&mut self) {
        let tls = self.host.behaviour.tls;
        if self.secure || !matches!(tls, TlsBehavior::Offered | TlsBehavior::Required | TlsBehavior::Broken) {
            return self.refuse(LimitViolation::BadCommand);
        }
        if !self.input.is_empty() {
            // What follows in clear text would be taken for protected commands: RFC 3207 6.
            self.input.clear();
            self.note(LimitViolation::EarlyTalk);
        }
        let said = self.answer(DialogueStep::Starttls, "220 2.0.0 Ready to start TLS");
        if said && tls == TlsBehavior::Broken {
            self.acts.push_back(ServerAction::Say(b"this is no handshake\r\n".to_vec()));
            self.hang_up(ServerAction::Close);
        } else if said {
            self.acts.push_back(ServerAction::StartTls);
        }
    }

    fn hear_mail(&mut self, rest: &str) {
        let limits = &self.host.behaviour.limits;
        let most = limits.mails_per_session;
        let tls = self.host.behaviour.tls;
        if self.helo.is_none() || self.mail.is_some() {
            return self.refuse(LimitViolation::BadCommand);
        }
        self.mail_was_refused = true;
        if !self.secure && matches!(tls, TlsBehavior::Required | TlsBehavior::Impossible) {
            return self.tell("530 5.7.0 Must issue a STARTTLS command first");
        }
        let Some((sender, parameters)) = path(rest, "FROM:") else {
            self.note(LimitViolation::BadCommand);
            return self.tell("501 5.5.4 Syntax: MAIL FROM:<address>");
        };
        let smtputf8 = parameters.split(' ').any(|word| word.eq_ignore_ascii_case("SMTPUTF8"));
        if smtputf8 && !self.offers("SMTPUTF8") {
            self.note(LimitViolation::BadCommand);
            return self.tell("555 5.5.4 Unsupported option: SMTPUTF8");
        }
        self.mails += 1;
        if most.is_some_and(|most| self.mails > most) && self.is_defended(LimitViolation::MailsPerSession) {
            return;
        }
        self.mail =
            Some(Mail { sender: sender.to_lowercase(), smtputf8, recipients: 0, domains: HashSet::new() });
        if self.answer(DialogueStep::Mail, "250 2.1.0 Ok") {
            self.mail_was_refused = false;
        } else {
            self.mail = None;
        }
    }

    fn hear_rcpt(&mut self, rest: &str) {
        let Some((address, _)) = path(rest, "TO:") else {
            self.note(LimitViolation::BadCommand);
            return self.tell("501 5.5.4 Syntax: RCPT TO:<address>");
        };
        self.asked.push((address.to_owned(), 0));
        let too_fast = self.host.is_asked(address, self.client, self.now);
        let Some(mail) = &mut self.mail else {
            if self.mail_was_refused {
                // It left together with the MAIL (RFC 2920 3.1): no fault of the client's.
                return self.tell("503 5.5.1 Error: need MAIL command");
            }
            return self.refuse(LimitViolation::BadCommand);
        };
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let smtputf8 = mail.smtputf8;
        let domain =
            Domain::parse(domain).map_or_else(|_| domain.to_lowercase(), |domain| domain.as_str().to_owned());
        let local = local.to_lowercase();
        mail.recipients += 1;
        mail.domains.insert(domain.clone());
        let (recipients, domains) = (mail.recipients as usize, mail.domains.len());
        let limits = &self.host.behaviour.limits;
        let passes = |count: usize, most: Option<u32>| most.is_some_and(|most| count > most as usize);
        let limits_passed = [
            too_fast,
            passes(recipients, limits.rcpts_per_mail).then_some(LimitViolation::RcptsPerMail),
            passes(domains, limits.domains_per_mail).then_some(LimitViolation::DomainsPerMail),
        ];
        for violation in limits_passed.into_iter().flatten() {
            if self.is_defended(violation) {
                return;
            }
        }
        if !address.is_ascii() && !smtputf8 {
            self.note(LimitViolation::BadCommand);
            return self.tell("553 5.6.7 Must declare SMTPUTF8 to permit unicode address");
        }
        let (words, deed) = match self.rule(DialogueStep::Rcpt, Some((&local, &domain))) {
            (Some(words), deed) => (words, deed),
            (None, deed) => {
                let (words, close) = self.mailbox(&local, &domain);
                (words, deed.or(close))
            }
        };
        let code = self.say(&words, deed, Some(address));
        if let Some(asked) = self.asked.last_mut() {
            asked.1 = code;
        }
    }

    fn hear_rset(&mut self) {
        let most = self.host.behaviour.limits.resets_per_session;
        self.resets += 1;
        if most.is_some_and(|most| self.resets > most) && self.is_defended(LimitViolation::ResetsPerSession) {
            return;
        }
        self.mail = None;
        self.mail_was_refused = false;
        self.answer(DialogueStep::Rset, "250 2.0.0 Ok");
    }
}

/// `path(" FROM:<a@b> X=Y", "FROM:")` is `("a@b", "X=Y")`.
fn path<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let text = text.trim();
    let (head, rest) = text.split_at_checked(word.len())?;
    let rest = rest.trim_start().strip_prefix('<').filter(|_| head.eq_ignore_ascii_case(word))?;
    // A quoted local part may hold a `>`; an address never ends in one.
    let end = rest.rfind('>')?;
    Some((&rest[..end], rest[end + 1..].trim()))
}
