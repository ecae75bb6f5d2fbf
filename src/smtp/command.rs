//! The commands that can be sent. There is no DATA and no BDAT: sending mail is impossible by type.
//!
//! Decides: how a command is written (RFC 5321 4.1.1, RFC 3207, RFC 6531 3.4). The command types of async-smtp write
//! everything that they accept. Written here is what they reject (letters beyond ASCII, quoted local parts with spaces
//! or angle brackets), what they lack (HELO), and RCPT, which is sent millions of times; a test compares it with
//! theirs.
//! Must not: decide which command is sent next.
//! Fails: never. One command is one line, whatever its arguments hold.

use std::fmt::{self, Write};

use async_smtp::EmailAddress;
use async_smtp::commands::{EhloCommand, MailCommand, QuitCommand, RsetCommand, StarttlsCommand};
use async_smtp::extension::{ClientId, MailParameter};

use crate::address::{Address, Domain};

/// One SMTP command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpCommand<'a> {
    /// EHLO with our name; its reply lists the server's extensions.
    Ehlo(&'a Domain),
    /// HELO with our name, for servers that do not know EHLO.
    Helo(&'a Domain),
    /// STARTTLS.
    StartTls,
    /// MAIL FROM: opens a transaction.
    Mail {
        /// The envelope sender.
        sender: &'a Address,
        /// True if an address of the transaction has letters beyond ASCII (RFC 6531 3.4).
        smtputf8: bool,
    },
    /// RCPT TO: probes one recipient.
    Rcpt(&'a Address),
    /// RSET: drops the transaction.
    Rset,
    /// QUIT.
    Quit,
}

impl SmtpCommand<'_> {
    /// Appends the command and its CR LF to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        // Neither `CommandLine` nor the `Display` implementations that write to it can fail.
        let _ = write!(CommandLine(out), "{self}");
        out.extend_from_slice(b"\r\n");
    }
}

/// The command without its line end.
impl fmt::Display for SmtpCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            SmtpCommand::Ehlo(name) => {
                without_line_end(f, &EhloCommand::new(ClientId::new(name.to_string())))
            }
            SmtpCommand::Helo(name) => write!(f, "HELO {name}"),
            SmtpCommand::StartTls => without_line_end(f, &StarttlsCommand),
            SmtpCommand::Mail { sender, smtputf8 } => match EmailAddress::new(sender.to_string()) {
                Ok(plain) => {
                    let parameters = smtputf8.then_some(MailParameter::SmtpUtfEight);
                    without_line_end(f, &MailCommand::new(Some(plain), parameters.into_iter().collect()))
                }
                Err(_) if smtputf8 => write!(f, "MAIL FROM:<{sender}> {}", MailParameter::SmtpUtfEight),
                Err(_) => write!(f, "MAIL FROM:<{sender}>"),
            },
            SmtpCommand::Rcpt(address) => write!(f, "RCPT TO:<{address}>"),
            SmtpCommand::Rset => without_line_end(f, &RsetCommand),
            SmtpCommand::Quit => without_line_end(f, &QuitCommand),
        }
    }
}

/// Writes a command of async-smtp without its line end.
fn without_line_end(f: &mut fmt::Formatter<'_>, command: &dyn fmt::Display) -> fmt::Result {
    write!(WithoutLineEnd(f), "{command}")
}

/// Removes the line ends that the commands of async-smtp write.
struct WithoutLineEnd<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for WithoutLineEnd<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(text.strip_suffix("\r\n").unwrap_or(text))
    }
}

/// A writer that replaces each control character by a space, as the last protection against SMTP injection. `Address`
/// and `Domain` hold no control characters by construction. If one ever did, the command would still be one command,
/// which the server rejects as malformed.
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

    fn written(command: SmtpCommand<'_>) -> String {
        let mut out = Vec::new();
        command.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_command_is_written_as_its_rfc_says() {
        let name = Domain::parse("probe.example").unwrap();
        let (plain, wide) = (address("ann@shop.example"), address("jürgen@shop.example"));
        let quoted = address("\"ann lee>\"@shop.example");
        let mail = |sender, smtputf8| written(SmtpCommand::Mail { sender, smtputf8 });
        for (line, expected) in [
            (written(SmtpCommand::Ehlo(&name)), "EHLO probe.example\r\n"),
            (written(SmtpCommand::Helo(&name)), "HELO probe.example\r\n"),
            (written(SmtpCommand::StartTls), "STARTTLS\r\n"),
            (mail(&plain, false), "MAIL FROM:<ann@shop.example>\r\n"),
            (mail(&plain, true), "MAIL FROM:<ann@shop.example> SMTPUTF8\r\n"),
            (mail(&wide, true), "MAIL FROM:<jürgen@shop.example> SMTPUTF8\r\n"),
            (mail(&quoted, false), "MAIL FROM:<\"ann lee>\"@shop.example>\r\n"),
            (written(SmtpCommand::Rcpt(&plain)), "RCPT TO:<ann@shop.example>\r\n"),
            (written(SmtpCommand::Rcpt(&wide)), "RCPT TO:<jürgen@shop.example>\r\n"),
            (written(SmtpCommand::Rcpt(&quoted)), "RCPT TO:<\"ann lee>\"@shop.example>\r\n"),
            (written(SmtpCommand::Rset), "RSET\r\n"),
            (written(SmtpCommand::Quit), "QUIT\r\n"),
        ] {
            assert_eq!(line, expected);
        }
    }

    proptest! {
        #[test]
        fn a_rcpt_is_written_as_async_smtp_writes_it(text in "[a-zA-Z0-9._+!#-]{1,20}@[a-z0-9.-]{1,20}|\"[ -~]{1,9}\"@a\\.example") {
            let Ok(address) = Address::parse(&text) else { return Ok(()) };
            if let Ok(plain) = EmailAddress::new(address.to_string()) {
                let theirs = RcptCommand::new(plain, Vec::new()).to_string();
                prop_assert_eq!(written(SmtpCommand::Rcpt(&address)), theirs);
            }
        }

        #[test]
        fn no_input_splits_a_command_into_two_lines(
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
                let line = written(command);
                let body = line.strip_suffix("\r\n").unwrap();
                prop_assert!(!body.contains(['\r', '\n', '\0']), "{line:?}");
            }
        }
    }
}
