use std::sync::Arc;

use super::builder::BtfBuilder;
use super::*;

fn parse(builder: &BtfBuilder) -> Btf {
    Btf::parse(builder.build()).expect("the builder writes well-formed BTF")
}

/// `struct path { struct dentry *mnt, *dentry; }`, `struct file { union { long a; struct { int b; int c; }; }; struct path f_path; }`
fn file_btf() -> BtfBuilder {
    let mut b = BtfBuilder::new();
    let long = b.int("long", 8, 1);
    let int = b.int("int", 4, 1);
    let dentry = b.structure("dentry", 16, &[("d_inode", long, 0), ("d_seq", int, 64)]);
    let ptr = b.ptr(dentry);
    let path = b.structure("path", 16, &[("mnt", ptr, 0), ("dentry", ptr, 64)]);
    let path_t = b.typedef("path_t", path);
    let inner = b.structure("", 8, &[("b", int, 0), ("c", int, 32)]);
    let either = b.union("", 8, &[("a", long, 0), ("", inner, 0)]);
    let ints = b.array(int, int, 4);
    b.structure("file", 40, &[("", either, 0), ("f_path", path_t, 64), ("nums", ints, 192)]);
    b
}

#[test]
fn paths_walk_anonymous_members_typedefs_and_arrays() {
    let btf = parse(&file_btf());
    let offset = |path| btf.field("file", path).map(|field| (field.offset_bytes, field.size));
    assert_eq!(offset("a"), Some((0, 8)));
    assert_eq!(offset("c"), Some((4, 4)));
    assert_eq!(offset("f_path.dentry"), Some((16, 8)));
    assert_eq!(offset("nums"), Some((24, 16)));
    assert_eq!(offset("nums[3]"), Some((36, 4)));
    for missing in ["", "x", "f_path.", "f_path.dentry.d_seq", "nums[4]", "nums[", "nums[1]x", "a.b"] {
        assert_eq!(offset(missing), None, "{missing}");
    }
    assert_eq!(btf.field("path_t", "dentry").map(|field| field.offset_bytes), Some(8));
    let wanted =
        [("file", "f_path.mnt"), ("nothing", "x"), ("dentry", "d_seq"), ("path_t", "mnt"), ("file", "none")];
    let one_by_one: Vec<_> = wanted.iter().map(|(name, path)| btf.field(name, path)).collect();
    assert_eq!(btf.field_batch(&wanted), one_by_one);
    assert_eq!(one_by_one.iter().filter(|field| field.is_some()).count(), 3);
}

#[test]
fn bitfields_of_both_encodings() {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 0);
    let old = b.record("int", Kind::Int, 0, 0, 4, &[3 << 16 | 5]);
    b.bitfields("new", 8, &[("whole", int, 0, 0), ("bits", int, 37, 3)]);
    b.structure("old", 4, &[("bits", old, 8)]);
    let btf = parse(&b);
    let field = btf.field("new", "bits").expect("there");
    assert_eq!(
        (field.offset_bytes, field.bit_offset, field.bitfield),
        (4, 37, Some(Bitfield { shift: 5, bits: 3 }))
    );
    assert_eq!(btf.field("new", "whole").expect("there").bitfield, None);
    assert_eq!(btf.field("old", "bits").expect("there").bitfield, Some(Bitfield { shift: 11, bits: 5 }));
}

