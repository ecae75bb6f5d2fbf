//! What the tests, benches and fuzz targets of this repository need of the private rooms. Outside semver: anything here may
//! change in any release.

/// Of `address`.
pub mod address {
    pub use crate::address::{repair, suggest_domain};
}

/// Of `duration`.
pub mod duration {
    pub use crate::duration::{deserialize, deserialize_some};
}

/// Of `evidence`.
pub mod evidence {
    pub use crate::evidence::{DomainFacts, ProbeResult, Recipient, RecipientId, Timestamp};
}

/// Of `route`.
pub mod route {
    pub use crate::route::{AllowedNets, CachedDns, DnsTimeouts, NameServers, Route, resolve};
}

/// Of `run`.
pub mod run {
    pub use crate::run::{
        AnalyzeOptions, Analyzer, EvidenceReader, FactFilter, FactReader, Network, ProbeJob,
        ProgressReporter, RunOutcome, judge_row, probe,
    };
}

/// Of `schedule`.
pub mod schedule {
    pub use crate::schedule::{
        Action, ConnectionAction, DomainJob, MxHop, RunBlocked, RunLimits, Scheduler, SessionEvent, SessionId,
    };
}

/// Of `smtp`.
pub mod smtp {
    pub use crate::smtp::{
        Batch, Capabilities, ClientIdentity, ClientSession, EgressPath, EndReason, IpFamilies,
        MAX_REPLY_LINES, ProbeId, ProbeReply, RcptProbe, ReplyReader, SessionCommand, SessionOutput,
        SessionRequest, SmtpCommand, SmtpEvent, SmtpTimeouts, TcpConnector, TlsPolicy, Transaction,
        drive_session, sanitize,
    };
}

/// Of `verdict`.
pub mod verdict {
    pub use crate::verdict::decide;
}
