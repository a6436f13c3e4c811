//! Images made here, of every compression that can be made here; and garbage.

use proptest::prelude::*;

use super::*;

/// A 64-bit ELF file with these sections.
pub(in super::super) fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut names = vec![0];
    let mut body = Vec::new();
    let mut headers = vec![[0_u64; 4]];
    for (name, bytes) in sections {
        headers.push([names.len() as u64, 1, 64 + body.len() as u64, bytes.len() as u64]);
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        body.extend_from_slice(bytes);
    }
    headers.push([names.len() as u64, 3, 64 + body.len() as u64, names.len() as u64 + 10]);
    names.extend_from_slice(b".shstrtab\0");
    body.extend_from_slice(&names);
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    file.resize(16, 0);
    for half in [2_u16, 62] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    file.extend_from_slice(&1_u32.to_le_bytes());
    for word in [0_u64, 0, 64 + body.len() as u64] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&0_u32.to_le_bytes());
    for half in [64, 0, 0, 64, headers.len() as u16, headers.len() as u16 - 1] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    file.extend_from_slice(&body);
    for [name, kind, offset, size] in headers {
        file.extend_from_slice(&(name as u32).to_le_bytes());
        file.extend_from_slice(&(kind as u32).to_le_bytes());
        for word in [0, 0, offset, size, 0, 1, 0] {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }
    file
}

fn vmlinux() -> Vec<u8> {
    let banner = b"Linux version %s (%s)\0Linux version 6.12.107-x (builder@host) #1\n\0";
    elf(&[(".rodata", banner), (".BTF", b"types")])
}

/// A bzImage around a payload.
fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[0x1f1] = 1;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    file[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    file[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    let release = b"6.12.107+boot (builder@host) #1\0";
    file[0x300..0x300 + release.len()].copy_from_slice(release);
    file.resize(1024 + 16, 0);
    file.extend_from_slice(payload);
    file.extend_from_slice(b"what follows the payload");
    file
}

/// `vmlinux`, compressed by each of the programs that the kernel's build runs, with the length that it appends
/// (arch/x86/boot/compressed/Makefile): lines of a name and bytes.
fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("text");
        u8::from_str_radix(text, 16).expect("hexadecimal")
    };
    let line = |line: &'static str| {
        let (name, bytes) = line.split_once(' ').expect("a name and bytes");
        (name, bytes.as_bytes().chunks(2).map(byte).collect())
    };
    include_str!("payloads.hex").lines().map(line).collect()
}

fn expected(release: &str) -> Image {
    Image { release: Some(release.to_owned()), btf: Some(b"types".to_vec()), config: None }
}

#[test]
fn every_compression_of_a_kernel_is_read() {
    assert_eq!(payloads().len(), 7);
    for (name, payload) in payloads() {
        assert_eq!(Compression::of(&payload).map(|kind| kind.to_string()).as_deref(), Some(name));
        assert_eq!(read(&payload), Ok(expected("6.12.107-x")), "{name} as a whole");
        assert_eq!(read(&bzimage(&payload)), Ok(expected("6.12.107+boot")), "{name} in a bzImage");
    }
}

#[test]
fn a_vmlinux_is_read_as_it_is() {
    assert_eq!(read(&vmlinux()), Ok(expected("6.12.107-x")));
}

#[test]
fn an_image_without_btf_says_so() {
    let image = read(&elf(&[(".rodata", b"Linux version 4.9.1 (x)\0")])).expect("an image");
    assert_eq!((image.release.as_deref(), image.btf), (Some("4.9.1"), None));
}

#[test]
fn the_embedded_configuration_is_read() {
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(&b"CONFIG_X=y\n"[..], flate2::Compression::fast())
        .read_to_end(&mut packed)
        .expect("gzip");
    let section = [b"IKCFG_ST".as_slice(), &packed, b"IKCFG_ED"].concat();
    assert_eq!(
        read(&elf(&[(".rodata", &section)])).expect("an image").config.as_deref(),
        Some("CONFIG_X=y\n")
    );
}

#[test]
fn bad_images_are_told() {
    assert_eq!(read(b""), Err(ImageError::NotAnImage));
    assert_eq!(read(b"#!/bin/sh\n"), Err(ImageError::NotAnImage));
    let image = bzimage(&payloads()[3].1);
    let error = read(&image[..image.len() - 60]).expect_err("cut").to_string();
    assert!(error.contains("outside of"), "{error}");
    let error = read(&bzimage(b"nonsense")).expect_err("no compression").to_string();
    assert!(error.contains("offset 1040"), "{error}");
    let error = read(&bzimage(&payloads()[3].1[..100])).expect_err("damaged").to_string();
    assert!(error.contains("xz payload is damaged"), "{error}");
    assert!(matches!(read(b"\x7fELF"), Err(ImageError::BadElf { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the bytes, there is an answer.
    #[test]
    fn garbage_has_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..2000), start in 0..9_usize) {
        let magics: [&[u8]; 9] = [
            b"", b"\x1f\x8b\x08", b"BZh9", b"\x5d\0\0\x80\0", b"\xfd7zXZ\0", b"\x89LZO\0\r\n\x1a\n",
            b"\x02\x21\x4c\x18", b"\x28\xb5\x2f\xfd", b"\x7fELF\x02\x01\x01",
        ];
        let bytes = [magics[start], &bytes].concat();
        let _ = read(&bytes);
        let _ = read(&bzimage(&bytes));
    }

    /// Nor does damage to a good payload end otherwise.
    #[test]
    fn damage_has_an_answer(
        which in 0..7_usize, at in any::<prop::sample::Index>(), value: u8, cut in any::<prop::sample::Index>()
    ) {
        let mut payload = payloads()[which].1.clone();
        let place = at.index(payload.len());
        payload[place] = value;
        let _ = read(&bzimage(&payload));
        payload.truncate(cut.index(payload.len()));
        let _ = read(&payload);
        let mut image = bzimage(&payloads()[which].1);
        let place = at.index(image.len());
        image[place] = value;
        let _ = read(&image);
    }
}
