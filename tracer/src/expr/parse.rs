//! Tokens to a tree.
//!
//! Nesting is bounded, so that no text can exhaust the stack.

use std::{fmt, ops::Range};

use super::lex::{Token, tokens};
use super::{Node, Unit, What};
use crate::spec::Mistake;

/// Deepest nesting. Each operator of a chain counts for good, since trees grow to the left: the table holds far fewer.
const MAX_DEPTH: usize = 100;
/// Longest text, in bytes.
const MAX_TEXT: usize = 16 << 10;

/// Reads an expression.
///
/// # Errors
/// It is none.
pub fn parse(text: &str) -> Result<Node, Mistake> {
    if text.len() > MAX_TEXT {
        let what = format!("an expression of {} bytes: {MAX_TEXT} are the most", text.len());
        let end = text.floor_char_boundary(60);
        return Err(Mistake::new(&text[..end], 0..end, what));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, depth: 0 };
    let node = parser.or()?;
    match parser.peek() {
        None => Ok(node),
        Some((token, span)) => Err(parser.unexpected(token, span.clone())),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [(Token, Range<usize>)],
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t (Token, Range<usize>)> {
        self.tokens.get(self.at)
    }

    fn next_if(&mut self, token: &Token) -> bool {
        let is = self.peek().is_some_and(|(next, _)| next == token);
        self.at += usize::from(is);
        is
    }

    fn deeper(&mut self, span: Range<usize>) -> Result<(), Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Mistake::new(
                self.text,
                span,
                format!("nested or chained more than {MAX_DEPTH} deep"),
            )
            .help("say it with fewer conditions"));
        }
        Ok(())
    }

    fn or(&mut self) -> Result<Node, Mistake> {
        self.chain(&Token::Or, Self::and, What::Or)
    }

    fn and(&mut self) -> Result<Node, Mistake> {
        self.chain(&Token::And, Self::not, What::And)
    }

    /// Operands joined by one operator, from the left.
    fn chain(
        &mut self,
        sign: &Token,
        operand: fn(&mut Self) -> Result<Node, Mistake>,
        join: fn(Box<Node>, Box<Node>) -> What,
    ) -> Result<Node, Mistake> {
        let mut left = operand(self)?;
        while self.next_if(sign) {
            self.deeper(left.span.clone())?;
            let right = operand(self)?;
            let span = left.span.start..right.span.end;
            left = Node { what: join(Box::new(left), Box::new(right)), span };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, Mistake> {
        let Some((Token::Not, span)) = self.peek() else { return self.compare() };
        self.at += 1;
        self.deeper(span.clone())?;
        let inner = self.not()?;
        self.depth -= 1;
        let span = span.start..inner.span.end;
        Ok(Node { what: What::Not(Box::new(inner)), span })
    }

    fn compare(&mut self) -> Result<Node, Mistake> {
        let left = self.mask()?;
        let Some((Token::Operator(operator), _)) = self.peek() else { return Ok(left) };
        self.at += 1;
        let right = self.mask()?;
        if let Some((Token::Operator(_), span)) = self.peek() {
            return Err(Mistake::new(self.text, span.clone(), "comparisons do not chain")
                .help("join two of them: 1 < count && count < 10"));
        }
        let span = left.span.start..right.span.end;
        Ok(Node { what: What::Compare(*operator, Box::new(left), Box::new(right)), span })
    }

    fn mask(&mut self) -> Result<Node, Mistake> {
        self.chain(&Token::Mask, Self::one, What::Mask)
    }

    fn one(&mut self) -> Result<Node, Mistake> {
        let Some((token, span)) = self.peek() else {
            let end = self.text.len();
            let what = if self.tokens.is_empty() {
                "an empty expression"
            } else {
                "the expression ends here, and something is missing"
            };
            return Err(Mistake::new(self.text, end..end, what)
                .help("an expression is like: count > 4096 && comm == \"dd\""));
        };
        self.at += 1;
        let what = match token {
            Token::Number(number, unit) => What::Number(*number, *unit),
            Token::Text(bytes) => What::Text(bytes.clone()),
            Token::Path(path) => What::Path(path.clone()),
            Token::Minus => {
                self.deeper(span.clone())?;
                let inner = self.one()?;
                self.depth -= 1;
                let span = span.start..inner.span.end;
                return Ok(Node { what: What::Negative(Box::new(inner)), span });
            }
            Token::Open => {
                self.deeper(span.clone())?;
                let inner = self.or()?;
                self.depth -= 1;
                if !self.next_if(&Token::Close) {
                    return Err(match self.peek() {
                        Some((token, span)) => self.unexpected(token, span.clone()),
                        None => Mistake::new(self.text, span.clone(), "a '(' without its ')'"),
                    });
                }
                // With its parentheses, so that a mistake about it shows all of it.
                let end = self.tokens.get(self.at - 1).map_or(inner.span.end, |(_, close)| close.end);
                return Ok(Node { what: inner.what, span: span.start..end });
            }
            token => {
                self.at -= 1;
                return Err(self.unexpected(token, span.clone()));
            }
        };
        Ok(Node { what, span: span.clone() })
    }

    fn unexpected(&self, token: &Token, span: Range<usize>) -> Mistake {
        let written = &self.text[span.clone()];
        let what = match token {
            Token::Close => "a ')' without its '('".to_owned(),
            Token::Number(..) | Token::Text(_) | Token::Path(_) | Token::Open | Token::Not => {
                format!("an operator was expected before '{written}'")
            }
            _ => format!("a value was expected before '{written}'"),
        };
        let error = Mistake::new(self.text, span, what);
        match token {
            Token::Number(..) | Token::Text(_) | Token::Path(_) => error
                .help("conditions are joined by && or ||; values are compared by ==, !=, <, <=, >, >=, =~"),
            _ => error,
        }
    }
}

/// With every parenthesis, so that reading it again gives the same tree.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Or(a, b) => write!(f, "({a} || {b})"),
            What::And(a, b) => write!(f, "({a} && {b})"),
            What::Not(a) => write!(f, "!({a})"),
            What::Compare(operator, a, b) => write!(f, "({a} {} {b})", operator.sign()),
            What::Mask(a, b) => write!(f, "({a} & {b})"),
            What::Negative(a) => write!(f, "-({a})"),
            What::Number(number, Unit::None) => write!(f, "{number}"),
            What::Number(number, Unit::Time) => write!(f, "{number}ns"),
            // A number of bytes is a number; the suffix keeps that it was one.
            What::Number(number, Unit::Bytes) => write!(f, "{}K", number >> 10),
            What::Path(path) => path.fmt(f),
            What::Text(bytes) => {
                f.write_str("\"")?;
                for &byte in bytes {
                    match byte {
                        b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                        0x20..0x7f => write!(f, "{}", char::from(byte))?,
                        _ => write!(f, "\\x{byte:02x}")?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}
