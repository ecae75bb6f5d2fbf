//! The simplest loops that send the bytes of a run, and the servers that answer them.
//!
//! What the loops leave out is the cost of the program. A query whose datagram is lost is sent again, so that each loop ends.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Answers each read with one reply per line in it.
pub(crate) async fn respond(delay: Duration) {
    rlimit::increase_nofile_limit(20_000).unwrap();
    // A thousand clients connect together, and one that does not fit into the queue would wait for its greeting forever.
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
            let (mut received, mut replies) = (vec![0; 16 * 1024], Vec::new());
            while !gone {
                let Ok(count @ 1..) = stream.read(&mut received).await else { return };
                pause(delay).await;
                replies.clear();
                for line in received[..count]
                    .split_inclusive(|&byte| byte == b'\n')
                    .filter(|line| line.ends_with(b"\n"))
                {
                    replies.extend_from_slice(match line[0] {
                        b'E' => b"250-mx.example\r\n250 PIPELINING\r\n",
                        b'Q' => b"221 2.0.0 bye\r\n",
                        b'R' if line.starts_with(b"RCPT") && !line.starts_with(b"RCPT TO:<live") => {
                            b"550 5.1.1 no such user here\r\n"
                        }
                        _ => b"250 2.1.5 ok\r\n",
                    });
                }
                gone = stream.write_all(&replies).await.is_err();
            }
        });
    }
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// Answers MX queries with `mx.` before the name, and counts them; A queries with loopback; others with no data. Names
/// under `invalid` do not exist (RFC 6761 6.4).
pub(crate) fn respond_to_names(socket: &UdpSocket, mx_queries: &AtomicU64) {
    let mut packet = [0; 1500];
    loop {
        let Ok((count, client)) = socket.recv_from(&mut packet) else { continue };
        let question = 12 + packet[12..count].iter().position(|&byte| byte == 0).unwrap() + 5;
        mx_queries.fetch_add(u64::from(packet[question - 3] == 15), Ordering::Relaxed);
        let is_absent = packet[..question - 4].ends_with(b"\x07invalid\0");
        let answer: &[u8] = match packet[question - 3] {
            _ if is_absent => b"",
            15 => b"\xc0\x0c\0\x0f\0\x01\0\0\x0e\x10\0\x07\0\x0a\x02mx\xc0\x0c",
            1 => b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x7f\0\0\x01",
            _ => b"",
        };
        let mut reply = packet[..question].to_vec();
        let code = if is_absent { 0x83 } else { 0x80 };
        reply[2..12].copy_from_slice(&[0x81, code, 0, 1, 0, u8::from(!answer.is_empty()), 0, 0, 0, 0]);
        reply.extend_from_slice(answer);
        let _ = socket.send_to(&reply, client);
    }
}

/// One session that looks at nothing but line ends. Returns the number of replies to RCPT.
pub(crate) async fn bare(to: SocketAddr, each: usize) -> usize {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 16 * 1024];
    lines(&mut stream, &mut buffer, 1).await;
    stream.write_all(b"EHLO probe.example.org\r\n").await.unwrap();
    lines(&mut stream, &mut buffer, 2).await;
    let mut batch = "MAIL FROM:<list-check@example.org>\r\n".to_owned();
    for place in 0..each {
        write!(batch, "RCPT TO:<no.user{place}@d1.example>\r\n").unwrap();
    }
    stream.write_all(batch.as_bytes()).await.unwrap();
    let replies = lines(&mut stream, &mut buffer, each + 1).await - 1;
    stream.write_all(b"QUIT\r\n").await.unwrap();
    lines(&mut stream, &mut buffer, 1).await;
    replies
}

/// Reads until this many lines have arrived. Returns how many arrived.
async fn lines(stream: &mut TcpStream, buffer: &mut [u8], wanted: usize) -> usize {
    let mut seen = 0;
    while seen < wanted {
        let count = stream.read(buffer).await.unwrap();
        assert!(count > 0, "the responder hung up");
        seen += memchr::memchr_iter(b'\n', &buffer[..count]).count();
    }
    seen
}

/// DNS queries of the bare loop that are in flight together.
const WINDOW: usize = 200;
/// A datagram that is not answered within this time is lost.
const LOST: Duration = Duration::from_millis(500);

/// Queries MX and address of this many names, and looks at nothing of an answer but its id.
pub(crate) fn bare_names(port: u16, count: u32) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(LOST)).unwrap();
    let mut buffer = [0; 1500];
    let mut open = HashMap::new();
    let (mut next, mut timeouts) = (0, 0);
    while next < count * 2 || !open.is_empty() {
        while next < count * 2 && open.len() < WINDOW {
            let packet = query(next);
            socket.send(&packet).unwrap();
            open.insert([packet[0], packet[1]], next);
            next += 1;
        }
        if socket.recv(&mut buffer).is_ok() {
            open.remove(&[buffer[0], buffer[1]]);
            timeouts = 0;
        } else {
            timeouts += 1;
            assert!(timeouts < 10, "{} queries were sent {timeouts} times and not answered", open.len());
            for &lost in open.values() {
                let _ = socket.send(&query(lost));
            }
        }
    }
}

/// A DNS query: even numbers ask for the MX of a name, odd ones for its address.
fn query(number: u32) -> Vec<u8> {
    let [.., high, low] = number.to_be_bytes();
    let name = format!("d{}", number / 2);
    let mut packet = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, u8::try_from(name.len()).unwrap()];
    packet.extend_from_slice(name.as_bytes());
    packet.extend_from_slice(b"\x07example\0\0");
    packet.extend_from_slice(if number.is_multiple_of(2) { &[15, 0, 1] } else { &[1, 0, 1] });
    packet
}
