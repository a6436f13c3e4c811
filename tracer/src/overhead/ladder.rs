//! What is left out, in which order: fields that an event can do without, then events.

use tracer_common::{Class, Shed, shed};

/// What each bit of [`Shed::fields`] is called, in the order in which they are left out.
pub const FIELDS: [(u32, &str); 4] =
    [(shed::ENV, "env"), (shed::LONG_ARGV, "long_argv"), (shed::CWD, "cwd"), (shed::IDS, "ids")];

/// How often a class is halved: at the end one of 1,024 events is shown.
const HALVINGS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Field(u32),
    /// Half of what was shown of the class.
    Halve(Class),
}

/// What a run can leave out, step by step. At level n the first n steps are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    steps: Vec<Step>,
}

impl Ladder {
    /// Of these fields (bits of [`shed`]) and classes; forks are halved first, executions last.
    pub fn new(fields: u32, classes: &[Class]) -> Self {
        let fields = FIELDS.iter().filter(|(bit, _)| fields & bit != 0).map(|(bit, _)| Step::Field(*bit));
        let order = [Class::Fork, Class::Exit, Class::Event];
        let classes = order.iter().filter(|class| classes.contains(class));
        let halvings = classes.flat_map(|class| std::iter::repeat_n(Step::Halve(*class), HALVINGS));
        Self { steps: fields.chain(halvings).collect() }
    }

    /// The highest level.
    pub fn top(&self) -> usize {
        self.steps.len()
    }

    /// What is left out at a level.
    pub fn shed(&self, level: usize) -> Shed {
        let mut out = Shed { sample: [1; 4], ..Shed::default() };
        for step in self.steps.iter().take(level) {
            match step {
                Step::Field(bit) => out.fields |= bit,
                Step::Halve(class) => out.sample[*class as usize] *= 2,
            }
        }
        out
    }
}
