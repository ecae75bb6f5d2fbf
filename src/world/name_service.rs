//! The world as a resolver in process. It waits as long as the scripted name servers would, on tokio's clock.

use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;

use super::network::World;
use super::observed::LogLine;
use super::script::{DnsFaultEntry, QueryType};
use super::zone::ScriptedDnsFault;
use crate::address::Domain;
use crate::route::{Dns, DnsAnswer, DnsRecord, LookupFuture, Mx, RecordType};

/// How long a resolver waits for name servers that do not answer: two tries of five seconds.
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(10);

impl Dns for World {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        Box::pin(async move {
            self.wait_for_answer(domain.as_str(), QueryType::Mx, "MX").await;
            self.shared.zone.mx(domain.as_str(), self.elapsed())
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        Box::pin(async move {
            self.wait_for_answer(host.as_str(), QueryType::Address, "A").await;
            self.shared.zone.addresses(host.as_str(), self.elapsed())
        })
    }

    fn records<'a>(&'a self, name: &'a str, kind: RecordType) -> LookupFuture<'a, Vec<DnsRecord>> {
        Box::pin(async move {
            let name = name.to_ascii_lowercase();
            self.wait_for_answer(&name, QueryType::of(kind), kind.word()).await;
            self.shared.zone.records(&name, kind, self.elapsed())
        })
    }

    fn is_alive(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            let is_alive = self.shared.zone.answers_anything();
            sleep(self.shared.dns_delay + if is_alive { Duration::ZERO } else { RESOLVER_TIMEOUT }).await;
            is_alive
        })
    }
}

impl World {
    /// Counts a query and waits until its answer arrives or the resolver times out.
    async fn wait_for_answer(&self, name: &str, query: QueryType, record_type: &'static str) {
        self.count_query(name, query, record_type);
        let answer = self.shared.zone.look_up(name, query);
        let is_silent = matches!(answer.found, Err(ScriptedDnsFault::Fails(DnsFaultEntry::Timeout)));
        let timeout = if is_silent { RESOLVER_TIMEOUT } else { Duration::ZERO };
        let time = self.shared.dns_delay + answer.delay + timeout;
        if !time.is_zero() {
            sleep(time).await;
        }
    }

    /// Counts and logs a query; `record_type` is its record type as text.
    pub(super) fn count_query(&self, name: &str, query: QueryType, record_type: &'static str) {
        let at = self.time_of_day(self.elapsed());
        let answer = match self.shared.zone.look_up(name, query).found {
            Ok(_) => "noerror",
            Err(ScriptedDnsFault::NoSuchName) => "nxdomain",
            Err(ScriptedDnsFault::Fails(DnsFaultEntry::Refused)) => "refused",
            Err(ScriptedDnsFault::Fails(DnsFaultEntry::Servfail | DnsFaultEntry::Lame)) => "servfail",
            Err(ScriptedDnsFault::Fails(DnsFaultEntry::Timeout)) => "none",
        };
        self.shared.queries.count(name, record_type);
        self.shared.log.write(at, &LogLine::Query { name, kind: record_type, answer });
    }
}
