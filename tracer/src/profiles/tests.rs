//! Profiles out of what is given; what is not known is told.

use super::image::tests::elf;
use super::pack::Packed;
use super::*;
use crate::verifier::btf::builder::BtfBuilder;

fn btf() -> Vec<u8> {
    let mut builder = BtfBuilder::new();
    builder.int("int", 4, 1);
    builder.build()
}

#[test]
fn an_image_makes_a_profile() {
    let profile = from_image(&elf(&[(".rodata", b"Linux version 6.12.1-x (y)\0"), (".BTF", &btf())]));
    let profile = profile.expect("a profile");
    assert_eq!((profile.name.as_str(), profile.release()), ("6.12.1-x", Release::new(6, 12)));
    assert_eq!(profile.origin, Origin::Image);
    assert_eq!(profile.caveats().len(), 1, "{:?}", profile.caveats());
    let profile = profile.with_kconfig("CONFIG_FUNCTION_ERROR_INJECTION=y\n");
    assert_eq!(profile.config.error_injection, Some(true));
    assert!(profile.caveats().is_empty());
}

#[test]
fn what_an_image_lacks_is_named() {
    let text = |image: &[u8]| from_image(image).expect_err("no profile").to_string();
    assert!(text(&elf(&[(".BTF", &btf())])).contains("which version"));
    assert!(text(&elf(&[(".rodata", b"Linux version 4.9.1 (y)\0")])).contains("without BTF"));
    let bad = elf(&[(".rodata", b"Linux version 6.1.1 (y)\0"), (".BTF", b"nonsense")]);
    assert!(text(&bad).contains("BTF"), "{}", text(&bad));
}

#[test]
fn a_newer_kernel_is_judged_as_the_newest_known() {
    let profile = from_btf("99.1", btf()).expect("a profile");
    let caveats = profile.caveats();
    assert!(caveats.iter().any(|caveat| caveat.contains("newer than")), "{caveats:?}");
}

#[test]
fn a_version_that_is_none_or_not_there_is_told() {
    assert!(matches!(named("latest"), Err(ProfileError::BadVersion { .. })));
    let error = named("4.4").expect_err("not embedded").to_string();
    assert!(error.contains("--kernel-image"), "{error}");
}

#[test]
fn every_embedded_kernel_can_be_read() {
    for release in releases() {
        let profile = named(release).expect("embedded");
        assert_eq!(profile.name, release);
        assert!(profile.caveats().is_empty(), "{:?}", profile.caveats());
        assert!(profile.btf.type_count() > 50_000, "{release}");
    }
}

#[test]
fn a_packed_file_reads_back() {
    let packed = Packed { release: "6.1.2".into(), config: "CONFIG_A=y\n".into(), btf: btf() };
    let bytes = packed.encode();
    assert_eq!(Packed::decode(&bytes), Ok(packed));
    for cut in 0..bytes.len() {
        assert!(Packed::decode(&bytes[..cut]).is_err(), "{cut}");
    }
}
