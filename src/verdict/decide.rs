//! The one place where an address gets its verdict: a pure, total function from [`Evidence`].
//!
//! Decides: the reason, by the first line of this table that holds:
//!
//! | # | holds | reason | confidence |
//! |---|---|---|---|
//! | 1 | the row has no usable address, or the user excludes it | `empty`, `excluded`, `syntax` (inferred if one may stand among its words), `provider_syntax`, `special_use_domain` | confirmed |
//! | 2 | the address is a literal, and literals are not probed | `address_literal` | inferred |
//! | 3 | DNS shows that the domain can't receive mail | `domain_not_found`, `no_mail_host`, `null_mx`; `mx_unroutable` (inferred) | confirmed |
//! | 4 | a reply is definite about the mailbox or the domain | its cause | of the rule; inferred if the MX host accepted no recipient |
//! | 5 | something prevented a reply: DNS, the network, us, time | its cause | inferred |
//! | 6 | the domain is a disposable service | `disposable` | inferred |
//! | 7 | the domain looks like a typo | `probable_typo` | inferred |
//! | 8 | the provider can't be checked, or the domain accepts any recipient | `not_checkable`, `catch_all`, `catch_all_unknown` | inferred |
//! | 9 | a server accepts the recipient and rejects the control | `accepted` | confirmed; inferred if the rejection is ambiguous |
//! | 10 | nothing was probed, by request | `not_probed` | inferred |
//!
//! Must not: look at a clock, at a table of providers, or at the text of a reply. Can't know: what the evidence does not show. That stays
//! `unknown`; no line of the table condemns by default.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::result::Judgment;
use crate::address::{Address, Domain};
use crate::evidence::{
    AddressStatus, Attempt, CatchAll, ClassifiedReply, Evidence, MailboxEvidence, Meaning, NotCatchAllProof,
    NotProbedReason, Obstacle, ObstacleKind, PositiveControl, RouteFact, RuleId,
};
use crate::reason::{Cause, Confidence, Fault, Finding, Reason, Retry, Verdict};
use crate::route::{DnsFault, NoMailReason};
use crate::smtp::Reply;

/// The reply, or the missing reply, that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidingReply<'a> {
    /// The MX host.
    pub mx_host: &'a Domain,
    /// The reply; `None` where there was none.
    pub reply: Option<&'a Reply>,
    /// When it arrived, or when its absence was noticed.
    pub at: SystemTime,
}

impl<'a> From<&'a Attempt> for DecidingReply<'a> {
    fn from(attempt: &'a Attempt) -> DecidingReply<'a> {
        DecidingReply { mx_host: &attempt.mx_host, reply: Some(&attempt.classified.reply), at: attempt.at }
    }
}

impl<'a> From<&'a Obstacle> for DecidingReply<'a> {
    fn from(obstacle: &'a Obstacle) -> DecidingReply<'a> {
        let reply = match &obstacle.kind {
            ObstacleKind::Rejected(classified) => Some(&classified.reply),
            ObstacleKind::NoReply(_) => None,
        };
        DecidingReply { mx_host: &obstacle.mx_host, reply, at: obstacle.at }
    }
}

/// The judgment of this evidence, and the reply that decided if there is one. `now` is the end of the run; the retry of a
/// recipient without any reply is counted from it. `later_run` is how long after its reply a row that stays unknown is due again
/// where the server named no time; `None` where waiting alone changes nothing.
pub fn decide(
    evidence: &Evidence,
    now: SystemTime,
    later_run: impl Fn(Retry) -> Option<Duration>,
) -> (Judgment, Option<DecidingReply<'_>>) {
    let decision = by_status(evidence)
        .or_else(|| by_route(evidence.route.as_ref()))
        .or_else(|| by_replies(evidence).filter(Decision::is_definite))
        .or_else(|| by_obstacle(evidence))
        .or_else(|| by_kind(evidence))
        .or_else(|| by_acceptance(evidence))
        .unwrap_or_else(|| when_nothing_known(&evidence.mailbox));
    let deciding = decision.deciding.clone();
    (decision.judgment(now, later_run), deciding)
}

