//! The stages of an SMTP dialogue, each with its word and its time limit.
//!
//! Decides: how long a server may take at each stage (RFC 5321). Must not: know what a reply means.

use std::time::Duration;

/// The stage of a dialogue at which a reply came, or at which a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Connecting, up to and including the greeting.
    Connect,
    /// EHLO, or HELO after EHLO was rejected.
    Helo,
    /// STARTTLS and the TLS handshake after it.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// The DATA command. It is never sent; bounces that are explained may name it.
    Data,
    /// The end of the message. It is never reached; bounces that are explained may name it.
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

    /// The word for the stage in data files and JSON.
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

    /// How long a server may take to reply (RFC 5321 4.5.3.2). RSET and QUIT are not in the RFC's list; they get less,
    /// because no result depends on them.
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

    /// True for stages before RCPT: a rejection there is about us or the session, never about a recipient.
    pub fn is_before_rcpt(self) -> bool {
        matches!(self, Stage::Connect | Stage::Helo | Stage::StartTls | Stage::Mail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_maps_back_to_its_stage() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_word(stage.word()), Some(stage));
        }
        assert_eq!(Stage::from_word("ehlo"), None);
    }
}
