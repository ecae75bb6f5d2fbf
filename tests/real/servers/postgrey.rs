//! postgrey: one greylist for all scenarios that name it.

use std::fs;
use std::path::Path;

use super::Server;
use crate::namespace::SCRATCH;

/// The address of postgrey; scenarios name it in `check_policy_service`.
pub(crate) const POSTGREY: &str = "127.0.0.1:10023";

/// How long postgrey defers unknown senders: short, so that a test can wait for it.
const GREYLISTED_SECONDS: &str = "3";

/// Starts one greylist for all scenarios that name it.
pub(crate) fn postgrey() -> Result<Server, String> {
    let folder = Path::new(SCRATCH);
    fs::create_dir_all(folder.join("postgrey"))
        .map_err(|error| format!("can't furnish postgrey: {error}"))?;
    let arguments = [
        &format!("--inet={POSTGREY}"),
        &format!("--dbdir={SCRATCH}/postgrey"),
        &format!("--pidfile={SCRATCH}/postgrey.pid"),
        &format!("--delay={GREYLISTED_SECONDS}"),
        "--greylist-text=Greylisted, try again in %s seconds",
        "--user=root",
        "--group=root",
    ];
    Server::start("postgrey", &arguments, folder, POSTGREY)
}
