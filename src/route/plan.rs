//! Where a domain's mail goes, from what the DNS said.
//!
//! Decides: which exchangers there are and in what order (RFC 5321 5.1, RFC 7505), which of their addresses may be
//! connected to, and what it means when there are none. Must not: ask; judge an address of its own accord.
//! Fails: into [`Route::Failed`]. "No mail" is said only when every question that matters was answered, and by a
//! resolver that doesn't invent answers. Can't know: whether an exchanger answers on port 25.
//!
//! Two steps, because the second question depends on the first answer: [`targets`], then [`route`].

use std::net::IpAddr;

use super::dns::{DnsFault, LookupError, Mx, MxTarget, NxdomainRewriting};
use super::public::{AddressScope, AllowedNets};
use super::{MxHost, NoMailReason, Route};
use crate::address::Domain;

/// Most exchangers looked up, the best ones. Real domains have a handful; a stranger's may have thousands.
pub const MAX_TARGETS: usize = 16;

/// A host whose addresses are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MxName {
    /// Its name.
    pub host: Domain,
    /// Its MX preference; 0 for an implicit MX.
    pub preference: u16,
}

/// The hosts to look up, best first, and what is known without looking them up.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MxNames {
    /// At most [`MAX_TARGETS`].
    pub hosts: Vec<MxName>,
    /// No MX records: the domain itself is asked for addresses (RFC 5321 5.1).
    implicit: bool,
    /// Why nothing can be said should none of `hosts` work: a target that is no host name, or too many of them.
    doubt: Option<DnsFault>,
}

/// What the answer to the MX question leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteStep {
    /// The route is plain already.
    Known(Route),
    /// These hosts' addresses are needed.
    LookUp(MxNames),
}

/// Reads the answer to the MX question.
pub fn targets(
    domain: &Domain,
    answer: Result<Vec<Mx>, LookupError>,
    invented: &NxdomainRewriting,
) -> RouteStep {
    let mut records = match answer {
        Ok(records) => records,
        Err(LookupError::NoData) => Vec::new(),
        Err(LookupError::NoSuchDomain) => {
            let route = Route::Absent(NoMailReason::NoSuchDomain);
            return RouteStep::Known(unless_invented(route, invented));
        }
        Err(LookupError::Failed(fault)) => return RouteStep::Known(Route::Failed(fault)),
    };
    if records.is_empty() {
        let host = MxName { host: domain.clone(), preference: 0 };
        return RouteStep::LookUp(MxNames { hosts: vec![host], implicit: true, doubt: None });
    }
    if records.iter().all(|mx| mx.target == MxTarget::Null) {
        return RouteStep::Known(unless_invented(Route::NullMx, invented));
    }
    // Stable: among equals the name server's order stays, which it may turn as it likes.
    records.sort_by_key(|mx| mx.preference);
    let mut targets = MxNames::default();
    for mx in records {
        match mx.target {
            MxTarget::Null => {}
            // A number is no name, and nobody can look it up.
            MxTarget::Malformed(text) if text.parse::<IpAddr>().is_ok() => {}
            // But others may be able to look up what we can't, an underscore for one.
            MxTarget::Malformed(text) => {
                let fault = DnsFault::Other(format!("the MX target `{text}` is no host name"));
                targets.doubt.get_or_insert(fault);
            }
            MxTarget::Host(host) if targets.hosts.iter().any(|target| target.host == host) => {}
            MxTarget::Host(_) if targets.hosts.len() == MAX_TARGETS => {
                let fault = DnsFault::Other(format!("more than {MAX_TARGETS} MX targets"));
                targets.doubt.get_or_insert(fault);
                break;
            }
            MxTarget::Host(host) => targets.hosts.push(MxName { host, preference: mx.preference }),
        }
    }
    RouteStep::LookUp(targets)
}

