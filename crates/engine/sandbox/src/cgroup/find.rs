//! Finding where groups can be made, and sweeping away those of helpers that are no more.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::freezer::{self, Freezer};
use super::{Layout, Version};

/// A process that owns groups: its pid may be used again, its pid and start time together never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    /// Clock ticks after boot.
    pub(crate) started: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn me() -> io::Result<Self> {
        let pid = std::process::id();
        Ok(Self { pid, started: started(pid).ok_or_else(|| io::Error::other("/proc is not mounted"))? })
    }

    /// The folder of its groups.
    pub(crate) fn folder(&self) -> String {
        format!("lambent-{}-{}", self.pid, self.started)
    }

    fn from_folder(name: &str) -> Option<Self> {
        let (pid, started) = name.strip_prefix("lambent-")?.split_once('-')?;
        Some(Self { pid: pid.parse().ok()?, started: started.parse().ok()? })
    }

    fn is_alive(&self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

/// When a process started: field 22 of `/proc/PID/stat`. `None` when there is no such process.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// One mounted tree.
struct Tree {
    mount: PathBuf,
    two: bool,
    controllers: Vec<String>,
}

/// Reads `/proc/self/mountinfo`.
fn mounted(mountinfo: &str) -> Vec<Tree> {
    let tree = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let two = match right.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        let controllers = right.nth(1)?.split(',').map(str::to_owned).collect();
        Some(Tree { mount: left.split(' ').nth(4)?.into(), two, controllers })
    };
    mountinfo.lines().filter_map(tree).collect()
}

/// The path of this process in the tree of `controller` (empty for version 2), from `/proc/self/cgroup`.
fn own_path<'a>(cgroups: &'a str, controller: &str) -> Option<&'a str> {
    cgroups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// Finds the trees in which this process may make groups, and makes the owner's folder there. `root` says whether it is
/// the host's root: then groups are made at the top, else below the process's own group, which must have been delegated.
///
/// # Errors
/// The reason why there is none, as text for people.
pub(crate) fn find(owner: Owner, root: bool) -> Result<Layout, String> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let cgroups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    find_in(&mountinfo, &cgroups, owner, root)
}

pub(super) fn find_in(mountinfo: &str, cgroups: &str, owner: Owner, root: bool) -> Result<Layout, String> {
    let trees = mounted(mountinfo);
    let mut refused = "no cgroup file system is mounted".to_owned();
    let two = trees.iter().find(|tree| tree.two && has_controllers(&tree.mount));
    if let Some(tree) = two {
        return two_in(tree, cgroups, owner, root);
    }
    let mut place = |controller: &str| {
        let tree = trees.iter().find(|tree| !tree.two && tree.controllers.iter().any(|name| name == controller))?;
        let own = own_path(cgroups, controller).unwrap_or("/").trim_start_matches('/');
        let parent = if root { tree.mount.clone() } else { tree.mount.join(own) };
        let given = if root { None } else { given(&tree.mount) };
        for parent in given.into_iter().chain([parent]) {
            let folder = parent.join(owner.folder());
            match make(&folder) {
                Ok(()) => return Some(folder),
                Err(error) => refused = format!("{}: {error}", folder.display()),
            }
        }
        None
    };
    let (memory, cpu, cpuacct, pids) = (place("memory"), place("cpu"), place("cpuacct"), place("pids"));
    if [&memory, &cpu, &cpuacct, &pids].into_iter().all(Option::is_none) {
        return Err(refused);
    }
    let beside = trees.iter().find(|tree| tree.two).and_then(|tree| beside(tree, cgroups, owner));
    let freezer = beside.or_else(|| place("freezer").map(Freezer::One));
    Ok(Layout { version: Version::One, memory, cpu, cpuacct, pids, freezer: freezer.ok_or(refused) })
}

/// Makes the owner's folder in the version 2 tree of a hybrid host, below the process's own group: who joins a threaded group
/// must come from one of the same domain. None where that is not possible.
fn beside(tree: &Tree, cgroups: &str, owner: Owner) -> Option<Freezer> {
    let folder = tree.mount.join(own_path(cgroups, "")?.trim_start_matches('/')).join(owner.folder());
    make(&folder).ok()?;
    match freezer::make_threaded(&folder) {
        Ok(()) => Some(Freezer::Beside(folder)),
        Err(_) => {
            let _ = fs::remove_dir(&folder);
            None
        }
    }
}

