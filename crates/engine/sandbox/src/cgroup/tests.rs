//! The layouts of other hosts, played on a plain folder: the kernel's files are made by hand.

use std::fs;
use std::path::Path;

use super::find::find_in;
use super::*;

const OWNER: Owner = Owner { pid: 42, started: 7 };

fn write(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn mount_two(folder: &Path) -> String {
    format!("30 20 0:26 / {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", folder.display())
}

fn mount_one(folder: &Path, controllers: &str) -> String {
    format!("31 20 0:27 / {}/{controllers} rw - cgroup cgroup rw,{controllers}\n", folder.display())
}

#[test]
fn a_delegated_scope_of_version_two_is_emptied_into_a_leaf() {
    let root = tempfile::tempdir().unwrap();
    let scope = root.path().join("user.slice/run-1.scope");
    write(root.path(), &[("cgroup.controllers", "cpu memory pids"), ("cgroup.subtree_control", "")]);
    write(
        &scope,
        &[("cgroup.controllers", "cpuset cpu memory pids"), ("cgroup.subtree_control", ""), ("cgroup.procs", "77\n")],
    );
    write(&scope.join("lambent-server"), &[("cgroup.procs", "")]);
    write(&scope.join("lambent-42-7"), &[("cgroup.subtree_control", "")]);
    let layout = find_in(&mount_two(root.path()), "0::/user.slice/run-1.scope\n", OWNER, false).unwrap();
    let mine = Some(scope.join("lambent-42-7"));
    assert_eq!(
        layout,
        Layout {
            version: Version::Two,
            memory: mine.clone(),
            cpu: mine.clone(),
            cpuacct: mine.clone(),
            pids: mine,
            freezer: Ok(Freezer::Same)
        }
    );
    assert_eq!(fs::read_to_string(scope.join("lambent-server/cgroup.procs")).unwrap(), "77");
    // Each controller is written by itself, so that one that fails is named; a plain file keeps the last.
    assert!(fs::read_to_string(scope.join("cgroup.subtree_control")).unwrap().starts_with("+pids"));
}

#[test]
fn a_helper_after_the_first_one_uses_the_same_groups() {
    let root = tempfile::tempdir().unwrap();
    let scope = root.path().join("run-1.scope");
    write(root.path(), &[("cgroup.controllers", "memory")]);
    write(&scope, &[("cgroup.controllers", "memory"), ("cgroup.subtree_control", ""), ("cgroup.procs", "")]);
    write(&scope.join("lambent-server"), &[("cgroup.procs", "77\n")]);
    write(&scope.join("lambent-42-7"), &[("cgroup.subtree_control", "")]);
    let layout = find_in(&mount_two(root.path()), "0::/run-1.scope/lambent-server\n", OWNER, false).unwrap();
    assert_eq!(layout.memory, Some(scope.join("lambent-42-7")));
    assert!(!scope.join("lambent-server/lambent-server").exists());
}

#[test]
fn groups_that_setup_gave_away_are_used() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("memory/lambent-1000"), &[]);
    write(&root.path().join("memory/mine"), &[]);
    let layout = find_in(&mount_one(root.path(), "memory"), "4:memory:/mine\n", OWNER, false).unwrap();
    assert_eq!(layout.memory, Some(root.path().join("memory/lambent-1000/lambent-42-7")));
}

#[test]
fn root_of_version_two_uses_the_top_and_moves_nobody() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[("cgroup.controllers", "cpu memory pids"), ("cgroup.subtree_control", ""), ("cgroup.procs", "1\n")],
    );
    write(&root.path().join("lambent-42-7"), &[("cgroup.subtree_control", "")]);
    let layout = find_in(&mount_two(root.path()), "0::/system.slice/x.service\n", OWNER, true).unwrap();
    assert_eq!(layout.memory, Some(root.path().join("lambent-42-7")));
    assert!(!root.path().join("lambent-server").exists());
}

#[test]
fn without_delegation_the_reason_is_told() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &[("cgroup.controllers", "cpu memory pids")]);
    let why = find_in(&mount_two(root.path()), "0::/nobody/home\n", OWNER, false).unwrap_err();
    assert!(why.contains("nobody/home"), "{why}");
    assert_eq!(find_in("", "", OWNER, true).unwrap_err(), "no cgroup file system is mounted");
}

#[test]
fn a_hybrid_host_limits_on_version_one() {
    let root = tempfile::tempdir().unwrap();
    let unified = root.path().join("unified");
    write(&unified, &[("cgroup.controllers", "")]);
    for controllers in ["memory", "cpu,cpuacct", "pids"] {
        write(&root.path().join(controllers), &[]);
    }
    let mounts = mount_two(&unified)
        + &mount_one(root.path(), "memory")
        + &mount_one(root.path(), "cpu,cpuacct")
        + &mount_one(root.path(), "pids");
    let layout = find_in(&mounts, "4:memory:/a\n3:cpu,cpuacct:/b\n2:pids:/\n0::/\n", OWNER, true).unwrap();
    assert_eq!(layout.version, Version::One);
    assert_eq!(layout.cpu, layout.cpuacct);
    // Joined controllers are one tree: three folders, not four.
    assert_eq!(layout.trees().len(), 3);
    assert!(layout.freezer.is_err(), "{layout:?}");
}

