//! The command line of `verify` as it can be given again, for the commands that its summary names.
//!
//! Decides: which flags a run over the retry file keeps. Must not: repeat a password.

use clap::{ArgAction, Command};

use listproof::report::Rerun;

/// Flags that are about one run's outputs or about how its own list is written.
const ONLY_ONCE: [&str; 8] =
    ["output", "metrics_file", "fresh", "header_row", "no_header", "encoding", "sheet", "split_cells"];

/// The words of a command line, each flag with its value.
struct Words {
    /// The name of the flag, and its words; no name for what is no flag.
    parts: Vec<(Option<String>, Vec<String>)>,
}

/// The command line `words`, which begins with the name of the command.
pub(super) fn rerun(command: &Command, words: impl IntoIterator<Item = std::ffi::OsString>) -> Rerun {
    let none = Rerun { again: None, flags: None, keeps_answers: false };
    let words: Option<Vec<String>> = words.into_iter().map(|word| word.into_string().ok()).collect();
    let Some(words) = words.filter(|words| !words.iter().any(|word| is_secret(word))) else { return none };
    let Words { parts } = Words::of(command, &words);
    let kept = |drops: &dyn Fn(&str) -> bool| {
        let parts = parts.iter().filter(|(name, _)| name.as_deref().is_none_or(|name| !drops(name)));
        parts.flat_map(|(_, words)| words.iter().map(String::as_str)).collect::<Vec<&str>>()
    };
    let is_stdin = parts.iter().any(|(name, words)| name.is_none() && words.iter().any(|word| word == "-"));
    let same = kept(&|name| name == "fresh");
    let flags =
        parts.iter().filter(|(name, _)| name.as_deref().is_some_and(|name| !ONLY_ONCE.contains(&name)));
    let flags: Vec<&str> = flags.flat_map(|(_, words)| words.iter().map(String::as_str)).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" {}", Rerun::line(flags)) };
    let again = format!("listproof {} {}", command.get_name(), Rerun::line(same));
    Rerun { again: (!is_stdin).then_some(again), flags: Some(flags), keeps_answers: false }
}

/// True for an URL with a user or a password.
fn is_secret(word: &str) -> bool {
    word.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

impl Words {
    fn of(command: &Command, words: &[String]) -> Words {
        let mut parts: Vec<(Option<String>, Vec<String>)> = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let long = word.strip_prefix("--").filter(|name| !name.is_empty());
            let short =
                word.strip_prefix('-').filter(|rest| long.is_none() && !rest.is_empty() && *rest != "-");
            let (flag, has_value) = match (long, short) {
                (Some(name), _) => {
                    let (name, value) =
                        name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
                    (command.get_arguments().find(|arg| arg.get_long() == Some(name)), value.is_some())
                }
                (None, Some(rest)) => {
                    let letter = rest.chars().next();
                    let flag = command.get_arguments().find(|arg| arg.get_short() == letter);
                    (flag, rest.chars().count() > 1)
                }
                (None, None) => {
                    parts.push((None, vec![word.clone()]));
                    continue;
                }
            };
            let Some(flag) = flag else {
                parts.push((None, vec![word.clone()]));
                continue;
            };
            let takes_value = matches!(flag.get_action(), ArgAction::Set | ArgAction::Append);
            let mut part = vec![word.clone()];
            if let Some(end) = flag.get_value_terminator() {
                // A program with its arguments.
                let values = words.by_ref().map_while(|word| (word != end.as_str()).then(|| word.clone()));
                part.extend(values);
                part.push(end.to_string());
            } else if takes_value && !has_value {
                part.extend(words.next().cloned());
            }
            parts.push((Some(flag.get_id().to_string()), part));
        }
        Words { parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn of(words: &[&str]) -> Rerun {
        let command = Command::new("verify")
            .arg(Arg::new("input"))
            .arg(Arg::new("output").short('o').long("output"))
            .arg(Arg::new("helo").long("helo"))
            .arg(Arg::new("on_failure").long("on-failure").num_args(1..).value_terminator(";"))
            .arg(Arg::new("proxy").long("proxy"))
            .arg(Arg::new("fresh").long("fresh").action(ArgAction::SetTrue))
            .arg(Arg::new("quiet").short('q').action(ArgAction::SetTrue));
        rerun(&command, words.iter().map(Into::into))
    }

    #[test]
    fn the_same_command_is_quoted_and_the_retry_file_keeps_what_is_not_about_outputs() {
        let rerun = of(&["my list.csv", "-o", "out", "--helo=a.example", "--fresh", "-q"]);
        assert_eq!(rerun.again.unwrap(), "listproof verify 'my list.csv' -o out --helo=a.example -q");
        assert_eq!(rerun.flags.unwrap(), " --helo=a.example -q");
        let rerun = of(&["-oout", "--helo", "a.example", "list.csv"]);
        assert_eq!(rerun.again.unwrap(), "listproof verify -oout --helo a.example list.csv");
        assert_eq!(rerun.flags.unwrap(), " --helo a.example");
    }

    #[test]
    fn a_hook_ends_where_it_ended() {
        let rerun = of(&["list.csv", "--on-failure", "mail", "-s", "failed", ";", "-q"]);
        assert_eq!(rerun.again.unwrap(), "listproof verify list.csv --on-failure mail -s failed ';' -q");
        assert_eq!(rerun.flags.unwrap(), " --on-failure mail -s failed ';' -q");
    }

    #[test]
    fn a_list_from_stdin_has_no_same_command_and_a_password_is_not_repeated() {
        let rerun = of(&["-", "-o", "out"]);
        assert_eq!((rerun.again, rerun.flags.unwrap().as_str()), (None, ""));
        let rerun = of(&["list.csv", "--proxy", "socks5://me:secret@192.0.2.1:1080"]);
        assert_eq!((rerun.again, rerun.flags), (None, None));
    }
}
