//! Postfix: an instance for each host that shares nothing with other instances or with that of the machine.
//!
//! A scenario has lines for `main.cf`. Lines that begin with `master: ` go into `master.cf`; `{address}` in them is replaced by
//! the host's address. Without such lines `smtpd` listens itself.

use std::fmt::Write as _;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Server, user_number};
use crate::namespace::SCRATCH;

/// Marks a line for `master.cf`.
const MASTER: &str = "master: ";

/// Starts a server.
pub(super) fn start(host: &str, address: &str, lines: &str) -> Result<Server, String> {
    let folder = Path::new(SCRATCH).join(host);
    folders(&folder).map_err(|error| format!("can't furnish `{}`: {error}", folder.display()))?;
    let place = folder.display();
    let config = folder.join("etc");
    let (master, main): (Vec<&str>, Vec<&str>) = lines.lines().partition(|line| line.starts_with(MASTER));
    let main = main.join("\n");
    let mut services = String::new();
    for line in &master {
        let _ = writeln!(services, "{}", line[MASTER.len()..].replace("{address}", address));
    }
    if services.is_empty() {
        let _ = writeln!(services, "{address}:25 inet n - n - - smtpd");
    }
    write_old(
        &config.join("main.cf"),
        &format!(
            "compatibility_level = 3.6\nqueue_directory = {place}/queue\ndata_directory = {place}/data\n\
             maillog_file = {place}/maillog\nmaillog_file_prefixes = {place}\nmyhostname = {host}\n\
             mydestination =\nlocal_recipient_maps =\nalias_maps =\nvirtual_mailbox_base = {place}\n\
             virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.1\n\
             lab_certificate = {SCRATCH}/lab.pem\nexpired_certificate = {SCRATCH}/expired.pem\n\
             foreign_certificate = {SCRATCH}/foreign.pem\n{main}\n"
        ),
    )?;
    write_old(
        &config.join("master.cf"),
        &format!(
            "{services}\
             rewrite unix - - n - - trivial-rewrite\n\
             anvil unix - - n - 1 anvil\n\
             verify unix - - n - 1 verify\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\n\
             proxymap unix - - n - - proxymap\n\
             cleanup unix n - n - 0 cleanup\n\
             bounce unix - - n - 0 bounce\n\
             defer unix - - n - 0 bounce\n\
             trace unix - - n - 0 bounce\n\
             qmgr unix n - n 300 1 qmgr\n\
             error unix - - n - - error\n\
             retry unix - - n - - error\n\
             smtp unix - - n - - smtp\n\
             virtual unix - n n - - virtual\n\
             postlog unix-dgram n - n - 1 postlogd\n"
        ),
    )?;
    let config = config.to_string_lossy().into_owned();
    Server::start("master", &["-c", &config, "-d"], &folder, &format!("{address}:25"))
}

/// Makes the folders of a queue, with their owners.
fn folders(folder: &Path) -> std::io::Result<()> {
    let owner = Some(user_number("postfix")?);
    for name in ["etc", "queue/pid", "queue/maildrop"] {
        fs::create_dir_all(folder.join(name))?;
    }
    for name in [
        "data",
        "queue/active",
        "queue/bounce",
        "queue/corrupt",
        "queue/defer",
        "queue/deferred",
        "queue/flush",
        "queue/hold",
        "queue/incoming",
        "queue/private",
        "queue/public",
        "queue/saved",
        "queue/trace",
    ] {
        fs::create_dir_all(folder.join(name))?;
        chown(folder.join(name), owner, None)?;
    }
    Ok(())
}

/// Writes a configuration file with an old date: Postfix waits for seconds before it uses a new one.
fn write_old(file: &Path, text: &str) -> Result<(), String> {
    let write = || {
        fs::write(file, text)?;
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(file)?.set_times(FileTimes::new().set_modified(hour_ago))
    };
    write().map_err(|error| format!("can't write `{}`: {error}", file.display()))
}
