//! What MX hosts do: at least one behavior for each mechanism that the scheduler has, drawn at random.
//!
//! | mechanism of the scheduler | behaviors that need it |
//! |---|---|
//! | negative control, before, along or after the recipients | `Honest`, `CatchAll` |
//! | positive control, rejections that decide nothing | `Curt`, `Mute` |
//! | next MX host, of this provider or another; dead endpoints | `Unreachable`, `Silent`, `Denies`, [`Traits::dead`], [`Provided::backup`] |
//! | breaker, at each stage | `BlocksAt`, `HangsUpAt`, `BlocksEgress` |
//! | revoking what came since the last acceptance | `Sours`, `Turns`, `Stutters`, `Lags` |
//! | closing controls of acceptances | `Lies`, `LiesInAll`, `AcceptsAfter` |
//! | closing controls of rejections | `RejectsAfter`, `RejectsAfterInAll`, `RejectsAtFirst`, `DeniesAfter` |
//! | a control as the second probe | `EndsAfterRejection` |
//! | retries of deferred recipients, from the same egress with the same control | `Greylists`, `GreylistsDomain`, `GreylistsFor`, `FailsAtFirst`, [`Provided::earlier`] |
//! | back-off | `TooFast`, `TooFastFor`, `BusyAtFirst`, `BusyUntil`, `Overloaded`, `Sheds` |
//! | shorter sessions and smaller batches | `EndsAfter`, `DropsAfter`, `SilentAfter`, `Garbles` |
//! | a recipient that ends sessions | `DropsAt` |
//! | rests of an endpoint whose connections break | `DropsFirst` |
//! | sessions that end while they are idle | `HangsUpIdle` |
//! | fewer recipients in a transaction, transactions in a session | `Takes`, [`Traits::capabilities`] |
//! | STARTTLS only where it is demanded, and where it works | `DemandsTls`, `OffersBrokenTls`, `BrokenTls` |
//! | SMTPUTF8 | [`Traits::capabilities`], [`Provided::beyond_ascii`] |
//! | slow replies, distant hosts | [`Traits::rtt`], [`Traits::wait`] |
//! | limits of unknown recipients that earlier runs have used up | [`Provided::used_up`] |
//! | limits of an IP address that several providers share | [`Provided::shares_address`] |
//! | routes that expire | [`Provided::moves`] |
//! | several egresses, families of addresses | [`super::play::Run::egresses`] |
//! | domains that come later, or in two parts | [`super::play::Run::gap`], [`Provided::in_parts`] |

use super::*;
use crate::smtp::Capabilities;

