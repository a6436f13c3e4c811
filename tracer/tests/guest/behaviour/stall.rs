//! A reader of tracer's output that stops reading, and may read on later.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    process::{ChildStdout, Stdio},
    thread,
};

use super::live::{self, Ended, Live};

/// A tracer whose standard output is a pipe of which only the first line has been read.
pub(crate) struct Stalled {
    pub(crate) live: Live,
    pipe: ChildStdout,
    start: Vec<u8>,
}

/// Starts `tracer exec --format json ARGS` and reads nothing but the record that tells the start.
pub(crate) fn start<S: AsRef<OsStr>>(args: &[S]) -> Stalled {
    start_as("json", args)
}

/// The same in another format.
pub(crate) fn start_as<S: AsRef<OsStr>>(format: &str, args: &[S]) -> Stalled {
    let folder = live::folder();
    let stderr = folder.join("stderr");
    let mut command = live::program(&["exec", "--format", format]);
    command.args(args);
    command.stdout(Stdio::piped()).stderr(File::create(&stderr).expect("a file under /tmp"));
    let mut child = command.spawn().expect("tracer starts");
    let mut pipe = child.stdout.take().expect("the pipe");
    let mut start = Vec::new();
    let mut byte = [0];
    while start.last() != Some(&b'\n') {
        let n = pipe.read(&mut byte).expect("the pipe can be read");
        assert_eq!(n, 1, "tracer ended: {}", fs::read_to_string(&stderr).unwrap_or_default());
        start.push(byte[0]);
    }
    Stalled { live: Live::new(child, folder.join("stdout"), stderr), pipe, start }
}

impl Stalled {
    /// Reads on: from now on everything goes to a file.
    pub(crate) fn read_on(mut self) -> Live {
        let path = self.live.stdout().to_owned();
        fs::write(&path, &self.start).expect("a file under /tmp");
        let mut file = File::options().append(true).open(&path).expect("the file just written");
        self.live.copied_by(thread::spawn(move || {
            io::copy(&mut self.pipe, &mut file).expect("the output can be copied");
        }));
        self.live
    }

    /// Lets tracer come to its end, and only then reads what there is.
    pub(crate) fn wait_then_read(mut self) -> (Ended, Vec<u8>) {
        let ended = self.live.wait();
        let mut bytes = self.start;
        self.pipe.read_to_end(&mut bytes).expect("the pipe can be read");
        (ended, bytes)
    }

    /// Goes away.
    pub(crate) fn leave(self) -> Live {
        fs::write(self.live.stdout(), &self.start).expect("a file under /tmp");
        self.live
    }
}
