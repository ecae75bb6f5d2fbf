//! The one place where an address gets its verdict: a pure, total function from [`Evidence`].
//!
//! Decides: the reason, by this table, first line that holds:
//!
//! | # | holds | reason | confidence |
//! |---|---|---|---|
//! | 1 | the row has no usable address | `empty`, `syntax`, `provider_syntax`, `special_use_domain` | confirmed |
//! | 2 | an address literal that was not asked about | `address_literal` | inferred |
//! | 3 | the DNS says where mail can't go | `domain_not_found`, `no_mail_host`, `null_mx`; `mx_unroutable` (inferred) | confirmed |
//! | 4 | a server said something definite about the mailbox or domain | its cause | the rule's |
//! | 5 | something stood in the way: DNS, network, us, time | its cause | inferred |
//! | 6 | the domain is a throw-away service | `disposable` | inferred |
//! | 7 | the domain looks like a slip | `probable_typo` | inferred |
//! | 8 | the operator can't be asked, or accepts any name | `not_checkable`, `catch_all`, `catch_all_unknown` | inferred |
//! | 9 | accepted, and the control was refused | `accepted` | confirmed, or inferred by an unclear control |
//! | 10 | nothing was asked, as ordered | `not_probed` | inferred |
//!
//! Must not: look at a clock, a table of providers, or the text of a reply. What can't be known from the evidence stays
//! unknown: no line condemns by default.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::evidence::{
    Attempt, CatchAll, Evidence, Form, Inquired, Obstacle, Positive, Proof, RouteFact, Said, Trouble,
    Unprobed,
};
use super::record::{Confidence, Judgement};
use crate::address::{Address, Domain};
use crate::policy::replies::{Meaning, RuleId};
use crate::reason::{Cause, Fault, Finding, Reason, Retry, Verdict};
use crate::route::{Absence, DnsFault};
use crate::smtp::Reply;

/// The words that decided, and who said them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grounds<'a> {
    /// Who.
    pub exchanger: &'a Domain,
    /// What; `None` where nothing was said.
    pub reply: Option<&'a Reply>,
    /// When.
    pub at: SystemTime,
}

impl<'a> From<&'a Attempt> for Grounds<'a> {
    fn from(attempt: &'a Attempt) -> Grounds<'a> {
        Grounds { exchanger: &attempt.exchanger, reply: Some(&attempt.said.reply), at: attempt.at }
    }
}

impl<'a> From<&'a Trouble> for Grounds<'a> {
    fn from(trouble: &'a Trouble) -> Grounds<'a> {
        let reply = match &trouble.what {
            Obstacle::Refused(said) => Some(&said.reply),
            Obstacle::Broken(_) => None,
        };
        Grounds { exchanger: &trouble.exchanger, reply, at: trouble.at }
    }
}

/// Judges. `now` is the end of the run; it only dates the retry of what was never asked. With the judgement come its
/// grounds, where a server gave them.
pub fn decide(evidence: &Evidence, now: SystemTime) -> (Judgement, Option<Grounds<'_>>) {
    let ruling = by_form(&evidence.form)
        .or_else(|| by_route(evidence.route.as_ref()))
        .or_else(|| by_replies(evidence).filter(Ruling::is_definite))
        .or_else(|| by_trouble(evidence))
        .or_else(|| by_kind(evidence))
        .or_else(|| by_acceptance(evidence))
        .unwrap_or_else(|| by_silence(&evidence.inquiry));
    let grounds = ruling.grounds.clone();
    (ruling.judgement(now), grounds)
}

/// The id of the rule that decided. Most rows of a list get one of ours, which costs nothing.
enum Rule<'a> {
    Ours(&'static str),
    /// With a detail behind it: a fault, an operator.
    Detailed(&'static str, &'a str),
    /// By the policy's data.
    Listed(&'a str),
}

impl From<Rule<'_>> for Cow<'static, str> {
    fn from(rule: Rule<'_>) -> Cow<'static, str> {
        match rule {
            Rule::Ours(id) => id.into(),
            Rule::Detailed(id, detail) => format!("{id}.{detail}").into(),
            Rule::Listed(id) => id.to_owned().into(),
        }
    }
}

impl From<&'static str> for Rule<'_> {
    fn from(id: &'static str) -> Self {
        Rule::Ours(id)
    }
}

impl<'a> From<&'a RuleId> for Rule<'a> {
    fn from(id: &'a RuleId) -> Self {
        Rule::Listed(id.as_str())
    }
}

/// A reason with its grounds.
struct Ruling<'a> {
    reason: Reason,
    rule: Rule<'a>,
    confidence: Confidence,
    grounds: Option<Grounds<'a>>,
    /// How long to wait, where the evidence says it.
    wait: Option<Duration>,
}

