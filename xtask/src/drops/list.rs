//! `tests/drops.txt` of each room: which test misses which member.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::world::Test;
use super::{Member, Named};

/// Every room's list.
pub(crate) struct Lists(BTreeMap<Member, String>);

fn path(root: &Path, room: &str) -> PathBuf {
    root.join("crates/services").join(room).join("tests/drops.txt")
}

impl Lists {
    pub(crate) fn read<'a>(root: &Path, rooms: impl Iterator<Item = &'a str>) -> anyhow::Result<Self> {
        let mut lines = BTreeMap::new();
        for room in rooms {
            let path = path(root, room);
            let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let (name, test) = line.split_once(' ').with_context(|| format!("{}: {line}", path.display()))?;
                lines.insert(Member { room: room.to_owned(), name: name.to_owned() }, test.to_owned());
            }
        }
        Ok(Self(lines))
    }

    pub(crate) fn has(&self, member: &Member) -> bool {
        self.0.contains_key(member)
    }

    pub(crate) fn set(&mut self, member: &Member, test: String) {
        self.0.insert(member.clone(), test);
    }

    pub(crate) fn forget(&mut self, member: &Member) {
        self.0.remove(member);
    }

    /// The members that lines name and `members` does not.
    pub(crate) fn strays(&self, members: &[Member]) -> Vec<Member> {
        self.0.keys().filter(|member| !members.contains(member)).cloned().collect()
    }

    /// The tests named for `members`.
    pub(crate) fn of(&self, members: &[Member]) -> Named {
        let mut named = Named::new();
        for member in members {
            if let Some(test) = self.0.get(member) {
                named.entry(Test::parse(&member.room, test)).or_default().push(member.clone());
            }
        }
        named
    }

    /// Writes the rooms' lists, in the order of `members`.
    pub(crate) fn write(&self, root: &Path, members: &[Member]) -> anyhow::Result<()> {
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        for member in members {
            let text = texts.entry(&member.room).or_insert_with(|| {
                "# Which test misses which member that acts. Written by `cargo xtask drops --find`.\n".to_owned()
            });
            if let Some(test) = self.0.get(member) {
                text.push_str(&format!("{} {test}\n", member.name));
            }
        }
        for (room, text) in texts {
            fs::write(path(root, room), text)?;
        }
        Ok(())
    }
}
