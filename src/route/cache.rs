//! A cache over a name service: each look-up is made once, and concurrent callers share it.
//!
//! Decides: how long an answer is reused (its TTL, within [`LEAST_TTL`] and [`ANSWER_LIFETIME`]), and how long a failure
//! ([`FAILURE_LIFETIME`]: long enough that a thousand rows of one domain do not ask a broken server a thousand times, short
//! enough that a retry asks anew). Bounded in bytes: the least recently used answers are evicted first. A waiting caller may be cancelled at any time: if it made the
//! look-up, the next waiting caller makes it instead.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::dns::{Dns, DnsAnswer, DnsRecord, LookupError, LookupFuture, Mx, NxdomainRewriting, RecordType};
use crate::address::Domain;

/// The longest time for which an answer is reused.
const ANSWER_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// A lower TTL counts as this. Some zones have a TTL of 0; each of their rows would cost a look-up.
const LEAST_TTL: Duration = Duration::from_secs(5 * 60);
/// How long a failure is reused.
const FAILURE_LIFETIME: Duration = Duration::from_secs(30);

/// Bytes of cached answers of each kind.
const CAPACITY: usize = 12 << 20;

/// A name service with a cache.
pub struct CachedDns<D> {
    dns: D,
    mx: LookupCache<Mx>,
    addresses: LookupCache<IpAddr>,
    rewriting: Mutex<Slot<NxdomainRewriting>>,
    /// When the service last answered a test query: silent look-ups from before are made again.
    alive: Mutex<Option<Instant>>,
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
            rewriting: Mutex::default(),
            alive: Mutex::default(),
        }
    }
}

impl<D> CachedDns<D> {
    fn last_alive(&self) -> Option<Instant> {
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Dns> Dns for CachedDns<D> {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        Box::pin(self.mx.get_or_look_up(domain, self.last_alive(), || self.dns.mx(domain)))
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        Box::pin(self.addresses.get_or_look_up(host, self.last_alive(), || self.dns.addresses(host)))
    }

    /// Not cached: these records are looked up once.
    fn records<'a>(&'a self, name: &'a str, kind: RecordType) -> LookupFuture<'a, Vec<DnsRecord>> {
        self.dns.records(name, kind)
    }

    fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(async {
            let slot = {
                let mut slot = self.rewriting.lock().unwrap_or_else(PoisonError::into_inner);
                if !is_fresh(&slot) {
                    *slot = Slot::default();
                }
                slot.clone()
            };
            let tested = slot.get_or_init(|| async {
                let value = self.dns.nxdomain_rewriting().await;
                let is_failure = matches!(value, NxdomainRewriting::Unknown(_));
                Cached::now(value, if is_failure { FAILURE_LIFETIME } else { ANSWER_LIFETIME })
            });
            tested.await.value.clone()
        })
    }

    fn is_alive(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            let is_alive = self.dns.is_alive().await;
            if is_alive {
                *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            is_alive
        })
    }
}

/// An answer, or a look-up in flight that callers wait for.
type Slot<T> = Arc<OnceCell<Cached<T>>>;

#[derive(Clone)]
struct Cached<T> {
    value: T,
    since: Instant,
    lifetime: Duration,
}

impl<T> Cached<T> {
    fn now(value: T, lifetime: Duration) -> Cached<T> {
        Cached { value, since: Instant::now(), lifetime }
    }
}

fn is_fresh<T>(slot: &Slot<T>) -> bool {
    slot.get().is_none_or(|cached| cached.since.elapsed() < cached.lifetime)
}

/// The cached answers to one kind of look-up.
struct LookupCache<T> {
    slots: Mutex<TwoGenerations<AnswerSlot<T>>>,
}

type AnswerSlot<T> = Slot<Result<DnsAnswer<T>, LookupError>>;

/// Memory of an entry without its name and its records, and of a record; rough.
const BYTES_OF_ENTRY: usize = 160;
const BYTES_OF_RECORD: usize = 80;

/// Memory of the records of an answer.
fn bytes_of_records<T>(slot: &AnswerSlot<T>) -> usize {
    let answer = slot.get().and_then(|cached| cached.value.as_ref().ok());
    answer.map_or(0, |answer| answer.records.len() * BYTES_OF_RECORD)
}

