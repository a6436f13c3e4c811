//! The lzop format as the kernel reads it (lib/decompress_unlzo.c): a header, then blocks of up to 256 KiB, each after
//! its length, its compressed length and a checksum. Blocks are LZO1X (Documentation/staging/lzo.rst).
//!
//! Written here because the decoders that crates offer panic on damaged blocks, or are C.

use super::MAX_VMLINUX;

/// `LZO_BLOCK_SIZE` of lib/decompress_unlzo.c.
const BLOCK: usize = 256 << 10;
const CUT: &str = "it ends within a block";

/// Decompresses a whole file.
pub(super) fn unpack(payload: &[u8]) -> Result<Vec<u8>, &'static str> {
    const FILTERED: u32 = 0x800;
    /// The format from which on the header tells more.
    const LONGER: u16 = 0x940;
    let word = |at: usize| {
        let bytes = payload.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>());
        bytes.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(CUT)
    };
    let longer = payload.get(9..11).ok_or(CUT)? >= LONGER.to_be_bytes().as_slice();
    // Behind the magic: the versions of format, library and what is needed to read it; method, level; flags.
    let flags = if longer { 17 } else { 14 };
    let filter = if word(flags)? & FILTERED != 0 { 4 } else { 0 };
    // Mode and time; a name behind its length; a checksum.
    let name = flags + 4 + filter + if longer { 12 } else { 8 };
    let mut at = name + 1 + usize::from(*payload.get(name).ok_or(CUT)?) + 4;
    let mut out = Vec::new();
    loop {
        let length = word(at)? as usize;
        if length == 0 || out.len() > MAX_VMLINUX {
            return Ok(out);
        }
        let packed = word(at + 4)? as usize;
        if length > BLOCK || packed > length {
            return Err("a block is longer than 256 KiB");
        }
        let block = payload.get(at + 12..at + 12 + packed).ok_or(CUT)?;
        if packed == length {
            out.extend_from_slice(block);
        } else {
            out.extend_from_slice(&lzo1x(block, length)?);
        }
        at += 12 + packed;
    }
}

/// What follows the last match or run of literals decides how a small instruction is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// A match with no literals behind it.
    Match,
    /// One to three literals.
    FewLiterals,
    /// A run of four or more.
    Run,
}

/// Decompresses one block to exactly `length` bytes.
fn lzo1x(block: &[u8], length: usize) -> Result<Vec<u8>, &'static str> {
    let mut input = Input { bytes: block };
    let mut out = Vec::with_capacity(length);
    let mut after = After::Match;
    if let Some(first @ 18..) = block.first() {
        input.byte()?;
        let count = usize::from(first - 17);
        out.extend_from_slice(input.take(count)?);
        after = if count < 4 { After::FewLiterals } else { After::Run };
    }
    loop {
        let op = usize::from(input.byte()?);
        let (distance, count, literals) = match op {
            64.. => (((op >> 2) & 7) + (usize::from(input.byte()?) << 3) + 1, (op >> 5) + 1, op & 3),
            32.. => {
                let count = input.length(op & 31, 31)? + 2;
                let half = input.half()?;
                ((half >> 2) + 1, count, half & 3)
            }
            16.. => {
                let count = input.length(op & 7, 7)? + 2;
                let half = input.half()?;
                let distance = ((op & 8) << 11) + (half >> 2);
                if distance == 0 {
                    return if out.len() == length {
                        Ok(out)
                    } else {
                        Err("a block has another length than it says")
                    };
                }
                (distance + 16384, count, half & 3)
            }
            _ if after == After::Match => {
                let count = input.length(op, 15)? + 3;
                out.extend_from_slice(input.take(count)?);
                after = After::Run;
                continue;
            }
            _ => {
                let far = (op >> 2) + (usize::from(input.byte()?) << 2);
                if after == After::Run { (far + 2049, 3, op & 3) } else { (far + 1, 2, op & 3) }
            }
        };
        let start = out.len().checked_sub(distance).ok_or("a match begins before its block")?;
        if out.len() + count > length {
            return Err("a block is longer than it says");
        }
        // A match may overlap what it makes.
        for at in start..start + count {
            out.push(out[at]);
        }
        out.extend_from_slice(input.take(literals)?);
        after = if literals == 0 { After::Match } else { After::FewLiterals };
    }
}

struct Input<'b> {
    bytes: &'b [u8],
}

impl<'b> Input<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], &'static str> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(CUT)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.take(1)?[0])
    }

    fn half(&mut self) -> Result<usize, &'static str> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    }

    /// A length that fits its instruction, or `most` and more in the bytes that follow: 255 for each zero.
    fn length(&mut self, inside: usize, most: usize) -> Result<usize, &'static str> {
        if inside != 0 {
            return Ok(inside);
        }
        let mut length = most;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Ok(length + usize::from(last)),
            }
        }
    }
}
