//! Haraka: a scenario gives the JavaScript of one plugin, whose hooks decide.

use std::fs;
use std::path::Path;

use super::{Server, furnish, write};
use crate::namespace::{self, SCRATCH};

/// Starts a server.
pub(super) fn start(host: &str, address: &str, plugin: &str) -> Result<Server, String> {
    let folder = Path::new(SCRATCH).join(host);
    for part in ["config", "plugins", "queue"] {
        furnish(&folder.join(part))?;
    }
    let config = folder.join("config");
    // The defaults of these settings are in its installation folder, which is not used.
    let program = namespace::program("haraka").ok_or("`haraka` is not installed")?;
    let package = program.canonicalize().map_err(|error| format!("`haraka`: {error}"))?;
    let settings = package.with_file_name("../config/connection.ini");
    fs::copy(&settings, config.join("connection.ini"))
        .map_err(|error| format!("can't copy `{}`: {error}", settings.display()))?;
    write(&config.join("smtp.ini"), &format!("listen={address}:25\nnodes=0\n"))?;
    write(&config.join("me"), &format!("{host}\n"))?;
    write(&config.join("plugins"), "lab\n")?;
    write(&folder.join("plugins/lab.js"), plugin)?;
    let place = folder.to_string_lossy().into_owned();
    Server::start("haraka", &["-c", &place], &folder, &format!("{address}:25"))
}
