//! The settings of a run, made of all layers and checked once.
//!
//! Decides: every default, where the state is, and that no wrong value reaches the rest of the library. Fails: naming the setting and what to
//! write instead.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use super::deadline::Deadline;
use super::egress::{EgressArgs, EgressSpec, WrittenEgress, egresses, written};
use super::layer::{BlocklistKey, SettingsLayer};
use super::origin::Origin;
use crate::error::Error;
use crate::policy::{Pace, Policy};
use crate::smtp::Egress;
use crate::state::{NameHash, Namespace, State, default_file};
use crate::world::WorldError;

/// The port of MX hosts (RFC 5321 4.5.4.2).
pub(super) const SMTP_PORT: u16 = 25;
/// The port of name servers.
const DNS_PORT: u16 = 53;
/// Connections open at the same time unless set: they fit below a limit of 1024 open files, the usual one, with some left
/// for the program that uses the library.
const CONNECTIONS: usize = 700;

/// The checked settings of a run. Made by [`Settings::new`] from a [`SettingsLayer`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How far the run goes.
    pub(crate) depth: RunDepth,
    /// How many egresses there are, at least one.
    pub(crate) egress_count: usize,
    /// How fast mail servers are probed.
    pub(crate) pace: Pace,
    /// How long a recipient is retried after its first deferral.
    pub(crate) max_wait: Duration,
    /// After which time no new probe starts.
    pub(crate) max_duration: Option<Duration>,
    /// At which time of day no new probe starts.
    pub(crate) deadline: Option<Deadline>,
    /// Where facts are kept, and which stored facts are used.
    pub(crate) state: StateSettings,
    /// Role accounts are risky.
    pub(crate) risky_roles: bool,
    /// Rejections that stand alone are confirmed by `postmaster`.
    pub(crate) confirm: bool,
    /// The folder with the user's policy files.
    policy: Option<PathBuf>,
    /// Connections open at the same time, over all providers.
    pub(crate) connections: usize,
    /// Probe whatever the preflight finds.
    pub(crate) force: bool,
    /// The key for blocklists.
    pub(crate) spamhaus_key: Option<BlocklistKey>,
    /// What the checks of the sender's side are about; `None` for any other job.
    pub(crate) checks: Option<CheckTarget>,
}

/// What the checks of the sender's side are about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CheckTarget {
    /// The egresses, with names and senders that may be wrong.
    pub(crate) egresses: Vec<WrittenEgress>,
    /// Mail servers may be contacted.
    pub(crate) visits: bool,
}

/// Where facts are kept, and which stored facts are used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateSettings {
    /// Where the state is.
    pub(crate) location: StateLocation,
    /// No stored fact is used, and no earlier run continues.
    pub(crate) fresh: bool,
    /// Older facts are not used.
    pub(crate) max_age: Option<Duration>,
    /// Wait while another run has locked the state.
    pub(crate) wait_lock: bool,
}

/// Where the state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StateLocation {
    /// Nowhere: facts last until the run ends.
    Nowhere,
    /// In the usual file of the network's namespace.
    Usual,
    /// In this file.
    In(PathBuf),
}

impl StateSettings {
    fn of(layer: &SettingsLayer) -> StateSettings {
        StateSettings {
            location: match &layer.state {
                _ if layer.no_state => StateLocation::Nowhere,
                Some(file) => StateLocation::In(file.clone()),
                // A scripted world is for demos and tests: each run shows the same.
                None if layer.world.is_some() => StateLocation::Nowhere,
                None => StateLocation::Usual,
            },
            fresh: layer.fresh,
            max_age: layer.max_age,
            wait_lock: layer.wait_lock,
        }
    }
}

/// How far a run goes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RunDepth {
    /// No network at all.
    Offline,
    /// DNS only.
    Dns(NetworkTarget),
    /// DNS and mail servers.
    Probe(NetworkTarget),
}

/// The network that is probed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NetworkTarget {
    /// A scripted world.
    World {
        /// Its file.
        file: PathBuf,
        /// How connections leave, at least one. Where HELO name or sender are missing, those of the world are used.
        egresses: Vec<EgressSpec>,
    },
    /// The Internet, or a lab like it.
    Internet {
        /// Name servers; empty for the system's.
        dns: Vec<SocketAddr>,
        /// The port of the mail servers.
        smtp_port: u16,
        /// Ranges that may be connected to although they are not public.
        allowed: Vec<IpNet>,
        /// How connections leave; at least one where mail servers are probed.
        egresses: Vec<Egress>,
    },
}

