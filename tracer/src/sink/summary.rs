//! What a run came to, in a few lines for people.

use std::fmt::Write;

use super::load::account_lines;
use crate::event::{End, Followed};

/// The summary of a run: `12 execs (3 failed, 0 lost) in 4.2 s: the command ...`.
pub fn summary(end: &End) -> String {
    let mut text = String::new();
    let noun = if end.events == 1 { "exec" } else { "execs" };
    let seconds = end.duration_ns as f64 / 1e9;
    // Writing into a string does not fail.
    let _ =
        write!(text, "{} {noun} ({} failed, {} lost) in {seconds:.1} s", end.events, end.failed, end.lost,);
    let hooks: Vec<_> =
        end.by_hook.iter().map(|(hook, events)| format!("{events} by {}", hook.name())).collect();
    if !hooks.is_empty() {
        let _ = write!(text, "; {}", hooks.join(", "));
    }
    let _ = writeln!(text, "; {}", end.reason.describe());
    if end.no_room > 0 {
        let _ = writeln!(text, "lost execs found no room: a larger --buffer loses less");
    }
    if let Some(followed) = end.followed {
        let Followed { forks, exits, lives, alive, evicted } = followed;
        let shown = [(forks, "fork"), (exits, "exit"), (lives, "life")];
        let mut parts = Vec::new();
        for (count, noun) in shown.into_iter().filter(|(count, _)| *count > 0) {
            let plural = match (count, noun) {
                (1, noun) => noun.to_owned(),
                (_, "life") => "lives".to_owned(),
                (_, noun) => format!("{noun}s"),
            };
            parts.push(format!("{count} {plural}"));
        }
        parts.extend(alive.map(|alive| format!("{alive} processes alive on this host at the end")));
        if !parts.is_empty() {
            let _ = writeln!(text, "{}", parts.join(", "));
        }
        if evicted > 0 {
            let _ = writeln!(
                text,
                "{evicted} processes or execs were forgotten: there were more than are remembered"
            );
        }
    }
    if end.undelivered > 0 {
        let _ = writeln!(text, "{} more could not be written", end.undelivered);
    }
    text.push_str(&account_lines(&end.accounts));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EndReason;
    use expect_test::expect;
    use tracer_common::Hook;

    #[test]
    fn a_run_is_summed_up() {
        let end = End {
            boot_ns: 0,
            events: 12,
            failed: 3,
            lost: 4,
            no_room: 4,
            by_hook: vec![(Hook::Fentry, 12)],
            duration_ns: 4_210_000_000,
            reason: EndReason::ClosedOutput,
            undelivered: 2,
            accounts: Vec::new(),
            followed: Some(Followed { forks: 0, exits: 1, lives: 12, alive: Some(80), evicted: 3 }),
        };
        expect![[r#"
            12 execs (3 failed, 4 lost) in 4.2 s; 12 by fentry; the output was closed
            lost execs found no room: a larger --buffer loses less
            1 exit, 12 lives, 80 processes alive on this host at the end
            3 processes or execs were forgotten: there were more than are remembered
            2 more could not be written
        "#]]
        .assert_eq(&summary(&end));
    }
}
