//! Bytes in any encoding become UTF-8.
//!
//! Decides: where the encoding has to be known, which is at the first byte beyond ASCII; `encoding` finds it. UTF-8 passes
//! byte for byte. Bytes in a UTF-8 list that are not UTF-8 (two exports joined into one file) are read as Windows-1252, byte
//! by byte, and counted. Fails: where the encoding can't be found.

use std::io::{self, Read};
use std::sync::Arc;

use encoding_rs::{DecoderResult, WINDOWS_1252};

use super::encoding::{EncodingFinder, LOOKED_AT_BYTES};
use crate::list::format::{Encoding, read_full};

/// Turns a stream of bytes into a stream of UTF-8.
pub(super) struct Utf8Reader<R> {
    inner: Ahead<R>,
    coder: Coder,
    /// Decoded bytes; those before `returned` are returned already.
    ready: Vec<u8>,
    returned: usize,
    ended: bool,
    replaced: u64,
}

enum Coder {
    /// ASCII so far; the finder decides about what comes.
    Ascii(Arc<EncodingFinder>),
    /// `held`: the first bytes of a character whose other bytes are not read yet.
    Utf8 {
        held: Vec<u8>,
    },
    Other {
        decoder: encoding_rs::Decoder,
        raw: Vec<u8>,
    },
}

impl Coder {
    fn of(encoding: Encoding) -> Coder {
        if encoding == Encoding::UTF_8 {
            Coder::Utf8 { held: Vec::new() }
        } else {
            let decoder = encoding.coder().new_decoder_without_bom_handling();
            Coder::Other { decoder, raw: vec![0; RAW_BYTES] }
        }
    }
}

/// A stream, part of which was read ahead.
struct Ahead<R> {
    stream: R,
    /// The bytes that were read ahead; those before `at` are returned already.
    bytes: Vec<u8>,
    at: usize,
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.bytes.len() {
            return self.stream.read(buffer);
        }
        let n = (self.bytes.len() - self.at).min(buffer.len());
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        if self.at == self.bytes.len() {
            (self.bytes, self.at) = (Vec::new(), 0);
        }
        Ok(n)
    }
}

const RAW_BYTES: usize = 64 << 10;

impl<R: Read> Utf8Reader<R> {
    /// Decodes `inner`, which begins after the byte order marks.
    pub(super) fn new(inner: R, encoding: Encoding) -> Utf8Reader<R> {
        Utf8Reader::with(inner, Coder::of(encoding))
    }

    /// Decodes `inner`, whose encoding the finder decides.
    pub(super) fn finding(inner: R, finder: Arc<EncodingFinder>) -> Utf8Reader<R> {
        Utf8Reader::with(inner, Coder::Ascii(finder))
    }

    fn with(inner: R, coder: Coder) -> Utf8Reader<R> {
        let inner = Ahead { stream: inner, bytes: Vec::new(), at: 0 };
        Utf8Reader { inner, coder, ready: Vec::new(), returned: 0, ended: false, replaced: 0 }
    }

    /// How many byte sequences so far were not valid in the encoding, and were read as Windows-1252 or replaced.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Reads ASCII directly into `buffer`; at the first other byte the encoding is decided. Returns how much was read, which
    /// is 0 at the end and where the encoding was decided.
    fn read_ascii(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Coder::Ascii(finder) = &self.coder else {
            return Ok(0);
        };
        let filled = read_full(&mut self.inner, buffer)?;
        self.ended = filled < buffer.len();
        let ascii = if buffer[..filled].is_ascii() {
            filled
        } else {
            encoding_rs::Encoding::ascii_valid_up_to(&buffer[..filled])
        };
        if ascii == filled {
            return Ok(filled);
        }
        let mut ahead = buffer[ascii..filled].to_vec();
        let wanted = LOOKED_AT_BYTES.saturating_sub(ahead.len()) as u64;
        (&mut self.inner).take(wanted).read_to_end(&mut ahead)?;
        let found =
            finder.find(&ahead).map_err(|unknown| io::Error::new(io::ErrorKind::InvalidData, unknown))?;
        self.inner.bytes = ahead;
        self.coder = Coder::of(found);
        self.ended = false;
        Ok(ascii)
    }

    /// Decodes into `ready` until it has some bytes or the stream ends.
    fn decode_more(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.returned = 0;
        let Coder::Other { decoder, raw } = &mut self.coder else {
            return Ok(());
        };
        while self.ready.is_empty() && !self.ended {
            let filled = read_full(&mut self.inner, raw)?;
            self.ended = filled < raw.len();
            let most = decoder.max_utf8_buffer_length(filled).unwrap_or(4 * RAW_BYTES);
            self.ready.resize(most, 0);
            let mut read = 0;
            let mut written = 0;
            loop {
                let (result, r, w) = decoder.decode_to_utf8_without_replacement(
                    &raw[read..filled],
                    &mut self.ready[written..],
                    self.ended,
                );
                read += r;
                written += w;
                match result {
                    DecoderResult::InputEmpty => break,
                    DecoderResult::OutputFull => self.ready.resize(self.ready.len() * 2 + 16, 0),
                    DecoderResult::Malformed(..) => {
                        self.replaced += 1;
                        self.ready.truncate(written);
                        self.ready.extend_from_slice("\u{fffd}".as_bytes());
                        written = self.ready.len();
                        self.ready.resize(written + most, 0);
                    }
                }
            }
            self.ready.truncate(written);
        }
        Ok(())
    }

