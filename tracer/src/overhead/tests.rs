//! Laws of the governor, in simulated worlds.

use proptest::collection::vec;
use proptest::prelude::*;
use tracer_common::{Class, shed};

use super::*;

const ALL_FIELDS: u32 = shed::ENV | shed::CWD | shed::LONG_ARGV | shed::IDS;

fn ladder() -> Ladder {
    Ladder::new(ALL_FIELDS, &[Class::Event, Class::Fork, Class::Exit])
}

/// A look at a world whose share depends on the level alone; whether the level changed.
fn look(governor: &mut Governor, world: impl Fn(usize) -> u32) -> bool {
    let before = governor.level();
    governor.look(Share::from_ppm(world(before)));
    governor.level() != before
}

#[test]
fn shares_are_read_as_percent() {
    let check = |ppm, text: &str| assert_eq!(Share::from_ppm(ppm).to_string(), text);
    check(0, "0 %");
    check(1, "0.0001 %");
    check(1_000, "0.1 %");
    check(10_000, "1 %");
    check(123_456, "12.35 %");
    check(1_000_000, "100 %");
    assert_eq!(Share::of(5_000_000, 500_000_000, 2), Share::from_ppm(5_000));
    assert_eq!(Share::of(u64::MAX, 0, 0), Share::from_ppm(u32::MAX));
}

#[test]
fn fields_go_before_events_and_executions_last() {
    let ladder = ladder();
    assert_eq!(ladder.top(), 4 + 3 * 10);
    assert_eq!(ladder.shed(0).fields, 0);
    assert_eq!(ladder.shed(1).fields, shed::ENV);
    assert_eq!((ladder.shed(4).fields, ladder.shed(4).sample), (ALL_FIELDS, [1; 4]));
    assert_eq!(ladder.shed(5).sample, [1, 2, 1, 1]);
    assert_eq!(ladder.shed(15).sample, [1, 1024, 2, 1]);
    assert_eq!(ladder.shed(ladder.top()).sample, [1024, 1024, 1024, 1]);
    assert_eq!(Ladder::new(0, &[Class::Event]).shed(3).sample, [8, 1, 1, 1]);
    assert_eq!(Ladder::new(0, &[]).top(), 0);
}

#[test]
fn what_cannot_be_kept_is_said_once() {
    let mut governor = Governor::new(Share::from_ppm(1_000), Ladder::new(shed::CWD, &[]));
    let much = Share::from_ppm(2_000);
    assert_eq!(governor.look(much), Verdict::Changed);
    assert_eq!(governor.look(much), Verdict::Exhausted);
    assert_eq!(governor.look(much), Verdict::Stay);
    assert!(governor.is_exhausted());
    assert_eq!(governor.look(Share::from_ppm(900)), Verdict::Stay);
    assert_eq!(governor.look(much), Verdict::Exhausted);
}

/// Above the limit at level 0 by far, next to nothing at level 1.
#[test]
fn a_cliff_is_climbed_ever_less_often() {
    let mut governor = Governor::new(Share::from_ppm(10_000), ladder());
    let cliff = |level| if level == 0 { 19_000 } else { 10 };
    let changes: Vec<bool> = (0..4_000).map(|_| look(&mut governor, cliff)).collect();
    let count = |looks: &[bool]| looks.iter().filter(|changed| **changed).count();
    assert!(count(&changes[..200]) > count(&changes[200..400]));
    // One descent and one ascent in each 256 looks.
    assert!(count(&changes[2_000..]) <= 2 * 2_000 / 256 + 2, "{}", count(&changes[2_000..]));
}

proptest! {
    /// Whatever is measured: more is left out only above the limit, less only below it, and a change is told as one.
    #[test]
    fn any_shares_are_answered_in_their_direction(limit in 0u32..2_000_000, shares in vec(any::<u32>(), 0..300)) {
        let mut governor = Governor::new(Share::from_ppm(limit), ladder());
        for share in shares {
            let share = Share::from_ppm(share);
            let (before, was) = (governor.level(), governor.shed());
            let verdict = governor.look(share);
            let (after, is) = (governor.level(), governor.shed());
            prop_assert!(after <= ladder().top());
            prop_assert_eq!(verdict == Verdict::Changed, before != after);
            prop_assert_eq!(before != after, was != is);
            if after > before {
                prop_assert!(share > governor.limit());
                prop_assert_eq!(is.fields & was.fields, was.fields);
                prop_assert!(is.sample.iter().zip(was.sample).all(|(is, was)| *is >= was));
            }
            if after < before {
                prop_assert!(share <= governor.limit());
            }
        }
    }

    /// A load that stays, of which no step takes more than half: from some look on nothing changes, and it is below the
    /// limit, or nothing more can be left out.
    #[test]
    fn a_steady_load_is_settled_for_good(
        limit in 1_000u32..1_000_000,
        load in 1u32..1_000_000,
        weights in vec(500u32..1_000, 34),
        warm in vec(any::<u32>(), 0..100),
    ) {
        let mut governor = Governor::new(Share::from_ppm(limit), ladder());
        for share in warm {
            governor.look(Share::from_ppm(share));
        }
        let world = |level: usize| {
            weights[..level].iter().fold(u64::from(load), |share, left| share * u64::from(*left) / 1_000) as u32
        };
        for _ in 0..40 * 256 {
            look(&mut governor, world);
        }
        let level = governor.level();
        prop_assert!(world(level) <= limit || level == ladder().top());
        for _ in 0..1_000 {
            prop_assert!(!look(&mut governor, world));
        }
    }

    /// A load of whatever shape that stays: the changes become few, and few looks find it above the limit.
    #[test]
    fn any_steady_load_is_disturbed_seldom(limit in 1_000u32..1_000_000, mut shares in vec(0u32..2_000_000, 35)) {
        shares.sort_unstable_by(|a, b| b.cmp(a));
        let bearable = shares[34] <= limit;
        let mut governor = Governor::new(Share::from_ppm(limit), ladder());
        let world = |level: usize| shares[level];
        for _ in 0..60 * 256 {
            look(&mut governor, world);
        }
        let mut above = 0;
        let mut changes = 0;
        for _ in 0..10 * 256 {
            above += u32::from(world(governor.level()) > limit);
            changes += u32::from(look(&mut governor, world));
        }
        // A descent may go far, and so may the ascent, by looks of a step each: no more either way than the ladder has.
        prop_assert!(changes <= 12 * 2 * 35, "{} changes", changes);
        prop_assert!(!bearable || above <= 12 * 35, "{} looks above", above);
    }

    /// When nothing runs any more, all is shown again.
    #[test]
    fn silence_brings_everything_back(shares in vec(any::<u32>(), 0..300)) {
        let mut governor = Governor::new(Share::from_ppm(1_000), ladder());
        for share in shares {
            governor.look(Share::from_ppm(share));
        }
        for _ in 0..34 * 256 {
            look(&mut governor, |_| 0);
        }
        prop_assert_eq!(governor.level(), 0);
        prop_assert!(!governor.is_exhausted());
    }
}