/// What a host does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Habit {
    Honest,
    /// Rejects in words that decide nothing.
    Curt,
    CatchAll,
    Unreachable,
    /// Takes connections and sends nothing.
    Silent,
    BlocksAt(Stage),
    /// Blocks at that stage and disconnects.
    HangsUpAt(Stage),
    /// Blocks one egress, at connect.
    BlocksEgress(usize),
    /// Defers a new recipient for so many minutes.
    Greylists(u64),
    /// Defers the recipients of a new domain for so many minutes.
    GreylistsDomain(u64),
    /// Defers a new recipient for so many seconds, and says so.
    GreylistsFor(u64),
    /// The first so many recipients meet a temporary failure.
    FailsAtFirst(u32),
    /// Disconnects without a reply after so many replies in a session.
    DropsAfter(u32),
    /// Says 421 after so many replies in a session.
    EndsAfter(u32),
    /// Sends nothing more after so many replies in a session.
    SilentAfter(u32),
    /// Sends no SMTP reply after so many replies in a session.
    Garbles(u32),
    /// Disconnects at this listed mailbox.
    DropsAt(u32),
    /// Disconnects without a greeting, so many times.
    DropsFirst(u32),
    /// Greets so many connections with 421.
    BusyAtFirst(u32),
    /// Greets with 421 before so many minutes of the run, and says how long.
    BusyUntil(u32),
    /// Ends a session that is idle for so many seconds, with 421 where they are odd.
    HangsUpIdle(u64),
    /// The first so many replies are "too fast".
    TooFast(u32),
    /// The same, with the time to wait.
    TooFastFor(u32),
    /// Takes so many recipients in a transaction.
    Takes(usize),
    /// Demands TLS, and its handshake fails.
    BrokenTls,
    /// Demands TLS, and can do it.
    DemandsTls,
    /// Offers TLS, and its handshake fails.
    OffersBrokenTls,
    /// The same bare rejection for every recipient.
    Mute,
    /// Says "no such mailbox" to MAIL, behind its "ok". So each later reply comes one too late, and one is left over.
    Stutters,
    /// After so many replies in a session, the reply to each recipient is that of the one before, and one is left over.
    Lags(u32),
    /// Overloaded (451) by more than so many recipients in a minute.
    Overloaded(u32),
    /// Ends a session as overloaded (421) at more than so many recipients in a minute.
    Sheds(u32),
    Denies,
    /// Accepts every recipient after so many unknown ones in a session.
    Lies(u32),
    /// Accepts every recipient after so many unknown ones, in whatever session.
    LiesInAll(u32),
    /// Accepts every recipient after so many replies in a session.
    AcceptsAfter(u32),
    /// Rejects every recipient as unknown after so many replies in a session.
    RejectsAfter(u32),
    /// The same, in whatever session.
    RejectsAfterInAll(u32),
    /// Rejects every recipient as unknown in its first so many sessions.
    RejectsAtFirst(u32),
    /// Rejects every recipient by its policy after so many replies in a session.
    DeniesAfter(u32),
    /// Disconnects after each rejection.
    EndsAfterRejection,
    /// Replies 252 to every recipient, random ones as well.
    CannotVerify,
    /// Says "no such mailbox" to every recipient, and after so many replies that it blocks us.
    Sours(u32),
    /// Accepts every listed recipient, rejects random ones, and after so many of these disconnects saying that it
    /// blocks us.
    Turns(u32),
}

pub(super) fn habit() -> impl Strategy<Value = Habit> {
    let stages = prop::sample::select(vec![Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt]);
    let later = prop::sample::select(vec![Stage::Mail, Stage::Rcpt]);
    let usual = prop_oneof![
        4 => Just(Habit::Honest),
        2 => Just(Habit::Curt),
        2 => Just(Habit::CatchAll),
        1 => Just(Habit::CannotVerify),
        1 => Just(Habit::Mute),
        1 => Just(Habit::Denies),
        1 => Just(Habit::Unreachable),
    ];
    let defers = prop_oneof![
        (1u64..50).prop_map(Habit::Greylists),
        (1u64..50).prop_map(Habit::GreylistsDomain),
        (1u64..1000).prop_map(Habit::GreylistsFor),
        (1u32..8).prop_map(Habit::FailsAtFirst),
        (1u32..8).prop_map(Habit::TooFast),
        (1u32..8).prop_map(Habit::TooFastFor),
        (1u32..6).prop_map(Habit::BusyAtFirst),
        (1u32..300).prop_map(Habit::BusyUntil),
        (1u32..20).prop_map(Habit::Overloaded),
        (1u32..20).prop_map(Habit::Sheds),
        (1usize..5).prop_map(Habit::Takes),
    ];
    let breaks = prop_oneof![
        Just(Habit::Silent),
        Just(Habit::EndsAfterRejection),
        (0u32..6).prop_map(Habit::DropsAfter),
        (0u32..6).prop_map(Habit::EndsAfter),
        (0u32..6).prop_map(Habit::SilentAfter),
        (0u32..6).prop_map(Habit::Garbles),
        (0u32..6).prop_map(Habit::DropsAt),
        (1u32..6).prop_map(Habit::DropsFirst),
        (1u64..20).prop_map(Habit::HangsUpIdle),
    ];
    let rejects_us = prop_oneof![
        stages.prop_map(Habit::BlocksAt),
        later.prop_map(Habit::HangsUpAt),
        (0usize..3).prop_map(Habit::BlocksEgress),
        Just(Habit::BrokenTls),
        Just(Habit::DemandsTls),
        Just(Habit::OffersBrokenTls),
    ];
    let misleads = prop_oneof![
        Just(Habit::Stutters),
        (0u32..6).prop_map(Habit::Lags),
        (1u32..6).prop_map(Habit::Lies),
        (10u32..25).prop_map(Habit::LiesInAll),
        (1u32..12).prop_map(Habit::Sours),
        (1u32..6).prop_map(Habit::Turns),
        (1u32..12).prop_map(Habit::AcceptsAfter),
        (1u32..12).prop_map(Habit::RejectsAfter),
        (1u32..20).prop_map(Habit::RejectsAfterInAll),
        (1u32..4).prop_map(Habit::RejectsAtFirst),
        (1u32..12).prop_map(Habit::DeniesAfter),
    ];
    prop_oneof![3 => usual, 2 => defers, 2 => breaks, 2 => rejects_us, 3 => misleads]
}

