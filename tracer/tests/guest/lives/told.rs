//! What tracer told, by class and process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::OnceLock,
};

use serde_json::Value;

use crate::behaviour::live::Ended;

/// All records of a run.
pub(super) struct Told {
    pub(super) records: Vec<Value>,
    pub(super) said: String,
}

/// This process' id as it is told; known once something was told of a child.
static OWN_ID: OnceLock<String> = OnceLock::new();

pub(super) fn own_id() -> &'static String {
    OWN_ID.get().expect("a child's fork was told")
}

impl Told {
    pub(super) fn of(ended: &Ended) -> Self {
        let told = Self { records: ended.records(), said: ended.said.clone() };
        let own = std::process::id();
        let child = told.all("fork").find(|fork| fork["ppid"] == own);
        if let Some(id) = child.and_then(|fork| fork["parent_id"].as_str()) {
            let ticks = |ns: u64| ns / 10_000_000;
            let (pid, start) = id.split_once('-').unwrap();
            assert_eq!((pid, ticks(start.parse().unwrap())), (own.to_string().as_str(), start_of_self()));
            let known = OWN_ID.get_or_init(|| id.to_owned());
            assert_eq!(known, id);
        }
        told
    }

    pub(super) fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.records.iter().filter(move |record| record["type"] == kind)
    }

    pub(super) fn end(&self) -> &Value {
        let end = self.records.last().expect("records");
        assert_eq!(end["type"], "end");
        end
    }

    /// The records of a kind about a process.
    pub(super) fn about(&self, kind: &str, pid: i32) -> Vec<&Value> {
        self.all(kind).filter(|record| record["pid"] == pid).collect()
    }

    pub(super) fn lives_of(&self, pid: i32) -> Vec<&Value> {
        self.about("life", pid)
    }

    /// The one life of a process whose pid was not used twice.
    pub(super) fn life(&self, pid: i32) -> &Value {
        self.one("life", pid)
    }

    pub(super) fn one(&self, kind: &str, pid: i32) -> &Value {
        let about = self.about(kind, pid);
        assert_eq!(about.len(), 1, "of {kind} {pid}: {about:?}; {}", self.said);
        about[0]
    }

    /// Lost events of a class.
    pub(super) fn lost(&self, class: &str) -> u64 {
        let lost = self.all("lost").filter(|record| record["class"] == class);
        lost.map(|record| record["count"].as_u64().unwrap()).sum()
    }

    pub(super) fn nothing_lost(&self) -> bool {
        self.all("lost").next().is_none()
    }

    /// The sums at the end are those of what is there, no process is told twice, and lives say what
    /// the events say.
    pub(super) fn agree(&self) {
        let end = self.end();
        for (sum, kind) in [("events", "exec"), ("forks", "fork"), ("exits", "exit"), ("lives", "life")] {
            assert_eq!(end[sum], self.all(kind).count(), "{kind}: {end}");
        }
        assert_eq!(end["undelivered"], 0, "{end}");
        for kind in ["fork", "exit", "life"] {
            unique(self.all(kind));
        }
        if !self.nothing_lost() {
            return;
        }
        let mut of: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
        for record in &self.records {
            if let (Some(kind), Some(id)) = (record["type"].as_str(), record["id"].as_str()) {
                of.entry((id, kind)).or_default().push(record);
            }
        }
        for life in self.all("life") {
            let id = life["id"].as_str().unwrap();
            let find = |kind| of.get(&(id, kind)).map(Vec::as_slice).unwrap_or_default();
            let born = life["known_from"] == "fork";
            assert_eq!(find("fork").len(), usize::from(born), "{life}");
            for fork in find("fork") {
                for field in ["ppid", "parent_id"] {
                    assert_eq!(life[field], fork[field], "{field}: {life} {fork}");
                }
            }
            let ended = !life["duration_ns"].is_null();
            assert_eq!(find("exit").len(), usize::from(ended), "{life}");
            for exit in find("exit") {
                let fields = "boot_ns uid gid comm duration_ns exit_code signal signal_name core user_ns system_ns \
                              max_rss_bytes minor_faults major_faults read_chars written_chars ancestors";
                for field in fields.split_whitespace() {
                    assert_eq!(life[field], exit[field], "{field}: {life} {exit}");
                }
            }
            let execs = life["execs"].as_array().unwrap();
            assert_eq!(find("exec").len(), execs.len(), "{life}");
            for (attempt, exec) in execs.iter().zip(find("exec")) {
                for field in
                    "boot_ns filename exe interpreter argv argc argv_bytes retval errno".split_whitespace()
                {
                    assert_eq!(attempt[field], exec[field], "{field}: {life} {exec}");
                }
            }
        }
        // What ended has a life.
        let lives: BTreeSet<_> = self.all("life").map(|life| life["id"].as_str()).collect();
        for record in
            self.records.iter().filter(|record| record["type"] == "fork" || record["type"] == "exit")
        {
            assert!(lives.contains(&record["id"].as_str()), "no life: {record}");
        }
    }
}

/// No id is there twice.
pub(super) fn unique<'v>(records: impl Iterator<Item = &'v Value>) {
    let mut seen = BTreeSet::new();
    for record in records {
        let id = record["id"].as_str().unwrap_or_else(|| panic!("no id: {record}"));
        assert!(seen.insert(id), "told twice: {record}");
    }
}

/// proc(5), field 22 of /proc/self/stat.
fn start_of_self() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(19).unwrap().parse().unwrap()
}

/// The ids of a record's ancestors; the chain is whole.
pub(super) fn ancestors(record: &Value) -> Vec<&str> {
    assert!(record["missing"]["ancestors"].is_null(), "{record}");
    assert!(record["cut"]["ancestors"].is_null(), "{record}");
    let chain = record["ancestors"].as_array().unwrap_or_else(|| panic!("no ancestors: {record}"));
    chain.iter().map(|ancestor| ancestor["id"].as_str().unwrap()).collect()
}
