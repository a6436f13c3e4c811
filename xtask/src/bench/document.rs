//! Sections as docs/BENCHMARKS.md, and one of them for the terminal.

use std::fmt::Write as _;

use super::report::{Budget, Section, Table};

const HEAD: &str = "\
# Benchmarks

What tracer costs, beside the tools that a user would take instead. Written by `cargo xtask bench`, each section by its
part (`cargo xtask bench exec`): no number here is typed by hand, and none is asserted by a test.

Guests are emulated. Where a section counts instructions, the guest's clock is the count of instructions executed
(`-icount shift=0,sleep=off`, one CPU), so that figures repeat within one or two per cent whatever else the machine does.
Where it counts seconds of an emulated machine, ratios count, seconds do not.
";

/// The whole document.
pub(crate) fn render(sections: &[Section]) -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Budgets\n\n| what | budget | measured | | section |\n|---|---|---|---|---|\n");
    for section in sections {
        for budget in &section.budgets {
            let Budget { what, limit, measured, .. } = budget;
            let (verdict, anchor) = (budget.verdict(), anchor(&section.title));
            let _ = writeln!(
                out,
                "| {what} | {limit} | {measured} | {verdict} | [{}](#{anchor}) |",
                section.part
            );
        }
    }
    for section in sections {
        self::section(&mut out, section);
    }
    out
}

fn section(out: &mut String, section: &Section) {
    let _ = write!(out, "\n## {}\n\n", section.title);
    for paragraph in &section.how {
        let _ = write!(out, "{}\n\n", wrap(paragraph));
    }
    for chart in &section.charts {
        let _ = write!(out, "![{}](bench/{}.svg)\n\n", chart.title, chart.name);
    }
    for table in &section.tables {
        if !table.title.is_empty() {
            let _ = write!(out, "{}\n\n", wrap(&table.title));
        }
        self::table(out, table);
        out.push('\n');
    }
    if !section.budgets.is_empty() {
        out.push_str("| budget | limit | measured | |\n|---|---|---|---|\n");
        for budget in &section.budgets {
            let Budget { what, limit, measured, .. } = budget;
            let _ = writeln!(out, "| {what} | {limit} | {measured} | {} |", budget.verdict());
        }
        out.push('\n');
    }
    for paragraph in &section.notes {
        let _ = write!(out, "{}\n\n", wrap(paragraph));
    }
    let on: Vec<String> = section.on.iter().map(|(what, version)| format!("{what} {version}")).collect();
    let _ = writeln!(out, "Repeat: `{}`. Run on {}.", section.command, on.join(", "));
}

fn table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "| {} |", table.columns.join(" | "));
    // Words to the left, numbers to the right.
    let rules = (0..table.columns.len()).map(|column| if column == 0 { "---|" } else { "---:|" });
    let _ = writeln!(out, "|{}", rules.collect::<String>());
    for row in &table.rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

/// GitHub's name of a heading.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Lines of at most 120 columns.
fn wrap(paragraph: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 120 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// A section's tables and budgets in columns.
pub(crate) fn terminal(section: &Section) -> String {
    let mut out = format!("{}\n", section.title);
    for table in &section.tables {
        let _ = writeln!(out, "\n{}", table.title);
        let rows = || std::iter::once(&table.columns).chain(&table.rows);
        let width =
            |column: usize| rows().map(|row| row.get(column).map_or(0, |cell| cell.chars().count())).max();
        for row in rows() {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column).unwrap_or(0);
                let _ = if column == 0 {
                    write!(out, "  {cell:<width$}")
                } else {
                    write!(out, "  {cell:>width$}")
                };
            }
            out.push('\n');
        }
    }
    for Budget { what, limit, measured, met } in &section.budgets {
        let verdict = if *met { "met" } else { "MISSED" };
        let _ = writeln!(out, "{verdict}: {what}: {measured} (budget {limit})");
    }
    out
}

/// A whole number with its thousands apart.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if value <= -0.5 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Section {
        let mut table = Table::new("Added.", &["tool", "instructions"]);
        table.row(["ours".to_owned(), thousands(16_500.4)]);
        table.row(["theirs".to_owned(), thousands(33_000.0)]);
        Section {
            part: "exec".to_owned(),
            title: "An execution's cost (added)".to_owned(),
            command: "cargo xtask bench exec".to_owned(),
            on: vec![("Linux".to_owned(), "6.12.1".to_owned()), ("QEMU".to_owned(), "10.0".to_owned())],
            how: vec!["word ".repeat(40)],
            budgets: vec![
                Budget::at_most("added, against theirs", 0.5, 0.6, |value| format!("{value:.2}x")),
                Budget::at_least("events a second", 10.0, 10.0, |value| format!("{value:.0}")),
            ],
            tables: vec![table],
            ..Section::default()
        }
    }

    #[test]
    fn a_document_holds_budgets_first_and_each_section() {
        let text = render(&[example()]);
        for expected in [
            "| added, against theirs | <= 0.50x | 0.60x | **missed** | [exec](#an-executions-cost-added) |\n",
            "| events a second | >= 10 | 10 | met |",
            "\n## An execution's cost (added)\n",
            "| tool | instructions |\n|---|---:|\n| ours | 16,500 |\n| theirs | 33,000 |\n",
            "Repeat: `cargo xtask bench exec`. Run on Linux 6.12.1, QEMU 10.0.\n",
        ] {
            assert!(text.contains(expected), "{expected:?} in {text}");
        }
        assert!(text.lines().all(|line| line.len() <= 125));
    }

    #[test]
    fn a_terminal_sees_columns() {
        let text = terminal(&example());
        assert!(text.contains("  tool    instructions\n  ours          16,500\n"), "{text}");
        assert!(text.contains("MISSED: added, against theirs: 0.60x (budget <= 0.50x)"), "{text}");
    }

    #[test]
    fn thousands_are_apart() {
        let shown = [0.4, 999.0, 1000.0, 1_234_567.0, -12_345.0].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567", "-12,345"]);
    }

    #[test]
    fn anchors_are_as_the_forge_makes_them() {
        assert_eq!(anchor("From start to first event"), "from-start-to-first-event");
        assert_eq!(anchor("Memory: process, and BPF"), "memory-process-and-bpf");
    }
}