impl Settings {
    /// Checks the values of a layer and adds the defaults. Where several sources set values, merge them before with
    /// [`SettingsLayer::over`].
    pub fn new(layer: SettingsLayer) -> Result<Settings, Error> {
        let state = StateSettings::of(&layer);
        let egresses = egresses(EgressArgs {
            source_ip: layer.source_ip,
            proxy: layer.proxy,
            entries: layer.egress,
            helo: layer.helo,
            mail_from: layer.mail_from,
            origins: layer.origins.clone(),
        })?;
        let egress_count = egresses.len();
        let target = match layer.world {
            Some(file) => NetworkTarget::World { file, egresses },
            None => NetworkTarget::Internet {
                dns: layer
                    .dns
                    .iter()
                    .map(|text| name_server(text, &layer.origins.dns))
                    .collect::<Result<_, _>>()?,
                smtp_port: layer.smtp_port.unwrap_or(SMTP_PORT),
                allowed: layer.allow_mx_net,
                egresses: match egresses.into_iter().map(EgressSpec::complete).collect() {
                    Err(_) if layer.offline || layer.dns_only => Vec::new(),
                    egresses => egresses?,
                },
            },
        };
        let depth = match (layer.offline, layer.dns_only) {
            (true, _) => RunDepth::Offline,
            (_, true) => RunDepth::Dns(target),
            _ => RunDepth::Probe(target),
        };
        Ok(Settings {
            depth,
            egress_count,
            pace: layer.pace.unwrap_or_default(),
            max_wait: layer.max_wait.unwrap_or_default(),
            max_duration: layer.max_duration,
            deadline: layer.deadline,
            state,
            risky_roles: layer.risky_roles.unwrap_or(false),
            confirm: layer.confirm.unwrap_or(false),
            policy: layer.policy,
            connections: layer.connections.unwrap_or(CONNECTIONS),
            force: layer.force,
            spamhaus_key: layer.spamhaus_key,
            checks: None,
        })
    }

    /// Settings for the checks of the sender's side: HELO names and senders are not checked here, because what is wrong with
    /// them is a result.
    pub fn for_checks(layer: SettingsLayer) -> Result<Settings, Error> {
        let egresses = written(EgressArgs {
            source_ip: layer.source_ip.clone(),
            proxy: layer.proxy.clone(),
            entries: layer.egress.clone(),
            helo: layer.helo.clone(),
            mail_from: layer.mail_from.clone(),
            origins: layer.origins.clone(),
        })?;
        let visits = !layer.offline && !layer.dns_only;
        let network = SettingsLayer {
            helo: Vec::new(),
            mail_from: Vec::new(),
            source_ip: Vec::new(),
            proxy: Vec::new(),
            egress: Vec::new(),
            dns_only: !layer.offline,
            ..layer
        };
        let egress_count = egresses.len();
        let checks = Some(CheckTarget { egresses, visits });
        Ok(Settings { egress_count, checks, ..Settings::new(network)? })
    }

    /// Settings for a scripted world, with nothing else set: for demos and tests.
    pub fn in_world(file: impl Into<PathBuf>) -> Result<Settings, Error> {
        Settings::new(SettingsLayer { world: Some(file.into()), ..SettingsLayer::default() })
    }

    /// The network that is probed is a scripted world.
    pub(crate) fn is_in_world(&self) -> bool {
        let (RunDepth::Dns(target) | RunDepth::Probe(target)) = &self.depth else { return false };
        matches!(target, NetworkTarget::World { .. })
    }

    /// The policy, with the user's files where there are any.
    pub(crate) fn policy(&self) -> Result<Policy, Error> {
        Ok(Policy::of(self.policy.as_deref())?)
    }
}

impl Settings {
    /// The file of the state; `None` where no state is kept.
    pub(crate) fn state_file(&self, namespace: &Namespace) -> Result<Option<PathBuf>, Error> {
        Ok(match &self.state.location {
            StateLocation::Nowhere => None,
            StateLocation::Usual => Some(default_file(namespace)?),
            StateLocation::In(file) => Some(file.clone()),
        })
    }

