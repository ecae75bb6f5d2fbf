//! The connector over real sockets on loopback, in real time, without waits.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::address::{Address, Domain};
use crate::smtp::Stage;
use crate::smtp::drive::{SessionRequest, SmtpTimeouts, drive_session};
use crate::smtp::session::{ClientIdentity, EndReason, SessionEnd, SmtpEvent, TlsPolicy};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn first_line(mut stream: Box<dyn MailStream>) -> String {
    let mut received = String::new();
    stream.read_to_string(&mut received).await.unwrap();
    received
}

#[tokio::test]
async fn a_connection_leaves_from_the_chosen_address() {
    let (listener, to) = listen().await;
    let serve = async {
        let (mut stream, from) = listener.accept().await.unwrap();
        stream.write_all(from.ip().to_string().as_bytes()).await.unwrap();
    };
    let path = EgressPath::Direct(Some("127.0.0.9".parse().unwrap()));
    let (stream, ()) = tokio::join!(TcpConnector.connect(to, &path), serve);
    assert_eq!(first_line(stream.unwrap()).await, "127.0.0.9");
}

#[tokio::test]
async fn a_source_of_the_other_family_is_an_error_that_says_so() {
    let path = EgressPath::Direct(Some("::1".parse().unwrap()));
    let fault = TcpConnector.connect("127.0.0.1:25".parse().unwrap(), &path).await.err().unwrap();
    assert_eq!(
        fault.to_string(),
        "`127.0.0.1:25` can't be reached from source address `::1`: the families differ"
    );
}

#[tokio::test]
async fn a_closed_port_is_an_error() {
    let (listener, to) = listen().await;
    drop(listener);
    let fault = TcpConnector.connect(to, &EgressPath::Direct(None)).await.err().unwrap();
    assert_eq!(fault.kind(), io::ErrorKind::ConnectionRefused);
}

/// A proxy that serves one request (RFC 1928, RFC 1929): it expects `login`, replies with `code`, then sends the
/// address that it was asked to connect to.
async fn proxy(listener: TcpListener, login: Option<(&str, &str)>, code: u8) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let methods = usize::from(read::<2>(&mut stream).await[1]);
    let mut offered = vec![0; methods];
    stream.read_exact(&mut offered).await.unwrap();
    let method = if login.is_some() { 2 } else { 0 };
    assert!(offered.contains(&method));
    stream.write_all(&[5, method]).await.unwrap();
    if let Some((user, password)) = login {
        for (skip, expected) in [(1, user), (0, password)] {
            let mut skipped = vec![0; skip];
            stream.read_exact(&mut skipped).await.unwrap();
            let length = stream.read_u8().await.unwrap();
            let mut text = vec![0; length.into()];
            stream.read_exact(&mut text).await.unwrap();
            assert_eq!(text, expected.as_bytes());
        }
        stream.write_all(&[1, 0]).await.unwrap();
    }
    // CONNECT to an IPv4 address: the proxy resolves no name.
    assert_eq!(read::<4>(&mut stream).await, [5, 1, 0, 1]);
    let ip = read::<4>(&mut stream).await;
    let port = stream.read_u16().await.unwrap();
    stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    stream.write_all(format!("{}:{port}", IpAddr::from(ip)).as_bytes()).await.unwrap();
}

async fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_proxy_gets_the_ip_address_with_and_without_a_login() {
    for login in [None, Some(("ann", "secret"))] {
        let (listener, address) = listen().await;
        let path = EgressPath::Socks5 {
            proxy: address.to_string().parse().unwrap(),
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
        };
        let to = "192.0.2.1:25".parse().unwrap();
        let (stream, ()) = tokio::join!(TcpConnector.connect(to, &path), proxy(listener, login, 0));
        assert_eq!(first_line(stream.unwrap()).await, "192.0.2.1:25");
    }
}

#[tokio::test]
async fn an_error_of_a_proxy_names_the_proxy() {
    let (listener, address) = listen().await;
    let path = EgressPath::Socks5 { proxy: address.to_string().parse().unwrap(), login: None };
    let to = "192.0.2.1:25".parse().unwrap();
    let (stream, ()) = tokio::join!(TcpConnector.connect(to, &path), proxy(listener, None, 5));
    let expected = format!("proxy `{address}`: Connection refused");
    assert_eq!(stream.err().unwrap().to_string(), expected);
}