/// The id of the rule that decided. Most rows of a list get a static one, which allocates nothing.
enum Rule<'a> {
    /// A line of the decision table.
    Static(&'static str),
    /// The same with a detail: a syntax fault, a provider.
    Detailed(&'static str, &'a str),
    /// A rule of the policy data.
    Policy(&'a str),
}

impl From<Rule<'_>> for Cow<'static, str> {
    fn from(rule: Rule<'_>) -> Cow<'static, str> {
        match rule {
            Rule::Static(id) => id.into(),
            Rule::Detailed(id, detail) => format!("{id}.{detail}").into(),
            Rule::Policy(id) => id.to_owned().into(),
        }
    }
}

impl From<&'static str> for Rule<'_> {
    fn from(id: &'static str) -> Self {
        Rule::Static(id)
    }
}

impl<'a> From<&'a RuleId> for Rule<'a> {
    fn from(id: &'a RuleId) -> Self {
        Rule::Policy(id.as_str())
    }
}

/// A reason with its rule, its confidence and the reply that decided.
struct Decision<'a> {
    reason: Reason,
    rule: Rule<'a>,
    confidence: Confidence,
    deciding: Option<DecidingReply<'a>>,
    /// How long to wait before the next probe, where the evidence says it.
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

    /// True for a fact about the mailbox or its domain that lasts for days at least: no later reply overrules it.
    fn is_definite(&self) -> bool {
        matches!(self.reason.verdict(), Verdict::Undeliverable | Verdict::Risky)
    }

    /// True if the reply neither accepts nor rejects the recipient for good.
    fn leaves_open(&self) -> bool {
        let reply = self.deciding.as_ref().and_then(|deciding| deciding.reply);
        self.reason.verdict() == Verdict::Unknown && reply.is_some_and(|reply| !reply.is_permanent())
    }

    fn judgment(self, now: SystemTime, later_run: impl Fn(Retry) -> Option<Duration>) -> Judgment {
        let unknown = self.reason.verdict() == Verdict::Unknown;
        let wait = self.wait.or_else(|| later_run(self.reason.retry())).filter(|_| unknown);
        Judgment {
            reason: self.reason,
            rule: self.rule.into(),
            confidence: self.confidence,
            retry_after: wait.map(|wait| self.deciding.as_ref().map_or(now, |deciding| deciding.at) + wait),
        }
    }
}

