//! gzip, member after member.
//!
//! Decides: where a file ends (RFC 1952 2.2 allows several members; zeros behind the last one are the padding of a tape
//! or a disk block). Must not: drop a byte of a list. Fails: where anything else stands behind a member.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// What comes out of all members.
pub(super) struct Gunzip<R> {
    /// The one that is being unpacked; `None` at the end.
    member: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(packed: R) -> Gunzip<R> {
        Gunzip { member: Some(GzDecoder::new(BufReader::new(packed))) }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let mut packed = self.member.take().map(GzDecoder::into_inner);
            if packed.as_mut().map_or(Ok(false), skip_zeros)? {
                self.member = packed.map(GzDecoder::new);
            }
        }
        Ok(0)
    }
}

/// True when another member follows.
fn skip_zeros(packed: &mut impl BufRead) -> io::Result<bool> {
    const MAGIC: u8 = 0x1f;
    loop {
        let bytes = packed.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        match bytes.get(zeros) {
            Some(&MAGIC) => {
                packed.consume(zeros);
                return Ok(true);
            }
            Some(_) => {
                let behind = "something else stands behind its gzip data";
                return Err(io::Error::new(io::ErrorKind::InvalidData, behind));
            }
            None if zeros == 0 => return Ok(false),
            None => packed.consume(zeros),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        let read = Gunzip::new(packed).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| error.to_string())
    }

    #[test]
    fn members_follow_each_other_and_zeros_end_them() {
        let (one, other, zeros) = (member("ann@x.example\n"), member("bob@x.example\n"), vec![0; 20_000]);
        let both = Ok("ann@x.example\nbob@x.example\n".to_owned());
        assert_eq!(unpacked(&[&one[..], &other].concat()), both);
        assert_eq!(unpacked(&[&one[..], &member(""), &other, &zeros].concat()), both);
        assert_eq!(unpacked(&[&one[..], &zeros, &other].concat()), both);
        let behind = Err("something else stands behind its gzip data".to_owned());
        assert_eq!(unpacked(&[&one[..], b"garbage"].concat()), behind);
        assert!(unpacked(&one[..one.len() - 1]).is_err());
    }
}
