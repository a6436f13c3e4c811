//! Why a run cannot be made of what was asked for.

use crate::spec::Mistake;

/// Why there is no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A name that is not there, or cannot be probed.
    #[error("{0}")]
    Name(Mistake),
    /// A value, filter or key that makes no sense at some points.
    #[error("{option}{}: {mistake}", points(.at, *.of))]
    Value {
        option: &'static str,
        /// The first points at which.
        at: Vec<String>,
        /// At how many points altogether.
        of: usize,
        mistake: Box<Mistake>,
    },
    #[error(
        "{count} points match, and {max} are the most: name fewer, or allow them with --max-probes {count}{}",
        listed(.parts)
    )]
    TooMany {
        count: usize,
        max: usize,
        /// How many each spec matches, if there are several.
        parts: Vec<(String, usize)>,
    },
    /// This host lacks something.
    #[error("{0}")]
    Host(String),
}

fn points(at: &[String], of: usize) -> String {
    let names = at.join(", ");
    if at.is_empty() {
        return String::new();
    }
    if of > at.len() {
        format!(", at {names} and {} more points", of - at.len())
    } else {
        format!(", at {names}")
    }
}

fn listed(parts: &[(String, usize)]) -> String {
    if parts.len() < 2 {
        return String::new();
    }
    parts.iter().map(|(spec, count)| format!("\n  {count} of {spec}")).collect()
}