fn by_status(Evidence { status, typo, .. }: &Evidence) -> Option<Decision<'_>> {
    Some(match status {
        AddressStatus::Empty => Decision::confirmed(Finding::Empty, "empty"),
        AddressStatus::Excluded(_) => Decision::confirmed(Finding::Excluded, "excluded"),
        // The words may hold a working address.
        AddressStatus::Invalid(fault) if typo.as_ref().is_some_and(|typo| !typo.probable) => {
            Decision::inferred(Finding::Syntax, Rule::Detailed("syntax", fault))
        }
        AddressStatus::Invalid(fault) => {
            Decision::confirmed(Finding::Syntax, Rule::Detailed("syntax", fault))
        }
        AddressStatus::ProviderSyntax(_, rule) => {
            Decision::confirmed(Finding::ProviderSyntax, Rule::Policy(rule))
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

/// The decision by the reply that counts most: a definite reply, else an acceptance, else any; the newest of its kind.
fn by_replies(evidence: &Evidence) -> Option<Decision<'_>> {
    let mailbox = &evidence.mailbox;
    let decisions = || mailbox.attempts.iter().rev().map(|attempt| by_reply(attempt, evidence));
    let accepted = |decision: &Decision<'_>| decision.reason == Reason::Reply(Cause::Accepted);
    decisions()
        .find(Decision::is_definite)
        .or_else(|| decisions().find(accepted))
        .or_else(|| decisions().next())
}

fn by_reply<'a>(attempt: &'a Attempt, evidence: &'a Evidence) -> Decision<'a> {
    let ClassifiedReply { reply, meaning, .. } = &attempt.classified;
    let mailbox = &evidence.mailbox;
    let (reason, rule, confidence): (Reason, Rule<'_>, Confidence) = match meaning.cause {
        Cause::Ambiguous => match (meaning.if_about_mailbox, &mailbox.positive_control) {
            (Some(cause), PositiveControl::Accepted) if explains(cause, mailbox) => {
                (cause.into(), "control.positive".into(), Confidence::Inferred)
            }
            _ => (Cause::Ambiguous.into(), (&meaning.rule).into(), Confidence::Inferred),
        },
        // A single MX host is no proof that the domain takes no mail: DNS just named it as an MX host of the domain.
        Cause::DomainNoMail if !is_said_by_two_hosts(Cause::DomainNoMail, &mailbox.attempts) => {
            unconfirmed_cause(meaning)
        }
        Cause::RecipientSyntax if !evidence.status.address().is_some_and(is_unusual) => {
            unconfirmed_cause(meaning)
        }
        // The random recipient got an unclear reply, too: that a policy rejects does not show that the mailbox exists.
        Cause::RecipientPolicy
            if meaning.confidence == Confidence::Inferred && !explains(meaning.cause, mailbox) =>
        {
            unconfirmed_cause(meaning)
        }
        Cause::RelayDenied if mailbox.domain_not_served => {
            (Finding::DomainNotServed.into(), "control.unserved".into(), Confidence::Inferred)
        }
        cause => (cause.into(), (&meaning.rule).into(), meaning.confidence),
    };
    // Whatever a rule file says: only a permanent reply to RCPT makes an address undeliverable, and only a positive one
    // makes it deliverable. So no trouble of ours can condemn an address.
    let is_about_rcpt = !attempt.classified.stage.is_before_rcpt();
    let may_condemn = is_about_rcpt && reply.is_permanent();
    let may_clear = is_about_rcpt && reply.is_positive() && meaning.cause == Cause::Accepted;
    let (reason, confidence) = match reason.verdict() {
        Verdict::Undeliverable if may_condemn && mailbox.provider_anomaly => {
            (Finding::ProviderAnomaly.into(), Confidence::Inferred)
        }
        // No acceptance came after it in its session.
        Verdict::Undeliverable | Verdict::Risky if may_condemn && is_unproven(&mailbox.positive_control) => {
            (reason, Confidence::Inferred)
        }
        Verdict::Undeliverable if may_condemn => (reason, confidence),
        Verdict::Deliverable if may_clear => (reason, confidence),
        Verdict::Undeliverable | Verdict::Deliverable => (Cause::Ambiguous.into(), Confidence::Inferred),
        Verdict::Risky => (reason, confidence),
        // `unknown` is never confirmed: only the lack of an answer is certain.
        Verdict::Unknown | Verdict::None => (reason, Confidence::Inferred),
    };
    Decision { reason, rule, confidence, deciding: Some(attempt.into()), wait: meaning.retry_in }
}

/// True if the MX host was asked for a recipient that it accepts, or should have been, and accepted none.
fn is_unproven(control: &PositiveControl) -> bool {
    matches!(control, PositiveControl::Inconclusive | PositiveControl::SameText)
}

/// The decision for a cause that needs confirmation by another source and has none: the reply counts as ambiguous.
fn unconfirmed_cause(meaning: &Meaning) -> (Reason, Rule<'_>, Confidence) {
    (Cause::Ambiguous.into(), (&meaning.rule).into(), Confidence::Inferred)
}

/// True if an accepted positive control shows that this is the cause of an unclear rejection. A random recipient that gets the
/// unclear reply as well shows that an unknown mailbox gets it, so a policy of the mailbox is not proven.
fn explains(cause: Cause, mailbox: &MailboxEvidence) -> bool {
    cause != Cause::RecipientPolicy || mailbox.catch_all != CatchAll::No(NotCatchAllProof::UnclearControl)
}

/// True if two different MX hosts gave a reply with this cause.
fn is_said_by_two_hosts(cause: Cause, attempts: &[Attempt]) -> bool {
    let mut hosts = attempts.iter().filter(|a| a.classified.meaning.cause == cause).map(|a| &a.mx_host);
    hosts.next().is_some_and(|first| hosts.any(|other| other != first))
}

/// True for a local part that many servers reject as malformed: quoted, or with characters other than letters, digits and `.+-_`.
fn is_unusual(address: &Address) -> bool {
    !address.local().bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_".contains(&b))
}

/// The decision by what prevents a verdict about the mailbox: an unclear reply, a failed control, an obstacle, or no probe.
fn by_obstacle(evidence: &Evidence) -> Option<Decision<'_>> {
    let mailbox = &evidence.mailbox;
    let accepts_any = matches!(mailbox.catch_all, CatchAll::Yes(_));
    match by_replies(evidence) {
        Some(decision) if decision.reason == Reason::Reply(Cause::Accepted) => match &mailbox.catch_all {
            CatchAll::Failed(obstacle) => Some(obstacle_decision(obstacle)),
            CatchAll::NotTested => {
                Some(not_probed_decision(mailbox.unprobed.unwrap_or(NotProbedReason::Deadline)))
            }
            CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear => None,
        },
        // A deferral or a 252 says nothing about the mailbox, and no later probe will; a known catch-all domain does.
        Some(decision) if accepts_any && decision.leaves_open() => None,
        Some(decision) => Some(decision),
        None if accepts_any => None,
        None => match (&mailbox.obstacle, mailbox.unprobed) {
            (Some(obstacle), _) => Some(obstacle_decision(obstacle)),
            (None, Some(NotProbedReason::Offline | NotProbedReason::DnsOnly) | None) => None,
            (None, Some(unprobed)) => Some(not_probed_decision(unprobed)),
        },
    }
}

fn obstacle_decision(obstacle: &Obstacle) -> Decision<'_> {
    let (reason, rule, wait): (Reason, Rule<'_>, _) = match &obstacle.kind {
        ObstacleKind::Rejected(classified) => {
            (classified.meaning.cause.into(), (&classified.meaning.rule).into(), classified.meaning.retry_in)
        }
        ObstacleKind::NoReply(finding) => ((*finding).into(), finding.word().into(), None),
    };
    // An obstacle is never about the mailbox, so a cause that is about it comes from a misread reply.
    let is_obstacle = matches!(reason.fault(), Fault::Us | Fault::Host | Fault::None)
        && reason.verdict() == Verdict::Unknown;
    let reason = if is_obstacle { reason } else { Cause::Ambiguous.into() };
    Decision { reason, rule, confidence: Confidence::Inferred, deciding: Some(obstacle.into()), wait }
}

