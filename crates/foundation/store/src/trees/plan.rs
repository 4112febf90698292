//! The pure rules of unpacking: from what a zip's directory claims to what will be made, or why not.

use std::collections::BTreeMap;

use super::error::shown;
use super::{Limits, ZipError};

/// Longest path within a tree, bytes (PATH_MAX leaves room for the folder before it).
const PATH_BYTES: usize = 3072;
/// Longest name of one file, bytes (NAME_MAX).
const NAME_BYTES: usize = 255;
/// Longest target of a symbolic link, bytes.
pub(super) const LINK_BYTES: u64 = 3072;

const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// What the zip's directory says of one entry.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// Its name as written.
    pub(super) name: String,
    /// Unix mode with the file type, if the zip has one.
    pub(super) mode: Option<u32>,
    /// Bytes unpacked.
    pub(super) size_bytes: u64,
}

/// What an entry becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File { executable: bool },
    Link,
}

/// Everything a zip will become, by path, plus the folders that its paths imply.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Path to kind and index of the claim, none for an implied folder. In byte order, a folder precedes what is in it.
    pub(super) nodes: BTreeMap<String, (Kind, Option<usize>)>,
    /// Sum of the declared sizes, bytes.
    pub(super) size_bytes: u64,
}

impl Plan {
    /// Decides over all entries before anything is written.
    pub(super) fn new(claims: &[Claim], limits: &Limits) -> Result<Self, ZipError> {
        let mut plan = Self::default();
        for (index, claim) in claims.iter().enumerate() {
            plan.add(index, claim, limits)?;
        }
        Ok(plan)
    }

    fn add(&mut self, index: usize, claim: &Claim, limits: &Limits) -> Result<(), ZipError> {
        let path = normal_path(&claim.name)?;
        let kind = kind_of(claim)?;
        self.size_bytes = self.size_bytes.saturating_add(claim.size_bytes);
        if self.size_bytes > limits.unzipped_bytes {
            return Err(ZipError::TooLarge { limit: limits.unzipped_bytes });
        }
        if path.is_empty() {
            // "./": the folder itself.
            return if kind == Kind::Folder { Ok(()) } else { Err(name(claim, "it is empty")) };
        }
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            match self.nodes.get(parent) {
                None => {
                    self.nodes.insert(parent.into(), (Kind::Folder, None));
                }
                Some((Kind::Folder, _)) => {}
                Some(_) => return Err(ZipError::UnderAFile { entry: shown(&claim.name), under: shown(parent) }),
            }
        }
        match (self.nodes.get(&path), kind) {
            // A folder may be named after the files in it, as some tools do.
            (None, _) | (Some((Kind::Folder, None)), Kind::Folder) => {
                self.nodes.insert(path, (kind, Some(index)));
                Ok(())
            }
            (Some((Kind::Folder, None)), _) => {
                Err(ZipError::UnderAFile { entry: "another entry".into(), under: shown(&claim.name) })
            }
            (Some(_), _) => Err(ZipError::Duplicate { entry: shown(&claim.name) }),
        }
    }
}

fn name(claim: &Claim, why: &'static str) -> ZipError {
    ZipError::Name { entry: shown(&claim.name), why }
}

fn kind_of(claim: &Claim) -> Result<Kind, ZipError> {
    let mode = claim.mode.unwrap_or(0);
    let named_folder = claim.name.ends_with('/');
    match mode & S_IFMT {
        S_IFDIR => Ok(Kind::Folder),
        0 | S_IFREG if named_folder => Ok(Kind::Folder),
        0 | S_IFREG => Ok(Kind::File { executable: mode & 0o111 != 0 }),
        S_IFLNK if !named_folder => Ok(Kind::Link),
        _ => Err(ZipError::Special { entry: shown(&claim.name) }),
    }
}

/// The entry's path within the tree, without "." and empty parts.
fn normal_path(raw: &str) -> Result<String, ZipError> {
    let refused = |why| Err(ZipError::Name { entry: shown(raw), why });
    if raw.is_empty() {
        return refused("it is empty");
    }
    if raw.contains('\0') {
        return refused("it holds a NUL byte");
    }
    if raw.contains('\\') {
        return refused("it holds a backslash; use / between folders");
    }
    if raw.starts_with('/') {
        return Err(ZipError::Escapes { entry: shown(raw) });
    }
    let mut parts = Vec::new();
    for part in raw.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(ZipError::Escapes { entry: shown(raw) }),
            part if part.len() > NAME_BYTES => return refused("a part of it is longer than 255 bytes"),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if path.len() > PATH_BYTES { refused("it is longer than 3072 bytes") } else { Ok(path) }
}

