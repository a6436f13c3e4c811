//! Command lines, good and bad: what they mean, and what is said about them, to the letter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::path::PathBuf;

use expect_test::{Expect, expect, expect_file};
use tracer::cli::{self, ExecConfig, Invocation, StatsWanted, Stdout, World};
use tracer::enrich::CgroupError;
use tracer::event::{Cgroup, EnvWanted};
use tracer::overhead::Share;
use tracer::sink::{Colour, Format};

struct Host {
    stdout: Stdout,
}

impl World for Host {
    fn page_size(&self) -> u64 {
        4096
    }
    fn stdout(&self) -> Stdout {
        self.stdout
    }
    fn wants_plain(&self) -> bool {
        false
    }
    fn uid_of(&self, name: &str) -> Option<u32> {
        (name == "www-data").then_some(33)
    }
    fn user_names(&self) -> Vec<String> {
        vec!["root".into(), "www-data".into()]
    }
    fn process_exists(&self, pid: u32) -> bool {
        pid < 1000
    }
    fn cgroup(&self, spec: &OsStr) -> Result<Cgroup, CgroupError> {
        let mount = PathBuf::from("/sys/fs/cgroup");
        match spec.to_str() {
            Some("system.slice") => Ok(Cgroup { path: mount.join("system.slice"), id: 42, level: 1 }),
            _ => Err(CgroupError::NoDirectory(mount)),
        }
    }
}

fn resolve(words: &[&str], stdout: Stdout) -> Result<ExecConfig, String> {
    let words = ["tracer", "exec"].iter().chain(words);
    match cli::parse(words) {
        Ok(Invocation::Exec(args)) => {
            ExecConfig::resolve(*args, &Host { stdout }).map_err(|error| error.to_string())
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            Err(error.to_string())
        }
    }
}

/// A mistake and its message.
fn refused(words: &[&str], message: &Expect) {
    message.assert_eq(&resolve(words, Stdout::Terminal).unwrap_err());
}

fn taken(words: &[&str]) -> ExecConfig {
    resolve(words, Stdout::Terminal).unwrap()
}

#[test]
fn words_are_taken_at_their_meaning() {
    let config = taken(&[
        "--pid",
        "1,2",
        "--pid=3",
        "--uid",
        "www-data",
        "--uid",
        "5",
        "--comm",
        "sh",
        "--failed",
        "--cgroup",
        "system.slice",
        "--env",
        "A",
        "--env",
        "B",
        "--buffer",
        "64K",
        "-vv",
        "--format",
        "json",
        "-o",
        "x",
    ]);
    assert_eq!(config.filters.pids, [1, 2, 3]);
    assert_eq!(config.filters.uids, [33, 5]);
    assert_eq!(config.filters.cgroup.unwrap().id, 42);
    assert_eq!(config.env, EnvWanted::Named(vec![b"A".to_vec(), b"B".to_vec()]));
    assert_eq!((config.buffer_bytes, config.verbosity), (65536, 2));
    assert_eq!(config.output, cli::Output::File("x".into()));
    assert_eq!(config.notes, Vec::<String>::new());
    assert_eq!((config.stats, config.max_overhead), (StatsWanted::Never, None));
    let config = taken(&["--stats", "--max-overhead", "0.5%"]);
    assert_eq!((config.stats, config.max_overhead), (StatsWanted::AtEnd, Some(Share::from_ppm(5_000))));
    let config = taken(&["--stats=10s", "--", "ls"]);
    assert_eq!(config.stats, StatsWanted::Every(std::time::Duration::from_secs(10)));
    let config = taken(&["--propagate-status", "--", "ls", "--pid", "--", "-v"]);
    assert_eq!(config.command().unwrap(), ["ls", "--pid", "--", "-v"]);
    assert_eq!(config.status, cli::StatusPolicy::Command);
}

#[test]
fn places_are_looked_at_when_they_are_shown_or_wanted() {
    let places = |words: &[&str], stdout| {
        let config = resolve(words, stdout).unwrap();
        let of = |list: &[String]| list.join(",");
        config.places.map(|_| (of(&config.filters.containers), of(&config.filters.units)))
    };
    let asked = |containers: &str, units: &str| Some((containers.to_owned(), units.to_owned()));
    assert_eq!(places(&[], Stdout::Terminal), None);
    assert_eq!(places(&["--place"], Stdout::Terminal), asked("", ""));
    assert_eq!(places(&["--place=never"], Stdout::Other), None);
    assert_eq!(places(&[], Stdout::Other), asked("", ""));
    let words = ["--unit", "nginx", "--unit=user-*", "--container", "docker:*"];
    assert_eq!(places(&words, Stdout::Terminal), asked("docker:*", "nginx.service,user-*"));
    // The command is no value of --place.
    let config = taken(&["--place", "--", "ls"]);
    assert_eq!(config.command().unwrap(), ["ls"]);
}

