//! What a run costs and leaves out, in words.

use std::fmt::Write;

use tracer_common::{Class, Shed};

use super::human;
use crate::{
    event::{Account, Overhead, Stats, class_name},
    overhead::FIELDS,
};

/// The classes of which not every event is shown, and one of how many is.
pub(super) fn sampled(shed: &Shed) -> impl Iterator<Item = (Class, u32)> {
    let order = [Class::Fork, Class::Exit, Class::Event];
    order.into_iter().map(|class| (class, shed.sample[class as usize])).filter(|(_, one_of)| *one_of > 1)
}

/// What is left out from now on: `overhead 3.2 % is above 1 %: without env, cwd; 1 of 4 execs`.
pub fn overhead_text(overhead: &Overhead) -> String {
    let Overhead { share, limit, shed, .. } = overhead;
    let mut text = match share > limit {
        true => format!("overhead {share} is above {limit}: "),
        false => format!("overhead {share} leaves room below {limit}: "),
    };
    let fields: Vec<_> =
        FIELDS.iter().filter(|(bit, _)| shed.fields & bit != 0).map(|(_, name)| *name).collect();
    let mut parts = Vec::new();
    if overhead.exhausted {
        parts.push("nothing more can be left out".to_owned());
    }
    if !fields.is_empty() {
        parts.push(format!("without {}", fields.join(", ")));
    }
    parts.extend(
        sampled(shed).map(|(class, of)| format!("1 of {of} {}s, the others are counted", class_name(class))),
    );
    if parts.is_empty() {
        parts.push("everything is shown".to_owned());
    }
    text.push_str(&parts.join("; "));
    text
}

fn duration(ns: u64) -> String {
    let mut text = String::new();
    human::duration(ns, &mut text);
    text
}

/// What the run costs, in a line.
pub(super) fn stats_line(stats: &Stats<'_>) -> String {
    let costs = stats.costs;
    let runs: u64 = costs.programs.iter().map(|program| program.runs).sum();
    format!(
        "overhead {}: programs {} in {runs} runs, tracer {}; ring at most {} of {}; {} resident, BPF {}",
        stats.share,
        duration(costs.programs_ns()),
        duration(costs.own.user_ns + costs.own.system_ns),
        human::size(costs.ring.high_water_bytes),
        human::size(costs.ring.bytes),
        human::size(costs.own.resident_bytes),
        human::size(costs.bpf_bytes),
    )
}

/// What the run cost, in a block of lines.
pub fn stats_summary(stats: &Stats<'_>) -> String {
    let (costs, own) = (stats.costs, &stats.costs.own);
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = writeln!(
        text,
        "overhead {} of {} CPUs in {:.1} s: programs {}, tracer {} ({} user, {} system, its start included)",
        stats.share,
        stats.cpus,
        stats.boot_ns.saturating_sub(stats.from_ns) as f64 / 1e9,
        duration(costs.programs_ns()),
        duration(own.user_ns + own.system_ns),
        duration(own.user_ns),
        duration(own.system_ns),
    );
    let width = costs.programs.iter().map(|program| program.name.len()).max().unwrap_or(0);
    for program in &costs.programs {
        let each = duration(program.time_ns.checked_div(program.runs).unwrap_or(0));
        let _ = write!(
            text,
            "  {:<width$} {:>9} runs {:>9} {each:>9} each",
            program.name,
            program.runs,
            duration(program.time_ns),
        );
        if program.skipped > 0 {
            let _ = write!(text, ", {} skipped by the kernel", program.skipped);
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "  ring: at most {} of {}; memory: {} resident, {} at most, and {} of the kernel's for BPF",
        human::size(costs.ring.high_water_bytes),
        human::size(costs.ring.bytes),
        human::size(own.resident_bytes),
        human::size(own.peak_bytes),
        human::size(costs.bpf_bytes),
    );
    text
}

/// What became of each class of which something was withheld.
pub(super) fn account_lines(accounts: &[Account]) -> String {
    let line = |account: &Account| {
        let Account { class, made, shown, withheld, lost } = *account;
        let name = class_name(class);
        format!(
            "of {made} {name}s {shown} were shown, {withheld} withheld to keep below --max-overhead, {lost} lost\n"
        )
    };
    accounts.iter().filter(|account| account.withheld > 0).map(line).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tracer_common::shed;

    use super::*;
    use crate::overhead::{Costs, OwnCost, ProgramCost, RingUse, Share};

    #[test]
    fn what_is_left_out_is_said() {
        let quiet = Overhead {
            boot_ns: 0,
            share: Share::from_ppm(100),
            limit: Share::from_ppm(10_000),
            shed: Shed::default(),
            exhausted: false,
        };
        expect!["overhead 0.01 % leaves room below 1 %: everything is shown"]
            .assert_eq(&overhead_text(&quiet));
        let loud = Overhead {
            share: Share::from_ppm(32_100),
            shed: Shed { fields: shed::CWD | shed::ENV, sample: [4, 1, 2, 1], ..Shed::default() },
            exhausted: true,
            ..quiet
        };
        expect!["overhead 3.21 % is above 1 %: nothing more can be left out; without env, cwd; 1 of 2 exits, the others are counted; 1 of 4 execs, the others are counted"]
            .assert_eq(&overhead_text(&loud));
    }

    #[test]
    fn costs_are_summed_up() {
        let program = |name: &str, runs, skipped| ProgramCost {
            name: name.into(),
            runs,
            time_ns: runs * 5_610,
            skipped,
        };
        let costs = Costs {
            programs: vec![program("btf_exec", 1234, 0), program("fexit_execveat", 0, 7)],
            ring: RingUse { bytes: 8 << 20, high_water_bytes: 12_345 },
            own: OwnCost {
                user_ns: 20_100_000,
                system_ns: 25_500_000,
                resident_bytes: 7 << 20,
                peak_bytes: 8 << 20,
            },
            bpf_bytes: 9_600_000,
        };
        let stats = Stats {
            boot_ns: 14_200_000_000,
            from_ns: 4_200_000_000,
            share: Share::from_ppm(4_200),
            cpus: 2,
            costs: &costs,
            made: &[],
        };
        expect!["overhead 0.42 %: programs 6.92 ms in 1234 runs, tracer 45.6 ms; ring at most 12.1 KiB of 8.0 MiB; 7.0 MiB resident, BPF 9.2 MiB"]
            .assert_eq(&stats_line(&stats));
        expect![[r#"
            overhead 0.42 % of 2 CPUs in 10.0 s: programs 6.92 ms, tracer 45.6 ms (20.1 ms user, 25.5 ms system, its start included)
              btf_exec            1234 runs   6.92 ms   5.61 µs each
              fexit_execveat         0 runs      0 ns      0 ns each, 7 skipped by the kernel
              ring: at most 12.1 KiB of 8.0 MiB; memory: 7.0 MiB resident, 8.0 MiB at most, and 9.2 MiB of the kernel's for BPF
        "#]]
        .assert_eq(&stats_summary(&stats));
    }

    #[test]
    fn accounts_are_told_where_something_was_withheld() {
        let account = Account { class: Class::Event, made: 100, shown: 20, withheld: 70, lost: 10 };
        let all = Account { class: Class::Fork, made: 5, shown: 5, withheld: 0, lost: 0 };
        expect![[r#"
            of 100 execs 20 were shown, 70 withheld to keep below --max-overhead, 10 lost
        "#]]
        .assert_eq(&account_lines(&[account, all]));
    }
}
