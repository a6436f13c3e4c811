//! Users by number and name, from `/etc/passwd`.
//!
//! The binary is static: it cannot load the C library's other sources of users (LDAP, sssd). A
//! user from those has no name here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often the file is looked at for a change, at most.
const REFRESH: Duration = Duration::from_secs(1);

/// The users of a passwd file.
#[derive(Debug, Default)]
pub struct Users {
    path: PathBuf,
    changed: Option<SystemTime>,
    looked: Option<Instant>,
    by_uid: HashMap<u32, String>,
}

impl Users {
    /// The users of this host. An unreadable file has none.
    pub fn of_this_host() -> Self {
        Self::of_file(Path::new("/etc/passwd"))
    }

    /// The users of a file in passwd's format (passwd(5)). An unreadable file has none.
    pub fn of_file(path: &Path) -> Self {
        let mut users = Self { path: path.into(), ..Self::default() };
        users.refresh();
        users
    }

    /// Reads the file again, if it has changed and was not looked at within a second.
    pub fn refresh(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < REFRESH) {
            return;
        }
        self.looked = Some(Instant::now());
        let changed = std::fs::metadata(&self.path).and_then(|meta| meta.modified());
        let changed = changed.ok();
        if changed.is_some() && changed == self.changed {
            return;
        }
        self.changed = changed;
        if let Ok(text) = std::fs::read(&self.path) {
            self.by_uid = parse(&text);
        }
    }

    /// A user's name.
    pub fn name(&self, uid: u32) -> Option<&str> {
        self.by_uid.get(&uid).map(String::as_str)
    }

    /// A user's number.
    pub fn uid(&self, name: &str) -> Option<u32> {
        let named = |(_, known): &(&u32, &String)| *known == name;
        self.by_uid.iter().find(named).map(|(uid, _)| *uid)
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_uid.values().map(String::as_str)
    }
}

/// `name:password:uid:...` a line. Of several names for a number the first counts, as for
/// getpwuid().
fn parse(text: &[u8]) -> HashMap<u32, String> {
    let mut users = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().and_then(|name| str::from_utf8(name).ok());
        let uid = fields.nth(1).and_then(|uid| str::from_utf8(uid).ok());
        if let (Some(name), Some(Ok(uid))) = (name, uid.map(str::parse)) {
            users.entry(uid).or_insert_with(|| name.to_string());
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_passwd_are_users() {
        let users = parse(
            b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n\n# no user\nbroken:x\n\
              neg:x:-1:0:::\nwww-data:x:33:33::/var/www:/bin/false",
        );
        assert_eq!(users.len(), 2);
        assert_eq!(users[&0], "root");
        assert_eq!(users[&33], "www-data");
    }
}
