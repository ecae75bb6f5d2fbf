//! A cache over a name service: each look-up is made once, and concurrent callers share it.
//!
//! Decides: how long an answer is reused ([`ANSWER_LIFETIME`]), and how long a failure ([`FAILURE_LIFETIME`]: long enough
//! that a thousand rows of one domain do not ask a broken server a thousand times, short enough that a retry asks anew).
//! Bounded: the least recently used answers are evicted first. A waiting caller may be cancelled at any time: if it made the
//! look-up, the next waiting caller makes it instead.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::dns::{Dns, LookupError, LookupFuture, Mx, NxdomainRewriting};
use crate::address::Domain;

/// How long an answer is reused, whatever its TTL. A run should see one state of the DNS, and connections go to the address
/// that was checked, so that DNS rebinding is impossible.
const ANSWER_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long a failure is reused.
const FAILURE_LIFETIME: Duration = Duration::from_secs(30);

/// Cached answers of each kind.
const CAPACITY: usize = 50_000;

/// A name service with a cache.
pub struct CachedDns<D> {
    dns: D,
    mx: LookupCache<Vec<Mx>>,
    addresses: LookupCache<Vec<IpAddr>>,
    rewriting: OnceCell<NxdomainRewriting>,
}

impl<D: Dns> CachedDns<D> {
    /// A cache over `dns`.
    pub fn new(dns: D) -> CachedDns<D> {
        CachedDns::with_capacity(dns, CAPACITY)
    }

    fn with_capacity(dns: D, capacity: usize) -> CachedDns<D> {
        CachedDns {
            dns,
            mx: LookupCache::new(capacity),
            addresses: LookupCache::new(capacity),
            rewriting: OnceCell::new(),
        }
    }
}

impl<D: Dns> Dns for CachedDns<D> {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, Vec<Mx>> {
        Box::pin(self.mx.get_or_look_up(domain, || self.dns.mx(domain)))
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>> {
        Box::pin(self.addresses.get_or_look_up(host, || self.dns.addresses(host)))
    }

    fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(async { self.rewriting.get_or_init(|| self.dns.nxdomain_rewriting()).await.clone() })
    }
}

/// An answer, or a look-up in flight that callers wait for.
type Slot<T> = Arc<OnceCell<CachedAnswer<T>>>;

#[derive(Clone)]
struct CachedAnswer<T> {
    answer: Result<T, LookupError>,
    expires_at: Instant,
}

/// The cached answers to one kind of look-up.
struct LookupCache<T> {
    slots: Mutex<TwoGenerations<Domain, Slot<T>>>,
}

impl<T: Clone> LookupCache<T> {
    fn new(capacity: usize) -> LookupCache<T> {
        LookupCache { slots: Mutex::new(TwoGenerations::new(capacity)) }
    }

    async fn get_or_look_up<'a>(
        &self,
        name: &Domain,
        look_up: impl Fn() -> LookupFuture<'a, T>,
    ) -> Result<T, LookupError>
    where
        T: 'a,
    {
        let slot = self.slot(name);
        let cached = slot.get_or_init(|| async {
            let answer = look_up().await;
            let is_failure = matches!(answer, Err(LookupError::Failed(_)));
            let lifetime = if is_failure { FAILURE_LIFETIME } else { ANSWER_LIFETIME };
            CachedAnswer { answer, expires_at: Instant::now() + lifetime }
        });
        cached.await.answer.clone()
    }

    /// The slot of a name; a new one if there is none, or if its answer has expired.
    fn slot(&self, name: &Domain) -> Slot<T> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |slot: &Slot<T>| slot.get().is_none_or(|cached| Instant::now() < cached.expires_at);
        if let Some(slot) = slots.get(name).filter(is_fresh) {
            return slot;
        }
        let slot = Slot::default();
        slots.put(name.clone(), slot.clone());
        slot
    }
}