/// The route, from the addresses of all `targets.hosts`, in their order.
pub fn route(
    targets: MxNames,
    addresses: Vec<Result<Vec<IpAddr>, LookupError>>,
    allowed: &AllowedNets,
    invented: &NxdomainRewriting,
) -> Route {
    let mut mx_hosts = Vec::new();
    let mut doubt = targets.doubt;
    let (mut private, mut unroutable) = (false, None);
    for (target, answer) in targets.hosts.into_iter().zip(addresses) {
        let found = match answer {
            Ok(found) => found,
            Err(LookupError::NoSuchDomain | LookupError::NoData) => continue,
            Err(LookupError::Failed(fault)) => {
                doubt.get_or_insert(fault);
                continue;
            }
        };
        let mut addresses = Vec::new();
        for ip in found {
            if invented.holds(ip) || (targets.implicit && invented.any()) {
                doubt = Some(DnsFault::Rewritten);
                continue;
            }
            match allowed.reach(ip) {
                AddressScope::Public => addresses.push(ip),
                AddressScope::Private => private = true,
                AddressScope::Unroutable => unroutable = unroutable.or(Some(ip)),
            }
        }
        if !addresses.is_empty() {
            addresses.sort_by_key(IpAddr::is_ipv6);
            mx_hosts.push(MxHost { host: target.host, preference: target.preference, addresses });
        }
    }
    if !mx_hosts.is_empty() {
        return Route::Hosts(mx_hosts);
    }
    let route = match (doubt, private, unroutable) {
        (Some(fault), ..) => Route::Failed(fault),
        (None, true, _) => Route::Failed(DnsFault::PrivateAddress),
        (None, false, Some(ip)) => Route::Unroutable(ip),
        (None, false, None) => Route::Absent(NoMailReason::NoMailHost),
    };
    unless_invented(route, invented)
}

