//! Which places are wanted.
//!
//! *Invariant:* a place that cannot be told passes: no event is left out for want of knowledge.

use std::fmt;

use super::{Container, Located, Place, Runtime};
use crate::spec::Pattern;

/// Events that are wanted are in one of the containers, if any are named, and in one of the units, if any are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceFilter {
    pub containers: Vec<ContainerWanted>,
    pub units: Vec<UnitWanted>,
}

/// `*`, `RUNTIME:*`, `[RUNTIME:]ID`, `[RUNTIME:]NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerWanted {
    runtime: Option<Runtime>,
    /// The beginning of an id, or a name; `None`: any.
    word: Option<String>,
}

/// A unit's name, or a pattern of names.
#[derive(Clone, Debug)]
pub struct UnitWanted(Pattern);

impl PlaceFilter {
    /// Whether every place passes.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.units.is_empty()
    }

    /// Whether an event of this place is shown. It is, too, if its place is not known: its line says so.
    pub fn passes(&self, located: Located<'_>) -> bool {
        let Located::At(place) = located else { return true };
        self.passes_containers(place) && self.passes_units(place)
    }

    fn passes_containers(&self, place: &Place) -> bool {
        if self.containers.is_empty() || place.container.is_none() && place.in_doubt.is_some() {
            return true;
        }
        // Those around it too: what is in a container of a container's is in both.
        let matches = |container: &Container| self.containers.iter().any(|wanted| wanted.matches(container));
        place.container.as_ref().is_some_and(matches) || place.containers().iter().any(matches)
    }

    fn passes_units(&self, place: &Place) -> bool {
        if self.units.is_empty() || place.unit.is_none() && place.in_doubt.is_some() {
            return true;
        }
        self.units.iter().any(|wanted| wanted.matches(place))
    }
}

impl ContainerWanted {
    /// Takes a word.
    ///
    /// # Errors
    /// If no container is named like that: why, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (runtime, word) = match text.split_once(':') {
            None => (None, text),
            Some((name, word)) => (Some(runtime(name)?), word),
        };
        match word {
            "" => Err("an empty id: '*' stands for any container".into()),
            "*" => Ok(Self { runtime, word: None }),
            _ if word.contains('*') => Err("an id has no '*': its beginning is enough".into()),
            _ if word.contains('/') => {
                Err("an id or a name has no '/': for a path of a control group there is --cgroup".into())
            }
            _ => Ok(Self { runtime, word: Some(word.to_owned()) }),
        }
    }

    fn matches(&self, container: &Container) -> bool {
        let named = container.runtime.is_some_and(Runtime::names);
        self.runtime.is_none_or(|runtime| container.runtime == Some(runtime))
            && self.word.as_ref().is_none_or(|word| match named {
                true => container.id == *word,
                false => container.id.starts_with(word.as_str()),
            })
    }

    /// Its word, if that cannot be the beginning of an id, and no runtime is named: only a container with a name in its
    /// control group can be meant.
    pub fn name_only(&self) -> Option<&str> {
        let word = self.word.as_deref().filter(|_| self.runtime.is_none())?;
        (!word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))).then_some(word)
    }
}

fn runtime(name: &str) -> Result<Runtime, String> {
    Runtime::ALL.into_iter().find(|runtime| runtime.name() == name).ok_or_else(|| {
        let names: Vec<_> = Runtime::ALL.iter().map(|runtime| runtime.name()).collect();
        format!("there is no runtime '{name}': before the ':' goes one of {}", names.join(", "))
    })
}

impl fmt::Display for ContainerWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(runtime) = self.runtime {
            write!(f, "{}:", runtime.name())?;
        }
        f.write_str(self.word.as_deref().unwrap_or("*"))
    }
}

impl UnitWanted {
    /// Takes a word. Without a type it is a service's, unless it is a pattern.
    ///
    /// # Errors
    /// If no unit with processes is named like that: why, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        /// Types of units that processes run in (systemd.unit(5)), and those that start others.
        const WITH: [&str; 6] = ["service", "scope", "slice", "socket", "mount", "swap"];
        const WITHOUT: [&str; 5] = ["timer", "path", "target", "device", "automount"];
        if text.is_empty() {
            return Err("an empty name: '*' stands for any unit".into());
        }
        if text.contains('/') {
            return Err("a unit's name has no '/': for a path of a control group there is --cgroup".into());
        }
        let (name, kind) = text.rsplit_once('.').unwrap_or((text, ""));
        if WITHOUT.contains(&kind) {
            return Err(format!(
                "a {kind} has no processes: name the unit that it starts, as {name}.service"
            ));
        }
        let pattern = Pattern::glob(text)?;
        match pattern.exact() {
            Some(_) if !WITH.contains(&kind) => Pattern::glob(&format!("{text}.service")).map(Self),
            _ => Ok(Self(pattern)),
        }
    }

    fn matches(&self, place: &Place) -> bool {
        let matches = |name: &String| self.0.matches(name);
        place.unit.as_ref().is_some_and(matches)
            || place.user_unit.as_ref().is_some_and(matches)
            || self.0.to_string().ends_with(".slice") && place.slices().iter().any(matches)
    }
}

