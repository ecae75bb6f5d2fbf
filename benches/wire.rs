//! Sockets: what the program makes of a machine, against the barest loops that do the same.
//!
//! `cargo bench --bench wire`. Each measured thing is a process of its own, and so is the responder, which answers
//! every command at once or after a delay. Medians of five
//! runs in turn. CPU is that of the measured process alone.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark owns its sockets, tells its figures, counts below 2^52 and stops at what fails"
)]

mod cpu;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use listproof::address::{Address, Domain};
use listproof::policy::Policy;
use listproof::policy::replies::{Context, RecentReplies};
use listproof::route::cache::Cached;
use listproof::route::hickory::{NameServers, Patience};
use listproof::route::public::Allowed;
use listproof::smtp::Stage;
use listproof::smtp::egress::Path;
use listproof::smtp::hold::{Call, Limits, hold};
use listproof::smtp::session::{Answer, Ask, AskId, Event, Flight, Manner, Order, Tls, Transaction};
use listproof::smtp::wire::Internet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

const ROUNDS: usize = 5;
/// Sockets of the runs without delay.
const SOCKETS: usize = 64;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let load = |words: &[&str]| Load {
        to: SocketAddr::from((Ipv4Addr::LOCALHOST, words[0].parse().unwrap())),
        sockets: words[1].parse().unwrap(),
        each: words[2].parse().unwrap(),
        connections: words[3].parse().unwrap(),
    };
    match words[..] {
        ["respond", delay_ms] => runtime.block_on(respond(Duration::from_millis(delay_ms.parse().unwrap()))),
        ["bare", ..] => runtime.block_on(load(&words[1..]).run(bare)),
        ["sessions", ..] => runtime.block_on(load(&words[1..]).run(session)),
        ["open", port, count] => runtime.block_on(open(port.parse().unwrap(), count.parse().unwrap())),
        ["bare_names", port, count] => bare_names(port.parse().unwrap(), count.parse().unwrap()),
        ["names", port, count] => runtime.block_on(names(port.parse().unwrap(), count.parse().unwrap())),
        _ => compare(),
    }
}

fn compare() {
    println!(
        "probes/s, medians of {ROUNDS}                     bare   program  ratio   us/probe of each   goal"
    );
    let now = Responder::start(0);
    for (name, each, connections, goal) in
        [("50 to a connection, in one flight", 50, 20_000, 0.80), ("one to a connection", 1, 40_000, 0.85)]
    {
        let [bare, program] = now.race(["bare", "sessions"], SOCKETS, each, connections);
        let probes = (each * connections) as f64;
        println!(
            "{name:<40} {:>9.0} {:>9.0} {:>6.2} {:>9.2} {:>9.2}   {goal}",
            probes / bare.wall,
            probes / program.wall,
            bare.wall / program.wall,
            bare.cpu / probes * 1e6,
            program.cpu / probes * 1e6
        );
    }
    let far = Responder::start(100);
    let (rounds, flights) = (5, 4.0);
    let [program] = far.race(["sessions"], 1000, 1, 1000 * rounds);
    let bound = rounds as f64 * flights * 0.1;
    println!("1,000 sockets, 100 ms: wall / latency bound  {:.3}   (goal 1.10)", program.wall / bound);
    println!(
        "resident bytes per open connection           {}   (goal 8192)",
        told(&["open", &now.smtp, "9000"]).trim()
    );
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let questions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&questions);
    std::thread::spawn(move || respond_to_names(&socket, &counted));
    let domains = 20_000;
    let count = domains.to_string();
    let [bare, program] = race(&[vec!["bare_names", &port, &count], vec!["names", &port, &count]])[..] else {
        unreachable!("one time each")
    };
    // Each round of the bare loop asks once; what is left was asked by the program.
    let asked = questions.load(Ordering::Relaxed) as f64 / (ROUNDS * domains) as f64 - 1.0;
    let speed = |took: Took| 2.0 * domains as f64 / took.wall;
    println!("DNS answers/s: bare {:.0}, program {:.0} (goal 10000)", speed(bare), speed(program));
    println!("MX questions per domain                      {asked:.3}   (goal 1.02)");
    for sockets in [1024, 20_000] {
        single_rows(&now, &port, sockets);
    }
}

