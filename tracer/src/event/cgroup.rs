//! Decoder of [`tracer_common::CgroupPath`].

use tracer_common::{CgroupPath, cgroup_cut};

use super::{
    DecodeError,
    path::{self, PathStart},
    wire,
};

/// Where a control group lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupEvent<'a> {
    /// 0: the v2 hierarchy; else the number of a v1 hierarchy (proc_pid_cgroup(5)).
    pub hierarchy: u32,
    pub id: u64,
    /// Absolute in its hierarchy; without its beginning, and then without a leading slash, if `cut`.
    pub path: &'a [u8],
    pub cut: bool,
}

/// `path` is where the path is joined.
pub(super) fn decode<'a>(record: &[u8], path: &'a mut Vec<u8>) -> Result<CgroupEvent<'a>, DecodeError> {
    let (cgroup, rest) = wire::split::<CgroupPath>(record)?;
    let header = cgroup.header;
    let Some(parts) = rest.get(..cgroup.len as usize) else {
        let named = cgroup.len.into();
        return Err(DecodeError::Parts { named, carried: rest.len(), cpu: header.cpu, tid: header.tid });
    };
    let cut = cgroup.cut & (cgroup_cut::START | cgroup_cut::UNREAD) != 0;
    path.clear();
    path::join(parts, if cut { PathStart::Unknown } else { PathStart::Root }, path);
    Ok(CgroupEvent { hierarchy: cgroup.hierarchy, id: cgroup.id, path, cut })
}
