//! The record of a DKIM key (RFC 6376 3.6.1).
//!
//! Decides: which records are keys, and how large a key is.

use super::der::{decode_base64, rsa_bits};

/// The bytes of an Ed25519 key.
const ED25519_BYTES: usize = 32;
/// Receivers must not accept smaller RSA keys (RFC 8301 3.2).
const LEAST_RSA_BITS: usize = 1024;
/// Signers should not use smaller RSA keys (RFC 8301 3.2).
const GOOD_RSA_BITS: usize = 2048;

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a tag of the record")]
pub struct DkimKey {
    /// `k` and the size of the key.
    pub algorithm: DkimAlgorithm,
    /// `p` is empty: the key is revoked.
    pub is_revoked: bool,
    /// `t=y`: the domain tests DKIM, and its failures are to be ignored.
    pub is_test: bool,
    /// `t=s`: the domain of the signature's identity must be the signing domain itself.
    pub is_strict: bool,
    /// `h`: the hash algorithms; all if empty.
    pub hashes: Vec<String>,
    /// False if `s` excludes mail.
    pub is_for_mail: bool,
}

/// The algorithm of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DkimAlgorithm {
    /// RSA, with the bits of its modulus; 0 if the key is revoked.
    Rsa(usize),
    /// Ed25519 (RFC 8463).
    Ed25519,
    /// One that no RFC names.
    Unknown(String),
}

/// Why a record is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DkimKeyFault {
    /// The version is not DKIM1, or is not the first tag.
    #[error("the version is not `DKIM1`, or is not the first tag")]
    Version,
    /// A tag is malformed or stands twice.
    #[error("the tag `{0}` is malformed or stands twice")]
    Tag(String),
    /// There is no `p`.
    #[error("the tag `p` is missing")]
    NoKey,
    /// `p` is not a key of this algorithm.
    #[error("the value of `p` is not a key of the algorithm")]
    Key,
}

impl DkimKey {
    /// Reads the TXT record of a selector. Unknown tags are ignored.
    pub fn parse(text: &str) -> Result<DkimKey, DkimKeyFault> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        for tag in text.split(';').map(str::trim).filter(|tag| !tag.is_empty()) {
            let fault = || DkimKeyFault::Tag(tag.chars().take(20).collect());
            let (name, value) = tag.split_once('=').ok_or_else(fault)?;
            let (name, value) = (name.trim(), value.trim());
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name || tags.iter().any(|(known, _)| *known == name) {
                return Err(fault());
            }
            tags.push((name, value));
        }
        if tags.iter().skip(1).any(|(name, _)| *name == "v")
            || tags.iter().any(|tag| tag.0 == "v" && tag.1 != "DKIM1")
        {
            return Err(DkimKeyFault::Version);
        }
        let value = |name| tags.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let words = |name| -> Vec<String> {
            let words = value(name).unwrap_or_default().split(':').map(str::trim);
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let key = decode_base64(value("p").ok_or(DkimKeyFault::NoKey)?).ok_or(DkimKeyFault::Key)?;
        let is_revoked = key.is_empty();
        let algorithm = match value("k").unwrap_or("rsa") {
            "rsa" if is_revoked => DkimAlgorithm::Rsa(0),
            "rsa" => DkimAlgorithm::Rsa(rsa_bits(&key).ok_or(DkimKeyFault::Key)?),
            "ed25519" if is_revoked || key.len() == ED25519_BYTES => DkimAlgorithm::Ed25519,
            "ed25519" => return Err(DkimKeyFault::Key),
            other => DkimAlgorithm::Unknown(other.to_owned()),
        };
        let (flags, services) = (words("t"), words("s"));
        Ok(DkimKey {
            algorithm,
            is_revoked,
            is_test: flags.iter().any(|flag| flag == "y"),
            is_strict: flags.iter().any(|flag| flag == "s"),
            hashes: words("h"),
            is_for_mail: services.is_empty() || services.iter().any(|word| word == "*" || word == "email"),
        })
    }

    /// True if receivers accept signatures of this key: it is for mail, not revoked, and not too small.
    pub fn is_usable(&self) -> bool {
        let allows_sha256 = self.hashes.is_empty() || self.hashes.iter().any(|hash| hash == "sha256");
        let is_accepted = match self.algorithm {
            DkimAlgorithm::Rsa(bits) => bits >= LEAST_RSA_BITS,
            DkimAlgorithm::Ed25519 => true,
            DkimAlgorithm::Unknown(_) => false,
        };
        is_accepted && allows_sha256 && self.is_for_mail && !self.is_revoked
    }

    /// True if an RSA key is smaller than signers should use.
    pub fn is_small(&self) -> bool {
        matches!(self.algorithm, DkimAlgorithm::Rsa(bits) if bits < GOOD_RSA_BITS)
    }
}
