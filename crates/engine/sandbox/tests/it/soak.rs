//! Thousands of environments leave nothing behind: no process, mount, namespace, control group, descriptor, loop device
//! or file. `LAMBENT_CYCLES` says how many; `make soak` asks for 10,000.

use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::ExitCause;

use crate::common::{again, eventually, folder, groups, is_root, run, sandboxes_of, shell, walls};

/// Environments at a time: as many as are kept ready.
const AT_ONCE: usize = 4;

fn cycles() -> usize {
    std::env::var("LAMBENT_CYCLES").ok().map_or(300, |text| text.parse().expect("LAMBENT_CYCLES is a number"))
}

/// What could leak, counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Counts {
    /// Children of the helper: those kept ready, and what serves them all.
    processes: usize,
    descriptors: usize,
    descriptors_of_the_helper: usize,
    mounts: usize,
    mounts_of_the_helper: usize,
    /// Of the host: network namespaces that the kernel has, where it tells.
    namespaces: usize,
    groups: usize,
    loop_devices: usize,
    /// In the folder of this run.
    files: usize,
}

impl Counts {
    fn take(helper: u32) -> Self {
        let lines = |path: String| std::fs::read_to_string(path).unwrap_or_default().lines().count();
        let entries = |path: String| std::fs::read_dir(path).map_or(0, Iterator::count);
        let children = std::fs::read_to_string(format!("/proc/{helper}/task/{helper}/children")).unwrap_or_default();
        Self {
            processes: children.split_whitespace().count(),
            descriptors: entries("/proc/self/fd".to_owned()),
            descriptors_of_the_helper: entries(format!("/proc/{helper}/fd")),
            mounts: lines("/proc/self/mountinfo".to_owned()),
            mounts_of_the_helper: lines(format!("/proc/{helper}/mountinfo")),
            namespaces: held_namespaces(),
            groups: groups(&format!("lambent-{helper}-")).iter().map(|group| below(group)).sum(),
            loop_devices: used_loop_devices(),
            files: below(folder()),
        }
    }

    fn exceeds(&self, before: &Self) -> bool {
        let list = |counts: &Self| {
            [
                counts.processes,
                counts.descriptors,
                counts.descriptors_of_the_helper,
                counts.mounts,
                counts.mounts_of_the_helper,
                counts.namespaces,
                counts.groups,
                counts.loop_devices,
                counts.files,
            ]
        };
        list(self).iter().zip(list(before)).any(|(now, before)| *now > before)
    }
}

/// Everything below a folder, folders only where these are the kernel's.
fn below(folder: &Path) -> usize {
    let kernel = folder.starts_with("/sys");
    let entries: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let count = |path: &PathBuf| match path.is_dir() && !path.is_symlink() {
        true => 1 + below(path),
        false => usize::from(!kernel),
    };
    entries.iter().map(count).sum()
}

/// Namespaces that processes of this host are in.
fn held_namespaces() -> usize {
    let mut found = std::collections::BTreeSet::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        for link in std::fs::read_dir(process.path().join("ns")).into_iter().flatten().flatten() {
            found.extend(std::fs::read_link(link.path()));
        }
    }
    found.len()
}

/// Loop devices that have a file of this run.
fn used_loop_devices() -> usize {
    let devices = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let file = |device: std::fs::DirEntry| std::fs::read_to_string(device.path().join("loop/backing_file")).ok();
    devices.filter_map(file).filter(|file| file.contains(folder().to_str().expect("it is UTF-8"))).count()
}

fn passed(mut command: Command) {
    let done = command.output().unwrap();
    let text = [&*done.stdout, &*done.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(done.status.success(), "{text}");
    // What was measured is worth reading in a long run.
    text.lines().filter(|line| line.starts_with("soak")).for_each(|line| println!("{line}"));
}

#[test]
fn environments_come_and_go_and_leave_nothing_behind() {
    // In mounts of its own, so that nobody else's come and go meanwhile.
    let mut command = if is_root() { vec!["unshare".into(), "--mount".into()] } else { Vec::new() };
    command.extend(again("soak::come_and_go"));
    let mut arguments = command.into_iter();
    let mut command = Command::new(arguments.next().expect("it begins with a program"));
    command.args(arguments);
    passed(command);
}

/// Where the kernel allows so few namespaces that a single leak in ten environments would end the run.
#[test]
fn no_namespace_leaks() {
    let most = AT_ONCE * 8 + cycles() / 10;
    let limit = format!("for limit in /proc/sys/user/max_*_namespaces; do echo {most} > $limit; done && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", &limit, "sh"]).args(again("soak::come_and_go"));
    // What the host allows less of stays so.
    passed(command);
}

#[tokio::test]
#[ignore = "run by the tests above, in a process where nothing else opens descriptors"]
async fn come_and_go() {
    let walls = walls();
    let helper = walls.helper_pid().unwrap();
    let mut spec = shell("echo x > /tmp/x; (setsid sleep 50 &) ; echo done");
    spec.ports = vec![9001];
    // Once around, so that everything kept on purpose is there.
    for _ in 0..AT_ONCE {
        run(&walls, spec.clone()).await;
    }
    eventually("as many are ready as are kept", || sandboxes_of(helper) == AT_ONCE).await;
    // Groups are removed a little later than their processes end.
    let mut before = Counts::take(helper);
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let groups = std::mem::replace(&mut before, Counts::take(helper)).groups;
        if before.groups == groups {
            break;
        }
    }
    let start = base::Clocks::monotonic(&base::SystemClocks);
    for round in 0..cycles().div_ceil(AT_ONCE) {
        let some = (0..AT_ONCE).map(|_| run(&walls, spec.clone()));
        for (text, exit) in futures_util::future::join_all(some).await {
            assert_eq!((text.as_str(), exit.cause), ("done\n", ExitCause::Exited(0)), "{round}");
        }
    }
    let took = base::Clocks::monotonic(&base::SystemClocks) - start;
    let mut last = before.clone();
    for _ in 0..1000 {
        last = Counts::take(helper);
        if sandboxes_of(helper) == AT_ONCE && !last.exceeds(&before) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    println!("\nsoak: {} environments in {took:?}\nsoak: before {before:?}\nsoak: after  {last:?}", cycles());
    // Other tests of this machine come and go too: they may have fewer namespaces now, and more.
    let namespaces_of_others = last.namespaces.saturating_sub(before.namespaces);
    last.namespaces = before.namespaces;
    assert!(!last.exceeds(&before) && namespaces_of_others < cycles() / 2, "before {before:?}\nafter {last:?}");
    drop(walls);
    assert_eq!(groups(&format!("lambent-{helper}-")), Vec::<PathBuf>::new());
    assert!(!Path::new(&format!("/proc/{helper}")).exists());
    eventually("no loop device of this run is left", || used_loop_devices() == 0).await;
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count(), before.mounts);
    let left: Vec<_> = std::fs::read_dir(folder().join("sandbox-root")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
