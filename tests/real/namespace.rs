//! The room of the lab: namespaces for network, mounts and processes, made by running this test again inside.
//!
//! Must not touch anything outside: every change is made after entering, in copies that belong to us. Fails with
//! one sentence that says what is missing; whether that is a failure of the test is for the caller to say.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set for the process inside, so that it does not enter again. Its parent is the first process there, which no
/// one can pretend outside, where furnishing would do harm.
const INSIDE: &str = "LISTPROOF_LAB_INSIDE";

/// Where the lab keeps its files: memory mounted over the spool that every Postfix machine has, seen by us only.
/// The servers' own users must be able to reach it, so it can't be a folder below the checkout.
pub(crate) const SCRATCH: &str = "/var/spool/postfix";

/// What a lab can't do without.
const PROGRAMS: [&str; 6] = ["unshare", "mount", "ip", "nsd", "unbound", "postconf"];

/// Users on which servers insist that are unpacked rather than installed: their packages exclude Postfix's. Where a user
/// exists its own line comes first and counts.
const USERS: [&str; 3] = ["Debian-exim", "opensmtpd", "opensmtpq"];

const UNSHARE: [&str; 5] = ["--net", "--mount", "--pid", "--fork", "--kill-child"];

/// Whether the surroundings demand these tests.
pub(crate) fn required() -> bool {
    env::var("LISTPROOF_REAL").is_ok_and(|word| word == "required")
}

/// Goes on inside the namespaces; says why where that can't be. Outside, success does not return: the process is
/// replaced. The shell in between is the first process of the new table, which signals from the keyboard do not
/// end; the test is its child, which they do, and when the shell ends the kernel ends everything that is left.
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

/// The full path of a program; servers live where an ordinary user's `PATH` does not look.
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
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{line}` failed: {}", said.trim()))
}

/// The scratch file system, loopback, and whole networks that count as local without an address being given to
/// each host. Which address a server sees as its client depends on the network it is in.
pub(crate) fn furnish() -> Result<(), String> {
    run(&format!("mount -t tmpfs -o mode=0755 lab {SCRATCH}"))?;
    run("ip link set lo up")?;
    for client in Client::ALL {
        run(&format!("ip address add {}/32 dev lo", client.address()))?;
        run(&format!("ip route add local {}.0/24 dev lo src {}", client.network(), client.address()))?;
    }
    run(&format!("ip route add local {NAME_SERVERS}.0/24 dev lo"))?;
    // Nobody must be found here; who is asked there anyway shall reach a canary and not an error.
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

/// Puts a text of ours over a file in `/etc`, for this namespace only.
fn overlay(file: &str, text: &str) -> Result<(), String> {
    let ours = Path::new(SCRATCH).join(file);
    fs::write(&ours, text).map_err(|error| format!("can't write `{}`: {error}", ours.display()))?;
    run(&format!("mount --bind {} /etc/{file}", ours.display()))
}

/// The network of the name servers: `.53` serves the root, `.54` refuses every question, `.55` is silent, `.56` has an
/// answer for every name, `.58` serves what is delegated to it, and `.57` the same, slowly.
pub(crate) const NAME_SERVERS: &str = "11.0.0";

/// As whom the servers of a scenario see us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Client {
    /// A client in good order: its address and its name point at each other.
    #[default]
    Named,
    /// A client whose address has no name.
    Unnamed,
    /// A client in good order that stands on the lab's blocklist, `bl.lab.test`.
    Listed,
}

impl Client {
    pub(crate) const ALL: [Client; 3] = [Client::Named, Client::Unnamed, Client::Listed];

    /// Our own address, as the servers see it.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Client::Named => "11.0.1.2",
            Client::Unnamed => "11.0.2.2",
            Client::Listed => "11.0.3.2",
        }
    }

    /// The first three numbers of the network that sees us so.
    pub(crate) fn network(self) -> &'static str {
        match self {
            Client::Named => "11.0.1",
            Client::Unnamed => "11.0.2",
            Client::Listed => "11.0.3",
        }
    }
}
