//! Controls: the random recipient and `postmaster`, and when the random recipient is probed.
//!
//! Decides: the name of the random recipient, and how many listed recipients of a domain are probed before it, so that the expected
//! number of wasted probes is lowest. Can't know: whether the domain is a catch-all, nor which of its mailboxes exist; it calculates
//! with shares.
//!
//! Let `m` be the number of listed recipients, `a` the share of catch-all domains, `v` the share of unknown recipients, and `q`
//! the number of clear rejections that prove "not a catch-all". If `t` recipients go before the control, the expected
//! number of wasted probes is
//!
//! ```text
//!       a   t                         a catch-all: the control alone would have shown it
//! + (1 - a) (1 + R) P                 no catch-all: listed recipients alone would have shown it
//! + (1 - a) (1 - v)      if t < m     ... and what is accepted after the control needs a closing control
//! ```
//!
//! `P` is the probability that the first `t` are accepted and `q` of the other `m - t` are rejected: `(1 - v)^t B(m - t)`. If one of the
//! first `t` is rejected, all others follow, and the control is sent last, only if it is still needed. If the control leaves in one batch
//! with the first `t`, it is wasted wherever the listed recipients prove the same: `P = B(m)`. `R` is the extra cost of a rejection: a
//! session tolerates few of them. The last line holds where a host may accept and discard after unknown recipients, and only if the
//! domain is the only one at the host: rejections of other domains would prove the same. A domain that is alone pays for its
//! round trips, too; otherwise other domains use them.
//!
//! The cheapest `t` wins, up to a limit. For `m = q = 1` that means: the control goes first if and only if `a > (1 - a) (1 + R) v`.
//! `v`, `R` and the cost of a round trip are guesses (`thresholds.toml`, `control`).

use fastrand::Rng;

use crate::address::{Address, Domain};
use crate::policy::ControlThresholds;

/// Random characters in the name of a random recipient; 36^18 is more than 2^90.
const RANDOM_CHARS: usize = 18;

/// A random recipient of a domain: valid at every provider, unlike any person's address, and impossible to guess. `None` only for a
/// domain so long that the address exceeds the limit of a path (RFC 5321 4.5.3.1.3).
pub(crate) fn random_recipient(domain: &Domain, random: &mut Rng) -> Option<Address> {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut name = String::with_capacity(RANDOM_CHARS + 2);
    // Some providers require a letter first and no digit last.
    name.push(char::from(b'a' + random.u8(..26)));
    name.extend((0..RANDOM_CHARS).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])));
    name.push(char::from(b'a' + random.u8(..26)));
    Address::parse(&format!("{name}@{domain}")).ok()
}

/// The mailbox that every domain must have (RFC 5321 4.5.1).
pub(super) fn postmaster(domain: &Domain) -> Option<Address> {
    Address::parse(&format!("postmaster@{domain}")).ok()
}

/// When the random recipient of a domain is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlPlan {
    /// Number of listed recipients that go before it.
    pub after: u32,
    /// True: it leaves in one batch with them. False: it leaves after they were accepted.
    pub together: bool,
}

/// What is known about a domain before its first probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DomainPriors {
    /// Share of catch-all domains at its provider.
    pub catch_all_share: f64,
    /// Number of listed recipients.
    pub listed: usize,
    /// Clear rejections of listed recipients that prove that the domain is no catch-all.
    pub rejections_needed: u32,
    /// Its MX host may accept and discard after unknown recipients.
    pub may_discard: bool,
    /// No other domain is probed at its MX host.
    pub is_alone: bool,
}

impl ControlPlan {
    /// The plan with the fewest expected wasted probes. At an unknown MX host with a single domain a listed recipient goes
    /// first.
    pub(crate) fn of(priors: DomainPriors, costs: ControlThresholds) -> ControlPlan {
        let listed = u32::try_from(priors.listed).unwrap_or(u32::MAX);
        let fewest = u32::from(priors.may_discard && priors.is_alone).min(listed);
        let after = fewest..=listed.min(costs.recipients_before).max(fewest);
        let plans = after.flat_map(|after| {
            [false, true].map(|together| ControlPlan { after, together: together && after > 0 })
        });
        let costs = plans.map(|plan| (plan.cost(priors, costs), plan));
        let cheapest = costs.min_by(|(one, _), (other, _)| one.total_cmp(other));
        cheapest.map_or(ControlPlan { after: fewest, together: false }, |(_, plan)| plan)
    }

