//! One change of the host: how it is said, made and undone.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::cgroups::Tree;
use super::ids;
use super::place::Place;

/// What a file is for, which says what to tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// An AppArmor profile: the parser loads it.
    Profile,
    /// A drop-in of systemd: it reads its units again.
    Unit,
    /// Kernel settings for the next start of the host.
    Settings,
}

/// A change, as it is also kept in the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Change {
    /// A file of ours.
    File {
        path: PathBuf,
        text: String,
        purpose: Purpose,
        /// Folders made for it.
        folders: Vec<PathBuf>,
    },
    /// A range of subordinate ids for a user.
    Ids { file: String, user: String, first: u64, count: u64 },
    /// A kernel setting, now.
    Setting { path: String, before: String, after: String },
    /// Control groups given to a user, until the host restarts.
    Groups(Tree),
}

/// How an undo went, in words.
pub(super) enum Undone {
    /// As it was before.
    Taken(String),
    /// There was nothing left to undo.
    Gone(String),
    /// Left as it is, because it is no longer what setup made of it.
    Kept(String),
}

/// What the words of an undo begin with.
fn verb(dry_run: bool, done: &'static str, to_do: &'static str) -> &'static str {
    if dry_run { to_do } else { done }
}

impl Change {
    /// What it does and why, to be said before it is made.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::File { path, purpose, text, .. } => {
                let path = path.display();
                match purpose {
                    Purpose::Profile => format!(
                        "write {path} and load it with apparmor_parser: AppArmor here lets no program make user namespaces \
                         without a profile that says so"
                    ),
                    Purpose::Unit => format!(
                        "write {path} and reload systemd: it hands the controllers of CPU, memory, I/O and processes to users"
                    ),
                    Purpose::Settings => {
                        format!("write {path}, to keep {} after a restart", text.trim().replace('\n', ", "))
                    }
                }
            }
            Self::Ids { file, user, first, count } => {
                format!("add `{user}:{first}:{count}` to {file}: each sandbox runs under an id of its own")
            }
            Self::Setting { path, before, after } => {
                format!(
                    "set {} to {after}, which is {before}: it keeps user namespaces from being made",
                    setting_name(path)
                )
            }
            Self::Groups(tree) => tree.describe(),
        }
    }

    /// Whether making this one makes an older one obsolete: another version of the same file.
    pub(super) fn replaces(&self, old: &Self) -> bool {
        match (self, old) {
            (Self::File { path, .. }, Self::File { path: old, .. }) => path == old,
            (Self::Groups(tree), Self::Groups(old)) => tree.folders == old.folders,
            _ => self == old,
        }
    }

    pub(super) fn apply(&self, place: &Place) -> anyhow::Result<()> {
        match self {
            Self::File { path, text, purpose, folders } => {
                let before = place.read(path)?;
                place.make_folders(path.parent().context("a file lies in a folder")?)?;
                place.write(path, text)?;
                if let Err(error) = load(place, path, *purpose) {
                    match before {
                        Some(before) => place.write(path, &before)?,
                        None => fs::remove_file(place.at(path))?,
                    }
                    place.remove_empty(folders);
                    return Err(error);
                }
                Ok(())
            }
            Self::Ids { file, user, first, count } => give_ids(place, file, user, *first, *count),
            Self::Setting { path, after, .. } => set(place, path, after),
            Self::Groups(tree) => tree.make(place),
        }
    }

    pub(super) fn undo(&self, place: &Place, dry_run: bool) -> anyhow::Result<Undone> {
        match self {
            Self::File { path, text, purpose, folders } => remove_file(place, path, text, *purpose, folders, dry_run),
            Self::Ids { file, user, first, count } => {
                let line = format!("{user}:{first}:{count}");
                let Some(rest) = ids::without(&place.read(file)?.unwrap_or_default(), &line) else {
                    return Ok(Undone::Gone(format!("{file}: `{line}` is gone already")));
                };
                if !dry_run {
                    place.locked(file, || place.write(file, &rest))?;
                }
                Ok(Undone::Taken(format!("{} `{line}` from {file}", verb(dry_run, "took", "would take"))))
            }
            Self::Setting { path, before, after } => {
                let name = setting_name(path);
                match place.setting(path) {
                    Some(now) if now == *after => {
                        if !dry_run {
                            set(place, path, before)?;
                        }
                        Ok(Undone::Taken(format!("{} {name} back to {before}", verb(dry_run, "set", "would set"))))
                    }
                    now => Ok(Undone::Gone(format!(
                        "{name} was changed since, to {}: it stays so",
                        now.as_deref().unwrap_or("nothing")
                    ))),
                }
            }
            Self::Groups(tree) => tree.undo(place, dry_run),
        }
    }
}

