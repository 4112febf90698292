//! Control groups: the limits of memory, CPU and processes, and the meters. Version 1 (one tree for each controller, also
//! in the hybrid layout) and version 2 (one tree) behind one type; what a host lacks is simply not limited, and said so.

mod find;
mod freezer;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::walls::Usage;

/// The period over which a CPU share is measured out, microseconds.
pub(crate) const CPU_PERIOD_US: u64 = 20_000;

/// The file of version 2 that kills a whole tree of groups.
const KILL: &str = "cgroup.kill";

/// On version 1 what lies in sockets is counted by itself, and not limited unless told: a function of 128 MiB could fill
/// the host's TCP memory. It may have this much, or a quarter of its memory where that is more. Set ahead of need, since
/// the first group that is limited has the kernel patch itself.
const SOCKETS: &str = "memory.kmem.tcp.limit_in_bytes";
const SOCKETS_BYTES: u64 = 64 << 20;

/// Which interface the kernel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// A tree for each controller; also hybrid hosts, whose limits are there.
    One,
    /// One tree.
    Two,
}

/// Where groups can be made on this host: one folder for each tree, which this process may fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) version: Version,
    /// The folder whose children limit memory, where there is one.
    pub(crate) memory: Option<PathBuf>,
    /// The folder whose children limit CPU.
    pub(crate) cpu: Option<PathBuf>,
    /// The folder whose children count CPU time (the same as `cpu` on version 2).
    pub(crate) cpuacct: Option<PathBuf>,
    /// The folder whose children limit processes.
    pub(crate) pids: Option<PathBuf>,
    /// How groups are frozen, or why they are not.
    pub(crate) freezer: Result<Freezer, String>,
}

impl Layout {
    /// A host without any.
    pub(crate) fn none(why: &str) -> Self {
        let freezer = Err(why.to_owned());
        Self { version: Version::Two, memory: None, cpu: None, cpuacct: None, pids: None, freezer }
    }

    /// Every tree once. That of the freezer comes first: what it holds must be let go before anything there ends.
    fn trees(&self) -> Vec<&Path> {
        let mut trees: Vec<&Path> =
            [&self.memory, &self.cpu, &self.cpuacct, &self.pids].into_iter().flatten().map(PathBuf::as_path).collect();
        trees.sort_unstable();
        trees.dedup();
        let freezer = self.freezer.as_ref().ok().and_then(Freezer::tree);
        freezer.into_iter().chain(trees).collect()
    }

    /// Leaves the host a quarter of its process numbers. A small host has 32,768 of them, which 32 functions at their limits
    /// would take.
    pub(crate) fn leave_some(&self) {
        let all = fs::read_to_string("/proc/sys/kernel/pid_max").ok().and_then(|text| text.trim().parse::<u64>().ok());
        if let (Some(pids), Some(all)) = (&self.pids, all) {
            // Refused where this folder is somebody else's root of a tree; each sandbox has its own limit anyway.
            let _ = put(pids, "pids.max", &(all / 4 * 3).to_string());
        }
    }

    /// Removes the folders of this layout, once their groups are gone.
    pub(crate) fn remove(&self) {
        for tree in self.trees() {
            // What is left is swept at the next start.
            let _ = fs::remove_dir(tree);
        }
    }

    /// Makes an empty group.
    pub(crate) fn create(&self, name: &str) -> io::Result<Group> {
        let freezer = self.freezer.as_ref().ok();
        let group = Group {
            version: self.version,
            freezer: freezer.and_then(|freezer| {
                let tree = freezer.tree().or(self.cpuacct.as_deref())?;
                Some((tree.join(name), freezer.interface()))
            }),
            threaded: matches!(freezer, Some(Freezer::Beside(_))),
            folders: self.trees().into_iter().map(|tree| tree.join(name)).collect(),
            memory: self.memory.as_ref().map(|tree| tree.join(name)),
            cpu: self.cpu.as_ref().map(|tree| tree.join(name)),
            cpuacct: self.cpuacct.as_ref().map(|tree| tree.join(name)),
            pids: self.pids.as_ref().map(|tree| tree.join(name)),
        };
        for folder in &group.folders {
            fs::create_dir(folder)?;
        }
        if let (true, Some((folder, _))) = (group.threaded, &group.freezer) {
            freezer::make_threaded(folder)?;
        }
        group.set_constants()?;
        Ok(group)
    }
}

