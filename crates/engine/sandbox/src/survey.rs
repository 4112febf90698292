//! The names of the walls and how a missing one is mended.

use crate::walls::{Wall, WallState};

/// Every wall, in the order they are built.
pub(crate) const NAMES: &[&str] = &[
    "memory limit",
    "cpu limit",
    "process limit",
    "user namespace",
    "mount namespace",
    "pid namespace",
    "network namespace",
    "ipc and uts namespaces",
    "cgroup namespace",
    "own file system",
    "/tmp size",
    "egress closed",
    "uid range",
    "capabilities",
    "no_new_privs",
    "Landlock",
    "seccomp",
];

/// Where a rootless user gets cgroups from.
pub(crate) const DELEGATE: &str =
    "run `sudo lambent setup` once, or start it as `systemd-run --user --scope -p Delegate=yes lambent serve`";

/// Where root gets them from.
pub(crate) const MOUNT: &str =
    "mount the cgroup controllers for writing (every systemd host has them), or run lambent outside of the container";

pub(crate) fn holds(name: &'static str, how: impl Into<String>) -> Wall {
    Wall { name, state: WallState::Holds(how.into()) }
}

pub(crate) fn missing(name: &'static str, why: impl Into<String>, fix: impl Into<String>) -> Wall {
    Wall { name, state: WallState::Missing { why: why.into(), fix: fix.into() } }
}

fn sysctl(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The command that mends what keeps sandboxes from being built, by the first cause that is found on this host.
pub(crate) fn fix_for(why: &str) -> String {
    let is = |path: &str, value: &str| sysctl(path).as_deref() == Some(value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return "sudo sysctl -w user.max_user_namespaces=15000".to_owned();
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned();
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return "sudo lambent setup (installs an AppArmor profile that lets lambent make user namespaces)".to_owned();
    }
    if std::path::Path::new("/.dockerenv").exists() || std::path::Path::new("/run/.containerenv").exists() {
        return "start the container with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`, or run lambent outside of it"
            .to_owned();
    }
    if why.contains("not implemented") {
        return "use a kernel of 5.12 or newer".to_owned();
    }
    "run lambent as root, or on a host that lets users make user namespaces".to_owned()
}