impl<'a> Ruling<'a> {
    fn confirmed(reason: impl Into<Reason>, rule: impl Into<Rule<'a>>) -> Ruling<'a> {
        Ruling {
            reason: reason.into(),
            rule: rule.into(),
            confidence: Confidence::Confirmed,
            grounds: None,
            wait: None,
        }
    }

    fn inferred(reason: impl Into<Reason>, rule: impl Into<Rule<'a>>) -> Ruling<'a> {
        Ruling { confidence: Confidence::Inferred, ..Ruling::confirmed(reason, rule) }
    }

    /// About the mailbox or its domain, and for good or at least for days.
    fn is_definite(&self) -> bool {
        matches!(self.reason.verdict(), Verdict::Undeliverable | Verdict::Risky)
    }

    fn judgement(self, now: SystemTime) -> Judgement {
        let unknown = self.reason.verdict() == Verdict::Unknown;
        let wait = self.wait.or_else(|| usual_wait(self.reason.retry())).filter(|_| unknown);
        Judgement {
            reason: self.reason,
            rule: self.rule.into(),
            confidence: self.confidence,
            retry_after: wait.map(|wait| self.grounds.as_ref().map_or(now, |grounds| grounds.at) + wait),
        }
    }
}

/// How long to wait where the server did not say it; `None` where time alone changes nothing.
fn usual_wait(retry: Retry) -> Option<Duration> {
    const MINUTE: u64 = 60;
    match retry {
        Retry::No | Retry::AfterDelisting | Retry::AfterRepair | Retry::Days => None,
        Retry::WithTls | Retry::OtherExchanger => Some(Duration::ZERO),
        Retry::AsTold => Some(Duration::from_secs(15 * MINUTE)),
        Retry::Once | Retry::Later | Retry::Slower | Retry::Hour => Some(Duration::from_secs(60 * MINUTE)),
        Retry::Day => Some(Duration::from_secs(24 * 60 * MINUTE)),
    }
}

fn by_form(form: &Form) -> Option<Ruling<'_>> {
    Some(match form {
        Form::Empty => Ruling::confirmed(Finding::Empty, "empty"),
        Form::Broken(fault) => Ruling::confirmed(Finding::Syntax, Rule::Detailed("syntax", fault)),
        Form::NotAllowed(rule) => Ruling::confirmed(Finding::ProviderSyntax, Rule::Listed(rule)),
        Form::SpecialUse(_) => Ruling::confirmed(Finding::SpecialUseDomain, "special_use_domain"),
        Form::Literal(_) => Ruling::inferred(Finding::AddressLiteral, "address_literal"),
        Form::Fine(_) => return None,
    })
}

fn by_route(route: Option<&RouteFact>) -> Option<Ruling<'_>> {
    Some(match route? {
        RouteFact::NullMx => Ruling::confirmed(Finding::NullMx, "dns.null_mx"),
        RouteFact::Absent(Absence::NoSuchDomain) => {
            Ruling::confirmed(Finding::DomainNotFound, "dns.no_such_domain")
        }
        RouteFact::Absent(Absence::NoMailHost) => Ruling::confirmed(Finding::NoMailHost, "dns.no_mail_host"),
        RouteFact::Unroutable => Ruling::inferred(Finding::MxUnroutable, "dns.mx_unroutable"),
        RouteFact::Failed(DnsFault::Internal) => Ruling::inferred(Finding::Internal, "internal"),
        RouteFact::Failed(fault) => {
            Ruling::inferred(Finding::DnsFailure, Rule::Detailed("dns", fault.word()))
        }
        RouteFact::Hosts { .. } => return None,
    })
}