/// The group at the top of a tree that `lambent setup` gave to this user: `lambent-UID`. The helper may count uids
/// otherwise than the host does, so its owner tells, not its name.
fn given(mount: &Path) -> Option<PathBuf> {
    let me = rustix::process::geteuid().as_raw();
    fs::read_dir(mount).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name();
        let uid = name.to_str()?.strip_prefix("lambent-")?;
        let ours = uid.parse::<u32>().is_ok() && entry.metadata().ok()?.uid() == me;
        ours.then(|| entry.path())
    })
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Whether a version 2 tree carries the controllers we need; on hybrid hosts it is mounted but empty.
fn has_controllers(mount: &Path) -> bool {
    fs::read_to_string(mount.join("cgroup.controllers"))
        .is_ok_and(|text| text.split_whitespace().any(|name| name == "memory" || name == "pids"))
}

fn two_in(tree: &Tree, cgroups: &str, owner: Owner, root: bool) -> Result<Layout, String> {
    let say = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| format!("{}: {error}", path.display())
    };
    let own = own_path(cgroups, "").unwrap_or("/").trim_start_matches('/');
    // Another helper of this session has moved us there.
    let own = tree.mount.join(own.strip_suffix(LEAF).map_or(own, |above| above.trim_end_matches('/')));
    // The true root of the hierarchy may hold processes and controllers alike; it alone has no cgroup.type.
    let parent = if root && !tree.mount.join("cgroup.type").exists() { tree.mount.clone() } else { own };
    if parent != tree.mount {
        empty(&parent).map_err(say(&parent))?;
    }
    let folder = parent.join(owner.folder());
    make(&folder).map_err(say(&folder))?;
    let offered = fs::read_to_string(parent.join("cgroup.controllers")).map_err(say(&parent))?;
    let mut enabled = Vec::new();
    for name in ["memory", "cpu", "pids"] {
        let on = |place: &Path| super::put(place, "cgroup.subtree_control", &format!("+{name}"));
        if offered.split_whitespace().any(|offer| offer == name) {
            on(&parent).and_then(|()| on(&folder)).map_err(say(&parent))?;
            enabled.push(name);
        }
    }
    let has = |name: &str| enabled.contains(&name).then(|| folder.clone());
    // cpu.stat is there with or without the controller.
    let layout = Layout {
        version: Version::Two,
        memory: has("memory"),
        cpu: has("cpu"),
        cpuacct: Some(folder.clone()),
        pids: has("pids"),
        freezer: Ok(Freezer::Same),
    };
    if enabled.is_empty() { Err(format!("{}: no controller is delegated", parent.display())) } else { Ok(layout) }
}

/// Where the processes go that were in a group before it got groups below it.
const LEAF: &str = "lambent-server";

/// Moves the processes of a group into a leaf of it, since version 2 allows controllers only where no process is.
fn empty(group: &Path) -> io::Result<()> {
    let leaf = group.join(LEAF);
    make(&leaf)?;
    let processes = fs::read_to_string(group.join("cgroup.procs"))?;
    for pid in processes.lines() {
        super::put(&leaf, "cgroup.procs", pid)?;
    }
    Ok(())
}

/// Removes the groups of owners that are gone, killing what they may have left inside.
pub(crate) fn sweep(layout: &Layout) {
    for tree in layout.trees() {
        let Some(parent) = tree.parent() else { continue };
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let dead = entry.file_name().to_str().and_then(Owner::from_folder).is_some_and(|owner| !owner.is_alive());
            if dead {
                sweep_folder(&entry.path());
            }
        }
    }
}

/// Attempts to remove a group whose killed processes are still dying, and the pause between them.
const ATTEMPTS: u32 = 100;
const PAUSE_MS: i64 = 10;

fn sweep_folder(folder: &Path) {
    // Where the kernel has no such file, processes are killed one by one below.
    let _ = super::put(folder, super::KILL, "1");
    for child in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        sweep_folder(&child.path());
    }
    for _ in 0..ATTEMPTS {
        // A threaded group names no processes, only threads; a signal to one is for all of its process.
        let read = |file: &str| fs::read_to_string(folder.join(file));
        for pid in read("cgroup.procs").or_else(|_| read("cgroup.threads")).unwrap_or_default().lines() {
            if let Some(pid) = pid.parse().ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        freezer::let_go(folder);
        // What cannot be removed in time stays, and the next start sweeps it.
        match fs::remove_dir(folder) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => crate::sys::pause_ms(PAUSE_MS),
            _ => return,
        }
    }
}