/// A list of nothing but domains with one row and a host of their own, by the whole program, with so many open files.
fn single_rows(responder: &Responder, dns_port: &str, open_files: u32) {
    const ROWS: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for row in 0..ROWS {
        writeln!(list, "live@d{row}.example").unwrap();
    }
    std::fs::write(folder.path().join("list.txt"), list).unwrap();
    let limited = format!("ulimit -n {open_files}; exec \"$@\"");
    let begun = cpu::of_ended_children_s();
    let output = Command::new("sh")
        .args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_listproof"), "verify", "list.txt", "-o", "out"])
        .args(["--pace=fast", "--no-state", "--max-wait=0s", "--allow-mx-net=127.0.0.0/8"])
        .args(["--helo=probe.example.org", "--mail-from=list-check@example.org"])
        .args([&format!("--dns=127.0.0.1:{dns_port}"), "--smtp-port", &responder.smtp])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cpu = cpu::of_ended_children_s() - begun;
    let begun = cpu::of_ended_children_s();
    told(&["bare", &responder.smtp, &SOCKETS.to_string(), "2", &ROWS.to_string()]);
    let bare = cpu::of_ended_children_s() - begun;
    let summary = std::fs::read_to_string(folder.path().join("out/list.summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let decided = summary["verdicts"]["deliverable"].as_u64().unwrap();
    println!(
        "{ROWS} single rows, {open_files} open files: {} not decided (goal 0), {:.0} us CPU a row, {:.2} of bare \
         connections (goal 1.5)",
        ROWS as u64 - decided,
        cpu / ROWS as f64 * 1e6,
        cpu / bare
    );
}

/// What one run took.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    cpu: f64,
}

/// Runs these in turn, [`ROUNDS`] times, and takes medians.
fn race(programs: &[Vec<&str>]) -> Vec<Took> {
    let mut runs = vec![Vec::new(); programs.len()];
    for _ in 0..ROUNDS {
        for (program, runs) in programs.iter().zip(&mut runs) {
            let (begun, cpu) = (Instant::now(), cpu::of_ended_children_s());
            told(program);
            let cpu = cpu::of_ended_children_s() - cpu;
            runs.push(Took { wall: begun.elapsed().as_secs_f64(), cpu });
        }
    }
    runs.into_iter()
        .map(|mut runs| {
            let mut median = |of: fn(&Took) -> f64| {
                runs.sort_by(|a, b| of(a).total_cmp(&of(b)));
                of(&runs[ROUNDS / 2])
            };
            Took { wall: median(|took| took.wall), cpu: median(|took| took.cpu) }
        })
        .collect()
}

/// Runs this program again, in another part, and returns what it prints.
fn told(part: &[&str]) -> String {
    let output = Command::new(std::env::current_exe().unwrap()).args(part).output().unwrap();
    assert!(output.status.success(), "{part:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The other side, a process of its own.
struct Responder {
    child: Child,
    smtp: String,
}

impl Responder {
    fn start(delay_ms: u64) -> Responder {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["respond", &delay_ms.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Responder { child, smtp: line.trim().to_owned() }
    }

    fn race<const N: usize>(
        &self,
        parts: [&str; N],
        sockets: usize,
        each: usize,
        connections: usize,
    ) -> [Took; N] {
        let numbers = [sockets, each, connections].map(|number| number.to_string());
        let programs = parts.map(|part| vec![part, &*self.smtp, &*numbers[0], &*numbers[1], &*numbers[2]]);
        race(&programs).try_into().unwrap_or_else(|_| unreachable!("one time each"))
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers each read with one reply per line in it.
async fn respond(delay: Duration) {
    rlimit::increase_nofile_limit(20_000).unwrap();
    // A thousand clients come at once, and one that falls out of the queue waits for a greeting for ever.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let smtp = socket.listen(4096).unwrap();
    println!("{}", smtp.local_addr().unwrap().port());
    loop {
        let Ok((mut stream, _)) = smtp.accept().await else { continue };
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            pause(delay).await;
            let mut gone = stream.write_all(b"220 mx.example ESMTP\r\n").await.is_err();
            let (mut heard, mut said) = (vec![0; 16 * 1024], Vec::new());
            while !gone {
                let Ok(count @ 1..) = stream.read(&mut heard).await else { return };
                pause(delay).await;
                said.clear();
                for line in
                    heard[..count].split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"))
                {
                    said.extend_from_slice(match line[0] {
                        b'E' => b"250-mx.example\r\n250 PIPELINING\r\n",
                        b'Q' => b"221 2.0.0 bye\r\n",
                        b'R' if line.starts_with(b"RCPT") && !line.starts_with(b"RCPT TO:<live") => {
                            b"550 5.1.1 no such user here\r\n"
                        }
                        _ => b"250 2.1.5 ok\r\n",
                    });
                }
                gone = stream.write_all(&said).await.is_err();
            }
        });
    }
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// MX: `mx.` before the name itself, and counted. A: loopback. Else: no data.
fn respond_to_names(socket: &UdpSocket, mx_questions: &AtomicU64) {
    let mut packet = [0; 1500];
    loop {
        let Ok((count, client)) = socket.recv_from(&mut packet) else { continue };
        let question = 12 + packet[12..count].iter().position(|&byte| byte == 0).unwrap() + 5;
        mx_questions.fetch_add(u64::from(packet[question - 3] == 15), Ordering::Relaxed);
        let answer: &[u8] = match packet[question - 3] {
            15 => b"\xc0\x0c\0\x0f\0\x01\0\0\x0e\x10\0\x07\0\x0a\x02mx\xc0\x0c",
            1 => b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x7f\0\0\x01",
            _ => b"",
        };
        let mut reply = packet[..question].to_vec();
        reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(!answer.is_empty()), 0, 0, 0, 0]);
        reply.extend_from_slice(answer);
        let _ = socket.send_to(&reply, client);
    }
}

/// How much is asked, and over how many sockets at once.
struct Load {
    to: SocketAddr,
    sockets: usize,
    each: usize,
    connections: usize,
}

impl Load {
    async fn run<F: Future<Output = usize> + 'static>(
        self,
        connection: impl Fn(SocketAddr, usize) -> F + Copy + 'static,
    ) {
        rlimit::increase_nofile_limit(20_000).unwrap();
        let left = Arc::new(AtomicU64::new(self.connections as u64));
        let tasks = LocalSet::new();
        for _ in 0..self.sockets {
            let left = Arc::clone(&left);
            tasks.spawn_local(async move {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    assert_eq!(connection(self.to, self.each).await, self.each, "every question is answered");
                }
            });
        }
        tasks.await;
    }
}

/// Nothing but the bytes.
async fn bare(to: SocketAddr, each: usize) -> usize {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 16 * 1024];
    lines(&mut stream, &mut buffer, 1).await;
    stream.write_all(b"EHLO probe.example.org\r\n").await.unwrap();
    lines(&mut stream, &mut buffer, 2).await;
    let mut flight = "MAIL FROM:<list-check@example.org>\r\n".to_owned();
    for place in 0..each {
        write!(flight, "RCPT TO:<no.user{place}@d1.example>\r\n").unwrap();
    }
    stream.write_all(flight.as_bytes()).await.unwrap();
    let answers = lines(&mut stream, &mut buffer, each + 1).await - 1;
    stream.write_all(b"QUIT\r\n").await.unwrap();
    lines(&mut stream, &mut buffer, 1).await;
    answers
}