fn not_probed_decision(unprobed: NotProbedReason) -> Decision<'static> {
    let wait = match unprobed {
        NotProbedReason::Offline
        | NotProbedReason::DnsOnly
        | NotProbedReason::Deadline
        | NotProbedReason::RouteExpired => Some(Duration::ZERO),
        NotProbedReason::Budget(wait) => Some(wait),
        NotProbedReason::ProviderPaused => None,
    };
    Decision { wait, ..Decision::inferred(Finding::NotProbed, unprobed.word()) }
}

fn by_kind(evidence: &Evidence) -> Option<Decision<'_>> {
    if evidence.kinds.disposable == Some(true) {
        return Some(Decision::inferred(Finding::Disposable, "list.disposable"));
    }
    let typo = evidence.typo.as_ref()?;
    typo.probable.then(|| Decision::inferred(Finding::ProbableTypo, "typo"))
}

fn by_acceptance(evidence: &Evidence) -> Option<Decision<'_>> {
    if let Some(RouteFact::Hosts { is_checkable: false, provider }) = &evidence.route {
        return Some(Decision::inferred(Finding::NotCheckable, Rule::Detailed("provider", provider)));
    }
    let accepted = by_replies(evidence).filter(|decision| decision.reason == Reason::Reply(Cause::Accepted));
    let deciding = accepted.as_ref().and_then(|decision| decision.deciding.clone());
    let confidence = match &evidence.mailbox.catch_all {
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
        CatchAll::Failed(_) | CatchAll::NotTested => return None,
    };
    Some(Decision { confidence, ..accepted? })
}

/// The decision where no reply and no obstacle is known.
fn when_nothing_known(mailbox: &MailboxEvidence) -> Decision<'static> {
    match mailbox.unprobed {
        Some(unprobed) => not_probed_decision(unprobed),
        None => Decision::inferred(Finding::Internal, "internal"),
    }
}