impl<T: Clone> LookupCache<T> {
    fn new(capacity: usize) -> LookupCache<T> {
        LookupCache { slots: Mutex::new(TwoGenerations::new(capacity, bytes_of_records)) }
    }

    async fn get_or_look_up<'a>(
        &self,
        name: &Domain,
        alive: Option<Instant>,
        look_up: impl Fn() -> LookupFuture<'a, DnsAnswer<T>>,
    ) -> Result<DnsAnswer<T>, LookupError>
    where
        T: 'a,
    {
        let slot = self.slot(name, alive);
        let mut is_new = false;
        let cached = slot.get_or_init(|| async {
            let answer = look_up().await;
            is_new = true;
            let lifetime = match &answer {
                Ok(answer) => answer.ttl.clamp(LEAST_TTL, ANSWER_LIFETIME),
                Err(LookupError::NoSuchDomain | LookupError::NoData) => ANSWER_LIFETIME,
                Err(LookupError::Failed(_)) => FAILURE_LIFETIME,
            };
            Cached::now(answer, lifetime)
        });
        let cached = cached.await;
        if is_new {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.grow(bytes_of_records(&slot));
        }
        let mut answer = cached.value.clone()?;
        answer.ttl = answer.ttl.max(LEAST_TTL).saturating_sub(cached.since.elapsed());
        Ok(answer)
    }

    /// The slot of a name; a new one if there is none, or if its answer has expired.
    fn slot(&self, name: &Domain, alive: Option<Instant>) -> AnswerSlot<T> {
        let is_void = |slot: &AnswerSlot<T>| {
            slot.get().is_some_and(|cached| match &cached.value {
                Err(LookupError::Failed(fault)) => fault.is_silence() && Some(cached.since) < alive,
                _ => false,
            })
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name).filter(|slot| is_fresh(slot) && !is_void(slot)) {
            return slot;
        }
        let slot = Slot::default();
        slots.put(name.clone(), slot.clone());
        slot
    }
}

/// A map by domain, of bounded size with nearly "least recently used" eviction, at a fraction of its cost. It has two halves:
/// an entry that is used moves to the young half; when that is full, the old half is dropped and the young one becomes the
/// old one.
struct TwoGenerations<V> {
    young: HashMap<Domain, V>,
    old: HashMap<Domain, V>,
    /// The most bytes of a half, and those of the young one.
    half: usize,
    bytes: usize,
    /// The bytes of a value beside those of its entry.
    weigh: fn(&V) -> usize,
}

impl<V: Clone> TwoGenerations<V> {
    fn new(capacity: usize, weigh: fn(&V) -> usize) -> TwoGenerations<V> {
        let (young, old) = (HashMap::new(), HashMap::new());
        TwoGenerations { young, old, half: capacity.div_ceil(2), bytes: 0, weigh }
    }

