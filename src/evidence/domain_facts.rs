//! Facts about a domain, as plain data: the result of one [`crate::probe::DomainProbe`] and the start of the next. So a large
//! domain is probed in parts, and a run continues where an earlier one stopped.
//!
//! Decides: which of two facts about one MX host says more. Must not: expire; the owner of the facts knows how long they are valid.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::control::{CatchAll, ControlOutcome, NotCatchAllProof, PositiveControl, interpret_control};
use super::recipient::RecipientKind;
use super::reply::Attempt;
use crate::address::{Address, Domain};

/// What is known about a domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DomainFacts {
    /// Facts by MX host; one entry per host.
    pub mx_hosts: Vec<MxHostFacts>,
    /// `postmaster` was probed. It is probed at most once per domain and run.
    pub postmaster_was_probed: bool,
    /// The egress that got the deferrals. A greylisting server expects the retry from the same IP address and sender.
    pub egress: Option<usize>,
    /// A recipient that was found deliverable earlier in this run, for the control of rejections.
    pub accepted: Option<Address>,
}

/// What is known about a domain at one MX host.
#[derive(Clone, Debug, PartialEq)]
pub struct MxHostFacts {
    /// The MX host.
    pub mx_host: Domain,
    /// The random recipient that was probed. After a deferral the retry uses the same one.
    pub random_recipient: Option<Address>,
    /// The deferral of the random recipient, if it waits for a retry.
    pub deferral: Option<Deferral>,
    /// Whether the host accepts any recipient.
    pub catch_all: CatchAll,
    /// The host rejected a random recipient with an ambiguous text, which proves something only beside an acceptance.
    pub rejected_unclearly: bool,
    /// Whether the host accepted `postmaster`.
    pub positive_control: PositiveControl,
    /// Number of listed recipients that the host clearly rejected.
    pub clear_rejections: u32,
}

/// How a provider responded to an earlier run, at the last contact with one of its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlierContact {
    /// It accepted or clearly rejected a recipient.
    Served,
    /// It rejected us.
    RejectedUs,
    /// It could not be reached, or did not answer.
    Unreachable,
}

/// A probe that was deferred and waits for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// Number of deferrals.
    pub times: usize,
    /// When the first one arrived.
    pub since: SystemTime,
    /// Earliest time of the retry.
    pub until: SystemTime,
}

impl MxHostFacts {
    /// No facts yet.
    pub fn new(mx_host: Domain) -> MxHostFacts {
        MxHostFacts {
            mx_host,
            random_recipient: None,
            deferral: None,
            catch_all: CatchAll::NotTested,
            rejected_unclearly: false,
            positive_control: PositiveControl::NotSent,
            clear_rejections: 0,
        }
    }

    /// Adds the reply to a random recipient. Replies to an earlier random recipient lose their effect.
    fn apply_control_reply(
        &mut self,
        random_recipient: Address,
        attempt: Attempt,
        default_wait: Duration,
        latest: SystemTime,
    ) {
        if self.random_recipient.as_ref() != Some(&random_recipient) {
            *self = MxHostFacts {
                positive_control: self.positive_control.clone(),
                ..MxHostFacts::new(self.mx_host.clone())
            };
        }
        self.random_recipient = Some(random_recipient);
        let before = self.deferral.take();
        match interpret_control(&attempt.classified) {
            ControlOutcome::Accepted => self.catch_all = CatchAll::Yes(Arc::new(attempt)),
            ControlOutcome::Rejected => self.catch_all = CatchAll::No(NotCatchAllProof::Control),
            ControlOutcome::RejectedUnclearly => self.rejected_unclearly = true,
            ControlOutcome::Unclear => {}
            ControlOutcome::Failed => {
                let before = before.unwrap_or(Deferral { times: 0, since: attempt.at, until: attempt.at });
                let until = attempt.at + attempt.classified.meaning.retry_in.unwrap_or(default_wait);
                let waits = !attempt.classified.reply.is_permanent() && until <= latest;
                self.deferral = waits.then_some(Deferral { times: before.times + 1, until, ..before });
            }
        }
    }
}

