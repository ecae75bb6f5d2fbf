//! The route of a domain, decided from DNS answers.
//!
//! Decides: which MX hosts a domain has and in what order (RFC 5321 5.1, RFC 7505), which of their addresses may be
//! connected to, and what it means if there are none. Must not: make look-ups; classify addresses (`public.rs` does).
//! Fails: into [`Route::Failed`]. "No mail" is the result only if every look-up that matters was answered, by a resolver
//! that does not rewrite NXDOMAIN. Can't know: whether an MX host listens on port 25.
//!
//! Two steps, because the second round of look-ups depends on the first answer: [`mx_names`], then [`route`].

use std::net::IpAddr;

use super::dns::{DnsFault, LookupError, Mx, MxTarget, NxdomainRewriting};
use super::public::{AddressScope, AllowedNets};
use crate::address::Domain;

/// Where the mail of a domain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To these MX hosts, best first. There is at least one, and each has an address that may be connected to.
    Hosts(Vec<MxHost>),
    /// Nowhere: a single MX "." says that the domain accepts no mail (RFC 7505).
    NullMx,
    /// Nowhere: the domain or its mail host does not exist.
    Absent(NoMailReason),
    /// Nowhere: all MX hosts have loopback, unspecified or similar addresses, to which no Internet host can deliver. The
    /// first such address.
    Unroutable(IpAddr),
    /// Not known: a look-up failed, or its answer cannot be trusted.
    Failed(DnsFault),
}

impl Route {
    /// True if the route would be the same with these networks allowed. A stored route may be from a run that allowed
    /// others.
    pub fn is_valid_under(&self, allowed: &AllowedNets) -> bool {
        match self {
            Route::Hosts(mx_hosts) => {
                let mut addresses = mx_hosts.iter().flat_map(|mx_host| &mx_host.addresses);
                addresses.all(|&ip| allowed.scope(ip) == AddressScope::Public)
            }
            Route::Unroutable(ip) => allowed.scope(*ip) == AddressScope::Unroutable,
            Route::NullMx | Route::Absent(_) | Route::Failed(_) => true,
        }
    }
}

/// What a domain without mail lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMailReason {
    /// The domain itself: NXDOMAIN.
    NoSuchDomain,
    /// A mail host: the domain has neither MX nor address records, or MX records whose hosts all do not exist (the domain's
    /// own address records do not count then).
    NoMailHost,
}

/// A host that receives mail for a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MxHost {
    /// Its name: A-labels, lower case, no trailing dot.
    pub host: Domain,
    /// The MX preference, lower is better; 0 for an implicit MX (RFC 5321 5.1).
    pub preference: u16,
    /// Addresses that may be connected to, IPv4 first, at most five of each family. The host is resolved once: connections
    /// go to these addresses.
    pub addresses: Vec<IpAddr>,
}

/// How many MX hosts are looked up, the best ones first. Real domains have a handful; an untrusted zone may list thousands.
const MAX_MX_HOSTS: usize = 10;

/// How many addresses of each family an MX host has: as many as Postfix tries in all (`smtp_mx_address_limit`). Which of
/// them are tried depends on the families that an egress reaches, so that is up to the scheduler.
const MAX_ADDRESSES_OF_FAMILY: usize = 5;

/// An MX host whose addresses are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MxName {
    /// The name.
    pub host: Domain,
    /// The MX preference; 0 for an implicit MX.
    pub preference: u16,
}

/// The MX hosts to look up, and what their MX records say already.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct MxNames {
    /// At most [`MAX_MX_HOSTS`], best first.
    pub hosts: Vec<MxName>,
    /// The domain has no MX records, so it is its own MX host (RFC 5321 5.1).
    implicit: bool,
    /// The fault to report if none of `hosts` has a usable address: an MX record that names no valid host, or too many MX
    /// records.
    fault: Option<DnsFault>,
}

/// The result of the first step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RouteStep {
    /// The route is known without further look-ups.
    Known(Route),
    /// The addresses of these hosts are needed.
    LookUp(MxNames),
}

