//! `explain` and `policy`: what a mail server's reply means, and which rule decides it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::print::{self, print};
use listproof::explain::{self, ExplainError, Explainer, LetterFacts};
use listproof::list::ListError;
use listproof::policy::{Policy, ReplyContext};
use listproof::{Error, Exit, Reply, Stage};

/// `listproof explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A reply in quotes, or a file: bounce message, mbox or mail log; `-` or nothing reads stdin.
    text: Option<String>,
    /// Read one object with `reply`, and optionally `stage` and `mx`, per line from stdin; print one object per line, in the
    /// same order.
    #[arg(long)]
    jsonl: bool,
    /// Write a letter to the receiver's postmaster about the first failure.
    #[arg(long, conflicts_with = "jsonl")]
    letter: bool,
    /// The IP address of the sending server, for the letter [default: the one in the reply].
    #[arg(long, value_name = "ADDR", requires = "letter")]
    ip: Option<IpAddr>,
    /// When the message was rejected, for the letter [default: as the bounce says].
    #[arg(long, value_name = "TIME", requires = "letter")]
    time: Option<String>,
    /// Print the advice on a topic, such as `warm_up` or `content`.
    #[arg(long, value_name = "ID", conflicts_with_all = ["text", "jsonl", "letter"])]
    topic: Option<String>,
    #[command(flatten)]
    policy: PolicyArg,
}

/// The folder of the user's policy.
#[derive(Debug, Args)]
pub(super) struct PolicyArg {
    /// A folder with your own policy files: they add to the shipped ones or replace entries.
    #[arg(long = "policy", env = "LISTPROOF_POLICY", hide_env_values = true, value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
}

/// `listproof policy`.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check your own files, and show what is loaded.
    Check {
        /// The folder with your files.
        folder: Option<PathBuf>,
    },
    /// Show which rule decides on a reply, and which other rules match.
    Show {
        /// The reply, in quotes.
        reply: String,
        /// The step that it answers: connect, helo, starttls, mail, rcpt, data or eod.
        #[arg(long, default_value = "rcpt")]
        stage: String,
        /// The MX host that sent it.
        #[arg(long, value_name = "HOST")]
        mx: Option<String>,
        #[command(flatten)]
        policy: PolicyArg,
    },
}

pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, Error> {
    if let Some(id) = &args.topic {
        return topic(id);
    }
    let policy = Policy::of(args.policy.folder.as_deref())?;
    let provider_of = |host: &str| policy.providers().id_of(host);
    let explainer = Explainer { rules: policy.replies(), provider_of: &provider_of };
    let out = BufWriter::new(io::stdout().lock());
    let explain = |mut input: Box<dyn BufRead>| {
        if args.letter {
            let mut text = Vec::new();
            input.read_to_end(&mut text).map_err(ExplainError::Read)?;
            let facts = LetterFacts { ip: args.ip, time: args.time.clone() };
            let mut out = out;
            return out
                .write_all(explainer.letter(&text, &facts).as_bytes())
                .and_then(|()| out.flush())
                .map_err(ExplainError::Write);
        }
        if args.jsonl { explainer.write_json_lines(input, out) } else { explainer.write_cards(input, out) }
    };
    let text = args.text.as_deref().filter(|text| *text != "-");
    let written = match text {
        None if args.text.is_none() && io::stdin().is_terminal() => return Err(nothing_to_explain()),
        None => explain(not_blank(io::stdin().lock(), args.jsonl, "stdin")?),
        Some(text) => match File::open(text) {
            Ok(file) => explain(not_blank(BufReader::new(file), args.jsonl, text)?),
            Err(_) if text.trim().is_empty() => return Err(nothing_to_explain()),
            Err(source) if !is_reply_text(text) => {
                let hint = "name an existing file, or give a reply with its code, in quotes".to_owned();
                return Err(Error::Usage { message: format!("cannot read `{text}`: {source}"), hint });
            }
            Err(_) => explain(Box::new(io::Cursor::new(text.to_owned()))),
        },
    };
    match written {
        Ok(()) => Ok(Exit::Finished),
        Err(ExplainError::Read(source)) => {
            Err(ListError::Read { name: text.unwrap_or("stdin").to_owned(), source }.into())
        }
        Err(ExplainError::Write(source)) => print::to_stdout(Err(source)).map(|()| Exit::Finished),
    }
}