/// The group of one sandbox. Not removed by drop: it can be removed only after its last process has gone.
#[derive(Debug)]
pub(crate) struct Group {
    version: Version,
    folders: Vec<PathBuf>,
    /// The folder whose file freezes it, where there is one. One of `folders`.
    freezer: Option<(PathBuf, Interface)>,
    /// Whether that folder is a threaded group of version 2 beside the others.
    threaded: bool,
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
    cpuacct: Option<PathBuf>,
    pids: Option<PathBuf>,
}

/// Writes a file that exists; the kernel makes and removes the files of a group.
fn put(folder: &Path, file: &str, value: &str) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(folder.join(file))?;
    rustix::io::write(file, value.as_bytes())?;
    Ok(())
}

fn optional(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(()),
        other => other,
    }
}

impl Group {
    /// What is the same for every sandbox.
    fn set_constants(&self) -> io::Result<()> {
        if let (Version::One, Some(memory)) = (self.version, &self.memory) {
            // EOPNOTSUPP and the like: a kernel without this counter.
            let _ = put(memory, SOCKETS, &SOCKETS_BYTES.to_string());
        }
        match (self.version, &self.memory, &self.cpu) {
            (Version::One, _, Some(cpu)) => optional(put(cpu, "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())),
            (Version::Two, Some(memory), _) => {
                // A sandbox that lost one process to the killer is in no state to go on.
                optional(put(memory, "memory.oom.group", "1"))?;
                optional(put(memory, "memory.swap.max", "0"))
            }
            _ => Ok(()),
        }
    }

    /// Files into which a process writes `0` to join. On version 1 a process with one thread joins through `tasks`,
    /// which spares the kernel's wait for every other fork on the machine (7 ms): it moves the writing thread alone. So does
    /// the like file of a threaded group.
    pub(crate) fn join_files(&self) -> io::Result<Vec<OwnedFd>> {
        let beside = self.freezer.as_ref().filter(|_| self.threaded).map(|(folder, _)| folder);
        let open = |folder: &PathBuf| {
            let file = match self.version {
                _ if Some(folder) == beside => "cgroup.threads",
                Version::One => "tasks",
                Version::Two => "cgroup.procs",
            };
            fs::OpenOptions::new().write(true).open(folder.join(file)).map(OwnedFd::from)
        };
        self.folders.iter().map(open).collect()
    }

    /// Sets the limits of the function. `processes` includes the sandbox's own first process.
    pub(crate) fn limit(&self, memory_bytes: u64, cpu_millis: Option<u32>, processes: u32) -> io::Result<()> {
        if let Some(memory) = &self.memory {
            match self.version {
                Version::One => {
                    put(memory, "memory.limit_in_bytes", &memory_bytes.to_string())?;
                    optional(put(memory, "memory.memsw.limit_in_bytes", &memory_bytes.to_string()))?;
                    if memory_bytes / 4 > SOCKETS_BYTES {
                        let _ = put(memory, SOCKETS, &(memory_bytes / 4).to_string());
                    }
                }
                Version::Two => put(memory, "memory.max", &memory_bytes.to_string())?,
            }
        }
        if let (Some(cpu), Some(_)) = (&self.cpu, cpu_millis) {
            put(cpu, self.quota_file(), &quota(self.version, cpu_millis))?;
        }
        if let Some(pids) = &self.pids {
            put(pids, "pids.max", &processes.to_string())?;
        }
        Ok(())
    }

    fn quota_file(&self) -> &'static str {
        match self.version {
            Version::One => "cpu.cfs_quota_us",
            Version::Two => "cpu.max",
        }
    }

    /// The file that sets the CPU share, for writing [`quota`] into.
    pub(crate) fn open_quota(&self) -> Option<OwnedFd> {
        let file = self.cpu.as_ref()?.join(self.quota_file());
        fs::OpenOptions::new().write(true).open(file).ok().map(OwnedFd::from)
    }

    /// The file that freezes it, and how.
    pub(crate) fn open_freezer(&self) -> Option<(OwnedFd, Interface)> {
        let (folder, interface) = self.freezer.as_ref()?;
        freezer::open(folder, *interface).ok().map(|file| (file, *interface))
    }

    /// Thaws what was just killed, where it would not die frozen.
    pub(crate) fn let_go(&self) {
        if let Some((folder, Interface::One)) = &self.freezer {
            freezer::let_go(folder);
        }
    }

    /// The meters, in the order [`read_meters`] wants them: version 1 has CPU, sampled CPU, peak memory, kills;
    /// version 2 CPU, peak memory, events. Empty when this host does not meter all.
    pub(crate) fn open_meters(&self) -> Vec<OwnedFd> {
        let (Some(memory), Some(cpuacct)) = (&self.memory, &self.cpuacct) else { return Vec::new() };
        let files = match self.version {
            Version::One => vec![
                cpuacct.join("cpuacct.usage"),
                cpuacct.join("cpuacct.stat"),
                memory.join("memory.max_usage_in_bytes"),
                memory.join("memory.oom_control"),
            ],
            Version::Two => vec![cpuacct.join("cpu.stat"), memory.join("memory.peak"), memory.join("memory.events")],
        };
        files.iter().map(|file| fs::File::open(file).map(OwnedFd::from)).collect::<io::Result<_>>().unwrap_or_default()
    }

    /// An event descriptor that becomes readable when memory runs out, where the kernel needs one to tell (version 1).
    pub(crate) fn watch_memory(&self) -> Option<OwnedFd> {
        let memory = self.memory.as_ref().filter(|_| self.version == Version::One)?;
        let event =
            rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK)
                .ok()?;
        let control = fs::File::open(memory.join("memory.oom_control")).ok()?;
        use std::os::fd::AsRawFd;
        put(memory, "cgroup.event_control", &format!("{} {}", event.as_raw_fd(), control.as_raw_fd())).ok()?;
        Some(event)
    }

