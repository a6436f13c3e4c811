//! The machine's own package archives, read from its apt configuration.
//!
//! A mirror's address is never written in this workspace: kernels of other Debian releases are
//! fetched from the mirror that this machine already uses. Both of apt's formats are read: deb822
//! (`*.sources`) and one line per source (`*.list`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Debian's keys, where a source names none.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One binary source of the machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) suites: Vec<String>,
    /// The `Signed-By` that apt is told: key files, or a key's own text.
    pub(crate) signed_by: Option<String>,
}

/// The two archives of a Debian release.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Archives {
    pub(crate) main: Source,
    pub(crate) security: Option<Source>,
    /// The release that this machine runs, as its sources call it.
    pub(crate) codename: String,
}

impl Source {
    /// The deb822 text that makes apt read one suite of this archive.
    pub(crate) fn stanza(&self, suite: &str) -> String {
        let signed_by = self.signed_by.as_deref().unwrap_or(KEYRING);
        format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nSigned-By: {signed_by}\n", self.uri)
    }
}

/// Reads this machine's archives.
///
/// # Errors
/// No apt, or no source that holds the Debian release that this machine runs.
pub(crate) fn archives() -> Result<Archives> {
    let os = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let Some(codename) = codename(&os) else {
        bail!("/etc/os-release names no VERSION_CODENAME: this is no Debian release");
    };
    let mut sources = Vec::new();
    for file in source_files(Path::new("/etc/apt")) {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        sources.extend(if file.extension().is_some_and(|extension| extension == "sources") {
            parse_deb822(&text)
        } else {
            parse_list(&text)
        });
    }
    select(&sources, &codename).with_context(|| {
        format!("apt's configuration has no source for Debian's {codename}: add one, then run it again")
    })
}

fn source_files(apt: &Path) -> Vec<PathBuf> {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(apt.join("sources.list.d")) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.retain(|file| {
        let known = file.extension().is_some_and(|ext| ext == "sources" || ext == "list");
        known && file.is_file()
    });
    files.sort();
    files
}

fn codename(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned()).filter(|name| !name.is_empty())
}

fn select(sources: &[Source], codename: &str) -> Option<Archives> {
    let with =
        |suite: &str| sources.iter().find(|source| source.suites.iter().any(|name| name == suite)).cloned();
    let security = with(&format!("{codename}-security"));
    Some(Archives { main: with(codename)?, security, codename: codename.to_owned() })
}

/// Reads the stanzas of a deb822 file; those that are disabled or hold no binaries are left out.
fn parse_deb822(text: &str) -> Vec<Source> {
    text.split("\n\n").flat_map(parse_stanza).collect()
}

fn parse_stanza(stanza: &str) -> Vec<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in stanza.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
    let words = |name: &str| -> Vec<String> {
        field(name).map(|v| v.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
    };
    let disabled = field("enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
    if disabled || !words("types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    let (suites, signed_by) = (words("suites"), field("signed-by").cloned());
    words("uris")
        .into_iter()
        .map(|uri| Source { uri, suites: suites.clone(), signed_by: signed_by.clone() })
        .collect()
}

/// Reads `deb [options] URI SUITE COMPONENT...` lines.
fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or("").trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(|keys| keys.replace(',', " "));
    Some(Source { uri, suites: vec![suite], signed_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys.gpg

Enabled: no
Types: deb
URIs: http://off.example/
Suites: bookworm

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN-----
 .
 -----END-----
";

    fn source(uri: &str, suites: &[&str], signed_by: Option<&str>) -> Source {
        Source {
            uri: uri.to_owned(),
            suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
            signed_by: signed_by.map(str::to_owned),
        }
    }

    #[test]
    fn deb822_stanzas_are_read() {
        let keys = "\n -----BEGIN-----\n .\n -----END-----";
        assert_eq!(
            parse_deb822(DEB822),
            [
                source("http://mirror.example/debian", &["bookworm", "bookworm-updates"], Some("/keys.gpg")),
                source("http://mirror.example/debian-security", &["bookworm-security"], Some(keys)),
            ]
        );
    }

    #[test]
    fn list_lines_are_read() {
        let text = "# deb http://no.example/ x main
deb http://mirror.example/debian bookworm main # trailing
deb [arch=amd64 signed-by=/a.gpg,/b.gpg] http://mirror.example/sec bookworm-security main
deb-src http://mirror.example/debian bookworm main
debris http://no.example/ x
";
        assert_eq!(
            parse_list(text),
            [
                source("http://mirror.example/debian", &["bookworm"], None),
                source("http://mirror.example/sec", &["bookworm-security"], Some("/a.gpg /b.gpg")),
            ]
        );
    }

    #[test]
    fn the_archives_are_those_of_the_release() {
        let sources = parse_deb822(DEB822);
        let archives = select(&sources, "bookworm").map(|a| (a.main.uri, a.security.is_some()));
        assert_eq!(archives, Some(("http://mirror.example/debian".to_owned(), true)));
        assert_eq!(select(&sources, "sid"), None);
    }

    #[test]
    fn the_codename_may_be_quoted() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=\"trixie\"\n").as_deref(), Some("trixie"));
        assert_eq!(codename("ID=arch\n"), None);
    }
}
