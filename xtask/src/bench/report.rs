//! What a part of the benchmarks found, as it is kept in `docs/bench/` and shown in docs/BENCHMARKS.md.
//!
//! *Invariant:* a part writes its own section alone; the document is made of all sections that are kept, so that parts
//! can be run apart.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{chart, document};
use crate::{paths, step};

/// A part's results, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// As on the command line.
    pub(crate) part: String,
    pub(crate) title: String,
    /// What repeats it.
    pub(crate) command: String,
    /// What it ran on: kernel, emulator, tools, each with its version.
    pub(crate) on: Vec<(String, String)>,
    /// How it was measured, in paragraphs.
    pub(crate) how: Vec<String>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) tables: Vec<Table>,
    pub(crate) charts: Vec<Chart>,
    /// What is to be known of the figures, in paragraphs.
    pub(crate) notes: Vec<String>,
}

/// A promise, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Budget {
    pub(crate) what: String,
    pub(crate) limit: String,
    pub(crate) measured: String,
    pub(crate) met: bool,
}

/// Cells are Markdown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Bars, the longest as long as the chart is wide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chart {
    /// Of the file, without its extension.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
    /// Where the budget lies, in the bars' unit.
    pub(crate) limit: Option<f64>,
    /// Lengths are the values' logarithms.
    #[serde(default)]
    pub(crate) logarithmic: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    /// The value as it is written.
    pub(crate) shown: String,
    pub(crate) whose: Whose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    Ours,
    Peers,
}

impl Budget {
    /// A budget that is met by what is not greater.
    pub(crate) fn at_most(what: &str, limit: f64, measured: f64, show: impl Fn(f64) -> String) -> Self {
        Self {
            what: what.to_owned(),
            limit: format!("<= {}", show(limit)),
            measured: show(measured),
            met: measured <= limit,
        }
    }

    /// A budget that is met by what is not less.
    pub(crate) fn at_least(what: &str, limit: f64, measured: f64, show: impl Fn(f64) -> String) -> Self {
        Self {
            what: what.to_owned(),
            limit: format!(">= {}", show(limit)),
            measured: show(measured),
            met: measured >= limit,
        }
    }

    /// Why it is missed, if it is.
    pub(crate) fn reason(&self, why: &str) -> Option<String> {
        (!self.met).then(|| why.to_owned())
    }

    pub(crate) fn verdict(&self) -> &'static str {
        if self.met { "met" } else { "**missed**" }
    }
}

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }
}

fn folder() -> PathBuf {
    paths::root().join("docs/bench")
}

/// Keeps a section, draws its charts, and writes the document anew.
///
/// # Errors
/// A file under `docs/` cannot be written, or a kept section cannot be read.
pub(crate) fn publish(section: &Section, parts: &[&str]) -> Result<()> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let write = |name: String, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(format!("{}.json", section.part), &(serde_json::to_string_pretty(section)? + "\n"))?;
    for chart in &section.charts {
        write(format!("{}.svg", chart.name), &chart::svg(chart))?;
    }
    let mut sections = Vec::new();
    for part in parts {
        let path = folder.join(format!("{part}.json"));
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let section =
            serde_json::from_str(&text).with_context(|| format!("{} is no section", path.display()))?;
        sections.push(section);
    }
    let document = paths::root().join("docs/BENCHMARKS.md");
    fs::write(&document, document::render(&sections))
        .with_context(|| format!("cannot write {}", document.display()))?;
    print!("{}", document::terminal(section));
    step::say(&format!("docs/BENCHMARKS.md: {}", section.title));
    Ok(())
}
