//! A probe by hand: the least SMTP client that can say what a server answers.
//!
//! Kept apart from the program's own client on purpose: a lab that is checked by what it checks shows nothing.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest silence of a server in the lab.
const PATIENCE: Duration = Duration::from_secs(20);

/// The answer about a recipient, or the first refusal on the way there: `rcpt 550 5.1.1 ...`.
pub(crate) fn ask(server: SocketAddr, helo: &str, sender: &str, recipient: &str) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut commands = stream;
    let mut answer = format!("connect {}", reply(&mut replies)?);
    for (stage, command) in [
        ("helo", format!("EHLO {helo}\r\n")),
        ("mail", format!("MAIL FROM:<{sender}>\r\n")),
        ("rcpt", format!("RCPT TO:<{recipient}>\r\n")),
    ] {
        let (_, said) = answer.split_once(' ').unwrap_or_default();
        if !said.starts_with('2') {
            return Ok(answer);
        }
        commands.write_all(command.as_bytes())?;
        answer = format!("{stage} {}", reply(&mut replies)?);
    }
    commands.write_all(b"QUIT\r\n")?;
    // A server that counts connections has counted this one out when it closes, and not before.
    io::copy(&mut replies, &mut io::sink())?;
    Ok(answer)
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