/// The traits of a host, whatever it does.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    /// The time from a command to its reply.
    pub(super) rtt: Duration,
    /// More time for each reply to RCPT.
    pub(super) wait: Duration,
    pub(super) capabilities: Capabilities,
    /// Endpoints before its own at which nothing listens.
    pub(super) dead: u8,
    /// It has an IPv6 address, too.
    pub(super) v6: bool,
}

impl Default for Traits {
    fn default() -> Traits {
        let capabilities = Capabilities { pipelining: true, ..Capabilities::default() };
        Traits { rtt: ROUND_TRIP, wait: Duration::ZERO, capabilities, dead: 0, v6: false }
    }
}

pub(super) fn traits() -> impl Strategy<Value = Traits> {
    let rtt = prop_oneof![3 => Just(ROUND_TRIP), 1 => (1u64..3000).prop_map(Duration::from_millis)];
    let wait = prop_oneof![4 => Just(Duration::ZERO), 1 => (1u64..200).prop_map(Duration::from_secs)];
    let capabilities = (any::<bool>(), any::<bool>(), prop::option::of(1u32..6), prop::option::of(1u32..6))
        .prop_map(|(pipelining, smtputf8, mail_max, rcpt_max)| Capabilities {
            pipelining,
            smtputf8,
            mail_max,
            rcpt_max,
            ..Capabilities::default()
        });
    let dead = prop_oneof![3 => Just(0u8), 1 => 1u8..3];
    (rtt, wait, capabilities, dead, any::<bool>()).prop_map(|(rtt, wait, capabilities, dead, v6)| Traits {
        rtt,
        wait,
        capabilities,
        dead,
        v6,
    })
}

/// What comes with a provider, whatever its hosts do.
#[derive(Clone, Debug, Default)]
pub(super) struct Provided {
    /// The traits of each host, in order, then those of the backup. Missing ones are the defaults.
    pub(super) traits: Vec<Traits>,
    /// A host of another provider, which comes last.
    pub(super) backup: Option<Habit>,
    /// Unknown recipients of earlier runs from the first egress, and how long ago.
    pub(super) used_up: Option<(usize, Duration)>,
    /// Recipients and control were greylisted in an earlier run, so long ago, from that egress.
    pub(super) earlier: Option<(Duration, usize)>,
    /// A domain comes in two parts.
    pub(super) in_parts: bool,
    /// Every so many mailboxes have a name beyond ASCII.
    pub(super) beyond_ascii: Option<usize>,
    /// Its first host stands at the IP address of other providers without an entry, and does what theirs do.
    pub(super) shares_address: bool,
    /// Its routes expire at this time of the run; then its domains have other, honest hosts.
    pub(super) moves: Option<Duration>,
}

pub(super) fn provided() -> impl Strategy<Value = Provided> {
    let backup = prop::option::weighted(0.3, habit());
    let used_up =
        prop::option::weighted(0.2, (1usize..40, (0u32..1500).prop_map(|minutes| MINUTE * minutes)));
    let earlier = prop::option::weighted(0.2, ((1u32..60).prop_map(|minutes| MINUTE * minutes), 0usize..3));
    let beyond_ascii = prop::option::weighted(0.2, 1usize..4);
    let moves = prop::option::weighted(0.2, (0u64..7200).prop_map(Duration::from_secs));
    let shares_address = prop::bool::weighted(0.4);
    let traits = prop::collection::vec(traits(), 0..4);
    (traits, backup, used_up, earlier, any::<bool>(), beyond_ascii, shares_address, moves).prop_map(
        |(traits, backup, used_up, earlier, in_parts, beyond_ascii, shares_address, moves)| Provided {
            traits,
            backup,
            used_up,
            earlier,
            in_parts,
            beyond_ascii,
            shares_address,
            moves,
        },
    )
}
