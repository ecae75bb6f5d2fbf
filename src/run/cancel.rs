//! Cancellation: how the user of the library ends a job early.
//!
//! Decides: that the first request counts. Can't know: when the job next looks at it.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, Exit};

/// Ends a job early, from any thread or task. A canceled job that has probed writes what it knows; one that has not fails
/// with [`Error::Stopped`]. Clones are the same token.
#[derive(Clone, Debug)]
pub struct CancelToken {
    request: Arc<watch::Sender<Option<Exit>>>,
}

impl Default for CancelToken {
    fn default() -> CancelToken {
        CancelToken { request: Arc::new(watch::Sender::new(None)) }
    }
}

impl CancelToken {
    /// A token that nothing has canceled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Cancels; the job ends with [`Exit::Interrupted`].
    pub fn cancel(&self) {
        self.request(Exit::Interrupted);
    }

    /// Cancels because the process has to end; the job ends with [`Exit::Terminated`].
    pub fn terminate(&self) {
        self.request(Exit::Terminated);
    }

    fn request(&self, exit: Exit) {
        self.request.send_if_modified(|request| request.is_none() && request.replace(exit).is_none());
    }

    /// How the job ends, once it is canceled.
    pub fn requested(&self) -> Option<Exit> {
        *self.request.borrow()
    }

    /// Waits until it is canceled.
    pub async fn canceled(&self) {
        if self.request.subscribe().wait_for(Option::is_some).await.is_err() {
            pending::<()>().await;
        }
    }

    /// Fails once it is canceled: for work that is useless unless it is complete.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.requested().map_or(Ok(()), |exit| Err(Error::Stopped { exit }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_request_counts_and_clones_see_it() {
        let token = CancelToken::new();
        let clone = token.clone();
        assert_eq!((token.requested(), token.check().is_ok()), (None, true));
        clone.terminate();
        clone.cancel();
        token.canceled().await;
        assert_eq!(token.requested(), Some(Exit::Terminated));
        assert!(token.check().is_err());
    }
}
