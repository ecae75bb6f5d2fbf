//! The reply rules on replies: each rule on its own examples, and all rules on the recorded replies of `tests/replies/`.

#![expect(clippy::unwrap_used, reason = "a test that can't read its own data should stop")]

#[path = "replies/sentences.rs"]
mod sentences;

use proptest::prelude::*;

use listproof::explain;
use listproof::policy::{Policy, ReplyCache, ReplyContext, ReplyRule, ReplyRules, RuleFile};
use listproof::{Cause, Confidence, Fault, Reply, Stage, Verdict};

#[test]
fn every_rule_wins_on_its_own_examples_and_on_none_of_its_counter_examples() {
    let rules = ReplyRules::built_in();
    let faults: Vec<String> =
        rules.iter().filter_map(|rule| rules.check(rule).err()).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_rule_names_a_source() {
    let marks = ["RFC ", "://", " of Debian", "tests/replies/"];
    let rules = ReplyRules::built_in();
    let unfounded: Vec<_> = rules
        .iter()
        .filter(|rule| !marks.iter().any(|mark| rule.source().contains(mark)))
        .map(ReplyRule::id)
        .collect();
    assert!(unfounded.is_empty(), "{unfounded:?}");
}

#[test]
fn no_rule_is_replaced_by_another_of_its_name() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/data/replies");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
    let named: usize = texts.map(|text| text.lines().filter(|line| line.starts_with("id = ")).count()).sum();
    assert_eq!(named, ReplyRules::built_in().iter().count());
}

/// One line of `tests/replies/`.
struct Recorded {
    line: &'static str,
    cause: Cause,
    rule: &'static str,
    stage: Stage,
    provider: Option<&'static str>,
    reply: Reply,
}

fn recorded() -> Vec<Recorded> {
    let files = [
        include_str!("replies/documented.txt"),
        include_str!("replies/remembered.txt"),
        include_str!("replies/contrary.txt"),
        include_str!("replies/everyday.txt"),
        include_str!("replies/helpdesks.txt"),
        include_str!("replies/languages.txt"),
        include_str!("replies/threads.txt"),
        include_str!("replies/providers.txt"),
        include_str!("replies/programs.txt"),
        include_str!("replies/relayed.txt"),
        include_str!("replies/traps.txt"),
        include_str!("replies/gateways.txt"),
        include_str!("replies/maillogs.txt"),
        include_str!("replies/wild.txt"),
        include_str!("replies/checked.txt"),
        include_str!("replies/second.txt"),
        include_str!("replies/third.txt"),
    ];
    let lines =
        files.into_iter().flat_map(str::lines).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let record = |line: &'static str| {
        let parts: Vec<&str> = line.splitn(5, " | ").collect();
        let [cause, rule, stage, provider, reply] = parts[..] else { panic!("five columns: {line}") };
        Recorded {
            line,
            cause: Cause::from_word(cause).unwrap(),
            rule,
            stage: Stage::from_word(stage).unwrap(),
            provider: Some(provider).filter(|id| *id != "-"),
            reply: explain::extract_reply(&reply.replace("\\n", "\n")).0,
        }
    };
    lines.map(record).collect()
}

#[test]
fn a_cached_meaning_is_right_for_every_recipient() {
    let (rules, mut cache) = (ReplyRules::built_in(), ReplyCache::of(Policy::built_in()));
    for Recorded { line, stage, provider, reply, .. } in recorded() {
        let at = ReplyContext { stage, provider };
        for name in [None, Some("joe"), Some("ann.lee+x"), Some("550-eve")] {
            let mut reply = reply.clone();
            if let Some(name) = name {
                reply.lines.iter_mut().for_each(|text| *text = renamed(text, name));
            }
            assert_eq!(*cache.classify(&reply, &at), rules.classify(&reply, &at), "{line}, about {name:?}");
        }
    }
}

