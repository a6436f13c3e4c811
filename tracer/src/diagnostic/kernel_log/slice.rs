//! What of a log's path made the register that the message names: a backward slice over the text.
//!
//! It follows `r2 = r3` and loads to the register that they read, and notes comparisons of what is asked for. The log
//! does not show more of the stack than states, so a value's way through memory ends at the load.

use super::lines::{Trace, Walked};
use crate::diagnostic::PathStep;

const MAX_STEPS: usize = 32;

/// The steps, oldest first; the last is the refused instruction.
pub(super) fn slice(trace: &Trace, message: &str) -> Vec<PathStep> {
    let Some((refused, before)) = trace.path.split_last() else { return Vec::new() };
    let mut wanted: Vec<u32> = match registers(message, 'R').next() {
        Some(register) => vec![register],
        None => read_by(&refused.text),
    };
    let acquired = message.split_once("alloc_insn=").and_then(|(_, rest)| rest.trim().parse::<u32>().ok());
    let mut steps = vec![step(trace, refused)];
    for walked in before.iter().rev() {
        if wanted.is_empty() || steps.len() >= MAX_STEPS {
            break;
        }
        if Some(walked.insn) == acquired {
            let note = Some("acquired here, and not released".into());
            steps.push(PathStep { note, ..step(trace, walked) });
            break;
        }
        if acquired.is_some() {
            if walked.text.starts_with("if ") {
                steps.push(step(trace, walked));
            }
        } else if let Some(register) = wanted.iter().copied().find(|r| writes(&walked.text, *r)) {
            wanted.retain(|r| !writes(&walked.text, *r));
            let reads = read_by(&walked.text);
            wanted.extend(reads.into_iter().filter(|r| *r != register || keeps(&walked.text)));
            steps.push(step(trace, walked));
        } else if walked.text.starts_with("if ")
            && registers_of(&walked.text).any(|register| wanted.contains(&register))
        {
            steps.push(step(trace, walked));
        }
    }
    steps.reverse();
    steps
}

fn step(trace: &Trace, walked: &Walked) -> PathStep {
    let what = match walked.state.as_str() {
        "" => walked.text.clone(),
        state => format!("{}; {state}", walked.text),
    };
    PathStep { insn: walked.insn, what, note: None, source: trace.source_at(walked), times: 1 }
}

/// The numbers of registers in a text, of this letter.
fn registers(text: &str, letter: char) -> impl Iterator<Item = u32> {
    text.match_indices(letter).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        let rest = &text[at + letter.len_utf8()..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let apart = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        rest[..end].parse().ok().filter(|n| apart && *n <= 10)
    })
}

fn registers_of(text: &str) -> impl Iterator<Item = u32> {
    registers(text, 'r').chain(registers(text, 'w'))
}

/// Does it write the register? A call writes R0 and destroys R1 to R5.
fn writes(text: &str, register: u32) -> bool {
    if text.starts_with("call ") {
        return register <= 5;
    }
    let target = [format!("r{register} "), format!("w{register} ")];
    target.iter().any(|target| text.strip_prefix(target.as_str()).is_some_and(|rest| rest.contains('=')))
}

/// `r1 += r2` keeps r1's value as part of the result; `r1 = r2` does not.
fn keeps(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(_, rest)| !rest.starts_with("= "))
}

/// The registers that an instruction reads, the frame pointer aside.
fn read_by(text: &str) -> Vec<u32> {
    if text.starts_with("call ") {
        return Vec::new();
    }
    if text == "exit" {
        return vec![0];
    }
    let operands = match text.split_once("= ") {
        Some((left, right)) if !left.starts_with('*') && !keeps(text) => right,
        _ => text,
    };
    let mut found: Vec<u32> = registers_of(operands).filter(|register| *register != 10).collect();
    found.sort_unstable();
    found.dedup();
    found
}
