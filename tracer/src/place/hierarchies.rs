//! Which hierarchies of cgroup v1 tell where a process is.

use tracer_common::V1_HIERARCHIES;

/// Controllers that container runtimes use, the most telling first: all of them have the same groups, but a runtime
/// leaves out what a host lacks.
const CONTROLLERS: [&str; 9] =
    ["memory", "pids", "cpu", "devices", "blkio", "cpuset", "freezer", "net_cls", "perf_event"];

/// The numbers of the hierarchies to look at beside v2, 0 for none, out of the text of a /proc/PID/cgroup
/// (cgroups(7)): first one with a controller, which runtimes use; second the named one of systemd, which has the units.
pub fn hierarchies(text: &str) -> [u32; V1_HIERARCHIES] {
    let lines = || text.lines().filter_map(line);
    let with = |wanted: &str| {
        lines().find(|(_, names)| names.split(',').any(|name| name == wanted)).map(|(number, _)| number)
    };
    [CONTROLLERS.iter().find_map(|name| with(name)).unwrap_or(0), with("name=systemd").unwrap_or(0)]
}

/// `NUMBER:CONTROLLERS:PATH`: the first two, if it is one of v1.
fn line(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.split_once(':')?;
    let (names, _) = rest.split_once(':')?;
    let number = number.parse().ok()?;
    (number != 0).then_some((number, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found() {
        for (text, expected) in [
            ("0::/init.scope\n", [0, 0]),
            ("", [0, 0]),
            ("nonsense\n:::\n0:memory:/\n-1:memory:/\n", [0, 0]),
            // A host of v1 alone.
            (
                "12:hugetlb:/\n11:cpu,cpuacct:/\n10:memory:/user.slice\n9:pids:/\n2:rdma:/\n1:name=systemd:/a\n0::/a\n",
                [10, 1],
            ),
            // Memory is v2's already.
            ("4:cpu,cpuacct:/\n3:pids:/\n1:name=systemd:/\n0::/\n", [3, 1]),
            ("7:net_cls,net_prio:/\n0::/\n", [7, 0]),
            // Nobody puts containers here.
            ("5:misc:/\n4:name=elogind:/\n0::/\n", [0, 0]),
            // A path with colons.
            ("1:name=systemd:/a:memory:b\n0::/\n", [0, 1]),
        ] {
            assert_eq!(hierarchies(text), expected, "{text}");
        }
    }
}
