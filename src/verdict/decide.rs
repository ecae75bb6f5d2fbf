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

use super::record::Judgment;
use crate::address::{Address, Domain};
use crate::evidence::{
    AddressStatus, Attempt, CatchAll, ClassifiedReply, Evidence, MailboxEvidence, NotCatchAllProof,
    NotProbedReason, Obstacle, ObstacleKind, PositiveControl, RouteFact,
};
use crate::policy::{Meaning, RuleId};
use crate::reason::{Cause, Confidence, Fault, Finding, Reason, Retry, Verdict};
use crate::route::{DnsFault, NoMailReason};
use crate::smtp::Reply;

/// The words that decided, and who said them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidingReply<'a> {
    /// Who.
    pub mx_host: &'a Domain,
    /// What; `None` where nothing was said.
    pub reply: Option<&'a Reply>,
    /// When.
    pub at: SystemTime,
}

impl<'a> From<&'a Attempt> for DecidingReply<'a> {
    fn from(attempt: &'a Attempt) -> DecidingReply<'a> {
        DecidingReply { mx_host: &attempt.mx_host, reply: Some(&attempt.classified.reply), at: attempt.at }
    }
}

impl<'a> From<&'a Obstacle> for DecidingReply<'a> {
    fn from(obstacle: &'a Obstacle) -> DecidingReply<'a> {
        let reply = match &obstacle.what {
            ObstacleKind::Rejected(classified) => Some(&classified.reply),
            ObstacleKind::NoReply(_) => None,
        };
        DecidingReply { mx_host: &obstacle.mx_host, reply, at: obstacle.at }
    }
}

/// Judges. `now` is the end of the run; it only dates the retry of what was never asked. With the judgement come its
/// grounds, where a server gave them.
pub fn decide(evidence: &Evidence, now: SystemTime) -> (Judgment, Option<DecidingReply<'_>>) {
    let ruling = by_form(&evidence.form)
        .or_else(|| by_route(evidence.route.as_ref()))
        .or_else(|| by_replies(evidence).filter(Decision::is_definite))
        .or_else(|| by_obstacle(evidence))
        .or_else(|| by_kind(evidence))
        .or_else(|| by_acceptance(evidence))
        .unwrap_or_else(|| when_nothing_known(&evidence.inquiry));
    let deciding = ruling.deciding.clone();
    (ruling.judgment(now), deciding)
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
struct Decision<'a> {
    reason: Reason,
    rule: Rule<'a>,
    confidence: Confidence,
    deciding: Option<DecidingReply<'a>>,
    /// How long to wait, where the evidence says it.
    wait: Option<Duration>,
}

