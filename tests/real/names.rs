//! The lab's name service: nsd serves all records as the root zone, and unbound is the resolver.
//!
//! The resolver is a real one, because it caches, follows CNAMEs, gives up on lame servers and answers SERVFAIL after some
//! time, as a user's resolver does.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::namespace::{Client, NAME_SERVERS, SCRATCH};
use crate::servers::Server;

/// The resolver that `/etc/resolv.conf` names.
const RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// How often a query is sent, and how long each waits for its answer: together the longest time that unbound needs to give
/// up on a domain whose name servers are silent. One query is not always enough: an answer that takes unbound longer than its
/// `discard-timeout` (1.9 s) is not sent, but is ready for the next query.
const TRIES: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(5);

/// The delay of the slow name server.
const DELAY: Duration = Duration::from_millis(200);

/// Records for all scenarios: the names of the client, and name servers that serve a delegated domain badly.
fn common_records() -> String {
    let mut zone = format!(
        "$ORIGIN .\n$TTL 300\n\
         @ SOA ns.lab.test. hostmaster.lab.test. 1 3600 600 86400 60\n\
         @ NS ns.lab.test.\n\
         ns.lab.test. A {NAME_SERVERS}.53\n\
         refusing.lab.test. A {NAME_SERVERS}.54\n\
         silent.lab.test. A {NAME_SERVERS}.55\n\
         slow.lab.test. A {NAME_SERVERS}.57\n\
         child.lab.test. A {NAME_SERVERS}.58\n\
         lab.test. MX 10 probe.lab.test.\n\
         lab.test. TXT \"v=spf1 a:probe.lab.test -all\"\n"
    );
    for client in [Client::Named, Client::Listed] {
        zone.push_str(&host("probe.lab.test", client.address()));
    }
    let listed = backwards(Client::Listed.address());
    let _ = writeln!(zone, "{listed}.bl.lab.test. A 127.0.0.2");
    let _ = writeln!(zone, "{listed}.bl.lab.test. TXT \"listed, see https://bl.lab.test/\"");
    zone
}

/// The records of a host: its address, and its name for reverse look-ups.
pub(crate) fn host(name: &str, address: &str) -> String {
    let back = backwards(address);
    format!("{name}. A {address}\n{back}.in-addr.arpa. PTR {name}.\n")
}

/// `11.0.1.2` -> `2.1.0.11`
fn backwards(address: &str) -> String {
    let numbers: Vec<&str> = address.split('.').rev().collect();
    numbers.join(".")
}

/// Starts the name servers with these records and waits until they listen.
pub(crate) fn up(folder: &Path, records: &str) -> Result<Vec<Server>, String> {
    let write = |file: &str, text: String| {
        let file = folder.join(file);
        std::fs::write(&file, text).map_err(|error| format!("can't write `{}`: {error}", file.display()))
    };
    let root = common_records() + records;
    // Records of delegated domains are in the same text; the servers of these domains get it without the delegations.
    let child: String = root.split_inclusive('\n').filter(|line| !is_delegation(line)).collect();
    write("root.zone", root)?;
    write("child.zone", child)?;
    write("refusing.zone", "$ORIGIN nothing.test.\n@ SOA ns. root. 1 1 1 1 1\n@ NS ns.\n".to_owned())?;
    write(
        "wildcard.zone",
        "$ORIGIN .\n@ SOA ns. root. 1 1 1 1 1\n@ NS ns.\n* MX 0 .\n* A 198.51.100.7\n".to_owned(),
    )?;
    let mut servers = Vec::new();
    for (name, address, zone) in [
        ("root", "53", "."),
        ("refusing", "54", "nothing.test."),
        ("wildcard", "56", "."),
        ("child", "58", "."),
    ] {
        write(&format!("{name}.conf"), authority(folder, name, address, zone))?;
        servers.push(Server::start(
            "nsd",
            &["-d", "-c", &format!("{name}.conf")],
            folder,
            &format!("{NAME_SERVERS}.{address}:53"),
        )?);
    }
    slow().map_err(|error| format!("can't start the slow name server: {error}"))?;
    write("unbound.conf", resolver(folder))?;
    servers.push(Server::start("unbound", &["-d", "-c", "unbound.conf"], folder, &RESOLVER.to_string())?);
    for server in &mut servers {
        server.wait_until_listening()?;
    }
    Ok(servers)
}

