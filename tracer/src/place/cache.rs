//! Places that are known, by the numbers that events carry.
//!
//! *Invariant:* no more than [`MAX_PLACES`] are kept: the ones that were asked for last. What was given up for that is
//! told from what never came.

use std::collections::{HashMap, HashSet};

use tracer_common::{Cgroups, V1_HIERARCHIES};

use super::{Located, Place};
use crate::event::{CgroupEvent, Missing, Value};

/// How many places are kept.
pub const MAX_PLACES: usize = 8192;

/// How many are given up at once, so that looking for them costs little.
const BATCH: usize = MAX_PLACES / 16;

/// How many that were given up are remembered as such.
const MAX_GIVEN_UP: usize = 8 * MAX_PLACES;

/// The number of every hierarchy's root (fs/kernfs/dir.c, `kernfs_create_root`).
const ROOT: u64 = 1;

const NEVER_CAME: &str = "the record of its control group's path was lost";
const GIVEN_UP: &str = "its control group's path was given up for others: more than 8192 were in use";
const EITHER: &str =
    "its control group's path was lost, or given up for others: far more than 8192 were in use";
const UNREAD: &str = "its control groups could not be read at the event";
const UNKNOWN: &str = "its control groups are not known";

/// A group: hierarchy (0: v2), id.
type Key = (u32, u64);

/// Where groups lie.
#[derive(Debug)]
pub struct Places {
    /// Numbers of the v1 hierarchies that events name a group of; 0: none.
    hierarchies: [u32; V1_HIERARCHIES],
    /// Why no path will ever come.
    none: Option<String>,
    known: HashMap<Key, Known>,
    /// Counts questions.
    now: u64,
    given_up: HashSet<Key>,
    /// Some were forgotten even as given up.
    forgot: bool,
    root: Place,
    /// What several hierarchies say together, and of which groups.
    joined: Place,
    joined_of: Option<Cgroups>,
}

#[derive(Debug)]
struct Known {
    place: Place,
    asked: u64,
}

impl Places {
    /// None are known. `hierarchies` are the ones in [`tracer_common::Knobs::hierarchies`].
    pub fn new(hierarchies: [u32; V1_HIERARCHIES]) -> Self {
        Self {
            hierarchies,
            none: None,
            known: HashMap::new(),
            now: 0,
            given_up: HashSet::new(),
            forgot: false,
            root: Place::of_path(b"/"),
            joined: Place::default(),
            joined_of: None,
        }
    }

    /// None will ever be known, for this reason: of a host whose kernel side cannot read paths.
    pub fn unavailable(reason: String) -> Self {
        Self { none: Some(reason), ..Self::new([0; V1_HIERARCHIES]) }
    }

    /// Takes a group's path.
    pub fn learn(&mut self, group: &CgroupEvent<'_>) {
        let key = (group.hierarchy, group.id);
        if self.known.len() >= MAX_PLACES && !self.known.contains_key(&key) {
            self.give_up();
        }
        self.given_up.remove(&key);
        self.joined_of = None;
        self.known.insert(key, Known { place: Place::of_path(group.path), asked: self.now });
    }

    /// The place of a process that was in these groups.
    pub fn locate<'a>(&'a mut self, cgroups: Value<'a, Cgroups>) -> Located<'a> {
        if self.none.is_some() {
            return Located::Unknown(self.none.as_deref().unwrap_or(UNKNOWN));
        }
        let groups = match cgroups {
            Value::Known(groups) | Value::Partial(groups, _) => groups,
            Value::Missing(Missing::Unread) => return Located::Unknown(UNREAD),
            Value::Missing(Missing::Unavailable(reason)) => return Located::Unknown(reason),
            Value::Missing(_) => return Located::Unknown(UNKNOWN),
        };
        self.now += 1;
        let found = if self.hierarchies == [0; V1_HIERARCHIES] {
            self.touch((0, groups.v2));
            self.get((0, groups.v2))
        } else {
            self.join(groups)
        };
        match found {
            Ok(place) => Located::At(place),
            Err(reason) => Located::Unknown(reason),
        }
    }

