//! `explain --jsonl`: one JSON object in, one out, in order.
//!
//! Decides: how a line that is no such object is answered (`ambiguous`, never an error: programs count lines).
//! Fails: only when the input can't be read or the output not be written.

use super::locate::{self, LocatedReply};
use super::{ExplainError, Explainer, Explanation};
use crate::smtp::{Reply, Stage};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, BufRead, Write};

/// What is asked.
#[derive(Deserialize)]
struct JsonRequest<'a> {
    #[serde(borrow)]
    reply: Cow<'a, str>,
    #[serde(borrow, default)]
    stage: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    mx: Option<Cow<'a, str>>,
}

/// What is answered.
#[derive(Serialize)]
struct JsonAnswer<'a> {
    reason: &'static str,
    fault: &'static str,
    verdict: &'static str,
    confidence: &'static str,
    retry: &'static str,
    rule: &'a str,
    advice: &'a str,
}

impl Explainer<'_> {
    /// Answers every line that is not blank.
    pub fn jsonl(&self, mut input: impl BufRead, mut output: impl Write) -> Result<(), ExplainError> {
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).map_err(ExplainError::Read)? > 0 {
            if !line.trim_ascii().is_empty() {
                let told = serde_json::to_writer(&mut output, &answer(&self.judge(question(&line))));
                told.map_err(io::Error::from)
                    .and_then(|()| output.write_all(b"\n"))
                    .map_err(ExplainError::Write)?;
            }
            line.clear();
        }
        output.flush().map_err(ExplainError::Write)
    }
}

/// The failure that a line asks about. A line that is no question is a reply without words, which nobody understands.
fn question(line: &[u8]) -> LocatedReply {
    let Ok(question) = serde_json::from_slice::<JsonRequest<'_>>(line) else {
        return LocatedReply {
            reply: Reply::new(0, [""; 0]),
            coded: false,
            stage: None,
            host: None,
            recipient: None,
        };
    };
    let (reply, coded) = locate::reply(&question.reply);
    let named = question.stage.as_deref().and_then(Stage::from_word);
    LocatedReply {
        reply,
        coded,
        stage: named.or_else(|| locate::stage_named(&question.reply)),
        host: match question.mx {
            Some(host) => Some(host.trim_end_matches('.').to_ascii_lowercase()),
            None => locate::host_named(&question.reply),
        },
        recipient: None,
    }
}

fn answer<'a>(explanation: &'a Explanation<'_>) -> JsonAnswer<'a> {
    let cause = explanation.meaning.cause;
    JsonAnswer {
        reason: cause.word(),
        fault: cause.fault().word(),
        verdict: cause.verdict().word(),
        confidence: explanation.meaning.confidence.word(),
        retry: cause.retry().word(),
        rule: explanation.meaning.rule.as_str(),
        advice: &explanation.advice.step,
    }
}
