//! The size of an RSA public key, from its DER form.
//!
//! Must not: check the key; only its modulus is found.

/// Tag of a SEQUENCE, an INTEGER, a BIT STRING.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// The bits of the modulus of an RSA key: of a `SubjectPublicKeyInfo` (RFC 5280 4.1), or of a bare `RSAPublicKey`
/// (RFC 8017 A.1.1), which RFC 6376 names. `None` if the bytes are neither.
pub(super) fn rsa_bits(bytes: &[u8]) -> Option<usize> {
    let (inside, _) = element(bytes, SEQUENCE)?;
    if inside.first() == Some(&INTEGER) {
        return modulus_bits(inside);
    }
    let (_, after_algorithm) = element(inside, SEQUENCE)?;
    let (key, _) = element(after_algorithm, BIT_STRING)?;
    // The first byte counts unused bits.
    let (numbers, _) = element(key.get(1..)?, SEQUENCE)?;
    modulus_bits(numbers)
}

fn modulus_bits(numbers: &[u8]) -> Option<usize> {
    let (modulus, exponent) = element(numbers, INTEGER)?;
    element(exponent, INTEGER)?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let significant = &modulus[first..];
    let leading_zeros = significant.first()?.leading_zeros();
    Some(significant.len() * 8 - usize::try_from(leading_zeros).ok()?)
}

/// The content of the element at the start, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The bytes of a Base64 text; white space is ignored. `None` for any other character.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let end = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
    if text[end..].iter().any(|byte| *byte != b'=') || text.len() - end > 2 {
        return None;
    }
    for byte in &text[..end] {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}
