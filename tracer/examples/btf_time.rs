//! Times what start-up does with a BTF file: parse, look up a few fields in one pass, build the name index.
//! `cargo run --release --example btf_time -- /sys/kernel/btf/vmlinux`

use std::time::Instant;

use tracer::verifier::btf::{Btf, Kind};

fn main() -> anyhow::Result<()> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let start = Instant::now();
        let btf = Btf::parse(bytes)?;
        let parsed = start.elapsed();
        let wanted = [
            ("task_struct", "mm"),
            ("task_struct", "real_parent"),
            ("mm_struct", "arg_start"),
            ("file", "f_path.dentry"),
            ("task_struct", "comm"),
            ("sk_buff", "pkt_type"),
        ];
        let start = Instant::now();
        let fields = btf.field_batch(&wanted);
        let batch = start.elapsed();
        let start = Instant::now();
        let func = btf.find(Kind::Func, "bprm_execve");
        let index = start.elapsed();
        let start = Instant::now();
        let mut sizes = 0_u64;
        for id in btf.ids() {
            sizes += u64::from(btf.size_of(id).unwrap_or(0));
        }
        let walk = start.elapsed();
        println!(
            "{path}: {} types; parse {parsed:?}, batch of {} {batch:?}, index {index:?}, size of all {walk:?} ({sizes})",
            btf.type_count(),
            wanted.len()
        );
        for ((name, member), field) in wanted.iter().zip(fields) {
            match field {
                Some(at) => println!(
                    "  {name}.{member}: byte {}, size {}, {:?}",
                    at.offset_bytes, at.size, at.bitfield
                ),
                None => println!("  {name}.{member}: none"),
            }
        }
        if let Some(func) = func.and_then(|id| btf.func_by_id(id)) {
            println!(
                "  {} {}({} parameters)",
                func.id,
                func.name,
                func.proto.param_count()
            );
        }
    }
    Ok(())
}
