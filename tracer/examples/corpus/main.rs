//! Runs the model over a recorded corpus and compares its verdicts with the kernels'.
//!
//! `corpus DIR [--kernel K]... [--only SUBSTRING] [--list] [--verbose] [--mutate N] [--objects]`
//!
//! With --objects the programs are made from the object files, by `object` and `check`, not from the recorded inputs.
//! With --mutate each program is verified N times with random damage instead: nothing may panic or take long.
//!
//! DIR holds, for each kernel K, decompressed: `inputs-K.jsonl` (what reached bpf()), `truth-K.jsonl` (what the kernel
//! said), `btf-K` (its BTF), and `obj/` (the objects, for their BTF and read-only data).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tracer::verifier::btf::{Btf, TypeId};
use tracer::verifier::{
    AttachType, Config, FuncInfo, Insn, Map, MapType, Profile, ProgType, Program, Release, Report, Verdict,
    verify,
};

mod json;
mod objects;
use json::Json;
use objects::Objects;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut dir = None;
    let (mut kernels, mut only, mut list, mut verbose, mut mutate) = (Vec::new(), None, false, false, 0);
    let mut made = Made::Recorded;
    let mut it = args.into_iter();
    while let Some(a) = it.next() {
        match a.as_str() {
            "--kernel" => kernels.extend(it.next()),
            "--only" => only = it.next(),
            "--list" => list = true,
            "--objects" => made = Made::FromObjects,
            "--mutate" => mutate = it.next().and_then(|n| n.parse().ok()).unwrap_or(1),
            "--verbose" => verbose = true,
            _ => dir = Some(a),
        }
    }
    let Some(dir) = dir else {
        eprintln!("usage: corpus DIR [--kernel K]... [--only SUBSTRING] [--list] [--verbose] [--objects]");
        std::process::exit(2);
    };
    if kernels.is_empty() {
        kernels = ["5.10", "6.1", "6.12", "7.2"].map(str::to_owned).to_vec();
    }
    let mut objects: BTreeMap<String, Object> = BTreeMap::new();
    for k in kernels {
        run(Path::new(&dir), &k, &mut objects, only.as_deref(), list, verbose, mutate, made);
    }
}

/// Where the programs come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Recorded,
    FromObjects,
}

#[derive(Default)]
struct Tally {
    matrix: BTreeMap<(&'static str, &'static str), u32>,
    reasons: BTreeMap<String, Vec<String>>,
    insn_same: u32,
    insn_known: u32,
    processed: u64,
    counts_same: u32,
    counts_all: u32,
    micros: u128,
    kernel_micros: u64,
}

#[expect(clippy::too_many_arguments, reason = "the command line's words, one by one")]
fn run(
    dir: &Path,
    kernel: &str,
    objects: &mut BTreeMap<String, Object>,
    only: Option<&str>,
    list: bool,
    verbose: bool,
    mutate: u32,
    made: Made,
) {
    let read = |name: String| std::fs::read(dir.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let btf = Arc::new(Btf::parse(read(format!("btf-{kernel}"))).expect("kernel BTF"));
    let release = Release::parse(kernel).expect("a version");
    // What Debian's kernels were built with.
    let config = Config { error_injection: Some(false), nr_cpus: 2 };
    let profile = Profile::new(release, Some(btf.clone()), config);
    let mut from_objects = Objects::new(dir);
    let lines = |name: String| -> Vec<Json> {
        String::from_utf8_lossy(&read(name)).lines().map(|l| Json::parse(l).expect("json")).collect()
    };
    let inputs = lines(format!("inputs-{kernel}.jsonl"));
    let mut truth: BTreeMap<(String, String, String), Json> = BTreeMap::new();
    for t in lines(format!("truth-{kernel}.jsonl")) {
        truth.insert((t.str("obj").into(), t.str("sec").into(), t.str("prog").into()), t);
    }
    let mut tally = Tally::default();
    for input in &inputs {
        let key = (input.str("obj").to_owned(), input.str("sec").to_owned(), input.str("prog").to_owned());
        let name = format!("{}:{}", key.0.trim_end_matches(".bpf.o"), key.2);
        if only.is_some_and(|o| !name.contains(o)) {
            continue;
        }
        let Some(t) = truth.get(&key) else { continue };
        let object =
            objects.entry(key.0.clone()).or_insert_with(|| Object::read(&dir.join("obj").join(&key.0)));
        let program = match made {
            Made::Recorded => program_of(input, object),
            Made::FromObjects => {
                let flags = input.num("prog_flags").unwrap_or(0) as u32;
                match from_objects.program(&key.0, &key.2, flags, &btf, release) {
                    Ok(program) => program,
                    Err(error) => {
                        println!("NOT PREPARED {name}: {error}");
                        continue;
                    }
                }
            }
        };
        if mutate > 0 {
            damage(&name, &program, &profile, mutate);
            continue;
        }
        let start = Instant::now();
        let report = verify(&program, &profile);
        let took = start.elapsed().as_micros();
        tally.micros += took;
        if took > 2_000_000 {
            println!("SLOW {name} {} ms, {} insns", took / 1000, report.stats.insns_processed);
        }
        tally.kernel_micros += t.num("verif_us").unwrap_or(0) as u64;
        tally.processed += report.stats.insns_processed as u64;
        compare(&mut tally, &name, t, &report, verbose);
    }
    if mutate == 0 {
        print(kernel, &tally, list);
    }
}

/// Verifies the program with random damage, and says if that panics or takes long.
fn damage(name: &str, program: &Program, profile: &Profile, times: u32) {
    let mut seed =
        name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ b as u64).wrapping_mul(0x100_0000_01b3));
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..times {
        let mut p = program.clone();
        for _ in 0..1 + random() % 3 {
            let len = p.insns.len();
            let i = random() as usize % len;
            let other = p.insns[random() as usize % len];
            let n = random();
            let edge = [0, 1, -1, 8, -8, 512, -512, i32::MAX, i32::MIN, 64, 255][n as usize % 11];
            let insn = &mut p.insns[i];
            match (n >> 32) % 8 {
                0 => insn.code = (n >> 8) as u8,
                1 => insn.dst = (n >> 8) as u8 % 11,
                2 => insn.src = (n >> 8) as u8 % 11,
                3 => insn.off = edge as i16,
                4 => insn.imm = edge,
                5 => insn.imm = (n >> 8) as i32 % 220,
                6 => insn.off = (n >> 8) as i16 % 32,
                _ => *insn = other,
            }
        }
        let start = Instant::now();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| verify(&p, profile)));
        if done.is_err() {
            println!("PANIC {name} round {round}");
        }
        if start.elapsed().as_secs() > 5 {
            println!("SLOW {name} round {round}: {:?}", start.elapsed());
        }
    }
}

