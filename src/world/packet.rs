//! The DNS of the world as packets: the bytes of a query in, the bytes of its answer out.
//!
//! Decides: how answers are encoded (RFC 1035, with truncation and EDNS). Answers recursively, as a resolver does, for
//! all names. The addresses of hosts are replaced by the loopback addresses at which they are served.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::network::World;
use super::script::{DnsFaultEntry, QueryType};
use super::zone::{ScriptedDnsFault, ZoneEntry};
use crate::route::MxTarget;

/// The time to live of answers without records of their own, in seconds.
const TTL_SECONDS: u32 = 300;
/// The largest UDP answer without EDNS, in bytes (RFC 1035 4.2.1).
const PLAIN_PACKET_BYTES: u16 = 512;

/// An answer, and how long after the query it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DnsPacket {
    /// The bytes of the answer.
    pub packet: Vec<u8>,
    /// The delay of the name servers.
    pub delay: Duration,
}

/// The answer to a query; `None` if the name servers do not answer. The size is not limited if `over_tcp`.
pub(super) fn answer(world: &World, query: &[u8], over_tcp: bool) -> Option<DnsPacket> {
    let request = Message::from_vec(query).ok()?;
    if request.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&request.metadata);
    reply.metadata.recursion_available = true;
    reply.add_queries(request.queries.iter().cloned());
    if request.edns.is_some() {
        reply.set_edns(Edns::new());
    }
    let delay = match request.queries.as_slice() {
        [query] if request.metadata.op_code == OpCode::Query => {
            look_up(world, &mut reply, query.name(), query.query_type())?
        }
        _ => {
            reply.metadata.response_code = ResponseCode::NotImp;
            Duration::ZERO
        }
    };
    let limit = request.edns.as_ref().map_or(PLAIN_PACKET_BYTES, Edns::max_payload).max(PLAIN_PACKET_BYTES);
    let mut packet = reply.to_vec().ok()?;
    if !over_tcp && packet.len() > usize::from(limit) {
        packet = reply.truncate().to_vec().ok()?;
    }
    Some(DnsPacket { packet, delay })
}

fn look_up(world: &World, reply: &mut Message, name: &Name, kind: RecordType) -> Option<Duration> {
    let text = name.to_ascii().to_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    let (query, record_type) = match kind {
        RecordType::MX => (QueryType::Mx, "MX"),
        RecordType::A => (QueryType::Address, "A"),
        RecordType::AAAA => (QueryType::Address, "AAAA"),
        RecordType::TXT => (QueryType::Txt, "TXT"),
        RecordType::PTR => (QueryType::Ptr, "PTR"),
        _ => (QueryType::Address, "other"),
    };
    world.count_query(text, query, record_type);
    let answer = world.shared.zone.look_up(text, query);
    let mut owner = name.clone();
    for alias in &answer.cnames {
        let target = Name::from_ascii(format!("{alias}.")).ok()?;
        reply.add_answer(Record::from_rdata(owner, TTL_SECONDS, RData::CNAME(CNAME(target.clone()))));
        owner = target;
    }
    reply.metadata.response_code = match answer.found {
        Ok(entry) => {
            let records = records(world, entry, kind);
            let ttl = u32::try_from(entry.ttl.as_secs()).unwrap_or(u32::MAX);
            reply.add_answers(records.into_iter().map(|data| Record::from_rdata(owner.clone(), ttl, data)));
            ResponseCode::NoError
        }
        Err(ScriptedDnsFault::NoSuchName) => ResponseCode::NXDomain,
        Err(ScriptedDnsFault::Fails(DnsFaultEntry::Timeout)) => return None,
        Err(ScriptedDnsFault::Fails(DnsFaultEntry::Refused)) => ResponseCode::Refused,
        Err(ScriptedDnsFault::Fails(DnsFaultEntry::Servfail | DnsFaultEntry::Lame)) => ResponseCode::ServFail,
    };
    let is_empty = reply.answers.len() == answer.cnames.len();
    if is_empty && matches!(reply.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
        // Without an SOA, resolvers do not cache a negative answer (RFC 2308 5).
        let soa = SOA::new(Name::root(), Name::root(), 1, 300, 300, 300, TTL_SECONDS);
        reply.add_authority(Record::from_rdata(Name::root(), TTL_SECONDS, RData::SOA(soa)));
    }
    Some(world.shared.dns_delay + answer.delay)
}

fn records(world: &World, entry: &ZoneEntry, kind: RecordType) -> Vec<RData> {
    let now = world.elapsed();
    let addresses =
        entry.addresses(now).iter().map(|&address| world.loopback(address).map_or(address, IpAddr::from));
    match kind {
        RecordType::MX => entry
            .mx(now)
            .iter()
            .filter_map(|mx| Some(RData::MX(MX::new(mx.preference, target_name(&mx.target)?))))
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
        RecordType::TXT => entry
            .txt
            .iter()
            .map(|strings| RData::TXT(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect())))
            .collect(),
        RecordType::PTR => entry
            .ptr
            .iter()
            .filter_map(|target| Some(RData::PTR(PTR(Name::from_ascii(format!("{target}.")).ok()?))))
            .collect(),
        _ => Vec::new(),
    }
}

/// The target of an MX record as a name; `None` for a text that no name can hold, which no name server could serve
/// either.
fn target_name(target: &MxTarget) -> Option<Name> {
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

    pub(in crate::world) fn query(name: &str) -> Vec<u8> {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        message.to_vec().unwrap()
    }

    fn resolve(name: &str, kind: RecordType, over_tcp: bool) -> Option<Message> {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let reply = answer(&world(), &message.to_vec().unwrap(), over_tcp)?;
        Some(Message::from_vec(&reply.packet).unwrap())
    }

    fn answer_texts(name: &str, kind: RecordType) -> Vec<String> {
        let reply = resolve(name, kind, false).unwrap();
        let code = format!("{:?}", reply.metadata.response_code);
        std::iter::once(code).chain(reply.answers.iter().map(|record| record.data.to_string())).collect()
    }

    #[test]
    fn answers_are_encoded_as_the_zone_has_them() {
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
            assert_eq!(answer_texts(name, kind), expected, "{name} {kind}");
        }
        assert_eq!(resolve("lost.example.", RecordType::MX, false), None);
    }

    #[test]
    fn an_answer_too_large_for_udp_is_truncated_and_whole_over_tcp() {
        let cut = resolve("many.example.", RecordType::MX, false).unwrap();
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        assert_eq!(resolve("many.example.", RecordType::MX, true).unwrap().answers.len(), 40);
    }
}
