//! Hostile mail servers and name servers on real sockets, with bytes that no scripted world sends. The run ends soon, its
//! memory stays small, no address is reported undeliverable because of them, and no harmful byte reaches terminal, CSV or
//! JSON.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test has sockets, files and a process of its own, and stops at what fails"
)]

mod support;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::{Folder, ResultRow, SENDER, watch};

/// The stage at which a server is hostile: its greeting, or its reply to a command.
const STAGES: [&str; 5] = ["CONNECT", "EHLO", "MAIL", "RCPT", "RSET"];

/// What a server does at that stage.
#[derive(Clone, Copy)]
enum Behavior {
    /// Sends this.
    Say(&'static [u8]),
    /// Sends this and closes.
    Leave(&'static [u8]),
    /// Sends this repeatedly until the client closes.
    SayForEver(&'static [u8]),
    /// Sends this repeatedly, ten megabytes, then continues.
    SayTenMegabytes(&'static [u8]),
    /// Closes with bytes unread, which resets the connection.
    Reset,
}

use Behavior::{Leave, Reset, Say, SayForEver, SayTenMegabytes};

const BEHAVIORS: [(&str, Behavior); 15] = [
    (
        "endless-line",
        SayForEver(b"220 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ),
    ("endless-reply", SayForEver(b"250-a\r\n")),
    ("endless-replies", SayForEver(b"250 a\r\n")),
    ("endless-zeros", SayForEver(&[0; 512])),
    ("ten-megabytes", SayTenMegabytes(b"250-an extension that nobody has ever heard of\r\n")),
    ("reset", Reset),
    ("two-at-once", Say(b"250 one\r\n550 5.1.1 User unknown\r\n")),
    ("mixed", Say(b"250-fine\r\n550 5.1.1 User unknown\r\n")),
    ("busy", Say(b"421 4.3.2 Shutting down\r\n")),
    ("garbage", Say(b"\x16\x03\x01\x02\x00\xff\xfe\r\n")),
    ("backwards", Say(b"\r\n055 1.1.5 nwonknu resU\r\n")),
    ("bare-cr", Leave(b"550 5.1.1 User unknown\r250 ok\r")),
    ("half", Leave(b"550-5.1.1 User unkn")),
    ("signed", Say(b"+550 5.1.1 User unknown\r\n")),
    ("wide", Say("５５０ 5.1.1 User unknown\r\n".as_bytes())),
];

/// Hosts with other behavior than those of [`BEHAVIORS`] at each stage.
const OTHER_HOSTS: [&str; 4] = ["injecting", "no-tls", "loud", "gentle"];

/// The reply of the host `loud`: escapes, a title, direction marks, a formula, markup, a quote.
const LOUD: &str = "550 5.1.1 \x1b[2J\x1b]0;owned\x07\u{202e}\u{200b}=HYPERLINK(\"http://x.example\")<script>alert(1)</script>\t,;\"' User unknown\r\n";

/// Serves one session. `None` if the client is gone or the host has closed.
fn converse(stream: &TcpStream, name: &str) -> Option<()> {
    let behavior = BEHAVIORS
        .iter()
        .find(|(behavior, _)| name.strip_prefix(behavior).is_some_and(|rest| rest.starts_with('.')));
    let hostile_at = name.rsplit('.').next().unwrap_or_default();
    let mut lines = BufReader::new(stream).lines();
    let mut out = stream;
    let mut say = |bytes: &[u8]| out.write_all(bytes).ok();
    let act = |stage: &str| -> Option<bool> {
        let Some((_, behavior)) = behavior.filter(|_| hostile_at.eq_ignore_ascii_case(stage)) else {
            return Some(false);
        };
        match *behavior {
            Say(bytes) => (&*stream).write_all(bytes).ok()?,
            SayForEver(bytes) => loop {
                (&*stream).write_all(bytes).ok()?;
            },
            SayTenMegabytes(bytes) => {
                for _ in 0..10_000_000 / bytes.len() {
                    (&*stream).write_all(bytes).ok()?;
                }
                (&*stream).write_all(b"250 at last\r\n").ok()?;
            }
            Leave(bytes) => return (&*stream).write_all(bytes).ok().and(None),
            Reset => return None,
        }
        Some(true)
    };
    if !act("CONNECT")? {
        say(if name == "loud" {
            LOUD[..].replacen("550 5.1.1", "220", 1).into_bytes()
        } else {
            b"220 mx\r\n".to_vec()
        }
        .as_slice())?;
    }
    let mut secure = name != "injecting" && name != "no-tls";
    while let Some(Ok(line)) = lines.next() {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        if act(&verb)? {
            continue;
        }
        let known = line.contains("jane@") || line.contains("joe@");
        match verb.as_str() {
            "EHLO" => say(b"250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n")?,
            "STAR" if name == "injecting" => {
                // Sends, in clear text before the handshake, replies to the commands that follow it.
                say(b"220 go ahead\r\n250 mx\r\n250 ok\r\n550 5.1.1 User unknown\r\n")?;
                secure = true;
            }
            "STAR" => {
                say(b"220 go ahead\r\n")?;
                say(&[0x15; 4000])?;
                return None;
            }
            "MAIL" if !secure => say(b"530 5.7.0 Must issue a STARTTLS command first\r\n")?,
            "RCPT" if name == "loud" => say(LOUD.as_bytes())?,
            "RCPT" if !known => say(b"550 5.1.1 User unknown\r\n")?,
            "QUIT" => return say(b"221 bye\r\n"),
            _ => say(b"250 ok\r\n")?,
        }
    }
    None
}

/// The names of all hosts; the place in this list gives the last number of the address.
fn hosts() -> Vec<String> {
    let at_each = |(behavior, _): &(&str, Behavior)| {
        STAGES.map(|stage| format!("{behavior}.{}", stage.to_ascii_lowercase()))
    };
    BEHAVIORS.iter().flat_map(at_each).chain(OTHER_HOSTS.map(str::to_owned)).collect()
}

/// How often the address of the host `gentle` was looked up.
static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// Domains with hostile DNS answers.
const ODD_DOMAINS: [&str; 4] = ["crowd", "loop", "odd", "gap"];

/// The answer of a name server to a query.
fn answer(question: &[u8], hosts: &[String], over_tcp: bool) -> Vec<u8> {
    let mut labels: Vec<Vec<u8>> = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(question[at + 1..end].to_ascii_lowercase());
        at = end;
    }
    let (kind, section) = (question[at + 2], &question[12..at + 5]);
    let name: Vec<String> = labels.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
    let is_host = name.first().is_some_and(|first| first.starts_with("mx"));
    let host = name[usize::from(is_host)..name.len().max(1) - 1].join(".");
    let place = hosts.iter().position(|other| *other == host);
    if kind == 1 && is_host && host == "gentle" {
        LOOKUPS.fetch_add(1, Ordering::Relaxed);
    }
    let mut records = Vec::new();
    let mut record = |kind: u8, data: &[u8]| {
        records.push(
            [
                &[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60],
                &u16::try_from(data.len()).unwrap().to_be_bytes()[..],
                data,
            ]
            .concat(),
        );
    };
    let mx = |label: &[u8]| [&[0, 10, u8::try_from(label.len()).unwrap()], label, &[0xc0, 12]].concat();
    let exists = name.last().is_some_and(|last| last == "example")
        && (place.is_some()
            || ODD_DOMAINS.iter().any(|odd| host == *odd || host.ends_with(&format!(".{odd}"))));
    match (kind, host.as_str()) {
        _ if !exists => {}
        (1, _) if is_host || host.contains('.') => {
            record(1, &Ipv4Addr::new(127, 0, 77, number(place.unwrap_or(hosts.len() - 1))).octets());
        }
        (15, "crowd") => (0..2500).for_each(|n| record(15, &mx(format!("mx{n}").as_bytes()))),
        // Two aliases of each other.
        (_, "loop" | "again.loop") => record(5, &[&[5][..], b"again", &[0xc0, 12]].concat()),
        (15, "odd") => record(15, &mx(b"mx\x1b[2J\x00=cmd\xff")),
        (15, "gap") => record(15, &mx(b"mx x")),
        (15, _) => record(15, &mx(b"mx")),
        _ => {}
    }
    let fits = over_tcp || records.iter().map(Vec::len).sum::<usize>() < 1000;
    let count = if fits { records.len() } else { 0 };
    let mut packet = question[..2].to_vec();
    packet.extend([if fits { 0x84 } else { 0x86 }, if exists { 0x80 } else { 0x83 }, 0, 1]);
    packet.extend(u16::try_from(count).unwrap().to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(section);
    packet.extend(records.iter().take(count).flatten());
    packet
}

fn number(place: usize) -> u8 {
    u8::try_from(place + 1).unwrap()
}

/// Starts name server and mail hosts on free ports. Returns the DNS port and the SMTP port.
fn serve(hosts: &[String]) -> (u16, u16) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.77.253:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let dns_port = udp.local_addr().unwrap().port();
    let names = hosts.to_vec();
    thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((length, client)) = udp.recv_from(&mut question) {
            udp.send_to(&answer(&question[..length], &names, false), client).unwrap();
        }
    });
    let names = hosts.to_vec();
    thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let names = names.clone();
            thread::spawn(move || {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut question = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut question).unwrap();
                    let packet = answer(&question, &names, true);
                    stream.write_all(&u16::try_from(packet.len()).unwrap().to_be_bytes()).unwrap();
                    stream.write_all(&packet).unwrap();
                }
            });
        }
    });
    let first = TcpListener::bind("127.0.77.1:0").unwrap();
    let smtp_port = first.local_addr().unwrap().port();
    let mut first = Some(first);
    for (place, name) in hosts.iter().cloned().enumerate() {
        let address = (Ipv4Addr::new(127, 0, 77, number(place)), smtp_port);
        let listener = first.take().unwrap_or_else(|| TcpListener::bind(address).unwrap());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let name = name.clone();
                thread::spawn(move || converse(&stream, &name));
            }
        });
    }
    (dns_port, smtp_port)
}