    /// The file of the state and the files that `SQLite` and the lock place beside it; none where no state is kept.
    pub fn state_files(&self) -> Result<Vec<PathBuf>, Error> {
        let (RunDepth::Dns(target) | RunDepth::Probe(target)) = &self.depth else {
            return Ok(Vec::new());
        };
        let files = |file: PathBuf| {
            ["", ".lock", "-wal", "-shm", "-journal"].map(|ending| {
                let mut name = file.clone().into_os_string();
                name.push(ending);
                PathBuf::from(name)
            })
        };
        Ok(self.state_file(&target.namespace()?)?.map(files).into_iter().flatten().collect())
    }

    /// Opens the state for a run on this network. Fails where another run has locked it.
    pub(crate) fn open_state(&self, target: &NetworkTarget, now: SystemTime) -> Result<State, Error> {
        let namespace = target.namespace()?;
        Ok(match self.state_file(&namespace)? {
            None => State::temporary()?,
            Some(file) => State::open(&file, &namespace, now)?,
        })
    }
}

impl NetworkTarget {
    /// The namespace of facts about this network: facts about one network are never used for another.
    pub(crate) fn namespace(&self) -> Result<Namespace, Error> {
        Ok(match self {
            NetworkTarget::World { file, .. } => {
                let text = std::fs::read_to_string(file)
                    .map_err(|source| WorldError::Unreadable { path: file.display().to_string(), source })?;
                Namespace(format!("the world {:016x}", NameHash::of(&text)))
            }
            NetworkTarget::Internet { dns, smtp_port: SMTP_PORT, .. } if dns.is_empty() => {
                Namespace::internet()
            }
            NetworkTarget::Internet { dns, smtp_port, .. } => {
                let mut servers: Vec<String> = dns.iter().map(ToString::to_string).collect();
                servers.sort_unstable();
                let servers = if servers.is_empty() { "the system's".to_owned() } else { servers.join(", ") };
                Namespace(format!("name servers {servers}, mail servers at port {smtp_port}"))
            }
        })
    }
}

fn name_server(text: &str, origin: &Origin) -> Result<SocketAddr, Error> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
    bare.or_else(|_| text.parse()).map_err(|_| {
        let hint = "a name server is an address, with a port or without: `192.0.2.53`, `192.0.2.53:5353`";
        origin.fault("dns", text, "is not an address", hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> SettingsLayer {
        SettingsLayer {
            helo: vec!["probe.example.org".to_owned()],
            mail_from: vec!["check@example.org".to_owned()],
            ..SettingsLayer::default()
        }
    }

    fn fault_of(layer: SettingsLayer) -> String {
        Settings::new(layer).unwrap_err().to_string()
    }

    #[test]
    fn a_helo_name_and_a_sender_are_needed_to_probe() {
        assert!(fault_of(SettingsLayer::default()).starts_with("`--helo` and `--mail-from` are missing"));
        assert!(fault_of(SettingsLayer { helo: Vec::new(), ..layer() }).starts_with("`--helo` is missing"));
        assert!(Settings::new(SettingsLayer { offline: true, ..SettingsLayer::default() }).is_ok());
        assert!(Settings::new(SettingsLayer { dns_only: true, ..SettingsLayer::default() }).is_ok());
    }

    #[test]
    fn names_and_senders_that_servers_reject_are_errors() {
        for name in ["localhost", "mail", "x.localdomain", "[192.0.2.1]", "a b"] {
            let fault = fault_of(SettingsLayer { helo: vec![name.to_owned()], ..layer() });
            assert!(fault.contains("--helo"), "{name}");
        }
        for sender in ["", "<>", "nobody", "jürgen@example.org", "x@[192.0.2.1]"] {
            let fault = fault_of(SettingsLayer { mail_from: vec![sender.to_owned()], ..layer() });
            assert!(fault.contains("--mail-from"), "{sender}");
        }
    }

    #[test]
    fn a_name_server_may_have_a_port() {
        assert_eq!(name_server("192.0.2.53", &Origin::Flag).unwrap().port(), 53);
        assert_eq!(name_server("[2001:db8::1]:5353", &Origin::Flag).unwrap().port(), 5353);
        assert!(name_server("dns.example", &Origin::Flag).is_err());
    }

    #[test]
    fn settings_are_shown_without_the_credentials_of_a_proxy() {
        let proxy = vec!["socks5://me:secret@192.0.2.1:1080".to_owned().into()];
        let shown = format!("{:?}", Settings::new(SettingsLayer { proxy, ..layer() }).unwrap());
        assert!(shown.contains("192.0.2.1:1080") && !shown.contains("secret"), "{shown}");
    }
}