impl DomainFacts {
    /// What earlier replies to controls show; `controls` oldest first. A deferred control keeps waiting if its wait ends by
    /// `latest`. `default_wait` is the wait where the server named none.
    pub fn of(
        controls: impl IntoIterator<Item = (RecipientKind, Address, Attempt)>,
        default_wait: Duration,
        latest: SystemTime,
    ) -> DomainFacts {
        let mut facts = DomainFacts::default();
        for (kind, address, attempt) in controls {
            let index = facts.mx_hosts.iter().position(|host| host.mx_host == attempt.mx_host);
            let index = index.unwrap_or_else(|| {
                facts.mx_hosts.push(MxHostFacts::new(attempt.mx_host.clone()));
                facts.mx_hosts.len() - 1
            });
            let host = &mut facts.mx_hosts[index];
            match kind {
                RecipientKind::Listed(_) | RecipientKind::Recheck(_) => {}
                RecipientKind::Random => host.apply_control_reply(address, attempt, default_wait, latest),
                RecipientKind::Postmaster => {
                    facts.postmaster_was_probed = true;
                    if attempt.classified.reply.is_positive() {
                        host.positive_control = PositiveControl::Accepted;
                    }
                }
            }
        }
        facts
    }

    /// Adds the facts of another probe of the same domain. Known catch-all results are never replaced by unknown ones.
    pub fn merge(&mut self, other: DomainFacts) {
        self.postmaster_was_probed |= other.postmaster_was_probed;
        self.egress = other.egress.or(self.egress);
        self.accepted = other.accepted.or(self.accepted.take());
        for theirs in other.mx_hosts {
            match self.mx_hosts.iter_mut().find(|ours| ours.mx_host == theirs.mx_host) {
                Some(ours) if theirs.catch_all.is_known() || !ours.catch_all.is_known() => *ours = theirs,
                Some(_) => {}
                None => self.mx_hosts.push(theirs),
            }
        }
    }

    /// True if a control was deferred and waits for its retry.
    pub fn is_waiting(&self) -> bool {
        self.mx_hosts.iter().any(|host| host.deferral.is_some())
    }

    /// The facts for probes from this egress. A control that was deferred at another egress has no wait here, and no random
    /// recipient to repeat.
    #[must_use]
    pub fn for_egress(&self, egress: Option<usize>) -> DomainFacts {
        let mut facts = DomainFacts { egress, ..self.clone() };
        if egress != self.egress {
            for host in &mut facts.mx_hosts {
                if host.deferral.take().is_some() {
                    host.random_recipient = None;
                }
            }
        }
        facts
    }

    /// The random recipient that was deferred and waits for its retry.
    pub fn waiting_control(&self) -> Option<&Address> {
        self.mx_hosts.iter().find(|host| host.deferral.is_some())?.random_recipient.as_ref()
    }

    /// Removes the facts about one MX host and returns them.
    pub(crate) fn take(&mut self, mx_host: &Domain) -> Option<MxHostFacts> {
        let index = self.mx_hosts.iter().position(|host| host.mx_host == *mx_host)?;
        Some(self.mx_hosts.swap_remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_catch_all_result_is_not_replaced_by_an_unknown_one() {
        let host = Domain::parse("mx.acme.example").unwrap();
        let host_facts = |catch_all| MxHostFacts { catch_all, ..MxHostFacts::new(host.clone()) };
        let facts =
            |catch_all| DomainFacts { mx_hosts: vec![host_facts(catch_all)], ..DomainFacts::default() };
        for (before, added, after) in [
            (
                CatchAll::No(NotCatchAllProof::Control),
                CatchAll::NotTested,
                CatchAll::No(NotCatchAllProof::Control),
            ),
            (CatchAll::NotTested, CatchAll::Unclear, CatchAll::Unclear),
            (
                CatchAll::Unclear,
                CatchAll::No(NotCatchAllProof::Control),
                CatchAll::No(NotCatchAllProof::Control),
            ),
        ] {
            let mut merged = facts(before);
            merged.merge(facts(added));
            assert_eq!(merged, facts(after));
        }
        let mut nothing = DomainFacts::default();
        nothing.merge(facts(CatchAll::Unclear));
        assert_eq!(nothing, facts(CatchAll::Unclear));
    }
}
