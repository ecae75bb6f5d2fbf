//! Handles the commands of a client.
//!
//! Decides: which commands are out of order (RFC 5321 4.1.4), which exceed a limit, and the usual reply for a
//! recipient.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Helo, OpenTransaction, ServerAction, ServerSession};
use crate::address::Domain;
use crate::world::limits::LimitViolation;
use crate::world::rule::{DialogueStep, Misbehavior, ReplyText};
use crate::world::script::{ReplyEntry, TlsBehavior};
use crate::world::software::Situation;

/// The commands that are counted by name.
const VERBS: [&str; 12] =
    ["EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "RSET", "NOOP", "VRFY", "QUIT", "DATA", "BDAT", "HELP"];

impl ServerSession {
    /// Handles one line of the client.
    pub(super) fn handle_line(&mut self, line: &[u8]) {
        if !self.input.is_empty() && !self.offers("PIPELINING") {
            self.count_violation(LimitViolation::UnofferedPipelining);
        }
        let line = String::from_utf8_lossy(line);
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let verb = verb.to_ascii_uppercase();
        let counted = if VERBS.contains(&verb.as_str()) { &verb } else { "OTHER" };
        self.host.count_command(counted);
        if !self.host.behavior.think.is_zero() {
            self.actions.push_back(ServerAction::Wait(self.host.behavior.think));
        }
        match verb.as_str() {
            "EHLO" => self.on_ehlo(rest),
            "HELO" => self.on_helo(rest),
            "STARTTLS" => self.on_starttls(),
            "MAIL" => self.on_mail(rest),
            "RCPT" => self.on_rcpt(rest),
            "RSET" => self.on_rset(),
            "NOOP" => self.reply("250 2.0.0 Ok"),
            "HELP" => self.reply("214 2.0.0 See RFC 5321"),
            "VRFY" => self.reply("252 2.0.0 Cannot VRFY user"),
            "QUIT" => {
                let (text, misbehavior) = self.apply_rules(DialogueStep::Quit, None);
                let text = text.unwrap_or_else(|| "221 2.0.0 Bye".to_owned());
                self.send_reply(&text, misbehavior.or(Some(Misbehavior::Close)), None);
            }
            "DATA" | "BDAT" => self.reject(LimitViolation::Data),
            _ => {
                self.count_violation(LimitViolation::BadCommand);
                self.reply("500 5.5.2 Error: command not recognized");
            }
        }
    }

    fn on_ehlo(&mut self, name: &str) {
        if !self.host.behavior.ehlo {
            return self.reply("502 5.5.1 Error: command not implemented");
        }
        self.start_session(name, true);
        let mut lines = vec!["{host}".to_owned()];
        lines.extend(self.keywords().iter().map(|&keyword| keyword.to_owned()));
        if matches!(
            self.host.behavior.tls,
            TlsBehavior::Offered | TlsBehavior::Required | TlsBehavior::Broken
        ) && !self.encrypted
        {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let usual: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }))
            .collect();
        self.reply_at(DialogueStep::Helo, &usual.join("\n"));
    }

    fn on_helo(&mut self, name: &str) {
        self.start_session(name, false);
        self.reply_at(DialogueStep::Helo, "250 {host}");
    }

    fn start_session(&mut self, name: &str, extended: bool) {
        self.helo = Some(Helo { name: name.trim().to_owned(), extended });
        self.transaction = None;
    }

    fn on_starttls(&mut self) {
        let tls = self.host.behavior.tls;
        if self.encrypted
            || !matches!(tls, TlsBehavior::Offered | TlsBehavior::Required | TlsBehavior::Broken)
        {
            return self.reject(LimitViolation::BadCommand);
        }
        if !self.input.is_empty() {
            // Clear text after STARTTLS must not be handled as if it were encrypted (RFC 3207 6).
            self.input.clear();
            self.count_violation(LimitViolation::EarlyTalk);
        }
        let is_ready = self.reply_at(DialogueStep::Starttls, "220 2.0.0 Ready to start TLS");
        if is_ready && tls == TlsBehavior::Broken {
            self.actions.push_back(ServerAction::Send(b"this is no handshake\r\n".to_vec()));
            self.end_with(ServerAction::Close);
        } else if is_ready {
            self.actions.push_back(ServerAction::StartTls);
        }
    }

    fn on_mail(&mut self, rest: &str) {
        let limits = &self.host.behavior.limits;
        let limit = limits.mails_per_session;
        let tls = self.host.behavior.tls;
        if self.helo.is_none() || self.transaction.is_some() {
            return self.reject(LimitViolation::BadCommand);
        }
        self.mail_was_rejected = true;
        if !self.encrypted && matches!(tls, TlsBehavior::Required | TlsBehavior::Impossible) {
            return self.reply("530 5.7.0 Must issue a STARTTLS command first");
        }
        let Some((sender, parameters)) = path(rest, "FROM:") else {
            self.count_violation(LimitViolation::BadCommand);
            return self.reply("501 5.5.4 Syntax: MAIL FROM:<address>");
        };
        let smtputf8 = parameters.split(' ').any(|word| word.eq_ignore_ascii_case("SMTPUTF8"));
        if smtputf8 && !self.offers("SMTPUTF8") {
            self.count_violation(LimitViolation::BadCommand);
            return self.reply("555 5.5.4 Unsupported option: SMTPUTF8");
        }
        self.mails += 1;
        if limit.is_some_and(|limit| self.mails > limit) && self.enforce(LimitViolation::MailsPerSession) {
            return;
        }
        self.transaction = Some(OpenTransaction {
            sender: sender.to_lowercase(),
            smtputf8,
            recipients: 0,
            domains: HashSet::new(),
        });
        if self.reply_at(DialogueStep::Mail, "250 2.1.0 Ok") {
            self.mail_was_rejected = false;
        } else {
            self.transaction = None;
        }
    }

    fn on_rcpt(&mut self, rest: &str) {
        let Some((address, _)) = path(rest, "TO:") else {
            self.count_violation(LimitViolation::BadCommand);
            return self.reply("501 5.5.4 Syntax: RCPT TO:<address>");
        };
        self.rcpts.push((address.to_owned(), 0));
        let rate_violation = self.host.count_rcpt(address, self.client, self.now);
        let Some(transaction) = &mut self.transaction else {
            if self.mail_was_rejected {
                // It was pipelined with the MAIL (RFC 2920 3.1), which is no violation.
                return self.reply("503 5.5.1 Error: need MAIL command");
            }
            return self.reject(LimitViolation::BadCommand);
        };
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let smtputf8 = transaction.smtputf8;
        let domain =
            Domain::parse(domain).map_or_else(|_| domain.to_lowercase(), |domain| domain.as_str().to_owned());
        let local = local.to_lowercase();
        transaction.recipients += 1;
        transaction.domains.insert(domain.clone());
        let (recipients, domains) = (transaction.recipients as usize, transaction.domains.len());
        let limits = &self.host.behavior.limits;
        let exceeds = |count: usize, limit: Option<u32>| limit.is_some_and(|limit| count > limit as usize);
        let violations = [
            rate_violation,
            exceeds(recipients, limits.rcpts_per_mail).then_some(LimitViolation::RcptsPerMail),
            exceeds(domains, limits.domains_per_mail).then_some(LimitViolation::DomainsPerMail),
        ];
        for violation in violations.into_iter().flatten() {
            if self.enforce(violation) {
                return;
            }
        }
        if !address.is_ascii() && !smtputf8 {
            self.count_violation(LimitViolation::BadCommand);
            return self.reply("553 5.6.7 Must declare SMTPUTF8 to permit unicode address");
        }
        let (text, misbehavior) = match self.apply_rules(DialogueStep::Rcpt, Some((&local, &domain))) {
            (Some(text), misbehavior) => (text, misbehavior),
            (None, misbehavior) => {
                let (text, close) = self.usual_rcpt_reply(&local, &domain);
                (text, misbehavior.or(close))
            }
        };
        let code = self.send_reply(&text, misbehavior, Some(address));
        if let Some(rcpt) = self.rcpts.last_mut() {
            rcpt.1 = code;
        }
    }

    fn on_rset(&mut self) {
        let limit = self.host.behavior.limits.resets_per_session;
        self.resets += 1;
        if limit.is_some_and(|limit| self.resets > limit) && self.enforce(LimitViolation::ResetsPerSession) {
            return;
        }
        self.transaction = None;
        self.mail_was_rejected = false;
        self.reply_at(DialogueStep::Rset, "250 2.0.0 Ok");
    }

    /// The usual reply for a recipient. Checks relaying, greylisting and the mailbox, in this order.
    fn usual_rcpt_reply(&mut self, local: &str, domain: &str) -> (String, Option<Misbehavior>) {
        let (world, host) = (self.world.clone(), Arc::clone(&self.host));
        let behavior = &host.behavior;
        let stock = |situation| (behavior.software.reply(situation).to_owned(), None);
        if !world.shared.zone.leads_to(domain, host.name.as_str(), &host.addresses, self.now) {
            return stock(Situation::Relay);
        }
        let mailboxes = world.shared.zone.mail(domain);
        let greylists =
            [behavior.greylist.as_ref(), mailboxes.and_then(|mailboxes| mailboxes.greylist.as_ref())];
        for greylist in greylists.into_iter().flatten() {
            if host.greylists(greylist, &self.rule_context(Some((local, domain)))) {
                let own = greylist.say.as_ref().map(|text| (text.0.clone(), None));
                return own.unwrap_or_else(|| stock(Situation::Greylisted));
            }
        }
        let unknown = ReplyEntry::Situation(Situation::Unknown);
        match mailboxes.map_or(unknown, |mailboxes| mailboxes.reply_for(domain, local)) {
            ReplyEntry::Text(text) => (text.0, None),
            ReplyEntry::Situation(Situation::Unknown) if behavior.catch_all => stock(Situation::Ok),
            ReplyEntry::Situation(Situation::Unknown) => {
                let own = mailboxes.and_then(|mailboxes| mailboxes.unknown.as_ref());
                self.unknown_reply(own.or(behavior.unknown.as_ref()))
            }
            ReplyEntry::Situation(situation) => stock(situation),
        }
    }

    /// The reply for an unknown recipient, or for one too many of them.
    fn unknown_reply(&mut self, own: Option<&ReplyText>) -> (String, Option<Misbehavior>) {
        let host = Arc::clone(&self.host);
        let behavior = &host.behavior;
        self.counts.unknown += 1;
        if behavior.accepts_after_unknowns.is_some_and(|limit| self.counts.unknown > limit) {
            return (behavior.software.reply(Situation::Ok).to_owned(), None);
        }
        if !behavior.tarpit.is_zero() {
            self.actions.push_back(ServerAction::Wait(behavior.tarpit));
        }
        if let Some(violation) = host.count_unknown(self.client, self.now) {
            self.count_violation(violation);
            if behavior.limits.enforce {
                return (violation.defense().0.to_owned(), Some(Misbehavior::Close));
            }
        }
        let stock = || behavior.software.reply(Situation::Unknown).to_owned();
        (own.map_or_else(stock, |text| text.0.clone()), None)
    }
}

/// The address and the parameters of a command: for `FROM:<a@b> X=Y` they are `a@b` and `X=Y`.
fn path<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let text = text.trim();
    let (head, rest) = text.split_at_checked(word.len())?;
    let rest = rest.trim_start().strip_prefix('<').filter(|_| head.eq_ignore_ascii_case(word))?;
    // A quoted local part may hold a `>`, so the last one ends the address.
    let end = rest.rfind('>')?;
    Some((&rest[..end], rest[end + 1..].trim()))
}
