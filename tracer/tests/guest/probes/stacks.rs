//! Stacks, with callers that are known.

use tracer::plan::probe::{Ends, Place, Stacks};

use super::{
    hit::all,
    run::{Host, argument, point, result, run, sink, write},
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![Test::one("probes::stacks::of_both_sides", 60, of_both_sides)]
}

fn of_both_sides() {
    let host = Host::new();
    let mut ways = host.ways("vfs_write", 4);
    ways.push(("syscall", Place::Syscall { name: "write".to_owned(), number: libc::SYS_write as u32 }));
    for (way, place) in ways {
        for ends in [Ends::Entry, Ends::Both] {
            let mut run = run(vec![point(place.clone(), ends, &[argument(2), result()])]);
            run.stacks = Stacks { kernel: true, user: true };
            let mut attached = host.start(&run);
            let fd = sink();
            assert_eq!(write(fd, [0; 3].as_ptr(), 3), 3);
            let hits = all(&mut attached);
            let [hit] = hits.as_slice() else { panic!("{way}: {} hits", hits.len()) };
            assert_eq!(hit.number(0), 3, "{way}");
            let names: Vec<_> = hit.kernel_stack.iter().map(|at| host.symbol(*at)).collect();
            let wanted: &[&str] =
                if way == "syscall" { &["do_syscall_64"] } else { &["ksys_write", "do_syscall_64"] };
            for caller in wanted {
                assert!(names.iter().any(|name| name == caller), "{way}, {ends:?}: {names:?}");
            }
            // Where the call was made: in libc's function for system calls of any number.
            let caller = libc::syscall as *const () as u64;
            let first = hit.user_stack.first().copied().unwrap_or_default();
            assert!((caller..caller + 256).contains(&first), "{way}, {ends:?}: {:x?}", hit.user_stack);
        }
    }
}
