//! What tracer does while it runs and when it ends, as its users see it: loss, storms, ends,
//! privilege, filters, mistakes.

mod command;
mod ends;
mod filters;
mod gate;
mod kernel;
pub(crate) mod live;
mod loss;
mod mistakes;
mod overhead;
mod privilege;
mod ptrace;
mod stall;
pub(crate) mod storm;
pub(crate) mod tiny;
mod waiting;

use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    let areas = [
        gate::tests(),
        mistakes::tests(),
        privilege::tests(),
        filters::tests(),
        command::tests(),
        ends::tests(),
        loss::tests(),
        storm::tests(),
        overhead::tests(),
    ];
    areas.into_iter().flatten().collect()
}