    /// Reads UTF-8 directly into `buffer`. Only what follows an invalid byte passes through `ready`.
    fn read_utf8(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Coder::Utf8 { held } = &mut self.coder else {
            return Ok(0);
        };
        let kept = held.len();
        buffer[..kept].copy_from_slice(held);
        held.clear();
        let filled = kept + read_full(&mut self.inner, &mut buffer[kept..])?;
        self.ended = filled < buffer.len();
        let Err(fault) = std::str::from_utf8(&buffer[..filled]) else {
            return Ok(filled);
        };
        let good = fault.valid_up_to();
        if fault.error_len().is_none() && !self.ended {
            held.extend_from_slice(&buffer[good..filled]);
            return Ok(good);
        }
        self.ready.clear();
        self.returned = 0;
        let rest = &buffer[good..filled];
        let mut chunks = rest.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.ready.extend_from_slice(chunk.valid().as_bytes());
            let last = chunks.peek().is_none();
            let unfinished =
                std::str::from_utf8(chunk.invalid()).err().is_some_and(|e| e.error_len().is_none());
            if last && unfinished && !self.ended {
                held.extend_from_slice(chunk.invalid());
                continue;
            }
            if !chunk.invalid().is_empty() {
                self.replaced += 1;
                let (text, _) = WINDOWS_1252.decode_without_bom_handling(chunk.invalid());
                self.ready.extend_from_slice(text.as_bytes());
            }
        }
        if good == 0 {
            // No valid bytes come first: return some of `ready` now, since 0 would mean the end.
            let n = self.ready.len().min(buffer.len());
            buffer[..n].copy_from_slice(&self.ready[..n]);
            self.returned = n;
            return Ok(n);
        }
        Ok(good)
    }
}

/// A smaller buffer is filled through `ready`: the held bytes and the ones after them must fit.
const MIN_BUFFER_BYTES: usize = 64;

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.returned < self.ready.len() {
                let n = (self.ready.len() - self.returned).min(buffer.len());
                buffer[..n].copy_from_slice(&self.ready[self.returned..self.returned + n]);
                self.returned += n;
                return Ok(n);
            }
            match &self.coder {
                Coder::Ascii(_) => {
                    if self.ended {
                        return Ok(0);
                    }
                    let n = self.read_ascii(buffer)?;
                    if n > 0 {
                        return Ok(n);
                    }
                }
                Coder::Utf8 { held } => {
                    if self.ended && held.is_empty() {
                        return Ok(0);
                    }
                    if buffer.len() < MIN_BUFFER_BYTES {
                        let mut front = [0; MIN_BUFFER_BYTES];
                        let n = self.read_utf8(&mut front)?;
                        self.ready.splice(..self.returned, front[..n].iter().copied());
                        self.returned = 0;
                    } else {
                        let n = self.read_utf8(buffer)?;
                        if n > 0 {
                            return Ok(n);
                        }
                    }
                }
                Coder::Other { .. } => {
                    if self.ended {
                        return Ok(0);
                    }
                    self.decode_more()?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes with a buffer of `size` bytes at a time.
    fn decoded(bytes: &[u8], encoding: Encoding, size: usize) -> (Vec<u8>, u64) {
        let mut stream = Utf8Reader::new(bytes, encoding);
        let mut text = Vec::new();
        let mut buffer = vec![0; size];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return (text, stream.replaced()),
                n => text.extend_from_slice(&buffer[..n]),
            }
        }
    }

    proptest! {
        #[test]
        fn utf8_passes_byte_for_byte(text in "\\PC{0,60}", size in 1usize..200) {
            prop_assert_eq!(decoded(text.as_bytes(), Encoding::UTF_8, size), (text.into_bytes(), 0));
        }

        #[test]
        fn any_bytes_become_utf8_for_any_buffer_size(
            bytes in prop::collection::vec(prop::sample::select(b"a\xc3\xa4\xe2\x82\xac\xff\x80\xf0\x9f\x98\x80".as_slice()), 0..300),
            size in 1usize..200,
        ) {
            let (text, replaced) = decoded(&bytes, Encoding::UTF_8, size);
            prop_assert!(std::str::from_utf8(&text).is_ok());
            prop_assert_eq!(replaced == 0, std::str::from_utf8(&bytes).is_ok());
            prop_assert_eq!(decoded(&bytes, Encoding::UTF_8, 1000), (text, replaced));
        }

        #[test]
        fn utf16_is_read_as_it_was_written(text in "\\PC{0,60}", size in 1usize..200) {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            prop_assert_eq!(decoded(&little, Encoding::UTF_16LE, size), (text.clone().into_bytes(), 0));
            prop_assert_eq!(decoded(&big, Encoding::UTF_16BE, size), (text.into_bytes(), 0));
        }
    }
}