#[test]
fn whatever_bytes_come_a_run_ends_soon_with_little_memory_and_no_false_verdict() {
    let hosts = hosts();
    let (dns_port, smtp_port) = serve(&hosts);
    let mut rows = "email\n".to_owned();
    for domain in hosts.iter().map(String::as_str).chain(ODD_DOMAINS) {
        writeln!(rows, "jane@{domain}.example\njoe@{domain}.example").unwrap();
    }
    let folder = Folder::with_file("list.csv", &rows);
    let (dns, smtp_port) = (format!("127.0.77.253:{dns_port}"), smtp_port.to_string());
    let verify = ["verify", "list.csv", "-o", "out", "--no-state", "--pace", "fast", "--max-wait", "0s"];
    let network =
        ["--columns", "full", "--allow-mx-net", "127.0.77.0/24", "--dns", &dns, "--smtp-port", &smtp_port];
    let mut command = folder.listproof(&[&verify[..], &SENDER, &network].concat());
    let (ran, peak_kib) = watch(&mut command, Duration::from_secs(120));
    ran.exits(0);
    let printed = ran.stdout() + &ran.stderr();
    assert!(peak_kib < 200 * 1024, "{peak_kib} KiB");
    must_be_harmless("the terminal", &printed);
    assert_eq!(LOOKUPS.load(Ordering::Relaxed), 1, "a name is resolved once");

    let mut files = 0;
    for file in folder.path("out").read_dir().unwrap() {
        let path = file.unwrap().path();
        must_be_harmless(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap());
        files += 1;
    }
    assert!(files > 5, "{files} files");
    check_rows(&folder.results("out/list.results.csv"), &hosts);
}