async fn lines(stream: &mut TcpStream, buffer: &mut [u8], wanted: usize) -> usize {
    let mut seen = 0;
    while seen < wanted {
        let count = stream.read(buffer).await.unwrap();
        assert!(count > 0, "the responder hung up");
        seen += memchr::memchr_iter(b'\n', &buffer[..count]).count();
    }
    seen
}

/// What a run has long before it opens a session: names and addresses are read once, not for each question.
struct Prepared {
    host: Domain,
    manner: Manner,
    addresses: Vec<Address>,
}

impl Prepared {
    fn call(&self, to: SocketAddr) -> Call<'_> {
        let (path, limits) = (&Path::Direct(None), Limits::default());
        Call { host: &self.host, to, path, manner: self.manner.clone(), limits }
    }
}

static PREPARED: LazyLock<Prepared> = LazyLock::new(|| Prepared {
    host: Domain::parse("mx.example").unwrap(),
    manner: Manner {
        helo: Domain::parse("probe.example.org").unwrap(),
        sender: Address::parse("list-check@example.org").unwrap(),
        tls: Tls::No,
    },
    addresses: (0..50).map(|place| Address::parse(&format!("no.user{place}@d1.example")).unwrap()).collect(),
});

thread_local! {
    static RECENT: RefCell<RecentReplies> = RefCell::new(RecentReplies::of(Policy::built_in()));
}