/// The text with another local part in each address.
fn renamed(text: &str, name: &str) -> String {
    let mut parts = text.split('@').peekable();
    let mut out = String::new();
    while let Some(part) = parts.next() {
        let named = part.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || ".+_-".contains(c));
        match parts.peek() {
            Some(_) => out.extend([named, name, "@"]),
            None => out.push_str(part),
        }
    }
    out
}

#[test]
fn recorded_replies_keep_their_meaning() {
    let rules = ReplyRules::built_in();
    let all = recorded();
    let (mut wrong, mut wrong_fault, mut wrongly_dead, mut missed_dead) = (Vec::new(), 0, 0, 0);
    for Recorded { line, cause, rule, stage, provider, reply } in &all {
        let meaning = rules.classify(reply, &ReplyContext { stage: *stage, provider: *provider });
        if (meaning.cause, meaning.rule.as_str()) != (*cause, *rule) {
            wrong.push(format!("{} by {}, not {line}", meaning.cause.word(), meaning.rule));
        }
        let is_dead = |cause: Cause| cause.verdict() == Verdict::Undeliverable;
        wrong_fault += usize::from(meaning.cause.fault() != cause.fault());
        wrongly_dead += usize::from(is_dead(meaning.cause) && !is_dead(*cause));
        missed_dead += usize::from(!is_dead(meaning.cause) && is_dead(*cause));
    }
    assert!(
        wrong.is_empty(),
        "of {} replies: {} causes and {wrong_fault} faults wrong, {wrongly_dead} wrongly dead, {missed_dead} dead missed\n{}",
        all.len(),
        wrong.len(),
        wrong.join("\n")
    );
}

/// Texts made of words from the examples of rules, so that random texts match many rules.
fn words() -> impl Strategy<Value = String> {
    let rules = ReplyRules::built_in();
    let examples: Vec<String> = rules.iter().flat_map(|rule| rule.examples().to_vec()).collect();
    let all: Vec<String> =
        examples.iter().flat_map(|reply| reply.split_whitespace().skip(1)).map(str::to_owned).collect();
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(all), 1..12).prop_map(|words| words.join(" ")),
        4 => prop::sample::select(examples).prop_map(|reply| reply.get(4..).unwrap_or("").to_owned()),
        1 => "\\PC{0,80}",
    ]
}

fn providers() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![
        None,
        Some("google"),
        Some("microsoft365"),
        Some("gmx"),
        Some("qq"),
        Some("barracuda"),
        Some("ironport"),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_deferral_never_makes_a_row_undeliverable(words in words(), code in 400u16..500, provider in providers()) {
        for stage in Stage::ALL {
            let meaning = ReplyRules::built_in().classify(&Reply::new(code, [&words]), &ReplyContext { stage, provider });
            prop_assert_ne!(meaning.cause.verdict(), Verdict::Undeliverable);
            prop_assert!(meaning.if_about_mailbox.is_none_or(|cause| cause.verdict() != Verdict::Undeliverable));
        }
    }

    #[test]
    fn a_rejection_before_rcpt_is_never_about_a_recipient(words in words(), code in 400u16..600, provider in providers()) {
        for stage in [Stage::Connect, Stage::Helo, Stage::StartTls, Stage::Mail] {
            let meaning = ReplyRules::built_in().classify(&Reply::new(code, [&words]), &ReplyContext { stage, provider });
            prop_assert!(matches!(meaning.cause.fault(), Fault::Us | Fault::Host | Fault::None), "{:?}", meaning);
            prop_assert_eq!(meaning.if_about_mailbox, None);
        }
    }

    #[test]
    fn an_acceptance_is_one_whatever_its_text(words in words(), provider in providers()) {
        let read = |code| ReplyRules::built_in().classify(&Reply::new(code, [&words]), &ReplyContext { stage: Stage::Rcpt, provider });
        prop_assert_eq!(read(250).cause, Cause::Accepted);
        prop_assert_eq!(read(252).cause, Cause::Ambiguous);
    }

    #[test]
    fn before_data_no_reply_is_about_the_message(words in words(), code in 400u16..600) {
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        let cause = ReplyRules::built_in().classify(&Reply::new(code, [&words]), &context).cause;
        prop_assert!(!matches!(cause, Cause::ContentRejected | Cause::MessageTooLarge));
    }
}

