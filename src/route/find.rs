//! The walk from a domain to its exchangers: asks what [`super::plan`] needs to know.
//!
//! Decides: nothing. All addresses are asked for at once, so a domain costs two rounds of questions, however many
//! exchangers it has. Fails: as [`Route::Failed`].

use std::future::poll_fn;
use std::task::Poll;

use super::Route;
use super::dns::{Dns, LookupError, LookupFuture};
use super::plan::{self, RouteStep};
use super::public::AllowedNets;
use crate::address::Domain;

/// Finds where a domain's mail goes.
pub async fn find(dns: &dyn Dns, domain: &Domain, allowed: &AllowedNets) -> Route {
    let (invented, answer) = tokio::join!(dns.invented(), dns.mx(domain));
    match plan::targets(domain, answer, &invented) {
        RouteStep::Known(route) => route,
        RouteStep::LookUp(targets) => {
            let questions = targets.hosts.iter().map(|target| dns.addresses(&target.host));
            let addresses = all(questions.collect()).await;
            plan::route(targets, addresses, allowed, &invented)
        }
    }
}

/// Waits for all of a few questions.
async fn all<T>(mut questions: Vec<LookupFuture<'_, T>>) -> Vec<Result<T, LookupError>> {
    let mut answers: Vec<_> = questions.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (question, answer) in questions.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = question.as_mut().poll(cx)
            {
                *answer = Some(ready);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;
    use std::pin::Pin;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::route::dns::{DnsFault, Mx, MxTarget, NxdomainRewriting};
    use crate::route::{MxHost, NoMailReason};

    /// A zone: names with their exchangers and addresses. Each answer takes a second.
    #[derive(Default)]
    struct Zone {
        mx: HashMap<&'static str, Vec<(u16, &'static str)>>,
        addresses: HashMap<&'static str, Vec<&'static str>>,
        failing: Vec<&'static str>,
        invented: NxdomainRewriting,
    }

    impl Zone {
        fn miss(&self, name: &Domain) -> LookupError {
            let name = name.as_str();
            if self.failing.contains(&name) {
                LookupError::Failed(DnsFault::ServFail)
            } else if self.mx.contains_key(name) || self.addresses.contains_key(name) {
                LookupError::NoData
            } else {
                LookupError::NoSuchDomain
            }
        }
    }

    impl Dns for Zone {
        fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, Vec<Mx>> {
            Box::pin(async move {
                sleep(Duration::from_secs(1)).await;
                let records = self.mx.get(domain.as_str()).ok_or_else(|| self.miss(domain))?;
                let read = |&(preference, host): &(u16, &str)| Mx {
                    preference,
                    target: MxTarget::Host(Domain::parse(host).unwrap()),
                };
                Ok(records.iter().map(read).collect())
            })
        }

        fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>> {
            Box::pin(async move {
                sleep(Duration::from_secs(1)).await;
                let found = self.addresses.get(host.as_str()).ok_or_else(|| self.miss(host))?;
                Ok(found.iter().map(|text| text.parse().unwrap()).collect())
            })
        }

        fn invented(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
            Box::pin(async { self.invented.clone() })
        }
    }

    async fn found(zone: &Zone, domain: &str) -> Route {
        find(zone, &Domain::parse(domain).unwrap(), &AllowedNets::default()).await
    }

    fn mx_host(host: &str, preference: u16, address: &str) -> MxHost {
        MxHost { host: Domain::parse(host).unwrap(), preference, addresses: vec![address.parse().unwrap()] }
    }

    fn zone() -> Zone {
        Zone {
            mx: HashMap::from([
                (
                    "shop.example",
                    vec![(20, "mx2.shop.example"), (10, "mx1.shop.example"), (30, "mx3.shop.example")],
                ),
                ("gone.example", vec![(10, "mx.gone.example")]),
                ("lame.example", vec![(10, "mx.lame.example")]),
            ]),
            addresses: HashMap::from([
                ("mx1.shop.example", vec!["8.8.8.8"]),
                ("mx2.shop.example", vec!["9.9.9.9"]),
                ("bare.example", vec!["1.1.1.1"]),
                ("inside.example", vec!["10.0.0.1"]),
                ("loop.example", vec!["127.0.0.1"]),
            ]),
            failing: vec!["mx3.shop.example", "broken.example", "mx.lame.example"],
            invented: NxdomainRewriting::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_walk_ends_where_the_zone_leads() {
        let zone = zone();
        let hosts =
            vec![mx_host("mx1.shop.example", 10, "8.8.8.8"), mx_host("mx2.shop.example", 20, "9.9.9.9")];
        for (domain, expected) in [
            ("shop.example", Route::Hosts(hosts)),
            ("bare.example", Route::Hosts(vec![mx_host("bare.example", 0, "1.1.1.1")])),
            ("gone.example", Route::Absent(NoMailReason::NoMailHost)),
            ("none.example", Route::Absent(NoMailReason::NoSuchDomain)),
            ("broken.example", Route::Failed(DnsFault::ServFail)),
            ("lame.example", Route::Failed(DnsFault::ServFail)),
            ("inside.example", Route::Failed(DnsFault::PrivateAddress)),
            ("loop.example", Route::Unroutable("127.0.0.1".parse().unwrap())),
        ] {
            assert_eq!(found(&zone, domain).await, expected, "{domain}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_costs_two_rounds_however_many_exchangers_it_has() {
        let start = Instant::now();
        found(&zone(), "shop.example").await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_inventing_resolver_is_not_believed() {
        let mut zone = zone();
        zone.invented = NxdomainRewriting::new(["1.1.1.1".parse().unwrap()]);
        for domain in ["bare.example", "none.example", "gone.example", "loop.example"] {
            assert_eq!(found(&zone, domain).await, Route::Failed(DnsFault::Rewritten), "{domain}");
        }
        assert!(matches!(found(&zone, "shop.example").await, Route::Hosts(_)));
    }
}