/// A proxy that reads what comes and says `answers`, one after each read.
async fn saying(listener: TcpListener, answers: &[&[u8]]) {
    let (mut stream, _) = listener.accept().await.unwrap();
    for answer in answers {
        let mut asked = [0; 600];
        let _ = stream.read(&mut asked).await.unwrap();
        stream.write_all(answer).await.unwrap();
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_serve_us_is_no_fact_about_the_mail_server() {
    let to = "192.0.2.1:25".parse().unwrap();
    let login = Some(("ann".to_owned(), "secret".to_owned()));
    let not_allowed: &[&[u8]] = &[&[5, 2], &[1, 0], &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]];
    let refused: &[&[u8]] = &[&[5, 2], &[1, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]];
    for (answers, is_fault_of_proxy) in [
        (not_allowed, true),
        (&[&[5, 2][..], &[1, 1]], true),
        (&[&[5, 255][..]], true),
        (&[b"HTTP/1.1 400 Bad Request\r\n".as_slice()], true),
        (&[], true),
        (refused, false),
    ] {
        let (listener, address) = listen().await;
        let path = EgressPath::Socks5 { proxy: address.to_string().parse().unwrap(), login: login.clone() };
        let (stream, ()) = tokio::join!(TcpConnector.connect(to, &path), saying(listener, answers));
        let fault = stream.err().unwrap();
        assert_eq!(is_proxy_fault(&fault), is_fault_of_proxy, "{answers:?}: {fault}");
        assert!(fault.to_string().contains(&address.to_string()), "{fault}");
    }
}

#[tokio::test]
async fn a_proxy_is_reached_by_name_and_its_faults_name_it() {
    let (listener, address) = listen().await;
    let path = |host: &str, login: Option<(&str, &str)>| EgressPath::Socks5 {
        proxy: format!("{host}:{}", address.port()).parse().unwrap(),
        login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
    };
    let by_name = path("localhost", Some(("ann", "secret")));
    let serve = async {
        saying(listener, &[&[5, 2], &[1, 1]]).await;
    };
    let (fault, ()) = tokio::join!(TcpConnector.reach_proxy(&by_name), serve);
    let expected = format!("proxy `localhost:{}`: it rejects the user or the password", address.port());
    assert_eq!(fault.unwrap_err().to_string(), expected);
    // The listener is gone.
    let fault = TcpConnector.reach_proxy(&path("127.0.0.1", None)).await.unwrap_err();
    assert!(is_proxy_fault(&fault) && fault.to_string().contains("127.0.0.1"), "{fault}");
    assert!(TcpConnector.reach_proxy(&EgressPath::Direct(None)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_is_given_up() {
    let (_listener, address) = listen().await;
    let path = EgressPath::Socks5 { proxy: address.to_string().parse().unwrap(), login: None };
    let fault = TcpConnector.reach_proxy(&path).await.unwrap_err();
    assert_eq!(fault.to_string(), format!("proxy `{address}`: it does not answer within 20 s"));
}

#[tokio::test]
async fn a_reset_connection_ends_a_session_as_hung_up() {
    let (listener, to) = listen().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 hi\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        // Closing a socket with unread data resets the connection.
    };
    let host = Domain::parse("mx.shop.example").unwrap();
    let request = SessionRequest {
        host: &host,
        to,
        path: &EgressPath::Direct(None),
        identity: ClientIdentity {
            helo: host.clone(),
            sender: Address::parse("ann@probe.example").unwrap(),
            tls: TlsPolicy::No,
            pipelining: true,
        },
        timeouts: SmtpTimeouts::default(),
    };
    let (_sender, commands) = tokio::sync::mpsc::channel(1);
    let mut events = Vec::new();
    tokio::join!(drive_session(&TcpConnector, request, commands, |event| events.push(event), None), serve);
    let ended = SessionEnd { stage: Stage::Helo, reason: EndReason::HungUp };
    assert_eq!(events, [SmtpEvent::Ended(ended)]);
}
