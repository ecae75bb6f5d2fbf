//! How to probe: the flags that every command shares which asks somebody.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;

use crate::duration;
use crate::policy::Pace;
use crate::settings::Deadline;

/// How to probe. Every value may also come from the environment or a settings file.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag as it was typed")]
#[derive(Clone, Debug, Args, Default)]
#[command(next_help_heading = "Probing")]
pub struct ProbeArgs {
    /// The name to say in EHLO: your host's own, with forward and reverse DNS; one for all, or one for each way out.
    #[arg(long, env = "LISTPROOF_HELO", value_name = "NAME", value_delimiter = ',')]
    pub helo: Vec<String>,
    /// The envelope sender: an address of your own domain; one for all, or one for each way out.
    #[arg(long, env = "LISTPROOF_MAIL_FROM", value_name = "ADDR", value_delimiter = ',')]
    pub mail_from: Vec<String>,
    /// No network at all: syntax, typos, lists and duplicates.
    #[arg(long)]
    pub offline: bool,
    /// DNS, but no mail servers.
    #[arg(long, conflicts_with = "offline")]
    pub dns_only: bool,
    /// Ask a scripted world instead of the Internet, in virtual time.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dns", "proxy"])]
    pub world: Option<PathBuf>,
    /// Ask this name server; may be given again [default: the system's].
    #[arg(long, env = "LISTPROOF_DNS", value_name = "ADDR[:PORT]", value_delimiter = ',')]
    pub dns: Vec<String>,
    /// The port of the mail servers [default: 25].
    #[arg(long, env = "LISTPROOF_SMTP_PORT", value_name = "N")]
    pub smtp_port: Option<u16>,
    /// Connect from this address of this machine; given again, each is a way out with limits of its own.
    #[arg(long, env = "LISTPROOF_SOURCE_IP", value_name = "ADDR", value_delimiter = ',')]
    pub source_ip: Vec<std::net::IpAddr>,
    /// Connect through this proxy: `socks5://[USER:PASSWORD@]HOST:PORT`; may be given again.
    #[arg(long, env = "LISTPROOF_PROXY", value_name = "URL", value_delimiter = ',')]
    pub proxy: Vec<String>,
    /// Mail servers in this range may be connected to although it is not public; may be given again.
    #[arg(long, env = "LISTPROOF_ALLOW_MX_NET", value_name = "CIDR", value_delimiter = ',')]
    pub allow_mx_net: Vec<IpNet>,
    /// How hard to press [default: normal].
    #[arg(long, env = "LISTPROOF_PACE", value_enum)]
    pub pace: Option<Pace>,
    /// How long greylisting and other passing trouble is waited for [default: 30m for verify, 0 for check].
    #[arg(long, env = "LISTPROOF_MAX_WAIT", value_name = "DURATION", value_parser = duration::parse)]
    pub max_wait: Option<Duration>,
    /// Stop starting questions after this time, and write what is known.
    #[arg(long, env = "LISTPROOF_MAX_DURATION", value_name = "DURATION", value_parser = duration::parse)]
    pub max_duration: Option<Duration>,
    /// The same at this time of day.
    #[arg(long, env = "LISTPROOF_DEADLINE", value_name = "HH:MM")]
    pub deadline: Option<Deadline>,
    /// Where facts are kept, so that an interrupted run goes on and nothing is asked twice [default: a file in
    /// `~/.local/state/listproof/`; with `--world` none].
    #[arg(long, env = "LISTPROOF_STATE", value_name = "FILE", conflicts_with = "no_state")]
    pub state: Option<PathBuf>,
    /// Keep nothing, and use nothing that was kept.
    #[arg(long)]
    pub no_state: bool,
    /// Start over: no earlier run goes on, and nothing that is known is used.
    #[arg(long)]
    pub fresh: bool,
    /// Ask again about everything older than this, whatever it is.
    #[arg(long, env = "LISTPROOF_MAX_AGE", value_name = "DURATION", value_parser = duration::parse)]
    pub max_age: Option<Duration>,
    /// Wait for another run that uses the state.
    #[arg(long)]
    pub wait_lock: bool,
    /// Role addresses (info@, sales@) are risky instead of just flagged.
    #[arg(long)]
    pub risky_roles: bool,
    /// Your own policy files: they add to the shipped ones or replace entries.
    #[arg(long, env = "LISTPROOF_POLICY", value_name = "DIR")]
    pub policy: Option<PathBuf>,
    /// A settings file [default: ./listproof.toml, then the user's].
    #[arg(long, env = "LISTPROOF_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}
