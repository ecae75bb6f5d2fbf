//! How the servers are started: one process each, one folder each, one address each.
//!
//! Nobody stops them: they end with the process table of the namespace.

use std::fs::{self, File, FileTimes};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::namespace::{self, SCRATCH};

/// The longest that a server may take until it listens; a busy machine starts thirty of them at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    program: String,
    address: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server that stays in the foreground. `address` is where it will listen.
    pub(crate) fn start(
        program: &str,
        arguments: &[&str],
        folder: &Path,
        address: &str,
    ) -> Result<Server, String> {
        let failed = |error: &dyn std::fmt::Display| format!("can't start `{program}`: {error}");
        let address = address.parse().map_err(|error| failed(&error))?;
        let log = folder.join(format!("{program}-{address}.log"));
        let output = File::create(&log).map_err(|error| failed(&error))?;
        let errors = output.try_clone().map_err(|error| failed(&error))?;
        let file = namespace::program(program).ok_or_else(|| failed(&"it is not installed"))?;
        let process = Command::new(file)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| failed(&error))?;
        Ok(Server { program: program.to_owned(), address, process, log })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns as soon as the server accepts connections; fails with its last words when it ends instead.
    pub(crate) fn wait_until_listening(&mut self) -> Result<(), String> {
        let step = Duration::from_millis(50);
        let mut left = PATIENCE;
        while TcpStream::connect_timeout(&self.address, step).is_err() {
            let ended = self.process.try_wait().ok().flatten();
            if ended.is_some() || left.is_zero() {
                let words = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(format!("`{}` does not listen at {}: {words}", self.program, self.address));
            }
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
        Ok(())
    }
}

/// A Postfix instance of its own for a host: nothing of it is shared with another or with the machine's.
pub(crate) fn postfix(host: &str, address: &str, lines: &str) -> Result<Server, String> {
    let folder = Path::new(SCRATCH).join(host);
    postfix_folders(&folder).map_err(|error| format!("can't furnish `{}`: {error}", folder.display()))?;
    let place = folder.display();
    let config = folder.join("etc");
    settle(
        &config.join("main.cf"),
        &format!(
            "compatibility_level = 3.6\nqueue_directory = {place}/queue\ndata_directory = {place}/data\n\
             maillog_file = {place}/maillog\nmaillog_file_prefixes = {place}\nmyhostname = {host}\n\
             mydestination =\nlocal_recipient_maps =\nalias_maps =\nvirtual_mailbox_base = {place}\n\
             virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.1\nlab_certificate = {SCRATCH}/lab.pem\n{lines}\n"
        ),
    )?;
    settle(
        &config.join("master.cf"),
        &format!(
            "{address}:25 inet n - n - - smtpd\n\
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

/// The folders of a queue, and whose they are.
fn postfix_folders(folder: &Path) -> std::io::Result<()> {
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

/// The number of a user.
fn user_number(name: &str) -> std::io::Result<u32> {
    let users = fs::read_to_string("/etc/passwd")?;
    let number = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1))??.parse().ok()
    });
    number.ok_or_else(|| std::io::Error::other(format!("there is no user `{name}`")))
}

/// Writes a configuration file with an old date: Postfix waits for seconds before it trusts a fresh one.
fn settle(file: &Path, text: &str) -> Result<(), String> {
    let write = || {
        fs::write(file, text)?;
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(file)?.set_times(FileTimes::new().set_modified(hour_ago))
    };
    write().map_err(|error| format!("can't write `{}`: {error}", file.display()))
}

/// An Exim daemon of its own for a host, with the scenario's configuration.
pub(crate) fn exim(host: &str, address: &str, lines: &str) -> Result<Server, String> {
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

/// Where postgrey answers; scenarios name it in `check_policy_service`.
pub(crate) const POSTGREY: &str = "127.0.0.1:10023";

/// How long postgrey keeps newcomers waiting. Short, so that a test can wait for it.
const GREYLISTED_SECONDS: &str = "3";

/// One greylist for all scenarios that ask it.
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

/// A key and a certificate that nobody has signed, where `$lab_certificate` points.
pub(crate) fn certificate() -> Result<(), String> {
    namespace::run(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lab.test \
         -keyout {SCRATCH}/lab.key -out {SCRATCH}/lab.crt"
    ))?;
    let join = || {
        let key = fs::read_to_string(Path::new(SCRATCH).join("lab.key"))?;
        let certificate = fs::read_to_string(Path::new(SCRATCH).join("lab.crt"))?;
        fs::write(Path::new(SCRATCH).join("lab.pem"), key + &certificate)
    };
    join().map_err(|error| format!("can't write the lab's certificate: {error}"))
}
