//! From loaded programs to links: many functions at once where the kernel can, one by one otherwise.
//!
//! *Invariant:* a point is either attached, at every moment that it wants, or listed with the reason. Of one that is
//! listed nothing stays attached, but for what it shares with others: a return among many, of which nothing comes
//! since no entry is seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{CStr, CString},
    fmt::Display,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::{
    object::KernelVersion,
    plan::probe::{Place, ProbeRun},
};

use super::{
    super::{
        LoadError,
        bpf::{self, Functions},
        fdinfo::FdInfo,
        kprobe::{self, At, Kprobes, Spot},
    },
    Failed,
    fit::Fitted,
    load::Loader,
    programs::{Class, Kind, Moment, single},
};

/// What holds attachments: closing a descriptor ends them.
#[derive(Default)]
pub(super) struct Links {
    /// By point.
    of_point: BTreeMap<u32, Vec<OwnedFd>>,
    /// Of many points, or of none.
    shared: Vec<OwnedFd>,
}

impl Links {
    /// Hits that the kernel did not run a program for, as far as links say so.
    pub(super) fn missed(&self) -> u64 {
        let links = self.shared.iter().chain(self.of_point.values().flatten());
        links.map(|link| bpf::missed(link.as_fd())).sum()
    }

    pub(super) fn clear(&mut self) {
        self.of_point.clear();
        self.shared.clear();
    }
}

/// Everything that was attached, and what could not be.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) links: Links,
    pub(super) programs: Vec<OwnedFd>,
    pub(super) misses: Vec<FdInfo>,
    failed: BTreeMap<u32, String>,
}

impl Outcome {
    pub(super) fn failed(&self) -> Vec<Failed> {
        self.failed.iter().map(|(point, reason)| Failed { point: *point, reason: reason.clone() }).collect()
    }

    pub(super) fn fail(&mut self, point: u32, reason: impl Display) {
        self.links.of_point.remove(&point);
        self.failed.entry(point).or_insert_with(|| reason.to_string());
    }
}

/// Loads and attaches the programs of a run.
pub(super) struct Attaching<'a> {
    pub(super) run: &'a ProbeRun,
    pub(super) loader: &'a Loader,
    pub(super) kernel: KernelVersion,
    pub(super) kprobes: Option<Kprobes>,
    pub(super) outcome: Outcome,
    /// Programs for kprobes of their own, for what kprobe.multi does not take.
    pub(super) singles: &'a [Fitted],
    /// Told how many points have been attached one by one so far.
    pub(super) progress: &'a mut dyn FnMut(usize),
}