#[test]
fn a_clear_rejection_of_the_sender_never_confirms_a_dead_mailbox() {
    let rules = ReplyRules::built_in();
    let dead = [
        "User unknown",
        "No such user here",
        "mailbox unavailable",
        "Recipient address rejected: invalid mailbox",
    ];
    for rule in rules.iter().filter(|rule| rule.clearly_rejects_us()) {
        for example in rule.examples() {
            for words in dead {
                let reply = Reply::parse(format!("{example}. {words}").as_bytes()).unwrap();
                let meaning = rules.classify(&reply, &rule.example_context());
                let condemns = meaning.cause.verdict() == Verdict::Undeliverable;
                assert!(
                    !(condemns && meaning.confidence == Confidence::Confirmed),
                    "{reply} by {}",
                    meaning.rule
                );
            }
        }
    }
}

fn load(text: &str) -> Result<ReplyRules, listproof::policy::PolicyError> {
    ReplyRules::load(&[RuleFile { name: "mine.toml", text }])
}

#[test]
fn a_users_file_adds_and_replaces_rules_and_errors_name_file_and_line() {
    let read = |rules: &ReplyRules, reply: &str| {
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        rules.classify(&Reply::parse(reply.as_bytes()).unwrap(), &context).rule.to_string()
    };
    let own = "[[recipient]]\nid = \"own\"\ncause = \"mailbox_unknown\"\ntext = ['gone fishing']\nexample = [\"550 gone fishing\"]\nsource = \"me\"\n";
    assert_eq!(read(&load(own).unwrap(), "550 5.7.1 gone fishing"), "own");
    let replaced = own.replace("\"own\"", "\"no-such-mailbox\"");
    assert_ne!(read(&load(&replaced).unwrap(), "550 No such user here"), "no-such-mailbox");
    for (text, fault) in [
        (
            own.replace("550 gone", "550 not gone at all, no such user. Has not"),
            "mine.toml:1: rule `user-unknown` wins on",
        ),
        (own.replace("mailbox_unknown", "gone"), "mine.toml:1: `gone` is not a cause, in rule `own`"),
        (own.replace("source", "sauce"), "mine.toml:6: unknown field `sauce`"),
        (own.repeat(2), "mine.toml:7: rule `own` occurs twice, first in line 1"),
        (
            own.replace("gone fishing']", "gone (fishing']"),
            "mine.toml:1: the pattern `gone (fishing` of rule `own` is invalid",
        ),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.to_string().starts_with(fault) && !error.hint.is_empty(), "{error}");
    }
}

#[test]
fn waits_and_blocklists_are_read_from_the_text() {
    let read = |reply: &str| {
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        let meaning = ReplyRules::built_in().classify(&Reply::parse(reply.as_bytes()).unwrap(), &context);
        (meaning.retry_in.map(|wait| wait.as_secs()), meaning.blocklist)
    };
    for (reply, seconds) in [
        ("451 4.7.1 Greylisted for 5 minutes", Some(300)),
        ("450 4.2.0 Greylisted, please try again in 300 seconds", Some(300)),
        ("451 Greylisted, retry in 00:04:30", Some(270)),
        ("450 try again in 1 hour", Some(3600)),
        ("450 try again later", None),
        ("550 try again in 300 seconds", None),
        ("450 retry in 99999999999999999999 seconds", None),
    ] {
        assert_eq!(read(reply).0, seconds, "{reply}");
    }
    for (reply, list) in [
        ("554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", Some("zen.spamhaus.org")),
        ("550 192.0.2.1 is listed at bl.spamcop.net.", Some("bl.spamcop.net")),
        ("550 blocked, see https://www.spamhaus.org/query/ip/192.0.2.1", Some("Spamhaus")),
        ("550 Your IP is on our blacklist", None),
    ] {
        assert_eq!(read(reply).1.as_deref(), list, "{reply}");
    }
}
