//! Any bytes from a server: read the same however they are split into packets, clean, bounded, and never a confirmed dead
//! mailbox without clear words.

use listproof::details::MalformedReply;
use listproof::internals::smtp::{MAX_REPLY_LINES, ReplyReader, sanitize};
use listproof::policy::{ReplyContext, ReplyRules};
use listproof::{Cause, Confidence, Fault, Reply, Stage, Verdict};

const PROVIDERS: [Option<&str>; 6] =
    [None, Some("google"), Some("microsoft365"), Some("yahoo"), Some("qq"), Some("mimecast")];

/// The first byte is the length of packets, the second selects stage and provider, the rest is sent by the server.
pub(crate) fn check(bytes: &[u8]) {
    let &[piece, place, ref sent @ ..] = bytes else { return };
    let place = usize::from(place);
    let stage = Stage::ALL[place % Stage::ALL.len()];
    let at = ReplyContext { stage, provider: PROVIDERS[place / Stage::ALL.len() % PROVIDERS.len()] };
    let (replies, fault) = read(sent.chunks(sent.len().max(1)));
    let cut = read(sent.chunks(usize::from(piece) + 1));
    assert_eq!((&replies, fault), (&cut.0, cut.1), "it depends on how the bytes are split");
    for reply in &replies {
        is_sane(reply);
        is_just(reply, &at);
    }
}

/// All replies up to the first fault.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<MalformedReply>) {
    let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.pull() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(fault) => return (replies, Some(fault)),
            }
        }
    }
    (replies, None)
}

fn is_sane(reply: &Reply) {
    assert!((200..600).contains(&reply.code), "{reply:?}");
    assert!((1..=MAX_REPLY_LINES).contains(&reply.lines.len()));
    assert!(reply.lines.iter().all(|line| *line == sanitize(line)), "{reply:?} is not clean");
    let shown = reply.to_string();
    assert!(shown.starts_with(&reply.code.to_string()) && !shown.contains(char::is_control), "{shown:?}");
}

/// Limits of the rules for any words: no reply before RCPT is about a mailbox, no transient reply means a dead one.
fn is_just(reply: &Reply, at: &ReplyContext<'_>) {
    let rules = ReplyRules::built_in();
    let meaning = rules.classify(reply, at);
    let is_dead = |cause: Cause| cause.verdict() == Verdict::Undeliverable;
    if at.stage.is_before_rcpt() {
        let fault = meaning.cause.fault();
        assert!(matches!(fault, Fault::Us | Fault::Host | Fault::None), "{reply:?} at {at:?}: {meaning:?}");
        assert_eq!(meaning.if_about_mailbox, None);
    }
    if !reply.is_permanent() {
        assert!(!is_dead(meaning.cause), "{reply:?} at {at:?}: {meaning:?}");
        assert!(!meaning.if_about_mailbox.is_some_and(is_dead), "{reply:?} at {at:?}: {meaning:?}");
    }
    // Without its words, a code never confirms a dead mailbox.
    let blotted =
        Reply::new(reply.code, reply.lines.iter().map(|line| line.replace(char::is_alphanumeric, "#")));
    let meaning = rules.classify(&blotted, at);
    let is_sure = is_dead(meaning.cause) && meaning.confidence == Confidence::Confirmed;
    assert!(!is_sure, "{blotted:?} at {at:?}: {meaning:?}");
}
