//! The names of the walls and how a missing one is mended.

use crate::walls::{Wall, WallState};

/// Every wall, in the order they are built.
pub(crate) const NAMES: &[&str] = &[
    "memory limit",
    "cpu limit",
    "process limit",
    "freeze",
    "user namespace",
    "mount namespace",
    "pid namespace",
    "network namespace",
    "ipc and uts namespaces",
    "cgroup namespace",
    "own file system",
    "/tmp size",
    "egress closed",
    "egress",
    "uid range",
    "capabilities",
    "no_new_privs",
    "Landlock",
    "seccomp",
];

/// What `lambent setup` mends.
pub(crate) const SETUP: &str = "sudo lambent setup";

/// Where the programs that give subordinate ids away come from.
pub(crate) const UIDMAP: &str = "sudo apt-get install uidmap (Debian, Ubuntu), sudo dnf install shadow-utils-subid (Fedora), or your distribution's like";

/// What keeps newuidmap from working where it is installed and ids are there.
pub(crate) const MAP_FAILED: &str = "start lambent with this user's own group and without no_new_privs (in a systemd unit: NoNewPrivileges=no), and see \
     that newuidmap and newgidmap are set-uid root";

/// How a root that is not the host's gets ids.
pub(crate) const FULL_IDS: &str = "run lambent as the host's root, or as an ordinary user with subordinate ids";

/// Where root gets cgroups from.
const MOUNT: &str = "mount the cgroup controllers for writing (every systemd host has them); in a container: start it with `--privileged \
     --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw`, or run lambent outside of it";

/// What is wrong and the command that mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mend {
    pub(crate) why: String,
    pub(crate) fix: String,
}

impl Mend {
    pub(crate) fn new(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { why: why.into(), fix: fix.into() }
    }
}

/// Where this user gets cgroups from: root by mounting them; others from systemd once it delegates, or from a tree that
/// was given to them.
pub(crate) fn cgroup_fix(root: bool) -> String {
    let there = |path: &str| std::path::Path::new(path).exists();
    // The helper of a root that may not mount is in a user namespace of its own, as those of ordinary users are.
    let uids = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let root = root || uids.split_whitespace().nth(1) == Some("0");
    match (root, there("/run/systemd/system"), there(DROP_IN)) {
        (true, ..) => MOUNT.to_owned(),
        (false, true, true) => "start it as `systemd-run --user --scope -p Delegate=yes lambent serve`".to_owned(),
        (false, ..) => SETUP.to_owned(),
    }
}

/// What `lambent setup` installs to have systemd delegate controllers to users.
const DROP_IN: &str = "/etc/systemd/system/user@.service.d/lambent.conf";

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
        return format!("{SETUP} (raises user.max_user_namespaces, which is 0)");
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return format!("{SETUP} (switches kernel.unprivileged_userns_clone on)");
    }
    // Under a profile of its own, as setup installs one, the restriction does not apply.
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")
        && is("/proc/self/attr/current", "unconfined")
        && !rustix::process::geteuid().is_root()
    {
        return format!("{SETUP} (installs an AppArmor profile that lets lambent make user namespaces)");
    }
    if why.contains("not implemented") {
        return "use a kernel of 5.12 or newer".to_owned();
    }
    let contained = ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| std::path::Path::new(mark).exists());
    if contained {
        return "start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined \
                --security-opt systempaths=unconfined`, or run lambent outside of it"
            .to_owned();
    }
    if is_filtered() {
        return "a seccomp filter that lambent was started under denies it: start the container with `--security-opt \
                seccomp=unconfined`, or run lambent outside of it"
            .to_owned();
    }
    "run lambent as root, or on a host that lets users make user namespaces".to_owned()
}

/// Whether somebody else's seccomp filter is on this process: more than the helper's own two, or some before those.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
    match value("Seccomp_filters:") {
        Some(count) => count != 0 && count != crate::inside::filter::COUNT - 1,
        None => value("Seccomp:") == Some(2),
    }
}
