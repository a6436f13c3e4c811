//! The executable mappings of a process, as `/proc/PID/maps` lists them (proc_pid_maps(5)).

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Of its start within the file.
    pub(super) offset: u64,
    pub(super) file: FileId,
    /// As the list shows it; empty for anonymous memory.
    pub(super) name: Vec<u8>,
}

/// A file across its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) device: (u32, u32),
    /// 0: no file.
    pub(super) inode: u64,
}

/// The executable mappings of a list, in its order, which is that of addresses. Lines that are none are skipped.
pub(super) fn parse(text: &[u8]) -> Vec<Mapping> {
    text.split(|byte| *byte == b'\n')
        .filter_map(mapping)
        .filter(|mapping| mapping.start < mapping.end)
        .collect()
}

/// `start-end perms offset major:minor inode   name`; the name goes to the end of the line.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut words = line.splitn(6, |byte| *byte == b' ').map(|word| str::from_utf8(word).ok());
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = words.next()??.split_once('-')?;
    let executable = words.next()??.contains('x');
    let offset = hex(words.next()??)?;
    let (major, minor) = words.next()??.split_once(':')?;
    let device = (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let inode = words.next()??.parse().ok()?;
    // It need not be UTF-8.
    let name = line.splitn(6, |byte| *byte == b' ').nth(5).unwrap_or_default();
    let name = name.trim_ascii_start().to_vec();
    let file = FileId { device, inode };
    executable.then_some(Mapping { start: hex(start)?, end: hex(end)?, offset, file, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_mappings() {
        let text = b"55d0c0a00000-55d0c0a02000 r--p 00000000 fe:01 1234      /usr/bin/a b
55d0c0a02000-55d0c0a07000 r-xp 00002000 fe:01 1234                       /usr/bin/a b\xff
7f0000000000-7f0000001000 r-xp 00000000 00:00 0
7ffd1c5fe000-7ffd1c600000 r-xp 00000000 00:00 0                          [vdso]
broken
7000-6000 r-xp 00000000 00:00 0
";
        let mapping = |start, end, offset, device, inode, name: &[u8]| Mapping {
            start,
            end,
            offset,
            file: FileId { device, inode },
            name: name.to_vec(),
        };
        let expected = [
            mapping(0x55d0_c0a0_2000, 0x55d0_c0a0_7000, 0x2000, (0xfe, 1), 1234, b"/usr/bin/a b\xff"),
            mapping(0x7f00_0000_0000, 0x7f00_0000_1000, 0, (0, 0), 0, b""),
            mapping(0x7ffd_1c5f_e000, 0x7ffd_1c60_0000, 0, (0, 0), 0, b"[vdso]"),
        ];
        assert_eq!(parse(text), expected);
    }
}