/// The reply that weighs most: a definite one before an acceptance before anything unclear, the newest first.
fn by_replies(evidence: &Evidence) -> Option<Ruling<'_>> {
    let inquiry = &evidence.inquiry;
    let rulings = || inquiry.attempts.iter().rev().map(|attempt| by_reply(attempt, evidence));
    let accepted = |ruling: &Ruling<'_>| ruling.reason == Reason::Said(Cause::Accepted);
    rulings().find(Ruling::is_definite).or_else(|| rulings().find(accepted)).or_else(|| rulings().next())
}

fn by_reply<'a>(attempt: &'a Attempt, evidence: &'a Evidence) -> Ruling<'a> {
    let Said { reply, meaning, .. } = &attempt.said;
    let inquiry = &evidence.inquiry;
    let (reason, rule, confidence): (Reason, Rule<'_>, Confidence) = match meaning.cause {
        Cause::Ambiguous => match (meaning.if_about_mailbox, &inquiry.positive) {
            (Some(cause), Positive::Accepted) => {
                (cause.into(), "control.positive".into(), Confidence::Inferred)
            }
            _ => (Cause::Ambiguous.into(), (&meaning.rule).into(), Confidence::Inferred),
        },
        // One server's word about a whole domain is not enough: our DNS just named it as the domain's exchanger.
        Cause::DomainNoMail if !is_said_twice(Cause::DomainNoMail, &inquiry.attempts) => unsupported(meaning),
        Cause::RecipientSyntax if !evidence.form.address().is_some_and(is_unusual) => unsupported(meaning),
        Cause::RelayDenied if inquiry.unserved => {
            (Finding::DomainNotServed.into(), "control.unserved".into(), Confidence::Inferred)
        }
        cause => (cause.into(), (&meaning.rule).into(), meaning.confidence),
    };
    // The one law's last line of defence, whatever a rule file says: only a permanent reply to RCPT can condemn, and only
    // one that accepts can clear.
    let is_about_rcpt = !attempt.said.stage.is_before_rcpt();
    let may_condemn = is_about_rcpt && reply.is_permanent();
    let may_clear = is_about_rcpt && reply.is_positive() && meaning.cause == Cause::Accepted;
    let (reason, confidence) = match reason.verdict() {
        Verdict::Undeliverable if may_condemn && inquiry.anomaly => {
            (Finding::OperatorAnomaly.into(), Confidence::Inferred)
        }
        Verdict::Undeliverable if may_condemn => (reason, confidence),
        Verdict::Deliverable if may_clear => (reason, confidence),
        Verdict::Undeliverable | Verdict::Deliverable => (Cause::Ambiguous.into(), Confidence::Inferred),
        Verdict::Risky => (reason, confidence),
        // An unknown is never confirmed: sure is only that the answer is missing.
        Verdict::Unknown => (reason, Confidence::Inferred),
    };
    Ruling { reason, rule, confidence, grounds: Some(attempt.into()), wait: meaning.retry_in }
}

/// A cause that needs a second witness and has none.
fn unsupported(meaning: &Meaning) -> (Reason, Rule<'_>, Confidence) {
    (Cause::Ambiguous.into(), (&meaning.rule).into(), Confidence::Inferred)
}

/// Said by two different exchangers.
fn is_said_twice(cause: Cause, attempts: &[Attempt]) -> bool {
    let mut said = attempts.iter().filter(|a| a.said.meaning.cause == cause).map(|a| &a.exchanger);
    said.next().is_some_and(|first| said.any(|other| other != first))
}

/// A local part that many servers would not expect: quoted, or with more than letters, digits and `.+-_`.
fn is_unusual(address: &Address) -> bool {
    !address.local().bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_".contains(&b))
}

