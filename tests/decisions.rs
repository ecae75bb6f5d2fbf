//! The judgement: its whole table as a readable snapshot, and the one law as a property.

#![expect(clippy::unwrap_used, clippy::format_push_string, reason = "a failed fixture is a failed test")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use listproof::address::{Address, Domain};
use listproof::policy::replies::{Meaning, RuleId};
use listproof::reason::{Cause, Fault, Finding, Reason, Verdict};
use listproof::route::{Absence, DnsFault};
use listproof::smtp::{Reply, Stage};
use listproof::verdict::evidence::{
    Attempt, CatchAll, Evidence, Form, Inquired, Obstacle, Positive, Proof, RouteFact, Said, Slip, Trouble,
    Unprobed,
};
use listproof::verdict::{Confidence, Judgement, Kinds, decide};
use proptest::prelude::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn host(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn said(stage: Stage, code: u16, cause: Cause, if_about_mailbox: Option<Cause>) -> Said {
    let meaning = Meaning {
        cause,
        rule: RuleId::from("a-rule"),
        confidence: Confidence::Confirmed,
        if_about_mailbox,
        retry_in: None,
        blocklist: None,
    };
    Said { stage, reply: Reply::new(code, ["words"]), meaning: meaning.into() }
}

fn attempt(said: Said) -> Attempt {
    Attempt { exchanger: host("mx.acme.example"), at: NOW, said }
}

fn trouble(what: Obstacle) -> Arc<Trouble> {
    Arc::new(Trouble { exchanger: host("mx.acme.example"), at: NOW, what })
}

fn evidence(inquiry: Inquired) -> Evidence {
    Evidence {
        form: Form::Fine(Address::parse("jane@acme.example").unwrap()),
        kinds: Kinds::default(),
        slip: None,
        route: Some(RouteFact::Hosts { provider: "".into(), evidence: true }),
        inquiry,
    }
}

fn judge(evidence: &Evidence) -> Judgement {
    decide(evidence, NOW).0
}

fn row(out: &mut String, left: &str, evidence: &Evidence) {
    let judgement = judge(evidence);
    let retry = judgement.retry_after.and_then(|at| at.duration_since(NOW).ok());
    let retry = retry.map(|wait| humantime::format_duration(wait).to_string()).unwrap_or_default();
    let (reason, rule, confidence) = (judgement.reason, &judgement.rule, judgement.confidence.word());
    *out +=
        &format!("| {left} | {reason} | {} | {confidence} | {rule} | {retry} |\n", reason.verdict().word());
}

const HEAD: &str =
    "| evidence | reason | verdict | confidence | rule | retry in |\n|---|---|---|---|---|---|\n";

/// Every meaning of one reply at RCPT, permanent and transient, with no control beside it.
fn one_reply() -> String {
    let mut out = HEAD.to_owned();
    for &cause in Cause::ALL {
        let codes: &[u16] = if cause == Cause::Accepted { &[250] } else { &[550, 450] };
        for &code in codes {
            let attempts = vec![attempt(said(Stage::Rcpt, code, cause, None))];
            row(
                &mut out,
                &format!("{code} {}", cause.word()),
                &evidence(Inquired { attempts, ..Inquired::default() }),
            );
        }
    }
    out
}

/// An acceptance, by what the made-up name got.
fn acceptance() -> String {
    let blocked = trouble(Obstacle::Refused(Box::new(said(Stage::Rcpt, 450, Cause::Greylisted, None))));
    let gone = trouble(Obstacle::Broken(Finding::Disconnected));
    let states = [
        (
            "made-up name accepted",
            CatchAll::Yes(Arc::new(attempt(said(Stage::Rcpt, 250, Cause::Accepted, None)))),
        ),
        ("made-up name refused in clear words", CatchAll::No(Proof::Control)),
        ("made-up name refused in unclear words", CatchAll::No(Proof::UnclearControl)),
        ("listed names refused in clear words", CatchAll::No(Proof::Listed)),
        ("unclear about the made-up name, twice", CatchAll::Unclear),
        ("made-up name greylisted to the end", CatchAll::Failed(blocked)),
        ("hung up before the made-up name", CatchAll::Failed(gone)),
        ("made-up name not asked", CatchAll::NotAsked),
    ];
    let mut out = HEAD.to_owned();
    for (left, catch_all) in states {
        let attempts = vec![attempt(said(Stage::Rcpt, 250, Cause::Accepted, None))];
        let base = evidence(Inquired { attempts, catch_all, ..Inquired::default() });
        row(&mut out, &format!("accepted, {left}"), &base);
        let slip = Some(Slip { meant: "jane@acme-tools.example".to_owned(), probable: true });
        row(&mut out, &format!("accepted, {left}, probable typo"), &Evidence { slip, ..base });
    }
    out
}

/// Words that do not decide, by what the positive control got.
fn undecided() -> String {
    let mut out = HEAD.to_owned();
    for cause in [Cause::MailboxUnknown, Cause::RecipientPolicy] {
        for (left, positive) in [
            ("accepted", Positive::Accepted),
            ("refused in the same words", Positive::SameWords),
            ("silent", Positive::Silent),
            ("not asked", Positive::NotAsked),
        ] {
            let attempts = vec![attempt(said(Stage::Rcpt, 550, Cause::Ambiguous, Some(cause)))];
            let inquiry = Inquired { attempts, positive, ..Inquired::default() };
            row(
                &mut out,
                &format!("unclear, if about the mailbox {}; somebody else {left}", cause.word()),
                &evidence(inquiry),
            );
        }
    }
    out
}

/// What was found without a reply.
fn without_reply() -> String {
    let mut out = HEAD.to_owned();
    let address = || Address::parse("jane@acme.example").unwrap();
    let nothing = || evidence(Inquired::default());
    for (left, form) in [
        ("an empty cell", Form::Empty),
        ("no address", Form::Broken("no_at")),
        ("a name that the provider does not allow", Form::NotAllowed("provider_syntax.gmail".to_owned())),
        ("a special-use domain", Form::SpecialUse(address())),
        ("an address literal", Form::Literal(address())),
    ] {
        row(&mut out, left, &Evidence { form, route: None, ..nothing() });
    }
    for (left, route) in [
        ("a null MX", RouteFact::NullMx),
        ("no such domain", RouteFact::Absent(Absence::NoSuchDomain)),
        ("no mail host", RouteFact::Absent(Absence::NoMailHost)),
        ("MX on loopback", RouteFact::Unroutable),
        ("SERVFAIL", RouteFact::Failed(DnsFault::ServFail)),
        ("a resolver that rewrites", RouteFact::Failed(DnsFault::Rewritten)),
        ("an operator that can't be asked", RouteFact::Hosts { provider: "silent".into(), evidence: false }),
    ] {
        row(&mut out, left, &Evidence { route: Some(route), ..nothing() });
    }
    let kinds = Kinds { disposable: Some(true), ..Kinds::default() };
    row(&mut out, "a throw-away domain", &Evidence { kinds, ..nothing() });
    for unprobed in [
        Unprobed::Offline,
        Unprobed::DnsOnly,
        Unprobed::Deadline,
        Unprobed::Budget(Duration::from_secs(7200)),
        Unprobed::OperatorPaused,
    ] {
        let inquiry = Inquired { unprobed: Some(unprobed), ..Inquired::default() };
        row(&mut out, unprobed.word(), &evidence(inquiry));
    }
    for finding in [
        Finding::ConnectFailed,
        Finding::Timeout,
        Finding::Disconnected,
        Finding::MalformedReply,
        Finding::Smtputf8Unsupported,
    ] {
        let inquiry = Inquired { trouble: Some(trouble(Obstacle::Broken(finding))), ..Inquired::default() };
        row(&mut out, &format!("obstacle {}", finding.word()), &evidence(inquiry));
    }
    row(&mut out, "nothing at all", &nothing());
    out
}

#[test]
fn the_table_of_all_decisions() {
    let table = format!(
        "## One reply at RCPT, no control\n\n{}\n## Accepted\n\n{}\n## Refused in words that do not decide\n\n{}\n## Without a reply\n\n{}",
        one_reply(),
        acceptance(),
        undecided(),
        without_reply()
    );
    insta::assert_snapshot!(table);
}

#[test]
fn a_domain_takes_no_mail_only_when_two_exchangers_say_so() {
    let says = |name: &str| Attempt {
        exchanger: host(name),
        ..attempt(said(Stage::Rcpt, 556, Cause::DomainNoMail, None))
    };
    let one = Inquired {
        attempts: vec![says("mx1.acme.example"), says("mx1.acme.example")],
        ..Inquired::default()
    };
    assert_eq!(judge(&evidence(one)).reason, Cause::Ambiguous.into());
    let two = Inquired {
        attempts: vec![says("mx1.acme.example"), says("mx2.acme.example")],
        ..Inquired::default()
    };
    assert_eq!(judge(&evidence(two)).reason, Cause::DomainNoMail.into());
}

#[test]
fn an_operators_outage_holds_its_dead_mailboxes_back() {
    let attempts = vec![attempt(said(Stage::Rcpt, 550, Cause::MailboxUnknown, None))];
    let inquiry = Inquired { attempts, anomaly: true, ..Inquired::default() };
    assert_eq!(judge(&evidence(inquiry)).reason, Finding::OperatorAnomaly.into());
}

#[test]
fn relaying_denied_everywhere_condemns_only_hosts_that_serve_others() {
    let attempts = vec![attempt(said(Stage::Rcpt, 554, Cause::RelayDenied, None))];
    let denied = Inquired { attempts, ..Inquired::default() };
    assert_eq!(judge(&evidence(denied.clone())).reason, Cause::RelayDenied.into());
    let unserved = Inquired { unserved: true, ..denied };
    let judgement = judge(&evidence(unserved));
    assert_eq!(judgement.reason, Finding::DomainNotServed.into());
    assert_eq!(judgement.confidence, Confidence::Inferred);
}

fn any_cause() -> impl Strategy<Value = Cause> {
    prop::sample::select(Cause::ALL)
}

fn any_said() -> impl Strategy<Value = Said> {
    let stage = prop::sample::select(vec![Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt]);
    (stage, 200u16..600, any_cause(), prop::option::of(any_cause()))
        .prop_map(|(stage, code, cause, about)| said(stage, code, cause, about))
}

fn any_trouble() -> impl Strategy<Value = Arc<Trouble>> {
    prop_oneof![
        any_said().prop_map(|said| trouble(Obstacle::Refused(Box::new(said)))),
        prop::sample::select(Finding::ALL).prop_map(|finding| trouble(Obstacle::Broken(finding))),
    ]
}

fn any_catch_all() -> impl Strategy<Value = CatchAll> {
    prop_oneof![
        Just(CatchAll::NotAsked),
        Just(CatchAll::Unclear),
        prop::sample::select(vec![Proof::Control, Proof::UnclearControl, Proof::Listed])
            .prop_map(CatchAll::No),
        any_said().prop_map(|said| CatchAll::Yes(Arc::new(attempt(said)))),
        any_trouble().prop_map(CatchAll::Failed),
    ]
}

fn any_inquiry() -> impl Strategy<Value = Inquired> {
    let positive = prop::sample::select(vec![
        Positive::Accepted,
        Positive::SameWords,
        Positive::Silent,
        Positive::NotAsked,
    ]);
    let unprobed = prop::option::of(prop::sample::select(vec![Unprobed::Deadline, Unprobed::OperatorPaused]));
    let attempts = prop::collection::vec(any_said().prop_map(attempt), 0..4);
    (attempts, any_catch_all(), positive, prop::option::of(any_trouble()), unprobed).prop_map(
        |(attempts, catch_all, positive, trouble, unprobed)| Inquired {
            attempts,
            catch_all,
            positive,
            trouble,
            unprobed,
            unserved: false,
            anomaly: false,
        },
    )
}

/// Could this be a fact about the mailbox or the domain?
fn is_fact(said: &Said) -> bool {
    let about = |cause: Cause| matches!(cause.fault(), Fault::Mailbox | Fault::Domain | Fault::List);
    let cause = said.meaning.cause;
    about(cause) || (cause == Cause::Ambiguous && said.meaning.if_about_mailbox.is_some_and(about))
}

proptest! {
    #[test]
    fn nothing_about_us_ever_condemns(mut inquiry in any_inquiry()) {
        inquiry.attempts.retain(|attempt| !is_fact(&attempt.said));
        prop_assert_ne!(judge(&evidence(inquiry)).reason.verdict(), Verdict::Undeliverable);
    }

    #[test]
    fn only_a_permanent_reply_to_rcpt_condemns(mut inquiry in any_inquiry()) {
        inquiry.attempts.retain(|attempt| attempt.said.reply.code < 500 || attempt.said.stage != Stage::Rcpt);
        prop_assert_ne!(judge(&evidence(inquiry)).reason.verdict(), Verdict::Undeliverable);
    }

    #[test]
    fn a_transient_answer_never_worsens_a_verdict(inquiry in any_inquiry(), cause in any_cause()) {
        let before = judge(&evidence(inquiry.clone()));
        let mut later = inquiry;
        later.attempts.push(attempt(said(Stage::Rcpt, 450, cause, None)));
        let after = judge(&evidence(later));
        let condemned = |judgement: &Judgement| judgement.reason.verdict() == Verdict::Undeliverable;
        prop_assert!(!condemned(&after) || condemned(&before), "{before:?} became {after:?}");
    }

    #[test]
    fn deliverable_needs_an_acceptance_and_a_refused_control(inquiry in any_inquiry()) {
        let accepted = inquiry.attempts.iter().any(|Attempt { said, .. }| {
            said.stage == Stage::Rcpt && said.reply.is_positive() && said.meaning.cause == Cause::Accepted
        });
        let refused = matches!(inquiry.catch_all, CatchAll::No(_));
        let judgement = judge(&evidence(inquiry));
        prop_assert!(judgement.reason.verdict() != Verdict::Deliverable || (accepted && refused));
    }

    #[test]
    fn only_the_unknown_is_asked_again(inquiry in any_inquiry()) {
        let judgement = judge(&evidence(inquiry));
        prop_assert!(judgement.retry_after.is_none() || judgement.reason.verdict() == Verdict::Unknown);
        prop_assert!(judgement.reason != Reason::Found(Finding::Internal) || judgement.rule == "internal");
    }
}
