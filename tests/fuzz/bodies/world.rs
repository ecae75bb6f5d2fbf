//! Any bytes as a world file: refused with its line, or a world in which a session with each host ends.

use std::time::Duration;

use listproof::internals::smtp::{
    Batch, ClientIdentity, ClientSession, EndReason, ProbeId, RcptProbe, SessionCommand, SessionOutput,
    SmtpEvent, TlsPolicy, Transaction,
};
use listproof::world::{ServerAction, ServerSession, World, WorldError};
use listproof::{Address, Domain};

/// The bytes are a world file.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // Patterns for millions of names are allowed, but take too long here.
    if text.split("..").skip(1).any(|end| end.bytes().take_while(u8::is_ascii_digit).count() > 2) {
        return;
    }
    match World::parse(&text) {
        Err(WorldError::Wrong { line, what, hint, .. }) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&line), "line {line}");
            assert!(!what.is_empty() && !what.contains('\n') && !hint.is_empty(), "{what:?}");
        }
        Err(other) => panic!("{other}"),
        Ok(world) => {
            let networks = world.networks();
            for (n, host) in world.hosts().iter().enumerate() {
                assert!(host.addresses.iter().all(|ip| networks.iter().any(|net| net.contains(ip))));
                if n < 4 {
                    converse(&world, n);
                }
            }
        }
    }
}

/// One session with a host until its end, without sockets, clock and TLS.
fn converse(world: &World, host: usize) {
    let host = world.hosts()[host].clone();
    let mut theirs = ServerSession::new(world.clone(), host.clone(), [192, 0, 2, 1].into());
    let mut ours = ClientSession::new(ClientIdentity {
        helo: Domain::parse("probe.example").expect("a name"),
        sender: Address::parse("check@probe.example").expect("an address"),
        tls: TlsPolicy::Try,
        pipelining: true,
    });
    let recipients = ["jane", "postmaster", "nobody"].into_iter().zip(0..).filter_map(|(name, id)| {
        let address = Address::parse(&format!("{name}@{}", host.name)).ok()?;
        Some(RcptProbe { id: ProbeId(id), address })
    });
    let recipients = recipients.collect();
    ours.submit(SessionCommand::Send(Batch {
        transactions: vec![Transaction { recipients }],
        is_last: false,
    }));
    ours.submit(SessionCommand::Quit);
    let (mut now, mut answered, mut ended) = (Duration::ZERO, Vec::new(), None);
    for step in 0.. {
        assert!(step < 10_000, "the session does not end");
        while let Some(output) = ours.poll() {
            match output {
                SessionOutput::Send(bytes) => theirs.receive(&bytes),
                SessionOutput::StartTls => ours.tls_failed("there is none".to_owned()),
                SessionOutput::Emit(SmtpEvent::Reply(id, _)) => answered.push(id),
                SessionOutput::Emit(SmtpEvent::Ended(end)) => ended = Some(end.reason),
                SessionOutput::Emit(_) => {}
            }
        }
        if ours.is_over() {
            break;
        }
        match theirs.next_action(now) {
            Some(ServerAction::Send(bytes) | ServerAction::SendSlowly(bytes)) => ours.receive(&bytes),
            Some(ServerAction::SendForever(bytes)) => ours.receive(bytes),
            Some(ServerAction::Wait(time)) => now = now.saturating_add(time),
            Some(ServerAction::Close | ServerAction::Reset) => ours.connection_closed(),
            Some(ServerAction::Silence | ServerAction::StartTls) | None => ours.timed_out(),
        }
    }
    assert!(ended.is_some(), "the session ended without an event");
    assert!(!matches!(ended, Some(EndReason::Connect(_))));
    answered.sort_unstable();
    answered.dedup();
    assert!(answered.len() <= 3);
}
