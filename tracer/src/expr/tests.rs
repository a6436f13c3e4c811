//! Expressions: what they mean, what is said of bad ones, and that the table means the same.

use std::{collections::HashMap, sync::Arc};

use expect_test::expect_file;
use proptest::prelude::*;
use tracer_common::probe::{FAIL, Filter, MAX_TESTS, PASS, compare, operand};

use super::*;
use crate::plan::probe::EnumNames;
use crate::spec::parse_path;

/// Values of every type.
struct Given;

const NUMBERS: [(&str, u8, bool, u8); 6] = [
    ("count", 0, false, 64),
    ("flags", 1, false, 32),
    ("fd", 2, true, 32),
    ("pos", 3, true, 64),
    ("mode", 4, false, 16),
    ("byte", 5, true, 8),
];
const FILENAME: u8 = 6;

fn states() -> Arc<EnumNames> {
    Arc::new(EnumNames {
        name: "state".into(),
        values: vec![(0, "IDLE".into()), (1, "BUSY".into()), (7, "DEAD".into())],
    })
}

impl Scope for Given {
    fn operand(&mut self, path: &Path) -> Result<Operand, Unknown> {
        let name = path.bare();
        let some = |code, kind, c_type: &str| Ok(Operand { code, kind, c_type: c_type.to_owned() });
        if let Some((_, code, signed, bits)) = NUMBERS.into_iter().find(|(known, ..)| *known == name) {
            return some(
                code,
                OperandKind::Number { signed, bits },
                &format!("{}{bits}", if signed { 's' } else { 'u' }),
            );
        }
        match name.as_str() {
            "filename" => some(FILENAME, OperandKind::Text { limit: 254 }, "const char *"),
            "retval" => some(7, OperandKind::Errno { bits: 32 }, "int"),
            "state" => some(8, OperandKind::Enum { signed: false, bits: 32, names: states() }, "enum state"),
            "file" => some(9, OperandKind::Pointer, "struct file *"),
            "comm" => some(operand::COMM, OperandKind::Text { limit: 15 }, "char[16]"),
            "pid" => some(operand::PID, OperandKind::Number { signed: false, bits: 32 }, "u32"),
            "duration" => some(operand::DURATION, OperandKind::Duration, "duration"),
            _ => Err(Unknown { what: format!("there is no '{name}' here"), help: None, span: None }),
        }
    }

    fn constant(&self, name: &str) -> Option<i64> {
        (name == "PAGE_SIZE_ENUM").then_some(4096)
    }
}

fn compiled(text: &str) -> Filter {
    filter(text, &mut Given).unwrap_or_else(|mistake| panic!("{mistake}"))
}

/// The table as text: one test a line.
fn shown(filter: &Filter) -> String {
    let to = |at: u8| match at {
        PASS => "pass".to_owned(),
        FAIL => "fail".to_owned(),
        at => at.to_string(),
    };
    let test = |(at, test): (usize, &tracer_common::probe::Test)| {
        format!(
            "{at}: {:#x} {} {} mask {:x} constant {:x} then {} else {}\n",
            test.left,
            test.compare,
            test.right,
            test.mask,
            test.constant,
            to(test.then),
            to(test.otherwise)
        )
    };
    filter.tests.iter().take(filter.len as usize).enumerate().map(test).collect()
}

#[test]
fn expressions_become_tables() {
    let mut out = String::new();
    for text in [
        "count > 4096 && comm == \"dd\"",
        "flags & 0x40 != 0",
        "(flags & 0x40) == 0x40",
        "flags & 0x40",
        "!(fd < 0) || retval == -ENOENT",
        "4K < count",
        "retval < 0 && !(comm =~ \"ba*\" || pid == 1)",
        "duration >= 10ms",
        "state == BUSY || state != DEAD",
        "file == NULL",
        "fd < pos",
        "mode == 0644",
        "count == PAGE_SIZE_ENUM",
        "filename =~ \"/etc/*\" && filename != \"/etc/passwd\"",
    ] {
        out.push_str(&format!("{text}\n{}\n", shown(&compiled(text))));
    }
    expect_file!["tests/tables.txt"].assert_eq(&out);
}

