//! listproof proofs a mailing list before it is sent: a CSV of addresses goes in, a verdict with evidence per address and a
//! cleaned list come out. This page is the map of the house; the README is the manual.
//!
//! # Five sentences
//!
//! 1. Facts flow one way and change type at each step; a later type can't be built without the earlier one.
//! 2. Everything that *judges* is a pure function or a state machine; everything that *waits* is in a handful of files.
//! 3. Policy is data with examples inside, checked by a test; code knows mechanisms only.
//! 4. The verdict is made in one function from recorded evidence, and names the rule that decided.
//! 5. Our own trouble can never make an address look bad.
//!
//! # The flow
//!
//! ```text
//! row -> Address | SyntaxFault -> Route -> Inquiry -> Reply -> Meaning -> Evidence -> Judgement -> row
//! ```
//!
//! | step | type | made only by |
//! |---|---|---|
//! | raw | [`crate::list::Row`] | [`list::read`] |
//! | parsed | [`crate::address::Address`] or a [`crate::address::SyntaxFault`] | [`crate::address::Address::parse`] |
//! | routed | [`route::Route`] | [`route::plan`] |
//! | asked | [`crate::probe::DomainProbe`], [`crate::smtp::Batch`] | [`schedule::Scheduler`] |
//! | heard | [`crate::smtp::Reply`] | [`smtp::reply`], by way of [`smtp::session`] |
//! | meant | [`crate::policy::Meaning`] | [`policy::replies`] |
//! | known | [`crate::evidence::Evidence`] | [`run::evidence_reader`] |
//! | judged | [`crate::verdict::Judgment`] | [`crate::verdict::decide()`] |
//!
//! # Want to change something?
//!
//! | what | open |
//! |---|---|
//! | what a reply means | `policy/data/replies/` |
//! | who an operator is, and how gently it is asked | `policy/data/providers.toml` |
//! | which domains are throw-aways, typos, free, relays | `policy/data/*.txt`, `*.csv` |
//! | what an address is | [`address::syntax`] |
//! | where mail goes | [`route::plan`] |
//! | what is said on the wire | [`smtp::session`], [`smtp::command`] |
//! | who is asked next, and with which controls | [`probe::domain_probe`] |
//! | when, how fast, over which connection | [`schedule`] |
//! | the verdict | [`mod@crate::verdict::decide`]: its doc comment is the table |
//! | a verdict's words | [`reason`] |
//! | a column, a file | [`list::columns`], [`list::write`] |
//! | the summary, a gate, a metric | [`report`] |
//! | a flag, a setting | [`cli`], [`settings`] |
//! | what an exit code means | [`error`] |
//! | how a file stays private, and whole | [`secure_file`] |
//! | how a scripted server behaves | [`world`] |
//! | what a generated list is made of | `simulate/mixes/*.toml` |
//!
//! Arrows run one way, from the top floor down: `main`, [`cli`] over [`run`], [`simulate`], [`explain`], [`report`] over [`list`], [`state`], [`world`] over
//! [`schedule`], [`probe`], [`verdict`] over [`policy`], [`route`] over [`smtp`], [`address`], [`reason`], [`secure_file`], [`duration`].
//!
//! Sockets, clocks and new files are confined: `.clippy.toml` names the files that own them.

pub mod address;
pub mod duration;
pub mod error;
pub mod evidence;
pub mod explain;
pub mod list;
pub mod policy;
pub mod probe;
pub mod reason;
pub mod report;
pub mod route;
pub mod run;
pub mod schedule;
pub mod secure_file;
pub mod settings;
pub mod simulate;
pub mod smtp;
pub mod state;
pub mod verdict;
pub mod world;

pub use address::Address;
pub use error::{Error, Exit};
pub use evidence::{ClassifiedReply, Evidence};
pub use reason::{Cause, Confidence, Fault, Reason, Verdict};
pub use report::Summary;
pub use run::{CancelToken, ListJob, Progress, Verifier, classify};
pub use settings::Settings;
pub use smtp::{Reply, Stage};
pub use verdict::{AddressResult, Judgment};
