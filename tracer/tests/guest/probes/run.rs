//! Runs, built by hand.

use std::{fs, num::NonZeroU32};

use tracer::{
    host::HostFacts,
    plan::probe::{Aggregation, Ends, Measure, Mode, Place, Point, ProbeRun, ShowAs, Stacks, ValueSpec, Who},
    session::{
        Precheck,
        probe::{self, Attached},
    },
    verifier::btf::Kind,
};
use tracer_common::probe::{Fetch, Filter, Test, compare, fetch, operand, read, source};

/// What this kernel is, once per test.
pub(crate) struct Host {
    pub(crate) facts: HostFacts,
    symbols: String,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { facts: HostFacts::read().unwrap(), symbols: fs::read_to_string("/proc/kallsyms").unwrap() }
    }

    pub(crate) fn has_multi(&self) -> bool {
        self.address("register_fprobe").is_some()
    }

    pub(crate) fn address(&self, symbol: &str) -> Option<u64> {
        self.symbols.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (address, _, name) = (words.next()?, words.next()?, words.next()?);
            (name == symbol).then(|| u64::from_str_radix(address, 16).unwrap())
        })
    }

    /// Every symbol, and where it is.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = (&str, u64)> {
        self.symbols.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (address, _, name) = (words.next()?, words.next()?, words.next()?);
            Some((name, u64::from_str_radix(address, 16).ok()?))
        })
    }

    /// The function that this address is in.
    pub(crate) fn symbol(&self, address: u64) -> String {
        let all = self.symbols.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (at, kind, name) = (words.next()?, words.next()?, words.next()?);
            let at = u64::from_str_radix(at, 16).ok()?;
            (matches!(kind, "t" | "T") && at <= address).then_some((at, name))
        });
        all.max_by_key(|(at, _)| *at).map_or_else(String::new, |(_, name)| name.to_owned())
    }

    pub(crate) fn kprobe(&self, symbol: &str) -> Place {
        Place::Kprobe {
            symbol: symbol.to_owned(),
            offset: 0,
            module: None,
            addresses: vec![self.address(symbol).unwrap_or_else(|| panic!("no {symbol}"))],
            multi: false,
            single: true,
        }
    }

    pub(crate) fn multi(&self, symbol: &str) -> Place {
        match self.kprobe(symbol) {
            Place::Kprobe { symbol, offset, module, addresses, .. } => {
                Place::Kprobe { symbol, offset, module, addresses, multi: true, single: false }
            }
            other => other,
        }
    }

    pub(crate) fn trampoline(&self, function: &str, arguments: u8) -> Place {
        let btf = self.facts.btf.as_ref().unwrap();
        let id = btf.find(Kind::Func, function).unwrap_or_else(|| panic!("no {function}"));
        Place::Trampoline { function: function.to_owned(), module: None, btf_id: id.0, arguments }
    }

    pub(crate) fn raw(&self, name: &str, arguments: u8) -> Place {
        let btf = self.facts.btf.as_ref().unwrap();
        let id = btf.find(Kind::Typedef, &format!("btf_trace_{name}")).unwrap();
        Place::RawTracepoint { name: name.to_owned(), btf_id: id.0, arguments }
    }

    /// Where a member lies.
    pub(crate) fn offset(&self, structure: &str, path: &str) -> u32 {
        let found = self.facts.btf.as_ref().unwrap().field_batch(&[(structure, path)]);
        found[0].as_ref().unwrap_or_else(|| panic!("no {structure}.{path}")).offset_bytes
    }

    /// Every way to reach the function on this kernel.
    pub(crate) fn ways(&self, function: &str, arguments: u8) -> Vec<(&'static str, Place)> {
        let mut ways =
            vec![("kprobe", self.kprobe(function)), ("fentry", self.trampoline(function, arguments))];
        if self.has_multi() {
            ways.push(("multi", self.multi(function)));
        }
        ways
    }

    /// Judges and starts a run: the model and the kernel accept every program.
    pub(crate) fn start(&self, run: &ProbeRun) -> Attached {
        let attached = self.start_with(run, Precheck::Enforce);
        assert!(!attached.judged().is_empty());
        assert!(attached.judged().iter().all(|judged| judged.accepted() == Some(true)));
        attached
    }

    /// Starts a run, of which every point is attached.
    pub(crate) fn start_with(&self, run: &ProbeRun, precheck: Precheck) -> Attached {
        let attached = probe::start(run, &self.facts, precheck, &[std::process::id()])
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(attached.failed(), []);
        assert_eq!(attached.points(), run.points.len());
        attached
    }
}

/// A run of these points, for this process alone.
pub(crate) fn run(points: Vec<Point>) -> ProbeRun {
    ProbeRun {
        points,
        mode: Mode::Stream,
        who: Who { pids: vec![std::process::id()], ..Who::default() },
        sample: NonZeroU32::MIN,
        rate: None,
        stacks: Stacks::default(),
        buffer: 1 << 20,
        strict: true,
    }
}