    /// What all hierarchies say together.
    fn join(&mut self, groups: Cgroups) -> Result<&Place, &'static str> {
        if self.joined_of != Some(groups) {
            let keys = self.keys(groups);
            keys.iter().flatten().for_each(|key| self.touch(*key));
            let said = keys.map(|key| key.map(|key| self.get(key)));
            self.joined = joined(&said)?;
            self.joined_of = Some(groups);
        }
        Ok(&self.joined)
    }

    /// The groups to look at.
    fn keys(&self, groups: Cgroups) -> [Option<Key>; 1 + V1_HIERARCHIES] {
        let [first, second] = self.hierarchies;
        let v1 = |hierarchy, id| (hierarchy != 0).then_some((hierarchy, id));
        [Some((0, groups.v2)), v1(first, groups.v1[0]), v1(second, groups.v1[1])]
    }

    fn get(&self, key: Key) -> Result<&Place, &'static str> {
        match (self.known.get(&key), key.1) {
            (Some(known), _) => Ok(&known.place),
            (None, 0) => Err(UNREAD),
            (None, ROOT) => Ok(&self.root),
            (None, _) if self.given_up.contains(&key) => Err(GIVEN_UP),
            (None, _) if self.forgot => Err(EITHER),
            (None, _) => Err(NEVER_CAME),
        }
    }

    fn touch(&mut self, key: Key) {
        if let Some(known) = self.known.get_mut(&key) {
            known.asked = self.now;
        }
    }

    /// Gives up those that were not asked for for longest.
    fn give_up(&mut self) {
        let mut by_age: Vec<(u64, Key)> = self.known.iter().map(|(key, known)| (known.asked, *key)).collect();
        if by_age.len() > BATCH {
            by_age.select_nth_unstable(BATCH);
            by_age.truncate(BATCH);
        }
        if self.given_up.len() + BATCH > MAX_GIVEN_UP {
            self.given_up.clear();
            self.forgot = true;
        }
        for (_, key) in by_age {
            self.known.remove(&key);
            self.given_up.insert(key);
        }
    }
}

