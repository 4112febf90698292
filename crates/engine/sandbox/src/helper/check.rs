//! The look from outside: before a program starts, the helper makes sure that every wall it asked for really stands.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use crate::inside::filter;

/// Namespaces that must be others than the helper's.
const NAMESPACES: &[&str] = &["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

/// The identity of the helper's own namespaces.
pub(super) struct Own(Vec<u64>);

impl Own {
    pub(super) fn read() -> Option<Self> {
        links("self").map(Self)
    }
}

fn links(pid: &str) -> Option<Vec<u64>> {
    NAMESPACES.iter().map(|name| fs::metadata(format!("/proc/{pid}/ns/{name}")).ok().map(|link| link.ino())).collect()
}

/// The identity of a process's namespaces, in an order of their own.
pub(super) fn namespaces(pid: i32) -> Result<Vec<u64>, String> {
    links(&pid.to_string()).ok_or_else(|| "its namespaces cannot be read".to_owned())
}

/// Reads a file of `/proc` in one go: it is made anew for every read.
fn read(path: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(8192);
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    while rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)).map_err(|error| error.to_string())? > 0 {}
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// The process of a pidfd, as this process sees it. `None` once it has gone.
pub(super) fn pid_of(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let info = read(&format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid: i32 = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    (pid > 0).then_some(pid)
}

/// What the process must look like.
pub(super) struct Expected<'a> {
    /// Its user and group as the helper sees them.
    pub(super) uid: u32,
    /// See `uid`.
    pub(super) gid: u32,
    /// The name of its cgroup, and in how many trees.
    pub(super) group: Option<(&'a str, usize)>,
}

/// Checks the process `pid`. Answers what is wrong.
pub(super) fn check(own: &Own, pid: i32, expected: &Expected<'_>) -> Result<(), String> {
    let theirs = namespaces(pid)?;
    let pid = pid.to_string();
    for ((name, own), theirs) in NAMESPACES.iter().zip(&own.0).zip(&theirs) {
        if own == theirs {
            return Err(format!("it shares the host's {name} namespace"));
        }
    }
    let status = read(&format!("/proc/{pid}/status"))?;
    check_status(&status, expected)?;
    if let Some((group, trees)) = expected.group {
        let groups = read(&format!("/proc/{pid}/cgroup"))?;
        if groups.lines().filter(|line| line.ends_with(group)).count() < trees {
            return Err("it is outside its cgroup".to_owned());
        }
    }
    Ok(())
}

/// The rules on `/proc/PID/status`.
fn check_status(status: &str, expected: &Expected<'_>) -> Result<(), String> {
    let value = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .ok_or_else(|| format!("its status has no {name}"))
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        if value(set)?.bytes().any(|digit| digit != b'0') {
            return Err(format!("it has capabilities ({set} {})", value(set)?));
        }
    }
    for (name, want) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
        if value(name)? != want {
            return Err(format!("{name} is {} and not {want}", value(name)?));
        }
    }
    // Older kernels do not count them.
    if let Ok(filters) = value("Seccomp_filters")
        && filters.parse().is_ok_and(|count: u32| count < filter::COUNT)
    {
        return Err(format!("it has {filters} seccomp filters and not {}", filter::COUNT));
    }
    for (name, id) in [("Uid", expected.uid), ("Gid", expected.gid)] {
        if value(name)?.split_whitespace().any(|part| part != id.to_string()) {
            return Err(format!("its {name} is {} and not {id}", value(name)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Name:\tx\nUid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nCapInh:\t00\nCapPrm:\t00\nCapEff:\t00\nCapBnd:\t00\nCapAmb:\t00\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";
    const EXPECTED: Expected<'static> = Expected { uid: 7, gid: 8, group: None };

    #[test]
    fn a_confined_process_passes() {
        assert_eq!(check_status(GOOD, &EXPECTED), Ok(()));
    }

    #[test]
    fn every_missing_wall_is_seen() {
        for (from, to) in [
            ("CapEff:\t00", "CapEff:\t01"),
            ("CapBnd:\t00", "CapBnd:\t80"),
            ("CapAmb:\t00", "CapAmb:\t02"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Seccomp_filters:\t3", "Seccomp_filters:\t2"),
            ("Uid:\t7\t7", "Uid:\t7\t0"),
            ("Gid:\t8\t8\t8\t8", "Gid:\t8\t8\t8\t0"),
            ("CapPrm:\t00\n", ""),
        ] {
            let bad = GOOD.replace(from, to);
            assert!(check_status(&bad, &EXPECTED).is_err(), "{from} -> {to}");
        }
    }
}
