//! How a host speaks: rules, words, manners, defences.
//!
//! Decides: what a rule or a passed limit makes of an answer, and how it is written on the wire.

use std::sync::Arc;

use super::{Progress, ServerAction, ServerSession};
use crate::world::host::RuleContext;
use crate::world::limits::LimitViolation;
use crate::world::script::{DialogueStep, Misbehavior};

const ENDLESS_LINE: &[u8] = &[b'2'; 1024];
const ENDLESS_REPLY: &[u8] = b"250-and another line\r\n";
const GARBAGE: &[u8] = b"\x00\x15HTTP/1.1 400 Bad Request\r\n\r\n";

impl ServerSession {
    /// What the host's rules say and do at a moment, after their waits.
    pub(super) fn rule(
        &mut self,
        moment: DialogueStep,
        recipient: Option<(&str, &str)>,
    ) -> (Option<String>, Option<Misbehavior>) {
        self.moments[moment as usize] += 1;
        let host = Arc::clone(&self.host);
        let nth = self.moments[moment as usize];
        let mut ruling = (None, None);
        for rule in host.rules_for(moment, &self.occasion(nth, recipient)) {
            if !rule.wait.is_zero() {
                self.acts.push_back(ServerAction::Wait(rule.wait));
            }
            ruling = (rule.say.as_ref().map(|words| words.0.clone()), rule.act);
        }
        ruling
    }

    pub(super) fn occasion<'a>(&'a self, nth: u32, recipient: Option<(&'a str, &'a str)>) -> RuleContext<'a> {
        RuleContext {
            now: self.now,
            client: self.client,
            session: self.number,
            sender: self.mail.as_ref().map_or("", |mail| mail.sender.as_str()),
            recipient,
            nth,
            seed: self.world.shared.seed,
        }
    }

    /// Says what the rules of a moment say, else the usual. True when a good answer left the session going.
    pub(super) fn answer(&mut self, moment: DialogueStep, usual: &str) -> bool {
        let (words, deed) = self.rule(moment, None);
        let code = self.say(words.as_deref().unwrap_or(usual), deed, None);
        (200..300).contains(&code) && self.progress < Progress::Over
    }

    /// Says words as they are.
    pub(super) fn tell(&mut self, words: &str) {
        self.say(words, None, None);
    }

    /// Says words in the manner of a deed. The code that was said; 0 where nothing was that reads as a reply.
    pub(super) fn say(&mut self, words: &str, deed: Option<Misbehavior>, recipient: Option<&str>) -> u16 {
        match deed {
            Some(Misbehavior::Drop) => return self.hang_up(ServerAction::Close),
            Some(Misbehavior::Reset) => return self.hang_up(ServerAction::Reset),
            Some(Misbehavior::Silence) => return self.hang_up(ServerAction::Silence),
            Some(Misbehavior::EndlessLine) => return self.hang_up(ServerAction::SayForEver(ENDLESS_LINE)),
            Some(Misbehavior::EndlessReply) => return self.hang_up(ServerAction::SayForEver(ENDLESS_REPLY)),
            Some(Misbehavior::Garbage) => {
                self.acts.push_back(ServerAction::Say(GARBAGE.to_vec()));
                return 0;
            }
            _ => {}
        }
        let code = words.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        self.errors += u32::from(code >= 400);
        let most = self.host.behaviour.limits.errors_per_session;
        let at_end = deed == Some(Misbehavior::Close) || code == 421;
        if code >= 400 && !at_end && most.is_some_and(|most| self.errors > most) {
            self.note(LimitViolation::ErrorsPerSession);
            if self.host.behaviour.limits.enforce {
                return self.say(
                    LimitViolation::ErrorsPerSession.defence().0,
                    Some(Misbehavior::Close),
                    None,
                );
            }
        }
        let text = self.filled(words, recipient);
        let end = if deed == Some(Misbehavior::BareLf) { "\n" } else { "\r\n" };
        let wire: String = text.lines().flat_map(|line| [line, end]).collect();
        let bytes = match deed {
            Some(Misbehavior::Latin1) => encoding_rs::WINDOWS_1252.encode(&wire).0.into_owned(),
            Some(Misbehavior::Twice) => wire.repeat(2).into_bytes(),
            _ => wire.into_bytes(),
        };
        self.acts.push_back(if deed == Some(Misbehavior::Drip) {
            ServerAction::Drip(bytes)
        } else {
            ServerAction::Say(bytes)
        });
        if at_end {
            self.hang_up(ServerAction::Close);
        }
        code
    }

    /// The last act of a session.
    pub(super) fn hang_up(&mut self, act: ServerAction) -> u16 {
        self.acts.push_back(act);
        self.input.clear();
        self.progress = Progress::Over;
        0
    }

    /// Puts what is known into the places of a text.
    pub(super) fn filled(&self, words: &str, recipient: Option<&str>) -> String {
        let recipient = recipient.unwrap_or("");
        let (local, domain) = recipient.rsplit_once('@').unwrap_or((recipient, ""));
        let client = self.client.to_string();
        let places = [
            ("{host}", self.host.name.as_str()),
            ("{ip}", &client),
            ("{rcpt}", recipient),
            ("{local}", local),
            ("{domain}", domain),
            ("{sender}", self.mail.as_ref().map_or("", |mail| &mail.sender)),
            ("{helo}", self.helo.as_ref().map_or("", |helo| &helo.name)),
        ];
        places.iter().fold(words.to_owned(), |text, (place, known)| text.replace(place, known))
    }

    /// Was this extension offered to this client?
    pub(super) fn offers(&self, keyword: &str) -> bool {
        let extended = self.helo.as_ref().is_some_and(|helo| helo.extended);
        extended && self.keywords().iter().any(|offered| offered.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn keywords(&self) -> Vec<&str> {
        match &self.host.behaviour.offers {
            Some(keywords) => keywords.iter().map(String::as_str).collect(),
            None => self.host.behaviour.software.keywords().to_vec(),
        }
    }

    pub(super) fn note(&mut self, violation: LimitViolation) {
        self.host.notes(violation);
        self.violations.push(violation);
    }

    /// Notes a violation of a limit; true when the host defends itself, and has said so.
    pub(super) fn is_defended(&mut self, violation: LimitViolation) -> bool {
        self.note(violation);
        let enforced = self.host.behaviour.limits.enforce;
        if enforced {
            let (words, closes) = violation.defence();
            let code = self.say(words, closes.then_some(Misbehavior::Close), None);
            if let (
                LimitViolation::RcptsPerMinute
                | LimitViolation::RcptsPerMail
                | LimitViolation::DomainsPerMail,
                Some(asked),
            ) = (violation, self.asked.last_mut())
            {
                asked.1 = code;
            }
        }
        enforced
    }

    /// Notes what no server bears, and refuses it.
    pub(super) fn refuse(&mut self, violation: LimitViolation) {
        self.note(violation);
        self.tell(violation.defence().0);
    }
}
