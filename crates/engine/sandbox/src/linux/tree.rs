//! Measuring without a cgroup: the sum over the tree of processes below a sandbox's first one. Everything orphaned inside
//! becomes a child of the first process, so nothing escapes the sum; what has ended is in its parent's count.

use std::fs;

use crate::walls::Usage;

/// Microseconds of a clock tick: `USER_HZ` is 100 on every Linux architecture we build for.
const TICK_US: u64 = 10_000;

/// What the tree below `pid` has used. Precise to a tick for each process.
pub(super) fn usage(pid: u32) -> Usage {
    let mut total = Usage::default();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some((user, system)) = ticks(&stat) {
            total.cpu_user_us += user * TICK_US;
            total.cpu_system_us += system * TICK_US;
        }
        if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
            total.peak_memory_bytes += high_water(&status);
        }
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    total
}

/// User and system ticks of a process and of its children that ended: fields 14 to 17 of `/proc/PID/stat`.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).map(|field| field.parse::<u64>().unwrap_or(0));
    let (user, system) = (fields.next()?, fields.next()?);
    Some((user + fields.next()?, system + fields.next()?))
}

/// `VmHWM` in bytes.
fn high_water(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
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
    }
}
