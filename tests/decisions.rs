//! The decision table as a readable snapshot, and as a property: our own trouble never makes an address undeliverable.

#![expect(clippy::unwrap_used, clippy::format_push_string, reason = "a failed fixture is a failed test")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use listproof::details::{
    AddressKinds, AddressStatus, Attempt, CatchAll, DnsFault, MailboxEvidence, Meaning, NoMailReason,
    NotCatchAllProof, NotProbedReason, Obstacle, ObstacleKind, PositiveControl, RouteFact, RuleId,
    SuspectedTypo,
};
use listproof::internals::verdict::decide;
use listproof::policy::Policy;
use listproof::{
    Address, Cause, ClassifiedReply, Confidence, Domain, Evidence, Fault, Finding, Judgment, Reason, Reply,
    Stage, Verdict,
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn host(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn classified(stage: Stage, code: u16, cause: Cause, if_about_mailbox: Option<Cause>) -> ClassifiedReply {
    let meaning = Meaning {
        cause,
        rule: RuleId::from("a-rule"),
        confidence: Confidence::Confirmed,
        if_about_mailbox,
        retry_in: None,
        blocklist: None,
    };
    ClassifiedReply { stage, reply: Reply::new(code, ["words"]), meaning: meaning.into() }
}

fn attempt(classified: ClassifiedReply) -> Attempt {
    Attempt { mx_host: host("mx.acme.example"), at: NOW, classified }
}

fn obstacle(kind: ObstacleKind) -> Arc<Obstacle> {
    Arc::new(Obstacle { mx_host: host("mx.acme.example"), at: NOW, kind })
}

fn evidence(mailbox: MailboxEvidence) -> Evidence {
    Evidence {
        status: AddressStatus::Valid(Address::parse("jane@acme.example").unwrap()),
        kinds: AddressKinds::default(),
        typo: None,
        route: Some(RouteFact::Hosts { provider: "".into(), is_checkable: true }),
        mailbox,
    }
}

fn judge(evidence: &Evidence) -> Judgment {
    decide(evidence, NOW, |retry| Policy::built_in().later_run(retry)).0
}

fn row(out: &mut String, left: &str, evidence: &Evidence) {
    let judgment = judge(evidence);
    let retry = judgment.retry_after.and_then(|at| at.duration_since(NOW).ok());
    let retry = retry.map(|wait| humantime::format_duration(wait).to_string()).unwrap_or_default();
    let (reason, rule, confidence) = (judgment.reason, &judgment.rule, judgment.confidence.word());
    *out +=
        &format!("| {left} | {reason} | {} | {confidence} | {rule} | {retry} |\n", reason.verdict().word());
}

const HEAD: &str =
    "| evidence | reason | verdict | confidence | rule | retry in |\n|---|---|---|---|---|---|\n";

/// Each cause as the only reply to RCPT, permanent and transient, without a control.
fn one_reply() -> String {
    let mut out = HEAD.to_owned();
    for &cause in Cause::ALL {
        let codes: &[u16] = if cause == Cause::Accepted { &[250] } else { &[550, 450] };
        for &code in codes {
            let attempts = vec![attempt(classified(Stage::Rcpt, code, cause, None))];
            row(
                &mut out,
                &format!("{code} {}", cause.word()),
                &evidence(MailboxEvidence { attempts, ..MailboxEvidence::default() }),
            );
        }
    }
    out
}

/// An acceptance, by the reply to the control.
fn acceptance() -> String {
    let blocked =
        obstacle(ObstacleKind::Rejected(Box::new(classified(Stage::Rcpt, 450, Cause::Greylisted, None))));
    let gone = obstacle(ObstacleKind::NoReply(Finding::Disconnected));
    let states = [
        (
            "random recipient accepted",
            CatchAll::Yes(Arc::new(attempt(classified(Stage::Rcpt, 250, Cause::Accepted, None)))),
        ),
        ("random recipient clearly rejected", CatchAll::No(NotCatchAllProof::Control)),
        ("random recipient rejected with an ambiguous text", CatchAll::No(NotCatchAllProof::UnclearControl)),
        ("listed recipients clearly rejected", CatchAll::No(NotCatchAllProof::Listed)),
        ("two ambiguous replies to the random recipient", CatchAll::Unclear),
        ("random recipient greylisted until the end", CatchAll::Failed(blocked)),
        ("disconnected before the random recipient", CatchAll::Failed(gone)),
        ("random recipient not probed", CatchAll::NotTested),
    ];
    let mut out = HEAD.to_owned();
    for (left, catch_all) in states {
        let attempts = vec![attempt(classified(Stage::Rcpt, 250, Cause::Accepted, None))];
        let base = evidence(MailboxEvidence { attempts, catch_all, ..MailboxEvidence::default() });
        row(&mut out, &format!("accepted, {left}"), &base);
        let typo = Some(SuspectedTypo { meant: "jane@acme-tools.example".to_owned(), probable: true });
        row(&mut out, &format!("accepted, {left}, probable typo"), &Evidence { typo, ..base });
    }
    out
}

/// An ambiguous rejection, by the reply to the positive control.
fn undecided() -> String {
    let mut out = HEAD.to_owned();
    for cause in [Cause::MailboxUnknown, Cause::RecipientPolicy] {
        for (left, positive) in [
            ("accepted", PositiveControl::Accepted),
            ("rejected with the same text", PositiveControl::SameText),
            ("inconclusive", PositiveControl::Inconclusive),
            ("not sent", PositiveControl::NotSent),
        ] {
            let attempts = vec![attempt(classified(Stage::Rcpt, 550, Cause::Ambiguous, Some(cause)))];
            let mailbox =
                MailboxEvidence { attempts, positive_control: positive, ..MailboxEvidence::default() };
            row(
                &mut out,
                &format!("ambiguous, {} if about the mailbox; positive control {left}", cause.word()),
                &evidence(mailbox),
            );
        }
    }
    out
}

/// Evidence without a reply.
fn without_reply() -> String {
    let mut out = HEAD.to_owned();
    let address = || Address::parse("jane@acme.example").unwrap();
    let nothing = || evidence(MailboxEvidence::default());
    for (left, status) in [
        ("an empty cell", AddressStatus::Empty),
        ("an excluded address", AddressStatus::Excluded(address())),
        ("no address", AddressStatus::Invalid("no_at")),
        (
            "a name that the provider does not allow",
            AddressStatus::ProviderSyntax(address(), "provider_syntax.gmail".to_owned()),
        ),
        ("a special-use domain", AddressStatus::SpecialUse(address())),
        ("an address literal", AddressStatus::Literal(address())),
    ] {
        row(&mut out, left, &Evidence { status, route: None, ..nothing() });
    }
    for (left, route) in [
        ("a null MX", RouteFact::NullMx),
        ("no such domain", RouteFact::Absent(NoMailReason::NoSuchDomain)),
        ("no mail host", RouteFact::Absent(NoMailReason::NoMailHost)),
        ("MX on loopback", RouteFact::Unroutable),
        ("SERVFAIL", RouteFact::Failed(DnsFault::ServFail)),
        ("a resolver that rewrites", RouteFact::Failed(DnsFault::Rewritten)),
        (
            "a provider that can't be checked",
            RouteFact::Hosts { provider: "silent".into(), is_checkable: false },
        ),
    ] {
        row(&mut out, left, &Evidence { route: Some(route), ..nothing() });
    }
    let kinds = AddressKinds { disposable: Some(true), ..AddressKinds::default() };
    row(&mut out, "a disposable domain", &Evidence { kinds, ..nothing() });
    for unprobed in [
        NotProbedReason::Offline,
        NotProbedReason::DnsOnly,
        NotProbedReason::Deadline,
        NotProbedReason::Budget(Duration::from_secs(7200)),
        NotProbedReason::ProviderPaused,
    ] {
        let mailbox = MailboxEvidence { unprobed: Some(unprobed), ..MailboxEvidence::default() };
        row(&mut out, unprobed.word(), &evidence(mailbox));
    }
    for finding in [
        Finding::ConnectFailed,
        Finding::Timeout,
        Finding::Disconnected,
        Finding::MalformedReply,
        Finding::Smtputf8Unsupported,
    ] {
        let mailbox = MailboxEvidence {
            obstacle: Some(obstacle(ObstacleKind::NoReply(finding))),
            ..MailboxEvidence::default()
        };
        row(&mut out, &format!("obstacle {}", finding.word()), &evidence(mailbox));
    }
    row(&mut out, "nothing at all", &nothing());
    out
}

#[test]
fn the_table_of_all_decisions() {
    let table = format!(
        "## One reply at RCPT, no control\n\n{}\n## Accepted\n\n{}\n## Rejected with an ambiguous text\n\n{}\n## Without a reply\n\n{}",
        one_reply(),
        acceptance(),
        undecided(),
        without_reply()
    );
    insta::assert_snapshot!(table);
}

#[test]
fn a_domain_takes_no_mail_only_when_two_mx_hosts_say_so() {
    let says = |name: &str| Attempt {
        mx_host: host(name),
        ..attempt(classified(Stage::Rcpt, 556, Cause::DomainNoMail, None))
    };
    let one = MailboxEvidence {
        attempts: vec![says("mx1.acme.example"), says("mx1.acme.example")],
        ..MailboxEvidence::default()
    };
    assert_eq!(judge(&evidence(one)).reason, Cause::Ambiguous.into());
    let two = MailboxEvidence {
        attempts: vec![says("mx1.acme.example"), says("mx2.acme.example")],
        ..MailboxEvidence::default()
    };
    assert_eq!(judge(&evidence(two)).reason, Cause::DomainNoMail.into());
}

#[test]
fn an_outage_of_a_provider_holds_back_its_unknown_mailboxes() {
    let attempts = vec![attempt(classified(Stage::Rcpt, 550, Cause::MailboxUnknown, None))];
    let mailbox = MailboxEvidence { attempts, provider_anomaly: true, ..MailboxEvidence::default() };
    assert_eq!(judge(&evidence(mailbox)).reason, Finding::ProviderAnomaly.into());
}

#[test]
fn relaying_denied_everywhere_is_a_fact_only_at_mx_hosts_that_serve_others() {
    let attempts = vec![attempt(classified(Stage::Rcpt, 554, Cause::RelayDenied, None))];
    let denied = MailboxEvidence { attempts, ..MailboxEvidence::default() };
    assert_eq!(judge(&evidence(denied.clone())).reason, Cause::RelayDenied.into());
    let not_served = MailboxEvidence { domain_not_served: true, ..denied };
    let judgment = judge(&evidence(not_served));
    assert_eq!(judgment.reason, Finding::DomainNotServed.into());
    assert_eq!(judgment.confidence, Confidence::Inferred);
}

fn any_cause() -> impl Strategy<Value = Cause> {
    prop::sample::select(Cause::ALL)
}

fn any_classified() -> impl Strategy<Value = ClassifiedReply> {
    let stage = prop::sample::select(vec![Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt]);
    (stage, 200u16..600, any_cause(), prop::option::of(any_cause()))
        .prop_map(|(stage, code, cause, about)| classified(stage, code, cause, about))
}

fn any_obstacle() -> impl Strategy<Value = Arc<Obstacle>> {
    prop_oneof![
        any_classified().prop_map(|classified| obstacle(ObstacleKind::Rejected(Box::new(classified)))),
        prop::sample::select(Finding::ALL).prop_map(|finding| obstacle(ObstacleKind::NoReply(finding))),
    ]
}

fn any_catch_all() -> impl Strategy<Value = CatchAll> {
    prop_oneof![
        Just(CatchAll::NotTested),
        Just(CatchAll::Unclear),
        prop::sample::select(vec![
            NotCatchAllProof::Control,
            NotCatchAllProof::UnclearControl,
            NotCatchAllProof::Listed
        ])
        .prop_map(CatchAll::No),
        any_classified().prop_map(|classified| CatchAll::Yes(Arc::new(attempt(classified)))),
        any_obstacle().prop_map(CatchAll::Failed),
    ]
}

fn any_mailbox() -> impl Strategy<Value = MailboxEvidence> {
    let positive = prop::sample::select(vec![
        PositiveControl::Accepted,
        PositiveControl::SameText,
        PositiveControl::Inconclusive,
        PositiveControl::NotSent,
    ]);
    let unprobed = prop::option::of(prop::sample::select(vec![
        NotProbedReason::Offline,
        NotProbedReason::DnsOnly,
        NotProbedReason::Deadline,
        NotProbedReason::Budget(Duration::from_secs(7200)),
        NotProbedReason::ProviderPaused,
    ]));
    let attempts = prop::collection::vec(any_classified().prop_map(attempt), 0..4);
    let obstacle = prop::option::of(any_obstacle());
    (attempts, any_catch_all(), positive, obstacle, unprobed, any::<bool>(), any::<bool>()).prop_map(
        |(attempts, catch_all, positive, obstacle, unprobed, unserved, anomaly)| MailboxEvidence {
            attempts,
            catch_all,
            positive_control: positive,
            obstacle,
            unprobed,
            domain_not_served: unserved,
            provider_anomaly: anomaly,
        },
    )
}

/// True if this may be a fact about the mailbox or the domain.
fn may_be_fact(classified: &ClassifiedReply) -> bool {
    let about = |cause: Cause| matches!(cause.fault(), Fault::Mailbox | Fault::Domain | Fault::List);
    let cause = classified.meaning.cause;
    about(cause) || (cause == Cause::Ambiguous && classified.meaning.if_about_mailbox.is_some_and(about))
}

proptest! {
    #[test]
    fn nothing_about_us_ever_makes_a_row_undeliverable(mut mailbox in any_mailbox()) {
        // Where the MX host serves other domains, "relaying denied" is a fact about this one.
        mailbox.domain_not_served = false;
        mailbox.attempts.retain(|attempt| !may_be_fact(&attempt.classified));
        prop_assert_ne!(judge(&evidence(mailbox)).reason.verdict(), Verdict::Undeliverable);
    }

    #[test]
    fn only_a_permanent_reply_to_rcpt_makes_a_row_undeliverable(mut mailbox in any_mailbox()) {
        mailbox.attempts.retain(|attempt| attempt.classified.reply.code < 500 || attempt.classified.stage != Stage::Rcpt);
        prop_assert_ne!(judge(&evidence(mailbox)).reason.verdict(), Verdict::Undeliverable);
    }

    #[test]
    fn a_transient_answer_never_worsens_a_verdict(mailbox in any_mailbox(), cause in any_cause()) {
        let before = judge(&evidence(mailbox.clone()));
        let mut later = mailbox;
        later.attempts.push(attempt(classified(Stage::Rcpt, 450, cause, None)));
        let after = judge(&evidence(later));
        let is_undeliverable = |judgment: &Judgment| judgment.reason.verdict() == Verdict::Undeliverable;
        prop_assert!(!is_undeliverable(&after) || is_undeliverable(&before), "{before:?} became {after:?}");
    }

    #[test]
    fn deliverable_needs_an_acceptance_and_a_rejected_control(mailbox in any_mailbox()) {
        let accepted = mailbox.attempts.iter().any(|Attempt { classified, .. }| {
            classified.stage == Stage::Rcpt && classified.reply.is_positive() && classified.meaning.cause == Cause::Accepted
        });
        let no_catch_all = matches!(mailbox.catch_all, CatchAll::No(_));
        let judgment = judge(&evidence(mailbox));
        prop_assert!(judgment.reason.verdict() != Verdict::Deliverable || (accepted && no_catch_all));
    }

    #[test]
    fn only_an_unknown_row_is_retried(mailbox in any_mailbox()) {
        let judgment = judge(&evidence(mailbox));
        prop_assert!(judgment.retry_after.is_none() || judgment.reason.verdict() == Verdict::Unknown);
        prop_assert!(judgment.reason != Reason::Finding(Finding::Internal) || judgment.rule == "internal");
    }
}
