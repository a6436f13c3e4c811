//! The table of system calls, and types as they are written.

use super::*;
use crate::profiles;

#[test]
fn the_table_agrees_with_the_crate() {
    let numbers = syscalls::all();
    assert!(numbers.len() > 360, "{}", numbers.len());
    let mut agree = 0;
    for call in numbers {
        // The crate may be older than the newest calls; what both know is the same.
        if let Ok(known) = call.name.parse::<::syscalls::x86_64::Sysno>() {
            assert_eq!(known.id(), call.number as i32, "{}", call.name);
            agree += 1;
        }
    }
    assert!(agree > 360, "{agree}");
    assert!(numbers.windows(2).all(|pair| pair[0].number < pair[1].number));
    assert!(numbers.iter().all(|call| call.arguments.len() <= 6));
    let openat = syscalls::by_name("openat").expect("it is there");
    assert_eq!(openat.signature(), "long openat(int dfd, const char *filename, int flags, umode_t mode)");
    assert_eq!(syscalls::by_name("getpid").expect("it is there").signature(), "long getpid(void)");
    assert_eq!(syscalls::by_name("newfstat").map(|call| call.name), Some("fstat"));
}

#[test]
fn signatures_are_as_in_c() {
    let kernel = profiles::named("6.12").unwrap_or_else(|error| panic!("{error}"));
    let said = |name: &str| {
        let func = kernel.btf.func(name).unwrap_or_else(|| panic!("no {name}"));
        let Some(crate::verifier::btf::Type::Func(it)) = kernel.btf.get(func.id) else {
            panic!("no function")
        };
        c_type::signature(&kernel.btf, name, it.proto).unwrap_or_else(|| panic!("no signature"))
    };
    assert_eq!(said("vfs_read"), "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)");
    assert_eq!(said("schedule"), "void schedule(void)");
    assert_eq!(said("kfree"), "void kfree(const void *object)");
}

#[test]
fn every_function_of_every_kernel_has_values_or_reasons() {
    for release in ["5.10", "6.1", "6.12", "7.2"] {
        let kernel = profiles::named(release).unwrap_or_else(|error| panic!("{error}"));
        let (mut functions, mut shown, mut refused) = (0, 0, 0);
        for func in kernel.btf.ids().filter_map(|id| kernel.btf.func_by_id(id)) {
            functions += 1;
            for convention in [calls::Convention::Registers, calls::Convention::Slots] {
                let call = calls::call(&kernel.btf, func.name, func.proto, convention);
                for root in call.arguments.iter().chain(&call.result) {
                    match value(Some(&kernel.btf), root, None, root.name.clone()) {
                        Ok(_) => shown += 1,
                        Err(dead) => {
                            assert!(!dead.what.is_empty());
                            refused += 1;
                        }
                    }
                }
            }
        }
        assert!(functions > 20_000, "{release}: {functions}");
        // What is refused is structures by value, and there are few of them.
        assert!(refused * 50 < shown, "{release}: {refused} refused of {shown}");
    }
}
