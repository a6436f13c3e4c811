//! The language of `--where`: `count > 4096 && comm == "dd"`.
//!
//! ```text
//! text -> parse -> Node (spans) -> check (against a Scope) -> Condition -> compile -> Filter
//! ```
//! ```text
//! or      = and { "||" and }
//! and     = not { "&&" not }
//! not     = "!" not | compare
//! compare = mask [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "=~") mask ]
//! mask    = one { "&" one }                       tighter than a comparison, as in Rust, and not as in C
//! one     = "(" or ")" | "-" one | number | "text" | path
//! ```
//!
//! *Invariant:* pure; any text is a filter or a [`Mistake`] at a place of it, never a panic. What the table decides is
//! what the expression says (`table_and_expression_agree`).
//!
//! *Must not know:* where values come from ([`Scope`] tells), who runs the table.

mod check;
mod compile;
mod lex;
mod parse;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use tracer_common::probe::Filter;

use crate::{
    plan::probe::EnumNames,
    spec::{Mistake, Path},
};

pub use check::{Condition, Leaf, check};
pub use compile::compile;
pub use parse::parse;

/// A part of an expression, and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    pub what: What,
    pub span: Range<usize>,
}

/// What a part is.
#[derive(Clone, Debug)]
pub enum What {
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Compare(Operator, Box<Node>, Box<Node>),
    Mask(Box<Node>, Box<Node>),
    Negative(Box<Node>),
    Number(u64, Unit),
    Text(Vec<u8>),
    Path(Path),
}

/// How two sides are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// `=~`: the text begins so.
    Like,
}

impl Operator {
    /// As it is written.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Like => "=~",
        }
    }

    /// With the sides exchanged.
    const fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            other => other,
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    None,
    /// It had a suffix of a size, such as 4K; the number is in bytes.
    Bytes,
    /// It had a suffix of a time, such as 10ms; the number is in nanoseconds.
    Time,
}

/// What can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// For [`Test::left`](tracer_common::probe::Test): a value's number, or one of
    /// [`operand`](tracer_common::probe::operand).
    pub code: u8,
    pub kind: OperandKind,
    /// The type for messages: `size_t`.
    pub c_type: String,
}

/// What an operand holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperandKind {
    /// A number of so many bits, extended to 64.
    Number {
        signed: bool,
        bits: u8,
    },
    Enum {
        signed: bool,
        bits: u8,
        names: Arc<EnumNames>,
    },
    /// A result: negative numbers are errnos.
    Errno {
        bits: u8,
    },
    Pointer,
    /// Nanoseconds.
    Duration,
    /// At most so many bytes.
    Text {
        limit: usize,
    },
}

/// Why a name is no operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    pub what: String,
    pub help: Option<String>,
    /// The part of the path that is wrong, if not the whole.
    pub span: Option<Range<usize>>,
}

/// What names stand for.
pub trait Scope {
    /// The operand with this name or path.
    ///
    /// # Errors
    /// There is none.
    fn operand(&mut self, path: &Path) -> Result<Operand, Unknown>;

    /// A constant of the kernel's by name: of an enumeration that is no operand's own.
    fn constant(&self, name: &str) -> Option<i64>;
}

/// From text to table.
///
/// # Errors
/// The first mistake.
pub fn filter(text: &str, scope: &mut dyn Scope) -> Result<Filter, Mistake> {
    let node = parse(text)?;
    let condition = check(text, &node, scope)?;
    compile(text, &condition)
}