#[test]
fn mistakes_about_places_are_told() {
    refused(
        &["--container", ""],
        &expect![[r#"
        error: invalid value '' for '--container <ID|NAME>': an empty id: '*' stands for any container

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--container", "dokcer:x"],
        &expect![[r#"
        error: invalid value 'dokcer:x' for '--container <ID|NAME>': there is no runtime 'dokcer': before the ':' goes one of docker, containerd, cri-o, podman, systemd-nspawn, lxc

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--container", "3c5f*"],
        &expect![[r#"
        error: invalid value '3c5f*' for '--container <ID|NAME>': an id has no '*': its beginning is enough

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--container", "/docker/3c5f"],
        &expect![[r#"
        error: invalid value '/docker/3c5f' for '--container <ID|NAME>': an id or a name has no '/': for a path of a control group there is --cgroup

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--unit", ""],
        &expect![[r#"
        error: invalid value '' for '--unit <UNIT>': an empty name: '*' stands for any unit

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--unit", "system.slice/nginx.service"],
        &expect![[r#"
        error: invalid value 'system.slice/nginx.service' for '--unit <UNIT>': a unit's name has no '/': for a path of a control group there is --cgroup

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--unit", "backup.timer"],
        &expect![[r#"
        error: invalid value 'backup.timer' for '--unit <UNIT>': a timer has no processes: name the unit that it starts, as backup.service

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--unit", "x[a"],
        &expect![[r#"
        error: invalid value 'x[a' for '--unit <UNIT>': a '[' has no ']'

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--place", "never"],
        &expect![[r#"
        error: unexpected argument 'never' found

          tip: to trace a command, put it after '--': tracer exec -- never

        Usage: tracer exec [OPTIONS] [-- <CMD>...]

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--place=never", "--unit", "nginx"],
        &expect![[r#"
        error: --place=never and --unit exclude each other: an event whose place could not be told has to say so

          tip: leave out --place=never, or --unit

        For more information, try '--help'."#]],
    );
}

#[test]
fn the_table_is_for_terminals() {
    let form = |words: &[&str], stdout| {
        let config = resolve(words, stdout).unwrap();
        (config.format, config.colour)
    };
    assert_eq!(form(&[], Stdout::Terminal), (Format::Table, Colour::Ansi));
    assert_eq!(form(&[], Stdout::Other), (Format::Json, Colour::None));
    assert_eq!(form(&["-o", "x"], Stdout::Terminal), (Format::Json, Colour::None));
    assert_eq!(form(&["-o", "-"], Stdout::Terminal), (Format::Table, Colour::Ansi));
    assert_eq!(form(&["--color", "never"], Stdout::Terminal), (Format::Table, Colour::None));
    assert_eq!(
        form(&["--color", "always", "--format", "table"], Stdout::Other),
        (Format::Table, Colour::Ansi)
    );
}

#[test]
fn what_is_adjusted_is_said() {
    let notes = |words: &[&str], expected: Expect| {
        expected.assert_eq(&taken(words).notes.join("\n"));
    };
    notes(
        &["--buffer", "100K"],
        expect![
            "--buffer 100 KiB is rounded up to 128 KiB: the kernel takes powers of two of its pages (4 KiB), and an event's parts need 32 KiB"
        ],
    );
    notes(
        &["--buffer", "1"],
        expect![
            "--buffer 1 byte is rounded up to 32 KiB: the kernel takes powers of two of its pages (4 KiB), and an event's parts need 32 KiB"
        ],
    );
    notes(
        &["--pid", "1,4000"],
        expect!["--pid 4000: there is no such process now; it is traced if one gets that id"],
    );
    notes(
        &["--container", "web"],
        expect![
            "--container web: finds LXC and systemd-nspawn containers of that name; others are known by their ids, as 'docker inspect -f {{.Id}} web' tells them"
        ],
    );
    notes(&["--container", "lxc:web", "--container", "cafe"], expect![""]);
    notes(&["--env", "*"], expect!["the table does not show the environment: add --format json"]);
    assert_eq!(taken(&["--buffer", "100K"]).buffer_bytes, 128 << 10);
    assert_eq!(taken(&["--buffer", "1GiB"]).buffer_bytes, 1 << 30);
}

#[test]
fn mistakes_of_syntax_are_told() {
    refused(
        &["--pidd", "1"],
        &expect![[r#"
        error: unexpected argument '--pidd' found

          tip: a similar argument exists: '--pid'
          tip: to pass '--pidd' as a value, use '-- --pidd'

        Usage: tracer exec --pid <PID> [-- <CMD>...]

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--hook", "kprob"],
        &expect![[r#"
        error: invalid value 'kprob' for '--hook <HOOK>'
          [possible values: auto, fentry, kprobe, tracepoint]

          tip: a similar value exists: 'kprobe'

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--format", "xml"],
        &expect![[r#"
            error: invalid value 'xml' for '--format <FORMAT>'
              [possible values: table, json, tree]

            For more information, try '--help'.
        "#]],
    );
    refused(
        &["--max-overhead", "0.01%"],
        &expect![[r#"
        error: invalid value '0.01%' for '--max-overhead <PERCENT>': less than can be kept: the least is 0.1%

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--max-overhead", "much"],
        &expect![[r#"
        error: invalid value 'much' for '--max-overhead <PERCENT>': expected a percentage from 0.1% to 100%, such as 1%

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--max-processes", "0"],
        &expect![[r#"
        error: invalid value '0' for '--max-processes <N>': expected a number from 16 to 4294967295

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--stats=10"],
        &expect![[r#"
        error: invalid value '10' for '--stats[=<INTERVAL>]': no unit: write 10s for seconds

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--pid", "x"],
        &expect![[r#"
        error: invalid value 'x' for '--pid <PID>': expected a process id, a number such as 1234

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--pid", "0"],
        &expect![[r#"
        error: invalid value '0' for '--pid <PID>': 0 is the idle task, which executes nothing

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--pid", "99999999"],
        &expect![[r#"
        error: invalid value '99999999' for '--pid <PID>': Linux has no process ids above 4194304

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--comm", "a-name-of-17-byte"],
        &expect![[r#"
        error: invalid value 'a-name-of-17-byte' for '--comm <NAME>': 17 bytes, but the kernel keeps the first 15 of a process' name: try 'a-name-of-17-by'

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--comm", ""],
        &expect![[r#"
        error: invalid value '' for '--comm <NAME>': a process' name is not empty

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--env", "A=b"],
        &expect![[r#"
        error: invalid value 'A=b' for '--env <NAME>': a name has no '=': try 'A', or '*' for all

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--buffer", "8X"],
        &expect![[r#"
        error: invalid value '8X' for '--buffer <SIZE>': expected a size such as 65536, 64K, 8M or 1GiB

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--duration", "10"],
        &expect![[r#"
        error: invalid value '10' for '--duration <TIME>': no unit: write 10s for seconds

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--duration", "0s"],
        &expect![[r#"
        error: invalid value '0s' for '--duration <TIME>': no time at all: nothing would be traced

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--count", "0"],
        &expect![[r#"
        error: invalid value '0' for '--count <N>': 0 events: nothing would be traced; leave it out to go on

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--max-args", "0"],
        &expect![[r#"
        error: invalid value '0' for '--max-args <N>': 0 would show nothing: leave it out to show all

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["--max-bytes", "many"],
        &expect![[r#"
        error: invalid value 'many' for '--max-bytes <N>': expected a number from 1 to 4294967295

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["ls"],
        &expect![[r#"
            error: unexpected argument 'ls' found

              tip: to trace a command, put it after '--': tracer exec -- ls

            Usage: tracer exec [OPTIONS] [-- <CMD>...]

            For more information, try '--help'.
        "#]],
    );
    refused(
        &["--failed", "--failed"],
        &expect![[r#"
        error: the argument '--failed' cannot be used multiple times

        Usage: tracer exec [OPTIONS] [-- <CMD>...]

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn mistakes_of_meaning_are_told() {
    refused(
        &["--pid", "1", "--", "ls"],
        &expect![[r#"
        error: --pid and '-- CMD' exclude each other: '-- CMD' traces that command and its descendants, and nothing else

          tip: leave out '-- CMD' to trace a process that runs already, or --pid to trace CMD

        For more information, try '--help'."#]],
    );
    refused(
        &["--tree", "1", "--", "ls"],
        &expect![[r#"
        error: --tree and '-- CMD' exclude each other: '-- CMD' traces that command and its descendants, and nothing else

          tip: leave out '-- CMD' to trace a tree that exists already, or --tree to trace CMD's

        For more information, try '--help'."#]],
    );
    refused(
        &["--tree", "4000"],
        &expect![[r#"
        error: --tree 4000: there is no such process, and nothing descends from it

          tip: 'ps -e' lists the processes; '-- CMD' starts one and traces its tree

        For more information, try '--help'."#]],
    );
    refused(
        &["--uid", "ww-data"],
        &expect![[r#"
        error: --uid ww-data: /etc/passwd has no user of that name

          tip: did you mean 'www-data'? A number is taken as it is

        For more information, try '--help'."#]],
    );
    refused(
        &["--uid", "zzz"],
        &expect![[r#"
        error: --uid zzz: /etc/passwd has no user of that name

          tip: give the user's number: 'id -u NAME' asks every source of users

        For more information, try '--help'."#]],
    );
    refused(
        &["--uid", "4294967295"],
        &expect![[r#"
        error: --uid 4294967295: the kernel's word for no user at all

          tip: name a user, or give a number up to 4294967294

        For more information, try '--help'."#]],
    );
    refused(
        &["--cgroup", "nosuch"],
        &expect![[r#"
        error: --cgroup nosuch: no such directory under /sys/fs/cgroup

          tip: 'find /sys/fs/cgroup -type d' lists the cgroups

        For more information, try '--help'."#]],
    );
    refused(
        &["--buffer", "0"],
        &expect![[r#"
        error: --buffer 0 bytes: no event fits into it

          tip: a size between 32 KiB and 1 GiB; larger ones lose less when the output is slow

        For more information, try '--help'."#]],
    );
    refused(
        &["--buffer", "2G"],
        &expect![[r#"
        error: --buffer 2 GiB: more than tracer takes from the kernel's memory

          tip: a size between 32 KiB and 1 GiB; larger ones lose less when the output is slow

        For more information, try '--help'."#]],
    );
    refused(
        &["--propagate-status"],
        &expect![[r#"
        error: --propagate-status passes CMD's exit status on, but there is no CMD

          tip: add '-- CMD', or leave it out

        For more information, try '--help'."#]],
    );
    refused(
        &["--", ""],
        &expect![[r#"
        error: CMD is empty: there is no file without a name

          tip: name a program after '--'

        For more information, try '--help'."#]],
    );
}

#[test]
fn mistakes_of_the_command_are_told() {
    let refused = |words: &[&str], message: Expect| {
        let error = cli::parse(words).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        message.assert_eq(&error.to_string());
    };
    refused(
        &["tracer", "exce"],
        expect![[r#"
        error: unrecognized subcommand 'exce'

          tip: a similar subcommand exists: 'exec'

        Usage: tracer <COMMAND>

        For more information, try '--help'.
    "#]],
    );
    refused(
        &["tracer", "completions", "tcsh"],
        expect![[r#"
        error: invalid value 'tcsh' for '<SHELL>'
          [possible values: bash, elvish, fish, powershell, zsh]

          tip: a similar value exists: 'zsh'

        For more information, try '--help'.
    "#]],
    );
    let args = cli::ManArgs { command: Some("exce".into()) };
    let error = cli::man(&args, &mut Vec::new()).unwrap_err();
    expect![[r#"
        error: tracer has no command 'exce'

          tip: did you mean 'exec'?

        For more information, try '--help'."#]]
    .assert_eq(&error.to_string());
}

#[test]
fn help_is_as_committed() {
    let help = |words: &[&str]| cli::parse(words).unwrap_err().to_string();
    expect_file!["cli/help.txt"].assert_eq(&help(&["tracer", "--help"]));
    expect_file!["cli/exec-help.txt"].assert_eq(&help(&["tracer", "exec", "--help"]));
    let version = cli::parse(["tracer", "--version"]).unwrap_err();
    assert_eq!(version.exit_code(), 0);
}

#[test]
fn completions_and_pages_are_generated() {
    let mut page = Vec::new();
    let args = cli::ManArgs { command: Some("exec".into()) };
    cli::man(&args, &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(".TH tracer-exec 1"), "{page}");
    assert!(page.contains("propagate"), "{page}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Ok(Invocation::Completions(args)) = cli::parse(["tracer", "completions", shell]) else {
            panic!("{shell}");
        };
        let mut script = Vec::new();
        cli::completions(&args, &mut script);
        assert!(String::from_utf8(script).unwrap().contains("max-bytes"), "{shell}");
    }
}
