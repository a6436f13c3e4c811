//! The types: what is compared with what, and whether that can ever hold.

use std::{fmt::Write as _, ops::Range};

use tracer_common::probe::{MAX_CONSTANT, Test, compare, operand};

use super::{Node, Operand, OperandKind, Operator, Scope, Unit, What};
use crate::{
    event::errno_name,
    spec::{Mistake, Path},
};

/// A condition whose types fit.
#[derive(Clone, Debug)]
pub enum Condition {
    Or(Box<Condition>, Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Leaf(Leaf),
}

/// One comparison: a [`Test`] that does not yet know where to go on.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub test: Test,
    /// The text that it compares with.
    pub text: Option<Vec<u8>>,
    pub span: Range<usize>,
}

/// Checks an expression.
///
/// # Errors
/// The first thing that makes no sense.
pub fn check(text: &str, node: &Node, scope: &mut dyn Scope) -> Result<Condition, Mistake> {
    Checker { text, scope }.condition(node)
}

struct Checker<'c> {
    text: &'c str,
    scope: &'c mut dyn Scope,
}

/// One side of a comparison.
enum Side {
    /// What is compared, the bits of it that count, and whether these are fewer than all.
    Value {
        operand: Operand,
        mask: Option<u64>,
        name: String,
    },
    Number {
        value: i128,
        unit: Unit,
    },
    Text(Vec<u8>),
    /// A name that is no operand, and why: perhaps a constant.
    Name {
        name: String,
        why: Mistake,
    },
    Negative(String),
}

