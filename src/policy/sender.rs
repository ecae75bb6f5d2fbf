//! What the checks of the sender's side go by: how many hosts are tried, how long is waited, which names are generic.
//!
//! Decides: nothing; `data/sender.toml` holds the numbers and their reasons. Fails: with file and line, on a file that is not
//! valid TOML or has an unknown key.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::file::PolicyError;

/// The shipped data.
const BUILT_IN: &str = include_str!("data/sender.toml");

/// All of it, by section of `sender.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderPolicy {
    /// When port 25 is closed.
    pub(crate) port_25: Port25Thresholds,
    #[serde(rename = "time_seconds")]
    times: CheckTimes,
    generic_name: GenericNames,
    /// What the machine needs.
    pub(crate) machine: MachineNeeds,
    preflight: PreflightLifetime,
}

/// `[port_25]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Port25Thresholds {
    /// MX hosts that are tried.
    pub(crate) hosts: usize,
    /// Fewest different hosts of which none can be reached.
    pub(crate) unreachable: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckTimes {
    resolver: u64,
    look_ups: u64,
    connect: u64,
    replies: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GenericNames {
    words: Vec<String>,
}

/// `[machine]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineNeeds {
    /// Open files.
    pub(crate) open_files: u64,
    /// Free space in MiB.
    pub(crate) free_mib: u64,
    clock_seconds: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreflightLifetime {
    minutes: u64,
}

/// A user's file: the sections that it has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnSections {
    port_25: Option<Port25Thresholds>,
    time_seconds: Option<CheckTimes>,
    generic_name: Option<GenericNames>,
    machine: Option<MachineNeeds>,
    preflight: Option<PreflightLifetime>,
}

impl SenderPolicy {
    /// The shipped data.
    pub fn built_in() -> &'static SenderPolicy {
        static SHIPPED: LazyLock<SenderPolicy> = LazyLock::new(|| match toml::from_str(BUILT_IN) {
            Ok(policy) => policy,
            // A test reads the shipped file, so this can't happen in a build that passed it.
            Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
        });
        &SHIPPED
    }

    /// This data with the sections of a user's file; `file` is its name in errors.
    pub fn with(&self, file: &str, text: &str) -> Result<SenderPolicy, PolicyError> {
        let own: OwnSections = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        let shipped = self.clone();
        Ok(SenderPolicy {
            port_25: own.port_25.unwrap_or(shipped.port_25),
            times: own.time_seconds.unwrap_or(shipped.times),
            generic_name: own.generic_name.unwrap_or(shipped.generic_name),
            machine: own.machine.unwrap_or(shipped.machine),
            preflight: own.preflight.unwrap_or(shipped.preflight),
        })
    }

    /// The longest wait for the test of the resolver.
    pub(crate) fn resolver_time(&self) -> Duration {
        Duration::from_secs(self.times.resolver)
    }

    /// The longest wait for the look-ups of a check.
    pub(crate) fn lookup_time(&self) -> Duration {
        Duration::from_secs(self.times.look_ups)
    }

    /// The longest wait for a connection.
    pub(crate) fn connect_time(&self) -> Duration {
        Duration::from_secs(self.times.connect)
    }

    /// The longest wait for a server that was reached.
    pub(crate) fn reply_time(&self) -> Duration {
        Duration::from_secs(self.times.replies)
    }

    /// How wrong a clock may be.
    pub(crate) fn clock_tolerance(&self) -> Duration {
        Duration::from_secs(self.machine.clock_seconds)
    }

    /// How long the results of a preflight count.
    pub(crate) fn preflight_lifetime(&self) -> Duration {
        Duration::from_secs(self.preflight.minutes * 60)
    }

    /// Why the name of a host looks like one that a provider gives to customers: the address in it, or a word.
    pub(crate) fn generic_part(&self, name: &str, ip: IpAddr) -> Option<String> {
        let name = name.to_ascii_lowercase();
        if holds_address(&name, ip) {
            return Some(ip.to_string());
        }
        // The registered domain may be called anything.
        let labels: Vec<&str> = name.split('.').collect();
        let hosts = labels.len().saturating_sub(2);
        let parts = labels[..hosts].iter().flat_map(|label| label.split(|c: char| !c.is_ascii_alphabetic()));
        parts
            .into_iter()
            .find(|part| self.generic_name.words.iter().any(|word| word == part))
            .map(str::to_owned)
    }
}

/// True if a name holds an IPv4 address: its four numbers, or their eight hexadecimal digits, in either order.
fn holds_address(name: &str, ip: IpAddr) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    let octets = ip.octets();
    let numbers: Vec<&str> =
        name.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let has = |wanted: Vec<u8>| {
        let same = |(part, octet): (&&str, &u8)| part.parse::<u16>().is_ok_and(|n| n == u16::from(*octet));
        numbers.windows(4).any(|window| window.iter().zip(&wanted).all(same))
    };
    let [a, b, c, d] = octets;
    let hex = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
    has(octets.to_vec()) || has(vec![d, c, b, a]) || name.contains(&hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_customers_are_generic_and_names_of_mail_servers_are_not() {
        let ip = "203.0.113.25".parse().unwrap();
        let generic = |name: &str| SenderPolicy::built_in().generic_part(name, ip).is_some();
        for name in [
            "203-0-113-25.example.net",
            "25.113.0.203.static.example.net",
            "host-cb007119.example.net",
            "p5dc1a2b3.dip0.t-ipconnect.example",
            "dyn-7.isp.example.net",
            "a.pool.example.net",
            "cpe-1-2.example.net",
        ] {
            assert!(generic(name), "{name}");
        }
        for name in [
            "mail.example.org",
            "mx25.example.org",
            "probe.dyn.example",
            "relay-3.customerservice.example.org",
            "smtp.example.co.uk",
        ] {
            assert!(!generic(name), "{name}");
        }
    }

    #[test]
    fn a_users_file_replaces_sections_and_errors_name_the_line() {
        let own =
            SenderPolicy::built_in().with("own.toml", "[port_25]\nhosts = 2\nunreachable = 1\n").unwrap();
        assert_eq!((own.port_25.hosts, own.port_25.unreachable), (2, 1));
        let fault = SenderPolicy::built_in().with("own.toml", "\n[port_25]\nhost = 2\n").unwrap_err();
        assert!(fault.to_string().starts_with("own.toml:3: "), "{fault}");
    }
}
