//! The process: signals, open files, processor time, the time of day.
//!
//! Signals are received on a thread of their own, so that they work whatever the job is busy with: the first ends it cleanly,
//! the second immediately. Decides: what is one request and what are two. Can't know: when the job next looks at its token; until
//! then only the second signal has an effect.
#![expect(clippy::disallowed_methods, reason = "this file owns the clocks of the program")]

use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use listproof::{CancelToken, Error, Exit};

/// A signal so soon after the first is the same request.
const SAME_REQUEST: Duration = Duration::from_millis(500);
/// Open files that are not connections to mail servers: lists, outputs, sockets of the DNS, the terminal.
const OTHER_FILES: u64 = 300;
/// More connections than this are never useful: receivers limit a run, not sockets.
const MOST_CONNECTIONS: u64 = 20_000;

/// A token that SIGINT, SIGTERM and SIGHUP cancel, from now on. A hang-up is a request to terminate.
pub(super) fn cancel_on_signals() -> Result<CancelToken, Error> {
    let failed = |source| Error::System { what: "listen for signals", source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let listen = |kind| {
        let _inside = runtime.enter();
        signal(kind).map_err(failed)
    };
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(listen);
    let [interrupt, terminate, hangup] = signals;
    let signals = Signals { interrupt: interrupt?, terminate: terminate?, hangup: hangup? };
    let token = CancelToken::new();
    let canceled = token.clone();
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || runtime.block_on(receive(signals, &canceled))).map_err(failed)?;
    Ok(token)
}

#[expect(clippy::exit, reason = "the second signal ends the program wherever it is")]
async fn receive(mut signals: Signals, token: &CancelToken) {
    match signals.next().await {
        Exit::Terminated => token.terminate(),
        _ => token.cancel(),
    }
    // The reader of the log may be slow, and must not delay the second signal.
    tokio::task::spawn_blocking(|| {
        tracing::warn!(event = "stopping", "stopping: what is known will be written; again to leave at once");
    });
    // `timeout` and some supervisors signal the process and its group: that is one request, not two.
    let _ = timeout(SAME_REQUEST, async {
        loop {
            signals.next().await;
        }
    })
    .await;
    let exit = signals.next().await;
    std::process::exit(exit.code().into());
}

/// The signals that end a run.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hangup.recv() => Exit::Terminated,
        }
    }
}

/// Raises the soft limit of open files as far as the hard one allows, and returns how many connections fit below it.
pub(super) fn raise_connection_limit() -> usize {
    let limit = rlimit::increase_nofile_limit(MOST_CONNECTIONS + OTHER_FILES).unwrap_or(1024);
    usize::try_from(limit.saturating_sub(OTHER_FILES).clamp(16, MOST_CONNECTIONS)).unwrap_or(16)
}

/// The time of day.
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// Now, for durations.
pub(super) fn stopwatch() -> Instant {
    Instant::now()
}

/// The processor time of this process so far; `None` where the system does not say.
pub(super) fn cpu() -> Option<Duration> {
    // The second word may hold blanks, but ends with the last parenthesis. User and system time are the 12th and 13th
    // after it, in hundredths of a second on all Linux machines.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>().ok());
    let ticks = ticks.sum::<Option<u64>>()?;
    Some(Duration::from_millis(ticks * 10))
}
