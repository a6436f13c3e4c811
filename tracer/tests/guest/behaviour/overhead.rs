//! What a run costs is told, and is kept below a limit: by leaving out what is optional, then by showing one of many;
//! each change is said, and every event is accounted for.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;

use super::{
    live::{self, Ended, HOOKS, Live},
    privilege::{self, CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE},
    storm, tiny,
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("overhead::fentry_sheds_and_accounts", 600, || sheds("fentry")),
        Test::one("overhead::kprobe_sheds_and_accounts", 600, || sheds("kprobe")),
        Test::one("overhead::tracepoint_sheds_and_accounts", 600, || sheds("tracepoint")),
        Test::one("overhead::everything_comes_back", 600, comes_back),
        Test::one("overhead::stats_are_plausible", 600, stats),
        Test::one("overhead::takes_sys_admin_or_a_setting", 300, privileges),
        Test::one("overhead::as_a_table", 300, table),
    ]
}

const WORKERS: usize = 3;
const BATCH: usize = 500;
/// Long enough for its middle to be left out.
const TAG_BYTES: usize = 20_000;

fn of<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

fn number(record: &Value, name: &str) -> u64 {
    record[name].as_u64().unwrap_or_else(|| panic!("{name} of {record}"))
}

/// Storms until something is so, at least once; how many execs that took.
fn storm_until(live: &Live, tag: &str, is_so: impl Fn(&[Value]) -> bool) -> usize {
    let program = tiny::program("governed");
    let mut made = 0;
    live::until("the storm to show in the records", || {
        tiny::storm(&program, tag, BATCH, WORKERS, 0);
        made += BATCH;
        is_so(&live.records()).then_some(())
    });
    made
}

/// Every field is left out, and one of many execs is shown.
fn is_high_up(records: &[Value]) -> bool {
    of(records, "overhead").iter().any(|record| record["sample"]["exec"].as_u64().is_some_and(|of| of >= 8))
}

fn sheds(hook: &str) {
    let live = live::start(&["--hook", hook, "--max-overhead", "0.1%", "--env", "*"]);
    let tag = "x".repeat(TAG_BYTES);
    let mut made = storm_until(&live, &tag, is_high_up);
    made += storm_until(&live, &tag, |_| true);
    tiny::storm(Path::new("/nonexistent/file"), "fails", BATCH, WORKERS, libc::ENOENT);
    made += BATCH;
    let ended = live.stop();
    accounts(&ended, hook, made);
    changes(&ended);
    fields(&ended);
}

/// seen + withheld + lost = made, exactly.
///
/// Where the kernel skips runs at the returns of system calls, nobody knows how many of them were failed execs: that is
/// said then, and the sum is no more than what was made.
fn accounts(ended: &Ended, hook: &str, made: usize) {
    let shown = ended.execs().len() as u64;
    let records = ended.records();
    let withheld: u64 = of(&records, "withheld").iter().map(|record| number(record, "sampled")).sum();
    let account = &of(&records, "end")[0]["by_class"]["exec"];
    assert_eq!(number(account, "shown"), shown, "{account}");
    assert_eq!(number(account, "withheld"), withheld, "{account}");
    assert_eq!(number(account, "lost"), ended.lost(), "{account}");
    let (sum, made) = (shown + withheld + ended.lost(), made as u64);
    assert_eq!(number(account, "made"), sum, "{account}: {}", ended.said);
    if hook == "tracepoint" && storm::skips_programs(hook) && sum < made {
        assert!(ended.said.contains("the kernel did not show the returns of"), "{account}: {}", ended.said);
    } else {
        assert_eq!(sum, made, "{account}: {}", ended.said);
    }
    assert!(withheld > 0, "{account}");
    let said = format!("{withheld} withheld to keep below --max-overhead");
    assert!(ended.said.contains(&said), "no {said:?} in: {}", ended.said);
    for record in of(&records, "withheld") {
        assert_eq!((&record["class"], &record["reason"]), (&"exec".into(), &"max_overhead".into()));
        assert!(number(record, "from_ns") < number(record, "to_ns"), "{record}");
    }
}

