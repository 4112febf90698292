//! Measuring without a cgroup: the sum over the tree of processes below a sandbox's first one. Everything orphaned inside
//! becomes a child of the first process, so nothing escapes the sum; what has ended is in its parent's count.

use std::fs;

use crate::walls::Usage;

/// Microseconds of a clock tick: `USER_HZ` is 100 on every Linux architecture we build for.
const TICK_US: u64 = 10_000;

/// Memory that each process of the tree below `first` has to itself now, bytes; with that of `first` itself or without.
/// Where only the processes' own user may see that, what two share that forked counts for both.
pub(super) fn private_memory(first: u32, with_first: bool) -> u64 {
    let mut total = 0;
    each(first, |pid| {
        if pid == first && !with_first {
            return;
        }
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let private = match read("smaps_rollup") {
            Ok(sums) => kib(&sums, "Private_Dirty:"),
            Err(_) => kib(&read("status").unwrap_or_default(), "RssAnon:"),
        };
        total += private * 1024;
    });
    total
}

/// What the tree below `pid` has used. Precise to a tick for each process.
pub(super) fn usage(pid: u32) -> Usage {
    let mut total = Usage::default();
    each(pid, |pid| {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return };
        if let Some((user, system)) = ticks(&stat) {
            total.cpu_user_us += user * TICK_US;
            total.cpu_system_us += system * TICK_US;
        }
        if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
            total.peak_memory_bytes += kib(&status, "VmHWM:") * 1024;
        }
    });
    total
}

/// Each process of the tree below `pid`, itself first.
fn each(pid: u32, mut see: impl FnMut(u32)) {
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        see(pid);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
}

/// User and system ticks of a process and of its children that ended: fields 14 to 17 of `/proc/PID/stat`.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).map(|field| field.parse::<u64>().unwrap_or(0));
    let (user, system) = (fields.next()?, fields.next()?);
    Some((user + fields.next()?, system + fields.next()?))
}

/// A line that counts kB. Source: proc_pid_status(5), proc_pid_smaps(5).
fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_survive_a_name_with_spaces_and_brackets() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 11 22 33 44 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some((44, 66)));
    }

    #[test]
    fn this_process_has_used_something() {
        assert!(usage(std::process::id()).peak_memory_bytes > 0);
        let before = private_memory(std::process::id(), true);
        let more = vec![1_u8; 64 << 20];
        let after = private_memory(std::process::id(), true);
        assert!(after >= before + (60 << 20), "{before} {after} with {} more", more.len());
    }
}