/// A map of bounded size with nearly "least recently used" eviction, at a fraction of its cost. It has two halves: an entry
/// that is used moves to the young half; when that is full, the old half is dropped and the young one becomes the old one.
struct TwoGenerations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> TwoGenerations<K, V> {
    fn new(capacity: usize) -> TwoGenerations<K, V> {
        TwoGenerations { young: HashMap::new(), old: HashMap::new(), half: capacity.div_ceil(2) }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(key.clone(), value.clone());
        Some(value)
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;
    use crate::route::dns::DnsFault;

    /// Answers after a second, and counts look-ups.
    struct CountingDns {
        lookups: AtomicUsize,
        answer: Result<Vec<IpAddr>, LookupError>,
    }

    impl Dns for CountingDns {
        fn mx<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, Vec<Mx>> {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Err(LookupError::NoData) })
        }

        fn addresses<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>> {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                sleep(Duration::from_secs(1)).await;
                self.answer.clone()
            })
        }

        fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { NxdomainRewriting::new([]) })
        }
    }

    fn cached(answer: Result<Vec<IpAddr>, LookupError>, capacity: usize) -> CachedDns<CountingDns> {
        let lookups = AtomicUsize::new(0);
        CachedDns::with_capacity(CountingDns { lookups, answer }, capacity)
    }

    fn lookups(cache: &CachedDns<CountingDns>) -> usize {
        cache.dns.lookups.load(Ordering::Relaxed)
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "an answer, as a name service gives it")]
    fn found() -> Result<Vec<IpAddr>, LookupError> {
        Ok(vec!["8.8.8.8".parse().unwrap()])
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_lookups_share_one_answer() {
        let cache = cached(found(), 10);
        let (a, b) = (domain("a.example"), domain("b.example"));
        let answers = tokio::join!(cache.addresses(&a), cache.addresses(&a), cache.addresses(&b));
        assert_eq!(answers, (found(), found(), found()));
        assert_eq!(cache.addresses(&a).await, found());
        assert_eq!(lookups(&cache), 2);
        assert_eq!(
            (cache.mx(&a).await, cache.mx(&a).await),
            (Err(LookupError::NoData), Err(LookupError::NoData))
        );
        assert_eq!(lookups(&cache), 3);
        assert_eq!(
            (cache.nxdomain_rewriting().await, cache.nxdomain_rewriting().await),
            (NxdomainRewriting::new([]), NxdomainRewriting::new([]))
        );
        assert_eq!(lookups(&cache), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_reused_for_an_hour_and_a_failure_for_half_a_minute() {
        let host = domain("a.example");
        for (answer, lifetime) in [
            (found(), ANSWER_LIFETIME),
            (Err(LookupError::NoSuchDomain), ANSWER_LIFETIME),
            (Err(LookupError::Failed(DnsFault::ServFail)), FAILURE_LIFETIME),
        ] {
            let cache = cached(answer.clone(), 10);
            assert_eq!(cache.addresses(&host).await, answer);
            advance(lifetime.checked_sub(Duration::from_millis(1)).unwrap()).await;
            assert_eq!(cache.addresses(&host).await, answer);
            assert_eq!(lookups(&cache), 1);
            advance(Duration::from_millis(1)).await;
            assert_eq!(cache.addresses(&host).await, answer);
            assert_eq!(lookups(&cache), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_caller_gets_an_answer_though_the_first_caller_was_cancelled() {
        let cache = cached(found(), 10);
        let host = domain("a.example");
        let first = async {
            let half = Duration::from_millis(500);
            assert!(tokio::time::timeout(half, cache.addresses(&host)).await.is_err());
        };
        let ((), answer) = tokio::join!(first, cache.addresses(&host));
        assert_eq!(answer, found());
        assert_eq!(lookups(&cache), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_used_answer_is_evicted_first_and_memory_is_bounded() {
        let cache = cached(found(), 10);
        let often = domain("often.example");
        for n in 0..1000 {
            cache.addresses(&often).await.unwrap();
            cache.addresses(&domain(&format!("host{n}.example"))).await.unwrap();
        }
        assert_eq!(lookups(&cache), 1001, "`often` was looked up once");
        let slots = cache.addresses.slots.lock().unwrap();
        assert!(slots.young.len() + slots.old.len() <= 10);
    }
}
