//! Settings files: `listproof.toml` in the working folder, and the user's own.
//!
//! Decides: where settings files are, and their keys: the names of the long flags with underscores. An unknown key is an
//! error, because a misspelled setting without effect is worse than none. Fails: naming the file and the line.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::deadline::Deadline;
use super::layer::{BlocklistKey, EgressSettings, ProxyUrl, SettingsLayer};
use super::origin::{Origin, Origins};
use crate::error::Error;
use crate::policy::Pace;

/// The project's file.
const PROJECT_FILE: &str = "listproof.toml";

/// The keys of a settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    helo: Option<Spanned<String>>,
    mail_from: Option<Spanned<String>>,
    egress: Option<Vec<Spanned<EgressSettings>>>,
    dns: Option<Spanned<Vec<String>>>,
    smtp_port: Option<u16>,
    source_ip: Option<Spanned<IpAddr>>,
    proxy: Option<Spanned<ProxyUrl>>,
    allow_mx_net: Option<Vec<IpNet>>,
    pace: Option<Pace>,
    #[serde(default, deserialize_with = "duration")]
    max_wait: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    max_duration: Option<Duration>,
    #[serde(default, deserialize_with = "time_of_day")]
    deadline: Option<Deadline>,
    state: Option<PathBuf>,
    #[serde(default, deserialize_with = "duration")]
    max_age: Option<Duration>,
    confirm: Option<bool>,
    risky_roles: Option<bool>,
    policy: Option<PathBuf>,
    spamhaus_key: Option<BlocklistKey>,
}

impl SettingsLayer {
    /// What a file sets. Fails where there is no such file.
    pub fn from_file(path: &Path) -> Result<SettingsLayer, Error> {
        read(path)?.ok_or_else(|| Error::Setting {
            message: format!("`{}` does not exist", path.display()),
            hint: "name an existing file with `--config`".to_owned(),
        })
    }

    /// What `listproof.toml` in the working folder sets, over the user's file
    /// (`$XDG_CONFIG_HOME/listproof/config.toml`, else `~/.config/listproof/config.toml`). A missing file sets nothing.
    pub fn from_usual_files() -> Result<SettingsLayer, Error> {
        let project = read(Path::new(PROJECT_FILE))?.unwrap_or_default();
        let user = users_file().map(|path| read(&path)).transpose()?.flatten().unwrap_or_default();
        Ok(project.over(user))
    }
}

impl FileSettings {
    /// The settings of the file at `path`, whose text is `text`.
    fn into_layer(self, path: &Path, text: &str) -> SettingsLayer {
        let file = self;
        let at = |start: usize| Origin::File { path: path.to_owned(), line: line_of(text, start) };
        let place = |start: Option<usize>| start.map(at).unwrap_or_default();
        let start_of_path = file.proxy.as_ref().map(|proxy| proxy.span().start);
        let origins = Origins {
            helo: place(file.helo.as_ref().map(|name| name.span().start)),
            mail_from: place(file.mail_from.as_ref().map(|sender| sender.span().start)),
            dns: place(file.dns.as_ref().map(|servers| servers.span().start)),
            egress: place(start_of_path.or(file.source_ip.as_ref().map(|source| source.span().start))),
        };
        let entry = |entry: Spanned<EgressSettings>| {
            let origin = at(entry.span().start);
            EgressSettings { origin, ..entry.into_inner() }
        };
        SettingsLayer {
            helo: file.helo.map(Spanned::into_inner).into_iter().collect(),
            mail_from: file.mail_from.map(Spanned::into_inner).into_iter().collect(),
            egress: file.egress.unwrap_or_default().into_iter().map(entry).collect(),
            dns: file.dns.map(Spanned::into_inner).unwrap_or_default(),
            smtp_port: file.smtp_port,
            source_ip: file.source_ip.map(Spanned::into_inner).into_iter().collect(),
            proxy: file.proxy.map(Spanned::into_inner).into_iter().collect(),
            origins,
            allow_mx_net: file.allow_mx_net.unwrap_or_default(),
            pace: file.pace,
            max_wait: file.max_wait,
            max_duration: file.max_duration,
            deadline: file.deadline,
            state: file.state,
            max_age: file.max_age,
            confirm: file.confirm,
            risky_roles: file.risky_roles,
            policy: file.policy,
            spamhaus_key: file.spamhaus_key,
            ..SettingsLayer::default()
        }
    }
}

fn users_file() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(base.join("listproof/config.toml"))
}

/// The settings of a file; `None` where there is no such file.
fn read(path: &Path) -> Result<Option<SettingsLayer>, Error> {
    let fault = |message: String, hint: &str| Error::Setting {
        message: format!("{}{message}", path.display()),
        hint: hint.to_owned(),
    };
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text)
            .map(|file: FileSettings| Some(file.into_layer(path, &text)))
            .map_err(|error| {
                let line = error.span().map_or(1, |span| line_of(&text, span.start));
                fault(format!(":{line}: {}", error.message()), "see samples/listproof.toml for all settings")
            }),
        // Below something that is no folder there is no file.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(fault(
            format!(" can't be read: {error}"),
            "let this user read it, name another settings file with `--config`, or another folder with `XDG_CONFIG_HOME`",
        )),
    }
}

/// The line, from 1, in which the byte at `start` stands.
fn line_of(text: &str, start: usize) -> usize {
    text[..start].matches('\n').count() + 1
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
    fn a_misspelled_key_is_an_error_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"helo = \"a.example\"\nmailfrom = \"x\"\n").unwrap();
        let fault = read(file.path()).unwrap_err().to_string();
        assert!(fault.contains(":2: ") && fault.contains("mailfrom"), "{fault}");
    }

    #[test]
    fn the_sample_sets_what_it_names_and_nothing_else() {
        let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/listproof.toml"));
        let expected = SettingsLayer {
            helo: vec!["probe.example.org".to_owned()],
            mail_from: vec!["list-check@example.org".to_owned()],
            pace: Some(Pace::Normal),
            max_wait: Some(Duration::from_mins(30)),
            ..SettingsLayer::default()
        };
        let layer = read(sample).unwrap().unwrap();
        let origins = layer.origins.clone();
        assert!(matches!(&origins.helo, Origin::File { path, .. } if path == sample), "{origins:?}");
        assert_eq!(layer, SettingsLayer { origins, ..expected });
    }
}
