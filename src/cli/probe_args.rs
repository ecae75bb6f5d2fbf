//! The flags of all commands that probe. They are the top layer of the settings.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of flags are help texts, and a terminal shows backticks as they are"
)]

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ipnet::IpNet;

use super::process;
use listproof::policy::Pace;
use listproof::settings::{BlocklistKey, Deadline, Origins, ProxyUrl, SettingsLayer, parse_duration};
use listproof::{Error, Settings};

/// How to probe. Flags win over the environment, the environment over a settings file.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Clone, Debug, Args, Default)]
#[command(next_help_heading = "Probing")]
pub(super) struct ProbeArgs {
    /// The name for EHLO: your host's own, with forward and reverse DNS; one for all egresses, or one for each
    /// [env: LISTPROOF_HELO]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    helo: Vec<String>,
    /// The envelope sender: an address of your own domain; one for all egresses, or one for each
    /// [env: LISTPROOF_MAIL_FROM]
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    mail_from: Vec<String>,
    /// No network at all: syntax, typos, lists and duplicates.
    #[arg(long)]
    offline: bool,
    /// DNS, but no mail servers (also finds dead domains).
    #[arg(long, conflicts_with = "offline")]
    dns_only: bool,
    /// Probe a scripted world instead of the Internet, in virtual time.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dns", "proxy"])]
    world: Option<PathBuf>,
    /// Use this name server; may be given again [default: the system's] [env: LISTPROOF_DNS]
    #[arg(long, value_name = "ADDR[:PORT]", value_delimiter = ',')]
    dns: Vec<String>,
    /// The port of the mail servers [default: 25] [env: LISTPROOF_SMTP_PORT]
    #[arg(long, value_name = "N")]
    smtp_port: Option<u16>,
    /// Connect from this address of this machine; repeat it to use several source addresses, each with its own rate limits
    /// [env: LISTPROOF_SOURCE_IP]
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    source_ip: Vec<IpAddr>,
    /// Connect through this proxy: `socks5://[USER:PASSWORD@]HOST:PORT`; may be given again [env: LISTPROOF_PROXY]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    proxy: Vec<ProxyUrl>,
    /// Connect to mail servers in this range although it is not public; may be given again [env: LISTPROOF_ALLOW_MX_NET]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    allow_mx_net: Vec<IpNet>,
    /// How fast to probe [default: normal] [env: LISTPROOF_PACE]
    #[arg(long, value_name = "PACE", value_parser = pace())]
    pace: Option<Pace>,
    /// How long to wait and retry when a server says "try later" (greylisting) [default: 30m for verify, 0 for check]
    /// [env: LISTPROOF_MAX_WAIT]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_wait: Option<Duration>,
    /// Stop starting probes after this time, and write what is known [env: LISTPROOF_MAX_DURATION]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_duration: Option<Duration>,
    /// Stop starting probes at this local time (HH:MM, today or tomorrow), and write what is known
    /// [env: LISTPROOF_DEADLINE]
    #[arg(long, value_name = "HH:MM")]
    deadline: Option<Deadline>,
    /// Keep facts in this file, so that an interrupted run continues and no recipient is probed twice [default: a file in
    /// `~/.local/state/listproof/`; with `--world` none] [env: LISTPROOF_STATE]
    #[arg(long, value_name = "FILE", conflicts_with = "no_state")]
    state: Option<PathBuf>,
    /// Keep no facts, and use none.
    #[arg(long)]
    no_state: bool,
    /// Start over: continue no earlier run, and use no stored fact.
    #[arg(long)]
    fresh: bool,
    /// Probe again every recipient whose facts are older than this [env: LISTPROOF_MAX_AGE]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_age: Option<Duration>,
    /// Wait while another run uses the state.
    #[arg(long)]
    wait_lock: bool,
    /// Confirm "no such mailbox" where the server accepted no other recipient: probe postmaster of the domain, too; what is not
    /// confirmed is in no suppression list (see the plan for its cost)
    #[arg(long)]
    confirm: bool,
    /// Role accounts (info@, sales@) are risky instead of only flagged.
    #[arg(long)]
    risky_roles: bool,
    /// A folder with your own policy files: they add to the shipped ones or replace entries [env: LISTPROOF_POLICY]
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// Probe even if the preflight finds that the run would find out little; recorded in the state and the summary.
    #[arg(long)]
    force: bool,
    /// The key for Spamhaus's lists (its Data Query Service), which are asked with a key only [env: LISTPROOF_SPAMHAUS_KEY]
    #[arg(long, value_name = "KEY")]
    spamhaus_key: Option<BlocklistKey>,
    /// A settings file [default: ./listproof.toml, then the user's].
    #[arg(long, env = "LISTPROOF_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ProbeArgs {
    /// Checked settings of all sources: flags, environment, settings files, and the defaults of the command.
    /// `max_wait` is one of these defaults.
    pub(super) fn settings(self, max_wait: Duration) -> Result<Settings, Error> {
        Settings::new(self.merged(max_wait)?)
    }

    /// As [`ProbeArgs::settings`], for the checks of the sender's side.
    pub(super) fn check_settings(self) -> Result<Settings, Error> {
        Settings::for_checks(self.merged(Duration::ZERO)?)
    }

    fn merged(self, max_wait: Duration) -> Result<SettingsLayer, Error> {
        let files = match &self.config {
            Some(file) => SettingsLayer::from_file(file)?,
            None => SettingsLayer::from_usual_files()?,
        };
        let environment = SettingsLayer::from_environment(|name| std::env::var_os(name))?;
        let defaults = SettingsLayer {
            max_wait: Some(max_wait),
            connections: Some(process::raise_connection_limit()),
            ..SettingsLayer::default()
        };
        Ok(self.layer().over(environment).over(files).over(defaults))
    }

    /// For a command that contacts no mail server, so that neither HELO name nor sender are needed.
    pub(super) fn without_mail_servers(self) -> ProbeArgs {
        ProbeArgs { dns_only: !self.offline, ..self }
    }

    fn layer(self) -> SettingsLayer {
        SettingsLayer {
            helo: self.helo,
            mail_from: self.mail_from,
            offline: self.offline,
            dns_only: self.dns_only,
            world: self.world,
            dns: self.dns,
            smtp_port: self.smtp_port,
            source_ip: self.source_ip,
            proxy: self.proxy,
            egress: Vec::new(),
            allow_mx_net: self.allow_mx_net,
            pace: self.pace,
            max_wait: self.max_wait,
            max_duration: self.max_duration,
            deadline: self.deadline,
            state: self.state,
            no_state: self.no_state,
            fresh: self.fresh,
            max_age: self.max_age,
            wait_lock: self.wait_lock,
            confirm: self.confirm.then_some(true),
            risky_roles: self.risky_roles.then_some(true),
            policy: self.policy,
            connections: None,
            force: self.force,
            spamhaus_key: self.spamhaus_key,
            origins: Origins::default(),
        }
    }
}

/// Reads a pace; `--help` explains each.
pub(super) fn pace() -> impl TypedValueParser<Value = Pace> {
    PossibleValuesParser::from(Pace::ALL.map(|pace| {
        PossibleValue::new(pace.word()).help(match pace {
            Pace::Gentle => "A tenth of `normal`",
            Pace::Normal => "Modest guesses of what receivers tolerate of a client that sends no mail",
            Pace::Fast => "The published limits of mail senders; for your own servers, labs, and senders known to the providers",
        })
    }))
    .try_map(|word| Pace::from_word(&word).ok_or("not a pace"))
}
