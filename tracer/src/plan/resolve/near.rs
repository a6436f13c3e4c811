//! The names that a wrong one may have been meant for.

/// Most names that are told.
const TOLD: usize = 3;

/// The nearest of many names, the nearest first; none if none is near.
pub(crate) fn near<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    if name.is_empty() {
        return Vec::new();
    }
    let most = (name.len() / 4).clamp(1, 3);
    let lower = name.to_ascii_lowercase();
    let mut best: Vec<(usize, usize, &str)> = Vec::new();
    for candidate in names {
        // A length that differs by more is a distance that is more: most names are left at once.
        let distance = if candidate.len().abs_diff(name.len()) > most {
            None
        } else {
            let distance = strsim::osa_distance(&lower, &candidate.to_ascii_lowercase());
            (distance <= most).then_some(distance)
        };
        // What contains the name is near too, but less so.
        let rank = match distance {
            Some(distance) => distance,
            None if name.len() >= 4 && candidate.contains(name) => 4 + candidate.len() - name.len(),
            None => continue,
        };
        let entry = (rank, candidate.len(), candidate);
        if let Err(at) = best.binary_search(&entry)
            && at < TOLD
        {
            best.insert(at, entry);
            best.truncate(TOLD);
        }
    }
    best.into_iter().map(|(_, _, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn the_nearest_come_first() {
        let names = ["vfs_read", "vfs_write", "vfs_readv", "vfs_readlink", "read", "vfs_fread"];
        assert_eq!(near("vfs_raed", names.into_iter()), ["vfs_read", "vfs_fread", "vfs_readv"]);
        assert_eq!(near("VFS_READ", names.into_iter())[0], "vfs_read");
        assert_eq!(near("readl", names.into_iter()), ["read", "vfs_readlink"]);
        assert!(near("zzz", names.into_iter()).is_empty());
        assert!(near("", names.into_iter()).is_empty());
    }
}