fn compare(tally: &mut Tally, name: &str, truth: &Json, report: &Report, verbose: bool) {
    let real = if truth.str("verdict") == "accepted" { "accept" } else { "reject" };
    let said = match &report.verdict {
        Verdict::Accept => "accept",
        Verdict::Reject(_) => "reject",
        Verdict::Unmodelled(_) => "unmodelled",
    };
    *tally.matrix.entry((said, real)).or_default() += 1;
    let msg = truth.str("msg");
    match &report.verdict {
        Verdict::Unmodelled(u) => {
            tally
                .reasons
                .entry(format!("unmodelled {} ({real})", u.feature))
                .or_default()
                .push(name.to_owned());
        }
        Verdict::Accept if real == "reject" => {
            let reason = format!("FALSE ACCEPT: {}", generic(msg));
            tally.reasons.entry(reason).or_default().push(format!("{name} @{:?}", truth.num("insn")));
        }
        Verdict::Reject(r) if real == "accept" => {
            let reason = format!("FALSE REJECT: {}", generic(&r.violation.message));
            tally
                .reasons
                .entry(reason)
                .or_default()
                .push(format!("{name} @{:?} {}", r.insn, r.violation.message));
        }
        Verdict::Reject(r) => {
            if let Some(i) = truth.num("insn") {
                tally.insn_known += 1;
                if r.insn.map(|x| x as i64) == Some(i) {
                    tally.insn_same += 1;
                } else {
                    let reason = format!("WRONG INSN: {} <> {}", generic(&r.violation.message), generic(msg));
                    tally.reasons.entry(reason).or_default().push(format!("{name} {:?} not {i}", r.insn));
                }
            }
        }
        Verdict::Accept => {
            tally.counts_all += 1;
            if truth.num("insns_processed") == Some(report.stats.insns_processed as i64) {
                tally.counts_same += 1;
            }
        }
    }
    if verbose {
        println!("{name}: {:?}\n   truth {real} insn {:?} {msg}", report, truth.num("insn"));
    }
}

/// A message with its numbers blanked.
fn generic(msg: &str) -> String {
    let mut out = String::new();
    let mut digits = false;
    for c in msg.chars() {
        if c.is_ascii_digit() {
            if !digits {
                out.push('N');
            }
            digits = true;
        } else {
            digits = false;
            out.push(c);
        }
    }
    out
}

fn print(kernel: &str, t: &Tally, list: bool) {
    let get = |a, b| t.matrix.get(&(a, b)).copied().unwrap_or(0);
    let all: u32 = t.matrix.values().sum();
    println!("== {kernel}: {all} programs");
    println!("   model \\ kernel   accept  reject");
    for m in ["accept", "reject", "unmodelled"] {
        println!("   {m:<15} {:>7} {:>7}", get(m, "accept"), get(m, "reject"));
    }
    let agree = get("accept", "accept") + get("reject", "reject");
    let pct = |n: u32, of: u32| 100.0 * n as f64 / of.max(1) as f64;
    println!(
        "   agree {:.2} %, false accepts {:.2} %, false rejects {:.2} %, same insn {:.1} % of {}, same count {:.1} % of {}",
        pct(agree, all),
        pct(get("accept", "reject"), all),
        pct(get("reject", "accept"), all),
        pct(t.insn_same, t.insn_known),
        t.insn_known,
        pct(t.counts_same, t.counts_all),
        t.counts_all
    );
    println!(
        "   {} ms for {} insns ({:.1} M/s); kernel (emulated) {} ms",
        t.micros / 1000,
        t.processed,
        t.processed as f64 / t.micros.max(1) as f64,
        t.kernel_micros / 1000
    );
    let mut reasons: Vec<_> = t.reasons.iter().collect();
    reasons.sort_by_key(|(r, v)| (std::cmp::Reverse(v.len()), (*r).clone()));
    for (r, v) in reasons {
        println!("   {:>4} {r}", v.len());
        if list {
            for n in v.iter().take(6) {
                println!("          {n}");
            }
        }
    }
}

