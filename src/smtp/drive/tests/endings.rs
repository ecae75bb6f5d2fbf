//! Servers that disconnect, reject the session, reply out of step, or cannot be reached.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_closed_connection_ends_a_session_immediately_at_each_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            if !replies.is_empty() {
                peer.receive().await;
            }
        })
        .await;
        assert_eq!(outcome.end(), &ended(stage, EndReason::HungUp));
        assert_eq!(outcome.took, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_421_ends_a_session_at_each_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            if replies.is_empty() {
                peer.send("421 go away\r\n").await;
            } else {
                peer.reply("421 go away").await;
            }
            peer.fall_silent().await;
        })
        .await;
        let reply = Reply::new(421, ["go away"]);
        assert_eq!(outcome.end(), &ended(stage, EndReason::Rejected(reply)));
        assert_eq!(outcome.took, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_during_an_idle_session_is_noticed() {
    let (_sender, receiver) = mpsc::channel(1);
    let (ours, theirs) = duplex(1024);
    let network = OneServer(Mutex::new(Some(ours)));
    let host = Domain::parse("mx.shop.example").unwrap();
    let request = request(&host, TlsPolicy::No);
    let mut events = Vec::new();
    let serve = async {
        let mut peer = Peer(BufReader::new(theirs));
        peer.open(&["220 hi", "250 mx"]).await;
        sleep(Duration::from_secs(20)).await;
    };
    let start = Instant::now();
    tokio::join!(drive_session(&network, request, receiver, |event| events.push(event), None), serve);
    assert_eq!(events.last(), Some(&SmtpEvent::Ended(ended(Stage::Helo, EndReason::HungUp))));
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn replies_out_of_step_end_the_session_and_reach_no_other_recipient() {
    let early = meet(TlsPolicy::No, |mut peer| async move {
        peer.send("220 hi\r\n250 mx\r\n").await;
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(early.end(), &ended(Stage::Helo, EndReason::Malformed(MalformedReply::Unsolicited)));

    let double = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["220 hi", "250 mx", "250 ok", "550 no\r\n250 yes"]).await;
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(double.replies(), [&rcpt(0, "550 no")]);
    assert_eq!(double.end(), &ended(Stage::Rcpt, EndReason::Malformed(MalformedReply::Unsolicited)));

    let mixed = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["220 hi", "250 mx", "250 ok", "250-yes\r\n550 no"]).await;
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(mixed.replies(), [] as [&SmtpEvent; 0]);
    assert_eq!(mixed.end(), &ended(Stage::Rcpt, EndReason::Malformed(MalformedReply::MixedCodes)));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_session_is_closed_with_quit_and_without_waiting() {
    let outcome = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["554 your address is listed"]).await;
        peer.fall_silent().await;
    })
    .await;
    let reply = Reply::new(554, ["your address is listed"]);
    assert_eq!(outcome.end(), &ended(Stage::Connect, EndReason::Rejected(reply)));
    assert_eq!(outcome.took, Duration::ZERO);
    let expected = [
        TranscriptLine::Note("connected to 192.0.2.1:25".into()),
        TranscriptLine::Received("554 your address is listed".into()),
        TranscriptLine::Sent("QUIT".into()),
        TranscriptLine::Note("the server rejected the session: 554 your address is listed".into()),
    ];
    assert_eq!(outcome.lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_last_reply_is_read_after_the_server_stopped_reading() {
    let outcome = meet_with(TlsPolicy::No, vec![batch(200)], |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 PIPELINING", "250 ok", "550 no"]).await;
        peer.send("421 too many errors\r\n").await;
        // Closes with most of the batch unread.
    })
    .await;
    let reply = Reply::new(421, ["too many errors"]);
    assert_eq!(outcome.replies().len(), 2);
    assert_eq!(outcome.end(), &ended(Stage::Rcpt, EndReason::Rejected(reply)));
}

/// A network on which connecting never finishes.
struct BlackHole;
impl Connect for BlackHole {
    fn connect<'a>(&'a self, _: SocketAddr, _: &'a EgressPath) -> ConnectFuture<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_connect_is_an_end() {
    let (_, receiver) = mpsc::channel(1);
    let host = Domain::parse("mx.shop.example").unwrap();
    let mut events = Vec::new();
    let network = OneServer(Mutex::new(None));
    drive_session(&network, request(&host, TlsPolicy::No), receiver, |event| events.push(event), None).await;
    let reason = EndReason::Connect("connection refused".to_owned());
    assert_eq!(events, [SmtpEvent::Ended(ended(Stage::Connect, reason))]);

    let (_, receiver) = mpsc::channel(1);
    let mut events = Vec::new();
    drive_session(&BlackHole, request(&host, TlsPolicy::No), receiver, |event| events.push(event), None)
        .await;
    let reason = EndReason::Connect("no connection within 30 s".to_owned());
    assert_eq!(events, [SmtpEvent::Ended(ended(Stage::Connect, reason))]);
}
