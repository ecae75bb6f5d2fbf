//! The resolver against scripted name servers on loopback. In real time; only the test of the silent name server waits.
#![expect(clippy::disallowed_methods, reason = "the tests are their own name servers")]

use std::sync::Arc;

use hickory_resolver::proto::op::{Message, MessageType, OpCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, SOA};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;

/// What a name server does with a query.
enum Action {
    Answer(ResponseCode, Vec<(&'static str, RData)>),
    Refer,
    Truncate,
    Nothing,
}

use Action::{Answer, Nothing, Refer, Truncate};

struct ReceivedQuery {
    name: String,
    kind: RecordType,
    edns: bool,
    tcp: bool,
}

type Script = fn(&ReceivedQuery) -> Action;

/// Starts a name server that follows a script and lives as long as the test. Returns its address and the number of queries
/// that it received.
async fn server(script: Script) -> (SocketAddr, Arc<AtomicUsize>) {
    // A port that is free for UDP may be in use for TCP.
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let count = received.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(reply) = reply(&buffer[..length], script, false) {
                udp.send_to(&reply, from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut buffer = vec![0; length.into()];
            stream.read_exact(&mut buffer).await.unwrap();
            let reply = reply(&buffer, script, true).unwrap();
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    (address, received)
}

fn reply(bytes: &[u8], script: Script, tcp: bool) -> Option<Vec<u8>> {
    let received = Message::from_vec(bytes).unwrap();
    let query = received.queries[0].clone();
    let name = query.name().to_ascii();
    let action = script(&ReceivedQuery {
        name: name.trim_end_matches('.').to_owned(),
        kind: query.query_type(),
        edns: received.edns.is_some(),
        tcp,
    });
    let mut message = Message::new(received.metadata.id, MessageType::Response, OpCode::Query);
    message.add_query(query.clone());
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    match action {
        Nothing => return None,
        Truncate => message.metadata.truncation = true,
        Refer => {
            let zone = Name::from_ascii("example.").unwrap();
            message.add_authorities([Record::from_rdata(
                zone,
                60,
                RData::NS(NS(at("ns.elsewhere.example"))),
            )]);
        }
        Answer(code, records) => {
            message.metadata.response_code = code;
            message
                .add_answers(records.into_iter().map(|(name, data)| Record::from_rdata(at(name), 60, data)));
            if message.answers.is_empty() && code != ResponseCode::NXDomain {
                let soa = SOA::new(at("ns.example"), at("hostmaster.example"), 1, 60, 60, 60, 60);
                message.add_authorities([Record::from_rdata(at("example"), 60, RData::SOA(soa))]);
            }
        }
    }
    Some(message.to_vec().unwrap())
}

fn at(name: &str) -> Name {
    Name::from_ascii(format!("{name}.")).unwrap()
}

fn mx(owner: &'static str, preference: u16, exchange: Name) -> (&'static str, RData) {
    (owner, RData::MX(MX::new(preference, exchange)))
}

fn code(code: ResponseCode) -> Action {
    Answer(code, Vec::new())
}

/// A name server with a name for each case.
fn zone(query: &ReceivedQuery) -> Action {
    use RecordType as T;
    let a = |owner, text: &str| (owner, RData::A(A(text.parse().unwrap())));
    let aaaa = |owner, text: &str| (owner, RData::AAAA(AAAA(text.parse().unwrap())));
    match (query.name.as_str(), query.kind) {
        ("shop.example", T::MX) => Answer(
            ResponseCode::NoError,
            vec![
                mx("shop.example", 20, at("MX2.Shop.Example")),
                mx("shop.example", 10, at("mx1.shop.example")),
            ],
        ),
        ("null.example", T::MX) => Answer(ResponseCode::NoError, vec![mx("null.example", 0, Name::root())]),
        ("odd.example", T::MX) => {
            let odd = Name::from_labels([&b"m\x1b\xfcx"[..], b"example"]).unwrap();
            Answer(
                ResponseCode::NoError,
                vec![
                    mx("odd.example", 1, at("my_mx.example")),
                    mx("odd.example", 2, at("192.0.2.1")),
                    mx("odd.example", 3, odd),
                ],
            )
        }
        ("alias.example", T::MX) => Answer(
            ResponseCode::NoError,
            vec![
                ("alias.example", RData::CNAME(CNAME(at("real.example")))),
                mx("real.example", 10, at("mx1.shop.example")),
            ],
        ),
        // The answer of a server that has the CNAME, but not the zone of its target.
        ("far.example", _) => {
            Answer(ResponseCode::NoError, vec![("far.example", RData::CNAME(CNAME(at("shop.example"))))])
        }
        ("dangling.example", _) => Answer(
            ResponseCode::NXDomain,
            vec![("dangling.example", RData::CNAME(CNAME(at("gone.example"))))],
        ),
        ("circle.example", _) => {
            Answer(ResponseCode::NoError, vec![("circle.example", RData::CNAME(CNAME(at("circle.example"))))])
        }
        ("both.example", T::A) => Answer(ResponseCode::NoError, vec![a("both.example", "192.0.2.1")]),
        ("both.example", T::AAAA) => Answer(ResponseCode::NoError, vec![aaaa("both.example", "2001:db8::1")]),
        ("six.example", T::AAAA) => Answer(ResponseCode::NoError, vec![aaaa("six.example", "2001:db8::1")]),
        ("half.example", T::A) => Answer(ResponseCode::NoError, vec![a("half.example", "192.0.2.1")]),
        ("half.example", T::AAAA) | ("servfail.example" | "halffail.example", _) => {
            code(ResponseCode::ServFail)
        }
        ("strange.example", _) => code(ResponseCode::Unknown(12)),
        ("refused.example", _) => code(ResponseCode::Refused),
        ("gone.example", _) => code(ResponseCode::NXDomain),
        ("referred.example", _) => Refer,
        ("silent.example", _) => Nothing,
        ("big.example", T::MX) if query.tcp => {
            let host = |n: u16| mx("big.example", n, at(&format!("mx{n}.big.example")));
            Answer(ResponseCode::NoError, (0..60).map(host).collect())
        }
        ("big.example", T::MX) => Truncate,
        ("shy.example", _) if query.edns => code(ResponseCode::FormErr),
        ("shy.example", T::MX) => {
            Answer(ResponseCode::NoError, vec![mx("shy.example", 5, at("mx.shy.example"))])
        }
        (name, _) if name.ends_with(".invalid") => code(ResponseCode::NXDomain),
        _ => code(ResponseCode::NoError),
    }
}

const SHORT: DnsTimeouts = DnsTimeouts { timeout: Duration::from_millis(300), retries: 0 };

async fn servers(scripts: &[Script]) -> NameServers {
    let mut addresses = Vec::new();
    for script in scripts {
        addresses.push(server(*script).await.0);
    }
    NameServers::at(&addresses, SHORT).unwrap()
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn host(preference: u16, name: &str) -> Mx {
    Mx { preference, target: MxTarget::Host(domain(name)) }
}

fn malformed(preference: u16, text: &str) -> Mx {
    Mx { preference, target: MxTarget::Malformed(text.to_owned()) }
}

/// The records of an answer, without their TTL.
fn records<T>(answer: Result<DnsAnswer<T>, LookupError>) -> Result<Vec<T>, LookupError> {
    answer.map(|answer| answer.records)
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn each_kind_of_answer_stays_what_it_is() {
    let dns = servers(&[zone]).await;
    let null = Mx { preference: 0, target: MxTarget::Null };
    for (name, expected) in [
        ("shop.example", Ok(vec![host(20, "mx2.shop.example"), host(10, "mx1.shop.example")])),
        ("null.example", Ok(vec![null])),
        (
            "odd.example",
            Ok(vec![
                Mx { preference: 1, target: MxTarget::Host(Domain::from_dns("my_mx.example").unwrap()) },
                malformed(2, "192.0.2.1"),
                malformed(3, "m\\033\\374x.example"),
            ]),
        ),
        ("alias.example", Ok(vec![host(10, "mx1.shop.example")])),
        ("far.example", Ok(vec![host(20, "mx2.shop.example"), host(10, "mx1.shop.example")])),
        ("shy.example", Ok(vec![host(5, "mx.shy.example")])),
        ("dangling.example", Err(LookupError::NoSuchDomain)),
        ("gone.example", Err(LookupError::NoSuchDomain)),
        ("both.example", Ok(Vec::new())),
        ("servfail.example", Err(LookupError::Failed(DnsFault::ServFail))),
        ("refused.example", Err(LookupError::Failed(DnsFault::Refused))),
        ("silent.example", Err(LookupError::Failed(DnsFault::Timeout))),
    ] {
        assert_eq!(records(dns.mx(&domain(name)).await), expected, "{name}");
    }
    for name in ["referred.example", "circle.example", "strange.example"] {
        let answer = dns.mx(&domain(name)).await;
        assert!(matches!(answer, Err(LookupError::Failed(DnsFault::Other(_)))), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let dns = servers(&[zone]).await;
    assert_eq!(dns.mx(&domain("big.example")).await.unwrap().records.len(), 60);
}

#[tokio::test]
async fn both_families_are_queried_and_a_failure_of_one_hides_nothing() {
    let dns = servers(&[zone]).await;
    for (name, expected) in [
        ("both.example", Ok(ips(&["192.0.2.1", "2001:db8::1"]))),
        ("six.example", Ok(ips(&["2001:db8::1"]))),
        ("half.example", Ok(ips(&["192.0.2.1"]))),
        ("halffail.example", Err(LookupError::Failed(DnsFault::ServFail))),
        ("gone.example", Err(LookupError::NoSuchDomain)),
        ("shop.example", Err(LookupError::NoData)),
    ] {
        assert_eq!(records(dns.addresses(&domain(name)).await), expected, "{name}");
    }
}

#[tokio::test]
async fn ipv6_is_queried_only_if_ipv4_has_no_usable_address() {
    let (server, received) = server(zone).await;
    let allowed = |net: &str| AllowedNets::new([net.parse().unwrap()]);
    for (name, net, expected, queries) in [
        ("both.example", "192.0.2.0/24", Ok(ips(&["192.0.2.1"])), 1),
        ("both.example", "2001:db8::/32", Ok(ips(&["192.0.2.1", "2001:db8::1"])), 2),
        ("six.example", "192.0.2.0/24", Ok(ips(&["2001:db8::1"])), 2),
        ("half.example", "2001:db8::/32", Ok(ips(&["192.0.2.1"])), 2),
        ("halffail.example", "192.0.2.0/24", Err(LookupError::Failed(DnsFault::ServFail)), 2),
        ("gone.example", "192.0.2.0/24", Err(LookupError::NoSuchDomain), 2),
        ("shop.example", "192.0.2.0/24", Err(LookupError::NoData), 2),
    ] {
        let before = received.load(Ordering::Relaxed);
        let dns = NameServers::at(&[server], SHORT).unwrap().ipv4_first(allowed(net));
        assert_eq!(records(dns.addresses(&domain(name)).await), expected, "{name}");
        assert_eq!(received.load(Ordering::Relaxed) - before, queries, "{name}");
    }
}

#[tokio::test]
async fn after_a_failure_the_next_name_server_is_queried_and_preferred_from_then_on() {
    for bad in [
        (|_| code(ResponseCode::Refused)) as Script,
        |_| code(ResponseCode::ServFail),
        |_| Nothing,
        |_| Refer,
    ] {
        let (first, received) = server(bad).await;
        let (second, _) = server(zone).await;
        let dns = NameServers::at(&[first, second], SHORT).unwrap();
        let expected = Ok(vec![host(20, "mx2.shop.example"), host(10, "mx1.shop.example")]);
        assert_eq!(records(dns.mx(&domain("shop.example")).await), expected);
        let before = received.load(Ordering::Relaxed);
        assert_eq!(dns.mx(&domain("gone.example")).await, Err(LookupError::NoSuchDomain));
        assert_eq!(received.load(Ordering::Relaxed), before, "the good one is queried first now");
    }
}

#[tokio::test]
async fn when_all_fail_an_error_code_is_reported_rather_than_a_timeout() {
    let dns = servers(&[|_| Nothing, |_| code(ResponseCode::Refused), |_| Nothing]).await;
    assert_eq!(dns.mx(&domain("shop.example")).await, Err(LookupError::Failed(DnsFault::Refused)));
}

#[tokio::test]
async fn a_closed_port_is_a_failure_and_not_an_absence() {
    let (closed, _) = {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        (socket.local_addr().unwrap(), socket)
    };
    let dns = NameServers::at(&[closed], SHORT).unwrap();
    assert!(matches!(dns.mx(&domain("shop.example")).await, Err(LookupError::Failed(_))));
}

#[tokio::test]
async fn a_resolver_that_rewrites_nxdomain_is_detected() {
    assert_eq!(servers(&[zone]).await.nxdomain_rewriting().await, NxdomainRewriting::default());
    for (script, fault) in [
        ((|_| Nothing) as Script, DnsFault::Timeout),
        (|_| code(ResponseCode::ServFail), DnsFault::ServFail),
        (|query| if query.kind == RecordType::MX { Nothing } else { zone(query) }, DnsFault::Timeout),
    ] {
        let rewriting = servers(&[script]).await.nxdomain_rewriting().await;
        assert_eq!(rewriting, NxdomainRewriting::Unknown(fault), "a failed test shows nothing");
    }
    let rewriter: Script = |query| match query.kind {
        RecordType::A => {
            let advertiser = RData::A(A("192.0.2.66".parse().unwrap()));
            let owner: &'static str = query.name.clone().leak();
            Answer(ResponseCode::NoError, vec![(owner, advertiser)])
        }
        _ => code(ResponseCode::NoError),
    };
    let rewriting = servers(&[rewriter]).await.nxdomain_rewriting().await;
    assert!(rewriting.includes("192.0.2.66".parse().unwrap()));
}

#[tokio::test]
async fn an_answer_lasts_as_long_as_its_shortest_record_and_an_absence_as_its_soa_says() {
    let dns = servers(&[zone]).await;
    for name in ["shop.example", "alias.example", "both.example"] {
        assert_eq!(dns.mx(&domain(name)).await.unwrap().ttl, Duration::from_secs(60), "{name}");
    }
}

#[tokio::test]
async fn a_name_server_is_alive_if_it_answers_anything() {
    for (script, is_alive) in
        [(zone as Script, true), (|_| code(ResponseCode::Refused), true), (|_| Nothing, false)]
    {
        assert_eq!(servers(&[script]).await.is_alive().await, is_alive);
    }
}

#[tokio::test]
async fn no_name_server_is_an_error_of_the_setup() {
    assert!(matches!(NameServers::at(&[], SHORT), Err(ResolverSetupError::NoServer)));
}
