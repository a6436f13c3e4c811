//! Which kernels are asked about.

use std::fs;

use super::Kernel;
use crate::cli::VerifyArgs;
use crate::command::Outcome;
use crate::profiles::{self, KernelProfile, ProfileError};

/// No BTF is larger: a distribution's has 6 MiB.
const MAX_BTF: u64 = 256 << 20;

/// The kernels of the command line, in its order; the running one if it names none.
pub(super) fn of(args: &VerifyArgs) -> Result<Vec<Kernel>, Outcome> {
    let mut kernels = Vec::new();
    match (&args.btf, args.kernel.as_slice()) {
        (None, versions) => {
            for version in versions {
                let profile = profiles::named(version).map_err(|error| refused(&error))?;
                kernels.push(Kernel { label: version.clone(), profile });
            }
        }
        (Some(file), [version]) => {
            let read = match fs::metadata(file) {
                Ok(metadata) if metadata.len() > MAX_BTF => Err("it is too large to be BTF".to_owned()),
                Ok(_) => fs::read(file).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let bytes = read.map_err(|error| Outcome::Failed(format!("{}: {error}", file.display())))?;
            let profile = profiles::from_btf(version, bytes).map_err(|error| match refused(&error) {
                Outcome::Failed(message) => Outcome::Failed(format!("{}: {message}", file.display())),
                other => other,
            })?;
            kernels.push(Kernel { label: version.clone(), profile });
        }
        (Some(_), _) => {
            let message = "--btf is the BTF of one kernel: say with --kernel which version that is, once";
            return Err(Outcome::Usage(message.into()));
        }
    }
    for file in &args.kernel_image {
        let profile = profiles::from_image_file(file)
            .map_err(|error| Outcome::Failed(format!("{}: {error}", file.display())))?;
        kernels.push(Kernel { label: profile.name.clone(), profile });
    }
    if kernels.is_empty() {
        let profile = profiles::host().map_err(|error| {
            Outcome::HostCannot(format!(
                "the running kernel cannot be described: {error}; name another with --kernel"
            ))
        })?;
        kernels.push(Kernel { label: profile.name.clone(), profile });
    }
    without_repeats(&mut kernels);
    Ok(kernels)
}

fn without_repeats(kernels: &mut Vec<Kernel>) {
    let mut seen: Vec<(String, KernelProfileId)> = Vec::new();
    kernels.retain(|kernel| {
        let key = (kernel.label.clone(), id(&kernel.profile));
        let fresh = !seen.contains(&key);
        seen.push(key);
        fresh
    });
}

type KernelProfileId = (String, profiles::Origin);

fn id(profile: &KernelProfile) -> KernelProfileId {
    (profile.name.clone(), profile.origin)
}

fn refused(error: &ProfileError) -> Outcome {
    match error {
        ProfileError::BadVersion { .. } => Outcome::Usage(error.to_string()),
        _ => Outcome::Failed(error.to_string()),
    }
}
