//! Time limits and floods.

use std::sync::Arc;

use super::*;

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session_at_the_limit_of_each_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            peer.fall_silent().await;
        })
        .await;
        assert_eq!(outcome.end(), &ended(stage, EndReason::TimedOut));
        assert_eq!(outcome.took, stage.time_limit());
        assert_eq!(outcome.replies(), [] as [&SmtpEvent; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_does_not_extend_the_limit_of_a_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            if !replies.is_empty() {
                peer.receive().await;
            }
            while peer.send("2").await {
                sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
        assert_eq!(outcome.end(), &ended(stage, EndReason::TimedOut));
        assert_eq!(outcome.took, stage.time_limit());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tarpit_is_left_at_the_limit_of_the_session() {
    let outcome = meet_with(TlsPolicy::No, vec![batch(20)], |mut peer| async move {
        peer.send("220 hi\r\n").await;
        loop {
            let command = peer.receive().await;
            sleep(Duration::from_secs(60)).await;
            if command.is_empty() || !peer.send("250 ok\r\n").await {
                return;
            }
        }
    })
    .await;
    // EHLO and MAIL take a minute each, and the replies to seven of the twenty recipients come in the next seven
    // minutes. The eighth would come exactly at the limit.
    assert_eq!(outcome.replies().len(), 7);
    assert_eq!(outcome.end(), &ended(Stage::Rcpt, EndReason::TimedOut));
    assert_eq!(outcome.took, SmtpTimeouts::default().session);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_quits_at_the_limit_of_the_session() {
    let (sender, receiver) = mpsc::channel(1);
    let (ours, theirs) = duplex(1024);
    let network = OneServer(Mutex::new(Some(ours)));
    let host = Domain::parse("mx.shop.example").unwrap();
    let request = request(&host, TlsPolicy::No);
    let mut events = Vec::new();
    let mut peer = Peer(BufReader::new(theirs));
    let serve = async {
        peer.open(&["220 hi", "250 mx"]).await;
        assert_eq!(peer.reply("221 bye").await, "QUIT");
    };
    let start = Instant::now();
    tokio::join!(drive_session(&network, request, receiver, |event| events.push(event), None), serve);
    assert_eq!(events.last(), Some(&SmtpEvent::Ended(ended(Stage::Quit, EndReason::Quit))));
    assert_eq!(start.elapsed(), SmtpTimeouts::default().session);
    drop(sender);
}

#[tokio::test(start_paused = true)]
async fn floods_are_cut_off_early() {
    for (flood, fault) in [
        (&b"220"[..], MalformedReply::NotAReply),
        (b"2", MalformedReply::LineTooLong),
        (b"220-x\r\n", MalformedReply::ReplyTooLong),
        (b"\0\0\0\0\r\n", MalformedReply::NotAReply),
    ] {
        let sent = Arc::new(Mutex::new(0));
        let counter = sent.clone();
        let outcome = meet(TlsPolicy::No, |mut peer| async move {
            if fault == MalformedReply::NotAReply {
                peer.send("x\r\n").await;
            }
            while peer.send(flood).await {
                *counter.lock().unwrap() += flood.len();
            }
        })
        .await;
        assert_eq!(outcome.end(), &ended(Stage::Connect, EndReason::Malformed(fault)));
        assert!(*sent.lock().unwrap() < 20_000, "{sent:?} bytes were accepted");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_megabytes_of_ehlo_are_not_read() {
    let outcome = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["220 hi"]).await;
        peer.receive().await;
        let line = format!("250-{}\r\n", "X".repeat(4000));
        for _ in 0..2500 {
            peer.send(&line).await;
        }
        panic!("all of it was read");
    })
    .await;
    assert_eq!(outcome.end(), &ended(Stage::Helo, EndReason::Malformed(MalformedReply::ReplyTooLong)));
}
