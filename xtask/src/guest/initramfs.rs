//! A guest's whole file system: init, its job, a tiny userland, and the files that the job needs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cpio::Archive;
use super::job;
use crate::setup::bpf;

/// Folders that a program may expect, besides those of the files. `/proc` and the like are mount
/// points, `/tmp` becomes a tmpfs.
const FOLDERS: [&str; 19] = [
    "bin",
    "sbin",
    "usr",
    "usr/bin",
    "usr/sbin",
    "lib",
    "lib64",
    "etc",
    "dev",
    "proc",
    "sys",
    "tmp",
    "run",
    "var",
    "var/tmp",
    "root",
    "home",
    "home/user",
    "mnt",
];

const ETC: [(&str, &str); 5] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
         user:x:1000:1000:user:/home/user:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\ndaemon:x:1:\nuser:x:1000:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost guest\n"),
    ("etc/hostname", "guest\n"),
    ("etc/os-release", "NAME=guest\nID=guest\n"),
];

/// A file of the host's and its place in the guest (absolute).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestFile {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
}

/// A folder of the host's, with all that is in it, and its place in the guest (absolute). Links stay links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestTree {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
}

/// Writes the archive to `out`.
pub(crate) fn write(
    out: &Path,
    init: &Path,
    job: &job::Job,
    busybox: &Path,
    files: &[GuestFile],
    trees: &[GuestTree],
) -> Result<()> {
    let file = File::create(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut image = Image { archive: Archive::new(BufWriter::new(file)), there: BTreeSet::new() };
    for folder in FOLDERS {
        image.folder(folder, if matches!(folder, "tmp" | "var/tmp") { 0o1777 } else { 0o755 })?;
    }
    // Init's own standard streams, which the kernel opens before anything is mounted.
    image.archive.device("dev/console", 5, 1)?;
    image.file("init", 0o755, &read(init)?)?;
    image.file(job::PATH.trim_start_matches('/'), 0o600, &job.encode())?;
    for (name, content) in ETC {
        image.file(name, 0o644, content.as_bytes())?;
    }
    for file in files {
        image.copy(file)?;
    }
    for tree in trees {
        let name = tree.guest.trim_start_matches('/');
        image.parents(&format!("{name}/"))?;
        image.tree(&tree.host, name)?;
    }
    image.file("bin/busybox", 0o755, &read(busybox)?)?;
    for applet in applets(busybox)? {
        image.applet(&applet)?;
    }
    image.archive.finish().with_context(|| format!("cannot write {}", out.display()))?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

struct Image {
    archive: Archive<BufWriter<File>>,
    there: BTreeSet<String>,
}

impl Image {
    fn folder(&mut self, name: &str, permissions: u32) -> Result<()> {
        if self.there.insert(name.to_owned()) {
            self.archive.folder(name, permissions)?;
        }
        Ok(())
    }

    fn parents(&mut self, name: &str) -> Result<()> {
        for (at, _) in name.match_indices('/') {
            self.folder(&name[..at], 0o755)?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, permissions: u32, content: &[u8]) -> Result<()> {
        if self.there.insert(name.to_owned()) {
            self.parents(name)?;
            self.archive
                .file(name, permissions, content)
                .with_context(|| format!("cannot put /{name} into the initramfs"))?;
        }
        Ok(())
    }

    fn copy(&mut self, file: &GuestFile) -> Result<()> {
        let name = file.guest.trim_start_matches('/');
        let permissions = fs::metadata(&file.host)
            .with_context(|| format!("cannot read {}", file.host.display()))?
            .permissions()
            .mode();
        self.file(name, permissions & 0o7777, &read(&file.host)?)
    }

    /// All that is in a folder, into the guest's folder `name`, which is there.
    fn tree(&mut self, folder: &Path, name: &str) -> Result<()> {
        let shown = || format!("cannot read {}", folder.display());
        let mut entries =
            fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(shown)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let file_name = entry.file_name();
            let inner = file_name.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
            let inner = format!("{name}/{inner}");
            let meta = entry.metadata().with_context(shown)?;
            if meta.is_symlink() {
                let destination = fs::read_link(&path).with_context(shown)?;
                let destination =
                    destination.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
                if self.there.insert(inner.clone()) {
                    self.archive.link(&inner, destination)?;
                }
            } else if meta.is_dir() {
                self.folder(&inner, meta.permissions().mode() & 0o7777)?;
                self.tree(&path, &inner)?;
            } else if meta.is_file() {
                self.copy(&GuestFile { host: path, guest: inner })?;
            }
        }
        Ok(())
    }

    /// A link to busybox, unless a file of that name was given.
    fn applet(&mut self, name: &str) -> Result<()> {
        if self.there.insert(name.to_owned()) {
            self.parents(name)?;
            self.archive.link(name, "/bin/busybox")?;
        }
        Ok(())
    }
}

/// The paths of busybox's applets, without the leading slash. It is static: the host runs it.
fn applets(busybox: &Path) -> Result<Vec<String>> {
    let output = Command::new(busybox)
        .arg("--list-full")
        .output()
        .with_context(|| format!("cannot run {}", busybox.display()))?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(list.lines().filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// A program of the host's with all shared libraries it is linked with, each at its own path.
///
/// # Errors
/// `ldd` does not know one of them.
pub(crate) fn with_libraries(program: &Path) -> Result<Vec<GuestFile>> {
    let output = Command::new("ldd").arg(program).output().context("cannot run ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = text.lines().find(|line| line.ends_with("not found")) {
        bail!("{} misses a library: {}", program.display(), line.trim());
    }
    let same =
        |path: &Path| GuestFile { host: path.to_path_buf(), guest: path.to_string_lossy().into_owned() };
    let mut files = vec![same(program)];
    files.extend(bpf::libraries(&text).iter().map(|path| same(path)));
    Ok(files)
}
