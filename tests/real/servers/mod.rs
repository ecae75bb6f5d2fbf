//! Starts the servers: each has a process, a folder and an address of its own.
//!
//! This file has what all programs share; the configuration of each program is a file of its own. The servers end with the
//! process namespace.

mod aiosmtpd;
mod certificates;
mod exim;
mod haraka;
mod opensmtpd;
mod postfix;
mod postgrey;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::namespace;

pub(crate) use certificates::certificates;
pub(crate) use postgrey::postgrey;

/// The longest time that a server may take until it listens; fifty of them start together.
const PATIENCE: Duration = Duration::from_secs(90);

/// A mail server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Postfix,
    Exim,
    OpenSmtpd,
    Haraka,
    Aiosmtpd,
}

impl Program {
    /// The file whose existence shows that the program is installed.
    pub(crate) fn executable(self) -> &'static str {
        match self {
            Program::Postfix => "postconf",
            Program::Exim => "exim4",
            Program::OpenSmtpd => "smtpctl",
            Program::Haraka => "haraka",
            Program::Aiosmtpd => "aiosmtpd",
        }
    }

    /// True for a program that no package of the system has, so that not every machine can install it.
    pub(crate) fn is_from_registry(self) -> bool {
        matches!(self, Program::Haraka | Program::Aiosmtpd)
    }

    /// Starts a server for a host at an address, with a scenario's configuration.
    pub(crate) fn start(self, host: &str, address: &str, config: &str) -> Result<Server, String> {
        match self {
            Program::Postfix => postfix::start(host, address, config),
            Program::Exim => exim::start(host, address, config),
            Program::OpenSmtpd => opensmtpd::start(host, address, config),
            Program::Haraka => haraka::start(host, address, config),
            Program::Aiosmtpd => aiosmtpd::start(host, address, config),
        }
    }
}

/// A running server.
pub(crate) struct Server {
    program: String,
    address: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server in the foreground. `address` is the one at which it will listen.
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
            .env("PYTHONPATH", folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| failed(&error))?;
        Ok(Server { program: program.to_owned(), address, process, log })
    }

    /// The address at which it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the server accepts connections. Fails with the end of its log if it ends before.
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

/// Makes a folder for a host, with its parents.
fn furnish(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("can't furnish `{}`: {error}", folder.display()))
}

/// Writes a file of a server's configuration.
fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("can't write `{}`: {error}", file.display()))
}

/// The numeric id of a user.
fn user_number(name: &str) -> std::io::Result<u32> {
    let users = fs::read_to_string("/etc/passwd")?;
    let number = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1))??.parse().ok()
    });
    number.ok_or_else(|| std::io::Error::other(format!("there is no user `{name}`")))
}
