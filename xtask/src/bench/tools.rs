//! The tools that are measured, ours and the others', and a guest that holds them all.
//!
//! A new mode of ours is one line in [`OURS`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::report::Whose;
use crate::guest::{Clock, Ended, Guest, GuestFile, GuestTree, Kit, Stream};
use crate::profiles::Profiles;
use crate::setup::{kernel, peers, require};
use crate::test::{GUEST_TESTS, guest_tests};
use crate::{dist, step};

/// A tool as it is run in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// Words of its command line.
    pub(crate) words: &'static str,
    pub(crate) whose: Whose,
}

const fn ours(name: &'static str, words: &'static str) -> Tool {
    Tool { name, words, whose: Whose::Ours }
}

const fn peer(name: &'static str, words: &'static str) -> Tool {
    Tool { name, words, whose: Whose::Peers }
}

/// Every mode of ours whose cost is told. The first is what budgets are for.
pub(crate) const OURS: &[Tool] = &[
    ours("tracer", "tracer exec"),
    ours("tracer --hook kprobe", "tracer exec --hook kprobe"),
    ours("tracer --hook tracepoint", "tracer exec --hook tracepoint"),
    ours("tracer --ancestors", "tracer exec --ancestors"),
    ours("tracer --life", "tracer exec --life"),
];

/// The one that the budgets are relative to.
pub(crate) const REFERENCE: &str = "libbpf-tools execsnoop";

/// As their packages are used by default.
pub(crate) const PEERS: &[Tool] = &[
    peer(REFERENCE, "chroot /peers /usr/sbin/execsnoop-libbpf"),
    peer(BPFTRACE, "chroot /peers /usr/bin/bpftrace /usr/sbin/execsnoop.bt"),
    peer("bcc execsnoop", "chroot /peers-bcc /usr/sbin/execsnoop-bpfcc"),
];

pub(crate) const BPFTRACE: &str = "bpftrace execsnoop.bt";

/// The peers' root gets what is the guest's own, and a shell (bpftrace asks one for a compiler, and crashes where there is
/// none); bcc's gets the kernel's headers besides.
fn mounts() -> String {
    let (modules, headers) = (peers::MODULES, peers::HEADERS);
    format!(
        "for d in proc sys dev tmp; do mount -o rbind /$d /peers/$d; done\n\
         cp /bin/busybox /peers/bin/sh\n\
         mkdir /peers-bcc && mount -o rbind /peers /peers-bcc\n\
         mount -o bind /peers/{headers} /peers-bcc/{modules}\n"
    )
}

/// What is in common to the parts that run in a guest.
#[derive(clap::Args)]
pub(crate) struct GuestArgs {
    /// The kernel, by a prefix of its version (bcc needs the headers of that very one: 6.12)
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Only the tools whose names contain this (repeatable)
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
}

impl Default for GuestArgs {
    fn default() -> Self {
        Self { kernel: "6.12".to_owned(), only: Vec::new() }
    }
}

/// Everything that a part needs to measure tools in a guest.
pub(crate) struct Bench {
    kit: Kit,
    kernel: kernel::Found,
    peers: peers::Found,
    only: Vec<String>,
}

/// What the roles said, by the role and the tool.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said(BTreeMap<(String, String), Value>);

impl Bench {
    pub(crate) fn new(args: &GuestArgs) -> Result<Self> {
        let kernel = require(&kernel::Kernel::new(&args.kernel)?)?;
        let peers = require(&peers::Peers { kernel: &kernel })?;
        Ok(Self { kit: Kit::new()?, kernel, peers, only: args.only.clone() })
    }

    /// Ours, then the others, those that are wanted.
    pub(crate) fn tools(&self, ours: &[Tool]) -> Vec<Tool> {
        let all = ours.iter().chain(PEERS).copied();
        all.filter(|tool| self.only.is_empty() || self.only.iter().any(|text| tool.name.contains(text)))
            .collect()
    }

