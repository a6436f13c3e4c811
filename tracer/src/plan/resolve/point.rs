//! What is shown, tested and counted at each point.

use tracer_common::probe::{Filter, MAX_KEYS, MAX_VALUES, fetch, operand};

use super::scope::{Values, built_in, too_many};
use super::{Found, Request, ResolveError};
use crate::expr::{self, Node, OperandKind, What};
use crate::host::HostFacts;
use crate::plan::probe::{Ends, Place, Point};
use crate::plan::values::{Dead, Root, value};
use crate::spec::{Kind, Mistake, Path, parse_path};

/// What is wanted of each point, read once.
pub(super) struct Wishes {
    show: Vec<(String, Path)>,
    where_: Option<(String, Node)>,
    /// What a key is at a point: a path, or the point itself.
    keys: Vec<(String, Option<Path>)>,
    measure: Option<(String, Path)>,
    aggregate: bool,
    duration: bool,
    cgroup: bool,
}

/// Names for the point itself, as a key.
const POINT_NAMES: [&str; 3] = ["probe", "point", "func"];

impl Wishes {
    pub(super) fn read(request: &Request) -> Result<Self, ResolveError> {
        let wrong = |option: &'static str| {
            move |mistake| ResolveError::Value { option, at: Vec::new(), of: 0, mistake: Box::new(mistake) }
        };
        let path = |text: &String, option| Ok((text.clone(), parse_path(text).map_err(wrong(option))?));
        let mut keys = Vec::new();
        for key in request.count_by.iter().flatten() {
            let path = match POINT_NAMES.contains(&key.as_str()) {
                true => None,
                false => Some(parse_path(key).map_err(wrong("--count by"))?),
            };
            keys.push((key.clone(), path));
        }
        if keys.len() > MAX_KEYS {
            let text = request.count_by.iter().flatten().cloned().collect::<Vec<_>>().join(",");
            let mistake =
                Mistake::new(&text, 0..text.len(), format!("{} keys: {MAX_KEYS} are the most", keys.len()));
            return Err(wrong("--count by")(mistake.help("count by fewer values")));
        }
        let aggregate = request.count_by.is_some() || request.hist.is_some();
        if let (true, Some(show)) = (aggregate, request.show.first()) {
            let mistake = Mistake::new(show, 0..show.len(), "nothing is shown of what is counted");
            return Err(wrong("--show")(mistake.help("count by it instead: --count by VALUE")));
        }
        Ok(Self {
            show: request.show.iter().map(|text| path(text, "--show")).collect::<Result<_, _>>()?,
            where_: match &request.where_ {
                Some(text) => Some((text.clone(), expr::parse(text).map_err(wrong("--where"))?)),
                None => None,
            },
            keys,
            measure: request.hist.as_ref().map(|hist| path(&hist.of, "--hist")).transpose()?,
            aggregate,
            duration: request.duration,
            cgroup: request.who.cgroup.is_some(),
        })
    }

    /// Whether the return is needed, and the entry: by the names that are used.
    fn uses(&self, found: &Found) -> Uses {
        let mut uses = Uses { duration: self.duration, ..Uses::default() };
        let paths = self
            .show
            .iter()
            .map(|(_, path)| path)
            .chain(self.keys.iter().filter_map(|(_, path)| path.as_ref()));
        for path in paths.chain(self.measure.iter().map(|(_, path)| path)) {
            uses.path(path, found);
        }
        if let Some((_, node)) = &self.where_ {
            uses.node(node, found);
        }
        uses
    }
}

#[derive(Default)]
struct Uses {
    entry: bool,
    result: bool,
    duration: bool,
}

impl Uses {
    fn path(&mut self, path: &Path, found: &Found) {
        match built_in(path) {
            Some((_, operand::DURATION)) => self.duration = true,
            Some(_) => {}
            None => {
                let first = path.steps.iter().map(|step| step.name.as_str()).find(|name| *name != "args");
                if first == Some("retval") && found.offer.result.is_some() {
                    self.result = true;
                } else if first.is_some_and(|name| found.offer.root(name).is_some()) {
                    self.entry = true;
                }
            }
        }
    }