impl Attaching<'_> {
    /// One class of programs, to all points that it serves.
    pub(super) fn attach(&mut self, fitted: &Fitted) -> Result<(), LoadError> {
        match fitted.class.kind {
            Kind::Named(tracepoint) => self.named(fitted, tracepoint),
            Kind::Multi(moment) => self.multi(fitted, moment),
            Kind::Single(_) | Kind::Tracepoint | Kind::Trampoline(_) | Kind::RawTracepoint => {
                self.one_by_one(fitted, &fitted.serves.points)
            }
        }
    }

    /// A raw tracepoint, by name.
    fn named(&mut self, fitted: &Fitted, tracepoint: &str) -> Result<(), LoadError> {
        let program = self.load(fitted, None)?;
        let name = CString::new(tracepoint).unwrap_or_default();
        let link = bpf::raw_tracepoint_open(Some(&name), program.as_fd());
        let link = link.map_err(|error| LoadError::Attach { program: fitted.class.program, error })?;
        self.outcome.links.shared.push(link);
        self.keep(program)
    }

    /// Loads a class' program: for one point, or for all.
    fn load(&self, fitted: &Fitted, point: Option<u32>) -> Result<OwnedFd, LoadError> {
        let place = point.and_then(|point| self.run.points.get(point as usize)).map(|point| &point.place);
        let here = fitted.class.here(point);
        match place {
            Some(Place::Trampoline { btf_id, module, .. }) => {
                let module = module.as_deref().map(module_btf).transpose()?;
                self.loader.load(fitted, &here, Some((*btf_id, module.as_ref().map(AsFd::as_fd))))
            }
            Some(Place::RawTracepoint { btf_id, .. }) => {
                self.loader.load(fitted, &here, Some((*btf_id, None)))
            }
            _ => self.loader.load(fitted, &here, None),
        }
    }

    fn keep(&mut self, program: OwnedFd) -> Result<(), LoadError> {
        self.outcome.misses.push(FdInfo::of(program.as_fd()).map_err(LoadError::Misses)?);
        self.outcome.programs.push(program);
        Ok(())
    }

    fn one_by_one(&mut self, fitted: &Fitted, points: &[u32]) -> Result<(), LoadError> {
        if points.is_empty() {
            return Ok(());
        }
        let shared = if fitted.class.is_shared(self.kernel) { Some(self.load(fitted, None)?) } else { None };
        for (done, &point) in points.iter().enumerate() {
            (self.progress)(done);
            // Its other moment has failed already.
            if self.outcome.failed.contains_key(&point) {
                continue;
            }
            let result = match &shared {
                Some(program) => self.place(&fitted.class, point, program.as_fd(), Some(point.into())),
                None => match self.load(fitted, Some(point)) {
                    Ok(program) => {
                        let placed = self.place(&fitted.class, point, program.as_fd(), None);
                        if placed.is_ok() {
                            self.keep(program)?;
                        }
                        placed
                    }
                    // A program of ours that the kernel refuses is no fault of the point's.
                    Err(error @ LoadError::Disagreement { .. }) => return Err(error),
                    Err(error) => {
                        self.outcome.fail(point, error);
                        self.stop_if_strict()?;
                        continue;
                    }
                },
            };
            match result {
                Ok(links) => self.outcome.links.of_point.entry(point).or_default().extend(links),
                Err(error) => {
                    self.outcome.fail(point, LoadError::Attach { program: fitted.class.program, error });
                    self.stop_if_strict()?;
                }
            }
        }
        if let Some(program) = shared {
            self.keep(program)?;
        }
        Ok(())
    }

    /// A system call is one point: the first that names it.
    pub(super) fn refuse_twins(&mut self) -> Result<(), LoadError> {
        let mut seen = BTreeSet::new();
        for (number, point) in self.run.points.iter().enumerate() {
            if let Place::Syscall { number: call, .. } = &point.place
                && !seen.insert(*call)
            {
                let reason = "another point of this run is the same system call: leave one of them out";
                self.outcome.fail(number as u32, reason);
                self.stop_if_strict()?;
            }
        }
        Ok(())
    }

    fn stop_if_strict(&self) -> Result<(), LoadError> {
        match self.outcome.failed.first_key_value() {
            Some((point, reason)) if self.run.strict => Err(LoadError::Point {
                point: self.run.points.get(*point as usize).map_or_else(String::new, ToString::to_string),
                reason: reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Attaches a program to one point.
    fn place(
        &mut self,
        class: &Class,
        point: u32,
        program: BorrowedFd<'_>,
        cookie: Option<u64>,
    ) -> io::Result<Vec<OwnedFd>> {
        let Some(point) = self.run.points.get(point as usize) else { return Ok(Vec::new()) };
        match (&point.place, class.kind) {
            (Place::Kprobe { symbol, offset, module, addresses, single, .. }, Kind::Single(moment)) => {
                if !single {
                    return Err(io::Error::other("the kernel does not let a kprobe be placed there"));
                }
                let kprobes = match &self.kprobes {
                    Some(kprobes) => kprobes,
                    None => self.kprobes.insert(Kprobes::of_this_kernel()?),
                };
                let name = match module {
                    Some(module) => format!("{module}:{symbol}"),
                    None => symbol.clone(),
                };
                let name = CString::new(name)?;
                let spots: Vec<Spot<'_>> = match addresses.as_slice() {
                    [] => vec![Spot::Named(&name, *offset)],
                    all => all.iter().map(|address| Spot::At(address + offset)).collect(),
                };
                let mut links = Vec::new();
                for spot in spots {
                    links.extend(on_event(kprobes.open(spot, moment.into())?, program, cookie)?);
                }
                Ok(links)
            }
            (Place::Tracepoint { id, .. }, _) => on_event(kprobe::open_tracepoint(*id)?, program, cookie),
            _ => Ok(vec![bpf::raw_tracepoint_open(None, program)?]),
        }
    }

    /// All points at once; those that the kernel does not take that way, by a kprobe of their own.
    fn multi(&mut self, fitted: &Fitted, moment: Moment) -> Result<(), LoadError> {
        let program = self.load(fitted, None)?;
        let mut rest: Vec<(Function, u32)> = Vec::new();
        for &number in &fitted.serves.points {
            if self.outcome.failed.contains_key(&number) {
                continue;
            }
            let Some(point) = self.run.points.get(number as usize) else { continue };
            if let Place::Kprobe { symbol, addresses, .. } = &point.place {
                match addresses.as_slice() {
                    [] => {
                        rest.push((
                            Function::Named(CString::new(symbol.as_str()).unwrap_or_default()),
                            number,
                        ));
                    }
                    all => rest.extend(all.iter().map(|address| (Function::At(*address), number))),
                }
            }
        }
        let mut refused: BTreeMap<u32, io::Error> = BTreeMap::new();
        // A link takes a function once: what is wanted twice is in another one.
        while !rest.is_empty() {
            let mut seen = BTreeSet::new();
            let (now, later): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(spot, _)| seen.insert(spot.clone()));
            let (named, at): (Vec<_>, Vec<_>) =
                now.into_iter().partition(|(spot, _)| matches!(spot, Function::Named(_)));
            for group in [named, at] {
                self.outcome.links.shared.extend(many(program.as_fd(), &group, moment.into(), &mut refused));
            }
            rest = later;
        }
        self.keep(program)?;
        let mut again = Vec::new();
        for (point, error) in refused {
            let single_too = self.run.points.get(point as usize).is_some_and(
                |point| matches!(&point.place, Place::Kprobe { single, addresses, .. } if *single && addresses.len() <= 1),
            );
            if single_too {
                again.push(point);
            } else {
                self.outcome.fail(point, LoadError::Attach { program: fitted.class.program, error });
                self.stop_if_strict()?;
            }
        }
        let class = single(moment);
        match self.singles.iter().find(|fitted| fitted.class == class) {
            Some(single) => self.one_by_one(single, &again),
            None => Ok(()),
        }
    }
}

/// A function for kprobe.multi.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Function {
    Named(CString),
    At(u64),
}

