//! JSON text into a byte buffer.
//!
//! *Invariant:* what is written is valid UTF-8 and parses back to what was given
//! (`schema/tests.rs`, `lines_carry_every_byte`).

use std::{fmt, str};

/// A member's name as it is written: `,"name":`. Made by [`key!`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(pub(super) &'static str);

/// The [`Key`] of a name.
macro_rules! key {
    ($name:literal) => {
        $crate::sink::json::write::Key(concat!(",\"", $name, "\":"))
    };
}
pub(super) use key;

/// Takes members of an object of texts, one by one.
pub(super) type Tell<'t> = &'t mut dyn FnMut(&str, &dyn fmt::Display);

/// Writes one JSON object, member after member.
#[derive(Debug)]
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Closes it.
    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    /// Writes the member's name; the value is written to what is returned.
    ///
    /// Inlined, the copy is one of a known length: a few moves instead of a call.
    #[inline(always)]
    pub(super) fn key(&mut self, key: Key) -> &mut Vec<u8> {
        let name = key.0.as_bytes();
        if std::mem::take(&mut self.empty) {
            self.out.extend_from_slice(&name[1..]);
        } else {
            self.out.extend_from_slice(name);
        }
        self.out
    }

    /// A member whose name is not known beforehand.
    pub(super) fn named(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        string(name, self.out);
        self.out.push(b':');
        self.out
    }

    #[inline(always)]
    pub(super) fn number(&mut self, name: Key, value: u64) {
        number(value, self.key(name));
    }

    #[inline(always)]
    pub(super) fn optional(&mut self, name: Key, value: Option<u64>) {
        match value {
            Some(value) => self.number(name, value),
            None => self.null(name),
        }
    }

    #[inline(always)]
    pub(super) fn signed(&mut self, name: Key, value: i64) {
        signed(value, self.key(name));
    }

    #[inline(always)]
    pub(super) fn flag(&mut self, name: Key, value: bool) {
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.key(name).extend_from_slice(text);
    }

    #[inline(always)]
    pub(super) fn null(&mut self, name: Key) {
        self.key(name).extend_from_slice(b"null");
    }

    #[inline(always)]
    pub(super) fn text(&mut self, name: Key, value: &str) {
        string(value, self.key(name));
    }

    /// An object of texts, which `tell` is given the place for; nothing if there are none. It is not the first member.
    pub(super) fn texts(&mut self, name: Key, tell: impl FnOnce(Tell<'_>)) {
        let start = self.out.len();
        let mut texts = Object::open(self.key(name));
        tell(&mut |name, text| string(&text.to_string(), texts.named(name)));
        match texts.empty {
            true => self.out.truncate(start),
            false => texts.close(),
        }
    }

    /// A string of bytes: shown with U+FFFD where it is not UTF-8, and then `raw` in base64.
    #[inline(always)]
    pub(super) fn bytes(&mut self, name: Key, raw: Key, value: &[u8]) {
        if is_plain(value) {
            plain(value, self.key(name));
            return;
        }
        match str::from_utf8(value) {
            Ok(text) => string(text, self.key(name)),
            Err(_) => {
                string(&String::from_utf8_lossy(value), self.key(name));
                base64(value, self.key(raw));
            }
        }
    }
}

/// Writes an array, whose elements `write` writes.
pub(super) fn array<T>(
    out: &mut Vec<u8>,
    elements: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, element) in elements.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}

/// The numbers below 100, two digits each.
pub(in crate::sink) const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// Writes a number.
#[inline]
pub(super) fn number(mut value: u64, out: &mut Vec<u8>) {
    if value < 10 {
        out.push(b'0' + value as u8);
        return;
    }
    // The longest number, and as much behind it.
    let mut text = [0; 40];
    let mut at = 20;
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        text[at] = b'0' + value as u8;
    }
    // A copy whose length is known is a few moves.
    let end = out.len() + 20 - at;
    out.extend_from_slice(&text[at..at + 20]);
    out.truncate(end);
}

/// Writes a number that may be negative.
pub(super) fn signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    number(value.unsigned_abs(), out);
}

/// Writes a string of bytes that need no escape.
#[inline]
pub(super) fn plain(value: &[u8], out: &mut Vec<u8>) {
    out.reserve(value.len() + 2);
    out.push(b'"');
    out.extend_from_slice(value);
    out.push(b'"');
}

/// Whether every byte is ASCII that needs no escape: nearly every string is such, and is found to be in one pass. As
/// [`plain_prefix`], and no byte has its top bit set.
#[inline]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut bad = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        bad |= escapes(word) | word;
    }
    if bad & TOPS != 0 {
        // A borrow may have claimed too much.
        return words.as_flattened().iter().chain(rest).all(|byte| PLAIN[usize::from(*byte)]);
    }
    rest.iter().all(|byte| PLAIN[usize::from(*byte)])
}

/// The bytes that are ASCII and need no escape.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x80 {
        table[byte] = ESCAPE[byte] == 0;
        byte += 1;
    }
    table
};

/// Writes a string.
pub(super) fn string(value: &str, out: &mut Vec<u8>) {
    let bytes = value.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut rest = bytes;
    loop {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&byte) = rest.get(plain) else {
            break;
        };
        rest = &rest[plain + 1..];
        match ESCAPE[byte as usize] {
            b'u' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            escape => out.extend_from_slice(&[b'\\', escape]),
        }
    }
    out.push(b'"');
}

/// How many bytes at the start need no escape: eight at a time, then one by one.
///
/// A byte b < 0x80 is less than n exactly if b - n borrows, which sets its top bit; it equals n
/// exactly if b ^ n is less than 1. A borrow from the byte below may claim too much, never too
/// little: the bytes of a word that is claimed are looked at one by one.
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    for word in bytes.as_chunks::<8>().0 {
        if escapes(u64::from_le_bytes(*word)) & TOPS != 0 {
            break;
        }
        at += 8;
    }
    let tail = bytes[at..].iter();
    at + tail.take_while(|byte| ESCAPE[**byte as usize] == 0).count()
}

const TOPS: u64 = 0x8080_8080_8080_8080;

/// The top bit of each byte that is ASCII and may need an escape.
#[inline(always)]
fn escapes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let less = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n)) & !word;
    let equal = |word: u64, n: u8| less(word ^ (ONES * u64::from(n)), 1);
    less(word, 0x20) | equal(word, b'"') | equal(word, b'\\') | equal(word, 0x7f)
}

/// What follows the backslash for a byte that must be escaped, else 0. DEL needs no escape in
/// JSON, but is none of a terminal's business.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x7f] = b'u';
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Writes a string of base64 (RFC 4648, with padding).
pub(super) fn base64(value: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32, shift: u32| ALPHABET[(bits >> shift & 63) as usize];
    out.reserve(value.len().div_ceil(3) * 4 + 2);
    out.push(b'"');
    for group in value.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let text = [digit(bits, 18), digit(bits, 12), digit(bits, 6), digit(bits, 0)];
        out.extend_from_slice(&text[..group.len() + 1]);
        out.extend_from_slice(&b"=="[..3 - group.len()]);
    }
    out.push(b'"');
}
