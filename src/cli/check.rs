//! `check`: a few addresses as arguments or from stdin, and a card or a JSON object for each.

use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::time::Duration;

use clap::Args;

use super::log::{self, LogArgs};
use super::print::to_stdout;
use super::probe_args::ProbeArgs;
use super::process;
use listproof::list::{ListError, write_object};
use listproof::{AddressResult, Error, Exit, Verifier, report};

/// `listproof check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Addresses; without any they are read from stdin, one per line.
    addresses: Vec<String>,
    /// Print one JSON object per address.
    #[arg(long, conflicts_with_all = ["jsonl", "trace"])]
    json: bool,
    /// Read one JSON string, or object with `email`, per line from stdin; print one object per line, in the same order.
    #[arg(long, conflicts_with_all = ["addresses", "trace"])]
    jsonl: bool,
    /// Show the SMTP dialogue with each server.
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    probing: ProbeArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

pub(super) fn check(args: CheckArgs) -> Result<Exit, Error> {
    log::start(&args.log);
    let settings = args.probing.settings(Duration::ZERO)?;
    let addresses: Box<dyn Iterator<Item = Result<String, Error>>> = match &args.addresses[..] {
        [] => Box::new(stdin_addresses(args.jsonl)?),
        addresses => Box::new(addresses.iter().cloned().map(Ok)),
    };
    let mut printer = CheckPrinter {
        json: args.json || args.jsonl,
        out: BufWriter::new(io::stdout().lock()),
        line: Vec::new(),
    };
    let verifier = Verifier::new(settings)?;
    if let Some(mut offline) = verifier.offline_checker() {
        for address in addresses {
            let address = address?;
            printer.print_result(&address, &offline.check(&address)?)?;
        }
        return printer.finish(Exit::Finished);
    }
    let addresses: Vec<String> = addresses.collect::<Result<_, _>>()?;
    let cancel = process::cancel_on_signals()?;
    let outcome = verifier.block_on(verifier.check_many(&addresses, args.trace, &cancel))?;
    for (host, transcript) in &outcome.dialogues {
        printer.print(report::dialogue(host.as_str(), transcript).as_bytes())?;
        printer.print(b"\n")?;
    }
    for (address, result) in addresses.iter().zip(&outcome.results) {
        printer.print_result(address, result)?;
    }
    printer.finish(outcome.exit)
}

/// Prints cards or JSON objects.
struct CheckPrinter<W: Write> {
    json: bool,
    out: W,
    line: Vec<u8>,
}

impl<W: Write> CheckPrinter<W> {
    fn print_result(&mut self, address: &str, result: &AddressResult) -> Result<(), Error> {
        self.line.clear();
        if self.json {
            write_object(&mut self.line, address, result);
        } else {
            self.line.extend_from_slice(report::card(address, result).as_bytes());
            self.line.push(b'\n');
        }
        to_stdout(self.out.write_all(&self.line))
    }

    fn print(&mut self, bytes: &[u8]) -> Result<(), Error> {
        to_stdout(self.out.write_all(bytes))
    }

    fn finish(mut self, exit: Exit) -> Result<Exit, Error> {
        to_stdout(self.out.flush()).map(|()| exit)
    }
}

/// Addresses from stdin: one per line, or one JSON string or object with `email` per line.
fn stdin_addresses(json: bool) -> Result<impl Iterator<Item = Result<String, Error>>, Error> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Error::Usage {
            message: "no address given".to_owned(),
            hint: "write `listproof check someone@example.com`, or pipe addresses in, one per line"
                .to_owned(),
        });
    }
    let lines = BufReader::with_capacity(64 << 10, stdin.lock()).split(b'\n').enumerate();
    Ok(lines.filter_map(move |(index, line)| {
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
                message: format!("stdin:{}: neither a JSON string nor an object with `email`", index + 1),
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