/// Attaches to all of these in as few links as it takes: if the kernel refuses some, halves find out which.
fn many(
    program: BorrowedFd<'_>,
    spots: &[(Function, u32)],
    at: At,
    refused: &mut BTreeMap<u32, io::Error>,
) -> Vec<OwnedFd> {
    if spots.is_empty() {
        return Vec::new();
    }
    let cookies: Vec<u64> = spots.iter().map(|(_, point)| u64::from(*point)).collect();
    let names: Vec<&CStr> = spots
        .iter()
        .filter_map(|(spot, _)| match spot {
            Function::Named(name) => Some(name.as_c_str()),
            Function::At(_) => None,
        })
        .collect();
    let addresses: Vec<u64> = spots
        .iter()
        .filter_map(|(spot, _)| match spot {
            Function::At(address) => Some(*address),
            Function::Named(_) => None,
        })
        .collect();
    let functions = if names.is_empty() { Functions::At(&addresses) } else { Functions::Named(&names) };
    match bpf::kprobe_multi(program, functions, &cookies, at) {
        Ok(link) => vec![link],
        Err(error) => {
            if let [(_, point)] = spots {
                refused.entry(*point).or_insert(error);
                return Vec::new();
            }
            let (left, right) = spots.split_at(spots.len() / 2);
            let mut links = many(program, left, at, refused);
            links.extend(many(program, right, at, refused));
            links
        }
    }
}

/// Runs a program on an event: through a link with a cookie, or, before there were such, as the event's own.
fn on_event(event: OwnedFd, program: BorrowedFd<'_>, cookie: Option<u64>) -> io::Result<Vec<OwnedFd>> {
    match cookie {
        Some(cookie) => {
            let link = bpf::perf_link(event.as_fd(), program, cookie)?;
            kprobe::enable(event.as_fd())?;
            Ok(vec![link, event])
        }
        None => {
            kprobe::set_program(event.as_fd(), program)?;
            Ok(vec![event])
        }
    }
}

/// A module's type information, as the kernel has it.
fn module_btf(module: &str) -> Result<OwnedFd, LoadError> {
    bpf::btf_of_module(module).map_err(|error| LoadError::ModuleBtf { module: module.to_owned(), error })
}

impl From<Moment> for At {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::Entry => Self::Entry,
            Moment::Return => Self::Return,
        }
    }
}
