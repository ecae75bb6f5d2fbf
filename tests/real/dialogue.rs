//! A minimal SMTP client that probes one recipient.
//!
//! It shares no code with the program's client, because a test that uses the tested client proves nothing.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest time to wait for a reply.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The reply to RCPT, or the first rejection before it, with its stage: `rcpt 550 5.1.1 ...`.
pub(crate) fn probe(server: SocketAddr, helo: &str, sender: &str, recipient: &str) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut commands = stream;
    let mut last = format!("connect {}", reply(&mut replies)?);
    for (stage, command) in [
        ("helo", format!("EHLO {helo}\r\n")),
        ("mail", format!("MAIL FROM:<{sender}>\r\n")),
        ("rcpt", format!("RCPT TO:<{recipient}>\r\n")),
    ] {
        let (_, code) = last.split_once(' ').unwrap_or_default();
        if !code.starts_with('2') {
            return Ok(last);
        }
        commands.write_all(command.as_bytes())?;
        last = format!("{stage} {}", reply(&mut replies)?);
    }
    commands.write_all(b"QUIT\r\n")?;
    // Wait until the server closes: only then a server that limits connections no longer counts this one.
    io::copy(&mut replies, &mut io::sink())?;
    Ok(last)
}

/// The last line of one reply.
fn reply(from: &mut impl BufRead) -> io::Result<String> {
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(line.trim_end().to_owned());
        }
    }
}
