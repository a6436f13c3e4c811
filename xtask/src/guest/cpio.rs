//! The initramfs format: cpio "newc", as the kernel unpacks it (`init/initramfs.c`).
//!
//! One entry after the other, each a header of thirteen 8-digit hexadecimal fields, the name and
//! the content, both padded to four bytes; `TRAILER!!!` ends it. The archive is not compressed:
//! unpacking it is the slowest thing that an emulated processor could do at boot.

use std::io::{self, Write};

const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;
const TRAILER: &str = "TRAILER!!!";

/// Writes entries to `out`, all owned by root.
pub(crate) struct Archive<W> {
    out: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    /// An archive without entries yet.
    pub(crate) fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }

    /// A folder; its own folder must have been written before.
    pub(crate) fn folder(&mut self, name: &str, permissions: u32) -> io::Result<()> {
        self.entry(name, FOLDER | permissions, (0, 0), b"")
    }

    /// A file with its content.
    pub(crate) fn file(&mut self, name: &str, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.entry(name, REGULAR | permissions, (0, 0), content)
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, name: &str, destination: &str) -> io::Result<()> {
        self.entry(name, LINK | 0o777, (0, 0), destination.as_bytes())
    }

    /// A character device by its numbers.
    pub(crate) fn device(&mut self, name: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(name, CHARACTER | 0o600, (major, minor), b"")
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.entry(TRAILER, 0, (0, 0), b"")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) -> io::Result<()> {
        let too_large = |_| io::Error::other(format!("{name}: too large for an initramfs"));
        let size = u32::try_from(content.len()).map_err(too_large)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_large)?;
        let links = 1;
        let fields = [self.inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_size, 0];
        self.inode += 1;
        write!(self.out, "070701")?;
        for field in fields {
            write!(self.out, "{field:08x}")?;
        }
        self.out.write_all(name.as_bytes())?;
        // The header's 110 bytes and the name, with its NUL, end on a multiple of four.
        self.pad(110 + name.len() + 1, 1)?;
        self.out.write_all(content)?;
        self.pad(content.len(), 0)
    }

    /// Writes `least` NUL bytes, and more until `length` is a multiple of four.
    fn pad(&mut self, length: usize, least: usize) -> io::Result<()> {
        let padding = least + (4 - length % 4) % 4;
        self.out.write_all(&[0; 4][..padding])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.folder("dev", 0o755).expect("folder");
        archive.device("dev/console", 5, 1).expect("device");
        archive.file("init", 0o755, b"hello").expect("file");
        archive.file("empty", 0o600, b"").expect("file");
        archive.link("sh", "/bin/busybox").expect("link");
        archive.finish().expect("end")
    }

    /// Reads an archive back by the format's own description.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(&bytes[..6], b"070701");
            let field = |index: usize| {
                let digits = &bytes[6 + index * 8..14 + index * 8];
                let text = std::str::from_utf8(digits).expect("digits");
                usize::from_str_radix(text, 16).expect("hexadecimal")
            };
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let content = (110 + name_size).next_multiple_of(4);
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).expect("name");
            let mode = u32::try_from(mode).expect("mode");
            entries.push((name, mode, bytes[content..content + size].to_vec()));
            bytes = &bytes[(content + size).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn what_is_written_reads_back() {
        let entries = read(&archive());
        let names: Vec<&str> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["dev", "dev/console", "init", "empty", "sh", TRAILER]);
        assert_eq!(entries[0].1, 0o040_755);
        assert_eq!(entries[1].1, 0o020_600);
        assert_eq!((entries[2].1, entries[2].2.as_slice()), (0o100_755, b"hello".as_slice()));
        assert_eq!(entries[4].2, b"/bin/busybox");
    }

    #[test]
    fn every_entry_is_aligned() {
        assert_eq!(archive().len() % 4, 0);
    }
}
