use super::*;

/// `.maps` with a hash, a ring buffer and an array of hashes; `.rodata` and `.bss`; one program that uses them.
pub(super) fn with_maps() -> (ElfBuilder, BtfBuilder) {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let long = b.int("long", 8, 1);
    let number = |b: &mut BtfBuilder, n: u32| {
        let array = b.array(int, int, n);
        b.ptr(array)
    };
    let [one, ten, ring, bytes_5000, maps_type] = [1, 10, 27, 5000, 12].map(|n| number(&mut b, n));
    let (key, value) = (b.ptr(int), b.ptr(long));
    let hash = b.structure(
        "",
        40,
        &[
            ("type", one, 0),
            ("key", key, 64),
            ("value", value, 128),
            ("max_entries", ten, 192),
            ("pinning", one, 256),
        ],
    );
    let ringbuf = b.structure("", 16, &[("type", ring, 0), ("max_entries", bytes_5000, 64)]);
    let inner = b.structure(
        "",
        32,
        &[("type", one, 0), ("key", key, 64), ("value", value, 128), ("max_entries", ten, 192)],
    );
    let to_inner = b.ptr(inner);
    let values = b.array(to_inner, int, 0);
    let outer = b.structure(
        "",
        24,
        &[("type", maps_type, 0), ("key", key, 64), ("max_entries", ten, 128), ("values", values, 192)],
    );
    let vars = [("hash", hash), ("ring", ringbuf), ("outer", outer)].map(|(name, id)| b.var(name, id, 1));
    b.datasec(".maps", 0, &[(vars[0], 0, 40), (vars[1], 0, 16), (vars[2], 0, 40)]);
    let limit = b.var("limit", int, 1);
    b.datasec(".rodata", 0, &[(limit, 0, 4)]);

    let mut e = ElfBuilder::new();
    let maps = e.section(".maps", Holds::Data, &[0; 96]);
    let rodata = e.section(".rodata", Holds::Data, &[7, 0, 0, 0, 8, 0, 0, 0]);
    let bss = e.section(".bss.extra", Holds::Zeros, &[0; 16]);
    let code = [lddw(0), lddw(0), lddw(4), lddw(0)].concat();
    let raw = Insn { code: 0x18, src: pseudo::MAP_FD, imm: 9, ..Insn::default() };
    let code = e.section("xdp", Holds::Code, &bytes(&[code, vec![raw, Insn::default(), exit()]].concat()));
    e.symbol("main", Symbol::GlobalFunction, code, 0, 88);
    let hash = e.symbol("hash", Symbol::GlobalVariable, maps, 0, 40);
    e.symbol("ring", Symbol::GlobalVariable, maps, 40, 16);
    let outer = e.symbol("outer", Symbol::GlobalVariable, maps, 56, 40);
    e.symbol("limit", Symbol::GlobalVariable, rodata, 0, 4);
    let rodata_section = e.symbol("", Symbol::Section, rodata, 0, 0);
    let buffer = e.symbol("buffer", Symbol::GlobalVariable, bss, 8, 8);
    e.relocations(code, &[(0, hash), (16, outer), (32, rodata_section), (48, buffer)]);
    e.relocations(maps, &[(56 + 24 + 8, hash)]);
    (e, b)
}

#[test]
fn declared_and_data_maps_are_defined_as_libbpf_defines_them() {
    let (mut e, b) = with_maps();
    e.section(".BTF", Holds::Data, &b.build());
    let object = object(e);
    let sizes = |map: &Map| (map.map_type.0, map.key_size, map.value_size, map.max_entries, map.flags);
    let found: Vec<_> = object.maps().iter().map(|map| (map.name.as_str(), sizes(map))).collect();
    assert_eq!(
        found,
        [
            ("hash", (1, 4, 8, 10, 0)),
            ("ring", (27, 0, 0, 8192, 0)),
            ("outer", (12, 4, 4, 10, 0)),
            (".rodata", (2, 4, 8, 1, map_flags::RDONLY_PROG | map_flags::MMAPABLE)),
            (".bss.extra", (2, 4, 16, 1, 0)),
        ]
    );
    let [hash, _, outer, rodata, bss] = object.maps() else { panic!("five maps") };
    assert_eq!((hash.pinning, hash.key_type, hash.value_type), (Pinning::ByName, TypeId(1), TypeId(2)));
    assert_eq!(outer.inner.as_deref().map(sizes), Some((1, 4, 8, 10, 0)));
    assert_eq!(outer.slots, [None, Some(Slot::Map(MapId(0)))]);
    assert_eq!((rodata.kernel_name.as_str(), bss.kernel_name.as_str()), ("test.rodata", ".bss.extra"));
    assert_eq!(rodata.contents(), Some(&Contents::Bytes(vec![7, 0, 0, 0, 8, 0, 0, 0])));
    assert_eq!(bss.contents(), Some(&Contents::Zero));
}