#[test]
fn a_hybrid_host_freezes_by_a_threaded_group_below_its_own() {
    let root = tempfile::tempdir().unwrap();
    let unified = root.path().join("unified");
    let mine = unified.join("system.slice/lambent.service/lambent-42-7");
    write(&unified, &[("cgroup.controllers", "")]);
    write(&mine, &[("cgroup.type", "domain")]);
    write(&root.path().join("memory"), &[]);
    let mounts = mount_two(&unified) + &mount_one(root.path(), "memory");
    let layout = find_in(&mounts, "4:memory:/\n0::/system.slice/lambent.service\n", OWNER, true).unwrap();
    assert_eq!(layout.freezer, Ok(Freezer::Beside(mine.clone())));
    assert_eq!(fs::read_to_string(mine.join("cgroup.type")).unwrap(), "threaded");
    // What was frozen is let go before anything else ends.
    assert_eq!(layout.trees(), [&*mine, &root.path().join("memory/lambent-42-7")]);
    // Each group is made threaded before anybody joins it: here nobody has made its files.
    assert!(layout.create("1").is_err());
}

#[test]
fn a_host_of_version_one_freezes_by_a_tree_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    for controller in ["memory", "freezer"] {
        write(&root.path().join(controller), &[]);
    }
    let mounts = mount_one(root.path(), "memory") + &mount_one(root.path(), "freezer");
    let layout = find_in(&mounts, "4:memory:/\n", OWNER, true).unwrap();
    let tree = root.path().join("freezer/lambent-42-7");
    assert_eq!(layout.freezer, Ok(Freezer::One(tree.clone())));
    let group = layout.create("1").unwrap();
    write(&tree.join("1"), &[("freezer.state", ""), ("tasks", "")]);
    write(&root.path().join("memory/lambent-42-7/1"), &[("tasks", "")]);
    assert_eq!((group.trees(), group.join_files().unwrap().len()), (2, 2));
    let (file, interface) = group.open_freezer().unwrap();
    let state = || fs::read_to_string(tree.join("1/freezer.state")).unwrap();
    rustix::io::pwrite(&file, interface.word(true), 0).unwrap();
    assert_eq!(state(), "FROZEN");
    group.let_go();
    assert_eq!(state(), "THAWED");
}

#[test]
fn without_a_tree_to_freeze_in_the_reason_is_told() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("memory/mine"), &[]);
    let mounts = mount_one(root.path(), "memory") + &mount_one(root.path(), "freezer");
    let layout = find_in(&mounts, "4:memory:/mine\n3:freezer:/not/there\n", OWNER, false).unwrap();
    assert!(layout.freezer.unwrap_err().contains("freezer/not/there"));
}

#[test]
fn an_ordinary_user_of_version_one_gets_what_was_given_to_it() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("memory/mine"), &[]);
    let mounts = mount_one(root.path(), "memory") + &mount_one(root.path(), "pids");
    let layout = find_in(&mounts, "4:memory:/mine\n2:pids:/not/there\n", OWNER, false).unwrap();
    assert_eq!(layout.memory, Some(root.path().join("memory/mine/lambent-42-7")));
    assert_eq!(layout.pids, None);
}

fn two(root: &Path) -> Layout {
    let folder = Some(root.to_owned());
    Layout {
        version: Version::Two,
        memory: folder.clone(),
        cpu: folder.clone(),
        cpuacct: folder.clone(),
        pids: folder,
        freezer: Ok(Freezer::Same),
    }
}

#[test]
fn limits_and_meters_of_version_two_are_its_files() {
    let root = tempfile::tempdir().unwrap();
    let group = two(root.path()).create("1").unwrap();
    let folder = root.path().join("1");
    write(
        &folder,
        &[
            ("memory.max", ""),
            ("cpu.max", ""),
            ("pids.max", ""),
            ("cgroup.procs", ""),
            ("cgroup.kill", ""),
            ("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\n"),
            ("memory.peak", "4096\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 1\n"),
        ],
    );
    group.limit(128 << 20, Some(500), 65).unwrap();
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    assert_eq!(
        (read("memory.max"), read("cpu.max"), read("pids.max")),
        ("134217728".into(), "10000 20000".into(), "65".into())
    );
    let usage = read_meters(&group.open_meters(), true);
    assert_eq!(usage, Usage { cpu_user_us: 20, cpu_system_us: 10, peak_memory_bytes: 4096, oom_kills: 1 });
    assert_eq!(group.join_files().unwrap().len(), 1);
    assert!(group.watch_memory().is_none());
    write(&folder, &[("cgroup.freeze", "0")]);
    let (file, interface) = group.open_freezer().unwrap();
    rustix::io::pwrite(&file, interface.word(true), 0).unwrap();
    assert_eq!(read("cgroup.freeze"), "1");
    group.let_die();
    assert_eq!(read("cgroup.kill"), "1");
}

#[test]
fn shares_are_written_as_each_version_wants_them() {
    assert_eq!(quota(Version::One, Some(1769)), "35380");
    assert_eq!(quota(Version::One, None), "-1");
    assert_eq!(quota(Version::Two, Some(72)), "1440 20000");
    assert_eq!(quota(Version::Two, None), "max 20000");
    assert_eq!(quota(Version::One, Some(1)), "1000");
}

#[test]
fn time_is_split_as_sampled_and_its_sum_kept() {
    assert_eq!(split(100, 3, 1), (75, 25));
    assert_eq!(split(100, 0, 0), (100, 0));
    assert_eq!(split(u64::MAX, u64::MAX, u64::MAX).0, u64::MAX / 2);
}

#[test]
fn only_folders_of_the_dead_are_swept() {
    let root = tempfile::tempdir().unwrap();
    let me = Owner::me().unwrap();
    let names = [me.folder(), format!("lambent-{}-1", me.pid), "lambent-server".to_owned(), "other-1-1".to_owned()];
    for name in &names {
        fs::create_dir_all(root.path().join(name)).unwrap();
    }
    sweep(&two(&root.path().join(me.folder())));
    let left: Vec<bool> = names.iter().map(|name| root.path().join(name).exists()).collect();
    // The second has this process's pid but another start: its owner is dead.
    assert_eq!(left, [true, false, true, true]);
}
