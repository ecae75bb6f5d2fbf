//! How a run is told to stop: the first signal ends it cleanly, the second at once.
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{Error, Exit};

/// A signal so soon after the first is the same wish.
const SAME_WISH: Duration = Duration::from_millis(500);

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> Exit {
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}

/// A wish to stop, heard by whoever asks.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<Exit>>);

impl Stop {
    /// Listens for SIGINT and SIGTERM.
    pub fn on_signals() -> Result<Stop, Error> {
        let listen =
            |kind| signal(kind).map_err(|source| Error::System { what: "listen for signals", source });
        let (mut interrupt, mut terminate) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let (tell, heard) = watch::channel(None);
        tokio::spawn(async move {
            let exit = either(&mut interrupt, &mut terminate).await;
            tracing::warn!(
                event = "stopping",
                "stopping: what is known will be written; again to leave at once"
            );
            let _ = tell.send(Some(exit));
            // `timeout` and some supervisors signal the process and its group: that is one wish, not two.
            let _ = timeout(SAME_WISH, async {
                loop {
                    either(&mut interrupt, &mut terminate).await;
                }
            })
            .await;
            let exit = either(&mut interrupt, &mut terminate).await;
            std::process::exit(exit.code().into());
        });
        Ok(Stop(heard))
    }

    /// Nobody will tell it to stop.
    pub fn never() -> Stop {
        let (_, heard) = watch::channel(None);
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