/// By what was written.
impl PartialEq for UnitWanted {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl Eq for UnitWanted {}

impl fmt::Display for UnitWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3c5f0e8a9b7d64e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809";

    fn filter(containers: &[&str], units: &[&str]) -> PlaceFilter {
        let containers = containers.iter().map(|word| ContainerWanted::parse(word));
        let units = units.iter().map(|word| UnitWanted::parse(word));
        PlaceFilter {
            containers: containers.collect::<Result<_, _>>().expect("containers"),
            units: units.collect::<Result<_, _>>().expect("units"),
        }
    }

    #[track_caller]
    fn passes(path: &str, containers: &[&str], units: &[&str], expected: bool) {
        let place = Place::of_path(path.replace("ID", ID).as_bytes());
        assert_eq!(filter(containers, units).passes(Located::At(&place)), expected, "{path}");
    }

    #[test]
    fn containers_are_named_by_id_or_name() {
        let docker = "/system.slice/docker-ID.scope/x";
        for word in ["*", "3c5f", ID, "docker:*", "docker:3c5f0e8a9b7d"] {
            passes(docker, &[word], &[], true);
            passes("/system.slice/a.service", &[word], &[], false);
        }
        for word in ["4c5f", "docker", "podman:*", "podman:3c5f", "c5f0"] {
            passes(docker, &[word], &[], false);
        }
        passes(docker, &["web", "3c"], &[], true);
        // A name is whole.
        passes("/lxc.payload.web", &["web"], &[], true);
        passes("/lxc.payload.web2", &["web"], &[], false);
        passes("/lxc.payload.web", &["lxc:web"], &[], true);
        passes("/machine.slice/systemd-nspawn@a\\x2db.service/payload", &["a-b"], &[], true);
        // What is inside of one is in it, however deep.
        passes("/lxc.payload.node/docker/ID", &["node"], &[], true);
        passes("/lxc.payload.node/docker/ID", &["3c5f"], &[], true);
        passes("/kubepods/podx/ID", &["3c5f"], &[], true);
    }

    #[test]
    fn units_are_named_whole_or_by_pattern() {
        let nginx = "/system.slice/nginx.service/worker";
        for word in ["nginx", "nginx.service", "*", "ngin?", "nginx*", "n*.service", "system.slice"] {
            let fits = word != "ngin?";
            passes(nginx, &[], &[word], fits);
        }
        for word in ["ngin", "nginx.scope", "user.slice", "worker"] {
            passes(nginx, &[], &[word], false);
        }
        passes(nginx, &[], &["a", "nginx"], true);
        let user = "/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service";
        for word in ["redis", "user@1000", "user-1000.slice", "user.slice", "user-*.slice"] {
            passes(user, &[], &[word], true);
        }
        passes("/", &[], &["*"], false);
        passes("/custom/x.service", &[], &["*"], false);
    }

    #[test]
    fn both_have_to_fit() {
        let path = "/system.slice/docker-ID.scope";
        passes(path, &["*"], &["docker-*"], true);
        passes(path, &["*"], &["nginx"], false);
        passes(path, &["lxc:*"], &["docker-*"], false);
        passes("/", &[], &[], true);
        assert!(filter(&[], &[]).is_empty());
    }

    #[test]
    fn what_is_not_known_passes() {
        let filter = filter(&["*"], &["nginx"]);
        assert!(filter.passes(Located::Unknown("lost")));
        passes("below/x", &["*"], &["nginx"], true);
        passes("below/docker-ID.scope", &["lxc:*"], &[], false);
        passes("below/docker-ID.scope", &["3c5f"], &["nginx"], true);
    }

    #[test]
    fn words_come_back_as_they_mean() {
        for (word, shown) in [("*", "*"), ("docker:*", "docker:*"), ("lxc:web", "lxc:web"), ("3c5f", "3c5f")]
        {
            assert_eq!(ContainerWanted::parse(word).expect(word).to_string(), shown);
        }
        for (word, shown) in
            [("nginx", "nginx.service"), ("a.b", "a.b.service"), ("x.slice", "x.slice"), ("n*", "n*")]
        {
            assert_eq!(UnitWanted::parse(word).expect(word).to_string(), shown);
        }
        let name = |word| ContainerWanted::parse(word).expect(word).name_only().map(str::to_owned);
        assert_eq!(name("web"), Some("web".to_owned()));
        assert_eq!(name("cafe"), None);
        assert_eq!(name("lxc:web"), None);
        assert_eq!(name("*"), None);
    }
}