impl<'a> Decision<'a> {
    fn confirmed(reason: impl Into<Reason>, rule: impl Into<Rule<'a>>) -> Decision<'a> {
        Decision {
            reason: reason.into(),
            rule: rule.into(),
            confidence: Confidence::Confirmed,
            deciding: None,
            wait: None,
        }
    }

    fn inferred(reason: impl Into<Reason>, rule: impl Into<Rule<'a>>) -> Decision<'a> {
        Decision { confidence: Confidence::Inferred, ..Decision::confirmed(reason, rule) }
    }

    /// About the mailbox or its domain, and for good or at least for days.
    fn is_definite(&self) -> bool {
        matches!(self.reason.verdict(), Verdict::Undeliverable | Verdict::Risky)
    }

    fn judgment(self, now: SystemTime) -> Judgment {
        let unknown = self.reason.verdict() == Verdict::Unknown;
        let wait = self.wait.or_else(|| usual_wait(self.reason.retry())).filter(|_| unknown);
        Judgment {
            reason: self.reason,
            rule: self.rule.into(),
            confidence: self.confidence,
            retry_after: wait.map(|wait| self.deciding.as_ref().map_or(now, |deciding| deciding.at) + wait),
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

fn by_form(form: &AddressStatus) -> Option<Decision<'_>> {
    Some(match form {
        AddressStatus::Empty => Decision::confirmed(Finding::Empty, "empty"),
        AddressStatus::Invalid(fault) => {
            Decision::confirmed(Finding::Syntax, Rule::Detailed("syntax", fault))
        }
        AddressStatus::ProviderSyntax(rule) => {
            Decision::confirmed(Finding::ProviderSyntax, Rule::Listed(rule))
        }
        AddressStatus::SpecialUse(_) => Decision::confirmed(Finding::SpecialUseDomain, "special_use_domain"),
        AddressStatus::Literal(_) => Decision::inferred(Finding::AddressLiteral, "address_literal"),
        AddressStatus::Valid(_) => return None,
    })
}

fn by_route(route: Option<&RouteFact>) -> Option<Decision<'_>> {
    Some(match route? {
        RouteFact::NullMx => Decision::confirmed(Finding::NullMx, "dns.null_mx"),
        RouteFact::Absent(NoMailReason::NoSuchDomain) => {
            Decision::confirmed(Finding::DomainNotFound, "dns.no_such_domain")
        }
        RouteFact::Absent(NoMailReason::NoMailHost) => {
            Decision::confirmed(Finding::NoMailHost, "dns.no_mail_host")
        }
        RouteFact::Unroutable => Decision::inferred(Finding::MxUnroutable, "dns.mx_unroutable"),
        RouteFact::Failed(DnsFault::Internal) => Decision::inferred(Finding::Internal, "internal"),
        RouteFact::Failed(fault) => {
            Decision::inferred(Finding::DnsFailure, Rule::Detailed("dns", fault.word()))
        }
        RouteFact::Hosts { .. } => return None,
    })
}

/// The reply that weighs most: a definite one before an acceptance before anything unclear, the newest first.
fn by_replies(evidence: &Evidence) -> Option<Decision<'_>> {
    let inquiry = &evidence.inquiry;
    let rulings = || inquiry.attempts.iter().rev().map(|attempt| by_reply(attempt, evidence));
    let accepted = |ruling: &Decision<'_>| ruling.reason == Reason::Said(Cause::Accepted);
    rulings().find(Decision::is_definite).or_else(|| rulings().find(accepted)).or_else(|| rulings().next())
}

fn by_reply<'a>(attempt: &'a Attempt, evidence: &'a Evidence) -> Decision<'a> {
    let ClassifiedReply { reply, meaning, .. } = &attempt.classified;
    let inquiry = &evidence.inquiry;
    let (reason, rule, confidence): (Reason, Rule<'_>, Confidence) = match meaning.cause {
        Cause::Ambiguous => match (meaning.if_about_mailbox, &inquiry.positive) {
            (Some(cause), PositiveControl::Accepted) => {
                (cause.into(), "control.positive".into(), Confidence::Inferred)
            }
            _ => (Cause::Ambiguous.into(), (&meaning.rule).into(), Confidence::Inferred),
        },
        // One server's word about a whole domain is not enough: our DNS just named it as the domain's exchanger.
        Cause::DomainNoMail if !is_said_twice(Cause::DomainNoMail, &inquiry.attempts) => {
            needs_second_witness(meaning)
        }
        Cause::RecipientSyntax if !evidence.form.address().is_some_and(is_unusual) => {
            needs_second_witness(meaning)
        }
        Cause::RelayDenied if inquiry.unserved => {
            (Finding::DomainNotServed.into(), "control.unserved".into(), Confidence::Inferred)
        }
        cause => (cause.into(), (&meaning.rule).into(), meaning.confidence),
    };
    // The one law's last line of defence, whatever a rule file says: only a permanent reply to RCPT can condemn, and only
    // one that accepts can clear.
    let is_about_rcpt = !attempt.classified.stage.is_before_rcpt();
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
    Decision { reason, rule, confidence, deciding: Some(attempt.into()), wait: meaning.retry_in }
}

/// A cause that needs a second witness and has none.
fn needs_second_witness(meaning: &Meaning) -> (Reason, Rule<'_>, Confidence) {
    (Cause::Ambiguous.into(), (&meaning.rule).into(), Confidence::Inferred)
}

/// Said by two different exchangers.
fn is_said_twice(cause: Cause, attempts: &[Attempt]) -> bool {
    let mut classified = attempts.iter().filter(|a| a.classified.meaning.cause == cause).map(|a| &a.mx_host);
    classified.next().is_some_and(|first| classified.any(|other| other != first))
}

/// A local part that many servers would not expect: quoted, or with more than letters, digits and `.+-_`.
fn is_unusual(address: &Address) -> bool {
    !address.local().bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_".contains(&b))
}

/// What stands in the way of a verdict about the mailbox.
fn by_obstacle(evidence: &Evidence) -> Option<Decision<'_>> {
    let inquiry = &evidence.inquiry;
    let accepts_any = matches!(inquiry.catch_all, CatchAll::Yes(_));
    match by_replies(evidence) {
        Some(ruling) if ruling.reason == Reason::Said(Cause::Accepted) => match &inquiry.catch_all {
            CatchAll::Failed(obstacle) => Some(obstacle_decision(obstacle)),
            CatchAll::NotAsked => {
                Some(not_probed_decision(inquiry.unprobed.unwrap_or(NotProbedReason::Deadline)))
            }
            CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear => None,
        },
        // "Come back later" is no answer; that any name is accepted here is one.
        Some(ruling) if ruling.reason == Reason::Said(Cause::Greylisted) && accepts_any => None,
        Some(ruling) => Some(ruling),
        None if accepts_any => None,
        None => match (&inquiry.obstacle, inquiry.unprobed) {
            (Some(obstacle), _) => Some(obstacle_decision(obstacle)),
            (None, Some(NotProbedReason::Offline | NotProbedReason::DnsOnly) | None) => None,
            (None, Some(unprobed)) => Some(not_probed_decision(unprobed)),
        },
    }
}

fn obstacle_decision(obstacle: &Obstacle) -> Decision<'_> {
    let (reason, rule, wait): (Reason, Rule<'_>, _) = match &obstacle.what {
        ObstacleKind::Rejected(classified) => {
            (classified.meaning.cause.into(), (&classified.meaning.rule).into(), classified.meaning.retry_in)
        }
        ObstacleKind::NoReply(finding) => ((*finding).into(), finding.word().into(), None),
    };
    // An obstacle is never about the mailbox, so a cause that says so was read where it can't be true.
    let is_obstacle = matches!(reason.fault(), Fault::Us | Fault::Host | Fault::None)
        && reason.verdict() == Verdict::Unknown;
    let reason = if is_obstacle { reason } else { Cause::Ambiguous.into() };
    Decision { reason, rule, confidence: Confidence::Inferred, deciding: Some(obstacle.into()), wait }
}

