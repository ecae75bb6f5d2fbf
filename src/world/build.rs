//! Builds a world from its file: expands the patterns, gives addresses to the hosts, fills the zone.
//!
//! Decides: which entries contradict each other. Fails: with the name of the file, the line and a hint.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::host::ScriptedHost;
use super::network::{ClientSender, Endpoint, World};
use super::pattern::{NamePattern, fill};
use super::script::{DomainEntry, EgressEntry, HostEntry, Script};
use super::txt::TxtEntry;
use super::zone::{MailRouting, Records, Zone, ZoneEntry, read_mx};
use crate::address::{Address, Domain};
use crate::smtp::sanitize;

/// The first address for hosts without one of their own, in 198.18.0.0/15, the range for benchmarks (RFC 2544).
const FIRST_FREE_ADDRESS: u32 = 0xc612_0001;

/// Why a world cannot be read or served.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The file cannot be read.
    #[error(
        "can't read the world `{path}`: {source}\nhint: a world is a TOML file; `samples/world.toml` is one"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// The error of the system.
        source: io::Error,
    },
    /// An entry of the file is wrong.
    #[error("{path}:{line}: {what}")]
    Wrong {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
        /// How to correct it.
        hint: &'static str,
    },
    /// The address is not on loopback, so that other machines could reach the servers.
    #[error("a world is served on loopback only, not on `{0}`")]
    NotLoopback(SocketAddr),
    /// A server cannot listen on its address.
    #[error("can't listen on `{at}`: {source}")]
    Taken {
        /// The address.
        at: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
}

impl WorldError {
    /// What the user can do.
    pub fn hint(&self) -> String {
        match self {
            WorldError::Unreadable { .. } => "a world is a TOML file; `samples/world.toml` is one".to_owned(),
            WorldError::Wrong { hint, .. } => (*hint).to_owned(),
            WorldError::NotLoopback(_) => "name an address such as `127.0.0.1:5353`".to_owned(),
            WorldError::Taken { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need privileges; take a higher one".to_owned()
                }
                io::ErrorKind::AddrInUse => {
                    "another server has this port; stop it or take another port".to_owned()
                }
                _ => "each address of each host needs a socket: see `ulimit -n`".to_owned(),
            },
        }
    }
}

/// A fault and its byte offset in the file.
struct Fault {
    at: usize,
    what: String,
    hint: &'static str,
}

impl World {
    /// Reads a world file.
    pub fn open(path: &Path) -> Result<World, WorldError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| WorldError::Unreadable { path: path.display().to_string(), source })?;
        read(&text, path)
    }

    /// Reads a world from a text.
    pub fn parse(text: &str) -> Result<World, WorldError> {
        read(text, Path::new("world.toml"))
    }
}

/// Reads a world from a text; `path` is for error messages.
fn read(text: &str, path: &Path) -> Result<World, WorldError> {
    let script: Result<Script, Fault> = toml::from_str(text).map_err(|fault: toml::de::Error| Fault {
        at: fault.span().map_or(0, |span| span.start),
        what: fault.message().replace('\n', " "),
        hint: "the keys of a world file are described in `src/world/script.rs`; `samples/world.toml` shows them",
    });
    script.and_then(build).map_err(|fault| WorldError::Wrong {
        path: path.display().to_string(),
        line: 1 + text[..fault.at.min(text.len())].matches('\n').count(),
        // A name from the file may hold control characters.
        what: sanitize(&fault.what),
        hint: fault.hint,
    })
}

fn build(script: Script) -> Result<World, Fault> {
    let egress = check_egress(&script.egress)?;
    let now = match script.now {
        None => SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600),
        Some(now) => humantime::parse_rfc3339(&now.to_string()).map_err(|_| Fault {
            at: 0,
            what: format!("`now = {now}` is not a time in UTC"),
            hint: "write it as `now = 2026-01-05T09:00:00Z`",
        })?,
    };
    let mut zone = Zone::default();
    for entry in script.domains {
        add_domain(&mut zone, entry)?;
    }
    let mut hosts = Vec::new();
    let mut by_address = HashMap::new();
    for entry in script.hosts {
        for (host, names) in make_hosts(entry, &mut by_address, hosts.len())? {
            for name in names {
                zone.add_addresses(name.as_str(), &host.addresses);
            }
            hosts.push(Arc::new(host));
        }
    }
    zone.add_client(egress.helo.as_str(), egress.ip);
    Ok(World::new(now, script.seed, egress, script.dns_delay, zone, hosts, by_address))
}

fn check_egress(egress: &EgressEntry) -> Result<ClientSender, Fault> {
    let wrong = |what: String| Fault {
        at: 0,
        what,
        hint: "`[egress]` needs a host name as `helo` and an address as `mail_from`",
    };
    Ok(ClientSender {
        helo: Domain::parse(&egress.helo)
            .map_err(|_| wrong(format!("`{}` is not a host name", egress.helo)))?,
        mail_from: Address::parse(&egress.mail_from)
            .map_err(|_| wrong(format!("`{}` is not an address", egress.mail_from)))?,
        ip: egress.ip,
    })
}

