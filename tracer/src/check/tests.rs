//! Objects made by hand, through to the model.

use super::*;
use crate::object::builder::{ElfBuilder, Holds, Symbol};
use crate::object::{KernelFeatures, Object, Symbols, Target};
use crate::verifier::{Kind, MapType};

const LDDW_R1: [u8; 8] = [0x18, 0x01, 0, 0, 0, 0, 0, 0];
const SECOND: [u8; 8] = [0; 8];
/// `r0 = *(u32 *)(r1 + 0)`
const LOAD: [u8; 8] = [0x61, 0x10, 0, 0, 0, 0, 0, 0];
const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
/// `call bpf_probe_read_kernel`, for GPL programs alone
const PROBE_READ: [u8; 8] = [0x85, 0, 0, 0, 113, 0, 0, 0];

fn kernel() -> Target<'static> {
    Target {
        btf: None,
        modules: &[],
        features: KernelFeatures::of(KernelVersion::new(6, 12, 0)),
        kconfig: None,
        symbols: Symbols::Unknown,
        possible_cpus: Some(2),
    }
}

/// An object with one program that reads the start of `.rodata`.
fn reads_rodata(license: &[u8]) -> Vec<u8> {
    let mut e = ElfBuilder::new();
    let xdp = e.section("xdp", Holds::Code, &[LDDW_R1, SECOND, LOAD, EXIT].concat());
    let rodata = e.section(".rodata", Holds::Data, &[1, 0, 0, 0]);
    e.section("license", Holds::Data, license);
    e.symbol("one", Symbol::GlobalFunction, xdp, 0, 32);
    let value = e.symbol("value", Symbol::GlobalVariable, rodata, 0, 4);
    e.relocations(xdp, &[(0, value)]);
    e.build()
}

#[test]
fn constants_maps_and_licence_reach_the_model() {
    for (license, gpl) in [(&b"GPL\0"[..], true), (b"Dual MPL/GPL\0", true), (b"MIT\0", false), (b"", false)]
    {
        let object = Object::parse(&reads_rodata(license), "a.o").expect("well formed");
        let target = kernel();
        let resolved = object.resolve(&target).expect("nothing to resolve");
        let id = object.program_named("one").expect("there");
        let prepared = resolved.program(id).expect("links");
        let program = program(&resolved, &prepared).expect("plain");
        assert_eq!(program.gpl, gpl, "{license:?}");
        assert_eq!(program.insns.len(), 4);
        let [map] = program.maps.as_slice() else { panic!("one map: {:?}", program.maps) };
        assert_eq!((map.kind, map.value_size, map.handle), (MapType::ARRAY, 4, program.insns[0].imm));
        assert_eq!(map.frozen.as_deref(), Some(&[1, 0, 0, 0][..]));
        let profile = profile(release(target.features.version), None, Config::default());
        assert!(matches!(verify(&resolved, &prepared, &profile).verdict, Verdict::Accept));
    }
}

#[test]
fn a_map_that_is_not_referred_to_is_left_out() {
    let mut e = ElfBuilder::new();
    let xdp = e.section("kprobe", Holds::Code, &[PROBE_READ, EXIT].concat());
    e.section(".rodata", Holds::Data, &[1, 0, 0, 0]);
    e.symbol("one", Symbol::GlobalFunction, xdp, 0, 16);
    let object = Object::parse(&e.build(), "a.o").expect("well formed");
    let target = kernel();
    let resolved = object.resolve(&target).expect("nothing to resolve");
    let prepared = resolved.program(object.program_named("one").expect("there")).expect("links");
    assert!(program(&resolved, &prepared).expect("plain").maps.is_empty());
    let report = verify(&resolved, &prepared, &profile(Release::new(6, 12), None, Config::default()));
    let Verdict::Reject(rejection) = report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(rejection.violation.kind, Kind::FunctionNotAllowed, "{rejection:?}");
}