/// What stands in the way of a verdict about the mailbox.
fn by_trouble(evidence: &Evidence) -> Option<Ruling<'_>> {
    let inquiry = &evidence.inquiry;
    let accepts_any = matches!(inquiry.catch_all, CatchAll::Yes(_));
    match by_replies(evidence) {
        Some(ruling) if ruling.reason == Reason::Said(Cause::Accepted) => match &inquiry.catch_all {
            CatchAll::Failed(trouble) => Some(trouble_ruling(trouble)),
            CatchAll::NotAsked => Some(unprobed_ruling(inquiry.unprobed.unwrap_or(Unprobed::Deadline))),
            CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear => None,
        },
        // "Come back later" is no answer; that any name is accepted here is one.
        Some(ruling) if ruling.reason == Reason::Said(Cause::Greylisted) && accepts_any => None,
        Some(ruling) => Some(ruling),
        None if accepts_any => None,
        None => match (&inquiry.trouble, inquiry.unprobed) {
            (Some(trouble), _) => Some(trouble_ruling(trouble)),
            (None, Some(Unprobed::Offline | Unprobed::DnsOnly) | None) => None,
            (None, Some(unprobed)) => Some(unprobed_ruling(unprobed)),
        },
    }
}

fn trouble_ruling(trouble: &Trouble) -> Ruling<'_> {
    let (reason, rule, wait): (Reason, Rule<'_>, _) = match &trouble.what {
        Obstacle::Refused(said) => {
            (said.meaning.cause.into(), (&said.meaning.rule).into(), said.meaning.retry_in)
        }
        Obstacle::Broken(finding) => ((*finding).into(), finding.word().into(), None),
    };
    // An obstacle is never about the mailbox, so a cause that says so was read where it can't be true.
    let is_obstacle = matches!(reason.fault(), Fault::Us | Fault::Host | Fault::None)
        && reason.verdict() == Verdict::Unknown;
    let reason = if is_obstacle { reason } else { Cause::Ambiguous.into() };
    Ruling { reason, rule, confidence: Confidence::Inferred, grounds: Some(trouble.into()), wait }
}

fn unprobed_ruling(unprobed: Unprobed) -> Ruling<'static> {
    let wait = match unprobed {
        Unprobed::Offline | Unprobed::DnsOnly | Unprobed::Deadline => Some(Duration::ZERO),
        Unprobed::Budget(wait) => Some(wait),
        Unprobed::OperatorPaused => None,
    };
    Ruling { wait, ..Ruling::inferred(Finding::NotProbed, unprobed.word()) }
}

fn by_kind(evidence: &Evidence) -> Option<Ruling<'_>> {
    if evidence.kinds.disposable == Some(true) {
        return Some(Ruling::inferred(Finding::Disposable, "list.disposable"));
    }
    let slip = evidence.slip.as_ref()?;
    slip.probable.then(|| Ruling::inferred(Finding::ProbableTypo, "typo"))
}

fn by_acceptance(evidence: &Evidence) -> Option<Ruling<'_>> {
    if let Some(RouteFact::Hosts { evidence: false, provider }) = &evidence.route {
        return Some(Ruling::inferred(Finding::NotCheckable, Rule::Detailed("provider", provider)));
    }
    let accepted = by_replies(evidence).filter(|ruling| ruling.reason == Reason::Said(Cause::Accepted));
    let grounds = accepted.as_ref().and_then(|ruling| ruling.grounds.clone());
    let confidence = match &evidence.inquiry.catch_all {
        CatchAll::Yes(made_up) => {
            let grounds = grounds.or(Some((&**made_up).into()));
            return Some(Ruling { grounds, ..Ruling::inferred(Finding::CatchAll, "control.accepted") });
        }
        CatchAll::Unclear => {
            return Some(Ruling { grounds, ..Ruling::inferred(Finding::CatchAllUnknown, "control.unclear") });
        }
        CatchAll::No(Proof::Control | Proof::Listed) => Confidence::Confirmed,
        CatchAll::No(Proof::UnclearControl) => Confidence::Inferred,
        CatchAll::Failed(_) | CatchAll::NotAsked => return None,
    };
    Some(Ruling { confidence, ..accepted? })
}

/// Nothing was asked, so nothing is known.
fn by_silence(inquiry: &Inquired) -> Ruling<'static> {
    match inquiry.unprobed {
        Some(unprobed) => unprobed_ruling(unprobed),
        None => Ruling::inferred(Finding::Internal, "internal"),
    }
}
