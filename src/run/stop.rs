//! How a run is told to stop: the first signal ends it cleanly, the second at once.
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::{Error, Exit};

/// A wish to stop, heard by whoever asks.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<Exit>>);

impl Stop {
    /// Listens for SIGINT and SIGTERM.
    pub fn on_signals() -> Result<Stop, Error> {
        let listen = |kind| {
            signal(kind).map_err(|source| Error::System {
                what: "listen for signals",
                source,
            })
        };
        let (mut interrupt, mut terminate) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let (tell, heard) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                };
                if tell.borrow().is_some() {
                    // The second signal means: now, whatever is open.
                    std::process::exit(exit.code().into());
                }
                tracing::warn!(
                    event = "stopping",
                    "stopping: what is known will be written; again to leave at once"
                );
                if tell.send(Some(exit)).is_err() {
                    return;
                }
            }
        });
        Ok(Stop(heard))
    }

    /// Never stops.
    pub fn never() -> Stop {
        let (tell, heard) = watch::channel(None);
        std::mem::forget(tell);
        Stop(heard)
    }

    /// How to exit, once a stop was wished.
    pub fn wished(&self) -> Option<Exit> {
        *self.0.borrow()
    }

    /// Waits for the wish.
    pub async fn wait(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
