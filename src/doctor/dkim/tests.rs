//! Key records, as the RFCs have them.

use super::key::{DkimAlgorithm, DkimKey, DkimKeyFault};

/// Keys that were generated for this test: a `SubjectPublicKeyInfo` of 1024 and of 2048 bits, a bare `RSAPublicKey` of 512.
const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDKMA2M21/osu+/1GSFah54r9NHK1EoeGsIhatkA3tv3Ye1N2IV/EeAw5s2xJ47U3D043y3gJDG/Jbk0dfNHqwqL/YrIpCnPgRsU6gSdvPJZHs7synOFHEgbabrC+/1Jx/oI2Yo+gGPu4Sbl2qjumhL4JL99sspIxN7MBdWD///3wIDAQAB";
const RSA_2048: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7ygnQ/zs4uXit1/teLh0Zp/E8lxRUaSLSxrF6IaXWCyns6mm/8J8Z/8sEzo4rSlx1PP4zcUcaF61XkE9XJHD1045B6zGqNVqr5Uh+LcU+/ZhSSdyPT/kq5jTH6E2hM1zI+JVC95oKw92RFfADt2rAeASGt2yLHHLTIWP33b8IzrvsYvFacMlTQ0K5e7aacdtcyuhetYQbD8D3UB25RLW5la2OdxtOBy+m9wesFSNeKBzL2rCByVmPC1PK+tBarFPokNIm+ZD0v6AH+k6Q/+l+FireoxArCjpRra6SuYcfwGPjahj9CD4yu7WA/r4tsk84P+WLiDeGhhpeDYd34lGmQIDAQAB";
const BARE_RSA_512: &str =
    "MEgCQQCmyeC5VZGeObcocSQ0NNbu3wgWW6MchyGPvgr1OdBoIHqieHT9EXw3xSjTSlL+ArfAzDn1pnEg5vj6zX3BJnNvAgMBAAE=";
/// The key of RFC 8463 A.2.
const ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn parse(text: &str) -> Result<DkimKey, DkimKeyFault> {
    DkimKey::parse(text)
}

#[test]
fn algorithm_and_size() {
    for (text, algorithm, usable, small) in [
        (format!("v=DKIM1; k=rsa; p={RSA_2048}"), DkimAlgorithm::Rsa(2048), true, false),
        (format!("p={RSA_1024}"), DkimAlgorithm::Rsa(1024), true, true),
        (format!("v=DKIM1; p={BARE_RSA_512}"), DkimAlgorithm::Rsa(512), false, true),
        (format!("v=DKIM1; k=ed25519; p={ED25519}"), DkimAlgorithm::Ed25519, true, false),
        (format!("v=DKIM1; k=x25519; p={ED25519}"), DkimAlgorithm::Unknown("x25519".into()), false, false),
    ] {
        let key = parse(&text).unwrap();
        assert_eq!((&key.algorithm, key.is_usable(), key.is_small()), (&algorithm, usable, small), "{text}");
    }
}

#[test]
fn white_space_in_a_record_is_ignored() {
    let (left, right) = RSA_1024.split_at(50);
    let key = parse(&format!(" v = DKIM1 ; p = {left} \t {right} ;")).unwrap();
    assert_eq!(key.algorithm, DkimAlgorithm::Rsa(1024));
}

#[test]
fn flags_services_and_hashes() {
    let key = |tags: &str| parse(&format!("v=DKIM1; {tags}; n=note; x=y; p={RSA_2048}")).unwrap();
    assert!(key("t=y").is_test && key("t=s:y").is_test && !key("t=s").is_test && !key("t=").is_test);
    assert!(key("t=y : s").is_strict && !key("t=y").is_strict);
    assert!(key("s=*").is_for_mail && key("s=email").is_for_mail && key("s=a:email").is_for_mail);
    assert!(!key("s=other").is_for_mail && !key("s=other").is_usable());
    assert!(key("h=sha1:sha256").is_usable() && !key("h=sha1").is_usable());
}

#[test]
fn an_empty_key_is_revoked() {
    for text in ["v=DKIM1; p=", "p=;", "v=DKIM1; k=ed25519; p= ; t=y"] {
        let key = parse(text).unwrap();
        assert!(key.is_revoked && !key.is_usable(), "{text}");
    }
}

#[test]
fn malformed_records() {
    let tag = |text: &str| DkimKeyFault::Tag(text.to_owned());
    for (text, fault) in [
        ("", DkimKeyFault::NoKey),
        ("v=DKIM1; k=rsa", DkimKeyFault::NoKey),
        ("v=DKIM2; p=", DkimKeyFault::Version),
        ("v=dkim1; p=", DkimKeyFault::Version),
        ("p=; v=DKIM1", DkimKeyFault::Version),
        ("v=DKIM1; p=; p=", tag("p=")),
        ("v=DKIM1; p", tag("p")),
        ("v=DKIM1; =x; p=", tag("=x")),
        ("v=DKIM1; p=QUJD", DkimKeyFault::Key),
        ("v=DKIM1; p=Q!JD", DkimKeyFault::Key),
        ("v=DKIM1; p====", DkimKeyFault::Key),
        ("v=DKIM1; k=ed25519; p=QUJD", DkimKeyFault::Key),
        ("v=DKIM1; p=MIIBIjANBg", DkimKeyFault::Key),
    ] {
        assert_eq!(parse(text), Err(fault), "{text}");
    }
}
