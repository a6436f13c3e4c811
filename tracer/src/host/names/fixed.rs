//! Names that a test made up.

use std::{collections::HashMap, sync::Arc};

use super::{Blacklist, EventName, Format, Names, Symbols, Traceable};
use crate::verifier::btf::Btf;

/// Answers as they were given.
#[derive(Default)]
pub struct FixedNames {
    pub symbols: Option<Symbols>,
    pub traceable: Option<Traceable>,
    pub blacklist: Blacklist,
    pub formats: HashMap<(String, String), Format>,
    pub events: Option<Vec<EventName>>,
    pub modules: Vec<String>,
    pub module_btf: HashMap<String, Arc<Btf>>,
}

impl FixedNames {
    /// Adds a tracepoint.
    #[must_use]
    pub fn event(mut self, category: &str, name: &str, format: &str) -> Self {
        let format = Format::parse(format).expect("a format");
        self.formats.insert((category.into(), name.into()), format);
        let events = self.events.get_or_insert_default();
        events.push(EventName { category: category.into(), name: name.into() });
        events.sort();
        self
    }
}

impl Names for FixedNames {
    fn symbols(&self) -> Result<&Symbols, String> {
        self.symbols.as_ref().ok_or_else(|| "/proc/kallsyms cannot be read: a test".to_owned())
    }

    fn traceable(&self) -> Result<&Traceable, String> {
        self.traceable.as_ref().ok_or_else(|| "tracefs is not mounted: a test".to_owned())
    }

    fn blacklist(&self) -> &Blacklist {
        &self.blacklist
    }

    fn events(&self) -> Result<&[EventName], String> {
        self.events.as_deref().ok_or_else(|| "tracefs is not mounted: a test".to_owned())
    }

    fn format(&self, category: &str, name: &str) -> Result<Format, String> {
        self.formats
            .get(&(category.to_owned(), name.to_owned()))
            .cloned()
            .ok_or_else(|| "no format: a test".to_owned())
    }

    fn btf_modules(&self) -> &[String] {
        &self.modules
    }

    fn module_btf(&self, module: &str) -> Result<Arc<Btf>, String> {
        self.module_btf.get(module).cloned().ok_or_else(|| "no BTF: a test".to_owned())
    }
}
