//! When a made-up name has its turn among the listed addresses of a domain.
//!
//! Decides: how many listed addresses go before it, and whether it leaves together with them, so that the fewest questions
//! are in vain. Can't know: whether the domain accepts any name, nor which of its mailboxes exist; it reckons with shares.
//!
//! With `a` the share of domains that accept any name, `v` that of unknown mailboxes, `m` listed addresses, `q` clear
//! refusals that prove that not every name is accepted, and `t` listed ones before the made-up one, in vain are
//!
//! ```text
//!       a   t                         any name is accepted: the made-up one alone would have shown it
//! + (1 - a) (1 + R) P                 not so: the listed ones alone would have shown it
//! + (1 - a) (1 - v)      if t < m     ... and who is accepted after it needs a proof of his own
//! ```
//!
//! `P`: after `t` that were accepted, `q` of the other `m - t` are refused; `(1 - v)^t B(m - t)`. If one of the `t` is refused
//! the others are asked at once, and the made-up one last, only if it is needed. If it leaves together with them, it is in
//! vain wherever they show it: `B(m)`. `R`: a refusal costs more than its question, because a session bears few of them.
//! The last line holds where a host may discard what it accepts after unknown names, and where no other domain's refusals
//! follow, which prove it as well. Alone, a domain pays for its round trips too; in company others use them.
//!
//! For `m = q = 1` it says: first iff `a > (1 - a) (1 + R) v`.

/// Unknown mailboxes in an ordinary list that was not cleaned for a year.
const UNKNOWN_SHARE: f64 = 0.12;
/// What a refusal costs beyond its question, in questions.
const REFUSAL: f64 = 0.3;
/// What a round trip is worth to who waits for it alone, in questions.
const ROUND_TRIP: f64 = 0.1;
/// More listed addresses than this never go before a made-up name.
const MOST_BEFORE: u32 = 10;

/// When a made-up name is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlPlan {
    /// So many listed addresses go before it.
    pub after: u32,
    /// It leaves together with them; else once they were accepted.
    pub along: bool,
}

/// What is known of a domain before anybody is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DomainPriors {
    /// Share of its operator's domains that accept any name.
    pub catch_all_share: f64,
    /// Listed addresses.
    pub listed: usize,
    /// Clear refusals of listed addresses that prove that not every name is accepted.
    pub proof: u32,
    /// Its host may accept, and discard, after unknown names.
    pub may_discard: bool,
    /// No other domain is asked about there.
    pub is_alone: bool,
}

impl ControlPlan {
    /// The turn that puts the fewest questions in vain. Who knows nobody at a host asks about a listed address first.
    pub fn of(before: DomainPriors) -> ControlPlan {
        let listed = u32::try_from(before.listed).unwrap_or(u32::MAX);
        let fewest = u32::from(before.may_discard && before.is_alone).min(listed);
        let after = fewest..=listed.min(MOST_BEFORE).max(fewest);
        let turns = after
            .flat_map(|after| [false, true].map(|along| ControlPlan { after, along: along && after > 0 }));
        let costs = turns.map(|turn| (turn.cost(before), turn));
        let cheapest = costs.min_by(|(one, _), (other, _)| one.total_cmp(other));
        cheapest.map_or(ControlPlan { after: fewest, along: false }, |(_, turn)| turn)
    }

    /// Questions in vain, and what the round trips are worth.
    fn cost(self, before: DomainPriors) -> f64 {
        let ControlPlan { after, along } = self;
        let DomainPriors { catch_all_share, proof, may_discard, is_alone, .. } = before;
        let listed = u32::try_from(before.listed).unwrap_or(u32::MAX);
        let refuses = 1.0 - catch_all_share;
        let in_vain = if along || after == 0 {
            // Where nobody at all is accepted there is nothing to prove.
            at_least_refused(proof.min(listed), listed)
        } else {
            power(1.0 - UNKNOWN_SHARE, after) * at_least_refused(proof, listed - after)
        };
        let is_last = after == listed;
        let needs_proof = may_discard && is_alone && !is_last;
        let proofs = if needs_proof { 1.0 - UNKNOWN_SHARE } else { 0.0 };
        let batches = 1 + u32::from(!is_last) + u32::from(!along && after > 0);
        let round_trips = if is_alone { ROUND_TRIP * f64::from(batches) } else { 0.0 };
        catch_all_share * f64::from(after) + refuses * ((1.0 + REFUSAL) * in_vain + proofs) + round_trips
    }
}

/// The chance that at least so many of these listed addresses are refused.
fn at_least_refused(count: u32, of: u32) -> f64 {
    let mut fewer = 0.0;
    // Of `of` addresses, exactly `refused` are.
    let mut exactly = power(1.0 - UNKNOWN_SHARE, of);
    for refused in 0..count.min(of + 1) {
        fewer += exactly;
        exactly *= f64::from(of - refused) / f64::from(refused + 1) * UNKNOWN_SHARE / (1.0 - UNKNOWN_SHARE);
    }
    1.0 - fewer
}

fn power(base: f64, exponent: u32) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A domain in company at an operator whose refusals mean what they say.
    const BEFORE: DomainPriors =
        DomainPriors { catch_all_share: 0.1, listed: 1, proof: 1, may_discard: false, is_alone: false };
    /// A domain of a host that nobody knows.
    const STRANGER: DomainPriors =
        DomainPriors { catch_all_share: 0.15, proof: 2, may_discard: true, is_alone: true, ..BEFORE };

    #[test]
    fn the_likelier_a_domain_accepts_any_name_the_earlier_a_made_up_one_is_asked() {
        for (catch_all_share, listed, after) in
            [(0.0, 1, 1), (0.0, 5, 5), (0.1, 1, 1), (0.1, 5, 3), (0.12, 5, 2), (0.3, 1, 0), (0.3, 5, 0)]
        {
            let turn = ControlPlan::of(DomainPriors { catch_all_share, listed, ..BEFORE });
            assert_eq!(turn, ControlPlan { after, along: false }, "{catch_all_share} of {listed}");
        }
    }

    #[test]
    fn where_one_refusal_proves_nothing_the_made_up_name_is_mostly_needed_and_goes_first() {
        assert_eq!(ControlPlan::of(DomainPriors { proof: 2, listed: 2, ..BEFORE }).after, 0);
        assert_ne!(
            ControlPlan::of(DomainPriors { proof: 2, listed: 1, ..BEFORE }).after,
            0,
            "the only address may be refused"
        );
    }

    #[test]
    fn a_stranger_alone_is_asked_about_somebody_real_first() {
        for (listed, turn) in [
            (1, ControlPlan { after: 1, along: false }),
            (2, ControlPlan { after: 2, along: true }),
            (4, ControlPlan { after: 4, along: true }),
            (10, ControlPlan { after: 1, along: true }),
        ] {
            assert_eq!(ControlPlan::of(DomainPriors { listed, ..STRANGER }), turn, "{listed}");
        }
    }

    #[test]
    fn chances_add_up() {
        assert!((at_least_refused(1, 2) - (1.0 - 0.88 * 0.88)).abs() < 1e-12);
        assert!((at_least_refused(2, 2) - 0.12 * 0.12).abs() < 1e-12);
        assert!(at_least_refused(2, 1).abs() < 1e-12 && at_least_refused(1, 0).abs() < 1e-12);
        assert!((at_least_refused(2, 100_000) - 1.0).abs() < 1e-12);
    }
}
