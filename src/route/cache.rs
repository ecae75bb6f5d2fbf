//! Asks each question once: remembers answers, and lets those who ask the same at the same time wait for one answer.
//!
//! Decides: how long an answer is believed ([`KEPT`]) and a failure ([`FAILURE_KEPT`]: long enough that a list's
//! thousand rows of one domain don't ask a broken server a thousand times, short enough that a retry asks anew).
//! Bounded: the least recently used answers are forgotten first. Who waits can be cancelled at any time: the next in
//! line asks in its place.

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

/// How long an answer is believed, whatever its TTL: a run should see one DNS, and a host is resolved once and then
/// connected to, so that nothing can be rebound in between.
pub const KEPT: Duration = Duration::from_secs(60 * 60);
/// How long a failure is believed.
pub const FAILURE_KEPT: Duration = Duration::from_secs(30);

/// Answers of each kind that are remembered.
const CAPACITY: usize = 50_000;

/// A name service that is asked each question once.
pub struct Cached<D> {
    dns: D,
    mx: Memory<Vec<Mx>>,
    addresses: Memory<Vec<IpAddr>>,
    invented: OnceCell<NxdomainRewriting>,
}

impl<D: Dns> Cached<D> {
    /// Remembers the answers of `dns`.
    pub fn new(dns: D) -> Cached<D> {
        Cached::with_capacity(dns, CAPACITY)
    }

    fn with_capacity(dns: D, capacity: usize) -> Cached<D> {
        Cached { dns, mx: Memory::new(capacity), addresses: Memory::new(capacity), invented: OnceCell::new() }
    }
}

impl<D: Dns> Dns for Cached<D> {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, Vec<Mx>> {
        Box::pin(self.mx.once(domain, || self.dns.mx(domain)))
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>> {
        Box::pin(self.addresses.once(host, || self.dns.addresses(host)))
    }

    fn invented(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(async { self.invented.get_or_init(|| self.dns.invented()).await.clone() })
    }
}

/// An answer, or the place where those wait who asked for it.
type Slot<T> = Arc<OnceCell<CachedAnswer<T>>>;

#[derive(Clone)]
struct CachedAnswer<T> {
    answer: Result<T, LookupError>,
    until: Instant,
}

/// The answers to one kind of question.
struct Memory<T> {
    slots: Mutex<TwoGenerations<Domain, Slot<T>>>,
}

impl<T: Clone> Memory<T> {
    fn new(capacity: usize) -> Memory<T> {
        Memory { slots: Mutex::new(TwoGenerations::new(capacity)) }
    }

    async fn once<'a>(&self, name: &Domain, ask: impl Fn() -> LookupFuture<'a, T>) -> Result<T, LookupError>
    where
        T: 'a,
    {
        let slot = self.slot(name);
        let known = slot.get_or_init(|| async {
            let answer = ask().await;
            let kept = if matches!(answer, Err(LookupError::Failed(_))) { FAILURE_KEPT } else { KEPT };
            CachedAnswer { answer, until: Instant::now() + kept }
        });
        known.await.answer.clone()
    }

    /// The slot of a name: a fresh one where there is none, or where its answer is too old.
    fn slot(&self, name: &Domain) -> Slot<T> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |slot: &Slot<T>| slot.get().is_none_or(|known| Instant::now() < known.until);
        if let Some(slot) = slots.get(name).filter(is_fresh) {
            return slot;
        }
        let slot = Slot::default();
        slots.put(name.clone(), slot.clone());
        slot
    }
}

/// A map of bounded size. Two halves: what is used moves to the young one, and when that is full, the old one is
/// forgotten. Nearly "least recently used", for a fraction of its upkeep.
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

    /// Answers after a second, and counts.
    struct Counting {
        asked: AtomicUsize,
        answer: Result<Vec<IpAddr>, LookupError>,
    }

    impl Dns for Counting {
        fn mx<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, Vec<Mx>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Err(LookupError::NoData) })
        }

        fn addresses<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                sleep(Duration::from_secs(1)).await;
                self.answer.clone()
            })
        }

        fn invented(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { NxdomainRewriting::new([]) })
        }
    }

    fn cached(answer: Result<Vec<IpAddr>, LookupError>, capacity: usize) -> Cached<Counting> {
        let asked = AtomicUsize::new(0);
        Cached::with_capacity(Counting { asked, answer }, capacity)
    }

    fn asked(cache: &Cached<Counting>) -> usize {
        cache.dns.asked.load(Ordering::Relaxed)
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "an answer, as a name service gives it")]
    fn found() -> Result<Vec<IpAddr>, LookupError> {
        Ok(vec!["8.8.8.8".parse().unwrap()])
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_at_once_share_one_answer() {
        let cache = cached(found(), 10);
        let (a, b) = (domain("a.example"), domain("b.example"));
        let answers = tokio::join!(cache.addresses(&a), cache.addresses(&a), cache.addresses(&b));
        assert_eq!(answers, (found(), found(), found()));
        assert_eq!(cache.addresses(&a).await, found());
        assert_eq!(asked(&cache), 2);
        assert_eq!(
            (cache.mx(&a).await, cache.mx(&a).await),
            (Err(LookupError::NoData), Err(LookupError::NoData))
        );
        assert_eq!(asked(&cache), 3);
        assert_eq!(
            (cache.invented().await, cache.invented().await),
            (NxdomainRewriting::new([]), NxdomainRewriting::new([]))
        );
        assert_eq!(asked(&cache), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_believed_for_an_hour_and_a_failure_for_half_a_minute() {
        let host = domain("a.example");
        for (answer, kept) in [
            (found(), KEPT),
            (Err(LookupError::NoSuchDomain), KEPT),
            (Err(LookupError::Failed(DnsFault::ServFail)), FAILURE_KEPT),
        ] {
            let cache = cached(answer.clone(), 10);
            assert_eq!(cache.addresses(&host).await, answer);
            advance(kept.checked_sub(Duration::from_millis(1)).unwrap()).await;
            assert_eq!(cache.addresses(&host).await, answer);
            assert_eq!(asked(&cache), 1);
            advance(Duration::from_millis(1)).await;
            assert_eq!(cache.addresses(&host).await, answer);
            assert_eq!(asked(&cache), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_though_who_asked_first_was_cancelled() {
        let cache = cached(found(), 10);
        let host = domain("a.example");
        let first = async {
            let half = Duration::from_millis(500);
            assert!(tokio::time::timeout(half, cache.addresses(&host)).await.is_err());
        };
        let ((), answer) = tokio::join!(first, cache.addresses(&host));
        assert_eq!(answer, found());
        assert_eq!(asked(&cache), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_used_is_forgotten_first_and_memory_is_bounded() {
        let cache = cached(found(), 10);
        let often = domain("often.example");
        for n in 0..1000 {
            cache.addresses(&often).await.unwrap();
            cache.addresses(&domain(&format!("host{n}.example"))).await.unwrap();
        }
        assert_eq!(asked(&cache), 1001, "`often` was asked for once");
        let slots = cache.addresses.slots.lock().unwrap();
        assert!(slots.young.len() + slots.old.len() <= 10);
    }
}