impl Checker<'_> {
    fn mistake(&self, node: &Node, what: impl Into<String>) -> Mistake {
        Mistake::new(self.text, node.span.clone(), what)
    }

    fn condition(&mut self, node: &Node) -> Result<Condition, Mistake> {
        Ok(match &node.what {
            What::Or(a, b) => Condition::Or(Box::new(self.condition(a)?), Box::new(self.condition(b)?)),
            What::And(a, b) => Condition::And(Box::new(self.condition(a)?), Box::new(self.condition(b)?)),
            What::Not(a) => Condition::Not(Box::new(self.condition(a)?)),
            What::Compare(operator, a, b) => Condition::Leaf(self.comparison(node, *operator, a, b)?),
            _ => Condition::Leaf(self.truth(node)?),
        })
    }

    /// A value by itself: whether it is not 0.
    fn truth(&mut self, node: &Node) -> Result<Leaf, Mistake> {
        match self.side(node)? {
            Side::Value { operand, mask, name } => match operand.kind {
                OperandKind::Text { .. } => Err(self
                    .mistake(node, format!("{name} is a text, and no condition"))
                    .help(format!("compare it: {name} == \"...\""))),
                _ => Ok(leaf(node, &operand, compare::NE, mask, 0)),
            },
            Side::Name { why, .. } => Err(why),
            _ => Err(self
                .mistake(node, "a constant by itself is no condition")
                .help("compare a value with it: count > 4096")),
        }
    }

    fn comparison(&mut self, node: &Node, operator: Operator, a: &Node, b: &Node) -> Result<Leaf, Mistake> {
        let (left, right) = (self.side(a)?, self.side(b)?);
        match (left, right) {
            // A name that is no value may be a constant, if the other side is a value.
            (Side::Name { why, .. }, right) if !matches!(right, Side::Value { .. }) => Err(why),
            (Side::Value { operand, mask, name }, right) => {
                self.against(node, operator, (&operand, mask, &name), (b, right))
            }
            (_, Side::Value { .. }) if operator == Operator::Like => Err(self
                .mistake(node, "the pattern stands on the right of '=~'")
                .help("write filename =~ \"/etc/*\"")),
            (left, Side::Value { operand, mask, name }) => {
                self.against(node, operator.mirrored(), (&operand, mask, &name), (a, left))
            }
            (_, Side::Name { why, .. }) => Err(why),
            _ => Err(self
                .mistake(node, "two constants: this is always true, or always false")
                .help("compare a value with a constant: count > 4096")),
        }
    }

    fn against(
        &mut self,
        node: &Node,
        operator: Operator,
        (value, mask, name): (&Operand, Option<u64>, &str),
        (other_at, other): (&Node, Side),
    ) -> Result<Leaf, Mistake> {
        if let OperandKind::Text { limit } = value.kind {
            return self.text(node, operator, (value, limit, name), (other_at, other));
        }
        if operator == Operator::Like {
            return Err(self
                .mistake(node, format!("{name} is {}, and '=~' compares texts", value.c_type))
                .help("numbers are compared by ==, !=, <, <=, >, >="));
        }
        let constant = match other {
            Side::Value { operand: other, mask: other_mask, name: other_name } => {
                return self.two_values(
                    node,
                    operator,
                    (value, mask, name),
                    (&other, other_mask, &other_name),
                );
            }
            Side::Text(_) => {
                let help = match &value.kind {
                    OperandKind::Enum { names, .. } => format!(
                        "name the constant without quotes; {}",
                        listed(&names.values.iter().map(|(_, n)| n.as_str()).collect::<Vec<_>>())
                    ),
                    OperandKind::Pointer => {
                        format!("to compare what it points to as a text, write {name}:str")
                    }
                    _ => "numbers are compared with numbers".to_owned(),
                };
                return Err(self
                    .mistake(other_at, format!("{name} is {}, and this is a text", value.c_type))
                    .help(help));
            }
            Side::Number { value: number, unit } => {
                self.unit(other_at, value, name, number, unit)?;
                number
            }
            Side::Name { name: constant, why } => {
                self.constant(value, &constant).ok_or_else(|| with_names(why, value))?
            }
            Side::Negative(constant) => {
                let number = errno_number(&constant).map(i64::from);
                let number = number.or_else(|| self.scope.constant(&constant)).ok_or_else(|| {
                    self.mistake(other_at, format!("there is no constant '{constant}'"))
                        .help("errors are named as in errno(3): retval == -ENOENT")
                })?;
                -i128::from(number)
            }
        };
        self.fits(other_at, operator, value, mask, name, constant)?;
        Ok(leaf(node, value, numeric(operator, is_signed(value, mask)), mask, constant as u64))
    }

    fn constant(&mut self, value: &Operand, name: &str) -> Option<i128> {
        if let OperandKind::Enum { names, .. } = &value.kind
            && let Some((number, _)) = names.values.iter().find(|(_, known)| known == name)
        {
            return Some(i128::from(*number));
        }
        match (&value.kind, name) {
            (OperandKind::Pointer, "NULL") => return Some(0),
            (_, "true") => return Some(1),
            (_, "false") => return Some(0),
            _ => {}
        }
        // A positive errno is what some functions return and some arguments are.
        errno_number(name).map(i128::from).or_else(|| self.scope.constant(name).map(i128::from))
    }

    /// Times are compared with durations, and only with them.
    fn unit(&self, at: &Node, value: &Operand, name: &str, number: i128, unit: Unit) -> Result<(), Mistake> {
        match (&value.kind, unit) {
            (OperandKind::Duration, Unit::None) if number != 0 => Err(self
                .mistake(at, "a duration needs its unit")
                .help(format!("write {number}ns, {number}us, {number}ms or {number}s"))),
            (OperandKind::Duration, Unit::Bytes) => Err(self
                .mistake(at, "a duration is compared with a time")
                .help("write it as 10us, 1ms or 2s")),
            (OperandKind::Duration, _) | (_, Unit::None | Unit::Bytes) => Ok(()),
            (_, Unit::Time) => Err(self
                .mistake(at, format!("{name} is {}, and no duration", value.c_type))
                .help("only 'duration' is compared with a time")),
        }
    }

    /// A constant that the value never reaches makes a condition that never changes: a mistake.
    fn fits(
        &self,
        at: &Node,
        operator: Operator,
        value: &Operand,
        mask: Option<u64>,
        name: &str,
        constant: i128,
    ) -> Result<(), Mistake> {
        let (low, high) = range(value, mask);
        let never = match operator {
            Operator::Equal | Operator::Unequal => constant < low || constant > high,
            Operator::Less | Operator::GreaterEqual => constant <= low || constant > high,
            Operator::LessEqual | Operator::Greater => constant < low || constant >= high,
            Operator::Like => false,
        };
        if never {
            let what = match mask {
                Some(mask) => format!("{name} & {mask:#x} is from {low} to {high}: this never changes"),
                None => format!("{name} ({}) is from {low} to {high}: this never changes", value.c_type),
            };
            return Err(self.mistake(at, what).help("compare with a number in between"));
        }
        match mask {
            Some(mask)
                if matches!(operator, Operator::Equal | Operator::Unequal)
                    && constant as u64 & !mask != 0 =>
            {
                let what = format!(
                    "{:#x} has bits that the mask {mask:#x} takes away: never equal",
                    constant as u64
                );
                Err(self.mistake(at, what).help("compare with bits of the mask"))
            }
            _ => Ok(()),
        }
    }

    fn two_values(
        &self,
        node: &Node,
        operator: Operator,
        (left, left_mask, left_name): (&Operand, Option<u64>, &str),
        (right, right_mask, right_name): (&Operand, Option<u64>, &str),
    ) -> Result<Leaf, Mistake> {
        if matches!(right.kind, OperandKind::Text { .. }) {
            return Err(self
                .mistake(node, format!("{left_name} is {}, and {right_name} is a text", left.c_type))
                .help("numbers are compared with numbers"));
        }
        let (left, mask, right, operator) = match (left_mask, right_mask) {
            (Some(_), Some(_)) => {
                return Err(self
                    .mistake(node, "both sides are masked")
                    .help("compare one masked value with a constant"));
            }
            (_, None) => (left, left_mask, right, operator),
            (None, mask) => (right, mask, left, operator.mirrored()),
        };
        // Numbers are extended to 64 bits: only what fills these without a sign differs from what has one.
        let (low, high) = range(left, mask);
        let (other_low, other_high) = range(right, None);
        let signed = low < 0 || other_low < 0;
        if signed && high.max(other_high) > i128::from(i64::MAX) {
            return Err(self
                .mistake(
                    node,
                    format!(
                        "{left_name} ({}) and {right_name} ({}) differ in sign",
                        left.c_type, right.c_type
                    ),
                )
                .help("compare each with a constant"));
        }
        let mut leaf = leaf(node, left, numeric(operator, signed), mask, 0);
        leaf.test.right = right.code;
        Ok(leaf)
    }

    fn text(
        &self,
        node: &Node,
        operator: Operator,
        (value, limit, name): (&Operand, usize, &str),
        (other_at, other): (&Node, Side),
    ) -> Result<Leaf, Mistake> {
        let mut bytes = match other {
            Side::Text(bytes) => bytes,
            Side::Value { name: other, .. } => {
                return Err(self
                    .mistake(node, format!("{name} and {other} cannot be compared in the kernel"))
                    .help(format!("compare {name} with a text: {name} == \"...\"")));
            }
            Side::Name { name: word, .. } | Side::Negative(word) => {
                return Err(self
                    .mistake(other_at, format!("{name} is a text, and '{word}' is none"))
                    .help(format!("put it in quotes: \"{word}\"")));
            }
            Side::Number { .. } => {
                return Err(self
                    .mistake(other_at, format!("{name} is a text, and this is a number"))
                    .help(format!("compare it with a text: {name} == \"...\"")));
            }
        };
        let compare = match operator {
            Operator::Equal => compare::TEXT_EQ,
            Operator::Unequal => compare::TEXT_NE,
            Operator::Like => {
                let star = bytes.iter().position(|b| b"*?[".contains(b));
                if star != Some(bytes.len().wrapping_sub(1)) || bytes.pop() != Some(b'*') {
                    return Err(self
                        .mistake(other_at, "'=~' compares beginnings: the text has one '*', at its end")
                        .help(format!("write {name} =~ \"/etc/*\"; the whole text is compared by '=='")));
                }
                compare::TEXT_PREFIX
            }
            _ => {
                return Err(self
                    .mistake(node, format!("{name} is a text, and texts have no order"))
                    .help("texts are compared by ==, != and =~"));
            }
        };
        if bytes.contains(&0) {
            return Err(self.mistake(other_at, "no text of the kernel's holds a NUL: it ends there"));
        }
        if bytes.len() > MAX_CONSTANT.min(limit) {
            let what = format!("a text of {} bytes", bytes.len());
            return Err(self
                .mistake(
                    other_at,
                    if bytes.len() > limit {
                        format!("{what}, and {name} has at most {limit}: never equal")
                    } else {
                        format!("{what}: {MAX_CONSTANT} are the most in a filter")
                    },
                )
                .help("compare the beginning: =~ \"...*\""));
        }
        if bytes.is_empty() && compare == compare::TEXT_PREFIX {
            return Err(self.mistake(other_at, "every text begins so").help("leave the condition out"));
        }
        let mut leaf = leaf(node, value, compare, None, 0);
        leaf.text = Some(bytes);
        Ok(leaf)
    }

    fn side(&mut self, node: &Node) -> Result<Side, Mistake> {
        match &node.what {
            What::Number(value, unit) => Ok(Side::Number { value: i128::from(*value), unit: *unit }),
            What::Text(bytes) => Ok(Side::Text(bytes.clone())),
            What::Path(path) => self.named(path),
            What::Negative(inner) => self.negative(node, inner),
            What::Mask(a, b) => self.masked(node, a, b),
            What::Or(..) | What::And(..) | What::Not(_) | What::Compare(..) => Err(self
                .mistake(node, "a condition is no value")
                .help("values are compared, and conditions joined: (a == 1) && (b == 2); !(a == 1)")),
        }
    }

    fn named(&mut self, path: &Path) -> Result<Side, Mistake> {
        match self.scope.operand(path) {
            Ok(operand) => Ok(Side::Value { operand, mask: None, name: path.to_string() }),
            Err(unknown) => {
                let span = unknown.span.unwrap_or(path.span.clone());
                let mut why = Mistake::new(self.text, span, unknown.what);
                why.help = unknown.help;
                match path.simple() {
                    Some(name) => Ok(Side::Name { name: name.to_owned(), why }),
                    None => Err(why),
                }
            }
        }
    }

    fn negative(&mut self, node: &Node, inner: &Node) -> Result<Side, Mistake> {
        match self.side(inner)? {
            Side::Number { unit: Unit::Time, .. } => Err(self.mistake(node, "no time is negative")),
            Side::Number { value, unit } => Ok(Side::Number { value: -value, unit }),
            Side::Name { name, .. } => Ok(Side::Negative(name)),
            Side::Value { name, .. } => Err(self
                .mistake(node, format!("{name} cannot be negated: there is no arithmetic but the mask '&'"))
                .help("negate the constant that it is compared with")),
            Side::Text(_) | Side::Negative(_) => Err(self.mistake(node, "this cannot be negated")),
        }
    }

    fn masked(&mut self, node: &Node, a: &Node, b: &Node) -> Result<Side, Mistake> {
        let (a_side, b_side) = (self.side(a)?, self.side(b)?);
        let ((value_at, value), (bits_at, bits)) = match (a_side, b_side) {
            (Side::Value { operand, mask, name }, bits) => ((a, (operand, mask, name)), (b, bits)),
            (bits, Side::Value { operand, mask, name }) => ((b, (operand, mask, name)), (a, bits)),
            (Side::Name { why, .. }, _) | (_, Side::Name { why, .. }) => return Err(why),
            _ => return Err(self.mistake(node, "a mask of constants").help("mask a value: flags & 0x40")),
        };
        let (operand, before, name) = value;
        if matches!(operand.kind, OperandKind::Text { .. } | OperandKind::Duration) {
            return Err(self.mistake(value_at, format!("{name} has no bits to mask")));
        }
        let bits = match bits {
            Side::Number { value, unit: Unit::None | Unit::Bytes } => value,
            Side::Name { name: constant, why } => self.constant(&operand, &constant).ok_or(why)?,
            _ => {
                return Err(self.mistake(bits_at, "a mask is a constant number").help("write flags & 0x40"));
            }
        };
        let Ok(bits) = u64::try_from(bits) else {
            return Err(self.mistake(bits_at, "a mask is not negative"));
        };
        let bits = bits & before.unwrap_or(u64::MAX);
        let width = width(&operand);
        if bits == 0 || (width < 64 && bits >> width != 0) {
            let what = if bits == 0 {
                "no bit is left".to_owned()
            } else {
                format!("{name} ({}) has {width} bits", operand.c_type)
            };
            return Err(self.mistake(bits_at, what));
        }
        Ok(Side::Value { operand, mask: Some(bits), name })
    }
}

