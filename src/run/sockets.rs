//! How many connections this machine may hold open.

/// Descriptors that are not for sessions: files, name server sockets, the terminal.
const KEPT: u64 = 300;
/// More sessions than this are never useful: receivers are the bound, not sockets.
const MOST: u64 = 20_000;

/// Raises the soft limit of open files to the hard one and says how many sessions fit below it.
pub fn available() -> usize {
    let limit = rlimit::increase_nofile_limit(MOST + KEPT).unwrap_or(1024);
    usize::try_from(limit.saturating_sub(KEPT).clamp(16, MOST)).unwrap_or(16)
}
