//! What of the host matters besides walls.

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::setup::own_uid;

/// Kernel: the oldest with `mount_setattr`, which walls are built with.
const OLDEST: (u32, u32) = (5, 12);
/// Open files: a sandbox takes about ten of the helper and ten of the server.
const FILES: u64 = 16_384;
/// Free space of the data folder below which it is worth a word, bytes.
const SPACE: u64 = 2 << 30;

/// Looks around.
pub(super) fn look(data: anyhow::Result<PathBuf>) -> Vec<Finding> {
    vec![kernel(), user(), cgroups(), data_folder(data), open_files(), microvm()]
}

/// Only functions that ask for a machine of their own need it.
fn microvm() -> Finding {
    let wall = sandbox::survey_microvm();
    match wall.state {
        sandbox::WallState::Holds(how) => Finding::ok(wall.name, how),
        sandbox::WallState::Missing { why, fix } => Finding::note(wall.name, why, fix),
    }
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn kernel() -> Finding {
    let release = line("/proc/sys/kernel/osrelease");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let says = format!("Linux {release}, {}", std::env::consts::ARCH);
    if version < OLDEST {
        return Finding::missing("kernel", says, format!("use Linux {}.{} or newer", OLDEST.0, OLDEST.1));
    }
    Finding::ok("kernel", says)
}

fn user() -> Finding {
    let capable = line("/proc/self/status").lines().find_map(|line| line.strip_prefix("CapEff:").map(str::to_owned));
    let capabilities = capable.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
    const SYS_ADMIN: u32 = 21;
    let says = match (own_uid(), capabilities >> SYS_ADMIN & 1) {
        (0, 1) => "root".to_owned(),
        (0, _) => "root without the right to mount, as in a container".to_owned(),
        (uid, _) => format!("an ordinary user (uid {uid})"),
    };
    Finding::ok("user", says)
}

fn cgroups() -> Finding {
    let mounts = line("/proc/self/mountinfo");
    let kind = |name: &str| {
        mounts.lines().any(|line| line.split_once(" - ").is_some_and(|(_, fs)| fs.split(' ').next() == Some(name)))
    };
    let says = match (kind("cgroup"), kind("cgroup2")) {
        (true, true) => "version 1, with version 2 beside it (hybrid)",
        (true, false) => "version 1",
        (false, true) => "version 2",
        (false, false) => "not mounted",
    };
    Finding::ok("control groups", says)
}

fn data_folder(data: anyhow::Result<PathBuf>) -> Finding {
    let name = "data folder";
    let data = match data {
        Ok(data) => data,
        Err(error) => return Finding::missing(name, error.to_string(), "lambent serve --data FOLDER"),
    };
    // Where it will be made, when it is not there yet.
    let there = data.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let kind = file_system(&line("/proc/self/mountinfo"), there);
    let free = sandbox::free_bytes(there).unwrap_or(0);
    let says = format!("{} on {kind}, {} GB free", data.display(), free / 1_000_000_000);
    match kind.as_str() {
        "tmpfs" | "ramfs" => {
            Finding::note(name, format!("{says}: gone with a restart"), "lambent serve --data FOLDER-ON-A-DISK")
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs" | "ceph" => Finding::note(
            name,
            format!("{says}: slow, and as safe as its server"),
            "lambent serve --data FOLDER-ON-A-DISK",
        ),
        _ if free < SPACE => Finding::note(name, says, "free some space"),
        _ => Finding::ok(name, says),
    }
}

/// The kind of the file system a path is on, from `/proc/self/mountinfo`.
fn file_system(mountinfo: &str, path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mounts = mountinfo.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let place = left.split(' ').nth(4)?.replace("\\040", " ");
        path.starts_with(&place).then(|| (place.len(), right.split(' ').next().unwrap_or("?").to_owned()))
    });
    // Of two mounts at one place the later covers the earlier.
    mounts.max_by_key(|(len, _)| *len).map_or_else(|| "?".to_owned(), |(_, kind)| kind)
}

fn open_files() -> Finding {
    let limits = line("/proc/self/limits");
    let hard: Option<u64> =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().nth(1)?.parse().ok());
    match hard {
        Some(hard) if hard < FILES => Finding::note(
            "open files",
            format!("at most {hard}: enough for about {} environments", hard / 12),
            format!("ulimit -Hn {FILES} as root before, or LimitNOFILE={FILES} in the systemd unit"),
        ),
        Some(hard) => Finding::ok("open files", format!("at most {hard}")),
        None => Finding::ok("open files", "unlimited"),
    }
}

/// Which runtimes are served, and by what.
pub(super) fn runtimes() -> anyhow::Result<Vec<Finding>> {
    let interpreters = crate::interpreters::all()?;
    let policy = runtime::Policy { loopback: true, allow_older: false };
    let (mut served, mut missing) = (Vec::new(), Vec::new());
    for wanted in runtime::Runtime::all().filter(|one| one.is_served() && !one.is_retired()) {
        match runtime::choose(wanted, &interpreters, policy) {
            Ok(runtime::Choice { interpreter: None, .. }) => {
                served.push(Finding::ok(wanted.id(), "any executable `bootstrap`"));
            }
            Ok(runtime::Choice { interpreter: Some(found), stand_in, .. }) => {
                let (major, minor, patch) = found.version;
                let stands_in = if stand_in.is_some() { ", standing in" } else { "" };
                let says = format!("{major}.{minor}.{patch} at {}{stands_in}", found.exe.display());
                served.push(Finding::ok(wanted.id(), says));
            }
            Err(_) => missing.push(wanted.id()),
        }
    }
    if !missing.is_empty() {
        let fix = "lambent runtime ls (says how to get each)";
        served.push(Finding::note("not on this host", missing.join(", "), fix));
    }
    Ok(served)
}

/// Programs of others that commands call.
pub(super) fn tools() -> Vec<Finding> {
    [
        ("pip3", "installs requirements.txt", "sudo apt-get install python3-pip"),
        ("npm", "installs package.json", "sudo apt-get install npm"),
        ("aws", "`lambent aws`", "pip install awscli"),
    ]
    .into_iter()
    .map(|(name, purpose, fix)| match search(name) {
        Some(path) => Finding::ok(name, format!("{purpose} ({})", path.display())),
        None => Finding::note(name, format!("{purpose}: not in PATH"), fix),
    })
    .collect()
}

fn search(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_and_last_mount_names_the_file_system() {
        let mounts =
            "1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / /tmp rw - tmpfs t rw\n3 1 0:3 / /tmp rw - xfs /dev/y rw\n";
        assert_eq!(file_system(mounts, Path::new("/tmp")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/")), "ext4");
        assert_eq!(file_system("", Path::new("/")), "?");
    }
}
