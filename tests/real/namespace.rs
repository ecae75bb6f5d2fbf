//! The namespaces of the lab for network, mounts and processes: the test runs itself again inside them.
//!
//! Must not: change anything outside. Every change is made inside, in copies. Fails: with a sentence that says what is
//! missing; the caller decides whether that fails the test.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set for the process inside, so that it does not enter again. Its parent must be process 1, which is not so outside, where
/// the changes would do harm.
const INSIDE: &str = "LISTPROOF_LAB_INSIDE";

/// The folder of the lab: memory that is mounted, for this namespace only, over the spool that every Postfix machine has. The
/// users of the servers must be able to reach it, so it cannot be a folder below the checkout.
pub(crate) const SCRATCH: &str = "/var/spool/postfix";

/// Programs that every lab needs.
const PROGRAMS: [&str; 6] = ["unshare", "mount", "ip", "nsd", "unbound", "postconf"];

/// Users that some servers need. Those servers are unpacked, not installed, because their packages exclude Postfix's. If a
/// user exists already, its own line comes first and counts.
const USERS: [&str; 3] = ["Debian-exim", "opensmtpd", "opensmtpq"];

const UNSHARE: [&str; 5] = ["--net", "--mount", "--pid", "--fork", "--kill-child"];

/// True if these tests must not be left out.
pub(crate) fn required() -> bool {
    env::var("LISTPROOF_REAL").is_ok_and(|word| word == "required")
}

/// Enters the namespaces. Returns the reason if that is not possible. Outside, success does not return: the process is
/// replaced. A shell is process 1 inside, and the test is its child: signals from the keyboard end the child but not process
/// 1, and when process 1 ends the kernel ends all other processes.
pub(crate) fn enter() -> Result<(), String> {
    if env::var_os(INSIDE).is_some() && parent_id() == 1 {
        return Ok(());
    }
    for name in PROGRAMS {
        program(name).ok_or_else(|| format!("`{name}` is not installed"))?;
    }
    let allowed =
        Command::new("unshare").args(UNSHARE).args(["--mount-proc", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        return Err("no right to make namespaces here (it takes root)".to_owned());
    }
    let this = env::current_exe().map_err(|error| format!("can't find this test's own file: {error}"))?;
    let failed = Command::new("unshare")
        .args(UNSHARE)
        .args(["--mount-proc", "sh", "-c", "\"$@\"; exit $?", "sh"])
        .arg(this)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(format!("can't run `unshare`: {failed}"))
}

/// The full path of a program, also in the folders of servers, which are not in the `PATH` of ordinary users.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/lib/postfix/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Runs a short command to its end.
pub(crate) fn run(line: &str) -> Result<(), String> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let file = program(name).ok_or_else(|| format!("`{name}` is not installed"))?;
    let output =
        Command::new(file).args(words).output().map_err(|error| format!("can't run `{line}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{line}` failed: {}", errors.trim()))
}

/// Makes the scratch file system, loopback, and networks of which every address is local. The network of a server decides
/// which client address it sees.
pub(crate) fn furnish() -> Result<(), String> {
    run(&format!("mount -t tmpfs -o mode=0755 lab {SCRATCH}"))?;
    run("ip link set lo up")?;
    for client in Client::ALL {
        run(&format!("ip address add {}/32 dev lo", client.address()))?;
        run(&format!("ip route add local {}.0/24 dev lo src {}", client.network(), client.address()))?;
    }
    run(&format!("ip route add local {NAME_SERVERS}.0/24 dev lo"))?;
    // Private addresses that must never be connected to. A connection reaches a canary instead of an error.
    for network in
        ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
    {
        run(&format!("ip route add local {network} dev lo"))?;
    }
    let write =
        |setting: &str| fs::write(setting, "1").map_err(|error| format!("can't set `{setting}`: {error}"));
    write("/proc/sys/net/ipv6/ip_nonlocal_bind")?;
    for network in ["64:ff9b::/96", "2002::/16", "fc00::/7", "fe80::/10"] {
        run(&format!("ip -6 route add local {network} dev lo"))?;
    }
    overlay("resolv.conf", "nameserver 127.0.0.1\n")?;
    overlay("hosts", "127.0.0.1 localhost\n")?;
    let known = |file: &str| {
        fs::read_to_string(Path::new("/etc").join(file)).unwrap_or_default().trim_end().to_owned()
    };
    let (mut users, mut groups) = (known("passwd"), known("group"));
    for (number, name) in (64990..).zip(USERS) {
        let _ = write!(users, "\n{name}:x:{number}:{number}::/:/bin/false");
        let _ = write!(groups, "\n{name}:x:{number}:");
    }
    overlay("passwd", &(users + "\n"))?;
    overlay("group", &(groups + "\n"))?;
    Ok(())
}

/// Replaces the text of a file in `/etc`, for this namespace only.
fn overlay(file: &str, text: &str) -> Result<(), String> {
    let ours = Path::new(SCRATCH).join(file);
    fs::write(&ours, text).map_err(|error| format!("can't write `{}`: {error}", ours.display()))?;
    run(&format!("mount --bind {} /etc/{file}", ours.display()))
}

/// The network of the name servers: `.53` serves the root, `.54` answers REFUSED to every query, `.55` is silent, `.56` has
/// records for every name, `.58` serves delegated domains, and `.57` does so slowly.
pub(crate) const NAME_SERVERS: &str = "11.0.0";

/// The client that the servers of a scenario see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Client {
    /// A client whose address and name have records that match.
    #[default]
    Named,
    /// A client whose address has no name.
    Unnamed,
    /// A client with matching records that is on the lab's blocklist, `bl.lab.test`.
    Listed,
}

impl Client {
    pub(crate) const ALL: [Client; 3] = [Client::Named, Client::Unnamed, Client::Listed];

    /// The address of the client.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Client::Named => "11.0.1.2",
            Client::Unnamed => "11.0.2.2",
            Client::Listed => "11.0.3.2",
        }
    }

    /// The first three numbers of the network whose servers see this client.
    pub(crate) fn network(self) -> &'static str {
        match self {
            Client::Named => "11.0.1",
            Client::Unnamed => "11.0.2",
            Client::Listed => "11.0.3",
        }
    }
}