    fn get(&mut self, key: &Domain) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(key.clone(), value.clone());
        Some(value)
    }

    fn put(&mut self, key: Domain, value: V) {
        self.grow(BYTES_OF_ENTRY + key.as_str().len() + (self.weigh)(&value));
        self.young.insert(key, value);
    }

    /// Counts bytes of the young half, which becomes the old one when it is full.
    fn grow(&mut self, bytes: usize) {
        if self.bytes >= self.half {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;
    use crate::route::dns::DnsFault;

    const TTL: Duration = Duration::from_secs(1200);

    /// Answers after a second, and counts look-ups.
    struct CountingDns {
        lookups: AtomicUsize,
        rewriting: NxdomainRewriting,
        answer: Result<DnsAnswer<IpAddr>, LookupError>,
    }

    impl Dns for CountingDns {
        fn mx<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Err(LookupError::NoData) })
        }

        fn addresses<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                sleep(Duration::from_secs(1)).await;
                self.answer.clone()
            })
        }

        fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { self.rewriting.clone() })
        }
    }

    fn cached(answer: Result<DnsAnswer<IpAddr>, LookupError>, capacity: usize) -> CachedDns<CountingDns> {
        let lookups = AtomicUsize::new(0);
        CachedDns::with_capacity(
            CountingDns { lookups, rewriting: NxdomainRewriting::To(Vec::new()), answer },
            capacity,
        )
    }

    fn lookups(cache: &CachedDns<CountingDns>) -> usize {
        cache.dns.lookups.load(Ordering::Relaxed)
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "an answer, as a name service gives it")]
    fn found() -> Result<DnsAnswer<IpAddr>, LookupError> {
        Ok(DnsAnswer { records: vec!["8.8.8.8".parse().unwrap()], ttl: TTL })
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_lookups_share_one_answer() {
        let cache = cached(found(), 3_000);
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
            (NxdomainRewriting::To(Vec::new()), NxdomainRewriting::To(Vec::new()))
        );
        assert_eq!(lookups(&cache), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_reused_for_its_ttl_and_a_failure_for_half_a_minute() {
        let host = domain("a.example");
        for (answer, lifetime) in [
            (found(), TTL),
            (Ok(DnsAnswer { records: Vec::new(), ttl: Duration::ZERO }), LEAST_TTL),
            (Ok(DnsAnswer { records: Vec::new(), ttl: 48 * ANSWER_LIFETIME }), ANSWER_LIFETIME),
            (Err(LookupError::NoSuchDomain), ANSWER_LIFETIME),
            (Err(LookupError::Failed(DnsFault::ServFail)), FAILURE_LIFETIME),
        ] {
            let cache = cached(answer.clone(), 3_000);
            let records = |answer: Result<DnsAnswer<IpAddr>, _>| answer.map(|answer| answer.records);
            let expected = records(answer.clone());
            let first = cache.addresses(&host).await;
            advance(lifetime.checked_sub(Duration::from_millis(1)).unwrap()).await;
            let second = cache.addresses(&host).await;
            assert_eq!(lookups(&cache), 1);
            if let (Ok(first), Ok(second)) = (&first, &second) {
                assert_eq!(first.ttl, answer.as_ref().unwrap().ttl.max(LEAST_TTL));
                assert_eq!(
                    first.ttl.checked_sub(second.ttl).unwrap(),
                    lifetime.checked_sub(Duration::from_millis(1)).unwrap(),
                    "its age is counted"
                );
            }
            assert_eq!((records(first), records(second)), (expected.clone(), expected.clone()));
            advance(Duration::from_millis(1)).await;
            assert_eq!(records(cache.addresses(&host).await), expected);
            assert_eq!(lookups(&cache), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_caller_gets_an_answer_though_the_first_caller_was_cancelled() {
        let cache = cached(found(), 3_000);
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
    async fn a_failed_test_of_the_resolver_is_made_again() {
        let mut cache = cached(found(), 3_000);
        cache.dns.rewriting = NxdomainRewriting::Unknown(DnsFault::Timeout);
        for _ in 0..2 {
            assert_eq!(cache.nxdomain_rewriting().await, NxdomainRewriting::Unknown(DnsFault::Timeout));
        }
        assert_eq!(lookups(&cache), 1);
        cache.dns.rewriting = NxdomainRewriting::No;
        advance(FAILURE_LIFETIME).await;
        assert_eq!(cache.nxdomain_rewriting().await, NxdomainRewriting::No);
        assert_eq!(lookups(&cache), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_used_answer_is_evicted_first_and_memory_is_bounded() {
        let cache = cached(found(), 3_000);
        let often = domain("often.example");
        for n in 0..1000 {
            cache.addresses(&often).await.unwrap();
            cache.addresses(&domain(&format!("host{n}.example"))).await.unwrap();
        }
        assert_eq!(lookups(&cache), 1001, "`often` was looked up once");
        let slots = cache.addresses.slots.lock().unwrap();
        assert!(slots.young.len() + slots.old.len() <= 3_000 / BYTES_OF_ENTRY);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_with_many_records_counts_with_all_of_them() {
        let many = DnsAnswer { records: vec!["8.8.8.8".parse().unwrap(); 1_000], ttl: TTL };
        let cache = cached(Ok(many), 1_000_000);
        for n in 0..100 {
            cache.addresses(&domain(&format!("host{n}.example"))).await.unwrap();
        }
        let slots = cache.addresses.slots.lock().unwrap();
        assert!(slots.young.len() + slots.old.len() <= 1_000_000 / (1_000 * BYTES_OF_RECORD) + 2);
    }
}
