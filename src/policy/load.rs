//! The policy of a run: the shipped data, changed by a user's folder.
//!
//! Decides: which file of a user's folder changes which kind of data. Fails: with file and line, on a file that its loader
//! rejects.

use std::path::Path;
use std::time::Duration;

use super::blocklists::Blocklists;
use super::bounces::BouncePriors;
use super::file::{PolicyError, read};
use super::lifetimes::Lifetimes;
use super::lists::AddressLists;
use super::profiles::Profiles;
use super::providers::Providers;
use super::replies::{ReplyRules, RuleFile};
use super::retry::RetryRules;
use super::sender::SenderPolicy;
use super::sending::SendingAdvice;
use super::thresholds::Thresholds;
use crate::reason::Retry;

/// All policy data of a run. Shipped data is parsed on first use, so an offline run never parses the reply rules.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    own_providers: Option<&'static Providers>,
    own_replies: Option<&'static ReplyRules>,
    own_lifetimes: Option<&'static Lifetimes>,
    own_thresholds: Option<&'static Thresholds>,
    own_blocklists: Option<&'static Blocklists>,
    own_sender: Option<&'static SenderPolicy>,
    own_bounces: Option<&'static BouncePriors>,
    own_sending: Option<&'static SendingAdvice>,
    own_retry: Option<&'static RetryRules>,
    own_profiles: Option<&'static Profiles>,
    /// Which words and domains are special.
    pub lists: &'static AddressLists,
}

impl Policy {
    /// The shipped policy.
    pub fn built_in() -> Policy {
        Policy {
            own_providers: None,
            own_replies: None,
            own_lifetimes: None,
            own_thresholds: None,
            own_blocklists: None,
            own_sender: None,
            own_bounces: None,
            own_sending: None,
            own_retry: None,
            own_profiles: None,
            lists: AddressLists::built_in(),
        }
    }

    /// Which provider runs an MX host, and its limits.
    pub fn providers(&self) -> &'static Providers {
        self.own_providers.unwrap_or_else(Providers::built_in)
    }

    /// What replies mean.
    pub fn replies(&self) -> &'static ReplyRules {
        self.own_replies.unwrap_or_else(ReplyRules::built_in)
    }

    /// How long results and facts stay valid.
    pub fn lifetimes(&self) -> &'static Lifetimes {
        self.own_lifetimes.unwrap_or_else(Lifetimes::built_in)
    }

    /// When a run draws a conclusion, and how it paces itself.
    pub fn thresholds(&self) -> &'static Thresholds {
        self.own_thresholds.unwrap_or_else(Thresholds::built_in)
    }

    /// Which blocklists there are.
    pub fn blocklists(&self) -> &'static Blocklists {
        self.own_blocklists.unwrap_or_else(Blocklists::built_in)
    }

    /// This policy with other blocklists.
    #[cfg(test)]
    pub(crate) fn with_blocklists(self, lists: Blocklists) -> Policy {
        Policy { own_blocklists: Some(Box::leak(Box::new(lists))), ..self }
    }

    /// What the checks of the sender's side go by.
    pub fn sender(&self) -> &'static SenderPolicy {
        self.own_sender.unwrap_or_else(SenderPolicy::built_in)
    }

    /// How many addresses are expected to bounce.
    pub fn bounces(&self) -> &'static BouncePriors {
        self.own_bounces.unwrap_or_else(BouncePriors::built_in)
    }

    /// What is known about sending to a list.
    pub fn sending(&self) -> &'static SendingAdvice {
        self.own_sending.unwrap_or_else(SendingAdvice::built_in)
    }

    /// When a probe is repeated.
    pub fn retry(&self) -> &'static RetryRules {
        self.own_retry.unwrap_or_else(RetryRules::built_in)
    }

    /// What products take that a list is handed over to.
    pub fn profiles(&self) -> &'static Profiles {
        self.own_profiles.unwrap_or_else(Profiles::built_in)
    }

    /// How long after its reply a row that stays unknown is due again, where the server named no time. `None` where waiting
    /// alone changes nothing.
    pub fn later_run(&self, retry: Retry) -> Option<Duration> {
        self.retry().later_run(retry, self.thresholds().anomaly.held_back())
    }

    /// The shipped policy, changed by a user's folder if there is one.
    pub fn of(folder: Option<&Path>) -> Result<Policy, PolicyError> {
        folder.map_or_else(|| Ok(Policy::built_in()), Policy::with_folder)
    }

    /// The shipped policy, changed by the files of a user's folder. The data is leaked: a process has one policy.
    pub fn with_folder(folder: &Path) -> Result<Policy, PolicyError> {
        let mut policy =
            Policy { lists: Box::leak(Box::new(AddressLists::with_files(folder)?)), ..Policy::built_in() };
        if let Some((name, text)) = read(folder, "providers.toml")? {
            let mut providers = policy.providers().clone();
            providers.extend(&name, &text)?;
            policy.own_providers = Some(Box::leak(Box::new(providers)));
        }
        if let Some((name, text)) = read(folder, "replies.toml")? {
            let rules = ReplyRules::load(&[RuleFile { name: &name, text: &text }])?;
            policy.own_replies = Some(Box::leak(Box::new(rules)));
        }
        if let Some((name, text)) = read(folder, "lifetimes.toml")? {
            let mut lifetimes = policy.lifetimes().clone();
            lifetimes.extend(&name, &text)?;
            policy.own_lifetimes = Some(Box::leak(Box::new(lifetimes)));
        }
        if let Some((name, text)) = read(folder, "thresholds.toml")? {
            let thresholds = policy.thresholds().with(&name, &text)?;
            policy.own_thresholds = Some(Box::leak(Box::new(thresholds)));
        }
        if let Some((name, text)) = read(folder, "blocklists.toml")? {
            let lists = policy.blocklists().with(&name, &text)?;
            policy.own_blocklists = Some(Box::leak(Box::new(lists)));
        }
        if let Some((name, text)) = read(folder, "sender.toml")? {
            let sender = policy.sender().with(&name, &text)?;
            policy.own_sender = Some(Box::leak(Box::new(sender)));
        }
        if let Some((name, text)) = read(folder, "bounces.toml")? {
            let bounces = policy.bounces().clone().with(&name, &text)?;
            policy.own_bounces = Some(Box::leak(Box::new(bounces)));
        }
        if let Some((name, text)) = read(folder, "sending.toml")? {
            let sending = policy.sending().with(&name, &text)?;
            policy.own_sending = Some(Box::leak(Box::new(sending)));
        }
        if let Some((name, text)) = read(folder, "retry.toml")? {
            let rules = policy.retry().clone().with(&name, &text)?;
            policy.own_retry = Some(Box::leak(Box::new(rules)));
        }
        if let Some((name, text)) = read(folder, "profiles.toml")? {
            let profiles = policy.profiles().with(&name, &text)?;
            policy.own_profiles = Some(Box::leak(Box::new(profiles)));
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_an_outage_holds_back_is_due_when_its_result_may_count() {
        let own = "[anomaly]\nasked = 20\nunknown_percent = 70\nrecently_days = 45\nrecently_deliverable = 20\n\
                   recently_gone_percent = 10\nheld_back_hours = 48\n";
        let thresholds = Thresholds::built_in().with("own.toml", own).unwrap();
        let policy = Policy { own_thresholds: Some(Box::leak(Box::new(thresholds))), ..Policy::built_in() };
        assert_eq!(policy.later_run(Retry::Day), Some(Duration::from_secs(48 * 3600)));
        assert_eq!(policy.later_run(Retry::Later), Policy::built_in().later_run(Retry::Later));
    }
}