pub(crate) fn point(place: Place, ends: Ends, fetches: &[Fetch]) -> Point {
    let value = |fetch: &Fetch| ValueSpec {
        name: "value".to_owned(),
        fetch: *fetch,
        show: ShowAs::Unsigned,
        c_type: "long".to_owned(),
    };
    Point {
        name: format!("{}:a point", place.kind()),
        place,
        ends,
        values: fetches.iter().map(value).collect(),
        filter: Filter::default(),
        filter_at_entry: false,
        keys: Vec::new(),
        measure: None,
    }
}

pub(crate) fn argument(index: u8) -> Fetch {
    Fetch { source: source::ARGUMENT, index, size: 8, ..Fetch::default() }
}

/// The text that an argument points to, in user memory.
pub(crate) fn user_text(index: u8, limit: u16) -> Fetch {
    Fetch { read: read::TEXT, limit, user_steps: 1, ..argument(index) }
}

pub(crate) fn result() -> Fetch {
    Fetch { source: source::RESULT, size: 8, flags: fetch::AT_RETURN | fetch::SIGNED, ..Fetch::default() }
}

pub(crate) fn aggregate(run: &mut ProbeRun, measure: Measure, of: Option<u8>, keys: &[u8]) {
    run.mode = Mode::Aggregate(Aggregation {
        keys: keys.iter().map(u8::to_string).collect(),
        measure,
        max_keys: 1024,
    });
    for point in &mut run.points {
        point.keys = keys.to_vec();
        point.measure = of;
    }
}

/// A filter of one test against a number.
pub(crate) fn test(left: u8, compare: u8, constant: i64) -> Filter {
    let mut filter = Filter { len: 1, ..Filter::default() };
    filter.tests[0] = Test {
        left,
        compare,
        right: operand::CONSTANT,
        then: tracer_common::probe::PASS,
        otherwise: tracer_common::probe::FAIL,
        mask: u64::MAX,
        constant: constant as u64,
        ..Test::default()
    };
    filter
}

/// A filter of one test against a text.
pub(crate) fn text_test(left: u8, how: u8, text: &[u8]) -> Filter {
    assert!((compare::TEXT_EQ..=compare::TEXT_PREFIX).contains(&how));
    let mut filter = test(left, how, 0);
    filter.tests[0].right = 0;
    filter.texts[0].len = text.len() as u32;
    filter.texts[0].bytes[..text.len()].copy_from_slice(text);
    filter
}

/// Where tracefs is; mounts it if it is not.
pub(crate) fn tracefs() -> &'static str {
    const AT: &str = "/sys/kernel/tracing";
    if !std::path::Path::new("/sys/kernel/tracing/events").exists() {
        // SAFETY: C strings.
        let err = unsafe {
            libc::mount(
                c"tracefs".as_ptr(),
                c"/sys/kernel/tracing".as_ptr(),
                c"tracefs".as_ptr(),
                0,
                std::ptr::null(),
            )
        };
        assert_eq!(err, 0, "tracefs: {}", std::io::Error::last_os_error());
    }
    AT
}

/// A tracepoint, and where its fields lie.
pub(crate) fn tracepoint(category: &str, name: &str) -> (Place, impl Fn(&str) -> u32) {
    let folder = format!("{}/events/{category}/{name}", tracefs());
    let id = fs::read_to_string(format!("{folder}/id")).unwrap().trim().parse().unwrap();
    let format = fs::read_to_string(format!("{folder}/format")).unwrap();
    let place = Place::Tracepoint { category: category.to_owned(), name: name.to_owned(), id };
    let offset = move |field: &str| {
        let line = format.lines().find(|line| {
            let named = line.split(';').next().unwrap_or_default();
            let mut word =
                named.split([' ', '\t', '[']).filter(|word| !word.is_empty() && !word.ends_with(']'));
            word.next_back() == Some(field)
        });
        let line = line.unwrap_or_else(|| panic!("no {field} in {format}"));
        let at = line.split("offset:").nth(1).unwrap().split(';').next().unwrap();
        at.parse().unwrap()
    };
    (place, offset)
}

/// A file that takes what is written to it.
pub(crate) fn sink() -> i32 {
    // SAFETY: a C string.
    let fd = unsafe { libc::memfd_create(c"sink".as_ptr(), 0) };
    crate::sys::good("memfd_create", fd)
}

/// write(2); its result, or the negative errno.
pub(crate) fn write(fd: i32, at: *const u8, len: usize) -> i64 {
    // SAFETY: the kernel checks the address.
    let n = unsafe { libc::syscall(libc::SYS_write, fd, at, len) };
    if n < 0 { -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap()) } else { n }
}