fn add_domain(zone: &mut Zone, entry: DomainEntry) -> Result<(), Fault> {
    let at = entry.name.span().start;
    let wrong = |what| Fault { at, what, hint: "see the `[[domain]]` entries of `samples/world.toml`" };
    let mut replies = Vec::new();
    for (names, reply) in entry.answers {
        replies.push((NamePattern::parse(&names).map_err(wrong)?, reply));
    }
    let mail = Arc::new(MailRouting {
        mailboxes: entry.mailboxes,
        replies,
        catch_all: entry.catch_all,
        unknown: entry.unknown,
        greylist: entry.greylist,
    });
    let names = entry.name.into_inner();
    for (n, name) in names.each().map_err(wrong)? {
        let filled = |texts: &[String]| texts.iter().map(|text| fill(text, n)).collect::<Result<Vec<_>, _>>();
        let name = a_label(&name).map_err(wrong)?;
        let address =
            |text: &String| text.parse::<IpAddr>().map_err(|_| format!("`{text}` is not an IP address"));
        let mx =
            |texts: &[String]| filled(texts)?.iter().map(|text| read_mx(text)).collect::<Result<Vec<_>, _>>();
        let addresses = |texts: &[String]| filled(texts)?.iter().map(address).collect::<Result<Vec<_>, _>>();
        let mut records = vec![Records {
            since: Duration::ZERO,
            mx: mx(&entry.mx).map_err(wrong)?,
            addresses: addresses(&entry.address).map_err(wrong)?,
        }];
        for change in &entry.changes {
            let before = &records[records.len() - 1];
            if change.since <= before.since {
                return Err(wrong("each `change` must have a later `since` than the one before".to_owned()));
            }
            let mx = change.mx.as_deref().map_or_else(|| Ok(before.mx.clone()), mx);
            let addresses = change.address.as_deref().map_or_else(|| Ok(before.addresses.clone()), addresses);
            records.push(Records {
                since: change.since,
                mx: mx.map_err(wrong)?,
                addresses: addresses.map_err(wrong)?,
            });
        }
        let cname = entry.cname.as_deref().map(|target| fill(target, n).and_then(|target| a_label(&target)));
        let record = ZoneEntry {
            records,
            ttl: entry.ttl,
            cname: cname.transpose().map_err(wrong)?,
            txt: entry.txt.iter().map(TxtEntry::strings).collect(),
            ptr: filled(&entry.ptr).map_err(wrong)?,
            fault: entry.fault.map(|fault| (fault, entry.fault_on)),
            delay: entry.delay,
            mail: Some(Arc::clone(&mail)),
        };
        if !zone.add(&name, record) {
            return Err(Fault {
                at,
                what: format!("two `[[domain]]` entries have the name `{name}`"),
                hint: "put all keys of a name into one `[[domain]]`",
            });
        }
    }
    Ok(())
}

fn make_hosts(
    entry: HostEntry,
    taken: &mut HashMap<IpAddr, Endpoint>,
    first: usize,
) -> Result<Vec<(ScriptedHost, Vec<Domain>)>, Fault> {
    let at = entry.name.span().start;
    let wrong = |what| Fault { at, what, hint: "see the `[[host]]` entries of `samples/world.toml`" };
    let parse =
        |name: String| Domain::parse(&name).map_err(|_| wrong(format!("`{name}` is not a host name")));
    let names = entry.name.get_ref().each().map_err(wrong)?.map(|(_, name)| parse(name));
    let names: Vec<Domain> = names.collect::<Result<_, _>>()?;
    let given: Vec<(usize, IpAddr)> =
        entry.address.iter().map(|address| (address.span().start, *address.get_ref())).collect();
    let behavior = Arc::new(entry);
    let mut hosts = Vec::new();
    // With an address given, all names are one machine.
    let machines: Vec<Vec<Domain>> =
        if given.is_empty() { names.into_iter().map(|name| vec![name]).collect() } else { vec![names] };
    for names in machines {
        let index = first + hosts.len();
        let addresses = if given.is_empty() { vec![(at, next_free(taken))] } else { given.clone() };
        for (at, address) in &addresses {
            let number = u32::try_from(taken.len()).unwrap_or(u32::MAX);
            if taken.insert(*address, Endpoint { host: index, number }).is_some() {
                return Err(Fault {
                    at: *at,
                    what: format!("two hosts have the address {address}"),
                    hint: "an address can belong to only one `[[host]]`",
                });
            }
        }
        let Some(name) = names.first().cloned() else { continue };
        let addresses = addresses.into_iter().map(|(_, address)| address).collect();
        hosts.push((ScriptedHost::new(name, addresses, Arc::clone(&behavior)), names));
    }
    Ok(hosts)
}

