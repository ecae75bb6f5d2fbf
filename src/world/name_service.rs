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
            self.shared.zone.mx(domain.as_str())
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Answering<'a, Vec<IpAddr>> {
        Box::pin(async move {
            self.answers(host.as_str(), Question::Address).await;
            self.shared.zone.addresses(host.as_str())
        })
    }
}

impl World {
    /// Counts a question and waits until its answer, or the resolver's patience, is over.
    async fn answers(&self, name: &str, question: Question) {
        let kind = match question {
            Question::Mx => "MX",
            Question::Address => "A",
        };
        self.counts_question(name, question, kind);
        let looked = self.shared.zone.look_up(name, question);
        let is_silent = matches!(looked.found, Err(Trouble::Fails(DnsTrouble::Timeout)));
        let patience = if is_silent { GIVES_UP } else { Duration::ZERO };
        let time = self.shared.dns_delay + looked.delay + patience;
        if !time.is_zero() {
            sleep(time).await;
        }
    }

    /// Counts and logs a question; `kind` is the record type that it was asked for.
    pub(super) fn counts_question(&self, name: &str, question: Question, kind: &'static str) {
        let at = self.time_of_day(self.elapsed());
        let answer = match self.shared.zone.look_up(name, question).found {
            Ok(_) => "noerror",
            Err(Trouble::NoSuchName) => "nxdomain",
            Err(Trouble::Fails(DnsTrouble::Refused)) => "refused",
            Err(Trouble::Fails(DnsTrouble::Servfail | DnsTrouble::Lame)) => "servfail",
            Err(Trouble::Fails(DnsTrouble::Timeout)) => "none",
        };
        self.shared.queries.count(name, kind);
        self.shared.log.write(at, &Line::Query { name, kind, answer });
    }
}