/// Fields go first; each change is in the stream and on the standard error, and above the limit for a reason.
fn changes(ended: &Ended) {
    let records = ended.records();
    let changes = of(&records, "overhead");
    assert_eq!(changes[0]["shed"][0], "env", "{}", changes[0]);
    let mut last = 0;
    for change in &changes {
        let share = change["share"].as_f64().expect("a share");
        let limit = change["limit"].as_f64().expect("a share");
        assert!((limit - 0.001).abs() < 1e-9, "{change}");
        let sampled = change["sample"]["exec"].as_u64().unwrap_or(1);
        let level = change["shed"].as_array().expect("fields").len() as u64 + u64::from(sampled.ilog2());
        assert!(if share > limit { level >= last } else { level < last }, "{change}");
        assert!(sampled == 1 || change["shed"].as_array().expect("fields").len() == 4, "{change}");
        last = level;
    }
    assert!(ended.said.matches("tracer: overhead ").count() >= changes.len(), "{}", ended.said);
    assert!(ended.said.contains("is above 0.1 %: without env"), "{}", ended.said);
}

/// What is left out is missing with the reason, and only after it was said; the length of the arguments is true.
fn fields(ended: &Ended) {
    const REASON: &str = "left out to keep below --max-overhead";
    let records = ended.records();
    let said_at = number(of(&records, "overhead")[0], "boot_ns");
    let mut seen = [0; 4];
    for exec in of(&records, "exec") {
        let fails = exec["retval"] != 0;
        let missing = |field: &str| exec["missing"][field] == REASON;
        let shed = [missing("env"), missing("cwd"), missing("login_uid"), cut_by_shedding(exec)];
        if number(exec, "boot_ns") < said_at - 1_000_000_000 {
            assert_eq!(shed, [false; 4], "{exec:.300}");
        }
        seen.iter_mut().zip(shed).for_each(|(seen, shed)| *seen += i32::from(shed));
        for (field, shed) in [("env", shed[0]), ("cwd", shed[1]), ("login_uid", shed[2]), ("mnt_ns", shed[2])]
        {
            assert!(!shed || exec[field].is_null() && missing(field), "{field} of {exec:.300}");
        }
        if !fails {
            // The path of the program, the tag and its number, with a NUL each.
            assert_eq!(exec["argc"], 2, "{exec:.300}");
            assert!(number(exec, "argv_bytes") > TAG_BYTES as u64, "{exec:.300}");
        }
    }
    assert!(seen.iter().all(|seen| *seen > 0), "env, cwd, ids, argv: {seen:?}");
}

fn cut_by_shedding(exec: &Value) -> bool {
    let gaps = exec["cut"]["argv"].as_array();
    gaps.is_some_and(|gaps| gaps.iter().any(|gap| gap["reason"] == "shed" && number(gap, "bytes") > 0))
}

/// When the storm is over, everything is shown again; and that is said.
fn comes_back() {
    // An idle tracer costs as much as 1 % where guests are emulated on a busy host.
    let live = live::start(&["--max-overhead", "4%", "--env", "*"]);
    let tag = "x".repeat(TAG_BYTES);
    let mut made = storm_until(&live, &tag, |records| !of(records, "overhead").is_empty());
    live::until("everything to be shown again", || {
        let records = live.records();
        let last = of(&records, "overhead").last().copied().cloned().expect("a record");
        (last["shed"] == Value::Array(Vec::new()) && last["sample"] == Value::Object(serde_json::Map::new()))
            .then_some(())
    });
    tiny::storm(&tiny::program("after"), "after", 1, 1, 0);
    made += 1;
    let ended = live.stop();
    let execs = ended.execs();
    let records = ended.records();
    let withheld: u64 = of(&records, "withheld").iter().map(|record| number(record, "sampled")).sum();
    assert_eq!(execs.len() as u64 + withheld + ended.lost(), made as u64, "{}", ended.said);
    let last = execs.last().expect("an exec");
    assert_eq!((&last["argv"][1], last["cwd"].is_string()), (&"after-0".into(), true), "{last}");
    assert!(ended.said.contains("leaves room below 4 %: everything is shown"), "{}", ended.said);
}