#[test]
fn every_kind_has_its_view() {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let proto = b.func_proto(int, &[("a", int), ("", TypeId::VOID)]);
    let func = b.func("f", proto, 1);
    let ptr = b.ptr(proto);
    let small = b.record("e", Kind::Enum, 1, 1, 4, &[0, -5_i32 as u32]);
    let wide = b.enumeration64("e64", &[("BIG", u64::MAX - 1)]);
    let var = b.var("v", int, 1);
    let section = b.datasec(".data", 4, &[(var, 0, 4)]);
    let tag = b.decl_tag("tagged", func, Some(1));
    let type_tag = b.reference(Kind::TypeTag, "user", int);
    let float = b.record("double", Kind::Float, 0, 0, 8, &[]);
    let fwd = b.record("later", Kind::Fwd, 0, 1, 0, &[]);
    let btf = parse(&b);

    let signature = btf.func("f").expect("a function");
    assert_eq!((signature.id, signature.linkage, signature.proto.ret), (func, FuncLinkage::Global, int));
    let params: Vec<_> = signature.proto.params().collect();
    assert_eq!(params, [Param { name: "a", type_id: int }, Param { name: "", type_id: TypeId::VOID }]);
    assert!(btf.proto(ptr).is_some());
    assert!(matches!(btf.get(small), Some(Type::Enum(e)) if e.values().all(|v| v.value == -5)));
    assert!(matches!(btf.get(wide), Some(Type::Enum64(e)) if e.value("BIG") == Some(-2)));
    assert_eq!(btf.enum_value("", "BIG"), Some(-2));
    assert_eq!(btf.enum_value("e", "BIG"), None);
    let Some(Type::Datasec(datasec)) = btf.get(section) else { panic!("a section") };
    assert_eq!(datasec.vars().collect::<Vec<_>>(), [SectionVar { type_id: var, offset: 0, size: 4 }]);
    let expected = DeclTag { name: "tagged", type_id: func, target: DeclTagTarget::Component(1) };
    assert_eq!(btf.decl_tags().collect::<Vec<_>>(), [(tag, expected)]);
    assert_eq!(btf.resolve(type_tag), Some(int));
    assert_eq!([float, fwd, type_tag, var].map(|id| btf.size_of(id)), [Some(8), None, Some(4), Some(4)]);
    assert!(matches!(btf.get(fwd), Some(Type::Fwd(Fwd { name: "later", kind: FwdKind::Union }))));
    assert!(matches!(btf.get(TypeId::VOID), Some(Type::Void)));
    assert!(btf.get(TypeId(btf.type_count())).is_none());
}

#[test]
fn lookup_by_name_is_in_order_of_id_and_ignores_no_flavor() {
    let mut b = BtfBuilder::new();
    let first = b.structure("s", 1, &[]);
    let typedef = b.typedef("s", first);
    let second = b.structure("s", 2, &[]);
    let flavored = b.structure("s___old", 3, &[]);
    let btf = parse(&b);
    assert_eq!(btf.find_all(Kind::Struct, "s").collect::<Vec<_>>(), [first, second]);
    assert_eq!(btf.find_name("s").collect::<Vec<_>>(), [first, typedef, second]);
    assert_eq!(btf.find_essential("s").collect::<Vec<_>>(), [first, typedef, second, flavored]);
    assert_eq!(btf.find(Kind::Struct, "s___old"), Some(flavored));
    assert_eq!(btf.find(Kind::Union, "s"), None);
    let batch = btf.find_batch(&[
        (Kind::Typedef, "s"),
        (Kind::Struct, "s"),
        (Kind::Struct, "t"),
        (Kind::Struct, "s"),
    ]);
    assert_eq!(batch, [Some(typedef), Some(first), None, Some(first)]);
    assert_eq!(
        ["a___b", "a____b", "a___", "___a", "a___b___c"].map(essential_name),
        ["a", "a____b", "a___", "___a", "a___b"]
    );
}

#[test]
fn split_btf_continues_its_base() {
    let base = Arc::new(parse(&file_btf()));
    let mut b = BtfBuilder::on(&base);
    let file = base.find(Kind::Struct, "file").expect("there");
    let own = b.structure("own", 40, &[("inner", file, 0)]);
    let split = Btf::parse_split(b.build(), Arc::clone(&base)).expect("well-formed");
    assert_eq!(own.0, base.type_count());
    assert_eq!((split.name(own), split.name(file)), ("own", "file"));
    assert_eq!(split.field("own", "inner.f_path.dentry").map(|field| field.offset_bytes), Some(16));
    assert_eq!(split.find_batch(&[(Kind::Struct, "own"), (Kind::Struct, "file")]), [Some(own), Some(file)]);
}

