//! Haraka: a scenario gives the JavaScript of one plugin, whose hooks decide.

use std::path::Path;

use super::{Server, furnish, write};
use crate::namespace::SCRATCH;

/// Starts one.
pub(super) fn start(host: &str, address: &str, plugin: &str) -> Result<Server, String> {
    let folder = Path::new(SCRATCH).join(host);
    for part in ["config", "plugins", "queue"] {
        furnish(&folder.join(part))?;
    }
    let config = folder.join("config");
    write(&config.join("smtp.ini"), &format!("listen={address}:25\nnodes=0\n"))?;
    write(&config.join("me"), &format!("{host}\n"))?;
    write(&config.join("plugins"), "lab\n")?;
    write(&folder.join("plugins/lab.js"), plugin)?;
    let place = folder.to_string_lossy().into_owned();
    Server::start("haraka", &["-c", &place], &folder, &format!("{address}:25"))
}
