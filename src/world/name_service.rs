//! The world as a name service in process: waits as the scripted servers would, on tokio's clock.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::sleep;

use super::World;
use super::observed::LogLine;
use super::script::{DnsFaultEntry, QueryType};
use super::zone::ScriptedDnsFault;
use crate::address::Domain;
use crate::route::{Dns, LookupFuture, Mx};

/// How long a resolver waits for name servers that don't answer: two tries of five seconds.
const GIVES_UP: Duration = Duration::from_secs(10);

impl Dns for World {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, Vec<Mx>> {
        Box::pin(async move {
            self.answers(domain.as_str(), QueryType::Mx).await;
            self.shared.zone.mx(domain.as_str())
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>> {
        Box::pin(async move {
            self.answers(host.as_str(), QueryType::Address).await;
            self.shared.zone.addresses(host.as_str())
        })
    }
}

impl World {
    /// Counts a question and waits until its answer, or the resolver's patience, is over.
    async fn answers(&self, name: &str, question: QueryType) {
        let kind = match question {
            QueryType::Mx => "MX",
            QueryType::Address => "A",
        };
        self.counts_question(name, question, kind);
        let looked = self.shared.zone.look_up(name, question);
        let is_silent = matches!(looked.found, Err(ScriptedDnsFault::Fails(DnsFaultEntry::Timeout)));
        let patience = if is_silent { GIVES_UP } else { Duration::ZERO };
        let time = self.shared.dns_delay + looked.delay + patience;
        if !time.is_zero() {
            sleep(time).await;
        }
    }

    /// Counts and logs a question; `kind` is the record type that it was asked for.
    pub(super) fn counts_question(&self, name: &str, question: QueryType, kind: &'static str) {
        let at = self.time_of_day(self.elapsed());
        let answer = match self.shared.zone.look_up(name, question).found {
            Ok(_) => "noerror",
            Err(ScriptedDnsFault::NoSuchName) => "nxdomain",
            Err(ScriptedDnsFault::Fails(DnsFaultEntry::Refused)) => "refused",
            Err(ScriptedDnsFault::Fails(DnsFaultEntry::Servfail | DnsFaultEntry::Lame)) => "servfail",
            Err(ScriptedDnsFault::Fails(DnsFaultEntry::Timeout)) => "none",
        };
        self.shared.queries.count(name, kind);
        self.shared.log.write(at, &LogLine::Query { name, kind, answer });
    }
}
