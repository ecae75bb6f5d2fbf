//! Runs: from a list, or a few addresses, to verdicts.
//!
//! [`verify`], [`check`], [`plan`] and [`report`] are the jobs, [`asking`] a run with its state, [`probing`] the only place
//! that waits and spawns. Around it: [`clock`], [`network`], [`stop`], [`holder`], [`progress`]; before it [`ahead`], [`analyzer`],
//! [`destination`] and [`feed`], after it [`found`], [`repeats`], [`told`], [`judge`] and [`telling`]; [`memory`] is [`analyzer`]'s.

pub mod ahead;
pub mod asking;
pub mod check;
pub mod clock;
pub mod destination;
pub mod feed;
pub mod found;
pub mod holder;
pub mod intake;
pub mod judge;
mod memory;
pub mod network;
pub mod plan;
pub mod probing;
pub mod progress;
pub mod repeats;
pub mod report;
pub mod sockets;
pub mod stop;
pub mod telling;
pub mod told;
pub mod verify;
