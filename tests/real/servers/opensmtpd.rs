//! `OpenSMTPD`: its paths are fixed at build time, so each server has a mount namespace of its own.
//!
//! A scenario has the lines of `smtpd.conf` that follow the `listen` line.

use std::path::Path;

use super::{Server, furnish, write};
use crate::namespace::{self, SCRATCH};

/// Mounts empty memory over the fixed paths; the host's folder stays visible.
const ENTER: &str = "set -e
mount -t tmpfs lab /mnt && mkdir /mnt/host && mount --bind \"$1\" /mnt/host
mount -t tmpfs lab /var/lib && mkdir -p /var/lib/opensmtpd/empty
mount -t tmpfs lab /var/spool && mkdir -m 711 /var/spool/smtpd
mount -t tmpfs lab /run
exec \"$2\" -d -f /mnt/host/smtpd.conf";

/// Starts a server.
pub(super) fn start(host: &str, address: &str, lines: &str) -> Result<Server, String> {
    let folder = Path::new(SCRATCH).join(host);
    furnish(&folder)?;
    write(&folder.join("smtpd.conf"), &format!("listen on {address} port 25 hostname {host}\n{lines}\n"))?;
    // Postfix has a program of the same name; this one is in the folder of `smtpctl`.
    let control = namespace::program("smtpctl").ok_or("`smtpctl` is not installed")?;
    let daemon = control.with_file_name("smtpd").to_string_lossy().into_owned();
    let place = folder.to_string_lossy().into_owned();
    let arguments = ["--mount", "sh", "-c", ENTER, "sh", &place, &daemon];
    Server::start("unshare", &arguments, &folder, &format!("{address}:25"))
}