#[test]
fn bad_expressions_are_explained() {
    const BAD: [&str; 77] = [
        "",
        "(",
        ")",
        "filename",
        "count >",
        "> 3",
        "count > 3 &&",
        "|| count > 3",
        "count > 3 count < 5",
        "count > 3 and pid == 1",
        "count > 3 or pid == 1",
        "not count",
        "count = 3",
        "count > 3 | pid == 1",
        "count ~ 3",
        "count + 1 > 3",
        "count << 2",
        "1 < count < 10",
        "count == 'a'",
        "count == \"dd\"",
        "comm == dd",
        "comm == 3",
        "comm < \"dd\"",
        "comm == \"sixteen bytes ok\"",
        "filename =~ \"*.txt\"",
        "filename =~ \"a?\"",
        "filename =~ \"abc\"",
        "filename =~ \"*\"",
        "filename =~ \"/etc/[a-z]*\"",
        "count =~ \"4*\"",
        "\"x*\" =~ filename",
        "filename == comm",
        "filename == \"0123456789012345678901234567890123456789012345678901234567890123456789\"",
        "filename == \"a\\0\"",
        "filename == \"a\\x\"",
        "filename == \"a\\x00b\"",
        "filename == \"open",
        "nosuch > 3",
        "count > NOSUCH",
        "retval == -ENOSUCH",
        "retval == -nosuch",
        "state == LAZY",
        "state == \"BUSY\"",
        "file == \"x\"",
        "count > -1",
        "count < 0",
        "count >= 0",
        "flags == 0x100000000",
        "byte == 200",
        "mode == -1",
        "fd == 1ms",
        "duration > 10",
        "duration > 10K",
        "duration > 1.5ms",
        "duration > 10m",
        "duration == -1ms",
        "count > 10q",
        "count > 0x",
        "count > 09",
        "count > 99999999999999999999",
        "count > 20000000T",
        "1 == 1",
        "1",
        "\"x\"",
        "count & 0",
        "count & -1",
        "flags & 0x100000000",
        "filename & 1",
        "duration & 1",
        "flags & 0x40 == 0x80",
        "1 & 2",
        "flags & 1 == mode & 1",
        "count < pos",
        "(count > 3) == 1",
        "-count > 3",
        "count == -\"x\"",
        "#",
    ];
    let mut out = String::new();
    for text in BAD {
        let mistake = match filter(text, &mut Given) {
            Ok(table) => panic!("{text} became\n{}", shown(&table)),
            Err(mistake) => mistake,
        };
        assert!(mistake.text.get(mistake.span.clone()).is_some(), "{text}: {mistake:?}");
        out.push_str(&format!("{mistake}\n\n"));
    }
    expect_file!["tests/bad_expressions.txt"].assert_eq(&out);
}

#[test]
fn tables_have_bounds() {
    let many = |count: usize| (0..count).map(|n| format!("count == {n}")).collect::<Vec<_>>().join(" || ");
    assert_eq!(compiled(&many(MAX_TESTS)).len as usize, MAX_TESTS);
    let said = |text: &str| filter(text, &mut Given).expect_err("too much").what;
    assert_eq!(said(&many(MAX_TESTS + 1)), "33 comparisons: a filter holds 32");
    assert_eq!(
        said(&many(5000)),
        "an expression of 77777 bytes: 16384 are the most".replace("77777", &many(5000).len().to_string())
    );
    let deep = format!("{}count > 1{}", "(".repeat(4000), ")".repeat(4000));
    assert_eq!(said(&deep), "nested or chained more than 100 deep");
    assert_eq!(said(&format!("{}count > 1", "!".repeat(4000))), "nested or chained more than 100 deep");
    assert_eq!(said(&format!("count > {}1", "-".repeat(4000))), "nested or chained more than 100 deep");
    let texts =
        |count: usize| (0..count).map(|n| format!("comm == \"c{n}\"")).collect::<Vec<_>>().join(" || ");
    assert_eq!(compiled(&texts(4)).len, 4);
    assert_eq!(said(&texts(5)), "more than 4 different texts in one filter");
    // One text is kept once, however often it is compared with.
    assert_eq!(compiled("comm == \"a\" || ".repeat(9).trim_end_matches(" || ")).texts[1].len, 0);
}

/// A hit: numbers as the kernel side extends them, and texts.
#[derive(Clone, Debug)]
struct Hit {
    numbers: HashMap<u8, u64>,
    texts: HashMap<u8, Vec<u8>>,
}

