//! The world's name servers as packets: a question's bytes in, an answer's bytes out.
//!
//! Decides: how the zone's answers are written (RFC 1035, truncation and EDNS included). Answers as a resolver does,
//! for all names there are. Where hosts listen on loopback, their loopback addresses stand in for the scripted ones.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::World;
use super::script::{DnsFaultEntry, QueryType};
use super::zone::{ScriptedDnsFault, ZoneEntry};
use crate::route::MxTarget;

/// How long answers may be kept, in seconds.
const TTL_SECONDS: u32 = 300;
/// What fits into a packet without EDNS, in bytes (RFC 1035 4.2.1).
const PLAIN_PACKET_BYTES: u16 = 512;

/// An answer, and when it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPacket {
    /// The packet.
    pub packet: Vec<u8>,
    /// How long the name servers take.
    pub delay: Duration,
}

/// The answer to a packet; `None` where name servers stay silent. `over_tcp` there is no limit of size.
pub fn answer(world: &World, question: &[u8], over_tcp: bool) -> Option<DnsPacket> {
    let asked = Message::from_vec(question).ok()?;
    if asked.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&asked.metadata);
    reply.metadata.recursion_available = true;
    reply.add_queries(asked.queries.iter().cloned());
    if asked.edns.is_some() {
        reply.set_edns(Edns::new());
    }
    let delay = match asked.queries.as_slice() {
        [query] if asked.metadata.op_code == OpCode::Query => {
            look_up(world, &mut reply, query.name(), query.query_type())?
        }
        _ => {
            reply.metadata.response_code = ResponseCode::NotImp;
            Duration::ZERO
        }
    };
    let most = asked.edns.as_ref().map_or(PLAIN_PACKET_BYTES, Edns::max_payload).max(PLAIN_PACKET_BYTES);
    let mut packet = reply.to_vec().ok()?;
    if !over_tcp && packet.len() > usize::from(most) {
        packet = reply.truncate().to_vec().ok()?;
    }
    Some(DnsPacket { packet, delay })
}

fn look_up(world: &World, reply: &mut Message, name: &Name, kind: RecordType) -> Option<Duration> {
    let text = name.to_ascii().to_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    let (question, kind_word) = match kind {
        RecordType::MX => (QueryType::Mx, "MX"),
        RecordType::A => (QueryType::Address, "A"),
        RecordType::AAAA => (QueryType::Address, "AAAA"),
        _ => (QueryType::Address, "other"),
    };
    world.counts_question(text, question, kind_word);
    let looked = world.shared.zone.look_up(text, question);
    let mut owner = name.clone();
    for alias in &looked.chain {
        let target = Name::from_ascii(format!("{alias}.")).ok()?;
        reply.add_answer(Record::from_rdata(owner, TTL_SECONDS, RData::CNAME(CNAME(target.clone()))));
        owner = target;
    }
    reply.metadata.response_code = match looked.found {
        Ok(entry) => {
            let records = records(world, entry, kind);
            reply.add_answers(
                records.into_iter().map(|data| Record::from_rdata(owner.clone(), TTL_SECONDS, data)),
            );
            ResponseCode::NoError
        }
        Err(ScriptedDnsFault::NoSuchName) => ResponseCode::NXDomain,
        Err(ScriptedDnsFault::Fails(DnsFaultEntry::Timeout)) => return None,
        Err(ScriptedDnsFault::Fails(DnsFaultEntry::Refused)) => ResponseCode::Refused,
        Err(ScriptedDnsFault::Fails(DnsFaultEntry::Servfail | DnsFaultEntry::Lame)) => ResponseCode::ServFail,
    };
    let is_empty = reply.answers.len() == looked.chain.len();
    if is_empty && matches!(reply.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
        // Without an SOA a negative answer could not be kept (RFC 2308 5).
        let soa = SOA::new(Name::root(), Name::root(), 1, 300, 300, 300, TTL_SECONDS);
        reply.add_authority(Record::from_rdata(Name::root(), TTL_SECONDS, RData::SOA(soa)));
    }
    Some(world.shared.dns_delay + looked.delay)
}

