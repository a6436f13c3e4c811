//! Probes as the session attaches them: runs that are built by hand, and records as they come out of the ring. What a
//! test does itself is what it has to see.

mod calls;
mod counts;
mod filters;
mod hit;
mod many;
mod places;
mod run;
mod stacks;

use crate::harness::Test;

pub(crate) use many::hold;

pub(crate) fn tests() -> Vec<Test> {
    let areas =
        [calls::tests(), places::tests(), filters::tests(), counts::tests(), stacks::tests(), many::tests()];
    areas.into_iter().flatten().collect()
}
