//! How a run comes to its state: at once, or when the run that holds it is over.
//!
//! Decides: how often is looked. Waits in real time, because the holder lives in it, whatever world this run is in.
//! Fails: as soon as a stop is wished.
#![expect(clippy::disallowed_methods, reason = "nothing else of this run is under way yet")]

use std::thread::sleep;
use std::time::Duration;

use super::cancel::CancelToken;
use super::clock::Clock;
use crate::error::Error;
use crate::settings::{NetworkTarget, Settings};
use crate::state::{State, StateError};

/// A holder that is gone is missed as soon as this.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Opens the state for a run at this place, and waits for another run that holds it if that is wanted.
pub(super) fn open_state(
    settings: &Settings,
    target: &NetworkTarget,
    clock: Clock,
    cancel: &CancelToken,
) -> Result<State, Error> {
    let mut is_told = false;
    loop {
        match settings.open_state(target, clock.now().wall) {
            Err(Error::State(held @ StateError::Locked { .. })) if settings.state.wait_lock => {
                if !is_told {
                    tracing::warn!(event = "waiting", "waiting, because {held}");
                    is_told = true;
                }
                cancel.check()?;
                sleep(LOOK_EVERY);
            }
            opened => return opened,
        }
    }
}