    /// Kernel, emulator, tools.
    pub(crate) fn on(&self) -> Result<Vec<(String, String)>> {
        let mut on = vec![
            ("tracer".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("Linux".to_owned(), self.kernel.version.clone()),
            ("QEMU".to_owned(), self.kit.qemu_version()?),
        ];
        on.extend(self.peers.versions.iter().map(|(name, version)| (name.clone(), version.clone())));
        Ok(on)
    }

    /// Boots a guest that has all tools, and runs a shell's script in it.
    ///
    /// # Errors
    /// The guest fails. That one of the script's commands does is said, and is no error.
    pub(crate) fn run(&self, clock: Clock, script: &str) -> Result<Said> {
        let script = format!("{}{script}\nexit 0\n", mounts());
        let mut guest = Guest::new(self.kernel.clone(), ["sh", "-c", &script].map(OsString::from).to_vec());
        guest.files = vec![
            dist::guest_tracer(Profiles::IfThere)?,
            GuestFile { host: guest_tests()?, guest: GUEST_TESTS.to_owned() },
        ];
        guest.trees = vec![GuestTree { host: self.peers.root.clone(), guest: "/peers".to_owned() }];
        guest.cpus = if clock == Clock::Instructions { 1 } else { 2 };
        guest.memory = 4096;
        guest.clock = clock;
        guest.tracefs = true;
        guest.timeout = Some(Duration::from_secs(3 * 3600));
        let (mut stdout, mut stderr) = (String::new(), String::new());
        // Characters that a chunk cuts are in none of the lines that count.
        let ended = guest.stream(&self.kit, None, &mut |stream, bytes| {
            let text = String::from_utf8_lossy(bytes);
            match stream {
                Stream::Stdout => {
                    let line = stdout.rfind('\n').map_or(0, |end| end + 1);
                    stdout.push_str(&text);
                    let whole = stdout.rfind('\n').map_or(0, |end| end + 1);
                    stdout.get(line..whole).into_iter().flat_map(str::lines).for_each(step::say);
                }
                Stream::Stderr => stderr.push_str(&text),
            }
        })?;
        let stderr = step::tail(&stderr, 60);
        if ended != Ended::Exit(0) {
            bail!("the guest's command ended with {ended:?}: {stderr}");
        }
        for line in stderr.lines() {
            step::say(&format!("guest: {line}"));
        }
        let said = Said::parse(&stdout);
        if said.0.is_empty() {
            bail!("the guest said nothing: {stderr}");
        }
        Ok(said)
    }
}

/// A line of a script that has a role measure a tool.
pub(crate) fn role(role: &str, tool: &str, count: usize, words: &str) -> String {
    format!("{GUEST_TESTS} role {role} '{tool}' {count} {words}\n")
}

impl Said {
    /// Lines of JSON, among others.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let said = lines.filter_map(|line| {
            let word = |name: &str| line[name].as_str().map(str::to_owned);
            Some(((word("bench")?, word("name")?), line["figures"].clone()))
        });
        Self(said.collect())
    }

    /// What a role said of a tool, if it came to its end.
    pub(crate) fn of(&self, role: &str, tool: &str) -> Option<&Value> {
        self.0.get(&(role.to_owned(), tool.to_owned()))
    }
}

/// A number among figures.
///
/// # Errors
/// It is not there.
pub(crate) fn number(figures: &Value, pointer: &str) -> Result<f64> {
    figures.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("no {pointer} in {figures}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_other_lines() {
        let text =
            "hello\n{\"bench\":\"bench-cost\",\"name\":\"a b\",\"figures\":{\"x\":{\"y\":1.5}}}\n{}\n[1]\n";
        let said = Said::parse(text);
        let figures = said.of("bench-cost", "a b").expect("it is there");
        assert!((number(figures, "/x/y").expect("a number") - 1.5).abs() < 1e-9);
        assert!(number(figures, "/x/z").is_err());
        assert!(said.of("bench-cost", "c").is_none());
    }

    #[test]
    fn every_tool_has_a_name_of_its_own() {
        let mut names: Vec<_> = OURS.iter().chain(PEERS).map(|tool| tool.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(PEERS.iter().any(|tool| tool.name == REFERENCE));
    }
}
