//! Rust source as the import rules read it: the paths it names, in code that is not a test's.
//!
//! Not a parser: comments and literals are blanked, `#[cfg(test)]` modules too, and what is left
//! is searched for `use` trees and `a::b` paths. Macros' bodies are read as if they were code.

/// A path that the code names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    /// From 1.
    pub(crate) line: usize,
}

/// All paths of two or more parts that `text` names outside of tests.
pub(crate) fn paths(text: &str) -> Vec<Named> {
    let code = without_tests(blank(text));
    let tokens = tokens(&code);
    let mut named = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut named);
        } else if is_name(tokens[at].text) {
            let start = at;
            let mut path = vec![tokens[at].text.to_owned()];
            while at + 2 < tokens.len() && tokens[at + 1].text == "::" && is_name(tokens[at + 2].text) {
                path.push(tokens[at + 2].text.to_owned());
                at += 2;
            }
            at += 1;
            if path.len() > 1 {
                named.push(Named { path, line: tokens[start].line });
            }
        } else {
            at += 1;
        }
    }
    named
}

/// Reads one tree of a `use`, adding its leaves; returns the position behind it.
fn use_tree(tokens: &[Token<'_>], mut at: usize, prefix: &[String], named: &mut Vec<Named>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "{" => {
                at += 1;
                while let Some(token) = tokens.get(at) {
                    match token.text {
                        "}" => return at + 1,
                        "," => at += 1,
                        _ => at = use_tree(tokens, at, &path, named),
                    }
                }
            }
            "as" => at += 2,
            "*" => at += 1,
            name if is_name(name) => {
                path.push(name.to_owned());
                at += 1;
                // A leaf is where no `::` follows.
                if tokens.get(at).is_none_or(|next| next.text != "::") {
                    named.push(Named { path: path.clone(), line: token.line });
                }
            }
            _ => break,
        }
        if matches!(tokens.get(at).map(|token| token.text), Some("," | "}" | ";")) {
            if tokens[at - 1].text == "*" {
                named.push(Named { path, line: tokens[at - 1].line });
            }
            break;
        }
    }
    at
}

struct Token<'a> {
    text: &'a str,
    line: usize,
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = code[at..].chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            code[at..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len() - at)
        } else if code[at..].starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(Token { text: &code[at..at + length], line });
        }
        line += usize::from(first == '\n');
        at += length;
    }
    tokens
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Blanks the bodies of `#[cfg(test)]` modules; expects blanked literals.
fn without_tests(mut code: String) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut from = 0;
    while let Some(found) = code[from..].find(MARK) {
        let start = from + found + MARK.len();
        from = start;
        let rest = &code[start..];
        let (Some(open), end) = (rest.find('{'), rest.find(';').unwrap_or(rest.len())) else { break };
        if open > end || !rest[..open].split_whitespace().any(|word| word == "mod") {
            continue;
        }
        let close = closing(&rest[open..]).map_or(code.len(), |length| start + open + length);
        let blanks: String =
            code[start + open..close].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        code.replace_range(start + open..close, &blanks);
    }
    code
}

/// The length of the block that `code` begins with.
fn closing(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The code with comments and the insides of literals replaced by spaces, lines kept.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let length = literal(&chars, at).unwrap_or(0);
        if length == 0 {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..at + length].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at += length;
    }
    out
}

/// The length of the comment or literal that begins at `at`, if one does.
fn literal(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    match rest {
        ['/', '/', ..] => Some(rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())),
        ['/', '*', ..] => Some(block_comment(rest)),
        ['"', ..] => Some(quoted(rest, '"')),
        ['r' | 'b' | 'c', ..] if at == 0 || !(chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') => {
            let letters = rest.iter().take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
            let hashes = rest[letters..].iter().take_while(|c| **c == '#').count();
            if rest.get(letters + hashes) != Some(&'"') {
                return None;
            }
            if rest[..letters].contains(&'r') {
                return Some(letters + raw(&rest[letters..], hashes));
            }
            (hashes == 0).then(|| letters + quoted(&rest[letters..], '"'))
        }
        // A character, not a lifetime: 'x' or an escape.
        ['\'', '\\', ..] => Some(quoted(rest, '\'')),
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => {
                depth += 1;
                at += 2;
            }
            ('*', '/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a raw string after its letters: hashes, quote, text, quote, hashes.
fn raw(rest: &[char], hashes: usize) -> usize {
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let body = hashes + 1;
    let found = rest[body..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |found| body + found + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        paths(text).into_iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn use_trees_are_expanded() {
        assert_eq!(
            named("use std::{fs, io::{self, Read as R}, collections::*};\npub use a::b;"),
            ["std::fs", "std::io::self", "std::io::Read", "std::collections", "a::b"]
        );
        assert_eq!(named("use anyhow::Result;\nfn f() {}"), ["anyhow::Result"]);
        assert_eq!(named("use ::libc;"), ["libc"]);
    }

    #[test]
    fn paths_in_code_are_found_with_their_lines() {
        let found = paths("fn f() {\n    std::fs::read(p);\n    let x: Vec<crate::a::B>;\n}");
        let found: Vec<_> = found.iter().map(|named| (named.path.join("::"), named.line)).collect();
        assert_eq!(found, [("std::fs::read".to_owned(), 2), ("crate::a::B".to_owned(), 3)]);
    }

    #[test]
    fn comments_literals_and_tests_do_not_count() {
        let text = r####"
// std::fs::read
/* std::net /* nested::x */ */
/// std::env
const A: &str = "std::fs \" std::net";
const B: &str = r#"std::fs "quoted" std::env"#;
const C: char = '"'; const D: &[u8] = b"a::b"; const E: char = '\'';
fn f<'a>(x: &'a str) { real::path(x) }
#[cfg(test)]
mod tests { use std::fs; fn g() { if true { std::env::args(); } } }
fn after() { also::real() }
"####;
        assert_eq!(named(text), ["real::path", "also::real"]);
    }
}