/// Takes back a route that condemns, where the resolver invents answers.
fn unless_invented(route: Route, invented: &NxdomainRewriting) -> Route {
    match route {
        Route::Absent(_) | Route::NullMx | Route::Unroutable(_) if invented.any() => {
            Route::Failed(DnsFault::Rewritten)
        }
        route => route,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn mx(preference: u16, host: &str) -> Mx {
        let target = match host {
            "." => MxTarget::Null,
            odd if odd.contains('_') || odd.parse::<IpAddr>().is_ok() => MxTarget::Malformed(odd.to_owned()),
            host => MxTarget::Host(domain(host)),
        };
        Mx { preference, target }
    }

    fn mx_host(host: &str, preference: u16, addresses: &[&str]) -> MxHost {
        MxHost { host: domain(host), preference, addresses: addresses.iter().map(|text| ip(text)).collect() }
    }

    fn no_address() -> Result<Vec<IpAddr>, LookupError> {
        Err(LookupError::NoData)
    }

    fn servfail<T>() -> Result<T, LookupError> {
        Err(LookupError::Failed(DnsFault::ServFail))
    }

    #[expect(clippy::unnecessary_wraps, reason = "an answer, as a name service gives it")]
    fn at(addresses: &[&str]) -> Result<Vec<IpAddr>, LookupError> {
        Ok(addresses.iter().map(|text| ip(text)).collect())
    }

    fn planned(
        answer: Result<Vec<Mx>, LookupError>,
        lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupError>,
        invented: &NxdomainRewriting,
    ) -> Route {
        match targets(&domain("shop.example"), answer, invented) {
            RouteStep::Known(route) => route,
            RouteStep::LookUp(targets) => {
                let addresses = targets.hosts.iter().map(|target| lookup(target.host.as_str())).collect();
                route(targets, addresses, &AllowedNets::default(), invented)
            }
        }
    }

    fn honest(
        answer: Result<Vec<Mx>, LookupError>,
        lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupError>,
    ) -> Route {
        planned(answer, lookup, &NxdomainRewriting::default())
    }

    #[test]
    fn exchangers_come_by_preference_with_public_addresses_only_and_ipv4_first() {
        let answer =
            Ok(vec![mx(20, "b.example"), mx(10, "a.example"), mx(20, "c.example"), mx(30, "a.example")]);
        let route = honest(answer, |host| match host {
            "a.example" => at(&["2606:4700::1", "10.0.0.1", "8.8.8.8", "::1"]),
            "b.example" => no_address(),
            _ => at(&["9.9.9.9"]),
        });
        let expected = vec![
            mx_host("a.example", 10, &["8.8.8.8", "2606:4700::1"]),
            mx_host("c.example", 20, &["9.9.9.9"]),
        ];
        assert_eq!(route, Route::Hosts(expected));
    }

    #[test]
    fn without_mx_the_domain_itself_is_the_exchanger() {
        for answer in [Err(LookupError::NoData), Ok(vec![])] {
            let route = honest(answer.clone(), |_| at(&["8.8.8.8"]));
            assert_eq!(route, Route::Hosts(vec![mx_host("shop.example", 0, &["8.8.8.8"])]));
            assert_eq!(honest(answer.clone(), |_| no_address()), Route::Absent(NoMailReason::NoMailHost));
            assert_eq!(honest(answer, |_| servfail()), Route::Failed(DnsFault::ServFail));
        }
    }

    #[test]
    fn a_null_mx_counts_alone_and_is_passed_over_beside_others() {
        assert_eq!(honest(Ok(vec![mx(0, ".")]), |_| no_address()), Route::NullMx);
        let beside = Ok(vec![mx(0, "."), mx(10, "a.example")]);
        assert_eq!(
            honest(beside.clone(), |_| at(&["8.8.8.8"])),
            Route::Hosts(vec![mx_host("a.example", 10, &["8.8.8.8"])])
        );
        assert_eq!(honest(beside, |_| no_address()), Route::Absent(NoMailReason::NoMailHost));
    }

    #[test]
    fn what_has_no_mail_host_is_told_from_what_could_not_be_asked() {
        let both = || Ok(vec![mx(10, "a.example"), mx(20, "b.example")]);
        let with_a = |a: Result<Vec<IpAddr>, LookupError>, b: Result<Vec<IpAddr>, LookupError>| {
            honest(both(), |host| if host == "a.example" { a.clone() } else { b.clone() })
        };
        assert_eq!(
            honest(Err(LookupError::NoSuchDomain), |_| no_address()),
            Route::Absent(NoMailReason::NoSuchDomain)
        );
        assert_eq!(honest(servfail(), |_| at(&["8.8.8.8"])), Route::Failed(DnsFault::ServFail));
        assert_eq!(
            with_a(no_address(), Err(LookupError::NoSuchDomain)),
            Route::Absent(NoMailReason::NoMailHost)
        );
        assert_eq!(with_a(no_address(), servfail()), Route::Failed(DnsFault::ServFail));
        assert_eq!(
            with_a(servfail(), at(&["8.8.8.8"])),
            Route::Hosts(vec![mx_host("b.example", 20, &["8.8.8.8"])])
        );
        assert_eq!(with_a(at(&["127.0.0.1"]), no_address()), Route::Unroutable(ip("127.0.0.1")));
        assert_eq!(with_a(at(&["127.0.0.1"]), servfail()), Route::Failed(DnsFault::ServFail));
        assert_eq!(with_a(at(&["127.0.0.1"]), at(&["10.0.0.1"])), Route::Failed(DnsFault::PrivateAddress));
    }

    #[test]
    fn a_number_as_target_is_no_host_but_an_odd_name_may_be_one_for_others() {
        assert_eq!(
            honest(Ok(vec![mx(10, "8.8.8.8")]), |_| no_address()),
            Route::Absent(NoMailReason::NoMailHost)
        );
        let odd = honest(Ok(vec![mx(10, "my_mx.example")]), |_| no_address());
        assert_eq!(
            odd,
            Route::Failed(DnsFault::Other("the MX target `my_mx.example` is no host name".to_owned()))
        );
    }

    #[test]
    fn of_thousands_of_targets_the_best_are_looked_up_and_the_rest_is_a_doubt() {
        let many = || Ok((0..5000).rev().map(|n| mx(n, &format!("mx{n}.example"))).collect());
        let RouteStep::LookUp(some) = targets(&domain("shop.example"), many(), &NxdomainRewriting::default())
        else {
            panic!("hosts to look up");
        };
        let preferences: Vec<u16> = some.hosts.iter().map(|target| target.preference).collect();
        assert_eq!(preferences, (0..16).collect::<Vec<u16>>());
        assert_eq!(
            honest(many(), |_| no_address()),
            Route::Failed(DnsFault::Other("more than 16 MX targets".to_owned()))
        );
    }

    #[test]
    fn a_resolver_that_invents_answers_condemns_nobody() {
        let invented = NxdomainRewriting::new([ip("7.7.7.7")]);
        let rewritten = Route::Failed(DnsFault::Rewritten);
        let planned = |answer, addresses: &[&str]| planned(answer, |_| at(addresses), &invented);
        assert_eq!(planned(Err(LookupError::NoSuchDomain), &[]), rewritten);
        assert_eq!(planned(Ok(vec![mx(0, ".")]), &[]), rewritten);
        assert_eq!(planned(Ok(vec![mx(10, "a.example")]), &[]), rewritten);
        assert_eq!(planned(Ok(vec![mx(10, "a.example")]), &["127.0.0.1"]), rewritten);
        assert_eq!(planned(Ok(vec![mx(10, "a.example")]), &["7.7.7.7"]), rewritten);
        // An address record of the domain itself is what such resolvers invent.
        assert_eq!(planned(Err(LookupError::NoData), &["8.8.8.8"]), rewritten);
        // A real exchanger's address is none of the invented ones.
        assert_eq!(
            planned(Ok(vec![mx(10, "a.example")]), &["8.8.8.8"]),
            Route::Hosts(vec![mx_host("a.example", 10, &["8.8.8.8"])])
        );
    }

    fn any_address() -> impl Strategy<Value = Result<Vec<IpAddr>, LookupError>> {
        let some = prop::sample::select(vec!["8.8.8.8", "9.9.9.9", "10.0.0.1", "127.0.0.1", "::1"]);
        prop_oneof![
            4 => prop::collection::vec(some.prop_map(ip), 0..3).prop_map(Ok),
            1 => Just(Err(LookupError::NoData)),
            1 => Just(Err(LookupError::NoSuchDomain)),
            1 => Just(Err(LookupError::Failed(DnsFault::Timeout))),
        ]
    }

    fn condemns(route: &Route) -> bool {
        matches!(route, Route::Absent(_) | Route::NullMx | Route::Unroutable(_))
    }

    proptest! {
        #[test]
        fn a_failure_never_condemns(answers in prop::collection::vec(any_address(), 1..6), failing: prop::sample::Index) {
            let records = (0..answers.len()).map(|n| mx(10, &format!("mx{n}.example"))).collect();
            let failing = format!("mx{}.example", failing.index(answers.len()));
            let route = honest(Ok(records), |host| {
                let n: usize = host["mx".len()..host.len() - ".example".len()].parse().unwrap();
                if host == failing { servfail() } else { answers[n].clone() }
            });
            prop_assert!(!condemns(&route), "{route:?}");
        }

        #[test]
        fn the_order_of_records_with_unlike_preferences_does_not_matter(
            answers in prop::collection::vec(any_address(), 1..8),
            seed: u64,
        ) {
            let records: Vec<Mx> = (0..answers.len())
                .map(|n| mx(u16::try_from(n).unwrap() * 10, &format!("mx{n}.example")))
                .collect();
            let mut shuffled = records.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let look = |host: &str| {
                let n: usize = host["mx".len()..host.len() - ".example".len()].parse().unwrap();
                answers[n].clone()
            };
            prop_assert_eq!(honest(Ok(records), look), honest(Ok(shuffled), look));
        }
    }
}
