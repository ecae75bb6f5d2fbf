//! How many hard bounces are expected when a list is sent: a range, and what it follows from.
//!
//! Decides: the range. Rows get the rates of the policy's `bounces.toml`; a rate that is "like the list" is the share of dead
//! mailboxes among its decided rows, with the uncertainty of so few rows. Can't know: bounces that are no fault of the
//! address, and what changes between the check and the sending.

use std::collections::BTreeMap;

use crate::policy::{BouncePriors, BounceShare};
use crate::reason::{Confidence, Verdict};
use crate::report::tally::RowTally;

/// The hard bounces that are expected of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct BounceEstimate {
    /// Addresses that are sent to.
    pub addresses: u64,
    /// The lower end, in addresses, with chance.
    pub low: u64,
    /// The upper end, in addresses, with chance.
    pub high: u64,
    /// The lower end of the expected rate, percent, without chance.
    pub low_rate: f64,
    /// The upper end of the expected rate, percent, without chance.
    pub high_rate: f64,
    /// What it follows from: each kind of rows with the shares assumed.
    pub basis: Vec<BounceBasis>,
}

/// One kind of rows, and the share of them that is expected to bounce.
#[derive(Clone, Debug, PartialEq)]
pub struct BounceBasis {
    /// What these rows are called.
    pub name: String,
    /// How many they are.
    pub addresses: u64,
    /// The lowest share, percent.
    pub low: f64,
    /// The highest share, percent.
    pub high: f64,
    /// The share was concluded from the list's own decided rows.
    pub is_concluded: bool,
}

impl BounceEstimate {
    /// What is expected when the whole list is sent, without duplicates and rows without an address.
    pub fn of_list(tally: &RowTally, priors: &BouncePriors) -> BounceEstimate {
        BounceEstimate::of(tally, priors, |_| true)
    }

    /// What is expected when only the deliverable rows are sent.
    pub fn of_cleaned(tally: &RowTally, priors: &BouncePriors) -> BounceEstimate {
        BounceEstimate::of(tally, priors, |verdict| verdict == Verdict::Deliverable)
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate needs no exact arithmetic")]
    fn of(tally: &RowTally, priors: &BouncePriors, is_sent: impl Fn(Verdict) -> bool) -> BounceEstimate {
        // By the place of the rate, so that the basis has the order of the policy.
        let mut kinds: BTreeMap<usize, BounceBasis> = BTreeMap::new();
        for ((reason, confirmed), rows) in tally.reasons() {
            let confidence = if confirmed { Confidence::Confirmed } else { Confidence::Inferred };
            let rate = priors.rate_of(reason, confidence).filter(|_| is_sent(reason.verdict()));
            let Some(rate) = rate else { continue };
            let place = priors.rates().iter().position(|other| other == rate).unwrap_or_default();
            let (low, high) = share(rate.share, tally, priors);
            let basis = kinds.entry(place).or_insert_with(|| BounceBasis {
                name: rate.name.clone(),
                addresses: 0,
                low: low * 100.0,
                high: high * 100.0,
                is_concluded: !matches!(rate.share, BounceShare::Between(..)),
            });
            basis.addresses += rows;
        }
        let basis: Vec<BounceBasis> = kinds.into_values().collect();
        let addresses: u64 = basis.iter().map(|kind| kind.addresses).sum();
        let end = |of: fn(&BounceBasis) -> f64| {
            let expected: f64 = basis.iter().map(|kind| kind.addresses as f64 * of(kind) / 100.0).sum();
            let variance =
                |kind: &BounceBasis| kind.addresses as f64 * of(kind) / 100.0 * (1.0 - of(kind) / 100.0);
            (expected, basis.iter().map(variance).sum::<f64>().sqrt() * priors.headline.deviations)
        };
        let ((low, low_chance), (high, high_chance)) = (end(|kind| kind.low), end(|kind| kind.high));
        let rate = |bounces: f64| if addresses == 0 { 0.0 } else { bounces * 100.0 / addresses as f64 };
        BounceEstimate {
            addresses,
            low: whole((low - low_chance).floor(), addresses),
            high: whole((high + high_chance).ceil(), addresses),
            low_rate: rate(low),
            high_rate: rate(high),
            basis,
        }
    }

    /// Both ends in percent of the addresses, with chance.
    #[expect(clippy::cast_precision_loss, reason = "an estimate needs no exact arithmetic")]
    pub fn percent(&self) -> (f64, f64) {
        let of = |bounces: u64| {
            if self.addresses == 0 { 0.0 } else { bounces as f64 * 100.0 / self.addresses as f64 }
        };
        (of(self.low), of(self.high))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is within 0 and the number of addresses"
)]
#[expect(clippy::cast_precision_loss, reason = "an estimate needs no exact arithmetic")]
fn whole(bounces: f64, most: u64) -> u64 {
    bounces.clamp(0.0, most as f64) as u64
}

/// The lowest and the highest fraction.
fn share(share: BounceShare, tally: &RowTally, priors: &BouncePriors) -> (f64, f64) {
    let enough = |(deliverable, dead): &(u64, u64)| deliverable + dead >= priors.headline.decided.max(1);
    let decided = match share {
        BounceShare::Between(low, high) => return (low, high),
        BounceShare::LikeFree => Some(tally.decided(true)).filter(enough),
        BounceShare::LikeList => None,
    };
    let decided = decided.or_else(|| Some(tally.decided(false)).filter(enough));
    // Nothing is known about lists without decided rows.
    let Some((deliverable, dead)) = decided else { return (0.0, 1.0) };
    let (low, high) = wilson(dead, deliverable + dead, priors.headline.deviations);
    let spread = priors.headline.spread;
    (low / spread, (high * spread).min(1.0))
}

/// The interval of a share by Wilson's score, so many standard deviations wide.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs no exact arithmetic")]
fn wilson(hits: u64, of: u64, deviations: f64) -> (f64, f64) {
    let (n, z) = (of as f64, deviations);
    let p = hits as f64 / n;
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}
