//! The command `man`: the manual page of the program or of one command.
//!
//! Decides: what a page has beside the flags: exit codes and files from the guide, the environment, examples. The guide is the
//! source of the tables; an example is one line of shell that the tests parse.

use clap::{Args, Command};
use clap_mangen::Man;

use super::print::{print, to_stdout};
use listproof::guide::chapter;
use listproof::{Error, Exit};

/// Which page.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command, such as `verify` or `state export`; without it, the page of the program.
    command: Vec<String>,
}

/// Examples, by the words of the command.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("", &["listproof verify contacts.csv --dns-only", "listproof guide exit-codes"]),
    (
        "verify",
        &[
            "listproof verify contacts.csv --helo probe.example.org --mail-from list-check@example.org",
            "listproof verify contacts.csv --offline -o out",
            "listproof verify samples/contacts.csv --world samples/world.toml -o out",
        ],
    ),
    ("plan", &["listproof plan contacts.csv"]),
    ("check", &["listproof check jane@example.org --trace", "listproof check jane@example.org --json"]),
    ("report", &["listproof report contacts.csv"]),
    ("state", &["listproof state stats", "listproof state prune --older-than 180d"]),
    ("explain", &["listproof explain '550 5.1.1 User unknown'", "listproof explain bounces.mbox"]),
    ("doctor", &["listproof doctor --helo probe.example.org --mail-from list-check@example.org"]),
    ("world", &["listproof world samples/world.toml --dns 127.0.0.1:5353 --smtp-port 2525"]),
    ("simulate", &["listproof simulate --rows 100000 --mix b2b --pace fast --seed 1"]),
    ("guide", &["listproof guide verdicts"]),
    ("completions", &["listproof completions bash"]),
    ("man", &["listproof man verify"]),
];

/// Variables that are no flag's. Those of flags stand beside their flags.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR", "Without colors, if it has a value."),
    ("PAGER", "Shows chapters of the guide."),
    ("STATE_DIRECTORY", "The folder of the state, before XDG_STATE_HOME and ~/.local/state/listproof."),
    ("TERM", "dumb: neither colors nor signs beyond ASCII."),
    ("TMPDIR", "The folder of temporary files: a list from stdin, and a compressed one."),
];

/// Prints the page.
pub(super) fn run(mut program: Command, args: &ManArgs) -> Result<Exit, Error> {
    program.build();
    let mut command = &program;
    for word in &args.command {
        command = command.find_subcommand(word).ok_or_else(|| Error::Setting {
            message: format!("there is no command `{}`", args.command.join(" ")),
            hint: "`listproof --help` lists the commands".to_owned(),
        })?;
    }
    let words = args.command.join(" ");
    let mut page = Vec::new();
    to_stdout(Man::new(command.clone()).render(&mut page))?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    let version = page.rfind(".SH VERSION").unwrap_or(page.len());
    let tail = page.split_off(version);
    page += &entries("EXIT STATUS", &table("exit-codes", "| code | means |"));
    if ["", "verify", "report"].contains(&words.as_str()) {
        page += &entries("FILES", &table("files", "| file | holds |"));
    }
    let variables: Vec<_> =
        ENVIRONMENT.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    page += &entries("ENVIRONMENT", &variables);
    if let Some((_, examples)) = EXAMPLES.iter().find(|(command, _)| *command == words) {
        page += ".SH EXAMPLES\n.nf\n";
        for line in *examples {
            page += &escaped(line);
            page += "\n";
        }
        page += ".fi\n";
    }
    page += ".SH SEE ALSO\nThe chapters of the guide: \\fBlistproof guide\\fR\n";
    print(&(page + &tail)).map(|()| Exit::Finished)
}

/// The rows of a table with two columns.
fn table(topic: &str, header: &str) -> Vec<(String, String)> {
    let text = chapter(topic).map_or("", |chapter| chapter.text);
    let rows = text.split_once(header).map_or("", |(_, rows)| rows).lines().skip(2);
    let rows = rows.map_while(|row| row.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.map(|(name, text)| (name.replace('`', ""), text.replace('`', ""))).collect()
}

/// A section with names and what they mean.
fn entries(title: &str, entries: &[(String, String)]) -> String {
    let entry =
        |(name, text): &(String, String)| format!(".TP\n\\fB{}\\fR\n{}\n", escaped(name), escaped(text));
    format!(".SH \"{title}\"\n{}", entries.iter().map(entry).collect::<String>())
}

/// A text in which nothing is a command of roff.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::program;

    #[test]
    fn each_example_is_a_command_line() {
        for line in EXAMPLES.iter().flat_map(|(_, lines)| *lines) {
            let words = line.replace('\'', "");
            let parsed = program().try_get_matches_from(words.split(' '));
            let is_quoted = line.contains('\'');
            assert!(is_quoted || parsed.is_ok(), "{line}: {:?}", parsed.err());
        }
    }

    #[test]
    fn the_tables_of_the_guide_are_found() {
        assert!(table("exit-codes", "| code | means |").len() > 8);
        assert!(table("files", "| file | holds |").len() > 8);
    }

    #[test]
    fn help_fits_eighty_columns() {
        fn check(command: &Command) {
            for help in [command.clone().render_help(), command.clone().render_long_help()] {
                for line in help.to_string().lines() {
                    assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                }
            }
            command.get_subcommands().for_each(check);
        }
        let mut program = program().term_width(80);
        program.build();
        check(&program);
    }
}