fn must_be_harmless(place: &str, text: &str) {
    let bad = |c: char| (c.is_control() && c != '\n' && c != '\r') || matches!(c, '\u{202e}' | '\u{200b}');
    assert!(!text.contains(bad), "{place} holds a control: {text:?}");
    let is_page = text.starts_with("<!doctype html>");
    if is_page {
        // CSS has lines that begin with @.
        assert!(!text.to_lowercase().contains("<script"), "{place} holds a script");
        return;
    }
    let cells = text.split(['\n', ',']).map(|cell| cell.trim_start_matches('"'));
    assert!(!cells.into_iter().any(|cell| cell.starts_with(['=', '@'])), "{place} holds a formula");
}

fn check_rows(rows: &[ResultRow], hosts: &[String]) {
    let mut wrong = String::new();
    for row in rows {
        let [email, reason, verdict] = ["email", "reason", "verdict"].map(|name| row.cell(name));
        let domain = email.split_once('@').unwrap().1.strip_suffix(".example").unwrap();
        let is_right = match domain {
            "gentle" | "crowd" => reason == "accepted",
            // In the middle of a batch: the second reply looks like the reply to the next command.
            "two-at-once.mail" => true,
            // A clear rejection, whatever else is in it.
            "loud" => reason == "mailbox_unknown",
            _ => verdict != "undeliverable",
        };
        if !is_right {
            let (rule, text) = (row.cell("rule"), row.cell("smtp_text"));
            writeln!(wrong, "{email}: {reason} by {rule} ({text})").unwrap();
        }
    }
    assert_eq!(rows.len(), 2 * (hosts.len() + ODD_DOMAINS.len()));
    assert!(wrong.is_empty(), "{wrong}");
}