fn next_free(taken: &HashMap<IpAddr, Endpoint>) -> IpAddr {
    let mut number = FIRST_FREE_ADDRESS + u32::try_from(taken.len()).unwrap_or(u32::MAX - FIRST_FREE_ADDRESS);
    while taken.contains_key(&IpAddr::from(Ipv4Addr::from(number))) {
        number += 1;
    }
    Ipv4Addr::from(number).into()
}

fn a_label(name: &str) -> Result<String, String> {
    // Names of policy records have underscores, which host names have not.
    let domain = if name.contains('_') { Domain::from_dns(name) } else { Domain::parse(name) };
    match domain {
        Ok(domain) => Ok(domain.as_str().to_owned()),
        Err(_) => Err(format!("`{name}` is not a domain name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        read(text, Path::new("w.toml")).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_their_line() {
        let table = [
            ("[[domain]]\nname = \"a.example\"\nmailbox = []", "w.toml:3: unknown field `mailbox`"),
            (
                "[[domain]]\nname = \"a.example\"\n[[domain]]\nname = \"A.example\"",
                "w.toml:4: two `[[domain]]` entries have the name `a.example`",
            ),
            (
                "[[domain]]\nname = \"a.example\"\nmx = [\"mx.example\"]",
                "w.toml:2: `mx.example` is not an MX record such as `10 mx1.example`",
            ),
            (
                "[[host]]\nname = \"a.example\"\n[[host.rule]]\nat = \"rcpt\"\nsay = \"no\"",
                "w.toml:5: `no` is not a reply such as `550 5.1.1 no such user`",
            ),
            (
                "[[host]]\nname = \"a.example\"\nrtt = \"5 parsecs\"",
                "w.toml:3: `5 parsecs` is not a time such as `500ms` or `5m`",
            ),
            ("\n[[host]]\nname = \"a b.example\"", "w.toml:3: `b.example` is not a share such as `88%`"),
            (
                "[[host]]\nname = \"a.example\"\naddress = [\"192.0.2.1\"]\n[[host]]\nname = \"b.example\"\naddress = [\"192.0.2.1\"]",
                "w.toml:6: two hosts have the address 192.0.2.1",
            ),
        ];
        for (text, expected) in table {
            let error = fault(text);
            assert!(error.starts_with(expected), "{error}\n   is not\n{expected}");
        }
    }

    #[test]
    fn patterns_make_many_domains_on_few_hosts() {
        let text = "[[domain]]\nname = \"d{1..100}.example\"\nmx = [\"10 mx{n%3}.op.example\"]\n[[host]]\nname = \"mx{0..2}.op.example\"";
        let world = read(text, Path::new("w.toml")).unwrap();
        assert_eq!(
            world.shared.zone.mx("d47.example", Duration::ZERO).map(|answer| answer.records),
            Ok(vec![read_mx("10 mx2.op.example").unwrap()])
        );
        assert_eq!(
            world.shared.zone.addresses("mx2.op.example", Duration::ZERO).map(|answer| answer.records),
            Ok(vec!["198.18.0.3".parse().unwrap()])
        );
    }

    #[test]
    fn many_names_with_an_address_are_one_machine() {
        let text = "[[host]]\nname = \"mx{1..3}.example\"\naddress = [\"192.0.2.1\", \"2001:db8::1\"]";
        let world = read(text, Path::new("w.toml")).unwrap();
        assert_eq!(world.hosts().len(), 1);
        for name in ["mx1.example", "mx3.example"] {
            let addresses = world.shared.zone.addresses(name, Duration::ZERO).map(|answer| answer.records);
            assert_eq!(addresses, Ok(vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]));
        }
    }

    #[test]
    fn records_change_at_their_times() {
        let text = "[[domain]]\nname = \"a.example\"\nmx = [\"10 old.example\"]\n\
                    [[domain.change]]\nsince = \"1h\"\nmx = [\"10 new.example\"]\n\
                    [[domain.change]]\nsince = \"2h\"\naddress = [\"192.0.2.1\"]";
        let world = read(text, Path::new("w.toml")).unwrap();
        for (minutes, mx) in
            [(0, "10 old.example"), (59, "10 old.example"), (60, "10 new.example"), (180, "10 new.example")]
        {
            let now = Duration::from_secs(minutes * 60);
            let found = world.shared.zone.mx("a.example", now).map(|answer| answer.records);
            assert_eq!(found, Ok(vec![read_mx(mx).unwrap()]), "{minutes}");
        }
        assert!(world.shared.zone.addresses("a.example", Duration::from_secs(7200)).is_ok());
        let early = text.replace("2h", "30m");
        assert!(fault(&early).starts_with("w.toml:2: each `change` must have a later `since`"));
    }
}
