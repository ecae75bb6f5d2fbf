//! STARTTLS against servers with any certificate, and handshakes that fail.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// A key for this test, with a certificate that is expired, self-signed and for another name.
const SELF_SIGNED: &[u8] = include_bytes!("../self-signed.pem");

fn acceptor() -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(SELF_SIGNED).unwrap()],
            PrivateKeyDer::from_pem_slice(SELF_SIGNED).unwrap(),
        );
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

#[tokio::test(start_paused = true)]
async fn any_certificate_is_accepted() {
    let outcome = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
        let mut stream = BufReader::new(acceptor().accept(peer.0).await.unwrap());
        for reply in ["250 mx", "250 ok", "250 yes", "550 no", "221 bye"] {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    })
    .await;
    assert_eq!(outcome.replies(), [&rcpt(0, "250 yes"), &rcpt(1, "550 no")]);
    assert_eq!(outcome.end(), &ended(Stage::Quit, EndReason::Quit));
    assert!(outcome.lines.contains(&TranscriptLine::Note("encrypted".into())));
}

#[tokio::test(start_paused = true)]
async fn failed_tls_ends_the_session_with_a_tls_error() {
    let garbage = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
        peer.send([0x55; 600]).await;
        peer.fall_silent().await;
    })
    .await;
    assert!(
        matches!(garbage.end(), SessionEnd { stage: Stage::StartTls, reason: EndReason::Tls(_) }),
        "{:?}",
        garbage.end()
    );

    let injection = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go\r\n250 injected"]).await;
        peer.fall_silent().await;
    })
    .await;
    let reason = EndReason::Tls("clear text after the reply to STARTTLS".to_owned());
    assert_eq!(injection.end(), &ended(Stage::StartTls, reason));

    let silence = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
        let mut hello = [0; 1];
        peer.0.read_exact(&mut hello).await.unwrap();
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(silence.end(), &ended(Stage::StartTls, EndReason::TimedOut));
    assert_eq!(silence.took, Stage::StartTls.time_limit());

    let gone = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
    })
    .await;
    assert!(
        matches!(gone.end(), SessionEnd { stage: Stage::StartTls, reason: EndReason::Tls(_) }),
        "{:?}",
        gone.end()
    );
}