/// The first step: reads the answer to the MX look-up.
pub(super) fn mx_names(
    domain: &Domain,
    answer: Result<Vec<Mx>, LookupError>,
    rewriting: &NxdomainRewriting,
) -> RouteStep {
    let mut records = match answer {
        Ok(records) => records,
        Err(LookupError::NoData) => Vec::new(),
        Err(LookupError::NoSuchDomain) => {
            let route = Route::Absent(NoMailReason::NoSuchDomain);
            return RouteStep::Known(unless_rewritten(route, rewriting));
        }
        Err(LookupError::Failed(fault)) => return RouteStep::Known(Route::Failed(fault)),
    };
    if records.is_empty() {
        let host = MxName { host: domain.clone(), preference: 0 };
        return RouteStep::LookUp(MxNames { hosts: vec![host], implicit: true, fault: None });
    }
    if records.iter().all(|mx| mx.target == MxTarget::Null) {
        return RouteStep::Known(unless_rewritten(Route::NullMx, rewriting));
    }
    // A stable sort: hosts of equal preference stay in the order of the name server, which may rotate them.
    records.sort_by_key(|mx| mx.preference);
    let mut names = MxNames::default();
    for mx in records {
        match mx.target {
            MxTarget::Null => {}
            // An IP address is not a host name: no resolver can look it up.
            MxTarget::Malformed(text) if text.parse::<IpAddr>().is_ok() => {}
            // Other resolvers may accept what this one rejects, for example an underscore.
            MxTarget::Malformed(text) => {
                let fault = DnsFault::Other(format!("the MX target `{text}` is not a host name"));
                names.fault.get_or_insert(fault);
            }
            MxTarget::Host(host) if names.hosts.iter().any(|name| name.host == host) => {}
            MxTarget::Host(_) if names.hosts.len() == MAX_MX_HOSTS => {
                let fault = DnsFault::Other(format!("more than {MAX_MX_HOSTS} MX targets"));
                names.fault.get_or_insert(fault);
                break;
            }
            MxTarget::Host(host) => names.hosts.push(MxName { host, preference: mx.preference }),
        }
    }
    RouteStep::LookUp(names)
}

/// The second step: the route, from the addresses of all `names.hosts`, in their order.
pub(super) fn route(
    names: MxNames,
    addresses: Vec<Result<Vec<IpAddr>, LookupError>>,
    allowed: &AllowedNets,
    rewriting: &NxdomainRewriting,
) -> Route {
    let mut mx_hosts = Vec::new();
    let mut fault = names.fault;
    let (mut private, mut unroutable) = (false, None);
    for (name, answer) in names.hosts.into_iter().zip(addresses) {
        let found = match answer {
            Ok(found) => found,
            Err(LookupError::NoSuchDomain | LookupError::NoData) => continue,
            Err(LookupError::Failed(failure)) => {
                fault.get_or_insert(failure);
                continue;
            }
        };
        let mut addresses = Vec::new();
        for ip in found {
            if rewriting.includes(ip) {
                fault = Some(DnsFault::Rewritten);
                continue;
            }
            if let Some(untrusted) = rewriting.fault().filter(|_| names.implicit) {
                fault = Some(untrusted);
                continue;
            }
            match allowed.scope(ip) {
                AddressScope::Public => {
                    let same = addresses.iter().filter(|other: &&IpAddr| other.is_ipv4() == ip.is_ipv4());
                    if same.count() < MAX_ADDRESSES_OF_FAMILY {
                        addresses.push(ip);
                    }
                }
                AddressScope::Private => private = true,
                AddressScope::Unroutable => unroutable = unroutable.or(Some(ip)),
            }
        }
        if !addresses.is_empty() {
            addresses.sort_by_key(IpAddr::is_ipv6);
            mx_hosts.push(MxHost { host: name.host, preference: name.preference, addresses });
        }
    }
    if !mx_hosts.is_empty() {
        return Route::Hosts(mx_hosts);
    }
    let route = match (fault, private, unroutable) {
        (Some(fault), ..) => Route::Failed(fault),
        (None, true, _) => Route::Failed(DnsFault::PrivateAddress),
        (None, false, Some(ip)) => Route::Unroutable(ip),
        (None, false, None) => Route::Absent(NoMailReason::NoMailHost),
    };
    unless_rewritten(route, rewriting)
}

