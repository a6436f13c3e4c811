//! A simulated world: processes that fork, exec and end, with pids that are soon used again, and what a kernel side
//! would tell of them, on several CPUs, with losses and a snapshot in the middle.
//!
//! It shares nothing with the table: it knows each process' whole history, and what was told of it.

use tracer_common::{Alive, AliveEnd, Exit, Fork, Header, Hook};

use crate::event::{
    ProcessId,
    simulate::{self, SimulatedExec},
};

/// One of so many pids that each is used again soon.
const PIDS: u32 = 24;

/// Numbers that look random.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn one_in(&mut self, chance: usize) -> bool {
        chance > 0 && self.below(chance) == 0
    }
}

/// Everything that is true of one process.
#[derive(Clone, Debug)]
pub(super) struct Being {
    pub(super) id: ProcessId,
    pub(super) birth_parent: usize,
    /// The parent now: another one after its own ended.
    pub(super) parent: usize,
    pub(super) comm: String,
    pub(super) exe: String,
    /// Of its birth: name and executable.
    pub(super) born: (String, String),
    /// (boot time, argument, success): what succeeds is called `cTIME`, and lies in /bin.
    pub(super) execs: Vec<(u64, String, bool)>,
    pub(super) ended: Option<u64>,
    /// What was told, and when.
    pub(super) told: Told,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) fork: bool,
    pub(super) alive: bool,
    pub(super) exit: bool,
    /// Of the execs that were told: their places in `execs`.
    pub(super) execs: Vec<usize>,
}

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Fork,
    Exec(usize),
    Exit,
    Alive,
    AliveEnd,
    /// So many events were lost: no record.
    Lost,
}

/// A record, and the process that it is of.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) being: usize,
    /// Its parent at that time; and of a fork, who made it.
    pub(super) parent: usize,
    pub(super) maker: usize,
    pub(super) records: Vec<Vec<u8>>,
    /// Events happen in this order; those of different processes may be told in another.
    pub(super) at: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Odds {
    /// One event in so many is lost; 0: none.
    pub(super) lost: usize,
    /// How far an event may overtake others of other CPUs.
    pub(super) shuffle: usize,
    pub(super) steps: usize,
}

/// A world, and what was told of it.
pub(super) struct World {
    pub(super) beings: Vec<Being>,
    /// In the order in which it is told.
    pub(super) steps: Vec<Step>,
    pub(super) living: Vec<usize>,
    pub(super) shuffled: bool,
    now: u64,
    random: Random,
    traced: bool,
    next_pid: u32,
}

fn comm_bytes(comm: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..comm.len()].copy_from_slice(comm.as_bytes());
    bytes
}

fn parts(path: &str) -> Vec<Vec<u8>> {
    path.split('/').skip(1).map(|part| part.as_bytes().to_vec()).collect()
}

impl Being {
    /// Its name and its executable at a time.
    pub(super) fn at(&self, at: u64) -> (String, String) {
        let last = self.execs.iter().rfind(|(time, _, succeeded)| *time <= at && *succeeded);
        last.map_or(self.born.clone(), |(time, ..)| (format!("c{time}"), format!("/bin/c{time}")))
    }
}

impl World {
    /// Lives through so much, and tells it.
    pub(super) fn new(seed: u64, odds: Odds) -> Self {
        let init = Being {
            id: ProcessId { pid: 1, start_ns: 5 },
            birth_parent: 0,
            parent: 0,
            comm: "init".into(),
            exe: "/sbin/init".into(),
            born: ("init".into(), "/sbin/init".into()),
            execs: Vec::new(),
            ended: None,
            told: Told::default(),
        };
        let mut world = Self {
            beings: vec![init],
            steps: Vec::new(),
            living: vec![0],
            shuffled: odds.shuffle > 0,
            now: 10,
            random: Random(seed | 1),
            traced: false,
            next_pid: 2,
        };
        for _ in 0..odds.steps / 4 {
            world.step(odds);
        }
        world.traced = true;
        for _ in 0..odds.steps / 8 {
            world.step(odds);
        }
        world.snapshot(odds);
        for _ in 0..odds.steps {
            world.step(odds);
        }
        world.shuffle(odds.shuffle);
        world
    }

    fn header(&self, tid: u32) -> Header {
        Header { hook: Hook::Fentry as u16, tid, boot_ns: self.now, seq: 1, ..Header::default() }
    }

    fn step(&mut self, odds: Odds) {
        self.now += 10;
        let being = self.living[self.random.below(self.living.len())];
        match self.random.below(10) {
            0..4 => self.fork(being, odds),
            4..7 => self.exec(being, odds),
            _ if being != 0 => self.exit(being, odds),
            _ => {}
        }
    }

    fn free_pid(&mut self) -> Option<u32> {
        for _ in 0..PIDS {
            self.next_pid = if self.next_pid > PIDS { 2 } else { self.next_pid + 1 };
            let pid = self.next_pid;
            if self.living.iter().all(|being| self.beings[*being].id.pid != pid) {
                return Some(pid);
            }
        }
        None
    }

    fn fork(&mut self, maker: usize, odds: Odds) {
        let Some(pid) = self.free_pid() else { return };
        // CLONE_PARENT: a sibling, not a child.
        let parent = if maker != 0 && self.random.one_in(10) { self.beings[maker].parent } else { maker };
        let id = ProcessId { pid, start_ns: self.now };
        let (comm, exe) = (self.beings[maker].comm.clone(), self.beings[maker].exe.clone());
        let child = self.beings.len();
        self.beings.push(Being {
            id,
            birth_parent: parent,
            parent,
            comm: comm.clone(),
            exe: exe.clone(),
            born: (comm.clone(), exe),
            execs: Vec::new(),
            ended: None,
            told: Told::default(),
        });
        self.living.push(child);
        let maker_id = self.beings[maker].id;
        let parent = self.beings[parent].id;
        let fork = Fork {
            header: self.header(maker_id.pid),
            start_ns: id.start_ns,
            parent_start_ns: parent.start_ns,
            pid,
            ppid: parent.pid,
            maker: maker_id.pid,
            comm: comm_bytes(&comm),
            ..Fork::default()
        };
        self.tell((child, maker), What::Fork, vec![simulate::fork_record(fork)], odds);
    }

