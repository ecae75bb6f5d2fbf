//! Exim: a daemon for each host. A scenario has the whole configuration.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use super::{Server, user_number};
use crate::namespace::SCRATCH;

/// Starts a server.
pub(super) fn start(host: &str, address: &str, lines: &str) -> Result<Server, String> {
    let folder = Path::new(SCRATCH).join(host);
    let place = folder.display();
    let config = folder.join("exim.conf");
    let furnish = || {
        fs::create_dir_all(&folder)?;
        chown(&folder, Some(user_number("Debian-exim")?), None)?;
        fs::write(
            &config,
            format!(
                "primary_hostname = {host}\nspool_directory = {place}/spool\nlog_file_path = {place}/%slog\n\
                 pid_file_path = {place}/exim.pid\nlocal_interfaces = {address}\nkeep_environment =\n{lines}\n"
            ),
        )
    };
    furnish().map_err(|error| format!("can't furnish `{place}`: {error}"))?;
    let config = config.to_string_lossy().into_owned();
    Server::start("exim4", &["-bdf", "-C", &config], &folder, &format!("{address}:25"))
}
