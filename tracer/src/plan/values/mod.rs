//! What there is to show at a place, and how it is read: from prototypes, formats and paths to [`ValueSpec`]s.
//!
//! ```text
//! calls, record, syscalls -> Root (where a value starts) -> walk (along a path) -> ValueSpec
//! ```
//! *Invariant:* pure; a path that does not lead to a value is an error that says at which step.
//!
//! *Must not know:* specs, mechanisms.

pub mod c_type;
pub mod calls;
mod end;
mod named;
pub mod record;
pub mod syscalls;
#[cfg(test)]
mod tests;
mod walk;

pub use walk::{Dead, Root, value};

use super::probe::ValueSpec;
use crate::spec::Path;
use crate::verifier::btf::{Btf, Kind};

/// The values that a place offers.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Shown unless something else is asked for.
    pub shown: Vec<Root>,
    /// To be had by name.
    pub others: Vec<Root>,
    pub result: Option<Root>,
}

impl Offer {
    /// Where a path starts: an argument, the result, or what every place has.
    pub fn root(&self, name: &str) -> Option<&Root> {
        self.shown.iter().chain(&self.result).chain(&self.others).find(|root| root.name == name)
    }

    /// The names that can be asked for, the arguments first.
    pub fn names(&self) -> Vec<&str> {
        self.shown.iter().chain(&self.result).chain(&self.others).map(|root| root.name.as_str()).collect()
    }

    /// Adds what every place has.
    pub fn with_task(&mut self, btf: Option<&Btf>) {
        if let Some(id) = btf.and_then(|btf| btf.find(Kind::Struct, "task_struct"))
            && self.root("task").is_none()
        {
            self.others.push(walk::task(id));
        }
    }

    /// The value at a path. `args.NAME` names an argument whatever else has its name.
    ///
    /// # Errors
    /// There is none.
    pub fn value(&self, btf: Option<&Btf>, path: &Path) -> Result<ValueSpec, Dead> {
        let (root_name, path) = match path.steps.as_slice() {
            [args, second, ..] if args.name == "args" && args.indices.is_empty() => {
                let steps = path.steps.get(1..).unwrap_or_default().to_vec();
                (second.name.as_str(), Path { steps, ..path.clone() })
            }
            [first, ..] => (first.name.as_str(), path.clone()),
            [] => return Err(Dead::new("no name")),
        };
        let Some(root) = self.root(root_name) else {
            let names = self.names();
            let near = super::resolve::near(root_name, names.iter().copied());
            let dead = Dead::new(format!("there is no '{root_name}' here"));
            let named: Vec<String> =
                self.shown.iter().chain(&self.result).map(|root| root.name.clone()).collect();
            return Err(match (near.is_empty(), named.is_empty()) {
                (false, _) => dead.help(format!("did you mean {}?", near.join(", "))),
                (_, false) => dead.help(format!("there are {}", walk::some_of(&named))),
                _ => dead,
            });
        };
        value(btf, root, Some(&path), path.to_string())
    }
}