    /// Clears the way for the end of all that is inside: no new processes, and the whole CPU to die with. A thousand
    /// processes that fork in a small share of a CPU would otherwise take minutes to see the signal. Version 2 kills them
    /// all at once (kernel 5.14 and newer).
    pub(crate) fn let_die(&self) {
        // Best effort: the kill comes after it in any case.
        if let Some(pids) = &self.pids {
            let _ = put(pids, "pids.max", "0");
        }
        if let Some(cpu) = &self.cpu {
            let _ = put(cpu, self.quota_file(), &quota(self.version, None));
        }
        if self.version == Version::Two {
            for folder in &self.folders {
                let _ = put(folder, KILL, "1");
            }
        }
    }

    /// What `/proc/PID/cgroup` must name for every tree.
    pub(crate) fn trees(&self) -> usize {
        self.folders.len()
    }

    /// Removes the group. Fails while a process is left in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for folder in &self.folders {
            optional(fs::remove_dir(folder))?;
        }
        Ok(())
    }
}

/// What to write for a CPU share in thousandths of one CPU; `None` lifts the limit.
pub(crate) fn quota(version: Version, cpu_millis: Option<u32>) -> String {
    // The kernel refuses less than a millisecond.
    let quota_us = cpu_millis.map(|millis| (u64::from(millis) * CPU_PERIOD_US / 1000).max(1000));
    match (version, quota_us) {
        (Version::One, None) => "-1".to_owned(),
        (Version::One, Some(quota)) => quota.to_string(),
        (Version::Two, None) => format!("max {CPU_PERIOD_US}"),
        (Version::Two, Some(quota)) => format!("{quota} {CPU_PERIOD_US}"),
    }
}

/// Reads the meters of [`Group::open_meters`]; version 1 is told from version 2 by their number. `kills` says whether to
/// read how many processes were killed, too: a sandbox of which one was does not live on.
pub(crate) fn read_meters(meters: &[OwnedFd], kills: bool) -> Usage {
    let mut buffer = [0u8; 2048];
    let mut text = |index: usize| -> String {
        let len = meters.get(index).and_then(|meter| rustix::io::pread(meter, &mut buffer, 0).ok()).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    match meters.len() {
        4 => {
            let sampled = text(1);
            let (user, system) = (field(&sampled, "user"), field(&sampled, "system"));
            let (cpu_user_us, cpu_system_us) = split(number(&text(0)) / 1000, user, system);
            let peak_memory_bytes = number(&text(2));
            let oom_kills = if kills { field(&text(3), "oom_kill") } else { 0 };
            Usage { cpu_user_us, cpu_system_us, peak_memory_bytes, oom_kills }
        }
        3 => {
            let cpu = text(0);
            Usage {
                cpu_user_us: field(&cpu, "user_usec"),
                cpu_system_us: field(&cpu, "system_usec"),
                peak_memory_bytes: number(&text(1)),
                oom_kills: if kills { field(&text(2), "oom_kill") } else { 0 },
            }
        }
        _ => Usage::default(),
    }
}

/// Version 1 counts the sum to the nanosecond but user and system time only by sampling: splits the sum as sampled.
fn split(sum: u64, user: u64, system: u64) -> (u64, u64) {
    let sampled = u128::from(user) + u128::from(system);
    let user = (u128::from(sum) * u128::from(user)).checked_div(sampled).map_or(sum, |part| part as u64);
    (user, sum - user)
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

fn field(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map_or(0, number)
}

pub(crate) use find::{Owner, find, sweep};
pub(crate) use freezer::{Freezer, Interface};

#[cfg(test)]
mod tests;