#[test]
fn circular_and_dangling_types_end() {
    let mut b = BtfBuilder::new();
    let next = b.reserve(1);
    let a = b.typedef("a", next);
    let c = b.reference(Kind::Const, "", a);
    let own = b.reserve(0);
    let array = b.array(own, own, 2);
    let own = b.reserve(0);
    let nested = b.structure("nested", 4, &[("", own, 0), ("", own, 0)]);
    let lost = b.ptr(TypeId(999));
    let gone = b.typedef("gone", TypeId(999));
    let btf = parse(&b);
    for id in [a, c] {
        assert_eq!((btf.resolve(id), btf.size_of(id)), (None, None));
    }
    assert_eq!(btf.size_of(array), None);
    assert_eq!(btf.size_of(lost), Some(8));
    assert_eq!((btf.resolve(gone), btf.size_of(gone)), (None, None));
    assert!(btf.proto(c).is_none());
    // Two anonymous members that contain themselves: 2^32 paths if the search were bounded by depth alone.
    assert_eq!(btf.field_of(nested, "missing"), None);
}

#[test]
fn truncation_and_damage_are_errors_with_a_place() {
    let blob = file_btf().build();
    for len in 0..blob.len() {
        assert!(Btf::parse(blob[..len].to_vec()).is_err(), "{len} bytes of {}", blob.len());
    }
    let damaged = |at: usize, byte: u8| {
        let mut blob = blob.clone();
        blob[at] = byte;
        Btf::parse(blob).map(|_| ()).expect_err("damaged")
    };
    assert_eq!(damaged(0, 0), BtfError::BadMagic { found: 0xeb00 });
    assert_eq!(damaged(2, 9), BtfError::BadVersion { found: 9 });
    assert_eq!(damaged(24 + 7, 30), BtfError::UnknownKind { id: 1, offset: 24, kind: 30 });
    assert!(matches!(damaged(11, 0xff), BtfError::SectionOutOfBounds { section: "types", .. }));
    let mut swapped = blob.clone();
    swapped.swap(0, 1);
    assert_eq!(Btf::parse(swapped).map(|_| ()), Err(BtfError::OtherEndian));
}

/// Any byte changed to any of a few values: whatever parses can be walked in full.
#[test]
fn damaged_blobs_never_panic() {
    let blob = file_btf().build();
    for at in 0..blob.len() {
        for value in [0, 1, 0x7f, 0xff, blob[at].wrapping_add(1)] {
            let mut blob = blob.clone();
            blob[at] = value;
            let Ok(btf) = Btf::parse(blob) else { continue };
            for id in btf.ids() {
                let _ =
                    (btf.resolve(id), btf.size_of(id), btf.func_by_id(id), btf.field_of(id, "f_path.dentry"));
                if let Some(Type::Struct(composite)) = btf.get(id) {
                    assert_eq!(composite.members().count(), composite.member_count());
                }
            }
            let _ = btf.field("file", "nums[1]");
        }
    }
}

#[test]
fn kinds_that_the_blob_explains_are_skipped() {
    let mut b = BtfBuilder::new();
    b.int("int", 4, 1);
    let blob = b.build();
    let (types, strings) = (blob[24..40].to_vec(), blob[40..].to_vec());
    // Kind 20, three elements of 4 bytes after 8 fixed bytes.
    let strange: Vec<u8> =
        [0, 20 << 24 | 3, 0, 1, 2, 3, 4, 5].iter().flat_map(|w: &u32| w.to_le_bytes()).collect();
    let mut layout = vec![0_u8; 21 * 4];
    layout[80..82].copy_from_slice(&[8, 4]);
    let types = [strange, types].concat();
    let at_strings = types.len() as u32;
    let at_layout = at_strings + strings.len() as u32;
    let header =
        [32, 0, types.len() as u32, at_strings, strings.len() as u32, at_layout, layout.len() as u32];
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    blob.extend(header.iter().flat_map(|w| w.to_le_bytes()));
    blob.extend([types, strings, layout].concat());
    let btf = Btf::parse(blob).expect("explained by its own layout");
    assert!(matches!(btf.get(TypeId(1)), Some(Type::Unknown)));
    assert_eq!(btf.find(Kind::Int, "int"), Some(TypeId(2)));
}
