//! Settings: plain values of each source, merged and checked once.
//!
//! Owns the question "with which values does this run work?". A [`SettingsLayer`] holds what one source sets; flags win over
//! the environment, that over `listproof.toml`, that over the user's file ([`SettingsLayer::over`]). [`Settings`] are the
//! checked whole; no other room reads a settings file, a variable or a default.
//!
//! Open `layer` for what can be set and which source wins, `resolved` for defaults, checks and
//! where the state is, `file` and `environment` for
//! the names there, `origin` for how an error names the place of a value, `egress` for source addresses and proxies,
//! `deadline` for times of day.

mod deadline;
mod egress;
mod environment;
mod file;
mod layer;
mod origin;
mod resolved;

pub use crate::duration::parse as parse_duration;
pub use deadline::Deadline;
pub use egress::EgressSpec;
pub(crate) use egress::WrittenEgress;
pub use layer::{BlocklistKey, EgressSettings, ProxyUrl, SettingsLayer};
pub use origin::{Origin, Origins};
pub use resolved::Settings;
pub(crate) use resolved::{CheckTarget, NetworkTarget, RunDepth, StateLocation};