fn leaf(node: &Node, operand: &Operand, compare: u8, mask: Option<u64>, constant: u64) -> Leaf {
    let test = Test {
        left: operand.code,
        compare,
        right: operand::CONSTANT,
        mask: mask.unwrap_or(u64::MAX),
        constant,
        ..Test::default()
    };
    Leaf { test, text: None, span: node.span.clone() }
}

/// The number of an error by its name.
fn errno_number(name: &str) -> Option<i32> {
    /// Numbers above are not given to user space, and below 512 there are none above 133.
    const MOST: u32 = 530;
    // `errno_name` makes names for numbers that have none; those are no names to find.
    let named = name.starts_with('E') && !name.starts_with("ERRNO_");
    (1..=MOST)
        .filter(|_| named)
        .find(|&errno| errno_name(errno) == name)
        .and_then(|errno| i32::try_from(errno).ok())
}

fn width(operand: &Operand) -> u32 {
    match operand.kind {
        OperandKind::Number { bits, .. } | OperandKind::Enum { bits, .. } | OperandKind::Errno { bits } => {
            bits.into()
        }
        OperandKind::Pointer | OperandKind::Duration | OperandKind::Text { .. } => 64,
    }
}

/// The least and the greatest that a value can be.
fn range(operand: &Operand, mask: Option<u64>) -> (i128, i128) {
    if let Some(mask) = mask {
        return (0, i128::from(mask));
    }
    let width = width(operand);
    let signed = match operand.kind {
        OperandKind::Number { signed, .. } | OperandKind::Enum { signed, .. } => signed,
        OperandKind::Errno { .. } => true,
        _ => false,
    };
    if signed { (-(1 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) }
}

fn is_signed(operand: &Operand, mask: Option<u64>) -> bool {
    range(operand, mask).0 < 0
}

fn numeric(operator: Operator, signed: bool) -> u8 {
    match (operator, signed) {
        (Operator::Equal | Operator::Like, _) => compare::EQ,
        (Operator::Unequal, _) => compare::NE,
        (Operator::Less, true) => compare::LT,
        (Operator::LessEqual, true) => compare::LE,
        (Operator::Greater, true) => compare::GT,
        (Operator::GreaterEqual, true) => compare::GE,
        (Operator::Less, false) => compare::BELOW,
        (Operator::LessEqual, false) => compare::BELOW_EQ,
        (Operator::Greater, false) => compare::ABOVE,
        (Operator::GreaterEqual, false) => compare::ABOVE_EQ,
    }
}

/// Says what constants there are, to one who may have meant one.
fn with_names(mut why: Mistake, value: &Operand) -> Mistake {
    if let OperandKind::Enum { names, .. } = &value.kind {
        let names: Vec<&str> = names.values.iter().map(|(_, name)| name.as_str()).collect();
        why.what = format!(
            "{} is neither a value here nor a constant of {}",
            &why.text[why.span.clone()],
            value.c_type
        );
        why.help = Some(listed(&names));
    }
    why
}

fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut out = format!("there are {}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "));
    if names.len() > SHOWN {
        let _ = write!(out, " and {} more", names.len() - SHOWN);
    }
    out
}
