//! The part that touches the world: the running kernel, and image files with what lies beside them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{KernelProfile, Origin, ProfileError, from_image};

const RELEASE: &str = "/proc/sys/kernel/osrelease";
const BTF: &str = "/sys/kernel/btf/vmlinux";
const CONFIG: &str = "/proc/config.gz";
const CPUS: &str = "/sys/devices/system/cpu/possible";

/// No configuration's text is longer: theirs are a quarter of a MiB.
const MAX_CONFIG: u64 = 16 << 20;

/// The running kernel's profile.
///
/// # Errors
/// It shows no BTF, or nothing is known of its version.
pub fn host() -> Result<KernelProfile, ProfileError> {
    let read =
        |path: &str| fs::read(path).map_err(|error| ProfileError::Read { path: path.to_owned(), error });
    let name = String::from_utf8_lossy(&read(RELEASE)?).trim().to_owned();
    let btf = match read(BTF) {
        Err(ProfileError::Read { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ProfileError::NoBtf { release: name });
        }
        result => result?,
    };
    let config = config_of(&name);
    let mut profile = KernelProfile::new(name, btf, config, Origin::Host)?;
    if let Some(cpus) = fs::read_to_string(CPUS).ok().and_then(|text| possible_cpus(text.trim())) {
        profile.config.nr_cpus = cpus;
    }
    Ok(profile)
}

/// The profile of a kernel image, with the configuration that lies beside it if the image carries none.
///
/// # Errors
/// As [`from_image`], or the file cannot be read.
pub fn from_image_file(path: &Path) -> Result<KernelProfile, ProfileError> {
    let bytes =
        fs::read(path).map_err(|error| ProfileError::Read { path: path.display().to_string(), error })?;
    let profile = from_image(&bytes)?;
    if profile.kconfig.is_some() {
        return Ok(profile);
    }
    let beside = beside(path, &profile.name).into_iter().find_map(|path| fs::read_to_string(path).ok());
    Ok(match beside {
        Some(text) => profile.with_kconfig(&text),
        None => profile,
    })
}

/// Where a kernel's configuration may lie: `config-RELEASE` or `config` in the image's folder.
fn beside(image: &Path, release: &str) -> Vec<PathBuf> {
    ["config-", "config"]
        .into_iter()
        .map(|name| if name.ends_with('-') { format!("{name}{release}") } else { name.to_owned() })
        .map(|name| image.with_file_name(name))
        .collect()
}

fn config_of(release: &str) -> Option<String> {
    let packed = fs::read(CONFIG).ok().and_then(|bytes| {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).take(MAX_CONFIG).read_to_string(&mut text).ok()?;
        Some(text)
    });
    let files = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    packed.or_else(|| files.iter().find_map(|path| fs::read_to_string(path).ok()))
}

/// One more than the highest number in a list such as `0-3,8`: what bounds a CPU's number.
fn possible_cpus(list: &str) -> Option<u32> {
    let last = list.rsplit([',', '-']).next()?;
    last.parse::<u32>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_counted_to_the_highest() {
        assert_eq!(possible_cpus("0"), Some(1));
        assert_eq!(possible_cpus("0-3"), Some(4));
        assert_eq!(possible_cpus("0-3,8"), Some(9));
        assert_eq!(possible_cpus(""), None);
    }

    #[test]
    fn the_configuration_lies_beside_the_image() {
        let found = beside(Path::new("/k/vmlinuz-6.1"), "6.1");
        assert_eq!(found, [PathBuf::from("/k/config-6.1"), PathBuf::from("/k/config")]);
    }
}