fn program_of(input: &Json, object: &Object) -> Program {
    let n = |k: &str| input.num(k).unwrap_or(0);
    let insns = Insn::decode_all(&base64(input.str("insns"))).expect("whole slots");
    let maps = input
        .arr("maps")
        .iter()
        .filter(|m| m.num("ok").unwrap_or(1) != 0)
        .map(|m| {
            let g = |k: &str| m.num(k).unwrap_or(0);
            let kind = MapType(g("type") as u32);
            let inner = matches!(kind, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS).then(|| {
                // The recording does not say what the inner maps are; the selftests' are arrays of one element.
                Box::new(Map {
                    handle: -1,
                    name: "inner".into(),
                    kind: MapType::ARRAY,
                    key_size: 4,
                    value_size: 48,
                    max_entries: 1,
                    flags: 0,
                    extra: 0,
                    btf_value: None,
                    inner: None,
                    frozen: None,
                })
            });
            let value = g("btf_value") as u32;
            Map {
                handle: g("fd") as i32,
                name: m.str("name").to_owned(),
                kind,
                key_size: g("key") as u32,
                value_size: g("value") as u32,
                max_entries: g("max") as u32,
                flags: g("flags") as u32,
                extra: g("extra") as u64,
                btf_value: (value != 0).then_some(TypeId(value)),
                inner,
                frozen: object.frozen(m.str("name"), g("value") as u32),
            }
        })
        .collect();
    let funcs = input
        .arr("func_info")
        .iter()
        .filter_map(|p| {
            let p = p.as_arr()?;
            Some(FuncInfo { start: p.first()?.as_num()? as u32, type_id: TypeId(p.get(1)?.as_num()? as u32) })
        })
        .collect();
    Program {
        insns,
        kind: ProgType(n("prog_type") as u32),
        attach: AttachType(n("attach_type") as u32),
        attach_btf_id: TypeId(n("attach_btf_id") as u32),
        flags: n("prog_flags") as u32,
        gpl: true,
        maps,
        funcs,
        btf: object.btf.clone(),
    }
}

/// What is needed of an object file: its BTF, and its sections of read-only data by name.
#[derive(Default)]
struct Object {
    btf: Option<Arc<Btf>>,
    rodata: BTreeMap<String, Arc<[u8]>>,
}

impl Object {
    fn read(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|d| Self::parse(&d)).unwrap_or_default()
    }

    fn parse(d: &[u8]) -> Option<Self> {
        let mut out = Self::default();
        let u16_at = |o: usize| Some(u16::from_le_bytes(d.get(o..o + 2)?.try_into().ok()?) as usize);
        let u32_at = |o: usize| Some(u32::from_le_bytes(d.get(o..o + 4)?.try_into().ok()?) as usize);
        let u64_at = |o: usize| Some(u64::from_le_bytes(d.get(o..o + 8)?.try_into().ok()?) as usize);
        let (shoff, size, num, strndx) = (u64_at(0x28)?, u16_at(0x3a)?, u16_at(0x3c)?, u16_at(0x3e)?);
        let section = |i: usize| {
            let at = shoff + i * size;
            Some((u32_at(at)?, u64_at(at + 0x18)?, u64_at(at + 0x20)?))
        };
        let (_, names, _) = section(strndx)?;
        for i in 0..num {
            let (name, off, len) = section(i)?;
            let name = d.get(names + name..)?.split(|b| *b == 0).next()?;
            if name == b".BTF" {
                out.btf = Btf::parse(d.get(off..off + len)?.to_vec()).ok().map(Arc::new);
            } else if name.starts_with(b".rodata") {
                out.rodata.insert(String::from_utf8_lossy(name).into_owned(), d.get(off..off + len)?.into());
            }
        }
        Some(out)
    }

    /// What the map of a section holds; its recorded name is cut to 15 characters and may begin with the object's.
    fn frozen(&self, map: &str, size: u32) -> Option<Arc<[u8]>> {
        let section = &map[map.find(".rodata")?..];
        let mut fits = self.rodata.iter().filter(|(n, d)| n.starts_with(section) && d.len() == size as usize);
        fits.next().map(|(_, d)| d.clone())
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut v = 0u32;
        for c in chunk {
            v = v << 6 | value(*c) as u32;
        }
        v <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&v.to_be_bytes()[1..chunk.len()]);
    }
    out
}
