//! The policy: what is known about mail providers, server replies and mail domains, as data with examples inside.
//!
//! Owns two questions: "how may this provider be probed?" and "what does this reply mean?". No other room holds a
//! provider's name or a server's wording; each takes them from [`Policy`]. Code here knows mechanisms only. Each kind of
//! data has a loader that rejects what it does not understand and names the file and the line. A user's folder
//! (`--policy DIR`) adds to the shipped data in `data/` or replaces entries by id.
//!
//! | to change | open |
//! |---|---|
//! | what a reply means | `data/replies/`; how the rules are applied: `replies/` |
//! | who a provider is, and its limits | `data/providers.toml`; how it is found: `providers.rs` |
//! | when a run draws a conclusion, and how it paces itself | `data/thresholds.toml` |
//! | when a probe is repeated | `data/retry.toml`; how the waits are bounded: `retry.rs` |
//! | which blocklists there are; what the checks of the sender go by | `data/blocklists.toml`, `data/sender.toml` |
//! | how long a result stays valid | `data/lifetimes.toml` |
//! | how many addresses are expected to bounce | `data/bounces.toml` |
//! | what a report says about sending | `data/sending.toml` |
//! | what the products take that a list is handed over to | `data/profiles.toml` |
//! | which words and domains are special | `data/*.txt`, `data/*.csv`; how a user's list is merged: `lists.rs` |
//! | what a user's folder may hold | `load.rs`; errors in it: `file.rs` |

mod blocklists;
mod bounces;
mod file;
mod lifetimes;
mod lists;
mod load;
mod profiles;
mod providers;
mod replies;
mod retry;
mod sender;
mod sending;
mod thresholds;

pub use blocklists::Blocklists;
pub(crate) use blocklists::{Blocklist, BlocklistAnswer, ListedKind};
pub use bounces::{BouncePriors, BounceRate, BounceShare, HeadlineThresholds};
pub use file::PolicyError;
pub(crate) use lifetimes::Lifetimes;
pub use lists::AddressLists;
pub use load::Policy;
pub(crate) use profiles::{ContactFile, FileForm, ProfileColumn, ProfileValue, SuppressionFile};
pub use profiles::{Profile, Profiles, SkipCause};
pub use providers::{Pace, Provider, Providers, RateLimits, SessionLimits};
pub(crate) use replies::comparable_text;
pub use replies::{Meaning, ReplyCache, ReplyContext, ReplyRule, ReplyRules, RuleFile, RuleId};
pub use retry::{RetryPolicy, RetryRules};
pub(crate) use sender::Port25Thresholds;
pub use sender::SenderPolicy;
pub use sending::{ComplaintRates, SendingAdvice, SendingLimit, WarmUpWeek};
pub use thresholds::Thresholds;
pub(crate) use thresholds::{
    AnomalyThresholds, BacklogThresholds, BatchThresholds, ControlThresholds, LargeDomainThresholds,
    NameServerThresholds, RampThresholds,
};
