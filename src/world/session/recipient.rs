//! What a host usually says to a recipient: whether it serves the domain, knows the client, has the mailbox.

use std::sync::Arc;

use super::{ServerAction, ServerSession};
use crate::world::script::{Misbehavior, ReplyEntry, ReplyText};
use crate::world::words::Situation;

impl ServerSession {
    /// The usual answer for a recipient: relay, greylist, mailbox, in this order.
    pub(super) fn mailbox(&mut self, local: &str, domain: &str) -> (String, Option<Misbehavior>) {
        let (world, host) = (self.world.clone(), Arc::clone(&self.host));
        let behaviour = &host.behaviour;
        let stock = |situation| (behaviour.software.words(situation).to_owned(), None);
        if !world.shared.zone.leads_to(domain, host.name.as_str(), &host.addresses) {
            return stock(Situation::Relay);
        }
        let mail = world.shared.zone.mail(domain);
        let greylists = [behaviour.greylist.as_ref(), mail.and_then(|mail| mail.greylist.as_ref())];
        for greylist in greylists.into_iter().flatten() {
            if host.is_newcomer(greylist, &self.occasion(0, Some((local, domain)))) {
                let own = greylist.say.as_ref().map(|words| (words.0.clone(), None));
                return own.unwrap_or_else(|| stock(Situation::Greylisted));
            }
        }
        match mail.map_or(ReplyEntry::Is(Situation::Unknown), |mail| mail.answer(domain, local)) {
            ReplyEntry::Says(words) => (words.0, None),
            ReplyEntry::Is(Situation::Unknown) if behaviour.catch_all => stock(Situation::Ok),
            ReplyEntry::Is(Situation::Unknown) => {
                let own = mail.and_then(|mail| mail.unknown.as_ref()).or(behaviour.unknown.as_ref());
                self.nobody(own)
            }
            ReplyEntry::Is(situation) => stock(situation),
        }
    }

    /// The words for "no such mailbox", or what a host says that has heard too many such names.
    fn nobody(&mut self, own: Option<&ReplyText>) -> (String, Option<Misbehavior>) {
        let host = Arc::clone(&self.host);
        let behaviour = &host.behaviour;
        self.unknowns += 1;
        if behaviour.accepts_after_unknowns.is_some_and(|most| self.unknowns > most) {
            return (behaviour.software.words(Situation::Ok).to_owned(), None);
        }
        if !behaviour.tarpit.is_zero() {
            self.acts.push_back(ServerAction::Wait(behaviour.tarpit));
        }
        if let Some(violation) = host.is_asked_for_nobody(self.client, self.now) {
            self.note(violation);
            if behaviour.limits.enforce {
                return (violation.defence().0.to_owned(), Some(Misbehavior::Close));
            }
        }
        let stock = || behaviour.software.words(Situation::Unknown).to_owned();
        (own.map_or_else(stock, |words| words.0.clone()), None)
    }
}
