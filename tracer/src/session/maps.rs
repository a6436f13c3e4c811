//! The maps of one run, created and filled.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::{
    LoadError,
    bpf::{self, MapAttr},
};
use crate::object::{Contents, Map, MapId};

/// Maps, by their place in the object.
pub(super) struct Maps(BTreeMap<MapId, (String, OwnedFd)>);

impl Maps {
    /// Creates these maps; those that hold data get their values, and constants become so.
    pub(super) fn create(all: &[Map], wanted: &BTreeSet<MapId>) -> Result<Self, LoadError> {
        let mut maps = BTreeMap::new();
        for id in wanted {
            let map = all.get(id.0 as usize).ok_or(LoadError::Missing("map of that number"))?;
            let fail = |what, error| LoadError::Map { map: map.name.clone(), what, error };
            let attr = MapAttr {
                map_type: map.map_type.0,
                key_size: map.key_size,
                value_size: map.value_size,
                max_entries: map.max_entries,
                flags: map.flags,
                name: bpf::name(&map.kernel_name),
                ..MapAttr::default()
            };
            let fd = bpf::map_create(&attr).map_err(|error| fail("created", error))?;
            if let Some(Contents::Bytes(bytes)) = map.contents() {
                let key = 0_u32.to_ne_bytes();
                bpf::map_update(fd.as_fd(), &key, bytes, 0).map_err(|error| fail("filled", error))?;
            }
            if map.is_rodata() {
                bpf::map_freeze(fd.as_fd()).map_err(|error| fail("frozen", error))?;
            }
            maps.insert(*id, (map.name.clone(), fd));
        }
        Ok(Self(maps))
    }

    pub(super) fn fd(&self, id: MapId) -> Option<BorrowedFd<'_>> {
        self.0.get(&id).map(|(_, fd)| fd.as_fd())
    }

    /// All that were not taken.
    pub(super) fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().map(|(_, fd)| fd.as_fd())
    }

    /// A map that this run uses.
    pub(super) fn named(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.0.values().find(|(of, _)| of == name).map(|(_, fd)| fd.as_fd())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let id = self.0.iter().find(|(_, (of, _))| of == name).map(|(id, _)| *id)?;
        self.0.remove(&id).map(|(_, fd)| fd)
    }
}

/// `BPF_NOEXIST`: only a key that is not there yet.
const NOEXIST: u64 = 1;

/// Whether a key had to be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    New,
    WasThere,
}

/// Puts a key into a set: a hash map whose values are 1.
pub(super) fn insert(map: BorrowedFd<'_>, key: &[u8]) -> io::Result<Inserted> {
    match bpf::map_update(map, key, &1_u32.to_ne_bytes(), NOEXIST) {
        Ok(()) => Ok(Inserted::New),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(Inserted::WasThere),
        Err(error) => Err(error),
    }
}
