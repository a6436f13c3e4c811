//! What a kernel or the model says of one program: a line of JSON, read.

use std::collections::BTreeMap;

use serde_json::Value;

/// One program: its object's file name, its section, its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) object: String,
    pub(crate) section: String,
    pub(crate) program: String,
}

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Accept,
    Reject,
    /// The model does not know.
    Unmodelled,
    /// It never came to a verdict: the loader gave up, or the object cannot be prepared for this kernel.
    Unloadable,
}

/// One side's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    /// The slot where it was rejected.
    pub(crate) insn: Option<i64>,
    /// Why, or which feature is not modelled.
    pub(crate) message: String,
    /// Its name, as the model writes it.
    pub(crate) program_type: Option<String>,
    pub(crate) insns_processed: Option<u64>,
    /// Microseconds.
    pub(crate) time: Option<f64>,
}

/// Reads lines; those that are no answer to a program are handed to `other`.
pub(crate) fn read(text: &str, mut other: impl FnMut(&str)) -> BTreeMap<Key, Answer> {
    let mut answers = BTreeMap::new();
    for line in text.lines() {
        match parse(line) {
            Some((key, answer)) => {
                answers.insert(key, answer);
            }
            None => other(line),
        }
    }
    answers
}

/// Reads one line, if it is an answer.
pub(crate) fn parse(line: &str) -> Option<(Key, Answer)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let verdict = match value["verdict"].as_str()? {
        "accept" => Verdict::Accept,
        "reject" => Verdict::Reject,
        "unmodelled" => Verdict::Unmodelled,
        "unloadable" => Verdict::Unloadable,
        _ => return None,
    };
    let object = text("object")?;
    let object = object.rsplit('/').next().unwrap_or(&object).to_owned();
    let key = Key { object, section: text("section")?, program: text("program")? };
    let message = text("missing_feature").or_else(|| text("message")).unwrap_or_default();
    let answer = Answer {
        verdict,
        insn: value["insn"].as_i64(),
        message,
        program_type: text("program_type"),
        insns_processed: value["insns_processed"].as_u64(),
        time: value["verification_us"].as_f64().or_else(|| value["elapsed_us"].as_f64()),
    };
    Some((key, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_lines_are_read() {
        let kernel = r#"{"object":"a.bpf.o","program":"p","section":"xdp","program_type":6,"verdict":"reject","errno":13,"insns_processed":4,"verification_us":76,"message":"R0 !read_ok","insn":3}"#;
        let model = r#"{"object":"/x/a.bpf.o","program":"p","section":"xdp","verdict":"unmodelled","insn":null,"missing_feature":"arena","message":"no","elapsed_us":1.5}"#;
        let mut others = Vec::new();
        let answers = read(&format!("{kernel}\nhello\n"), |line| others.push(line.to_owned()));
        assert_eq!(others, ["hello"]);
        let (key, answer) = answers.first_key_value().expect("one");
        assert_eq!((key.object.as_str(), key.program.as_str()), ("a.bpf.o", "p"));
        assert_eq!((answer.verdict, answer.insn, answer.time), (Verdict::Reject, Some(3), Some(76.0)));
        let answers = read(model, |_| {});
        let answer = &answers[key];
        assert_eq!((answer.verdict, answer.message.as_str()), (Verdict::Unmodelled, "arena"));
    }
}
