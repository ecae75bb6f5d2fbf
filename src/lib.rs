//! Verifies mailing lists before they are sent: each address gets a verdict with its evidence, and a cleaned list is written.
//! No mail is ever sent: `DATA` does not exist here. The manual of the program is the README and the [`guide`]; this page is for
//! programs that use the library.
//!
//! # Check one address
//!
//! ```
//! use listproof::{Settings, Verdict, Verifier};
//!
//! let verifier = Verifier::new(Settings::in_world("samples/world.toml")?)?;
//! let result = verifier.block_on(verifier.check("jane.doe@acme-tools.example"))?;
//! assert_eq!(result.judgment.reason.verdict(), Verdict::Deliverable);
//! assert_eq!(result.mx_host.unwrap().as_str(), "mx1.acme-tools.example");
//! # Ok::<(), listproof::Error>(())
//! ```
//!
//! The sample world is a scripted miniature internet, and time in it is virtual. On the Internet, mail servers want to know
//! their client:
//!
//! ```no_run
//! use listproof::settings::SettingsLayer;
//! use listproof::{Settings, Verifier};
//!
//! # async fn check() -> Result<(), listproof::Error> {
//! let verifier = Verifier::new(Settings::new(SettingsLayer {
//!     helo: vec!["probe.example.org".to_owned()],
//!     mail_from: vec!["list-check@example.org".to_owned()],
//!     ..SettingsLayer::default()
//! })?)?;
//! println!("{}", verifier.check("jane@example.com").await?.judgment.reason);
//! # Ok(())
//! # }
//! ```
//!
//! # Verify a list
//!
//! ```
//! use listproof::{CancelToken, ListJob, Settings, Verdict, Verifier};
//!
//! let out = tempfile::tempdir().unwrap();
//! let verifier = Verifier::new(Settings::in_world("samples/world.toml")?)?;
//! let list = ListJob::new("samples/contacts.csv").into_folder(out.path()).open()?;
//! let cancel = CancelToken::new(); // another thread may call `cancel.cancel()`
//! let summary = verifier.block_on(verifier.verify(list, &mut |progress| drop(progress), &cancel))?;
//! assert_eq!(summary.counts.results, 97);
//! assert!(out.path().join("contacts.deliverable.csv").exists());
//! # Ok::<(), listproof::Error>(())
//! ```
//!
//! A job installs no signal handler, prints nothing, and raises no limit of the process. With `default-features = false` the
//! crate has no dependency of the program's: no command line, no terminal, no signals.
//!
//! # How the house is built
//!
//! 1. Facts flow one way and change type at each step; a later type can't be built without the earlier one.
//! 2. Everything that *judges* is a pure function or a state machine; everything that *waits* is in a handful of files.
//! 3. Policy is data with examples inside, checked by a test; code knows mechanisms only.
//! 4. The verdict is made in one function from recorded evidence, and names the rule that decided.
//! 5. Our own trouble can never make an address look bad.
//! 6. A room (a folder or a file beside this one) says in its `mod.rs` what it is for and re-exports there the names that
//!    others may use; everything else is private to the room.
//!
//! ```text
//! row -> Address | SyntaxFault -> Route -> DomainProbe -> Reply -> ClassifiedReply -> Evidence -> Judgment -> row
//! ```
//!
//! | step | type | made only by |
//! |---|---|---|
//! | raw | `Row` | `list::input` |
//! | parsed | [`Address`], or a [`SyntaxFault`] | [`Address::parse`] |
//! | routed | `Route` | `route::plan` |
//! | probed | `DomainProbe`, `Batch` | `schedule::Scheduler` |
//! | received | [`Reply`] | `smtp::session` |
//! | classified | [`ClassifiedReply`] | `policy::replies` |
//! | known | [`Evidence`] | `run::evidence_reader` |
//! | judged | [`Judgment`] | `verdict::decide` |
//!
//! | to change | open |
//! |---|---|
//! | what a reply means | `policy/data/replies/` |
//! | which provider runs an MX host, and its limits | `policy/data/providers.toml` |
//! | which domains are disposable, typos, free, relays | `policy/data/*.txt`, `*.csv` |
//! | what an address is | `address/syntax.rs` |
//! | where the mail of a domain goes | `route/plan.rs` |
//! | which SMTP commands are sent | `smtp/session.rs`, `smtp/command.rs` |
//! | which recipient is probed next, and with which controls | `probe/domain_probe.rs` |
//! | when, how fast, over which connection | `schedule/` |
//! | the verdict | `verdict/decide.rs`: its doc comment is the table |
//! | the words of a verdict | `reason.rs` |
//! | a column, a file | `list/output/` |
//! | the summary, a gate, a metric | `report/` |
//! | a flag | `cli/` |
//! | a chapter of the guide | `guide/*.md` |
//! | a setting | `settings/` |
//! | what an exit code means | `error.rs` |
//! | what SPF, DMARC and DKIM records mean | `doctor/` |
//! | how a file stays private and complete | `secure_file.rs` |
//! | how a scripted server behaves | `world/` |
//! | what a generated list is made of | `simulate/mixes/*.toml` |
//!
//! Arrows run one way, from the top floor down: the program (`main.rs`, `cli`) over `guide`, `run`, `doctor`, `simulate`, `explain`, `report`
//! over `list`, `state`, `world` over `schedule`, `probe`, `verdict` over `evidence`, `policy`, `route` over `smtp`,
//! `address`, `reason`, `secure_file`, `duration`. `.ci/house` checks it. Sockets, clocks and new files are confined:
//! `.clippy.toml` names the files that own them.

mod address;
pub mod doctor;
mod duration;
mod error;
mod evidence;
pub mod explain;
pub mod guide;
#[doc(hidden)]
pub mod internals;
pub mod list;
pub mod policy;
mod probe;
mod reason;
pub mod report;
mod route;
mod run;
mod schedule;
mod secure_file;
pub mod settings;
pub mod simulate;
mod smtp;
pub mod state;
mod verdict;
pub mod world;

pub use address::{Address, Domain, SyntaxFault};
pub use error::{Error, Exit};
pub use evidence::{ClassifiedReply, Evidence};
pub use reason::{Cause, Confidence, Fault, Finding, Reason, Verdict};
pub use report::Summary;
pub use run::{CancelToken, ListJob, Progress, Verifier, classify};
pub use settings::Settings;
pub use smtp::{Reply, Stage};
pub use verdict::{AddressResult, Judgment};

/// The types of the fields and arguments of the types at the crate's root.
pub mod details {
    pub use crate::address::{AddressKinds, DomainFault, FaultKind, MailHost, Repair};
    pub use crate::evidence::{
        AddressStatus, Attempt, CatchAll, MailboxEvidence, Meaning, NotCatchAllProof, NotProbedReason,
        Obstacle, ObstacleKind, PositiveControl, RouteFact, RuleId, SuspectedTypo,
    };
    pub use crate::reason::Retry;
    pub use crate::route::{DnsFault, NoMailReason};
    pub use crate::run::{CheckOutcome, OfflineChecker, OpenedList};
    pub use crate::smtp::{Enhanced, MalformedReply, Transcript, TranscriptLine};
}
