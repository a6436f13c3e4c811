//! The log line by line: which instructions were walked last, with their source lines; and the message.

use crate::diagnostic::Source;

/// One instruction that was walked.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    pub(super) insn: u32,
    /// Without its opcode, and without the state after it.
    pub(super) text: String,
    /// The state after it, as far as the log shows it.
    pub(super) state: String,
    /// Index into [`Trace::sources`].
    source: Option<usize>,
}

/// What the log shows of the last path that was walked.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) path: Vec<Walked>,
    sources: Vec<Source>,
    message: Vec<String>,
}

/// Beginnings of lines that are neither instructions nor messages.
const NOISE: &[&str] = &[
    "processed ",
    "verification time ",
    "stack depth ",
    "mark_precise:",
    "regs=",
    "parent ",
    "last_idx ",
    "caller:",
    "callee:",
    "caller passes invalid args",
    "frame",
    "returning from callee:",
    "to caller at ",
    "func#",
    "Func#",
    "Validating ",
    "Live regs before insn:",
    "propagating ",
    "falling back to forgetting",
    "insns processed",
    "max_states_per_insn",
    "-- ",
    "Global function ",
    "reg type unsupported for arg#",
    "BTF",
    "|",
    "^",
];

impl Trace {
    pub(super) fn read(log: &str) -> Trace {
        let mut trace = Trace::default();
        let mut source = None;
        for line in log.lines() {
            let line = line.trim_end();
            if line.starts_with("Verification failed:") {
                break;
            }
            if let Some(comment) = line.strip_prefix("; ") {
                trace.sources.push(super::source(comment));
                source = Some(trace.sources.len() - 1);
                trace.message.clear();
                continue;
            }
            if let Some(from) = branch_point(line) {
                trace.back_to(from);
                trace.message.clear();
            } else if let Some((insn, rest)) = numbered(line) {
                trace.message.clear();
                trace.walked(insn, rest, source);
            } else if !is_noise(line) {
                trace.message.push(line.trim().to_owned());
            }
        }
        trace
    }

    /// `rest` is `(61) r0 = *(u32 *)(r1 +0)   ; R0_w=scalar()`, or a state.
    fn walked(&mut self, insn: u32, rest: &str, source: Option<usize>) {
        let Some((_, text)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(") ")) else {
            // The state before an instruction, as old kernels print it after each.
            if let Some(last) = self.path.last_mut().filter(|last| last.state.is_empty()) {
                last.state = rest.into();
            }
            return;
        };
        let (text, state) = text.split_once(';').unwrap_or((text, ""));
        self.path.push(Walked { insn, text: text.trim().into(), state: state.trim().into(), source });
    }

    /// The walk went back to where it had left another branch for later.
    fn back_to(&mut self, from: u32) {
        if let Some(at) = self.path.iter().rposition(|walked| walked.insn == from) {
            self.path.truncate(at + 1);
        }
    }

    /// The kernel's reason: the last line; those before it belong to what it says. (From 6.14 on, the line after the
    /// one that names a leaked reference says what the leak would come of.)
    pub(super) fn message(&self) -> Option<String> {
        let last = self.message.last()?;
        let leak = self.message.iter().rev().find(|line| line.starts_with("Unreleased reference"));
        Some(leak.filter(|_| last.contains("reference leak")).unwrap_or(last).clone())
    }

    pub(super) fn last_insn(&self) -> Option<u32> {
        self.path.last().map(|walked| walked.insn)
    }

    pub(super) fn source_at(&self, walked: &Walked) -> Option<Source> {
        self.sources.get(walked.source?).cloned()
    }

    pub(super) fn source_of(&self, insn: u32) -> Option<Source> {
        self.source_at(self.path.iter().rev().find(|walked| walked.insn == insn)?)
    }
}

/// `from 3 to 5: R0=...`: the walk goes on at 5, after 3.
fn branch_point(line: &str) -> Option<u32> {
    let (from, rest) = line.strip_prefix("from ")?.split_once(" to ")?;
    rest.contains(':').then(|| from.parse().ok())?
}

/// `12: rest`.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.split_once(':')?;
    Some((number.trim().parse().ok()?, rest.trim()))
}

fn is_noise(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || NOISE.iter().any(|noise| line.starts_with(noise))
        // A state without a number: `R0=inv1 R10=fp0`.
        || line.split(' ').next().is_some_and(|word| word.starts_with('R') && word.contains('='))
}
