//! What can be said of one case, beyond its kind: drawn from the message and the path, never guessed.

use super::{Subject, source_of};
use crate::object::Program;
use crate::verifier::{Kind, Role, Step, Violation};

/// One or two sentences on this very refusal.
pub(super) fn particulars(violation: &Violation, path: &[Step], subject: &Subject<'_>) -> Option<String> {
    let register = register(&violation.message);
    let last = |role: Role| path.iter().rev().find(|step| step.role == role);
    let place = |step: &Step| place(subject.program, step);
    match violation.kind {
        Kind::NullDeref | Kind::ArgNull => {
            let call = last(Role::Called)?;
            let who = register.map_or_else(|| "The pointer".to_owned(), |r| format!("R{r}"));
            Some(format!(
                "{who} comes from `{}` at {}, and was not found to be other than null on this path.",
                callee(call),
                place(call)
            ))
        }
        Kind::UninitRegister => {
            let r = register?;
            match last(Role::Called) {
                Some(call) if (1..=5).contains(&r) => {
                    Some(format!("R{r} was lost at {}: `{}` destroys R1 to R5.", place(call), call.what))
                }
                None if path.len() <= 1 => Some(format!("Nothing on this path writes R{r}.")),
                _ => None,
            }
        }
        Kind::ReferenceLeak => {
            let acquired = path.iter().find(|step| step.role == Role::Acquired)?;
            let branches = path.iter().filter(|step| step.role == Role::Chose).count();
            let way = match branches {
                0 => "nothing on the way to the end releases it".to_owned(),
                1 => "the branch on the way leads to the end without releasing it".to_owned(),
                n => format!("the {n} branches on the way lead to the end without releasing it"),
            };
            Some(format!("`{}` at {} acquires it, and {way}.", callee(acquired), place(acquired)))
        }
        Kind::InvalidMemAccess => {
            let r = register?;
            let made = path.iter().rev().find(|step| step.role != Role::Refused)?;
            let number = violation.message.contains("'scalar'") || violation.message.contains("'inv'");
            let what = if number { "only a number for the verifier" } else { "what it is" };
            Some(format!("R{r} is {what} since `{}` at {}.", made.what, place(made)))
        }
        Kind::PacketOutOfBounds => {
            let state = last(Role::Refused)?.what.split_once("; ")?.1;
            let way = if path.iter().any(|step| step.role == Role::Chose) {
                "the comparisons on this path prove no more"
            } else {
                "nothing on this path compares it with the packet's end"
            };
            Some(format!("What is known here: {state}; {way}."))
        }
        Kind::InfiniteLoop => Some("The path shown is one round of it.".into()),
        Kind::OutOfBounds | Kind::UnboundedAccess | Kind::ArgSize => {
            let refused = last(Role::Refused)?;
            let state = refused.what.split_once("; ")?.1;
            if !["max=", "offset ", "off="].iter().any(|bound| state.contains(bound)) {
                return register.map(|r| format!("Nothing bounds R{r} here: {state}."));
            }
            let tested = path.iter().any(|step| step.role == Role::Chose);
            let tests = if tested { "" } else { " No comparison on this path bounds it." };
            Some(format!("What is known here: {state}.{tests}"))
        }
        Kind::FunctionNotAllowed if violation.message.contains("GPL") => {
            let licence = match subject.license {
                "" => "has none".to_owned(),
                licence => format!("is {licence:?}"),
            };
            Some(format!(
                "The object's licence {licence}, which the kernel does not count as compatible with the GPL."
            ))
        }
        Kind::FunctionNotAllowed => {
            let call = last(Role::Refused).filter(|step| step.what.starts_with("call bpf_"))?;
            let kind = subject.program.program_type.name();
            Some(format!("`{}` is not among the helpers of {kind} programs on this kernel.", callee(call)))
        }
        Kind::UnknownFunction => {
            let call = last(Role::Refused).filter(|step| step.what.starts_with("call bpf_"))?;
            (callee(call) != "bpf_unknown").then(|| format!("`{}` is newer than this kernel.", callee(call)))
        }
        Kind::ArgType | Kind::PointerArithmetic if violation.message.contains("_or_null") => {
            Some("The pointer may be null here: it has to be compared with null first.".into())
        }
        _ => None,
    }
}

/// The called function's name, from `call bpf_map_lookup_elem#1`.
fn callee(step: &Step) -> &str {
    let call = step.what.strip_prefix("call ").unwrap_or(&step.what);
    call.split(['#', ';']).next().unwrap_or(call)
}

/// The first register that the message names.
fn register(message: &str) -> Option<u32> {
    let after = message.match_indices('R').find_map(|(at, _)| {
        let rest = &message[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u32>().ok()
    });
    after.filter(|register| *register <= 10)
}

/// A step's place: the source line, or the instruction.
fn place(program: &Program, step: &Step) -> String {
    match source_of(program, step.insn) {
        Some(source) => format!("{}:{} (instruction {})", source.file, source.line, step.insn),
        None => format!("instruction {}", step.insn),
    }
}