    fn exec(&mut self, being: usize, odds: Odds) {
        let succeeds = !self.random.one_in(4);
        let number = self.now;
        let parent = self.beings[self.beings[being].parent].clone();
        let process = &mut self.beings[being];
        process.execs.push((number, format!("arg{number}"), succeeds));
        if succeeds {
            process.comm = format!("c{number}");
            process.exe = format!("/bin/c{number}");
        }
        let mut exec = SimulatedExec::example();
        exec.argv = vec![format!("arg{number}").into_bytes()];
        exec.exe = parts(&process.exe);
        let (id, comm, place) = (process.id, comm_bytes(&process.comm), process.execs.len() - 1);
        exec.exec.header = self.header(id.pid);
        (exec.exec.pid, exec.exec.start_ns) = (id.pid, id.start_ns);
        let no_parent = being == 0;
        (exec.exec.ppid, exec.exec.parent_start_ns) =
            if no_parent { (0, 0) } else { (parent.id.pid, parent.id.start_ns) };
        exec.exec.comm = comm;
        exec.exec.parent_comm = comm_bytes(&parent.comm);
        exec.exec.retval = if succeeds { 0 } else { -2 };
        self.tell((being, being), What::Exec(place), exec.records(), odds);
    }

    fn exit(&mut self, being: usize, odds: Odds) {
        self.living.retain(|living| *living != being);
        self.beings[being].ended = Some(self.now);
        let (process, parent) = (self.beings[being].clone(), self.beings[self.beings[being].parent].id);
        for child in self.living.clone() {
            if self.beings[child].parent == being {
                self.beings[child].parent = 0;
            }
        }
        let exit = Exit {
            header: self.header(process.id.pid),
            start_ns: process.id.start_ns,
            parent_start_ns: parent.start_ns,
            pid: process.id.pid,
            ppid: parent.pid,
            comm: comm_bytes(&process.comm),
            ..Exit::default()
        };
        self.tell((being, being), What::Exit, vec![simulate::exit_record(exit)], odds);
    }

    /// In the order of the pids, while the world goes on.
    fn snapshot(&mut self, odds: Odds) {
        for pid in 1..=PIDS + 1 {
            let found = self.living.iter().copied().find(|being| self.beings[*being].id.pid == pid);
            if let Some(being) = found {
                let process = self.beings[being].clone();
                let parent = self.beings[process.parent].id;
                let (ppid, parent_start_ns) = if being == 0 { (0, 0) } else { (parent.pid, parent.start_ns) };
                let alive = Alive {
                    header: self.header(0),
                    start_ns: process.id.start_ns,
                    parent_start_ns,
                    pid,
                    ppid,
                    comm: comm_bytes(&process.comm),
                    ..Alive::default()
                };
                let record = simulate::alive_record(alive, &parts(&process.exe));
                self.now += 1;
                self.tell((being, being), What::Alive, vec![record], Odds { lost: 0, ..odds });
            }
            for _ in 0..self.random.below(4) {
                self.step(odds);
            }
        }
        let end = simulate::alive_end_record(AliveEnd::default());
        let (records, at) = (vec![end], self.now);
        self.steps.push(Step { what: What::AliveEnd, being: 0, parent: 0, maker: 0, records, at });
    }

    fn tell(&mut self, (being, maker): (usize, usize), what: What, records: Vec<Vec<u8>>, odds: Odds) {
        if !self.traced {
            return;
        }
        let (parent, at) = (self.beings[being].parent, self.now);
        let told = &mut self.beings[being].told;
        if self.random.one_in(odds.lost) {
            let records = Vec::new();
            self.steps.push(Step { what: What::Lost, being, parent, maker, records, at });
            return;
        }
        match what {
            What::Fork => told.fork = true,
            What::Exec(place) => told.execs.push(place),
            What::Exit => told.exit = true,
            What::Alive => told.alive = true,
            What::AliveEnd | What::Lost => {}
        }
        self.steps.push(Step { what, being, parent, maker, records, at });
    }

    /// Events overtake each other, but never an exec or exit another one of the same process: they happen one after
    /// the other on whatever CPU. A fork is of another process' making: it may be late.
    fn shuffle(&mut self, most: usize) {
        if most == 0 {
            return;
        }
        for at in 1..self.steps.len() {
            let mut to = at;
            for _ in 0..self.random.below(most) {
                if to == 0 || !may_swap(&self.steps[to - 1], &self.steps[to]) {
                    break;
                }
                self.steps.swap(to - 1, to);
                to -= 1;
            }
        }
    }
}

fn may_swap(earlier: &Step, later: &Step) -> bool {
    let whole = |what| matches!(what, What::AliveEnd | What::Lost | What::Alive);
    let own = |what| matches!(what, What::Exec(_) | What::Exit);
    if whole(earlier.what) || whole(later.what) {
        return false;
    }
    // What a process executes when it makes a child has been told.
    if matches!(earlier.what, What::Exec(_)) && later.what == What::Fork && later.maker == earlier.being {
        return false;
    }
    !(earlier.being == later.being && own(earlier.what) && own(later.what))
}
