//! apt, used in two ways: on the machine itself (needs root), and privately for one suite, with
//! lists and downloads under `target/apt/` (needs nobody's leave, changes nothing of the machine).
//!
//! Signatures are always checked. The network is given three tries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::index::{self, Package};
use super::sources::{self, Source};
use crate::{paths, step};

const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether `name` is a program on the search path.
pub(crate) fn on_path(name: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Whether this machine's packages are apt's.
pub(crate) fn available() -> bool {
    on_path("apt-get")
}

/// Installs packages on the machine: as root, or by sudo where that asks for no password or can.
///
/// # Errors
/// Neither root nor sudo, or apt's own failure.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if is_root() {
        step::say(&format!("apt-get install {list}"));
    } else {
        if !on_path("sudo") {
            bail!(
                "installing {list} needs root, and sudo is not here: as root, run\n  apt-get install {list}"
            );
        }
        step::say(&format!("not root: `sudo apt-get install {list}` (it may ask for your password)"));
        // Asked for here, where the terminal is still the user's; the steps below then go unasked.
        crate::cargo::check(Command::new("sudo").arg("-v"), "sudo -v")?;
    }
    let try_it = || step::run("apt-get install", elevated().arg("install").args(packages));
    if try_it().is_ok() {
        return Ok(());
    }
    retry("apt-get update", || step::run("apt-get update", elevated().arg("update")))?;
    retry("apt-get install", try_it)
}

fn elevated() -> Command {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args([
        "-y",
        "-q",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]);
    command
}

/// Brings the machine's own package lists up to date.
///
/// # Errors
/// apt's own failure, after three tries.
pub(crate) fn update() -> Result<()> {
    retry("apt-get update", || step::run("apt-get update", elevated().arg("update")))
}

/// The version that the machine's own sources offer for a package, if they do.
pub(crate) fn candidate(package: &str) -> Result<Option<String>> {
    let output = Command::new("apt-cache")
        .args(["policy", package])
        .env("LC_ALL", "C")
        .output()
        .context("cannot run apt-cache policy")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    Ok(version.filter(|version| *version != "(none)").map(str::to_owned))
}

fn retry(what: &str, mut action: impl FnMut() -> Result<()>) -> Result<()> {
    for left in (0..TRIES).rev() {
        match action() {
            Err(error) if left > 0 => {
                step::say(&format!("{what} failed, trying again ({left} left): {error:#}"));
                thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
    Ok(())
}

/// One suite of Debian, read privately.
pub(crate) struct Suite {
    name: String,
    folder: PathBuf,
}

impl Suite {
    /// Opens a suite of the machine's mirror, fetching its index unless that was done today.
    ///
    /// # Errors
    /// No such suite there, no network, or a signature that this machine's keys do not verify.
    pub(crate) fn open(name: &str) -> Result<Self> {
        let archives = sources::archives()?;
        let source = if name.ends_with("-security") {
            let missing = || format!("apt's configuration has no security archive for {name}");
            archives.security.with_context(missing)?
        } else {
            archives.main
        };
        let suite = Self { name: name.to_owned(), folder: paths::apt().join(name) };
        if !suite.is_fresh() {
            suite.fetch(&source)?;
        }
        Ok(suite)
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("fetched")
    }

    fn is_fresh(&self) -> bool {
        let age = fs::metadata(self.stamp())
            .and_then(|meta| meta.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age < Duration::from_secs(24 * 3600))
    }

    fn fetch(&self, source: &Source) -> Result<()> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let list = self.folder.join("debian.sources");
        fs::write(&list, source.stanza(&self.name))
            .with_context(|| format!("cannot write {}", list.display()))?;
        let what = format!("index of {}", self.name);
        retry(&what, || step::run(&what, self.apt("apt-get").arg("update")))?;
        fs::write(self.stamp(), "").context("cannot mark the index as fetched")
    }

    /// An apt program that sees this suite alone and writes under `target/apt/` alone.
    fn apt(&self, program: &str) -> Command {
        let folder = self.folder.display();
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        for option in [
            format!("Dir::Etc::SourceList={folder}/debian.sources"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={folder}/lists"),
            "Dir::State::Status=/dev/null".to_owned(),
            format!("Dir::Cache={folder}/cache"),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // Its hooks clean the machine's own caches, which are none of our business.
            "APT::Update::Post-Invoke=".to_owned(),
            "APT::Update::Post-Invoke-Success=".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// The suite's packages whose names `wanted` accepts.
    ///
    /// # Errors
    /// apt cannot read its lists.
    pub(crate) fn packages(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Package>> {
        let output =
            self.apt("apt-cache").arg("dumpavail").output().context("cannot run apt-cache dumpavail")?;
        if !output.status.success() {
            bail!(
                "apt-cache cannot read the index of {}: {}",
                self.name,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(index::parse(&String::from_utf8_lossy(&output.stdout), wanted))
    }

    /// Downloads a package, checks it, and unpacks it into `prefix`.
    ///
    /// # Errors
    /// The download or the unpacking fails.
    pub(crate) fn unpack(&self, package: &Package, prefix: &Path) -> Result<()> {
        self.unpack_all(&package.name, &[package], prefix)
    }

    /// Downloads packages in one go, checks them, and unpacks them into `prefix`. `what` names them all.
    ///
    /// # Errors
    /// A download or the unpacking fails.
    pub(crate) fn unpack_all(&self, what: &str, packages: &[&Package], prefix: &Path) -> Result<()> {
        fs::create_dir_all(prefix).with_context(|| format!("cannot create {}", prefix.display()))?;
        self.with_files(what, packages, |file| {
            let mut command = Command::new("dpkg-deb");
            step::run(&format!("unpacking {what}"), command.arg("-x").arg(file).arg(prefix))
        })
    }

    /// Downloads packages, checks them, and hands each one's file on; the files are gone then.
    ///
    /// # Errors
    /// A download fails, or what is done with a file.
    pub(crate) fn with_files(
        &self,
        what: &str,
        packages: &[&Package],
        mut each: impl FnMut(&Path) -> Result<()>,
    ) -> Result<()> {
        let downloads = self.folder.join("downloads").join(what);
        fs::create_dir_all(&downloads).with_context(|| format!("cannot create {}", downloads.display()))?;
        let step = format!("download of {what}");
        retry(&step, || {
            let mut command = self.apt("apt-get");
            command.current_dir(&downloads).args(["-q", "download"]);
            command.args(packages.iter().map(|package| format!("{}={}", package.name, package.version)));
            step::run(&step, &mut command)
        })?;
        let files = fs::read_dir(&downloads)?.flatten().map(|entry| entry.path());
        let files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect();
        if files.len() < packages.len() {
            bail!("apt-get download left {} files for the {} of {what}", files.len(), packages.len());
        }
        for file in files {
            each(&file)?;
        }
        fs::remove_dir_all(&downloads).context("cannot remove a download that is unpacked")
    }
}
