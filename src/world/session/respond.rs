//! Writes the replies of a host.
//!
//! Decides: the effect of a rule, of a misbehavior and of an exceeded limit on a reply, and how the reply is sent.

use std::sync::Arc;

use super::{Progress, ServerAction, ServerSession};
use crate::world::host::RuleContext;
use crate::world::limits::LimitViolation;
use crate::world::rule::{DialogueStep, Misbehavior};

const ENDLESS_LINE: &[u8] = &[b'2'; 1024];
const ENDLESS_REPLY: &[u8] = b"250-and another line\r\n";
const GARBAGE: &[u8] = b"\x00\x15HTTP/1.1 400 Bad Request\r\n\r\n";

impl ServerSession {
    /// The reply and the misbehavior that the rules have for a step. Adds their waits to the actions.
    pub(super) fn apply_rules(
        &mut self,
        step: DialogueStep,
        recipient: Option<(&str, &str)>,
    ) -> (Option<String>, Option<Misbehavior>) {
        let host = Arc::clone(&self.host);
        self.counts.steps[step as usize] += 1;
        host.count_step(self.client, step);
        let mut result = (None, None);
        for rule in host.take_rules(step, &self.rule_context(recipient)) {
            if !rule.wait.is_zero() {
                self.actions.push_back(ServerAction::Wait(rule.wait));
            }
            result = (rule.say.as_ref().map(|text| text.0.clone()), rule.misbehavior);
        }
        result
    }

    pub(super) fn rule_context<'a>(&'a self, recipient: Option<(&'a str, &'a str)>) -> RuleContext<'a> {
        RuleContext {
            now: self.now,
            client: self.client,
            session: self.number,
            sender: self.transaction.as_ref().map_or("", |transaction| transaction.sender.as_str()),
            recipient,
            counts: self.counts,
            seed: self.world.shared.seed,
        }
    }

    /// Sends the reply of the rules for a step, or else the usual one. True if it was positive and the session
    /// continues.
    pub(super) fn reply_at(&mut self, step: DialogueStep, usual: &str) -> bool {
        let (text, misbehavior) = self.apply_rules(step, None);
        let code = self.send_reply(text.as_deref().unwrap_or(usual), misbehavior, None);
        (200..300).contains(&code) && self.progress < Progress::Over
    }

    /// Sends a reply.
    pub(super) fn reply(&mut self, text: &str) {
        self.send_reply(text, None, None);
    }

    /// Sends a reply with a misbehavior. Returns its code; 0 if nothing was sent that is a reply.
    pub(super) fn send_reply(
        &mut self,
        text: &str,
        misbehavior: Option<Misbehavior>,
        recipient: Option<&str>,
    ) -> u16 {
        match misbehavior {
            Some(Misbehavior::Drop) => return self.end_with(ServerAction::Close),
            Some(Misbehavior::Reset) => return self.end_with(ServerAction::Reset),
            Some(Misbehavior::Silence) => return self.end_with(ServerAction::Silence),
            Some(Misbehavior::EndlessLine) => return self.end_with(ServerAction::SendForever(ENDLESS_LINE)),
            Some(Misbehavior::EndlessReply) => {
                return self.end_with(ServerAction::SendForever(ENDLESS_REPLY));
            }
            Some(Misbehavior::Garbage) => {
                self.actions.push_back(ServerAction::Send(GARBAGE.to_vec()));
                return 0;
            }
            _ => {}
        }
        let code = text.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        self.errors += u32::from(code >= 400);
        let limit = self.host.behavior.limits.errors_per_session;
        let is_last = misbehavior == Some(Misbehavior::Close) || code == 421;
        if code >= 400 && !is_last && limit.is_some_and(|limit| self.errors > limit) {
            self.count_violation(LimitViolation::ErrorsPerSession);
            if self.host.behavior.limits.enforce {
                return self.send_reply(
                    LimitViolation::ErrorsPerSession.defense().0,
                    Some(Misbehavior::Close),
                    None,
                );
            }
        }
        let text = self.fill_placeholders(text, recipient);
        let end = if misbehavior == Some(Misbehavior::BareLf) { "\n" } else { "\r\n" };
        let wire: String = text.lines().flat_map(|line| [line, end]).collect();
        let bytes = match misbehavior {
            Some(Misbehavior::Latin1) => encoding_rs::WINDOWS_1252.encode(&wire).0.into_owned(),
            Some(Misbehavior::Twice) => wire.repeat(2).into_bytes(),
            _ => wire.into_bytes(),
        };
        self.actions.push_back(if misbehavior == Some(Misbehavior::Drip) {
            ServerAction::SendSlowly(bytes)
        } else {
            ServerAction::Send(bytes)
        });
        if is_last {
            self.end_with(ServerAction::Close);
        }
        code
    }

    /// Ends the session with this last action.
    pub(super) fn end_with(&mut self, action: ServerAction) -> u16 {
        self.actions.push_back(action);
        self.input.clear();
        self.progress = Progress::Over;
        0
    }

    /// Fills in the placeholders of a text.
    fn fill_placeholders(&self, text: &str, recipient: Option<&str>) -> String {
        let recipient = recipient.unwrap_or("");
        let (local, domain) = recipient.rsplit_once('@').unwrap_or((recipient, ""));
        let client = self.client.to_string();
        let values = [
            ("{host}", self.host.name.as_str()),
            ("{ip}", &client),
            ("{rcpt}", recipient),
            ("{local}", local),
            ("{domain}", domain),
            ("{sender}", self.transaction.as_ref().map_or("", |transaction| &transaction.sender)),
            ("{helo}", self.helo.as_ref().map_or("", |helo| &helo.name)),
        ];
        values.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }

    /// True if this extension was offered to the client.
    pub(super) fn offers(&self, keyword: &str) -> bool {
        let extended = self.helo.as_ref().is_some_and(|helo| helo.extended);
        extended && self.keywords().iter().any(|offered| offered.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn keywords(&self) -> Vec<&str> {
        match &self.host.behavior.offers {
            Some(keywords) => keywords.iter().map(String::as_str).collect(),
            None => self.host.behavior.software.keywords().to_vec(),
        }
    }

    pub(super) fn count_violation(&mut self, violation: LimitViolation) {
        self.host.count_violation(violation);
        self.violations.push(violation);
    }

    /// Counts a violation of a limit, and replies if the host enforces its limits. True if it does.
    pub(super) fn enforce(&mut self, violation: LimitViolation) -> bool {
        self.count_violation(violation);
        let is_enforced = self.host.behavior.limits.enforce;
        if is_enforced {
            let (text, closes) = violation.defense();
            let code = self.send_reply(text, closes.then_some(Misbehavior::Close), None);
            if let (
                LimitViolation::RcptsPerMinute
                | LimitViolation::RcptsPerMail
                | LimitViolation::DomainsPerMail,
                Some(rcpt),
            ) = (violation, self.rcpts.last_mut())
            {
                rcpt.1 = code;
            }
        }
        is_enforced
    }

    /// Counts a violation of the protocol, and rejects the command.
    pub(super) fn reject(&mut self, violation: LimitViolation) {
        self.count_violation(violation);
        self.reply(violation.defense().0);
    }
}