/// Refuses a symbolic link that leads out of the tree.
///
/// Only leading `..` are allowed, no more than the link is deep. The folders above a link are real folders (nothing
/// lies under a link), so those `..` mean what they seem to; a `..` after a name might follow another link first and
/// leave the tree from there.
pub(super) fn check_link(path: &str, target: &str) -> Result<(), ZipError> {
    let refused = || ZipError::LinkOutside { entry: shown(path), target: shown(target) };
    if target.is_empty() || target.contains('\0') || target.starts_with('/') {
        return Err(refused());
    }
    let depth = path.matches('/').count();
    let mut parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    let ups = parts.by_ref().take_while(|part| *part == "..").count();
    // `take_while` swallowed the first name; what follows it must not go up.
    if ups > depth || parts.any(|part| part == "..") {
        return Err(refused());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(name: &str) -> Claim {
        Claim { name: name.into(), mode: Some(S_IFREG | 0o644), size_bytes: 1 }
    }

    fn with_mode(name: &str, mode: u32) -> Claim {
        Claim { mode: Some(mode), ..file(name) }
    }

    fn plan(claims: &[Claim]) -> Result<Vec<(String, Kind)>, ZipError> {
        let plan = Plan::new(claims, &Limits::default())?;
        Ok(plan.nodes.into_iter().map(|(path, (kind, _))| (path, kind)).collect())
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in ["../x", "a/../../x", "/etc/passwd", "a/..", ".."] {
            assert!(matches!(plan(&[file(name)]), Err(ZipError::Escapes { .. })), "{name}");
        }
        for name in ["", "a\\..\\b", "C:\\x", "a\0b", &"n".repeat(256), &"d/".repeat(2000)] {
            assert!(matches!(plan(&[file(name)]), Err(ZipError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn folders_are_implied_and_named_once() {
        let found = plan(&[file("./a//b/c"), with_mode("a/b/", S_IFDIR | 0o755)]).unwrap();
        let expected = [("a", Kind::Folder), ("a/b", Kind::Folder), ("a/b/c", Kind::File { executable: false })];
        assert_eq!(found, expected.map(|(path, kind)| (path.to_owned(), kind)));
        assert!(matches!(plan(&[file("a"), file("./a")]), Err(ZipError::Duplicate { .. })));
        assert!(matches!(plan(&[file("a"), file("a/b")]), Err(ZipError::UnderAFile { .. })));
        assert!(matches!(plan(&[file("a/b"), file("a")]), Err(ZipError::UnderAFile { .. })));
        let under_link = [with_mode("a", S_IFLNK | 0o777), file("a/b")];
        assert!(matches!(plan(&under_link), Err(ZipError::UnderAFile { .. })));
    }

    #[test]
    fn devices_and_oversize_are_refused() {
        for kind in [0o010_000, 0o020_000, 0o060_000, 0o140_000] {
            assert!(matches!(plan(&[with_mode("x", kind | 0o644)]), Err(ZipError::Special { .. })));
        }
        let half = Claim { size_bytes: Limits::default().unzipped_bytes / 2 + 1, ..file("a") };
        let other = Claim { name: "b".into(), ..half.clone() };
        assert!(matches!(plan(&[half, other]), Err(ZipError::TooLarge { .. })));
        let overflow = [Claim { size_bytes: u64::MAX, ..file("a") }, Claim { size_bytes: 2, ..file("b") }];
        assert!(matches!(plan(&overflow), Err(ZipError::TooLarge { .. })));
    }

    #[test]
    fn links_stay_inside() {
        for (path, target) in [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../b/c"), ("a", "./b"), ("a", ".")] {
            assert_eq!(check_link(path, target), Ok(()), "{path} -> {target}");
        }
        for (path, target) in
            [("a", "/etc"), ("a", ".."), ("d/a", "../../x"), ("a", "b/../../x"), ("a", "b/.."), ("a", "")]
        {
            assert!(check_link(path, target).is_err(), "{path} -> {target}");
        }
    }

    proptest! {
        /// Whatever a name is, a path that is accepted stays inside and has no part that means anything special.
        #[test]
        fn accepted_paths_are_plain(name in "[a./\\\\\0]{0,12}") {
            if let Ok(path) = normal_path(&name) {
                let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
                prop_assert!(path.is_empty() || plain, "{}", path);
                prop_assert!(!path.starts_with('/'));
            }
        }

        /// A link that is accepted cannot climb out, even if every name it passes were a link to the top of the tree.
        #[test]
        fn accepted_links_cannot_climb_out(depth in 0_usize..3, target in "(\\.\\./|\\./|a/|/){0,6}(a|\\.\\.)?") {
            let path = format!("{}link", "d/".repeat(depth));
            if check_link(&path, &target).is_ok() {
                let mut height = depth;
                for part in target.split('/') {
                    match part {
                        "" | "." => {}
                        ".." => { prop_assert!(height > 0, "{} -> {}", path, target); height -= 1; }
                        _ => height = 0,
                    }
                }
            }
        }
    }
}