/// The route; `Failed` for a route without mail if the resolver rewrites NXDOMAIN or may do so, because then it is not
/// reliable.
fn unless_rewritten(route: Route, rewriting: &NxdomainRewriting) -> Route {
    match (route, rewriting.fault()) {
        (Route::Absent(_) | Route::NullMx | Route::Unroutable(_), Some(untrusted)) => {
            Route::Failed(untrusted)
        }
        (route, _) => route,
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
        rewriting: &NxdomainRewriting,
    ) -> Route {
        match mx_names(&domain("shop.example"), answer, rewriting) {
            RouteStep::Known(route) => route,
            RouteStep::LookUp(names) => {
                let addresses = names.hosts.iter().map(|name| lookup(name.host.as_str())).collect();
                route(names, addresses, &AllowedNets::default(), rewriting)
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
    fn mx_hosts_come_by_preference_with_public_addresses_only_and_ipv4_first() {
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
    fn an_mx_host_has_at_most_five_addresses_of_each_family() {
        let many: Vec<String> =
            (1..=9).map(|n| format!("8.8.8.{n}")).chain((1..=9).map(|n| format!("2606:4700::{n}"))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let route = honest(Ok(vec![mx(10, "a.example")]), |_| at(&many));
        let kept = [&many[..5], &many[9..14]].concat();
        assert_eq!(route, Route::Hosts(vec![mx_host("a.example", 10, &kept)]));
    }

    #[test]
    fn without_mx_the_domain_itself_is_the_mx_host() {
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
    fn a_missing_mail_host_is_distinguished_from_a_failed_lookup() {
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
    fn an_ip_address_as_mx_is_no_host_and_an_odd_name_is_a_failure() {
        assert_eq!(
            honest(Ok(vec![mx(10, "8.8.8.8")]), |_| no_address()),
            Route::Absent(NoMailReason::NoMailHost)
        );
        let odd = honest(Ok(vec![mx(10, "my_mx.example")]), |_| no_address());
        assert_eq!(
            odd,
            Route::Failed(DnsFault::Other("the MX target `my_mx.example` is not a host name".to_owned()))
        );
    }

    #[test]
    fn of_thousands_of_mx_records_the_best_are_looked_up_and_the_others_are_a_failure() {
        let many = || Ok((0..5000).rev().map(|n| mx(n, &format!("mx{n}.example"))).collect());
        let RouteStep::LookUp(some) =
            mx_names(&domain("shop.example"), many(), &NxdomainRewriting::default())
        else {
            panic!("hosts to look up");
        };
        let preferences: Vec<u16> = some.hosts.iter().map(|name| name.preference).collect();
        assert_eq!(preferences, (0..10).collect::<Vec<u16>>());
        assert_eq!(
            honest(many(), |_| no_address()),
            Route::Failed(DnsFault::Other("more than 10 MX targets".to_owned()))
        );
    }

    #[test]
    fn a_resolver_that_rewrites_nxdomain_never_makes_a_domain_undeliverable() {
        let rewriting = NxdomainRewriting::To(vec![ip("7.7.7.7")]);
        let rewritten = Route::Failed(DnsFault::Rewritten);
        let planned = |answer, addresses: &[&str]| planned(answer, |_| at(addresses), &rewriting);
        assert_eq!(planned(Err(LookupError::NoSuchDomain), &[]), rewritten);
        assert_eq!(planned(Ok(vec![mx(0, ".")]), &[]), rewritten);
        assert_eq!(planned(Ok(vec![mx(10, "a.example")]), &[]), rewritten);
        assert_eq!(planned(Ok(vec![mx(10, "a.example")]), &["127.0.0.1"]), rewritten);
        assert_eq!(planned(Ok(vec![mx(10, "a.example")]), &["7.7.7.7"]), rewritten);
        // An address of the domain itself, without MX, is what such resolvers return for any name.
        assert_eq!(planned(Err(LookupError::NoData), &["8.8.8.8"]), rewritten);
        // The address of a real MX host is not one of those.
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

    fn has_no_mail(route: &Route) -> bool {
        matches!(route, Route::Absent(_) | Route::NullMx | Route::Unroutable(_))
    }

    proptest! {
        #[test]
        fn a_failure_never_means_no_mail(answers in prop::collection::vec(any_address(), 1..6), failing: prop::sample::Index) {
            let records = (0..answers.len()).map(|n| mx(10, &format!("mx{n}.example"))).collect();
            let failing = format!("mx{}.example", failing.index(answers.len()));
            let route = honest(Ok(records), |host| {
                let n: usize = host["mx".len()..host.len() - ".example".len()].parse().unwrap();
                if host == failing { servfail() } else { answers[n].clone() }
            });
            prop_assert!(!has_no_mail(&route), "{route:?}");
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
