//! The domain's laws: what an operation on abstract numbers gives holds for every pair of members.
//!
//! Tnums are proven exhaustively at four bits, at the low end, across the middle and at the top of 64 bits; values are
//! proven exhaustively over small ranges around zero, and at full width for random sets of interesting numbers.

use super::super::arith::{self, ByteOrder, Sign, Width};
use super::super::insn::{AluOp, Cmp, Insn};
use super::super::jump::{self, Taken};
use super::super::profile::{Config, Profile, Release};
use super::super::tnum::{Mul, Tnum};
use super::super::value::{Domain, Value};
use super::random::Random;

const BITS: u32 = 4;
/// Where the four bits sit.
const PLACES: [u32; 4] = [0, 29, 30, 60];

fn tnums() -> Vec<Tnum> {
    let all = 1u64 << BITS;
    let pairs = (0..all).flat_map(|value| (0..all).map(move |mask| Tnum { value, mask }));
    pairs.filter(|t| t.value & t.mask == 0).collect()
}

fn members(t: Tnum) -> Vec<u64> {
    let mut out = Vec::new();
    let mut sub = 0u64;
    loop {
        out.push(t.value | sub);
        sub = sub.wrapping_sub(t.mask) & t.mask;
        if sub == 0 {
            return out;
        }
    }
}

fn has(t: Tnum, x: u64) -> bool {
    x & !t.mask == t.value
}

