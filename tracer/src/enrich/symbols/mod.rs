//! Names for the addresses of stacks: the kernel's from `/proc/kallsyms`, programs' from their own files.
//!
//! ```text
//! address -> kallsyms (kernel)                                  -> symbol + offset [module]
//! address -> /proc/PID/maps -> file -> its ELF symbols (user)   -> symbol + offset (file)
//! ```
//!
//! *Invariant:* an address that no symbol is known to reach stays an address. Addresses above the innermost are
//! where calls return to, so they are looked up one byte earlier: a call may be a function's last instruction.
//!
//! *Must not know:* where stacks come from, how they are rendered.

mod elf;
mod kernel;
mod maps;
mod user;

use kernel::KernelSymbols;
pub use user::UserError;
use user::UserSymbols;

/// Where names of addresses are looked up.
#[derive(Debug, Default)]
pub struct Symbols {
    kernel: Kernel,
    user: UserSymbols,
}

#[derive(Debug)]
enum Kernel {
    Known(Box<KernelSymbols>),
    Unknown(String),
}

impl Default for Kernel {
    fn default() -> Self {
        Self::Unknown("the kernel's symbols were not read".into())
    }
}

/// A frame of a kernel stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFrame<'a> {
    pub address: u64,
    pub symbol: Option<&'a str>,
    /// From the start of the symbol.
    pub offset: Option<u64>,
    /// `None`: the kernel itself.
    pub module: Option<&'a str>,
}

/// A frame of a program's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFrame<'a> {
    pub address: u64,
    pub symbol: Option<&'a [u8]>,
    /// From the start of the symbol. Without a symbol: the address within the file, as its own headers count and as
    /// addr2line(1) takes it.
    pub offset: Option<u64>,
    /// What is mapped there: a path, or a name such as `[vdso]`.
    pub file: Option<&'a [u8]>,
}

/// Which frame an address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// The instruction itself.
    Innermost,
    /// Where a call returns to.
    Caller,
}

impl Position {
    fn of(index: usize) -> Self {
        if index == 0 { Self::Innermost } else { Self::Caller }
    }

    /// The address to look up.
    fn looked_up(self, address: u64) -> u64 {
        match self {
            Self::Innermost => address,
            Self::Caller => address.saturating_sub(1),
        }
    }
}

impl Symbols {
    /// The symbols of this host. `/proc/kallsyms` is read now: it shows addresses to the privileged alone, and lists
    /// the modules that are loaded now.
    pub fn of_this_host() -> Self {
        let kernel = match std::fs::read("/proc/kallsyms") {
            Ok(text) => Self::kernel_of(&text),
            Err(error) => Kernel::Unknown(format!("/proc/kallsyms cannot be read: {error}")),
        };
        Self { kernel, user: UserSymbols::default() }
    }

    /// The kernel's symbols as a text in the format of `/proc/kallsyms` lists them.
    pub fn of_kallsyms(text: &[u8]) -> Self {
        Self { kernel: Self::kernel_of(text), user: UserSymbols::default() }
    }

    fn kernel_of(text: &[u8]) -> Kernel {
        match KernelSymbols::parse(text) {
            Some(symbols) => Kernel::Known(Box::new(symbols)),
            None => Kernel::Unknown("/proc/kallsyms hides its addresses (kernel.kptr_restrict)".into()),
        }
    }

    /// Why kernel addresses have no names, if none has.
    pub fn kernel_reason(&self) -> Option<&str> {
        match &self.kernel {
            Kernel::Known(_) => None,
            Kernel::Unknown(reason) => Some(reason),
        }
    }

    /// The frames of a kernel stack, given the innermost first.
    pub fn kernel_stack<'a>(
        &'a self,
        addresses: impl Iterator<Item = u64> + 'a,
    ) -> impl Iterator<Item = KernelFrame<'a>> + 'a {
        addresses.enumerate().map(|(index, address)| match &self.kernel {
            Kernel::Known(symbols) => symbols.frame(address, Position::of(index)),
            Kernel::Unknown(_) => KernelFrame { address, symbol: None, offset: None, module: None },
        })
    }

    /// Calls `tell` with each frame of a stack of a process, given the innermost first.
    ///
    /// # Errors
    /// If what the process has mapped cannot be read: the frames that were told are addresses then.
    pub fn user_stack(
        &mut self,
        pid: u32,
        addresses: impl Iterator<Item = u64> + Clone,
        tell: impl FnMut(UserFrame<'_>),
    ) -> Result<(), UserError> {
        self.user.stack(pid, addresses, tell)
    }
}