fn records(world: &World, entry: &ZoneEntry, kind: RecordType) -> Vec<RData> {
    let addresses =
        entry.addresses.iter().map(|&address| world.loopback(address).map_or(address, IpAddr::from));
    match kind {
        RecordType::MX => entry
            .mx
            .iter()
            .filter_map(|mx| Some(RData::MX(MX::new(mx.preference, target(&mx.target)?))))
            .collect(),
        RecordType::A => addresses
            .filter_map(|address| match address {
                IpAddr::V4(address) => Some(RData::A(A(address))),
                IpAddr::V6(_) => None,
            })
            .collect(),
        RecordType::AAAA => addresses
            .filter_map(|address| match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(address) => Some(RData::AAAA(AAAA(address))),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A target as a name. Text that no name can carry is left out, as a name server could not serve it either.
fn target(target: &MxTarget) -> Option<Name> {
    match target {
        MxTarget::Null => Some(Name::root()),
        MxTarget::Host(host) => Name::from_ascii(format!("{host}.")).ok(),
        MxTarget::Malformed(text) => Name::from_ascii(format!("{text}.")).ok(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use hickory_resolver::proto::op::Query;

    use super::*;

    fn world() -> World {
        let many: Vec<String> = (1..=40).map(|n| format!("1 mx{n}.many.example")).collect();
        World::parse(&format!(
            r#"
            [[domain]]
            name = "many.example"
            mx = {many:?}
            [[domain]]
            name = "acme.example"
            mx = ["10 mx1.acme.example", "20 mx2.acme.example"]
            [[domain]]
            name = "null.example"
            mx = ["0 ."]
            [[domain]]
            name = "alias.example"
            cname = "acme.example"
            [[domain]]
            name = "loop.example"
            address = ["127.0.0.1"]
            [[domain]]
            name = "lost.example"
            fault = "timeout"
            [[domain]]
            name = "sick.example"
            fault = "servfail"
            [[host]]
            name = "mx1.acme.example"
            address = ["192.0.2.1", "2001:db8::1"]
            [[host]]
            name = "mx2.acme.example"
            "#,
        ))
        .unwrap()
    }

    pub(in crate::world) fn question(name: &str) -> Vec<u8> {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        message.to_vec().unwrap()
    }

    fn ask(name: &str, kind: RecordType, over_tcp: bool) -> Option<Message> {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let reply = answer(&world(), &message.to_vec().unwrap(), over_tcp)?;
        Some(Message::from_vec(&reply.packet).unwrap())
    }

    fn said(name: &str, kind: RecordType) -> Vec<String> {
        let reply = ask(name, kind, false).unwrap();
        let code = format!("{:?}", reply.metadata.response_code);
        std::iter::once(code).chain(reply.answers.iter().map(|record| record.data.to_string())).collect()
    }

    #[test]
    fn answers_are_written_as_the_zone_gives_them() {
        let table: [(&str, RecordType, &[&str]); 8] = [
            ("Acme.Example.", RecordType::MX, &["NoError", "10 mx1.acme.example.", "20 mx2.acme.example."]),
            ("null.example.", RecordType::MX, &["NoError", "0 ."]),
            (
                "alias.example.",
                RecordType::MX,
                &["NoError", "acme.example.", "10 mx1.acme.example.", "20 mx2.acme.example."],
            ),
            ("mx1.acme.example.", RecordType::A, &["NoError", "127.1.0.1", "127.1.0.2"]),
            ("mx2.acme.example.", RecordType::A, &["NoError", "127.1.0.3"]),
            ("loop.example.", RecordType::A, &["NoError", "127.0.0.1"]),
            ("nowhere.example.", RecordType::MX, &["NXDomain"]),
            ("sick.example.", RecordType::MX, &["ServFail"]),
        ];
        for (name, kind, expected) in table {
            assert_eq!(said(name, kind), expected, "{name} {kind}");
        }
        assert_eq!(ask("lost.example.", RecordType::MX, false), None);
    }

    #[test]
    fn an_answer_too_large_for_a_packet_is_cut_and_whole_over_tcp() {
        let cut = ask("many.example.", RecordType::MX, false).unwrap();
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        assert_eq!(ask("many.example.", RecordType::MX, true).unwrap().answers.len(), 40);
    }
}
