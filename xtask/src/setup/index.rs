//! Package indexes: the stanzas that `apt-cache dumpavail` prints, reduced to what set-up asks.

use super::version;

/// One package of an index.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Debian's version, with epoch and revision.
    pub(crate) version: String,
    /// The names it depends on, before its configuration too; of alternatives the first.
    pub(crate) depends: Vec<String>,
}

/// Reads an index's packages whose names `wanted` accepts.
pub(crate) fn parse(index: &str, wanted: impl Fn(&str) -> bool) -> Vec<Package> {
    let mut packages = Vec::new();
    for stanza in index.split("\n\n") {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
        if wanted(name) {
            let mut depends = field("Depends").map(parse_depends).unwrap_or_default();
            depends.extend(field("Pre-Depends").map(parse_depends).unwrap_or_default());
            let (name, version) = (name.to_owned(), version.to_owned());
            packages.push(Package { name, version, depends });
        }
    }
    packages
}

fn parse_depends(depends: &str) -> Vec<String> {
    depends
        .split(',')
        .filter_map(|clause| clause.split(['|', '(', ':']).next())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether a package holds a bootable cloud kernel itself: the image up to 6.x, `linux-binary-*`
/// from the versions on whose `linux-image-*` is only a meta-package.
///
/// A name with a version in it: `linux-image-cloud-amd64` depends on one, and holds nothing.
pub(crate) fn is_kernel(name: &str) -> bool {
    let Some(rest) = name.strip_suffix("-cloud-amd64") else { return false };
    ["linux-image-", "linux-binary-"].iter().any(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// The newest kernel of a series in an index. Of an image and a binary package of one version the
/// binary one, because the image is empty then; never a meta-package (it depends on an image).
pub(crate) fn newest_kernel<'a>(packages: &'a [Package], series: &str) -> Option<&'a Package> {
    packages
        .iter()
        .filter(|package| version::in_series(version::upstream(&package.version), series))
        .filter(|package| !package.depends.iter().any(|name| is_kernel(name)))
        .max_by(|left, right| {
            version::compare(&left.version, &right.version)
                .then_with(|| is_binary(left).cmp(&is_binary(right)))
        })
}

fn is_binary(package: &Package) -> bool {
    package.name.starts_with("linux-binary-")
}

/// The newest version of one package in an index.
pub(crate) fn newest<'a>(packages: &'a [Package], name: &str) -> Option<&'a Package> {
    packages
        .iter()
        .filter(|package| package.name == name)
        .max_by(|left, right| version::compare(&left.version, &right.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "Package: linux-image-6.1.0-9-cloud-amd64
Version: 6.1.27-1
Depends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb11u2) | linux-initramfs-tool

Package: linux-image-6.1.0-10-cloud-amd64
Version: 6.1.37-1
Pre-Depends: a (>= 1), b

Package: linux-image-6.12-cloud-amd64
Version: 6.12.117-1~deb12u1
Depends: linux-image-6.12.117+deb12-cloud-amd64 (= 6.12.117-1~deb12u1)

Package: linux-image-6.12.117+deb12-cloud-amd64
Version: 6.12.117-1~deb12u1

Package: linux-image-cloud-amd64
Version: 7.2.12-1
Depends: linux-image-7.2.12+deb14-cloud-amd64 (= 7.2.12-1)

Package: linux-image-7.2.12+deb14-cloud-amd64
Version: 7.2.12-1
Depends: linux-binary-7.2.12+deb14-cloud-amd64 (= 7.2.12-1), linux-base

Package: linux-binary-7.2.12+deb14-cloud-amd64
Version: 7.2.12-1

Package: linux-image-6.1.0-10-cloud-amd64-dbg
Version: 6.1.37-1

Package: linux-image-6.1.0-10-amd64
Version: 6.1.37-1
";

    #[test]
    fn kernels_are_those_with_a_version_in_their_name() {
        let names: Vec<String> = parse(INDEX, is_kernel).into_iter().map(|package| package.name).collect();
        assert_eq!(names.len(), 6, "{names:?}");
        assert!(!is_kernel("linux-image-cloud-amd64"));
        assert!(!is_kernel("linux-image-6.1.0-10-cloud-amd64-dbg"));
        assert!(!is_kernel("linux-image-6.1.0-10-amd64"));
    }

    #[test]
    fn the_newest_of_a_series_holds_the_kernel_itself() {
        let packages = parse(INDEX, is_kernel);
        for (series, expected) in [
            ("6.1", Some("linux-image-6.1.0-10-cloud-amd64")),
            ("6.1.27", Some("linux-image-6.1.0-9-cloud-amd64")),
            ("6.12", Some("linux-image-6.12.117+deb12-cloud-amd64")),
            ("7.2", Some("linux-binary-7.2.12+deb14-cloud-amd64")),
            ("5.10", None),
        ] {
            let found = newest_kernel(&packages, series).map(|package| package.name.as_str());
            assert_eq!(found, expected, "{series}");
        }
    }

    #[test]
    fn depends_are_names_alone() {
        let packages = parse(INDEX, is_kernel);
        assert_eq!(packages[0].depends, ["kmod", "linux-base", "initramfs-tools"]);
        assert_eq!(packages[1].depends, ["a", "b"]);
    }
}
