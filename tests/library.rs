//! The library as another program uses it: public names only, a token and a callback instead of signals and a terminal.
#![expect(clippy::unwrap_used, reason = "a test reads the samples and stops at what fails")]

use std::path::Path;

use listproof::report::Gates;
use listproof::settings::SettingsLayer;
use listproof::{
    CancelToken, Cause, Error, Exit, ListJob, Progress, Reason, Reply, Settings, Stage, Verdict, Verifier,
    classify,
};

const WORLD: &str = "samples/world.toml";
const LIST: &str = "samples/contacts.csv";

fn in_world() -> Verifier {
    Verifier::new(Settings::in_world(WORLD).unwrap()).unwrap()
}

#[test]
fn one_verifier_checks_one_address_after_the_other() {
    let verifier = in_world();
    for (address, verdict) in [
        ("jane.doe@acme-tools.example", Verdict::Deliverable),
        ("no.such@acme-tools.example", Verdict::Undeliverable),
        ("not an address", Verdict::Undeliverable),
        ("jane.doe@acme-tools.example", Verdict::Deliverable),
    ] {
        let result = verifier.block_on(verifier.check(address)).unwrap();
        assert_eq!(result.judgment.reason.verdict(), verdict, "{address}: {}", result.judgment.reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_runs_on_the_runtime_of_its_caller() {
    let result = in_world().check("jane.doe@acme-tools.example").await.unwrap();
    assert_eq!(result.judgment.reason, Reason::Reply(Cause::Accepted));
}

/// Compiles only if the jobs can move between the threads of a runtime.
#[test]
fn jobs_are_send() {
    fn is_send(_: &(impl Send + ?Sized)) {}
    let (verifier, cancel) = (in_world(), CancelToken::new());
    is_send(&verifier);
    is_send(&verifier.check("jane@acme.example"));
    is_send(&verifier.check_many(&["jane@acme.example"], true, &cancel));
    let list = ListJob::new(LIST).open().unwrap();
    is_send(&verifier.verify(list, &mut |_| (), &cancel));
}

fn verify(
    out: &Path,
    cancel: &CancelToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Exit, Error> {
    let verifier = in_world();
    let list = ListJob::new(LIST).into_folder(out).open()?;
    verifier.block_on(verifier.verify(list, progress, cancel)).map(|summary| summary.exit)
}

#[test]
fn progress_counts_every_recipient_and_ends_with_writing() {
    let out = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    verify(out.path(), &CancelToken::new(), &mut |progress| seen.push(progress)).unwrap();
    let Some(Progress::Probing { total, done: 0, connections: 0 }) = seen.first() else { panic!("{seen:?}") };
    assert_eq!(seen.last(), Some(&Progress::Writing));
    let done =
        |progress: &Progress| if let Progress::Probing { done, .. } = progress { Some(*done) } else { None };
    let counts: Vec<u64> = seen.iter().filter_map(done).collect();
    assert!(*total > 50 && counts.is_sorted() && counts.last() == Some(total), "{total}: {counts:?}");
}

#[test]
fn a_job_that_is_canceled_before_it_begins_writes_nothing() {
    let out = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    cancel.terminate();
    let ended = verify(out.path(), &cancel, &mut |_| ());
    assert!(matches!(ended, Err(Error::Stopped { exit: Exit::Terminated })), "{ended:?}");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn a_job_that_is_canceled_while_it_probes_writes_what_it_knows() {
    let out = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    let canceled = cancel.clone();
    let ended = verify(out.path(), &cancel, &mut |progress| {
        if matches!(progress, Progress::Probing { done, .. } if done > 20) {
            canceled.cancel();
        }
    });
    assert_eq!(ended.unwrap(), Exit::Interrupted);
    let results = std::fs::read_to_string(out.path().join("contacts.results.csv")).unwrap();
    assert_eq!(results.lines().count(), 98);
    assert!(results.contains(",deliverable,") && results.contains(",not_probed,"), "{results}");
}

#[test]
fn a_plan_contacts_no_server_and_a_report_needs_a_state() {
    let verifier = in_world();
    let list = ListJob::new(LIST).open().unwrap();
    let forecast = verifier.block_on(verifier.plan(&list)).unwrap();
    assert!(forecast.json()["questions"].as_u64().unwrap() > 50);
    let list = ListJob { gates: Gates::default(), ..ListJob::new(LIST) }.open().unwrap();
    let error = verifier.report(list, false, &CancelToken::new()).unwrap_err();
    assert_eq!(error.exit(), Exit::Misconfigured, "{error}");
}

#[test]
fn settings_without_a_sender_are_an_error_with_a_hint() {
    let error = Settings::new(SettingsLayer::default()).unwrap_err();
    assert_eq!(error.exit(), Exit::Misconfigured);
    assert!(error.hint().unwrap().contains("--helo"));
}

#[test]
fn a_reply_is_classified_by_its_stage_and_its_provider() {
    let reply = |text: &str| Reply::parse(text.as_bytes()).unwrap();
    let unknown = reply("550 5.1.1 <jane@example.org>: User unknown");
    assert_eq!(classify(unknown.clone(), Stage::Rcpt, None).meaning.cause, Cause::MailboxUnknown);
    let at_mail = classify(unknown, Stage::Mail, None);
    assert_ne!(
        at_mail.meaning.cause.verdict(),
        Verdict::Undeliverable,
        "before RCPT nothing is about a recipient"
    );
    let unavailable = reply("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).");
    let at_outlook =
        classify(unavailable.clone(), Stage::Rcpt, Some("outlook-com.olc.protection.outlook.com"));
    assert_eq!(at_outlook.meaning.rule.to_string(), "outlook-mailbox-unavailable");
    assert_ne!(classify(unavailable, Stage::Rcpt, None).meaning.rule, at_outlook.meaning.rule);
}