impl Hit {
    /// As the kernel side walks the table.
    fn walk(&self, filter: &Filter) -> bool {
        if filter.len == 0 {
            return true;
        }
        let mut at = 0;
        loop {
            let test = &filter.tests[usize::from(at)];
            let holds = if test.compare >= compare::TEXT_EQ {
                let text = &self.texts[&test.left];
                let constant = &filter.texts[usize::from(test.right)];
                let constant = &constant.bytes[..constant.len as usize];
                match test.compare {
                    compare::TEXT_EQ => text == constant,
                    compare::TEXT_NE => text != constant,
                    _ => text.starts_with(constant),
                }
            } else {
                let left = self.numbers[&test.left] & test.mask;
                let right =
                    if test.right == operand::CONSTANT { test.constant } else { self.numbers[&test.right] };
                match test.compare {
                    compare::EQ => left == right,
                    compare::NE => left != right,
                    compare::LT => (left as i64) < right as i64,
                    compare::LE => left as i64 <= right as i64,
                    compare::GT => left as i64 > right as i64,
                    compare::GE => left as i64 >= right as i64,
                    compare::BELOW => left < right,
                    compare::BELOW_EQ => left <= right,
                    compare::ABOVE => left > right,
                    _ => left >= right,
                }
            };
            let next = if holds { test.then } else { test.otherwise };
            match next {
                PASS => return true,
                FAIL => return false,
                next => {
                    assert!(next > at && u32::from(next) < filter.len, "a jump leads forward");
                    at = next;
                }
            }
        }
    }

    fn text(&self, name: &str) -> &[u8] {
        &self.texts[&if name == "comm" { operand::COMM } else { FILENAME }]
    }

    /// What a number is, as C would say.
    fn number(&self, node: &Node) -> i128 {
        match &node.what {
            What::Number(number, _) => i128::from(*number),
            What::Negative(inner) => -self.number(inner),
            What::Mask(a, b) => (self.number(a) as u64 & self.number(b) as u64).into(),
            What::Path(path) => {
                let (_, code, signed, bits) =
                    NUMBERS.into_iter().find(|(known, ..)| *known == path.bare()).expect("one of ours");
                let number = self.numbers[&code];
                match (signed, bits) {
                    (true, _) => i128::from(number as i64),
                    (false, _) => i128::from(number),
                }
            }
            other => panic!("no number: {other:?}"),
        }
    }

    /// The expression itself, without checker or table.
    fn holds(&self, node: &Node) -> bool {
        match &node.what {
            What::Or(a, b) => self.holds(a) | self.holds(b),
            What::And(a, b) => self.holds(a) & self.holds(b),
            What::Not(a) => !self.holds(a),
            What::Compare(operator, a, b) => match (&a.what, &b.what) {
                (What::Path(path), What::Text(constant)) => {
                    let text = self.text(&path.bare());
                    match operator {
                        Operator::Equal => text == constant,
                        Operator::Unequal => text != constant,
                        _ => text.starts_with(&constant[..constant.len() - 1]),
                    }
                }
                _ => {
                    let (a, b) = (self.number(a), self.number(b));
                    match operator {
                        Operator::Equal => a == b,
                        Operator::Unequal => a != b,
                        Operator::Less => a < b,
                        Operator::LessEqual => a <= b,
                        Operator::Greater => a > b,
                        Operator::GreaterEqual | Operator::Like => a >= b,
                    }
                }
            },
            _ => self.number(node) != 0,
        }
    }
}

/// Numbers near where things change.
fn edges() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..6,
        Just(0x40),
        Just(0x7f),
        Just(0x80),
        Just(0xffff),
        Just(u64::from(u32::MAX)),
        Just(1 << 31),
        Just(1 << 63),
        Just(u64::MAX),
        any::<u64>()
    ]
}

fn node(what: What) -> Node {
    Node { what, span: 0..0 }
}

fn boxed(what: What) -> Box<Node> {
    Box::new(node(what))
}

fn named(name: &str) -> What {
    What::Path(parse_path(name).expect("a path"))
}

fn operators() -> impl Strategy<Value = Operator> {
    prop::sample::select(vec![
        Operator::Equal,
        Operator::Unequal,
        Operator::Less,
        Operator::LessEqual,
        Operator::Greater,
        Operator::GreaterEqual,
    ])
}

