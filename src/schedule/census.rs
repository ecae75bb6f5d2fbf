//! How the operators received us: what tells "one domain" from "every domain".
//!
//! Decides: when the trouble is so general that it must be ours. Thresholds are the constants below.

/// Why the whole run can't get out. Nothing that servers said in such a run is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// No connection at all came about.
    PortClosed,
    /// Nearly every operator refuses us.
    RefusedEverywhere,
}

/// Operators that must have failed, without one connection, before port 25 is called closed.
const CLOSED_OPERATORS: usize = 5;
/// Share of the operators tried until now that they must be, in percent.
const UNREACHABLE_PERCENT: usize = 90;
/// Operators that must have answered before "everybody refuses us" can be said.
const HEARD_OPERATORS: usize = 8;
/// Share of them that refused us, in percent.
const REFUSING_PERCENT: usize = 80;

/// How the operators received us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    /// A connection came about, whatever was said on it.
    pub(super) connected: bool,
    /// Lanes to which a connection was tried.
    pub(super) tried: usize,
    /// Lanes that answered a question or refused us.
    pub(super) answered: usize,
    /// Lanes that are left alone because they refuse us.
    pub(super) refused: usize,
    /// Lanes with a door that could not be reached.
    pub(super) unreachable: usize,
}

impl Census {
    /// Are we shut out everywhere?
    pub(super) fn shut(self) -> Option<Shut> {
        let Census { connected, tried, answered, refused, unreachable } = self;
        if !connected {
            // Dead hosts may fail faster than a living one greets.
            let nowhere = unreachable >= CLOSED_OPERATORS && unreachable * 100 >= tried * UNREACHABLE_PERCENT;
            return nowhere.then_some(Shut::PortClosed);
        }
        let everywhere = answered >= HEARD_OPERATORS && refused * 100 >= answered * REFUSING_PERCENT;
        everywhere.then_some(Shut::RefusedEverywhere)
    }
}
