//! Resolves a domain to its route: makes the look-ups that [`super::plan`] needs.
//!
//! Decides: nothing. The addresses of all MX hosts are looked up concurrently, so a domain costs two rounds of look-ups,
//! however many MX hosts it has. Fails: as [`Route::Failed`].

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::dns::{Dns, DnsAnswer, LookupError, LookupFuture};
use super::plan::{self, Route, RouteStep};
use super::public::AllowedNets;
use crate::address::Domain;

/// A route, and how long connections may be based on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRoute {
    /// The route.
    pub route: Route,
    /// The lowest TTL of the records that it follows from.
    pub ttl: Duration,
}

/// The route of a domain, from the answers of a name service.
pub async fn resolve(dns: &dyn Dns, domain: &Domain, allowed: &AllowedNets) -> ResolvedRoute {
    let (rewriting, answer) = tokio::join!(dns.nxdomain_rewriting(), dns.mx(domain));
    let mut ttl = Duration::MAX;
    let route = match plan::mx_names(domain, records(answer, &mut ttl), &rewriting) {
        RouteStep::Known(route) => route,
        RouteStep::LookUp(names) => {
            let lookups = names.hosts.iter().map(|name| dns.addresses(&name.host));
            let answers = join_all(lookups.collect()).await;
            let addresses = answers.into_iter().map(|answer| records(answer, &mut ttl)).collect();
            plan::route(names, addresses, allowed, &rewriting)
        }
    };
    ResolvedRoute { route, ttl }
}

/// The records of an answer; `ttl` becomes at most its TTL.
fn records<T>(answer: Result<DnsAnswer<T>, LookupError>, ttl: &mut Duration) -> Result<Vec<T>, LookupError> {
    let answer = answer?;
    *ttl = answer.ttl.min(*ttl);
    Ok(answer.records)
}

/// Waits for all of a few look-ups.
async fn join_all<T>(mut lookups: Vec<LookupFuture<'_, T>>) -> Vec<Result<T, LookupError>> {
    let mut answers: Vec<_> = lookups.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (lookup, answer) in lookups.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = lookup.as_mut().poll(cx)
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

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::route::dns::{DnsFault, Mx, MxTarget, NxdomainRewriting};
    use crate::route::plan::{MxHost, NoMailReason};

    const TTL_OF_MX: Duration = Duration::from_secs(600);

    /// A name service: names with their MX hosts and addresses. Each answer takes a second.
    #[derive(Default)]
    struct Zone {
        mx: HashMap<&'static str, Vec<(u16, &'static str)>>,
        addresses: HashMap<&'static str, Vec<&'static str>>,
        failing: Vec<&'static str>,
        rewriting: NxdomainRewriting,
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
        fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
            Box::pin(async move {
                sleep(Duration::from_secs(1)).await;
                let records = self.mx.get(domain.as_str()).ok_or_else(|| self.miss(domain))?;
                let read = |&(preference, host): &(u16, &str)| Mx {
                    preference,
                    target: MxTarget::Host(Domain::parse(host).unwrap()),
                };
                Ok(DnsAnswer { records: records.iter().map(read).collect(), ttl: TTL_OF_MX })
            })
        }

        fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
            Box::pin(async move {
                sleep(Duration::from_secs(1)).await;
                let found = self.addresses.get(host.as_str()).ok_or_else(|| self.miss(host))?;
                let records = found.iter().map(|text| text.parse().unwrap()).collect();
                let ttl = if host.as_str() == "mx2.shop.example" { TTL_OF_MX / 2 } else { TTL_OF_MX * 2 };
                Ok(DnsAnswer { records, ttl })
            })
        }

        fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
            Box::pin(async { self.rewriting.clone() })
        }
    }

    async fn resolved(zone: &Zone, domain: &str) -> Route {
        resolve(zone, &Domain::parse(domain).unwrap(), &AllowedNets::default()).await.route
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
            rewriting: NxdomainRewriting::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_is_resolved_to_its_route() {
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
            assert_eq!(resolved(&zone, domain).await, expected, "{domain}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_costs_two_rounds_however_many_mx_hosts_it_has() {
        let start = Instant::now();
        resolved(&zone(), "shop.example").await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_rewrites_nxdomain_is_not_trusted() {
        let mut zone = zone();
        zone.rewriting = NxdomainRewriting::To(vec!["1.1.1.1".parse().unwrap()]);
        for domain in ["bare.example", "none.example", "gone.example", "loop.example"] {
            assert_eq!(resolved(&zone, domain).await, Route::Failed(DnsFault::Rewritten), "{domain}");
        }
        assert!(matches!(resolved(&zone, "shop.example").await, Route::Hosts(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_whose_test_failed_condemns_no_domain() {
        let mut zone = zone();
        zone.rewriting = NxdomainRewriting::Unknown(DnsFault::Timeout);
        for domain in ["bare.example", "none.example", "gone.example", "loop.example"] {
            assert_eq!(resolved(&zone, domain).await, Route::Failed(DnsFault::Timeout), "{domain}");
        }
        assert!(matches!(resolved(&zone, "shop.example").await, Route::Hosts(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_lasts_as_long_as_its_shortest_record() {
        let zone = zone();
        for (domain, ttl) in [("shop.example", TTL_OF_MX / 2), ("inside.example", TTL_OF_MX * 2)] {
            let resolved = resolve(&zone, &Domain::parse(domain).unwrap(), &AllowedNets::default()).await;
            assert_eq!(resolved.ttl, ttl, "{domain}");
        }
    }
}
