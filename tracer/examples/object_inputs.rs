//! Compares what `tracer::object` makes of object files with what libbpf handed to bpf() for the same programs.
//!
//! `cargo run --release --example object_inputs -- OBJECTS INPUTS [KERNEL...]`: OBJECTS is a directory of object files,
//! INPUTS one with `inputs-KERNEL.jsonl` and `btf-KERNEL`, uncompressed. Prints each difference and a summary.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use tracer::object::{
    Attach, Insn, KernelFeatures, KernelVersion, Object, Program, Resolved, Symbols, Target, program_flags,
};
use tracer::verifier::btf::Btf;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [objects, inputs, kernels @ ..] = args.as_slice() else {
        anyhow::bail!("usage: object_inputs OBJECTS INPUTS [KERNEL...]");
    };
    let default = ["5.10", "6.1", "6.12", "7.2"].map(String::from);
    let kernels = if kernels.is_empty() { &default } else { kernels };
    for kernel in kernels {
        compare_kernel(Path::new(objects), Path::new(inputs), kernel)?;
    }
    Ok(())
}

fn version(kernel: &str) -> Result<KernelVersion> {
    let (major, minor) = kernel.split_once('.').context("a kernel is MAJOR.MINOR")?;
    Ok(KernelVersion::new(major.parse()?, minor.parse()?, 0))
}

fn compare_kernel(objects: &Path, inputs: &Path, kernel: &str) -> Result<()> {
    let btf = Btf::parse(std::fs::read(inputs.join(format!("btf-{kernel}")))?)?;
    let features = KernelFeatures::of(version(kernel)?);
    let kconfig = std::fs::read_to_string(inputs.join(format!("config-{kernel}"))).ok();
    let kconfig = kconfig.as_deref().or(Some(""));
    let target = Target {
        btf: Some(&btf),
        modules: &[],
        features,
        kconfig,
        symbols: Symbols::Unknown,
        possible_cpus: Some(2),
    };
    let mut by_object: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in std::fs::read_to_string(inputs.join(format!("inputs-{kernel}.jsonl")))?.lines() {
        let record: Value = serde_json::from_str(line)?;
        by_object.entry(text(&record, "obj").into()).or_default().push(record);
    }
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let mut identical = 0;
    let mut total = 0;
    let start = std::time::Instant::now();
    for (name, records) in &by_object {
        total += records.len();
        let bytes = std::fs::read(objects.join(name))?;
        let object = match Object::parse(&bytes, name) {
            Ok(object) => object,
            Err(error) => {
                println!("{kernel} {name}: {error}");
                *tally.entry("object unreadable").or_default() += records.len();
                continue;
            }
        };
        let resolved = match object.resolve(&target) {
            Ok(resolved) => resolved,
            Err(error) => {
                println!("{kernel} {name}: {error}");
                *tally.entry("object unresolved").or_default() += records.len();
                continue;
            }
        };
        let known: Vec<&str> = records.iter().map(|record| text(record, "prog")).collect();
        for (id, function) in
            object.programs().filter(|(_, function)| !known.contains(&function.name.as_str()))
        {
            match resolved.program(id) {
                Ok(_) => println!("{kernel} {name} {}: libbpf gave up on it, we do not", function.name),
                Err(_) => *tally.entry("given up by both").or_default() += 1,
            }
        }
        for record in records {
            let differences = compare_program(&object, &resolved, record);
            identical += usize::from(differences.is_empty());
            for (what, detail) in differences {
                println!("{kernel} {name} {}: {what}: {detail}", text(record, "prog"));
                *tally.entry(what).or_default() += 1;
            }
        }
    }
    println!("{kernel}: {identical} of {total} programs identical, {tally:?}, {:?}", start.elapsed());
    Ok(())
}

fn text<'v>(record: &'v Value, key: &str) -> &'v str {
    record[key].as_str().unwrap_or_default()
}

fn number(record: &Value, key: &str) -> u64 {
    record[key].as_u64().unwrap_or_default()
}