    /// Expected wasted probes, plus the cost of the round trips.
    fn cost(self, priors: DomainPriors, costs: ControlThresholds) -> f64 {
        let ControlPlan { after, together } = self;
        let DomainPriors { catch_all_share, rejections_needed, may_discard, is_alone, .. } = priors;
        let listed = u32::try_from(priors.listed).unwrap_or(u32::MAX);
        let rejecting_share = 1.0 - catch_all_share;
        let unknown_share = costs.unknown_share();
        let needless_control = if together || after == 0 {
            // If no recipient at all is accepted, nothing needs a proof.
            at_least_rejected(rejections_needed.min(listed), listed, unknown_share)
        } else {
            power(1.0 - unknown_share, after)
                * at_least_rejected(rejections_needed, listed - after, unknown_share)
        };
        let is_last = after == listed;
        let needs_closing_control = may_discard && is_alone && !is_last;
        let closing_control = if needs_closing_control { 1.0 - unknown_share } else { 0.0 };
        let batches = 1 + u32::from(!is_last) + u32::from(!together && after > 0);
        let round_trips = if is_alone { costs.round_trip_cost() * f64::from(batches) } else { 0.0 };
        let if_rejecting = (1.0 + costs.rejection_cost()) * needless_control + closing_control;
        catch_all_share * f64::from(after) + rejecting_share * if_rejecting + round_trips
    }
}

/// The probability that at least `count` of `of` listed recipients are rejected: `B` in the file head.
fn at_least_rejected(count: u32, of: u32, unknown_share: f64) -> f64 {
    let mut fewer = 0.0;
    // The probability that exactly `rejected` of `of` recipients are.
    let mut exactly = power(1.0 - unknown_share, of);
    for rejected in 0..count.min(of + 1) {
        fewer += exactly;
        exactly *= f64::from(of - rejected) / f64::from(rejected + 1) * unknown_share / (1.0 - unknown_share);
    }
    1.0 - fewer
}

fn power(base: f64, exponent: u32) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Thresholds;

    fn plan_of(priors: DomainPriors) -> ControlPlan {
        ControlPlan::of(priors, Thresholds::built_in().control)
    }

    /// One of many domains at a provider whose rejections are reliable.
    const SHARED_HOST: DomainPriors = DomainPriors {
        catch_all_share: 0.1,
        listed: 1,
        rejections_needed: 1,
        may_discard: false,
        is_alone: false,
    };
    /// The only domain of an unknown host.
    const UNKNOWN_HOST: DomainPriors = DomainPriors {
        catch_all_share: 0.15,
        rejections_needed: 2,
        may_discard: true,
        is_alone: true,
        ..SHARED_HOST
    };

    #[test]
    fn random_recipients_differ_and_are_unlike_any_persons_address() {
        let domain = Domain::parse("acme.example").unwrap();
        let mut random = Rng::with_seed(7);
        let [one, two] = [0, 1].map(|_| random_recipient(&domain, &mut random).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.local().len(), RANDOM_CHARS + 2);
        assert_eq!(one.domain(), Some(&domain));
        assert!(one.local().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    }

    #[test]
    fn the_likelier_a_catch_all_the_earlier_the_control() {
        for (catch_all_share, listed, after) in
            [(0.0, 1, 1), (0.0, 5, 5), (0.1, 1, 1), (0.1, 5, 3), (0.12, 5, 2), (0.3, 1, 0), (0.3, 5, 0)]
        {
            let plan = plan_of(DomainPriors { catch_all_share, listed, ..SHARED_HOST });
            assert_eq!(plan, ControlPlan { after, together: false }, "{catch_all_share} of {listed}");
        }
    }

    #[test]
    fn where_one_rejection_proves_nothing_the_control_is_mostly_needed_and_goes_first() {
        assert_eq!(plan_of(DomainPriors { rejections_needed: 2, listed: 2, ..SHARED_HOST }).after, 0);
        assert_ne!(
            plan_of(DomainPriors { rejections_needed: 2, listed: 1, ..SHARED_HOST }).after,
            0,
            "the only address may be rejected"
        );
    }

    #[test]
    fn at_an_unknown_host_with_one_domain_a_listed_recipient_goes_first() {
        for (listed, plan) in [
            (1, ControlPlan { after: 1, together: false }),
            (2, ControlPlan { after: 2, together: true }),
            (4, ControlPlan { after: 4, together: true }),
            (10, ControlPlan { after: 1, together: true }),
        ] {
            assert_eq!(plan_of(DomainPriors { listed, ..UNKNOWN_HOST }), plan, "{listed}");
        }
    }

    #[test]
    fn probabilities_add_up() {
        assert!((at_least_rejected(1, 2, 0.12) - (1.0 - 0.88 * 0.88)).abs() < 1e-12);
        assert!((at_least_rejected(2, 2, 0.12) - 0.12 * 0.12).abs() < 1e-12);
        assert!(at_least_rejected(2, 1, 0.12).abs() < 1e-12 && at_least_rejected(1, 0, 0.12).abs() < 1e-12);
        assert!((at_least_rejected(2, 100_000, 0.12) - 1.0).abs() < 1e-12);
    }
}
