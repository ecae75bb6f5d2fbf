//! How a run is told to stop: the first signal ends it cleanly, the second at once.
//!
//! Signals are heard on a thread of their own, so that they are heard whatever the run is busy with. Decides: what is one
//! wish and what are two. Can't know: when the run comes to look; until then only the second signal helps.

use std::future::pending;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{Error, Exit};

/// A signal so soon after the first is the same wish.
const SAME_WISH: Duration = Duration::from_millis(500);

/// A wish to stop, heard by whoever asks.
#[derive(Clone, Debug)]
pub struct CancelToken(watch::Receiver<Option<Exit>>);

impl CancelToken {
    /// Listens for SIGINT and SIGTERM.
    pub fn on_signals() -> Result<CancelToken, Error> {
        let failed = |source| Error::System { what: "listen for signals", source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listen = |kind| {
            let _inside = runtime.enter();
            signal(kind).map_err(failed)
        };
        let signals = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let (tell, heard) = watch::channel(None);
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(hear(signals, &tell))).map_err(failed)?;
        Ok(CancelToken(heard))
    }

    /// Nobody will tell it to stop.
    pub fn never() -> CancelToken {
        let (_, heard) = watch::channel(None);
        CancelToken(heard)
    }

    /// How to exit, once a stop was wished.
    pub fn requested(&self) -> Option<Exit> {
        *self.0.borrow()
    }

    /// Fails once a stop was wished: for work that is worth nothing unless it is done wholly.
    pub fn go_on(&self) -> Result<(), Error> {
        self.requested().map_or(Ok(()), |exit| Err(Error::Stopped { exit }))
    }

    /// Waits for the wish.
    pub async fn wait(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            pending::<()>().await;
        }
    }
}

#[expect(clippy::exit, reason = "the second signal waits for nobody")]
async fn hear((mut interrupt, mut terminate): (Signal, Signal), tell: &watch::Sender<Option<Exit>>) {
    let exit = either(&mut interrupt, &mut terminate).await;
    let _ = tell.send(Some(exit));
    // Who reads the log may be in no hurry.
    tokio::task::spawn_blocking(|| {
        tracing::warn!(event = "stopping", "stopping: what is known will be written; again to leave at once");
    });
    // `timeout` and some supervisors signal the process and its group: that is one wish, not two.
    let _ = timeout(SAME_WISH, async {
        loop {
            either(&mut interrupt, &mut terminate).await;
        }
    })
    .await;
    let exit = either(&mut interrupt, &mut terminate).await;
    std::process::exit(exit.code().into());
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> Exit {
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}