fn is_delegation(record: &str) -> bool {
    let mut words = record.split_whitespace();
    words.next() != Some("@") && words.next() == Some("NS")
}

/// Forwards queries to the child server, and returns its answers after [`DELAY`].
fn slow() -> io::Result<()> {
    let socket = Arc::new(UdpSocket::bind(format!("{NAME_SERVERS}.57:53"))?);
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            let (socket, question) = (Arc::clone(&socket), question[..length].to_vec());
            thread::spawn(move || -> io::Result<usize> {
                let to_child = UdpSocket::bind(format!("{NAME_SERVERS}.57:0"))?;
                to_child.connect(format!("{NAME_SERVERS}.58:53"))?;
                to_child.send(&question)?;
                let mut answer = [0; 4096];
                let length = to_child.recv(&mut answer)?;
                thread::sleep(DELAY);
                socket.send_to(&answer[..length], client)
            });
        }
    });
    Ok(())
}

fn authority(folder: &Path, name: &str, address: &str, zone: &str) -> String {
    let folder = folder.display();
    format!(
        "server:\n  ip-address: {NAME_SERVERS}.{address}\n  username: \"\"\n  server-count: 1\n  \
         zonesdir: \"{folder}\"\n  database: \"\"\n  pidfile: \"{folder}/{name}.pid\"\n  \
         xfrdfile: \"{folder}/{name}.xfrd\"\n  zonelistfile: \"{folder}/{name}.zones\"\n  \
         xfrdir: \"{folder}\"\n\
         remote-control:\n  control-enable: no\n\
         zone:\n  name: \"{zone}\"\n  zonefile: \"{name}.zone\"\n"
    )
}

/// The configuration of unbound. By default it answers queries for `test` and `invalid` itself; `nodefault` changes that.
fn resolver(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "server:\n  interface: 127.0.0.1\n  access-control: 127.0.0.0/8 allow\n  username: \"\"\n  \
         chroot: \"\"\n  directory: \"{folder}\"\n  pidfile: \"{folder}/unbound.pid\"\n  use-syslog: no\n  \
         module-config: \"iterator\"\n  do-ip6: no\n  num-threads: 1\n  incoming-num-tcp: 100\n  \
         local-zone: \"test.\" nodefault\n  local-zone: \"invalid.\" nodefault\n  \
         local-zone: \"10.in-addr.arpa.\" nodefault\n\
         remote-control:\n  control-enable: no\n\
         stub-zone:\n  name: \".\"\n  stub-addr: {NAME_SERVERS}.53\n"
    )
}

/// The log of the resolver.
pub(crate) fn resolver_log() -> String {
    let log = Path::new(SCRATCH).join(format!("unbound-{RESOLVER}.log"));
    std::fs::read_to_string(log).unwrap_or_default()
}

/// The header bit TC: the answer did not fit into the datagram.
const TRUNCATED: u8 = 2;

/// Queries the MX records of a name. Returns the response code, and after `NOERROR` the number of records.
pub(crate) fn mx(name: &str) -> io::Result<String> {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).map_err(io::Error::other)?);
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 15, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut head = [0; 512];
    // All tries send the same query, so a late answer to an earlier one counts too.
    let mut exchange = || {
        socket.send_to(&question, RESOLVER)?;
        socket.recv(&mut head)
    };
    (0..TRIES).find_map(|_| exchange().ok()).ok_or(io::ErrorKind::TimedOut)?;
    if head[2] & TRUNCATED != 0 {
        let mut stream = TcpStream::connect(RESOLVER)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(&u16::try_from(question.len()).map_err(io::Error::other)?.to_be_bytes())?;
        stream.write_all(&question)?;
        stream.read_exact(&mut head[..2])?;
        stream.read_exact(&mut head[..12])?;
    }
    let answers = u16::from_be_bytes([head[6], head[7]]);
    Ok(match head[3] & 15 {
        0 => format!("NOERROR {answers}"),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        code => format!("RCODE {code}"),
    })
}