fn value() -> impl Strategy<Value = What> {
    let name = prop::sample::select(NUMBERS.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    (name, prop::option::of(edges())).prop_map(|(name, mask)| match mask {
        Some(mask) => What::Mask(boxed(named(name)), boxed(What::Number(mask, Unit::None))),
        None => named(name),
    })
}

fn constant() -> impl Strategy<Value = What> {
    (edges(), any::<bool>()).prop_map(|(number, negative)| match negative {
        true => What::Negative(boxed(What::Number(number, Unit::None))),
        false => What::Number(number, Unit::None),
    })
}

fn comparisons() -> impl Strategy<Value = What> {
    let text = prop::sample::select(vec!["a", "ab", "abc", "/etc/", "dd"]);
    prop_oneof![
        4 => (operators(), value(), constant()).prop_map(|(op, a, b)| What::Compare(op, boxed(a), boxed(b))),
        1 => (operators(), constant(), value()).prop_map(|(op, a, b)| What::Compare(op, boxed(a), boxed(b))),
        2 => (operators(), value(), value()).prop_map(|(op, a, b)| What::Compare(op, boxed(a), boxed(b))),
        1 => value(),
        2 => (prop::sample::select(vec!["comm", "filename"]), 0..3, text).prop_map(|(name, op, text)| {
            let (op, text) = match op {
                0 => (Operator::Equal, text.to_owned()),
                1 => (Operator::Unequal, text.to_owned()),
                _ => (Operator::Like, format!("{text}*")),
            };
            What::Compare(op, boxed(named(name)), boxed(What::Text(text.into_bytes())))
        }),
    ]
}

fn expressions() -> impl Strategy<Value = Node> {
    comparisons().prop_map(node).prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| node(What::Or(Box::new(a), Box::new(b)))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| node(What::And(Box::new(a), Box::new(b)))),
            inner.prop_map(|a| node(What::Not(Box::new(a)))),
        ]
    })
}

fn hits() -> impl Strategy<Value = Hit> {
    let text = || prop::sample::select(vec!["", "a", "ab", "abc", "abcd", "/etc/", "/etc/passwd", "dd"]);
    (prop::collection::vec(edges(), NUMBERS.len()), text(), text()).prop_map(|(raw, comm, filename)| {
        let extended = |(raw, (_, code, signed, bits)): (u64, (&str, u8, bool, u8))| {
            let unused = 64 - u32::from(bits);
            let number =
                if signed { ((raw << unused) as i64 >> unused) as u64 } else { raw << unused >> unused };
            (code, number)
        };
        let numbers = raw.into_iter().zip(NUMBERS).map(extended).collect();
        let texts = [(operand::COMM, comm), (FILENAME, filename)];
        Hit {
            numbers,
            texts: texts.into_iter().map(|(code, text)| (code, text.as_bytes().to_vec())).collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the checker lets through means in the kernel what it says.
    #[test]
    fn table_and_expression_agree(expression in expressions(), several in prop::collection::vec(hits(), 8)) {
        let text = expression.to_string();
        if let Ok(filter) = filter(&text, &mut Given) {
            for hit in several {
                prop_assert_eq!(hit.walk(&filter), hit.holds(&expression), "{} {:?}\n{}", text, hit, shown(&filter));
            }
        }
    }

    #[test]
    fn what_is_shown_is_read_again(expression in expressions()) {
        let text = expression.to_string();
        let again = parse(&text).map_err(|mistake| TestCaseError::fail(mistake.to_string()))?;
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn any_text_is_a_filter_or_a_mistake(text in "\\PC*|[a-z0-9 &|!()<>=~\"\\\\*.:-]*|(count|comm|==|&&|\\|\\||[(]|[)]|!|&|1|\"a[*]?\"|-| )*") {
        if let Err(mistake) = filter(&text, &mut Given) {
            prop_assert!(mistake.text.get(mistake.span.clone()).is_some());
            prop_assert!(!mistake.to_string().is_empty());
        }
    }
}

#[test]
fn the_generator_makes_expressions_that_pass() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let taken = (0..500).filter(|_| {
        let expression = expressions().new_tree(&mut runner).expect("a tree").current();
        filter(&expression.to_string(), &mut Given).is_ok()
    });
    // Otherwise the comparison of table and expression would compare nothing.
    assert!(taken.count() > 50);
}
