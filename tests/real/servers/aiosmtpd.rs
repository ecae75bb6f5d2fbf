//! aiosmtpd: a scenario gives the Python of a module whose class `Lab` handles the commands.

use std::path::Path;

use super::{Server, furnish, write};
use crate::namespace::SCRATCH;

/// Starts a server.
pub(super) fn start(host: &str, address: &str, handler: &str) -> Result<Server, String> {
    let folder = Path::new(SCRATCH).join(host);
    furnish(&folder)?;
    write(&folder.join("lab.py"), handler)?;
    let listen = format!("{address}:25");
    Server::start("aiosmtpd", &["-n", "-l", &listen, "-c", "lab.Lab"], &folder, &listen)
}
