//! What `tracer::object` makes of object files on one kernel: `object_show BTF VERSION OBJECT...`.

use anyhow::{Context, Result};
use tracer::object::{KernelFeatures, KernelVersion, Object, Symbols, Target};
use tracer::verifier::btf::Btf;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [btf, version, objects @ ..] = args.as_slice() else {
        anyhow::bail!("usage: object_show BTF VERSION OBJECT...");
    };
    let btf = Btf::parse(std::fs::read(btf)?)?;
    let (major, minor) = version.split_once('.').context("a version is MAJOR.MINOR")?;
    let features = KernelFeatures::of(KernelVersion::new(major.parse()?, minor.parse()?, 0));
    let target = Target {
        btf: Some(&btf),
        modules: &[],
        features,
        kconfig: Some(""),
        symbols: Symbols::Unknown,
        possible_cpus: Some(2),
    };
    for path in objects {
        let object = match Object::parse(&std::fs::read(path)?, path) {
            Ok(object) => object,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        let resolved = match object.resolve(&target) {
            Ok(resolved) => resolved,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        println!("{path}: {} maps, licence '{}'", resolved.maps().len(), object.license());
        if let Some(refusal) = resolved.btf_refusal() {
            println!("  {refusal}");
        }
        for (id, function) in object.programs() {
            match resolved.program(id) {
                Ok(program) => {
                    let first = program
                        .source(0)
                        .map_or(String::new(), |line| format!("{}:{}", line.file, line.line));
                    let (count, poisoned) = (program.insns.len(), program.poisoned.len());
                    println!(
                        "  {} ({}): {count} instructions, {poisoned} poisoned, {first}",
                        program.name, program.section
                    );
                }
                Err(error) => println!("  {}: {error}", function.name),
            }
        }
    }
    Ok(())
}
