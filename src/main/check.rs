//! `check`: a few addresses, typed or piped in, and a card or an object for each.

use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::time::Duration;

use crate::print::stdout;
use crate::{log, runtime};
use listproof::cli::CheckArgs;
use listproof::error::{Error, Exit};
use listproof::list::{ListError, write_object};
use listproof::report;
use listproof::run::{self, OfflineChecker};
use listproof::settings::{RunDepth, Settings};
use listproof::verdict::AddressResult;

pub(crate) fn check(typed: &CheckArgs) -> Result<Exit, Error> {
    log(&typed.telling);
    let settings = Settings::new(typed.probing.clone(), Duration::ZERO)?;
    let texts: Box<dyn Iterator<Item = Result<String, Error>>> = match &typed.addresses[..] {
        [] => Box::new(stdin_addresses(typed.jsonl)?),
        texts => Box::new(texts.iter().cloned().map(Ok)),
    };
    let mut told = CheckPrinter {
        json: typed.json || typed.jsonl,
        out: BufWriter::new(std::io::stdout().lock()),
        line: Vec::new(),
    };
    if matches!(settings.reach, RunDepth::Offline) {
        let mut offline = OfflineChecker::new(&settings)?;
        for text in texts {
            let text = text?;
            told.tell(&text, &offline.check(&text)?)?;
        }
        return told.end(Exit::Finished);
    }
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    let in_world = typed.probing.world.is_some();
    let checked = runtime(in_world)?.block_on(run::check(&texts, &settings, typed.trace))?;
    for (host, transcript) in &checked.dialogues {
        told.print(report::dialogue(host.as_str(), transcript).as_bytes())?;
        told.print(b"\n")?;
    }
    for (text, record) in texts.iter().zip(&checked.records) {
        told.tell(text, record)?;
    }
    told.end(checked.exit)
}

/// What `check` prints.
struct CheckPrinter<W: Write> {
    json: bool,
    out: W,
    line: Vec<u8>,
}

impl<W: Write> CheckPrinter<W> {
    fn tell(&mut self, text: &str, record: &AddressResult) -> Result<(), Error> {
        self.line.clear();
        if self.json {
            write_object(&mut self.line, text, record);
        } else {
            self.line.extend_from_slice(report::card(text, record).as_bytes());
            self.line.push(b'\n');
        }
        stdout(self.out.write_all(&self.line))
    }

    fn print(&mut self, bytes: &[u8]) -> Result<(), Error> {
        stdout(self.out.write_all(bytes))
    }

    fn end(mut self, exit: Exit) -> Result<Exit, Error> {
        stdout(self.out.flush()).map(|()| exit)
    }
}

/// Addresses from stdin: one per line, or one JSON string or object with `email` per line.
fn stdin_addresses(json: bool) -> Result<impl Iterator<Item = Result<String, Error>>, Error> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::Usage {
            message: "no address given".to_owned(),
            hint: "write `listproof check someone@example.com`, or pipe addresses in, one per line"
                .to_owned(),
        });
    }
    let lines = BufReader::with_capacity(64 << 10, stdin.lock()).split(b'\n').enumerate();
    Ok(lines.filter_map(move |(number, line)| {
        let line = match line {
            Ok(line) => line,
            Err(source) => {
                return Some(Err(ListError::Read { name: "stdin".to_owned(), source }.into()));
            }
        };
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if !json {
            return Some(Ok(String::from_utf8_lossy(line).into_owned()));
        }
        let email = (!line.trim_ascii().is_empty()).then(|| email_of(line))?;
        Some(email.ok_or_else(|| {
            Error::Usage {
                message: format!("stdin:{}: neither a JSON string nor an object with `email`", number + 1),
                hint:
                    "write one `\"someone@example.com\"` or `{\"email\": \"someone@example.com\"}` per line"
                        .to_owned(),
            }
        }))
    }))
}

fn email_of(line: &[u8]) -> Option<String> {
    match serde_json::from_slice(line).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Object(object) => object.get("email")?.as_str().map(str::to_owned),
        _ => None,
    }
}
