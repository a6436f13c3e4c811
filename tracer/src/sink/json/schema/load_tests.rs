//! Lines of what a run costs and leaves out are the types' lines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use tracer_common::{Class, Shed, shed};

use super::tests::check_line;
use crate::{
    event::{Account, ClassWithheld, End, EndReason, Made, Overhead, Stats, WallClock},
    overhead::{Costs, OwnCost, ProgramCost, RingUse, Share},
    sink::json,
};

const CLOCK: WallClock = WallClock { offset_ns: 1_700_000_000_000_000_000 };

#[test]
fn costs_and_what_is_left_out_are_lines() {
    let costs = Costs {
        programs: vec![ProgramCost { name: "btf_exec".into(), runs: 12, time_ns: 5_120, skipped: 1 }],
        ring: RingUse { bytes: 8 << 20, high_water_bytes: 4_096 },
        own: OwnCost { user_ns: 1, system_ns: 2, resident_bytes: 3, peak_bytes: 4 },
        bpf_bytes: 9 << 20,
    };
    let stats = Stats {
        boot_ns: 9,
        from_ns: 5,
        share: Share::from_ppm(1_020_304),
        cpus: 2,
        costs: &costs,
        made: &[Made { class: Class::Event, made: 12, dropped: 1, withheld: 3 }],
    };
    let overhead = Overhead {
        boot_ns: 9,
        share: Share::from_ppm(12_345),
        limit: Share::from_ppm(1_000),
        shed: Shed { fields: shed::ENV | shed::LONG_ARGV, sample: [4, 1, 2, 1], ..Shed::default() },
        exhausted: false,
    };
    let withheld = ClassWithheld { class: Class::Fork, from_ns: 5, to_ns: 9, count: 3 };
    let end = End {
        boot_ns: 10,
        events: 8,
        failed: 1,
        lost: 1,
        no_room: 1,
        by_hook: Vec::new(),
        duration_ns: 9,
        reason: EndReason::Duration,
        undelivered: 0,
        accounts: vec![Account { class: Class::Event, made: 12, shown: 8, withheld: 3, lost: 1 }],
    };
    let mut lines = Vec::new();
    json::stats(&stats, CLOCK, &mut lines);
    json::overhead(&overhead, CLOCK, &mut lines);
    json::class_withheld(&withheld, CLOCK, &mut lines);
    json::end(&end, CLOCK, &mut lines);
    expect_test::expect![[r#"
        {"schema":1,"type":"stats","time":"2023-11-14T22:13:20.000000009Z","boot_ns":9,"from_ns":5,"overhead":1.020304,"cpus":2,"programs":[{"name":"btf_exec","runs":12,"time_ns":5120,"skipped":1}],"ring":{"bytes":8388608,"high_water_bytes":4096},"tracer":{"user_ns":1,"system_ns":2,"resident_bytes":3,"peak_bytes":4},"bpf_bytes":9437184,"events":{"exec":{"made":12,"dropped":1,"withheld":3}}}
        {"schema":1,"type":"overhead","time":"2023-11-14T22:13:20.000000009Z","boot_ns":9,"share":0.012345,"limit":0.001000,"shed":["env","long_argv"],"sample":{"exit":2,"exec":4},"exhausted":false}
        {"schema":1,"type":"withheld","time":"2023-11-14T22:13:20.000000009Z","boot_ns":9,"from_ns":5,"to_ns":9,"sampled":3,"rate_limited":0,"class":"fork","reason":"max_overhead"}
        {"schema":1,"type":"end","time":"2023-11-14T22:13:20.000000010Z","boot_ns":10,"reason":"duration","events":8,"failed":1,"lost":1,"undelivered":0,"by_hook":{},"duration_ns":9,"by_class":{"exec":{"made":12,"shown":8,"withheld":3,"lost":1}}}
    "#]].assert_eq(str::from_utf8(&lines).unwrap());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        check_line(line);
    }
}
