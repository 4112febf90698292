//! Control groups for an ordinary user: systemd's delegation where systemd keeps the tree, otherwise groups made and given
//! away by hand, which last until the host restarts.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::change::{Undone, is_of};
use super::place::Place;
use super::plan::User;
use super::record::Record;

pub(super) const MOUNT: &str = "/sys/fs/cgroup";
/// The drop-in for users' service managers. `sandbox` looks for it when it says how to get groups.
pub(super) const DROP_IN: &str = "/etc/systemd/system/user@.service.d/lambent.conf";
/// See systemd.resource-control(5).
pub(super) const DROP_IN_TEXT: &str =
    "# Written by `lambent setup`; `lambent setup --undo` removes it.\n[Service]\nDelegate=cpu cpuset io memory pids\n";

/// Controllers that limit functions. On version 1 each is a tree.
const CONTROLLERS: &[&str] = &["memory", "cpu", "cpuacct", "pids"];

/// The tree of version 1 that freezes them; on version 2 every group can.
const FREEZER: &str = "freezer";

/// The group of the processes that may use the tree of version 2; they may not be where its controllers are handed on.
const SESSION: &str = "session";

/// What a host offers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One tree, kept by systemd.
    Systemd,
    /// One tree, kept by nobody.
    Two,
    /// A tree for each controller, these.
    One(Vec<PathBuf>),
    /// None.
    Nothing,
}

pub(super) fn kind(place: &Place) -> Kind {
    let offered = place.setting(&format!("{MOUNT}/cgroup.controllers")).unwrap_or_default();
    if offered.split_whitespace().any(|name| name == "memory" || name == "pids") {
        return if place.exists("/run/systemd/system") { Kind::Systemd } else { Kind::Two };
    }
    let mut trees: Vec<PathBuf> = Vec::new();
    for name in CONTROLLERS.iter().chain([&FREEZER]) {
        let tree = Path::new(MOUNT).join(name);
        // Joined controllers are links to one folder.
        let Ok(real) = fs::canonicalize(place.at(&tree)) else { continue };
        if !trees.iter().any(|known| fs::canonicalize(place.at(known)).is_ok_and(|known| known == real)) {
            trees.push(tree);
        }
    }
    if trees.is_empty() { Kind::Nothing } else { Kind::One(trees) }
}

/// Whether systemd has given this user's service manager what is needed, whoever told it to.
pub(super) fn is_delegated(place: &Place, user: &User) -> bool {
    let uid = user.uid;
    let manager = format!("{MOUNT}/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers");
    let has = place.setting(&manager).unwrap_or_default();
    ["cpu", "memory", "pids"].iter().all(|name| has.split_whitespace().any(|one| one == *name))
}

/// Groups made by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    /// One for each tree, or the one.
    pub(super) folders: Vec<PathBuf>,
    pub(super) user: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether it is the one tree of version 2: then processes must be in it before they may use it.
    pub(super) two: bool,
    /// The shell to be put into it, so that what is started from there may use it.
    pub(super) shell: Option<u32>,
    /// Controllers switched on at the top for it.
    pub(super) enabled: Vec<String>,
}

impl Tree {
    /// The groups of a user on a host of this kind; `None` when they are there already.
    pub(super) fn wanted(place: &Place, kind: &Kind, user: &User, record: &Record) -> Option<Self> {
        let name = format!("lambent-{}", user.uid);
        let (folders, two) = match kind {
            Kind::One(trees) => (trees.iter().map(|tree| tree.join(&name)).collect(), false),
            Kind::Two => (vec![Path::new(MOUNT).join(&name)], true),
            Kind::Systemd | Kind::Nothing => return None,
        };
        let shell = if two { shell_of(user.uid) } else { None };
        let there = folders.iter().all(|folder: &PathBuf| is_of(&place.at(folder), user.uid));
        if there && shell.is_none_or(|shell| is_inside(shell, &name)) {
            return None;
        }
        let on = place.setting(&format!("{MOUNT}/cgroup.subtree_control")).unwrap_or_default();
        let off = |name: &&&str| two && **name != "cpuacct" && !on.split_whitespace().any(|one| one == **name);
        let mut enabled: Vec<String> = CONTROLLERS.iter().filter(off).map(|name| (*name).to_owned()).collect();
        // What an earlier setup switched on is still ours to switch off.
        enabled.extend(record.groups(&folders).into_iter().flat_map(|old| old.enabled.clone()));
        Some(Self { folders, user: user.name.clone(), uid: user.uid, gid: user.gid, two, shell, enabled })
    }

    pub(super) fn describe(&self) -> String {
        let shell = self.shell.map(|shell| format!(", put process {shell} (your shell) into it")).unwrap_or_default();
        let (name, user) = (self.name(), &self.user);
        format!(
            "make {name} and give it to {user}{shell}: limits of memory, CPU and processes, and freezing, until the host restarts"
        )
    }

