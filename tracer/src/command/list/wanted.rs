//! What is to be listed: kinds, and for each the pattern as a spec.

use crate::spec::{self, Kind, Mistake, ProbeSpec};

/// The kinds that are listed. A kretprobe is where a kprobe is, an fexit where an fentry is.
const KINDS: [Kind; 5] = [Kind::Kprobe, Kind::Fentry, Kind::Tracepoint, Kind::RawTracepoint, Kind::Syscall];

/// A spec for each kind that is wanted.
pub(super) fn wanted(words: &[String]) -> Result<Vec<ProbeSpec>, Mistake> {
    let kind = |word: &str| {
        let word = match word {
            "kretprobe" => "kprobe",
            "fexit" => "fentry",
            other => other,
        };
        KINDS.into_iter().find(|kind| kind.name() == word)
    };
    match words {
        [] => KINDS.iter().map(|kind| of_kind(*kind, "*")).collect(),
        [word] => match (kind(word), word.split_once(':')) {
            (Some(kind), _) => Ok(vec![of_kind(kind, "*")?]),
            // A spec, as `tracer probe` takes it.
            (None, Some((before, pattern))) if kind(before).is_some() => {
                let pattern = if pattern.is_empty() { "*" } else { pattern };
                kind(before).map(|kind| of_kind(kind, pattern)).into_iter().collect()
            }
            (None, Some(_)) => {
                // A module's function, or a category's tracepoint.
                [Kind::Kprobe, Kind::Fentry, Kind::Tracepoint]
                    .into_iter()
                    .map(|kind| of_kind(kind, word))
                    .collect()
            }
            (None, None) => KINDS.iter().map(|kind| of_kind(*kind, word)).collect(),
        },
        [first, pattern, ..] => match kind(first) {
            Some(kind) => Ok(vec![of_kind(kind, pattern)?]),
            None => {
                let all = KINDS.map(Kind::name).join(", ");
                Err(Mistake::new(
                    first,
                    0..first.len(),
                    format!("there is no kind of probe '{first}' to list"),
                )
                .help(format!("there are {all}")))
            }
        },
    }
}

fn of_kind(kind: Kind, pattern: &str) -> Result<ProbeSpec, Mistake> {
    let grouped = pattern.contains(':') && !pattern.starts_with('/');
    let pattern = match pattern.strip_suffix(':') {
        Some(group) if grouped => format!("{group}:*"),
        _ if kind == Kind::Tracepoint && !grouped => format!("*:{pattern}"),
        _ => pattern.to_owned(),
    };
    spec::parse(&format!("{kind}:{pattern}"))
}

/// The words, for a message.
pub(super) fn said(words: &[String]) -> String {
    if words.is_empty() { "at all".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match wanted(&words) {
            Ok(specs) => specs.iter().map(ToString::to_string).collect(),
            Err(mistake) => vec![mistake.what],
        }
    }

    #[test]
    fn words_are_kinds_or_patterns() {
        assert_eq!(specs(&[]), ["kprobe:*", "fentry:*", "tracepoint:*:*", "rawtp:*", "syscall:*"]);
        assert_eq!(specs(&["kretprobe"]), ["kprobe:*"]);
        assert_eq!(specs(&["tracepoint", "sched:"]), ["tracepoint:sched:*"]);
        assert_eq!(specs(&["tracepoint", "sched_*"]), ["tracepoint:*:sched_*"]);
        assert_eq!(specs(&["kprobe:vfs_*"]), ["kprobe:vfs_*"]);
        assert_eq!(specs(&["xfs:"]), ["kprobe:xfs:*", "fentry:xfs:*", "tracepoint:xfs:*"]);
        assert_eq!(
            specs(&["open"]),
            ["kprobe:open", "fentry:open", "tracepoint:*:open", "rawtp:open", "syscall:open"]
        );
        assert_eq!(specs(&["kprobe", "/^a:b/"]), ["kprobe:/^a:b/"]);
        assert_eq!(specs(&["uprobe", "x"]), ["there is no kind of probe 'uprobe' to list"]);
        assert_eq!(specs(&["kprobe", "a b"]), ["a probe has no blanks"]);
    }
}
