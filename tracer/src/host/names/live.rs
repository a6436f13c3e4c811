//! This host's names, read when first asked for.

use std::{cell::OnceCell, collections::HashMap, fs, io, sync::Arc};

use super::{Blacklist, EventName, Format, Names, Symbols, Traceable, mount::Mounted};
use crate::verifier::btf::Btf;

const SYMBOLS: &str = "/proc/kallsyms";
const BTF: &str = "/sys/kernel/btf";

/// The running kernel.
#[derive(Default)]
pub struct LiveNames {
    base: Option<Arc<Btf>>,
    tracefs: OnceCell<Result<Mounted, String>>,
    symbols: OnceCell<Result<Symbols, String>>,
    traceable: OnceCell<Result<Traceable, String>>,
    blacklist: OnceCell<Blacklist>,
    events: OnceCell<Result<Vec<EventName>, String>>,
    modules: OnceCell<Vec<String>>,
    module_btf: std::cell::RefCell<HashMap<String, Result<Arc<Btf>, String>>>,
}

impl LiveNames {
    /// Names of the running kernel; its BTF is what modules' types build on.
    pub fn new(base: Option<Arc<Btf>>) -> Self {
        Self { base, ..Self::default() }
    }

    fn tracefs(&self) -> Result<&Mounted, String> {
        let usual = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
        self.tracefs.get_or_init(|| Mounted::find(c"tracefs", &usual)).as_ref().map_err(Clone::clone)
    }
}

/// What cannot be read, why, and the way out.
fn unreadable(what: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{what} cannot be read: {error}; run tracer as root"),
        _ => format!("{what} cannot be read: {error}"),
    }
}

impl Names for LiveNames {
    fn symbols(&self) -> Result<&Symbols, String> {
        let read = || fs::read_to_string(SYMBOLS).map(Symbols::new).map_err(|e| unreadable(SYMBOLS, &e));
        self.symbols.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    fn traceable(&self) -> Result<&Traceable, String> {
        const FILE: &str = "available_filter_functions";
        let read = || match self.tracefs()?.read(FILE) {
            Ok(text) => Ok(Traceable::new(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err("this kernel cannot trace functions (CONFIG_DYNAMIC_FTRACE is off)".to_owned())
            }
            Err(error) => Err(unreadable(&format!("tracefs' {FILE}"), &error)),
        };
        self.traceable.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    fn blacklist(&self) -> &Blacklist {
        self.blacklist.get_or_init(|| {
            let file = Mounted::find(c"debugfs", &["/sys/kernel/debug"]).ok();
            let text = file.and_then(|file| file.read("kprobes/blacklist").ok());
            match text {
                Some(text) => Blacklist::of_file(&text),
                None => self.symbols().map(Blacklist::of_symbols).unwrap_or_default(),
            }
        })
    }

    fn events(&self) -> Result<&[EventName], String> {
        let read = || {
            // One file lists them all, in the order of registration.
            let text = self
                .tracefs()?
                .read("available_events")
                .map_err(|e| unreadable("tracefs' available_events", &e))?;
            let names = text.lines().filter_map(|line| line.split_once(':'));
            let mut events: Vec<_> = names
                .map(|(category, name)| EventName { category: category.into(), name: name.into() })
                .collect();
            events.sort_unstable();
            Ok(events)
        };
        self.events.get_or_init(read).as_deref().map_err(Clone::clone)
    }

    fn format(&self, category: &str, name: &str) -> Result<Format, String> {
        let text = self
            .tracefs()?
            .read(&format!("events/{category}/{name}/format"))
            .map_err(|e| unreadable(&format!("the format of {category}:{name}"), &e))?;
        Format::parse(&text)
    }

    fn btf_modules(&self) -> &[String] {
        self.modules.get_or_init(|| {
            let entries = fs::read_dir(BTF).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let mut names: Vec<String> = names.filter(|name| name != "vmlinux").collect();
            names.sort_unstable();
            names
        })
    }

    fn module_btf(&self, module: &str) -> Result<Arc<Btf>, String> {
        if let Some(known) = self.module_btf.borrow().get(module) {
            return known.clone();
        }
        let read = || {
            let base = self.base.clone().ok_or("this kernel shows no BTF")?;
            let path = format!("{BTF}/{module}");
            let bytes = fs::read(&path).map_err(|e| unreadable(&path, &e))?;
            Btf::parse_split(bytes, base)
                .map(Arc::new)
                .map_err(|e| format!("{path} cannot be understood: {e}"))
        };
        let result = read();
        self.module_btf.borrow_mut().insert(module.to_owned(), result.clone());
        result
    }
}