/// `/proc/sys/user/x` is called `user.x`.
fn setting_name(path: &str) -> String {
    path.trim_start_matches("/proc/sys/").replace('/', ".")
}

/// Kernel settings are files that must be written in place.
fn set(place: &Place, path: &str, value: &str) -> anyhow::Result<()> {
    fs::write(place.at(path), value).with_context(|| format!("writing {path}"))?;
    let now = place.setting(path).unwrap_or_default();
    ensure!(now == value, "{path} is {now} after writing {value}");
    Ok(())
}

/// Tells who reads the file.
fn load(place: &Place, path: &Path, purpose: Purpose) -> anyhow::Result<()> {
    match purpose {
        Purpose::Profile => {
            let file = place.at(path);
            place.run("apparmor_parser", &["--replace", file.to_str().context("the path is no UTF-8")?])
        }
        Purpose::Unit => place.run("systemctl", &["daemon-reload"]),
        Purpose::Settings => Ok(()),
    }
}

fn remove_file(
    place: &Place,
    path: &Path,
    text: &str,
    purpose: Purpose,
    folders: &[PathBuf],
    dry_run: bool,
) -> anyhow::Result<Undone> {
    let shown = path.display();
    match place.read(path)? {
        None => return Ok(Undone::Gone(format!("{shown} is gone already"))),
        Some(now) if now != text => {
            return Ok(Undone::Kept(format!("{shown} was changed since setup wrote it: it stays; remove it by hand")));
        }
        Some(_) => {}
    }
    if !dry_run {
        if purpose == Purpose::Profile {
            let file = place.at(path);
            place.run("apparmor_parser", &["--remove", file.to_str().context("the path is no UTF-8")?])?;
        }
        fs::remove_file(place.at(path)).with_context(|| format!("removing {shown}"))?;
        place.remove_empty(folders);
        if purpose == Purpose::Unit {
            load(place, path, purpose)?;
        }
    }
    Ok(Undone::Taken(format!("{} {shown}", verb(dry_run, "removed", "would remove"))))
}

/// By usermod, which knows the host's ways, or by hand where there is none or where it does not know the user.
fn give_ids(place: &Place, file: &str, user: &str, first: u64, count: u64) -> anyhow::Result<()> {
    let line = format!("{user}:{first}:{count}");
    let flag = if file.ends_with("subuid") { "--add-subuids" } else { "--add-subgids" };
    let range = format!("{first}-{}", first + count - 1);
    let root = place.root().to_str().context("the path is no UTF-8")?;
    let mut arguments = vec![flag, &range, user];
    if !place.is_host() {
        arguments.splice(0..0, ["--prefix", root]);
    }
    if place.exists(file) && place.program("usermod").is_some() && place.run("usermod", &arguments).is_ok() {
        let text = place.read(file)?.unwrap_or_default();
        if text.lines().any(|one| one == line) {
            return Ok(());
        }
    }
    place.locked(file, || place.write(file, &ids::with(&place.read(file)?.unwrap_or_default(), &line)))
}

/// Whether a file is owned by this user.
pub(super) fn is_of(path: &Path, uid: u32) -> bool {
    fs::metadata(path).is_ok_and(|file| file.uid() == uid)
}