    /// All folders in one word, as a shell would write them.
    fn name(&self) -> String {
        let part = |folder: &PathBuf| folder.strip_prefix(MOUNT).unwrap_or(folder).display().to_string();
        match self.folders.as_slice() {
            [one] => one.display().to_string(),
            many => {
                let trees: Vec<String> =
                    many.iter().map(|folder| part(folder).split('/').next().unwrap_or_default().to_owned()).collect();
                format!("{MOUNT}/{{{}}}/lambent-{}", trees.join(","), self.uid)
            }
        }
    }

    /// Where a process must be put by hand, because no shell was found to put there.
    pub(super) fn to_be_entered(&self) -> Option<String> {
        (self.two && self.shell.is_none()).then(|| format!("{}/{SESSION}", self.name()))
    }

    pub(super) fn make(&self, place: &Place) -> anyhow::Result<()> {
        for folder in &self.folders {
            if self.two {
                enable(&place.at(MOUNT))?;
            }
            self.give(&place.at(folder))?;
            if self.two {
                enable(&place.at(folder))?;
                let session = place.at(folder.join(SESSION));
                self.give(&session)?;
                if let Some(shell) = self.shell {
                    put(&session, "cgroup.procs", &shell.to_string())?;
                }
            }
        }
        Ok(())
    }

    /// Makes a group and hands it over, as cgroups.rst says under delegation.
    fn give(&self, folder: &Path) -> anyhow::Result<()> {
        if !folder.exists() {
            fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let files = ["cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control"].map(|name| folder.join(name));
        for path in files.iter().map(PathBuf::as_path).filter(|path| path.exists()).chain([folder]) {
            chown(path, Some(self.uid), Some(self.gid)).with_context(|| format!("giving {} away", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn undo(&self, place: &Place, dry_run: bool) -> anyhow::Result<Undone> {
        let names = self.name();
        if !self.folders.iter().any(|folder| place.exists(folder)) {
            return Ok(Undone::Gone(format!("{names}: gone already, as after a restart")));
        }
        if self.folders.iter().any(|folder| is_in_use(&place.at(folder))) {
            return Ok(Undone::Kept(format!("{names}: in use by a running lambent; stop it and undo again")));
        }
        if dry_run {
            return Ok(Undone::Taken(format!("would remove {names}")));
        }
        for folder in &self.folders {
            let top = place.at(folder.parent().context("a group lies in a tree")?);
            remove(&place.at(folder), &top)?;
        }
        for name in &self.enabled {
            // Refused while another group uses it: then it is no longer ours to switch off.
            let _ = put(&place.at(MOUNT), "cgroup.subtree_control", &format!("-{name}"));
        }
        Ok(Undone::Taken(format!("removed {names}")))
    }
}

/// Writes a file that the kernel made.
fn put(folder: &Path, file: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(file);
    fs::write(&path, text).with_context(|| format!("writing {text} to {}", path.display()))
}

/// Hands the controllers to the groups below.
fn enable(folder: &Path) -> anyhow::Result<()> {
    let offered = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    for name in CONTROLLERS.iter().filter(|name| offered.split_whitespace().any(|one| one == **name)) {
        put(folder, "cgroup.subtree_control", &format!("+{name}"))?;
    }
    Ok(())
}

/// The groups directly below.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).collect()
}

fn processes(folder: &Path) -> Vec<String> {
    fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Whether a platform keeps its sandboxes here: groups called `lambent-PID-START` with processes below.
fn is_in_use(folder: &Path) -> bool {
    below(folder).iter().any(|group| {
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let owned = name.strip_prefix("lambent-").is_some_and(|rest| rest.split('-').count() == 2);
        (owned && below(group).iter().any(|sandbox| !processes(sandbox).is_empty())) || is_in_use(group)
    })
}

/// Removes a group and all below it; processes go to the top of the tree.
fn remove(folder: &Path, top: &Path) -> anyhow::Result<()> {
    for group in below(folder) {
        remove(&group, top)?;
    }
    for pid in processes(folder) {
        put(top, "cgroup.procs", &pid)?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("removing {}", folder.display())),
    }
}

fn is_inside(pid: u32, name: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups.lines().any(|line| line.strip_prefix("0::/").is_some_and(|path| path.split('/').next() == Some(name)))
}

/// The nearest process above this one that is the user's: the shell that sudo was called from.
fn shell_of(uid: u32) -> Option<u32> {
    let mut pid = std::process::id();
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u32>().ok())
        };
        if field("Uid:")? == uid {
            return Some(pid);
        }
        pid = field("PPid:").filter(|parent| *parent > 1)?;
    }
}