/// The program's session, and what each reply means.
async fn session(to: SocketAddr, each: usize) -> usize {
    let (orders, taken) = mpsc::channel(1);
    let addresses = PREPARED.addresses.iter().take(each).cloned();
    let recipients = (0..).zip(addresses).map(|(id, address)| Ask { id: AskId(id), address }).collect();
    orders
        .try_send(Order::Fly(Flight { transactions: vec![Transaction { recipients }], is_last: false }))
        .unwrap();
    let mut orders = Some(orders);
    let mut answers = 0;
    let context = Context { stage: Stage::Rcpt, provider: None };
    let tell = |event| match event {
        Event::Answered(_, Answer::Rcpt(reply)) => {
            RECENT.with_borrow_mut(|recent| std::hint::black_box(recent.read(&reply, &context)));
            answers += 1;
        }
        Event::Landed => drop(orders.take()),
        _ => {}
    };
    hold(&Internet, PREPARED.call(to), taken, tell, None).await;
    answers
}

/// Opens so many sessions and tells what each holds of memory, in bytes.
async fn open(port: u16, count: usize) {
    rlimit::increase_nofile_limit(20_000).unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (ready, mut all_ready) = mpsc::unbounded_channel();
    let tasks = LocalSet::new();
    let before = resident_bytes();
    let mut kept = Vec::with_capacity(count);
    for _ in 0..count {
        let (orders, taken) = mpsc::channel(1);
        kept.push(orders);
        let ready = ready.clone();
        tasks.spawn_local(async move {
            let tell = |event| {
                if matches!(event, Event::Ready(_)) {
                    let _ = ready.send(());
                }
            };
            hold(&Internet, PREPARED.call(to), taken, tell, None).await;
        });
    }
    tasks
        .run_until(async {
            for _ in 0..count {
                all_ready.recv().await.unwrap();
            }
        })
        .await;
    println!("{}", (resident_bytes() - before) / count as u64);
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Asks for MX and address of so many names, 200 questions at once, and looks at nothing but the number of answers.
fn bare_names(port: u16, count: u32) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut buffer = [0; 1500];
    let (mut sent, mut heard) = (0u32, 0u32);
    while heard < count * 2 {
        while sent < count * 2 && sent - heard < 200 {
            let name = format!("d{}", sent / 2);
            let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, u8::try_from(name.len()).unwrap()];
            packet.extend_from_slice(name.as_bytes());
            packet.extend_from_slice(b"\x07example\0\0");
            packet.extend_from_slice(if sent % 2 == 0 { &[15, 0, 1] } else { &[1, 0, 1] });
            socket.send(&packet).unwrap();
            sent += 1;
        }
        socket.recv(&mut buffer).unwrap();
        heard += 1;
    }
}

/// Looks up the routes of so many domains, 256 at once, as a run does.
async fn names(port: u16, count: u32) {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let dns = Arc::new(Cached::new(NameServers::at(&[server], Patience::default()).unwrap()));
    let allowed = Arc::new(Allowed::new(["127.0.0.0/8".parse().unwrap()]));
    let mut lookups = JoinSet::new();
    let mut found = 0;
    for number in 0..count {
        let (dns, allowed) = (dns.clone(), allowed.clone());
        lookups.spawn(async move {
            let domain = Domain::parse(&format!("d{number}.example")).unwrap();
            listproof::route::find(&*dns, &domain, &allowed).await
        });
        if lookups.len() >= 256 {
            found +=
                u32::from(matches!(lookups.join_next().await, Some(Ok(listproof::route::Route::Hosts(_)))));
        }
    }
    while let Some(route) = lookups.join_next().await {
        found += u32::from(matches!(route, Ok(listproof::route::Route::Hosts(_))));
    }
    assert_eq!(found, count, "every domain has a host");
}
