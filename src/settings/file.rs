//! Settings files: `listproof.toml` beside the work, and the user's own.
//!
//! Decides: which file speaks first. Keys are the long flags' names with underscores; an unknown key is an error, because
//! a misspelt setting that does nothing is worse than none.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::Deadline;
use super::egress::Entry;
use crate::error::Error;
use crate::policy::Pace;

/// What a file may set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSettings {
    pub(super) helo: Option<String>,
    pub(super) mail_from: Option<String>,
    pub(super) egress: Option<Vec<Entry>>,
    pub(super) dns: Option<Vec<String>>,
    pub(super) smtp_port: Option<u16>,
    pub(super) source_ip: Option<IpAddr>,
    pub(super) proxy: Option<String>,
    pub(super) allow_mx_net: Option<Vec<IpNet>>,
    pub(super) pace: Option<Pace>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) max_wait: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) max_duration: Option<Duration>,
    #[serde(default, deserialize_with = "time_of_day")]
    pub(super) deadline: Option<Deadline>,
    pub(super) state: Option<PathBuf>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) max_age: Option<Duration>,
    pub(super) risky_roles: Option<bool>,
    pub(super) policy: Option<PathBuf>,
}

impl FileSettings {
    /// The file that was named, or else the project's, and for what it does not set the user's.
    pub(super) fn gather(named: Option<&Path>) -> Result<FileSettings, Error> {
        if let Some(path) = named {
            return read(path)?.ok_or_else(|| Error::Setting {
                message: format!("`{}` does not exist", path.display()),
                hint: "name an existing file with `--config`".to_owned(),
            });
        }
        let project = read(Path::new("listproof.toml"))?.unwrap_or_default();
        let user = users_file().map(|path| read(&path)).transpose()?.flatten().unwrap_or_default();
        Ok(project.or(user))
    }

    fn or(self, other: FileSettings) -> FileSettings {
        FileSettings {
            helo: self.helo.or(other.helo),
            mail_from: self.mail_from.or(other.mail_from),
            egress: self.egress.or(other.egress),
            dns: self.dns.or(other.dns),
            smtp_port: self.smtp_port.or(other.smtp_port),
            source_ip: self.source_ip.or(other.source_ip),
            proxy: self.proxy.or(other.proxy),
            allow_mx_net: self.allow_mx_net.or(other.allow_mx_net),
            pace: self.pace.or(other.pace),
            max_wait: self.max_wait.or(other.max_wait),
            max_duration: self.max_duration.or(other.max_duration),
            deadline: self.deadline.or(other.deadline),
            state: self.state.or(other.state),
            max_age: self.max_age.or(other.max_age),
            risky_roles: self.risky_roles.or(other.risky_roles),
            policy: self.policy.or(other.policy),
        }
    }
}

/// `$XDG_CONFIG_HOME/listproof/config.toml`, else `~/.config/...`.
fn users_file() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(base.join("listproof/config.toml"))
}

/// `None` when there is no such file.
fn read(path: &Path) -> Result<Option<FileSettings>, Error> {
    let fault = |message: String| Error::Setting {
        message: format!("{}{message}", path.display()),
        hint: "see samples/listproof.toml for all settings".to_owned(),
    };
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            fault(format!(":{line}: {}", error.message()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(format!(": {error}"))),
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| crate::duration::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Deadline>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_sets_every_key() {
        let text = include_str!("../../samples/listproof.toml");
        let bare: String = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n");
        let all: FileSettings = toml::from_str(&bare).unwrap();
        assert_eq!(all.helo.as_deref(), Some("probe.example.org"));
        assert_eq!(all.max_wait, Some(Duration::from_secs(1800)));
        assert!(
            all.policy.is_some()
                && all.proxy.is_some()
                && all.source_ip.is_some()
                && all.max_duration.is_some()
                && all.deadline.is_some()
                && all.state.is_some()
                && all.max_age.is_some()
        );
    }

    #[test]
    fn a_misspelt_key_is_an_error_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"helo = \"a.example\"\nmailfrom = \"x\"\n").unwrap();
        let fault = read(file.path()).unwrap_err().to_string();
        assert!(fault.contains(":2: ") && fault.contains("mailfrom"), "{fault}");
    }
}
