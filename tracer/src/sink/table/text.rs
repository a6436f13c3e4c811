//! Bytes of unknown origin as text that is safe on a terminal, and whose width is known.
//!
//! Nothing of the bytes acts on the terminal or hides: control characters and terminal sequences,
//! characters that reorder or separate lines, invisible ones and spaces that are none, and bytes
//! that are not UTF-8 are shown as escapes of the shell's `$'...'`. An escape is one unit: a cut
//! never falls into it.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// Combining marks that a character may carry.
const MAX_MARKS: usize = 4;

/// Text under construction, up to a width.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    /// After each unit: (length of the text, width, bytes of the source).
    units: Vec<(usize, usize, usize)>,
    width: usize,
    source: usize,
}

impl Line {
    /// An empty line, in the room of an old one.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.units.clear();
        self.width = 0;
        self.source = 0;
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// How many bytes of source are shown so far.
    pub(super) fn source(&self) -> usize {
        self.source
    }

    /// Appends a unit that stands for `source` bytes.
    fn unit(&mut self, text: &str, width: usize, source: usize) {
        self.text.push_str(text);
        self.width += width;
        self.source += source;
        self.units.push((self.text.len(), self.width, self.source));
    }

    /// Appends text that is known to be harmless ASCII, and may be cut anywhere.
    pub(super) fn plain(&mut self, text: &str) {
        for (at, _) in text.char_indices() {
            self.unit(&text[at..at + 1], 1, 0);
        }
    }

    /// Appends text that is not to be cut.
    pub(super) fn mark(&mut self, text: &str) {
        self.unit(text, text.chars().count(), 0);
    }

    /// What would be left by a cut to `width`: its width, and the bytes of source that it shows.
    pub(super) fn prefix(&self, width: usize) -> (usize, usize) {
        let fitting = self.units.partition_point(|(_, end, _)| *end <= width);
        let last = fitting.checked_sub(1).map(|last| self.units[last]);
        last.map_or((0, 0), |(_, width, source)| (width, source))
    }

    /// Takes units off the end until the line is at most `width` wide.
    pub(super) fn cut_to(&mut self, width: usize) {
        while self.width > width {
            self.units.pop();
            let last = self.units.last().copied();
            let (len, width, source) = last.unwrap_or_default();
            self.text.truncate(len);
            (self.width, self.source) = (width, source);
        }
    }

    /// Cuts the line to `width`, and marks that if anything is lost by it.
    pub(super) fn fit(&mut self, width: usize) {
        if self.width > width {
            self.cut_to(width.saturating_sub(1));
            self.mark("…");
        }
    }

    /// Appends bytes as a word of the shell, until the line is wider than `limit`.
    pub(super) fn word(&mut self, bytes: &[u8], limit: usize) {
        // Whether what does not fit needs quotes is no matter.
        let seen = &bytes[..bytes.len().min(limit.saturating_mul(4).saturating_add(4))];
        let mut quoting = match seen {
            [] => Quoting::Single,
            _ => Quoting::None,
        };
        pieces(seen, |piece, _| {
            let needed = match piece {
                Piece::Char(c) if is_plain(c) => Quoting::None,
                Piece::Char(c) if c != '\'' && !is_hostile(c) => Quoting::Single,
                _ => Quoting::Ansi,
            };
            quoting = quoting.max(needed);
            true
        });
        self.plain(match quoting {
            Quoting::None => "",
            Quoting::Single => "'",
            Quoting::Ansi => "$'",
        });
        self.pieces(bytes, limit, quoting);
        self.plain(match quoting {
            Quoting::None => "",
            _ => "'",
        });
    }

    /// Appends bytes without quotes, until the line is wider than `limit`.
    pub(super) fn name(&mut self, bytes: &[u8], limit: usize) {
        self.pieces(bytes, limit, Quoting::None);
    }

    fn pieces(&mut self, bytes: &[u8], limit: usize, quoting: Quoting) {
        let mut escape = String::new();
        // Marks upon marks would grow a line without widening it.
        let mut marks = MAX_MARKS;
        pieces(bytes, |piece, len| {
            escape.clear();
            // Writing into a string does not fail.
            let _ = match piece {
                Piece::Byte(byte) => write!(escape, "\\x{byte:02x}"),
                Piece::Char('\n') => write!(escape, "\\n"),
                Piece::Char('\t') => write!(escape, "\\t"),
                Piece::Char('\r') => write!(escape, "\\r"),
                Piece::Char('\u{1b}') => write!(escape, "\\e"),
                Piece::Char(c) if c.is_ascii_control() => write!(escape, "\\x{:02x}", c as u32),
                Piece::Char(c) if is_hostile(c) && c > '\u{ffff}' => {
                    write!(escape, "\\U{:08x}", c as u32)
                }
                Piece::Char(c) if is_hostile(c) => write!(escape, "\\u{:04x}", c as u32),
                Piece::Char(c @ ('\'' | '\\')) if quoting == Quoting::Ansi => {
                    write!(escape, "\\{c}")
                }
                Piece::Char(c) if c.width() == Some(0) && marks == MAX_MARKS => {
                    write!(escape, "\\u{:04x}", c as u32)
                }
                Piece::Char(c) => {
                    marks = if c.width() == Some(0) { marks + 1 } else { 0 };
                    let mut utf8 = [0; 4];
                    self.unit(c.encode_utf8(&mut utf8), c.width().unwrap_or(0), len);
                    Ok(())
                }
            };
            if !escape.is_empty() {
                self.unit(&escape, escape.len(), len);
            }
            self.width <= limit
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quoting {
    None,
    Single,
    Ansi,
}

enum Piece {
    Char(char),
    /// Not UTF-8.
    Byte(u8),
}

/// Calls `each` with every piece and its length in bytes, until it returns false.
fn pieces(bytes: &[u8], mut each: impl FnMut(Piece, usize) -> bool) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !each(Piece::Char(c), c.len_utf8()) {
                return;
            }
        }
        for byte in chunk.invalid() {
            if !each(Piece::Byte(*byte), 1) {
                return;
            }
        }
    }
}

/// Whether a shell takes the character as it is.
fn is_plain(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '_' | '-' | '.' | '/' | ':' | ',' | '+' | '=' | '@' | '%' | '^' => true,
        c => !c.is_ascii() && !is_hostile(c) && c.is_alphanumeric(),
    }
}

/// Whether the character acts on a terminal, reorders or breaks text, or is not what it seems.
fn is_hostile(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    match c {
        c if c.is_control() => true,
        // Spaces that are not U+0020, and line separators.
        c if c.is_whitespace() => true,
        // Format characters: joiners, marks and overrides of direction, fillers, tags.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' => true,
        '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        // No glyph is agreed on.
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. => true,
        _ => false,
    }
}