fn not_probed_decision(unprobed: NotProbedReason) -> Decision<'static> {
    let wait = match unprobed {
        NotProbedReason::Offline | NotProbedReason::DnsOnly | NotProbedReason::Deadline => {
            Some(Duration::ZERO)
        }
        NotProbedReason::Budget(wait) => Some(wait),
        NotProbedReason::ProviderPaused => None,
    };
    Decision { wait, ..Decision::inferred(Finding::NotProbed, unprobed.word()) }
}

fn by_kind(evidence: &Evidence) -> Option<Decision<'_>> {
    if evidence.kinds.disposable == Some(true) {
        return Some(Decision::inferred(Finding::Disposable, "list.disposable"));
    }
    let slip = evidence.slip.as_ref()?;
    slip.probable.then(|| Decision::inferred(Finding::ProbableTypo, "typo"))
}

fn by_acceptance(evidence: &Evidence) -> Option<Decision<'_>> {
    if let Some(RouteFact::Hosts { evidence: false, provider }) = &evidence.route {
        return Some(Decision::inferred(Finding::NotCheckable, Rule::Detailed("provider", provider)));
    }
    let accepted = by_replies(evidence).filter(|ruling| ruling.reason == Reason::Said(Cause::Accepted));
    let deciding = accepted.as_ref().and_then(|ruling| ruling.deciding.clone());
    let confidence = match &evidence.inquiry.catch_all {
        CatchAll::Yes(random_recipient) => {
            let deciding = deciding.or(Some((&**random_recipient).into()));
            return Some(Decision { deciding, ..Decision::inferred(Finding::CatchAll, "control.accepted") });
        }
        CatchAll::Unclear => {
            return Some(Decision {
                deciding,
                ..Decision::inferred(Finding::CatchAllUnknown, "control.unclear")
            });
        }
        CatchAll::No(NotCatchAllProof::Control | NotCatchAllProof::Listed) => Confidence::Confirmed,
        CatchAll::No(NotCatchAllProof::UnclearControl) => Confidence::Inferred,
        CatchAll::Failed(_) | CatchAll::NotAsked => return None,
    };
    Some(Decision { confidence, ..accepted? })
}

/// Nothing was asked, so nothing is known.
fn when_nothing_known(inquiry: &MailboxEvidence) -> Decision<'static> {
    match inquiry.unprobed {
        Some(unprobed) => not_probed_decision(unprobed),
        None => Decision::inferred(Finding::Internal, "internal"),
    }
}
