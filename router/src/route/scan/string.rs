//! JSON strings: escapes, surrogates, NUL and length.

use super::{Fault, STRING_MAX_BYTES};
use common::quarantine::Reason;
use std::borrow::Cow;
use wide::u8x16;

/// A valid string's place in its record, between the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub start: u32,
    pub end: u32,
    /// Length once escapes are decoded.
    pub decoded_bytes: u32,
    pub escaped: bool,
}

impl Text {
    /// A string without escapes.
    pub(super) fn plain(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32, decoded_bytes: (end - start) as u32, escaped: false }
    }

    /// The bytes as written.
    pub(super) fn raw(self, record: &[u8]) -> &[u8] {
        &record[self.start as usize..self.end as usize]
    }

    /// The text it stands for.
    pub(super) fn decoded(self, record: &[u8]) -> Cow<'_, str> {
        if !self.escaped {
            return std::str::from_utf8(self.raw(record)).expect("scanned before: the record is UTF-8").into();
        }
        let mut out = Vec::with_capacity(self.decoded_bytes as usize);
        decode(self.raw(record), &mut out);
        Cow::Owned(String::from_utf8_lossy(&out).into_owned())
    }
}

/// Bytes that need no look: everything but the quote, the backslash and control characters.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut b = 0;
    while b < 0x20 {
        plain[b] = false;
        b += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// The first byte from `at` on that is not plain.
#[inline(always)]
fn skip_plain(record: &[u8], mut at: usize) -> usize {
    while let Some(block) = record.get(at..at + 16) {
        match specials(u8x16::new(block.try_into().expect("the block has this length"))) {
            0 => at += 16,
            found => return at + found.trailing_zeros() as usize,
        }
    }
    while record.get(at).is_some_and(|b| PLAIN[*b as usize]) {
        at += 1;
    }
    at
}

/// One bit for each of the sixteen bytes that is not plain, the first one's lowest.
#[inline(always)]
fn specials(block: u8x16) -> u32 {
    let control = block.simd_eq(block.min(u8x16::splat(0x1f)));
    (block.simd_eq(u8x16::splat(b'"')) | block.simd_eq(u8x16::splat(b'\\')) | control).to_bitmask()
}

/// Scans from behind the opening quote to the closing one. Most strings are short and have no escapes.
#[inline(always)]
pub(super) fn scan(record: &[u8], start: usize) -> Result<Text, Fault> {
    let at = skip_plain(record, start);
    if record.get(at) == Some(&b'"') && at - start <= STRING_MAX_BYTES {
        return Ok(Text::plain(start, at));
    }
    scan_special(record, start, at)
}

/// [`scan`], with everything up to `at` seen to be plain.
#[inline(never)]
fn scan_special(record: &[u8], start: usize, mut at: usize) -> Result<Text, Fault> {
    let mut saved = 0;
    loop {
        match record.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {
                let (raw, decoded) = escape(record, at)?;
                at += raw;
                saved += raw - decoded;
            }
            Some(_) => return Err(Fault::grammar(at, "a control character inside a string")),
            None => return Err(Fault::grammar(at, "the record ends inside a string")),
        }
        at = skip_plain(record, at);
    }
    let decoded_bytes = at - start - saved;
    if decoded_bytes > STRING_MAX_BYTES {
        return Err(Fault { reason: Reason::StringTooLong, at: start, what: "a string of more than 65,535 bytes" });
    }
    Ok(Text { start: start as u32, end: at as u32, decoded_bytes: decoded_bytes as u32, escaped: saved > 0 })
}

/// The length of the escape at `at`, raw and decoded.
fn escape(record: &[u8], at: usize) -> Result<(usize, usize), Fault> {
    match record.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok((2, 1)),
        Some(b'u') => match unit(record, at + 2) {
            None => Err(Fault::grammar(at, "\\u needs four hex digits")),
            Some(0) => Err(Fault { reason: Reason::NulCharacter, at, what: "\\u0000 in a string" }),
            Some(high @ 0xD800..=0xDBFF) => {
                let low = (record.get(at + 6..at + 8) == Some(b"\\u")).then(|| unit(record, at + 8)).flatten();
                match low {
                    Some(low) if pair(high, low).is_some() => Ok((12, 4)),
                    _ => Err(Fault { reason: Reason::InvalidUtf8, at, what: "an unpaired surrogate" }),
                }
            }
            Some(0xDC00..=0xDFFF) => Err(Fault { reason: Reason::InvalidUtf8, at, what: "an unpaired surrogate" }),
            Some(unit) => Ok((6, char::from_u32(unit.into()).map_or(3, char::len_utf8))),
        },
        _ => Err(Fault::grammar(at, "an escape that JSON does not know")),
    }
}

fn unit(record: &[u8], at: usize) -> Option<u16> {
    let digits = record.get(at..at + 4)?;
    digits.iter().try_fold(0, |n: u16, b| Some(n << 4 | (*b as char).to_digit(16)? as u16))
}

fn pair(high: u16, low: u16) -> Option<char> {
    char::decode_utf16([high, low]).next()?.ok().filter(|c| c.len_utf16() == 2)
}

/// Decodes the escapes of a valid string.
pub(super) fn decode(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &raw[at..]) {
        out.extend_from_slice(&raw[at..at + found]);
        at += found;
        let simple = match raw[at + 1] {
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let high = unit(raw, at + 2).expect("scanned before");
                let paired = unit(raw, at + 8).and_then(|low| pair(high, low)).filter(|_| raw[at + 6] == b'\\');
                let c = paired.or_else(|| char::from_u32(high.into())).expect("scanned before: no lone surrogate");
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += if c.len_utf16() == 2 { 12 } else { 6 };
                continue;
            }
            same => same,
        };
        out.push(simple);
        at += 2;
    }
    out.extend_from_slice(&raw[at..]);
}
