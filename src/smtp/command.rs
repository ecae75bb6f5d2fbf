//! All that can be said. There is no DATA and no BDAT: sending mail is impossible by type.
//!
//! Decides: how a command is written (RFC 5321 4.1.1, RFC 3207, RFC 6531 3.4). async-smtp's command types encode
//! whatever they can hold; what they refuse (letters beyond ASCII, quoted local parts with spaces or angle brackets),
//! what they don't know (HELO) and what is said a million times (RCPT) is written here, and a test holds it to be the same.
//! Must not: decide what is said when.
//! Fails: never. One command is one line, whatever it is made of.

use std::fmt::{self, Write};

use async_smtp::EmailAddress;
use async_smtp::commands::{EhloCommand, MailCommand, QuitCommand, RsetCommand, StarttlsCommand};
use async_smtp::extension::{ClientId, MailParameter};

use crate::address::{Address, Domain};

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpCommand<'a> {
    /// Says who we are, and asks what the server offers.
    Ehlo(&'a Domain),
    /// Says who we are, to servers that don't know EHLO.
    Helo(&'a Domain),
    /// Asks for TLS.
    StartTls,
    /// Opens a transaction.
    Mail {
        /// The envelope sender.
        sender: &'a Address,
        /// Whether the transaction holds an address with letters beyond ASCII (RFC 6531 3.4).
        smtputf8: bool,
    },
    /// Asks about one recipient.
    Rcpt(&'a Address),
    /// Gives up the transaction.
    Rset,
    /// Says goodbye.
    Quit,
}

impl SmtpCommand<'_> {
    /// Appends the command's line, CR LF included, to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        // A `CommandLine` takes any text, and so do the `Display`s that write to it.
        let _ = write!(CommandLine(out), "{self}");
        out.extend_from_slice(b"\r\n");
    }
}

/// The command without its line end.
impl fmt::Display for SmtpCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            SmtpCommand::Ehlo(name) => bare(f, &EhloCommand::new(ClientId::new(name.to_string()))),
            SmtpCommand::Helo(name) => write!(f, "HELO {name}"),
            SmtpCommand::StartTls => bare(f, &StarttlsCommand),
            SmtpCommand::Mail { sender, smtputf8 } => match EmailAddress::new(sender.to_string()) {
                Ok(plain) => {
                    let parameters = smtputf8.then_some(MailParameter::SmtpUtfEight);
                    bare(f, &MailCommand::new(Some(plain), parameters.into_iter().collect()))
                }
                Err(_) if smtputf8 => write!(f, "MAIL FROM:<{sender}> {}", MailParameter::SmtpUtfEight),
                Err(_) => write!(f, "MAIL FROM:<{sender}>"),
            },
            SmtpCommand::Rcpt(address) => write!(f, "RCPT TO:<{address}>"),
            SmtpCommand::Rset => bare(f, &RsetCommand),
            SmtpCommand::Quit => bare(f, &QuitCommand),
        }
    }
}

/// A command of async-smtp's.
fn bare(f: &mut fmt::Formatter<'_>, command: &dyn fmt::Display) -> fmt::Result {
    write!(WithoutLineEnd(f), "{command}")
}

/// Leaves out the line ends that async-smtp's commands bring along.
struct WithoutLineEnd<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for WithoutLineEnd<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(text.strip_suffix("\r\n").unwrap_or(text))
    }
}

/// The last gate before the wire. `Address` and `Domain` hold no controls by construction; should one ever get
/// through, it becomes a space: the command stays one command, and a server calls it malformed instead of obeying.
struct CommandLine<'a>(&'a mut Vec<u8>);

impl Write for CommandLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.len();
        self.0.extend_from_slice(text.as_bytes());
        for byte in &mut self.0[start..] {
            if byte.is_ascii_control() {
                *byte = b' ';
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_smtp::commands::RcptCommand;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn said(command: SmtpCommand<'_>) -> String {
        let mut out = Vec::new();
        command.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_command_is_written_as_its_rfc_says() {
        let name = Domain::parse("probe.example").unwrap();
        let (plain, wide) = (address("ann@shop.example"), address("jürgen@shop.example"));
        let quoted = address("\"ann lee>\"@shop.example");
        let mail = |sender, smtputf8| said(SmtpCommand::Mail { sender, smtputf8 });
        for (line, expected) in [
            (said(SmtpCommand::Ehlo(&name)), "EHLO probe.example\r\n"),
            (said(SmtpCommand::Helo(&name)), "HELO probe.example\r\n"),
            (said(SmtpCommand::StartTls), "STARTTLS\r\n"),
            (mail(&plain, false), "MAIL FROM:<ann@shop.example>\r\n"),
            (mail(&plain, true), "MAIL FROM:<ann@shop.example> SMTPUTF8\r\n"),
            (mail(&wide, true), "MAIL FROM:<jürgen@shop.example> SMTPUTF8\r\n"),
            (mail(&quoted, false), "MAIL FROM:<\"ann lee>\"@shop.example>\r\n"),
            (said(SmtpCommand::Rcpt(&plain)), "RCPT TO:<ann@shop.example>\r\n"),
            (said(SmtpCommand::Rcpt(&wide)), "RCPT TO:<jürgen@shop.example>\r\n"),
            (said(SmtpCommand::Rcpt(&quoted)), "RCPT TO:<\"ann lee>\"@shop.example>\r\n"),
            (said(SmtpCommand::Rset), "RSET\r\n"),
            (said(SmtpCommand::Quit), "QUIT\r\n"),
        ] {
            assert_eq!(line, expected);
        }
    }

    proptest! {
        #[test]
        fn a_recipient_is_asked_about_as_async_smtp_would(text in "[a-zA-Z0-9._+!#-]{1,20}@[a-z0-9.-]{1,20}|\"[ -~]{1,9}\"@a\\.example") {
            let Ok(address) = Address::parse(&text) else { return Ok(()) };
            if let Ok(plain) = EmailAddress::new(address.to_string()) {
                let theirs = RcptCommand::new(plain, Vec::new()).to_string();
                prop_assert_eq!(said(SmtpCommand::Rcpt(&address)), theirs);
            }
        }

        #[test]
        fn no_input_makes_two_lines_of_a_command(
            local in "(?s).{1,64}|\"(?s).{1,40}\"|[a-z\r\n\0]{1,20}",
            domain in "[a-z\r\n\0.]{1,20}|[a-z]{1,9}\\.example",
        ) {
            let Ok(address) = Address::parse(&format!("{local}@{domain}")) else { return Ok(()) };
            let mut commands = vec![
                SmtpCommand::Mail { sender: &address, smtputf8: false },
                SmtpCommand::Mail { sender: &address, smtputf8: true },
                SmtpCommand::Rcpt(&address),
            ];
            commands.extend(address.domain().map(SmtpCommand::Ehlo));
            commands.extend(address.domain().map(SmtpCommand::Helo));
            for command in commands {
                let line = said(command);
                let body = line.strip_suffix("\r\n").unwrap();
                prop_assert!(!body.contains(['\r', '\n', '\0']), "{line:?}");
            }
        }
    }
}
