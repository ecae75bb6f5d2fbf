//! The steps of an SMTP dialogue, each with its name, its phrase for messages and its time limit.
//!
//! Decides: how long RFC 5321 lets a server take. Must not: know what a reply means.

use std::time::Duration;

/// Where in the dialogue a reply came, or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Connecting, up to and including the greeting.
    Connect,
    /// EHLO, or HELO after its refusal.
    Helo,
    /// STARTTLS and the handshake after it.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// The DATA command: never sent by us, met when a bounce is explained.
    Data,
    /// The end of the message: never reached by us, met when a bounce is explained.
    Eod,
    /// RSET between two transactions.
    Rset,
    /// QUIT.
    Quit,
}

impl Stage {
    /// All stages, in the order of a dialogue.
    pub const ALL: [Stage; 9] = [
        Stage::Connect,
        Stage::Helo,
        Stage::StartTls,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Eod,
        Stage::Rset,
        Stage::Quit,
    ];

    /// The word in data files and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Connect => "connect",
            Stage::Helo => "helo",
            Stage::StartTls => "starttls",
            Stage::Mail => "mail",
            Stage::Rcpt => "rcpt",
            Stage::Data => "data",
            Stage::Eod => "eod",
            Stage::Rset => "rset",
            Stage::Quit => "quit",
        }
    }

    /// The stage of a word; `None` for any other text.
    pub fn from_word(word: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.word() == word)
    }

    /// How long a server may take to answer (RFC 5321, 4.5.3.2; QUIT and RSET are not in its list and get less,
    /// because nothing depends on them).
    pub fn time_limit(self) -> Duration {
        match self {
            Stage::Connect | Stage::Helo | Stage::StartTls | Stage::Mail | Stage::Rcpt => {
                Duration::from_secs(5 * 60)
            }
            Stage::Data => Duration::from_secs(2 * 60),
            Stage::Eod => Duration::from_secs(10 * 60),
            Stage::Rset => Duration::from_secs(60),
            Stage::Quit => Duration::from_secs(5),
        }
    }

    /// True where a refusal is about the session and can never be about a recipient.
    pub fn is_before_rcpt(self) -> bool {
        matches!(self, Stage::Connect | Stage::Helo | Stage::StartTls | Stage::Mail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_word(stage.word()), Some(stage));
        }
        assert_eq!(Stage::from_word("ehlo"), None);
    }
}
