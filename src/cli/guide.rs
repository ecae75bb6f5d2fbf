//! The command `guide`: a chapter on a terminal, through a pager; elsewhere its Markdown.
//!
//! Decides: `PAGER` pages, else `less`; without a pager the chapter is printed.

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::print::print;
use super::terminal;
use listproof::guide::{CHAPTERS, Chapter, chapter, render};
use listproof::{Error, Exit};

/// Which chapter.
#[derive(Debug, Args)]
pub(super) struct GuideArgs {
    /// The chapter; without it, all topics are listed.
    #[arg(value_parser = PossibleValuesParser::new(CHAPTERS.iter().map(|chapter| chapter.topic)))]
    topic: Option<String>,
}

/// Prints the chapter, or the list of topics.
pub(super) fn run(args: &GuideArgs) -> Result<Exit, Error> {
    let Some(topic) = &args.topic else { return print(&contents()).map(|()| Exit::Finished) };
    let Some(chapter) = chapter(topic) else { return Ok(Exit::Usage) };
    if !io::stdout().is_terminal() {
        return print(chapter.text).map(|()| Exit::Finished);
    }
    let style = terminal::style(false, true);
    let page = render(chapter.text, style.width, style.has_color);
    if page_through(&page).is_err() {
        print(&page)?;
    }
    Ok(Exit::Finished)
}

/// The topics, one a line.
fn contents() -> String {
    let line = |chapter: &Chapter| format!("{:14}{}\n", chapter.topic, chapter.title());
    CHAPTERS.iter().map(line).collect()
}

/// Shows the page in a pager. Fails if none starts.
fn page_through(page: &str) -> io::Result<()> {
    let pager = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
    let mut words = pager.as_deref().unwrap_or("less -FRX").split_whitespace();
    let mut pager = Command::new(words.next().unwrap_or("less")).args(words).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = pager.stdin.take() {
        // A reader who leaves before the end has seen enough.
        let _ = input.write_all(page.as_bytes());
    }
    pager.wait().map(drop)
}