#[test]
fn instructions_refer_to_maps_by_number() {
    let (mut e, b) = with_maps();
    e.section(".BTF", Holds::Data, &b.build());
    let program = only_program(&object(e), &plain_kernel()).expect("links");
    let loads: Vec<_> = program.insns.as_chunks::<2>().0.iter().map(|[a, b]| (a.src, a.imm, b.imm)).collect();
    assert_eq!(
        loads,
        [
            (pseudo::MAP_FD, 0, 0),
            (pseudo::MAP_FD, 2, 0),
            (pseudo::MAP_VALUE, 3, 4),
            (pseudo::MAP_VALUE, 4, 8),
            (pseudo::MAP_FD, FOREIGN_DESCRIPTOR, 0),
        ]
    );
}

#[test]
fn globals_can_be_set_before_loading() {
    let (mut e, b) = with_maps();
    e.section(".BTF", Holds::Data, &b.build());
    let mut object = object(e);
    object.set_global("limit", &9_u32.to_le_bytes()).expect("there");
    object.set_global("buffer", &[1; 8]).expect("there");
    assert_eq!(object.maps()[3].contents(), Some(&Contents::Bytes(vec![9, 0, 0, 0, 8, 0, 0, 0])));
    assert_eq!(object.maps()[4].contents(), Some(&Contents::Bytes([[0; 8], [1; 8]].concat())));
    assert!(object.set_global("limit", &[1]).is_err());
    assert!(object.set_global("nothing", &[1]).is_err());
}

#[test]
fn older_definitions_are_read() {
    let mut e = ElfBuilder::new();
    let words: [u32; 12] = [1, 4, 8, 100, 0, 2, 4, 16, 1, 5, 0, 1];
    let maps = e.section("maps", Holds::Data, &words.map(u32::to_le_bytes).concat());
    let [a, b] = lddw(0);
    let code = e.section("xdp", Holds::Code, &bytes(&[a, b, exit()]));
    e.symbol("first", Symbol::GlobalVariable, maps, 0, 20);
    let second = e.symbol("second", Symbol::GlobalVariable, maps, 20, 28);
    e.symbol("main", Symbol::GlobalFunction, code, 0, 24);
    e.relocations(code, &[(0, second)]);
    let object = object(e);
    let sizes: Vec<_> = object
        .maps()
        .iter()
        .map(|m| (m.map_type.0, m.key_size, m.value_size, m.max_entries, m.flags))
        .collect();
    assert_eq!(sizes, [(1, 4, 8, 100, 0), (2, 4, 16, 1, 5)]);
    assert_eq!(object.maps()[1].pinning, Pinning::ByName);
    assert_eq!(only_program(&object, &plain_kernel()).expect("links").insns[0].imm, 1);
}

#[test]
fn a_kernel_that_refuses_the_btf_gets_no_types() {
    let (mut e, mut b) = with_maps();
    b.func_proto(TypeId(1), &[("", TypeId(1))]);
    let proto = b.reserve(0).0 - 1;
    b.func("nameless_parameter", TypeId(proto), 1);
    e.section(".BTF", Holds::Data, &b.build());
    let object = object(e);
    let kernel_btf = plain_kernel();
    let target = kernel(&kernel_btf);
    let resolved = object.resolve(&target).expect("resolves");
    let refusal = resolved.btf_refusal().expect("refused");
    assert_eq!(refusal.type_id, TypeId(proto + 1));
    assert_eq!(resolved.maps()[0].value_type, TypeId::VOID);
    assert!(resolved.btf().is_none());
}
