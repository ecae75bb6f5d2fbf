//! A scripted miniature Internet: name servers and mail servers in a TOML file, behind the same traits as the real
//! network. The demo, the tests and `listproof world` use it.
//!
//! Answers the question "what would these servers do?". Other rooms use a [`World`] as a [`Dns`](crate::route::Dns) and
//! as a [`Connect`](crate::smtp::Connect), both in process and on tokio's clock, which a paused runtime advances by
//! itself; or they serve it on real loopback sockets with [`WorldServer`]. A world is as strict as the Internet: what
//! the file does not name does not exist.
//!
//! | for | open |
//! |---|---|
//! | the keys of a world file | `script` |
//! | the rules of a host | `rule` |
//! | names with ranges, shares and numbers | `pattern` |
//! | building a world from its file, errors | `build` |
//! | the world: clock, hosts, observations | `network` |
//! | the DNS zone and the mailboxes | `zone` |
//! | the world as a resolver in process | `name_service` |
//! | DNS answers as packets | `packet` |
//! | a mail server's side of one session, without sockets and clocks | `session` |
//! | what a mail server remembers between sessions | `host` |
//! | the limits that clients can exceed | `limits` |
//! | the reply texts of well-known mail servers | `software` |
//! | mail servers in process | `in_process` |
//! | the world on loopback sockets | `serve` |
//! | counters and the log | `observed` |

mod build;
mod host;
mod in_process;
mod limits;
mod name_service;
mod network;
mod observed;
mod packet;
mod pattern;
mod rule;
mod script;
mod serve;
mod session;
mod software;
mod zone;

pub use build::WorldError;
pub use limits::LimitViolation;
pub use network::{ClientSender, World};
pub use observed::{Observed, ObservedHost};
pub use pattern::NamePattern;
pub use serve::WorldServer;
pub use session::{ServerAction, ServerSession};