fn stats() {
    const MADE: usize = 1_000;
    for (hook, program) in HOOKS.iter().zip(["btf_exec", "kprobe_exec", "tp_exec"]) {
        let live = live::start(&["--hook", hook, "--stats=500ms"]);
        tiny::storm(&tiny::program("counted"), "counted", MADE, WORKERS, 0);
        live::until("costs to be told", || (of(&live.records(), "stats").len() >= 2).then_some(()));
        let ended = live.stop();
        let records = ended.records();
        let told = of(&records, "stats");
        let [first, .., last] = &told[..] else { panic!("{}", ended.said) };
        let start = number(of(&records, "start")[0], "boot_ns");
        assert!(number(last, "from_ns") - start < 1_000_000_000, "of the whole run: {last}");
        assert!(number(first, "boot_ns") < number(last, "boot_ns"));
        assert!(last["overhead"].as_f64().is_some_and(|share| share > 0.0 && share < 1.1), "{last}");
        let programs = last["programs"].as_array().expect("programs");
        let ours = programs.iter().find(|named| named["name"] == program).expect("the program");
        let skipped = ours["skipped"].as_u64().unwrap_or(0);
        assert!(number(ours, "runs") + skipped >= MADE as u64, "{ours}");
        let each = number(ours, "time_ns") / number(ours, "runs");
        assert!((100..100_000_000).contains(&each), "{each} ns a run: {ours}");
        assert!(number(&last["ring"], "high_water_bytes") > 256, "{last}");
        assert_eq!(number(&last["ring"], "bytes"), 8 << 20, "{last}");
        let own = &last["tracer"];
        assert!(number(own, "resident_bytes") > 1 << 20, "{own}");
        assert!(number(own, "peak_bytes") >= number(own, "resident_bytes"), "{own}");
        assert!(number(own, "user_ns") + number(own, "system_ns") > 1_000_000, "{own}");
        assert!((8 << 20..64 << 20).contains(&number(last, "bpf_bytes")), "{last}");
        let exec = &last["events"]["exec"];
        assert_eq!(
            (number(exec, "made"), number(exec, "withheld")),
            (ended.execs().len() as u64 + number(exec, "dropped"), 0)
        );
        assert!(ended.said.contains("tracer: overhead ") && ended.said.contains(program), "{}", ended.said);
    }
}

/// Who may not have the kernel count is told so before anything is traced.
fn privileges() {
    let three: &[u32] = &[CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE];
    let with = |option: &str| {
        let mut command = live::exec(&["--hook", "tracepoint", option, "--", "/bin/true"]);
        privilege::with_capabilities(&mut command, three);
        live::run(command)
    };
    for option in ["--stats", "--max-overhead=5%"] {
        let ended = with(option);
        assert_eq!(ended.code(), Some(3), "{}", ended.said);
        for phrase in ["CAP_SYS_ADMIN", "root", "sysctl kernel.bpf_stats_enabled=1"] {
            assert!(ended.said.contains(phrase), "no {phrase:?} in: {}", ended.said);
        }
    }
    fs::write("/proc/sys/kernel/bpf_stats_enabled", "1").unwrap();
    let ended = with("--stats");
    fs::write("/proc/sys/kernel/bpf_stats_enabled", "0").unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.said);
    let records = ended.records();
    let programs = of(&records, "stats").last().expect("costs")["programs"].clone();
    let runs: u64 =
        programs.as_array().expect("programs").iter().map(|program| number(program, "runs")).sum();
    assert!(runs > 0, "{programs}");
}

/// The same for people.
fn table() {
    let args = ["exec", "--format", "table", "--stats=500ms", "--max-overhead", "0.1%"];
    let live = live::spawn(live::program(&args));
    let program = tiny::program("shown");
    let written = live::until("the table to tell", || {
        tiny::storm(&program, "shown", BATCH, WORKERS, 0);
        std::thread::sleep(Duration::from_millis(50));
        let text = String::from_utf8_lossy(&fs::read(live.stdout()).unwrap()).into_owned();
        (text.contains("execs withheld since ")).then_some(text)
    });
    assert!(
        written.contains("!!! overhead ") && written.contains(" is above 0.1 %: without "),
        "{written:.2000}"
    );
    assert!(written.contains("... overhead ") && written.contains("; ring at most "), "{written:.2000}");
    let ended = live.stop();
    assert!(!ended.said.contains("is above"), "said in the table: {}", ended.said);
    assert!(ended.said.contains(" withheld to keep below --max-overhead, "), "{}", ended.said);
}
