//! The barest loops that do what a run does, and who answers them: bytes and no more.
//!
//! What they leave out is what is measured. A lost datagram is asked for again, so that a loop ends.

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

/// MX: `mx.` before the name itself, and counted. A: loopback. Else: no data. What can't exist (RFC 6761 6.4) does not.
pub(crate) fn respond_to_names(socket: &UdpSocket, mx_questions: &AtomicU64) {
    let mut packet = [0; 1500];
    loop {
        let Ok((count, client)) = socket.recv_from(&mut packet) else { continue };
        let question = 12 + packet[12..count].iter().position(|&byte| byte == 0).unwrap() + 5;
        mx_questions.fetch_add(u64::from(packet[question - 3] == 15), Ordering::Relaxed);
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

/// Nothing but the bytes.
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

/// Questions of the bare loop that are under way at once.
const WINDOW: usize = 200;
/// A datagram that is not answered within this time is lost.
const LOST: Duration = Duration::from_millis(500);

/// Asks for MX and address of so many names, and looks at nothing of an answer but its id.
pub(crate) fn bare_names(port: u16, count: u32) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(LOST)).unwrap();
    let mut buffer = [0; 1500];
    let mut open = HashMap::new();
    let (mut next, mut in_vain) = (0, 0);
    while next < count * 2 || !open.is_empty() {
        while next < count * 2 && open.len() < WINDOW {
            let packet = question(next);
            socket.send(&packet).unwrap();
            open.insert([packet[0], packet[1]], next);
            next += 1;
        }
        if socket.recv(&mut buffer).is_ok() {
            open.remove(&[buffer[0], buffer[1]]);
            in_vain = 0;
        } else {
            in_vain += 1;
            assert!(in_vain < 10, "{} questions were asked {in_vain} times and not answered", open.len());
            for &lost in open.values() {
                let _ = socket.send(&question(lost));
            }
        }
    }
}

/// For the MX of a name, or its address, in turn.
fn question(number: u32) -> Vec<u8> {
    let [.., high, low] = number.to_be_bytes();
    let name = format!("d{}", number / 2);
    let mut packet = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, u8::try_from(name.len()).unwrap()];
    packet.extend_from_slice(name.as_bytes());
    packet.extend_from_slice(b"\x07example\0\0");
    packet.extend_from_slice(if number.is_multiple_of(2) { &[15, 0, 1] } else { &[1, 0, 1] });
    packet
}