fn topic(id: &str) -> Result<Exit, Error> {
    let Some(topic) = explain::topics().iter().find(|topic| topic.id == id) else {
        let ids: Vec<&str> = explain::topics().iter().map(|topic| topic.id.as_str()).collect();
        let hint = format!("the topics are {}", ids.join(", "));
        return Err(Error::Usage { message: format!("there is no topic `{id}`"), hint });
    };
    let mut text = format!("{}\n", topic.title);
    for (n, step) in topic.steps.iter().enumerate() {
        // Writing into a string can't fail.
        let _ = writeln!(text, "  {}. {step}", n + 1);
    }
    let _ = writeln!(text, "  source: {}", topic.source);
    print(&text).map(|()| Exit::Finished)
}

fn nothing_to_explain() -> Error {
    let hint = "give a reply in quotes, a bounce or a log: `listproof explain '550 5.1.1 User unknown'`";
    Error::Usage { message: "nothing to explain".to_owned(), hint: hint.to_owned() }
}

/// An input with some text; without any it is a usage error. `--jsonl` answers no lines with no lines.
fn not_blank(mut input: impl BufRead + 'static, jsonl: bool, name: &str) -> Result<Box<dyn BufRead>, Error> {
    let read = |source| Error::from(ListError::Read { name: name.to_owned(), source });
    if jsonl {
        return Ok(Box::new(input));
    }
    let mut blank = Vec::new();
    loop {
        let held = input.fill_buf().map_err(read)?;
        if held.is_empty() {
            return Err(nothing_to_explain());
        }
        if held.iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Ok(Box::new(io::Cursor::new(blank).chain(input)));
        }
        let length = held.len();
        blank.extend_from_slice(held);
        input.consume(length);
    }
}

/// Endings of the names of files that hold bounces and logs.
const FILE_ENDINGS: [&str; 6] = ["eml", "mbox", "msg", "log", "txt", "gz"];

/// True for the text of a reply. One word without a reply code, or a text that ends like the name of a file, can only be the
/// name of a file.
fn is_reply_text(text: &str) -> bool {
    let is_code = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.trim();
    let ending = text.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let is_file =
        !text.contains('\n') && ending.is_some_and(|ending| FILE_ENDINGS.contains(&ending.as_str()));
    text.get(..3).is_some_and(is_code) || (text.contains(char::is_whitespace) && !is_file)
}

pub(super) fn policy(command: &PolicyCommand) -> Result<Exit, Error> {
    match command {
        PolicyCommand::Check { folder } => {
            let policy = Policy::of(folder.as_deref())?;
            for rule in policy.replies().iter() {
                policy.replies().check(rule)?;
            }
            print(&policy.replies().loaded().to_string())?;
        }
        PolicyCommand::Show { reply, stage, mx, policy } => {
            let policy = Policy::of(policy.folder.as_deref())?;
            let usage = |message: String, hint: &str| Error::Usage { message, hint: hint.to_owned() };
            let stage = Stage::from_word(stage).ok_or_else(|| {
                usage(
                    format!("`{stage}` is not a step"),
                    "take connect, helo, starttls, mail, rcpt, data or eod",
                )
            })?;
            let reply = Reply::parse(reply.as_bytes())
                .map_err(|fault| usage(fault.to_string(), "write the reply with its code, in quotes"))?;
            let provider = mx.as_deref().and_then(|host| policy.providers().id_of(host));
            print(&policy.replies().trial(&reply, &ReplyContext { stage, provider }).to_string())?;
        }
    }
    Ok(Exit::Finished)
}
