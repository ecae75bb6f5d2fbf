//! The program's own parts at the work of the bare loops: its sessions, with each reply classified, and its DNS look-ups.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use listproof::internals::route::{self, AllowedNets, CachedDns, DnsTimeouts, NameServers, Route};
use listproof::internals::smtp::{
    Batch, ClientIdentity, EgressPath, ProbeId, ProbeReply, RcptProbe, SessionCommand, SessionRequest,
    SmtpEvent, SmtpTimeouts, TcpConnector, TlsPolicy, Transaction, drive_session,
};
use listproof::policy::{Policy, ReplyCache, ReplyContext};
use listproof::{Address, Domain, Stage};

/// What a run has before it opens a session: names and addresses are parsed once, not for each probe.
struct Prepared {
    host: Domain,
    identity: ClientIdentity,
    addresses: Vec<Address>,
}

impl Prepared {
    fn call(&self, to: SocketAddr) -> SessionRequest<'_> {
        let (path, timeouts) = (&EgressPath::Direct(None), SmtpTimeouts::default());
        SessionRequest { host: &self.host, to, path, identity: self.identity.clone(), timeouts }
    }
}

static PREPARED: LazyLock<Prepared> = LazyLock::new(|| Prepared {
    host: Domain::parse("mx.example").unwrap(),
    identity: ClientIdentity {
        helo: Domain::parse("probe.example.org").unwrap(),
        sender: Address::parse("list-check@example.org").unwrap(),
        tls: TlsPolicy::No,
        pipelining: true,
    },
    addresses: (0..50).map(|place| Address::parse(&format!("no.user{place}@d1.example")).unwrap()).collect(),
});

thread_local! {
    static RECENT: RefCell<ReplyCache> = RefCell::new(ReplyCache::of(Policy::built_in()));
}

/// One session of the program, with each reply classified. Returns the number of replies to RCPT.
pub(crate) async fn session(to: SocketAddr, each: usize) -> usize {
    let (orders, taken) = mpsc::channel(1);
    let addresses = PREPARED.addresses.iter().take(each).cloned();
    let recipients =
        (0..).zip(addresses).map(|(id, address)| RcptProbe { id: ProbeId(id), address }).collect();
    orders
        .try_send(SessionCommand::Send(Batch {
            transactions: vec![Transaction { recipients }],
            is_last: false,
        }))
        .unwrap();
    let mut orders = Some(orders);
    let mut replies = 0;
    let context = ReplyContext { stage: Stage::Rcpt, provider: None };
    let on_event = |event| match event {
        SmtpEvent::Reply(_, ProbeReply::Rcpt(reply)) => {
            RECENT.with_borrow_mut(|recent| std::hint::black_box(recent.classify(&reply, &context)));
            replies += 1;
        }
        SmtpEvent::BatchDone => drop(orders.take()),
        _ => {}
    };
    drive_session(&TcpConnector, PREPARED.call(to), taken, on_event, None).await;
    replies
}

/// Opens this many sessions and prints the bytes of memory that each one holds.
pub(crate) async fn open(port: u16, count: usize) {
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
            let on_event = |event| {
                if matches!(event, SmtpEvent::Ready(_)) {
                    let _ = ready.send(());
                }
            };
            drive_session(&TcpConnector, PREPARED.call(to), taken, on_event, None).await;
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

/// Looks up the routes of this many domains, 256 concurrently, as a run does.
pub(crate) async fn names(port: u16, count: u32) {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let allowed = AllowedNets::new(["127.0.0.0/8".parse().unwrap()]);
    let servers = NameServers::at(&[server], DnsTimeouts::default()).unwrap().ipv4_first(allowed.clone());
    let (dns, allowed) = (Arc::new(CachedDns::new(servers)), Arc::new(allowed));
    let mut lookups = JoinSet::new();
    let mut found = 0;
    for number in 0..count {
        let (dns, allowed) = (dns.clone(), allowed.clone());
        lookups.spawn(async move {
            let domain = Domain::parse(&format!("d{number}.example")).unwrap();
            route::resolve(&*dns, &domain, &allowed).await.route
        });
        if lookups.len() >= 256 {
            found += u32::from(matches!(lookups.join_next().await, Some(Ok(Route::Hosts(_)))));
        }
    }
    while let Some(route) = lookups.join_next().await {
        found += u32::from(matches!(route, Ok(Route::Hosts(_))));
    }
    assert_eq!(found, count, "every domain has a host");
}