fn check_binary(
    name: &str,
    op: impl Fn(Tnum, Tnum) -> Tnum,
    exact: impl Fn(u64, u64) -> u64,
    places: &[u32],
) {
    let all = tnums();
    for &place in places {
        for &a in &all {
            for &b in &all {
                let (a, b) = (a.shl(place), b.shl(place));
                let r = op(a, b);
                assert_eq!(r.value & r.mask, 0, "{name} {a:?} {b:?} is malformed: {r:?}");
                for x in members(a) {
                    for y in members(b) {
                        assert!(has(r, exact(x, y)), "{name}: {x:#x} of {a:?}, {y:#x} of {b:?}, {r:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn tnum_sums_and_bits_are_sound() {
    check_binary("add", Tnum::add, u64::wrapping_add, &PLACES);
    check_binary("sub", Tnum::sub, u64::wrapping_sub, &PLACES);
    check_binary("and", Tnum::and, |x, y| x & y, &PLACES);
    check_binary("or", Tnum::or, |x, y| x | y, &PLACES);
    check_binary("xor", Tnum::xor, |x, y| x ^ y, &PLACES);
}

#[test]
fn tnum_products_are_sound_in_every_generation() {
    for how in [Mul::Halves, Mul::Gathered, Mul::Joined] {
        check_binary("mul", |a, b| a.mul(b, how), u64::wrapping_mul, &[0, 30]);
    }
}

#[test]
fn tnum_shifts_are_sound() {
    for place in PLACES {
        for t in tnums() {
            let t = t.shl(place);
            for x in members(t) {
                for n in [0, 1, 3, 31, 32, 63] {
                    assert!(has(t.shl(n), x << n));
                    assert!(has(t.shr(n), x >> n));
                    assert!(has(t.sar(n, 64), ((x as i64) >> n) as u64));
                    if n < 32 {
                        let low = ((x as i32) >> n) as u32;
                        assert!(has(t.low32().sar(n, 32).low32(), low.into()));
                    }
                }
                assert!(has(t.neg(), x.wrapping_neg()));
                assert!(has(t.swap(64), x.swap_bytes()));
                assert!(has(t.cast(4), x & 0xffff_ffff) && has(t.low32(), x & 0xffff_ffff));
            }
        }
    }
}

#[test]
fn tnum_lattice_laws_hold() {
    let all = tnums();
    for &a in &all {
        for &b in &all {
            let shared = members(a).into_iter().filter(|x| has(b, *x)).count();
            assert_eq!(a.overlaps(b), shared > 0, "{a:?} {b:?}");
            assert_eq!(a.contains(b), shared == members(b).len(), "{a:?} {b:?}");
            let join = a.join(b);
            assert!(join.contains(a) && join.contains(b));
            if shared > 0 {
                let meet = a.meet(b);
                assert_eq!(members(meet).len(), shared, "{a:?} {b:?}");
                assert!(a.contains(meet) && b.contains(meet));
            }
        }
    }
}

#[test]
fn tnum_ranges_hold_what_they_span() {
    for lo in 0..64u64 {
        for hi in lo..64 {
            let t = Tnum::range(lo, hi);
            assert!((lo..=hi).all(|x| has(t, x)));
        }
    }
}

#[test]
fn the_next_member_is_the_next() {
    for t in tnums() {
        for z in 0..(1u64 << BITS) - 1 {
            let next = members(t).into_iter().filter(|x| *x > z).min();
            if let Some(n) = next {
                assert_eq!(t.step(z), n, "{t:?} after {z}");
            }
        }
    }
}

fn domains() -> Vec<Domain> {
    [(5, 10), (6, 1), (6, 12), (7, 2)]
        .map(|(a, b)| Profile::new(Release::new(a, b), None, Config::default()).domain())
        .to_vec()
}

fn holds(v: &Value, x: u64) -> bool {
    has(v.t, x)
        && (v.umin..=v.umax).contains(&x)
        && (v.smin..=v.smax).contains(&(x as i64))
        && (v.u32min..=v.u32max).contains(&(x as u32))
        && (v.s32min..=v.s32max).contains(&(x as i32))
}

/// The best value that holds all of a set, as far as each part can say.
fn abstraction(set: &[u64], d: Domain) -> Value {
    let mut v = Value::known(set[0]);
    for &x in set {
        v.t = v.t.join(Tnum::constant(x));
        (v.umin, v.umax) = (v.umin.min(x), v.umax.max(x));
        (v.smin, v.smax) = (v.smin.min(x as i64), v.smax.max(x as i64));
        (v.u32min, v.u32max) = (v.u32min.min(x as u32), v.u32max.max(x as u32));
        (v.s32min, v.s32max) = (v.s32min.min(x as i32), v.s32max.max(x as i32));
    }
    v.sync(d);
    v
}

const OPS: [AluOp; 10] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::And,
    AluOp::Or,
    AluOp::Xor,
    AluOp::Neg,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
];

fn exact(op: AluOp, w: Width, x: u64, y: u64) -> u64 {
    if w == Width::W32 {
        let (x, y) = (x as u32, y as u32);
        return u64::from(match op {
            AluOp::Add => x.wrapping_add(y),
            AluOp::Sub => x.wrapping_sub(y),
            AluOp::Mul => x.wrapping_mul(y),
            AluOp::And => x & y,
            AluOp::Or => x | y,
            AluOp::Xor => x ^ y,
            AluOp::Neg => x.wrapping_neg(),
            AluOp::Lsh => x << (y & 31),
            AluOp::Rsh => x >> (y & 31),
            AluOp::Arsh => ((x as i32) >> (y & 31)) as u32,
            _ => unreachable!("not among the tested"),
        });
    }
    match op {
        AluOp::Add => x.wrapping_add(y),
        AluOp::Sub => x.wrapping_sub(y),
        AluOp::Mul => x.wrapping_mul(y),
        AluOp::And => x & y,
        AluOp::Or => x | y,
        AluOp::Xor => x ^ y,
        AluOp::Neg => x.wrapping_neg(),
        AluOp::Lsh => x << (y & 63),
        AluOp::Rsh => x >> (y & 63),
        AluOp::Arsh => ((x as i64) >> (y & 63)) as u64,
        _ => unreachable!("not among the tested"),
    }
}

/// The kernel tracks shifts by known distances, or by ranges that stay within the width.
fn tracked(op: AluOp, w: Width, ys: &[u64]) -> bool {
    match op {
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => ys.len() == 1 && ys[0] < w.bits(),
        _ => true,
    }
}

fn check_ops(xs: &[u64], ys: &[u64], d: Domain) {
    let (a, b) = (abstraction(xs, d), abstraction(ys, d));
    for &x in xs {
        assert!(holds(&a, x), "{x:#x} lost: {a:?}");
    }
    for w in [Width::W32, Width::W64] {
        for op in OPS {
            if !tracked(op, w, ys) {
                continue;
            }
            let mut r = a;
            arith::alu(op, w, Sign::Unsigned, &mut r, &b, d);
            for &x in xs {
                for &y in ys {
                    let z = exact(op, w, x, y);
                    assert!(
                        holds(&r, z),
                        "{op:?} {w:?} {d:?}: {x:#x}, {y:#x} give {z:#x}\n{a:?}\n{b:?}\n{r:?}"
                    );
                }
            }
        }
    }
}

const CMPS: [Cmp; 12] = [
    Cmp::Eq,
    Cmp::Ne,
    Cmp::Gt,
    Cmp::Ge,
    Cmp::Lt,
    Cmp::Le,
    Cmp::Sgt,
    Cmp::Sge,
    Cmp::Slt,
    Cmp::Sle,
    Cmp::Set,
    Cmp::Clear,
];

fn is_so(cmp: Cmp, w: Width, x: u64, y: u64) -> bool {
    let (x, y, s, t) = match w {
        Width::W32 => (x as u32 as u64, y as u32 as u64, x as i32 as i64, y as i32 as i64),
        Width::W64 => (x, y, x as i64, y as i64),
    };
    match cmp {
        Cmp::Eq => x == y,
        Cmp::Ne => x != y,
        Cmp::Gt => x > y,
        Cmp::Ge => x >= y,
        Cmp::Lt => x < y,
        Cmp::Le => x <= y,
        Cmp::Sgt => s > t,
        Cmp::Sge => s >= t,
        Cmp::Slt => s < t,
        Cmp::Sle => s <= t,
        Cmp::Set => x & y != 0,
        Cmp::Clear => x & y == 0,
    }
}

fn check_compare(xs: &[u64], ys: &[u64], release: Release, d: Domain) {
    let (a, b) = (abstraction(xs, d), abstraction(ys, d));
    let early = release < Release::new(6, 8);
    // Before 6.8 the right side of a comparison is a constant for its outcome to be known.
    let decides = !early || ys.len() == 1;
    for w in [Width::W32, Width::W64] {
        for cmp in CMPS {
            if early && cmp == Cmp::Clear {
                continue;
            }
            let taken = match (decides, early) {
                (false, _) => Taken::Either,
                (true, true) => super::super::jump_early::compare(&a, &b, cmp, w),
                (true, false) => jump::compare(&a, &b, cmp, w),
            };
            let (yes, no) = if early {
                let insn = Insn { code: 0x08, ..Insn::default() };
                super::super::jump_early::learn(&a, &b, cmp, w, insn, d)
            } else {
                (jump::refined(a, b, cmp, w, d), jump::refined(a, b, cmp.negated(), w, d))
            };
            for &x in xs {
                for &y in ys {
                    let so = is_so(cmp, w, x, y);
                    let allowed = if so { taken != Taken::Never } else { taken != Taken::Always };
                    assert!(allowed, "{cmp:?} {w:?} {x:#x} {y:#x} {taken:?}\n{a:?}\n{b:?}");
                    let (p, q) = if so { yes } else { no };
                    assert!(
                        holds(&p, x) && holds(&q, y),
                        "{release:?} {cmp:?} {w:?} {so} loses {x:#x}, {y:#x}\n{a:?}\n{b:?}\n{p:?}\n{q:?}"
                    );
                }
            }
        }
    }
}

const RELEASES: [Release; 4] =
    [Release::new(5, 10), Release::new(6, 1), Release::new(6, 12), Release::new(7, 2)];

/// All signed ranges within -3..=3, as sets.
fn small_sets() -> Vec<Vec<u64>> {
    (-3i64..=3).flat_map(|lo| (lo..=3).map(move |hi| (lo..=hi).map(|x| x as u64).collect())).collect()
}

#[test]
fn arithmetic_on_small_ranges_is_sound() {
    let sets = small_sets();
    for d in domains() {
        for xs in &sets {
            for ys in &sets {
                check_ops(xs, ys, d);
            }
        }
    }
}

#[test]
fn comparisons_of_small_ranges_are_sound() {
    let sets = small_sets();
    for (release, d) in RELEASES.into_iter().zip(domains()) {
        for xs in &sets {
            for ys in &sets {
                check_compare(xs, ys, release, d);
            }
        }
    }
}

/// Numbers where the halves and the signs meet, and any others.
fn interesting(r: &mut Random) -> u64 {
    const EDGES: [u64; 14] = [
        0,
        1,
        7,
        31,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        0x7fff_ffff_ffff_ffff,
        0x8000_0000_0000_0000,
        0xffff_ffff_0000_0000,
        0xffff_ffff_7fff_ffff,
        0xffff_ffff_8000_0000,
        u64::MAX,
    ];
    match r.below(4) {
        0 => r.next(),
        1 => r.next() >> r.below(64),
        2 => r.pick(&EDGES).wrapping_add(r.next() % 5).wrapping_sub(2),
        _ => r.pick(&EDGES),
    }
}

fn random_set(r: &mut Random) -> Vec<u64> {
    let first = interesting(r);
    let near = r.below(2) == 0;
    let n = r.below(4);
    let more = (0..n).map(|_| if near { first.wrapping_add(r.next() % 9) } else { interesting(r) });
    std::iter::once(first).chain(more.collect::<Vec<_>>()).collect()
}

#[test]
fn arithmetic_and_comparisons_at_full_width_are_sound() {
    let mut r = Random::new(1);
    for (release, d) in RELEASES.into_iter().zip(domains()) {
        for _ in 0..8_000 {
            let (xs, mut ys) = (random_set(&mut r), random_set(&mut r));
            if r.below(3) == 0 {
                ys = vec![r.next() % 64];
            }
            check_ops(&xs, &ys, d);
            check_compare(&xs, &ys, release, d);
        }
    }
}

#[test]
fn division_by_known_numbers_is_sound() {
    let mut r = Random::new(2);
    let d = domains()[3];
    for _ in 0..8_000 {
        let xs = random_set(&mut r);
        let a = abstraction(&xs, d);
        let y = interesting(&mut r);
        for (w, sign) in [
            (Width::W32, Sign::Unsigned),
            (Width::W64, Sign::Unsigned),
            (Width::W32, Sign::Signed),
            (Width::W64, Sign::Signed),
        ] {
            let zero = if w == Width::W32 { y as u32 == 0 } else { y == 0 };
            if zero {
                continue;
            }
            for op in [AluOp::Div, AluOp::Mod] {
                let mut v = a;
                arith::alu(op, w, sign, &mut v, &Value::known(y), d);
                for &x in &xs {
                    let div = op == AluOp::Div;
                    let z = match (w, sign) {
                        (Width::W64, Sign::Unsigned) if div => x / y,
                        (Width::W64, Sign::Unsigned) => x % y,
                        (Width::W64, Sign::Signed) if div => (x as i64).wrapping_div(y as i64) as u64,
                        (Width::W64, Sign::Signed) => (x as i64).wrapping_rem(y as i64) as u64,
                        (Width::W32, Sign::Unsigned) if div => (x as u32 / y as u32).into(),
                        (Width::W32, Sign::Unsigned) => (x as u32 % y as u32).into(),
                        (Width::W32, Sign::Signed) if div => {
                            ((x as i32).wrapping_div(y as i32) as u32).into()
                        }
                        (Width::W32, Sign::Signed) => ((x as i32).wrapping_rem(y as i32) as u32).into(),
                    };
                    assert!(holds(&v, z), "{op:?} {w:?} {sign:?}: {x:#x}, {y:#x} give {z:#x}\n{a:?}\n{v:?}");
                }
            }
        }
    }
}

#[test]
fn extension_truncation_and_byte_order_are_sound() {
    let mut r = Random::new(3);
    for d in domains() {
        for _ in 0..8_000 {
            let xs = random_set(&mut r);
            let a = abstraction(&xs, d);
            let check = |name: &str, v: Value, f: &dyn Fn(u64) -> u64| {
                for &x in &xs {
                    assert!(holds(&v, f(x)), "{name}: {x:#x} gives {:#x}\n{a:?}\n{v:?}", f(x));
                }
            };
            for size in [1u32, 2, 4] {
                let shift = 64 - 8 * size;
                let mut v = a;
                v.truncate(size, d);
                check("truncate", v, &|x| x << shift >> shift);
                let mut v = a;
                v.sign_extend(size);
                v.sync(d);
                check("sign extend", v, &|x| ((x << shift) as i64 >> shift) as u64);
            }
            for bits in [16u32, 32, 64] {
                let mut v = a;
                arith::byte_swap(&mut v, bits, ByteOrder::Reverse, d);
                check("swap", v, &|x| x.swap_bytes() >> (64 - bits));
            }
            let mut v = a;
            v.zero_extend();
            v.sync(d);
            check("zero extend", v, &|x| x & 0xffff_ffff);
        }
    }
}
