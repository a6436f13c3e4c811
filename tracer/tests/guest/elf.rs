//! Programs made of a few bytes, so that what they do is all known.

/// A 64-bit program that ends with status 0.
pub(crate) fn exit64() -> Vec<u8> {
    // xor edi, edi; mov eax, 60 (exit); syscall
    elf64(&[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05])
}

/// A 64-bit program whose status is the number of its arguments.
pub(crate) fn exit_argc() -> Vec<u8> {
    // mov edi, [rsp]; mov eax, 60 (exit); syscall
    elf64(&[0x8b, 0x3c, 0x24, 0xb8, 60, 0, 0, 0, 0x0f, 0x05])
}

fn elf64(code: &[u8]) -> Vec<u8> {
    let at = 0x0040_0000_u64;
    let mut elf = ident(2);
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [at + 120, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [0, 0, 64, 56, 1, 0, 0, 0] as [u16; 8] {
        elf.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let size = 120 + code.len() as u64;
    for word in [0, at, at, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}

/// A 32-bit program that ends with status 0.
pub(crate) fn exit32() -> Vec<u8> {
    // xor ebx, ebx; mov eax, 1 (exit); int 0x80
    elf32(&[0x31, 0xdb, 0xb8, 1, 0, 0, 0, 0xcd, 0x80])
}

/// How a 32-bit program calls the kernel.
#[derive(Clone, Copy)]
pub(crate) enum Call32<'a> {
    Execve(&'a [u8]),
    /// Descriptor, name, flags.
    Execveat(i32, &'a [u8], u32),
}

/// A 32-bit program that executes another one through `int 0x80`, without an environment, and ends
/// with status 42 if that fails.
pub(crate) fn exec32(call: Call32<'_>, argv: &[&[u8]]) -> Vec<u8> {
    const CODE: usize = 44;
    let at = |offset: usize| BASE + 84 + offset as u32;
    let name = match call {
        Call32::Execve(name) | Call32::Execveat(_, name, _) => name,
    };
    let mut strings = Vec::new();
    let mut pointers = Vec::new();
    let table = (argv.len() + 2) * 4;
    for string in [name].iter().chain(argv) {
        pointers.push(at(CODE + table + strings.len()));
        strings.extend(*string);
        strings.push(0);
    }
    let path = pointers.remove(0);
    let (argv_at, envp_at) = (at(CODE), at(CODE + argv.len() * 4));
    pointers.extend([0, 0]);
    let registers = match call {
        Call32::Execve(_) => [11, path, argv_at, envp_at, 0, 0],
        Call32::Execveat(fd, _, flags) => [358, fd.cast_unsigned(), path, argv_at, envp_at, flags],
    };
    let mut code = Vec::new();
    // mov into eax, ebx, ecx, edx, esi, edi
    for (opcode, value) in [0xb8, 0xbb, 0xb9, 0xba, 0xbe, 0xbf].into_iter().zip(registers) {
        code.push(opcode);
        code.extend(value.to_le_bytes());
    }
    // int 0x80; mov ebx, 42; mov eax, 1; int 0x80
    code.extend([0xcd, 0x80, 0xbb, 42, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xcd, 0x80]);
    assert_eq!(code.len(), CODE);
    code.extend(pointers.iter().flat_map(|pointer| pointer.to_le_bytes()));
    code.extend(strings);
    elf32(&code)
}

const BASE: u32 = 0x0804_8000;

fn elf32(code: &[u8]) -> Vec<u8> {
    let mut elf = ident(1);
    elf.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for word in [BASE + 84, 52, 0, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [52, 32, 1, 0, 0, 0] as [u16; 6] {
        elf.extend(half.to_le_bytes());
    }
    let size = 84 + code.len() as u32;
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}

fn ident(class: u8) -> Vec<u8> {
    let mut ident = b"\x7fELF".to_vec();
    ident.extend([class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    ident
}