/// What the v2 hierarchy, a v1 hierarchy with a controller and that of systemd say together. A container found in any
/// is one: the innermost, where they differ. Unit and slice are taken from one of them, since they belong together.
fn joined(said: &[Option<Result<&Place, &'static str>>]) -> Result<Place, &'static str> {
    let places = || said.iter().flatten().filter_map(|said| said.as_ref().ok().copied());
    let doubt = said.iter().flatten().find_map(|said| said.err());
    let first = places().next().ok_or(doubt.unwrap_or(UNKNOWN))?;
    let nesting = |place: &Place| place.containers().len();
    let contained = places().filter(|place| place.container.is_some());
    // Of equals the first: max_by_key() gives the last.
    let contained = contained.reduce(|best, place| if nesting(place) > nesting(best) { place } else { best });
    let managed =
        places().find(|place| place.unit.is_some()).or_else(|| places().find(|p| p.slice.is_some()));
    let elsewhere = || places().find(|place| place.cgroup != b"/");
    let shown = contained.or(managed).or_else(elsewhere).unwrap_or(first);
    Ok(Place {
        cgroup: shown.cgroup.clone(),
        container: contained.and_then(|place| place.container.clone()),
        unit: managed.and_then(|place| place.unit.clone()),
        user_unit: managed.and_then(|place| place.user_unit.clone()),
        slice: managed.and_then(|place| place.slice.clone()),
        pod_uid: places().find_map(|place| place.pod_uid.clone()),
        in_doubt: doubt.or_else(|| places().find_map(|place| place.in_doubt)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u32; V1_HIERARCHIES] = [0; V1_HIERARCHIES];

    fn learn(places: &mut Places, hierarchy: u32, id: u64, path: &str) {
        places.learn(&CgroupEvent { hierarchy, id, path: path.as_bytes(), cut: !path.starts_with('/') });
    }

    /// What is told of a process: the cgroup, the container, the unit, the doubt; or why nothing is.
    fn told(places: &mut Places, v2: u64, v1: [u64; 2]) -> String {
        match places.locate(Value::Known(Cgroups { v2, v1 })) {
            Located::Unknown(reason) => reason.to_owned(),
            Located::At(place) => {
                let container = place.container.as_ref().map_or("-", |container| &container.id);
                let unit = place.unit.as_deref().unwrap_or("-");
                let doubt = place.in_doubt.map_or(String::new(), |reason| format!("; {reason}"));
                format!("{} {container} {unit}{doubt}", String::from_utf8_lossy(&place.cgroup))
            }
        }
    }

    #[test]
    fn a_place_is_told_by_its_number() {
        let mut places = Places::new(NONE);
        learn(&mut places, 0, 7, "/system.slice/a.service");
        assert_eq!(told(&mut places, 7, [0, 0]), "/system.slice/a.service - a.service");
        assert_eq!(told(&mut places, 1, [0, 0]), "/ - -");
        assert_eq!(told(&mut places, 8, [0, 0]), NEVER_CAME);
        // Those of other hierarchies have numbers of their own.
        learn(&mut places, 4, 8, "/b");
        assert_eq!(told(&mut places, 8, [8, 8]), NEVER_CAME);
        learn(&mut places, 0, 7, "/system.slice/new.service");
        assert_eq!(told(&mut places, 7, [0, 0]), "/system.slice/new.service - new.service");
        for (missing, reason) in [
            (Missing::Unread, UNREAD),
            (Missing::Unavailable("no cgroups"), "no cgroups"),
            (Missing::Failed, UNKNOWN),
        ] {
            let located = places.locate(Value::Missing(missing));
            assert!(matches!(located, Located::Unknown(told) if told == reason), "{located:?}");
        }
        let mut places = Places::unavailable("no offsets".into());
        assert_eq!(told(&mut places, 1, [0, 0]), "no offsets");
    }

    #[test]
    fn hierarchies_speak_together() {
        let mut places = Places::new([4, 1]);
        learn(&mut places, 4, 20, "/lxc/web");
        learn(&mut places, 1, 30, "/system.slice/lxc.service");
        learn(&mut places, 0, 40, "/init.scope");
        // A container of any, a unit of any.
        assert_eq!(told(&mut places, 1, [20, 30]), "/lxc/web web lxc.service");
        assert_eq!(told(&mut places, 1, [1, 30]), "/system.slice/lxc.service - lxc.service");
        assert_eq!(told(&mut places, 1, [1, 1]), "/ - -");
        assert_eq!(told(&mut places, 40, [20, 1]), "/lxc/web web init.scope");
        // The innermost of several.
        learn(&mut places, 0, 41, "/lxc.payload.node");
        learn(&mut places, 4, 21, "/lxc.payload.node/lxc.payload.inner");
        assert_eq!(told(&mut places, 41, [21, 1]), "/lxc.payload.node/lxc.payload.inner inner -");
        // Of equals the first.
        learn(&mut places, 4, 22, "/lxc.payload.other");
        assert_eq!(told(&mut places, 41, [22, 1]), "/lxc.payload.node node -");
        // What one does not say is in doubt.
        assert_eq!(
            told(&mut places, 1, [99, 30]),
            format!("/system.slice/lxc.service - lxc.service; {NEVER_CAME}")
        );
        assert_eq!(
            told(&mut places, 1, [0, 30]),
            format!("/system.slice/lxc.service - lxc.service; {UNREAD}")
        );
        assert_eq!(told(&mut places, 99, [0, 98]), NEVER_CAME);
        // A path that comes later is heard.
        learn(&mut places, 4, 99, "/lxc/late");
        assert_eq!(told(&mut places, 1, [99, 30]), "/lxc/late late lxc.service");
    }

    #[test]
    fn those_that_are_asked_for_are_kept() {
        let mut places = Places::new(NONE);
        for id in 0..3 * MAX_PLACES as u64 {
            learn(&mut places, 0, 100 + id, "/system.slice/a.service");
            assert_eq!(told(&mut places, 100, [0, 0]), "/system.slice/a.service - a.service");
            assert!(places.known.len() <= MAX_PLACES);
        }
        assert_eq!(told(&mut places, 101, [0, 0]), GIVEN_UP);
        assert_eq!(told(&mut places, 99, [0, 0]), NEVER_CAME);
        learn(&mut places, 0, 101, "/b");
        assert_eq!(told(&mut places, 101, [0, 0]), "/b - -");
        for id in 0..10 * MAX_PLACES as u64 {
            learn(&mut places, 0, 1_000_000 + id, "/c");
        }
        assert!(places.given_up.len() <= MAX_GIVEN_UP);
        assert_eq!(told(&mut places, 99, [0, 0]), EITHER);
    }
}