fn compare_program(object: &Object, resolved: &Resolved<'_>, record: &Value) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let Some(id) = object.program_named(text(record, "prog")) else {
        return vec![("no such program", String::new())];
    };
    let program = match resolved.program(id) {
        Ok(program) => program,
        Err(error) => return vec![("program refused", error.to_string())],
    };
    let mut differ = |what, ours: String, theirs: String| {
        if ours != theirs {
            found.push((what, format!("ours {ours}, libbpf's {theirs}")));
        }
    };
    differ(
        "program type",
        (program.program_type as u32).to_string(),
        number(record, "prog_type").to_string(),
    );
    differ("attach type", program.attach_type.0.to_string(), number(record, "attach_type").to_string());
    let attach = match program.attach {
        Attach::Btf { type_id, .. } => type_id.0,
        Attach::StructOps(binding) => binding.type_id.0,
        Attach::Later | Attach::Program { .. } => 0,
    };
    differ("attach id", attach.to_string(), number(record, "attach_btf_id").to_string());
    // The other flags are the test's own wishes.
    let flags =
        number(record, "prog_flags") as u32 & (program_flags::SLEEPABLE | program_flags::XDP_HAS_FRAGS);
    differ("flags", program.flags.to_string(), flags.to_string());
    let functions: Vec<_> =
        program.func_info.iter().map(|info| (u64::from(info.insn), u64::from(info.type_id.0))).collect();
    let pair = |pair: &Value| (pair[0].as_u64().unwrap_or_default(), pair[1].as_u64().unwrap_or_default());
    let theirs: Vec<_> = record["func_info"].as_array().into_iter().flatten().map(pair).collect();
    differ("func_info", format!("{functions:?}"), format!("{theirs:?}"));
    if let Some(difference) = compare_insns(resolved, &program, record) {
        found.push(("instructions", difference));
    }
    found.extend(compare_maps(resolved, record).into_iter().map(|difference| ("map", difference)));
    found
}

fn compare_insns(resolved: &Resolved<'_>, program: &Program, record: &Value) -> Option<String> {
    let bytes = base64(text(record, "insns"));
    let theirs: Vec<Insn> = bytes.as_chunks::<8>().0.iter().map(|slot| Insn::from_bytes(*slot)).collect();
    if theirs.len() != program.insns.len() {
        return Some(format!("{} of ours, {} of libbpf's", program.insns.len(), theirs.len()));
    }
    let listed = record["maps"].as_array().into_iter().flatten();
    // A descriptor that is no map was written by the program's author.
    let listed = listed.filter(|map| number(map, "ok") == 1);
    let names: HashMap<i64, &str> =
        listed.map(|map| (map["fd"].as_i64().unwrap_or(-1), suffix(text(map, "name")))).collect();
    for (at, (ours, theirs)) in program.insns.iter().zip(&theirs).enumerate() {
        let mut plain = *ours;
        if ours.refers_to_map() && theirs.refers_to_map() {
            let name = resolved.maps().get(ours.imm as usize).map(|map| suffix(&map.kernel_name));
            if name != names.get(&i64::from(theirs.imm)).copied() {
                return Some(format!(
                    "{at}: ours refers to {name:?}, libbpf's to {:?}",
                    names.get(&i64::from(theirs.imm))
                ));
            }
            plain.imm = theirs.imm;
        }
        if plain != *theirs {
            return Some(format!("{at}: ours {ours:?}, libbpf's {theirs:?}"));
        }
    }
    None
}

fn compare_maps(resolved: &Resolved<'_>, record: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for theirs in record["maps"].as_array().into_iter().flatten().filter(|map| number(map, "ok") == 1) {
        let name = suffix(text(theirs, "name"));
        let Some(ours) = resolved.maps().iter().find(|map| suffix(&map.kernel_name) == name) else {
            differences.push(format!("we have none named {name}"));
            continue;
        };
        let mine = [
            u64::from(ours.map_type.0),
            u64::from(ours.key_size),
            u64::from(ours.value_size),
            u64::from(ours.max_entries),
            u64::from(ours.flags),
            ours.extra,
            u64::from(ours.key_type.0),
            u64::from(ours.value_type.0),
        ];
        let keys = ["type", "key", "value", "max", "flags", "extra", "btf_key", "btf_value"];
        for (key, mine) in keys.into_iter().zip(mine) {
            if number(theirs, key) != mine {
                differences.push(format!("{name}: {key}: ours {mine}, libbpf's {}", number(theirs, key)));
            }
        }
    }
    differences
}

/// The name of a data section's map starts with the object's name, which the ground truth's loader did not have.
fn suffix(name: &str) -> &str {
    name.find('.').map_or(name, |dot| &name[dot..])
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.bytes().filter(|byte| *byte != b'=').map(digit).collect();
    let group = |group: &[u32]| {
        let word = (0..4).fold(0, |word, n| word << 6 | group.get(n).copied().unwrap_or(0));
        word.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
