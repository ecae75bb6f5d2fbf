//! Scenario files: DNS records, servers, and for each recipient the reply that it must get and the reason that must result.

use std::collections::BTreeMap;
use std::path::Path;

use listproof::Reason;
use serde::Deserialize;

use crate::namespace::{self, Client};
use crate::servers::Program;
use crate::town;

/// One file of `scenarios/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name, a sentence.
    #[serde(skip)]
    pub(crate) name: String,
    /// Programs that are needed besides mail servers and name servers.
    #[serde(default)]
    needs: Vec<String>,
    /// The client that the servers see.
    #[serde(default)]
    pub(crate) client: Client,
    /// The HELO name we give.
    #[serde(default = "our_name")]
    pub(crate) helo: String,
    /// The domain of our envelope sender.
    #[serde(default = "our_domain")]
    pub(crate) sender_domain: String,
    /// How long `verify` may wait for retries; not at all by default.
    #[serde(default = "no_wait")]
    pub(crate) max_wait: String,
    /// More flags of `verify`.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// The exit code of `verify`.
    #[serde(default)]
    pub(crate) exit: i32,
    /// DNS records in master-file format with absolute names, without those of the hosts below.
    pub(crate) zone: String,
    /// Host name -> lines for its `main.cf`.
    #[serde(default)]
    postfix: BTreeMap<String, String>,
    /// Host name -> its whole Exim configuration.
    #[serde(default)]
    exim: BTreeMap<String, String>,
    /// Host name -> lines for its `smtpd.conf`.
    #[serde(default)]
    opensmtpd: BTreeMap<String, String>,
    /// Host name -> its plugin.
    #[serde(default)]
    haraka: BTreeMap<String, String>,
    /// Host name -> its handler.
    #[serde(default)]
    aiosmtpd: BTreeMap<String, String>,
    /// Addresses at which connections to port 25 are counted; there must be none.
    #[serde(default)]
    pub(crate) canary: Vec<String>,
    /// Look-ups that check the resolver.
    #[serde(default, rename = "lookup")]
    pub(crate) lookups: Vec<Lookup>,
    /// The list, in order.
    #[serde(default, rename = "row")]
    pub(crate) rows: Vec<Row>,
    /// What `doctor` must report.
    pub(crate) doctor: Option<DoctorRun>,
}

/// A run of `doctor`, and the status of each check that matters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoctorRun {
    /// More flags.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// The text of `blocklists.toml` in the policy folder.
    #[serde(default)]
    pub(crate) blocklists: String,
    /// The exit code.
    #[serde(default)]
    pub(crate) exit: i32,
    /// The longest time that it may take, in seconds.
    #[serde(default = "a_minute")]
    pub(crate) seconds: u64,
    /// The status that checks without one below must have, if all must have the same.
    pub(crate) others: Option<String>,
    /// Check -> its status.
    #[serde(default)]
    pub(crate) status: BTreeMap<String, String>,
    /// Check -> a part of its sentence.
    #[serde(default)]
    pub(crate) says: BTreeMap<String, String>,
}

fn a_minute() -> u64 {
    60
}

/// A look-up, and its expected answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    pub(crate) mx: String,
    /// A response code, with the number of records after `NOERROR`.
    pub(crate) answer: String,
}

/// An address of the list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) address: String,
    /// The host that is probed by hand; needed only where the scenario has more than one.
    pub(crate) at: Option<String>,
    /// The beginning of that host's first rejection, or of its reply to RCPT: the stage, then the reply. Absent where
    /// no host can be probed.
    pub(crate) reply: Option<String>,
    /// The reason that `verify` must give.
    pub(crate) reason: String,
}

fn our_name() -> String {
    "probe.lab.test".to_owned()
}

fn no_wait() -> String {
    "0s".to_owned()
}

fn our_domain() -> String {
    "lab.test".to_owned()
}

impl Scenario {
    /// All scenarios, by name: the files, and the town. An error names its file.
    pub(crate) fn read_all() -> Result<Vec<Scenario>, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/scenarios");
        let unreadable = |error| format!("can't read `{}`: {error}", folder.display());
        let mut scenarios = Vec::new();
        for entry in folder.read_dir().map_err(unreadable)? {
            scenarios.push(Scenario::read(&entry.map_err(unreadable)?.path())?);
        }
        scenarios.push(town::scenario()?);
        scenarios.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scenarios)
    }

    fn read(file: &Path) -> Result<Scenario, String> {
        let wrong = |why: String| format!("in `{}`: {why}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        Scenario::parse(&file.file_stem().unwrap_or_default().to_string_lossy(), &text).map_err(wrong)
    }

    /// Parses a scenario.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Scenario, String> {
        let mut scenario: Scenario = toml::from_str(text).map_err(|error| error.to_string())?;
        name.clone_into(&mut scenario.name);
        for row in &scenario.rows {
            Reason::from_word(&row.reason).ok_or_else(|| format!("`{}` is no reason", row.reason))?;
            if row.reply.is_some() && scenario.host_of(row).is_none() {
                return Err(format!("`{}`: say `at` which host it is probed", row.address));
            }
        }
        Ok(scenario)
    }

    /// The mail servers: program, host and configuration.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (Program, &str, &str)> {
        let programs = [
            (Program::Postfix, &self.postfix),
            (Program::Exim, &self.exim),
            (Program::OpenSmtpd, &self.opensmtpd),
            (Program::Haraka, &self.haraka),
            (Program::Aiosmtpd, &self.aiosmtpd),
        ];
        programs.into_iter().flat_map(|(program, hosts)| {
            hosts.iter().map(move |(host, config)| (program, host.as_str(), config.as_str()))
        })
    }

    /// The hosts with a mail server.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.servers().map(|(_, host, _)| host)
    }

    /// The host at which a row is probed by hand.
    pub(crate) fn host_of<'a>(&'a self, row: &'a Row) -> Option<&'a str> {
        let mut hosts = self.hosts();
        match (&row.at, hosts.next(), hosts.next()) {
            (Some(host), _, _) => self.hosts().find(|other| other == host),
            (None, only, None) => only,
            (None, _, Some(_)) => None,
        }
    }

    /// The first program that this scenario needs and this machine lacks.
    pub(crate) fn missing_program(&self) -> Option<&str> {
        let servers = self.servers().map(|(program, ..)| program.executable());
        let mut needed = self.needs.iter().map(String::as_str).chain(servers);
        needed.find(|name| namespace::program(name).is_none())
    }
}
