//! The world as a name service in process: waits as the scripted servers would, on tokio's clock.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::sleep;

use super::World;
use super::heard::Line;
use super::script::{DnsTrouble, Question};
use super::zone::Trouble;
use crate::address::Domain;
use crate::route::dns::{Answering, Dns, Mx};

/// How long a resolver waits for name servers that don't answer: two tries of five seconds.
const GIVES_UP: Duration = Duration::from_secs(10);

impl Dns for World {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Answering<'a, Vec<Mx>> {
        Box::pin(async move {
            self.answers(domain.as_str(), Question::Mx).await;
            self.zone.mx(domain.as_str())
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Answering<'a, Vec<IpAddr>> {
        Box::pin(async move {
            self.answers(host.as_str(), Question::Address).await;
            self.zone.addresses(host.as_str())
        })
    }
}

impl World {
    /// Counts a question and waits until its answer, or the resolver's patience, is over.
    async fn answers(&self, name: &str, question: Question) {
        let delay = self.counts_question(name, question);
        if !delay.is_zero() {
            sleep(delay).await;
        }
    }

    /// Counts and logs a question; how long its answer takes.
    pub(super) fn counts_question(&self, name: &str, question: Question) -> Duration {
        let at = self.time_of_day(self.elapsed());
        let kind = match question {
            Question::Mx => "MX",
            Question::Address => "A",
        };
        let looked = self.zone.look_up(name, question);
        let (answer, patience) = match looked.found {
            Ok(_) => ("noerror", Duration::ZERO),
            Err(Trouble::NoSuchName) => ("nxdomain", Duration::ZERO),
            Err(Trouble::Fails(DnsTrouble::Refused)) => ("refused", Duration::ZERO),
            Err(Trouble::Fails(DnsTrouble::Servfail | DnsTrouble::Lame)) => ("servfail", Duration::ZERO),
            Err(Trouble::Fails(DnsTrouble::Timeout)) => ("none", GIVES_UP),
        };
        self.queries.count(name, kind);
        self.log.write(at, &Line::Query { name, kind, answer });
        self.dns_delay + looked.delay + patience
    }
}
