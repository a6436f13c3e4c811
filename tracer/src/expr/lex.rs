//! Text to tokens.

use std::ops::Range;

use super::{Operator, Unit};
use crate::spec::{Mistake, Path, begins_name, path_at};

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Or,
    And,
    Not,
    Open,
    Close,
    Mask,
    Minus,
    Operator(Operator),
    Number(u64, Unit),
    Text(Vec<u8>),
    Path(Path),
}

/// All tokens with their places.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, end) = token(text, at, c)?;
        tokens.push((token, at..end));
        at = end;
    }
    Ok(tokens)
}

fn token(text: &str, at: usize, c: char) -> Result<(Token, usize), Mistake> {
    const SIGNS: [(&str, Token); 14] = [
        ("||", Token::Or),
        ("&&", Token::And),
        ("==", Token::Operator(Operator::Equal)),
        ("!=", Token::Operator(Operator::Unequal)),
        ("=~", Token::Operator(Operator::Like)),
        ("<=", Token::Operator(Operator::LessEqual)),
        (">=", Token::Operator(Operator::GreaterEqual)),
        ("<", Token::Operator(Operator::Less)),
        (">", Token::Operator(Operator::Greater)),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        ("&", Token::Mask),
        ("-", Token::Minus),
    ];
    let rest = &text[at..];
    if rest.starts_with("<<") || rest.starts_with(">>") {
        return Err(Mistake::new(text, at..at + 2, "numbers are not shifted here")
            .help("write the number: 0x40 for 1 << 6"));
    }
    if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((token.clone(), at + sign.len()));
    }
    if c.is_ascii_digit() {
        return number(text, at);
    }
    if begins_name(c) {
        let (path, end) = path_at(text, at)?;
        return match path.simple() {
            Some("and") => Err(word(text, at..end, "&&")),
            Some("or") => Err(word(text, at..end, "||")),
            Some("not") => Err(word(text, at..end, "!")),
            _ => Ok((Token::Path(path), end)),
        };
    }
    let help = match c {
        '"' => return quoted(text, at),
        '\'' => "texts stand between \" quotes: comm == \"dd\"",
        '=' => "equality is '==', beginnings are '=~'",
        '|' => "'||' joins conditions; '&' masks bits",
        '~' => "beginnings are told by '=~': filename =~ \"/etc/*\"",
        '+' | '*' | '/' | '%' | '^' => {
            "values are compared as they are: there is no arithmetic but the mask '&'"
        }
        _ => "an expression is like: count > 4096 && comm == \"dd\"",
    };
    Err(Mistake::new(text, at..at + c.len_utf8(), format!("'{c}' has no meaning here")).help(help))
}

fn word(text: &str, span: Range<usize>, sign: &str) -> Mistake {
    let what = format!("'{}' is no operator", &text[span.clone()]);
    Mistake::new(text, span, what).help(format!("write {sign}"))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), Mistake> {
    let rest = &text[at..];
    let end = at + rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let word = &text[at..end];
    let bad = |what: String| Mistake::new(text, at..end, what);
    if text[end..].starts_with('.') && text[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Mistake::new(text, at..end + 1, "numbers are whole here").help("write 1500us for 1.5ms"));
    }
    let (radix, digits) = match word.get(..2) {
        Some("0x" | "0X") => (16, &word[2..]),
        Some("0o" | "0O") => (8, &word[2..]),
        Some("0b" | "0B") => (2, &word[2..]),
        Some(two) if two.starts_with('0') && two.as_bytes()[1].is_ascii_digit() => (8, &word[1..]),
        _ => (10, word),
    };
    let split = digits.find(|c: char| !(c.is_digit(radix) || c == '_')).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(split);
    let digits = digits.replace('_', "");
    if digits.is_empty() || (radix == 8 && suffix.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(
            bad(format!("'{word}' is no number")).help("numbers are 64, 0x40, 0644 (octal), 4K, 10ms")
        );
    }
    let value =
        u64::from_str_radix(&digits, radix).map_err(|_| bad("a number of more than 64 bits".into()))?;
    let (factor, unit) = match suffix {
        "" => (1, Unit::None),
        "K" | "k" | "KB" | "KiB" => (1 << 10, Unit::Bytes),
        "M" | "MB" | "MiB" => (1 << 20, Unit::Bytes),
        "G" | "GB" | "GiB" => (1 << 30, Unit::Bytes),
        "T" | "TB" | "TiB" => (1 << 40, Unit::Bytes),
        "ns" => (1, Unit::Time),
        "us" => (1_000, Unit::Time),
        "ms" => (1_000_000, Unit::Time),
        "s" => (1_000_000_000, Unit::Time),
        _ => {
            let from = end - suffix.len();
            return Err(Mistake::new(text, from..end, format!("there is no unit '{suffix}'"))
                .help("sizes have K, M, G or T (powers of 1024), durations ns, us, ms or s"));
        }
    };
    let value = value.checked_mul(factor).ok_or_else(|| bad("a number of more than 64 bits".into()))?;
    Ok((Token::Number(value, unit), end))
}

fn quoted(text: &str, start: usize) -> Result<(Token, usize), Mistake> {
    let mut bytes = Vec::new();
    let mut chars = text[start + 1..].char_indices().map(|(at, c)| (start + 1 + at, c));
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(bytes), at + 1)),
            '\\' => {
                let Some((_, escaped)) = chars.next() else { break };
                let end = at + 1 + escaped.len_utf8();
                match escaped {
                    'n' => bytes.push(b'\n'),
                    't' => bytes.push(b'\t'),
                    'r' => bytes.push(b'\r'),
                    '\\' | '"' => bytes.push(escaped as u8),
                    'x' => {
                        let byte = text.get(end..end + 2).and_then(|hex| {
                            hex.bytes()
                                .all(|b| b.is_ascii_hexdigit())
                                .then(|| u8::from_str_radix(hex, 16).ok())
                                .flatten()
                        });
                        let Some(byte) = byte else {
                            return Err(Mistake::new(text, at..end, "'\\x' needs two hexadecimal digits")
                                .help("write a byte as \\x1b"));
                        };
                        bytes.push(byte);
                        chars.next();
                        chars.next();
                    }
                    other => {
                        return Err(Mistake::new(text, at..end, format!("there is no escape '\\{other}'"))
                            .help("there are \\n, \\t, \\r, \\\\, \\\" and \\xNN"));
                    }
                }
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(Mistake::new(text, start..text.len(), "a text without its last '\"'"))
}