    fn node(&mut self, node: &Node, found: &Found) {
        match &node.what {
            What::Or(a, b) | What::And(a, b) | What::Compare(_, a, b) | What::Mask(a, b) => {
                self.node(a, found);
                self.node(b, found);
            }
            What::Not(a) | What::Negative(a) => self.node(a, found),
            What::Path(path) => self.path(path, found),
            What::Number(..) | What::Text(_) => {}
        }
    }
}

/// Makes the points. Mistakes at several points are one error, with the first of them.
pub(super) fn points(
    found: Vec<Found>,
    wishes: &Wishes,
    facts: &HostFacts,
    notes: &mut Vec<String>,
) -> Result<(Vec<Point>, Vec<String>), ResolveError> {
    if wishes.cgroup && facts.version < (5, 14) {
        return Err(ResolveError::Host(
            crate::plan::CannotPlan::NoCgroupFilter(facts.release.clone()).to_string(),
        ));
    }
    let mut points = Vec::with_capacity(found.len());
    let mut how = Vec::with_capacity(found.len());
    let mut failed: Option<(&'static str, Mistake, Vec<String>, usize)> = None;
    for found in found {
        match point(&found, wishes, notes) {
            Ok(point) => {
                points.push(point);
                how.push(found.how);
            }
            Err((option, mistake)) => {
                let (_, _, at, of) = failed.get_or_insert_with(|| (option, mistake, Vec::new(), 0));
                if at.len() < 3 {
                    at.push(found.name);
                }
                *of += 1;
            }
        }
    }
    match failed {
        Some((option, mistake, at, of)) => {
            Err(ResolveError::Value { option, at, of, mistake: Box::new(mistake) })
        }
        None => Ok((points, how)),
    }
}

type Wrong = (&'static str, Mistake);

fn ends(found: &Found, wishes: &Wishes) -> Result<Ends, Wrong> {
    let uses = wishes.uses(found);
    let both = uses.duration || uses.result;
    Ok(match found.kind {
        Kind::Kprobe if matches!(found.place, Place::Kprobe { offset, .. } if offset > 0) => {
            if wishes.duration {
                let mistake = Mistake::new(
                    &found.name,
                    0..found.name.len(),
                    "a place inside of a function has no duration",
                );
                return Err(("--duration", mistake.help("probe the function's start")));
            }
            Ends::Entry
        }
        Kind::Kprobe | Kind::Fentry if both => Ends::Both,
        Kind::Kretprobe if uses.duration || uses.entry => Ends::Both,
        Kind::Fexit if uses.duration => Ends::Both,
        Kind::Kretprobe | Kind::Fexit => Ends::Return,
        Kind::Syscall => Ends::Both,
        Kind::Tracepoint | Kind::RawTracepoint if wishes.duration => {
            let mistake = Mistake::new(
                &found.name,
                0..found.name.len(),
                "a tracepoint is a moment, and has no duration",
            );
            return Err((
                "--duration",
                mistake.help("functions and system calls have one: kprobe:, fentry:, syscall:"),
            ));
        }
        Kind::Kprobe | Kind::Fentry | Kind::Tracepoint | Kind::RawTracepoint => Ends::Entry,
    })
}

fn point(found: &Found, wishes: &Wishes, notes: &mut Vec<String>) -> Result<Point, Wrong> {
    let ends = ends(found, wishes)?;
    let mut found_here;
    // At the return of a trampoline the arguments are still at hand: they are read then.
    let found = if ends == Ends::Return && found.kind == Kind::Fexit {
        let late = |roots: &[Root]| roots.iter().map(Root::at_return).collect();
        found_here = Found {
            name: found.name.clone(),
            kind: found.kind,
            place: found.place.clone(),
            how: String::new(),
            offer: found.offer.clone(),
            btf: found.btf.clone(),
            exact: found.exact,
        };
        found_here.offer.shown = late(&found.offer.shown);
        found_here.offer.others = late(&found.offer.others);
        &found_here
    } else {
        found
    };
    let mut values = Values { found, ends, values: Vec::new(), uses_return: false };
    if !wishes.aggregate {
        shown(&mut values, wishes, notes)?;
    }
    values.uses_return = false;
    let mut filter = Filter::default();
    if let Some((text, node)) = &wishes.where_ {
        let checked =
            expr::check(text, node, &mut values).and_then(|condition| expr::compile(text, &condition));
        filter = checked.map_err(|mistake| ("--where", mistake))?;
    }
    let mut keys = Vec::with_capacity(wishes.keys.len());
    for (text, path) in &wishes.keys {
        keys.push(match path {
            None => operand::POINT,
            Some(path) => values.find(path).map_err(|dead| ("--count by", mistake(text, dead)))?.code,
        });
    }
    let mut measure = None;
    if let Some((text, path)) = &wishes.measure {
        let operand = values.find(path).map_err(|dead| ("--hist", mistake(text, dead)))?;
        if matches!(operand.kind, OperandKind::Text { .. }) {
            let mistake = Mistake::new(text, 0..text.len(), format!("{text} is a text, and no number"));
            return Err(("--hist", mistake.help("count by it instead: --count by VALUE")));
        }
        measure = Some(operand.code);
    }
    let filter_at_entry = match ends {
        Ends::Entry => true,
        Ends::Return => false,
        Ends::Both => !values.uses_return,
    };
    let values = values.values;
    Ok(Point {
        name: found.name.clone(),
        place: found.place.clone(),
        ends,
        values,
        filter,
        filter_at_entry,
        keys,
        measure,
    })
}

/// What is shown of a hit that becomes an event.
fn shown(values: &mut Values<'_>, wishes: &Wishes, notes: &mut Vec<String>) -> Result<(), Wrong> {
    let (found, ends) = (values.found, values.ends);
    let btf = found.btf.as_deref();
    let entry = found.offer.shown.iter().filter(|_| ends != Ends::Return || found.kind == Kind::Fexit);
    let result = found.offer.result.iter().filter(|_| ends != Ends::Entry);
    for root in entry.chain(result) {
        match value(btf, root, None, root.name.clone()) {
            Ok(spec) if values.values.len() < MAX_VALUES => values.values.push(spec),
            Ok(_) if found.exact => notes.push(format!(
                "{}: {} is not shown: {MAX_VALUES} values are the most",
                found.name, root.name
            )),
            Err(dead) if found.exact => {
                notes.push(format!("{}: {} is not shown: {}", found.name, root.name, dead.what))
            }
            _ => {}
        }
    }
    for (text, path) in &wishes.show {
        let spec = match built_in(path) {
            // Every event has it.
            Some(_) => continue,
            None => found.offer.value(btf, path).map_err(|dead| ("--show", mistake(text, dead)))?,
        };
        if spec.fetch.flags & fetch::AT_RETURN != 0 && ends == Ends::Entry {
            return Err((
                "--show",
                Mistake::new(text, 0..text.len(), format!("{} has no result", found.name)),
            ));
        }
        // The same value in another form takes the place of the usual one.
        let bare = path.bare();
        let known = values.values.iter().position(|known| known.name == bare || known.name == spec.name);
        match known {
            Some(at) => values.values[at] = spec,
            None if values.values.len() < MAX_VALUES => values.values.push(spec),
            None => return Err(("--show", mistake(text, too_many()))),
        }
    }
    Ok(())
}

/// What is wrong with a value, in the text that names it.
fn mistake(text: &str, dead: Dead) -> Mistake {
    let span = dead.span.unwrap_or(0..text.len());
    let mut mistake = Mistake::new(text, span, dead.what);
    mistake.help = dead.help;
    mistake
}
