//! Setup on folders that play hosts: what is changed, in whose words, and that undo takes back that and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

/// A host with a user `sam` and the files named.
fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let me = own_uid();
    let passwd = format!("root:x:0:0::/root:/bin/sh\nsam:x:{me}:{}::/home/sam:/bin/sh\n", gid());
    for (path, text) in files.iter().copied().chain([
        ("/etc/passwd", &*passwd),
        ("/usr/bin/newuidmap", ""),
        ("/usr/bin/newgidmap", ""),
        ("/var/lib/x", ""),
    ]) {
        write(&place, path, text);
    }
    (folder, place)
}

/// The gid of whoever runs the test: what it gives away, it gives to itself.
fn gid() -> u32 {
    std::os::unix::fs::MetadataExt::gid(&fs::metadata("/proc/self").unwrap())
}

/// Sam: for setup an ordinary user, to the file system whoever runs the test.
fn sam() -> User {
    User { name: "sam".to_owned(), uid: own_uid().max(1), gid: gid() }
}

fn write(place: &Place, path: &str, text: &str) {
    let path = place.at(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A program that notes how it is called, then does something.
fn program(place: &Place, name: &str, then: &str) {
    let path = format!("/usr/sbin/{name}");
    write(place, &path, &format!("#!/bin/sh\necho \"{name} $*\" >> {}\n{then}\n", place.at("/calls").display()));
    fs::set_permissions(place.at(path), fs::Permissions::from_mode(0o755)).unwrap();
}

fn calls(place: &Place) -> String {
    let text = place.read("/calls").unwrap().unwrap_or_default();
    text.replace(place.root().to_str().unwrap(), "")
}

/// Every file and what it says.
fn everything(place: &Place) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![place.root().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                found.insert(path.clone(), "folder".to_owned());
                open.push(path);
            } else if entry.file_name() != "calls" {
                found.insert(path.clone(), fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

const BINARY: &str = "/usr/local/bin/lambent";

/// What setup would do, in its own words.
fn words(place: &Place) -> Vec<String> {
    let plan = plan::plan(place, &sam(), Path::new(BINARY), &Record::load(place).unwrap()).unwrap();
    plan.changes.iter().map(Change::describe).collect()
}

fn set_up(place: &Place) -> ExitCode {
    let record = Record::load(place).unwrap();
    let plan = plan::plan(place, &sam(), Path::new(BINARY), &record).unwrap();
    perform(place, &sam(), plan, record, false).unwrap()
}

fn text(place: &Place, path: &str) -> String {
    place.read(path).unwrap().unwrap_or_else(|| panic!("{path} is not there"))
}

/// Does all and undoes it, and sees that nothing is left of it.
fn there_and_back(place: &Place) {
    let before = everything(place);
    assert_eq!(set_up(place), ExitCode::SUCCESS);
    assert_eq!(words(place), Vec::<String>::new(), "a second time there is nothing to do");
    let once = everything(place);
    assert_ne!(once, before);
    assert_eq!(set_up(place), ExitCode::SUCCESS);
    assert_eq!(everything(place), once, "a second time changes nothing");
    assert_eq!(undo(place, true).unwrap(), ExitCode::SUCCESS);
    assert_eq!(everything(place), once, "a dry run changes nothing");
    assert_eq!(undo(place, false).unwrap(), ExitCode::SUCCESS);
    assert_eq!(everything(place), before);
}

const IDS: [(&str, &str); 2] = [("/etc/subuid", "sam:100000:65536\n"), ("/etc/subgid", "sam:100000:65536\n")];

#[test]
fn a_host_that_restricts_user_namespaces_by_apparmor_gets_a_profile() {
    let (_folder, place) = host(&IDS);
    write(&place, "/sys/kernel/security/apparmor/profiles", "");
    write(&place, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    write(&place, "/etc/apparmor.d/chrome", "theirs");
    program(&place, "apparmor_parser", "");
    there_and_back(&place);
    assert_eq!(
        calls(&place),
        "apparmor_parser --replace /etc/apparmor.d/lambent\napparmor_parser --remove /etc/apparmor.d/lambent\n"
    );
    set_up(&place);
    let profile = text(&place, "/etc/apparmor.d/lambent");
    let rules: Vec<&str> = profile.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        rules,
        [
            "abi <abi/4.0>,",
            "include <tunables/global>",
            "",
            "profile lambent \"/usr/local/bin/lambent\" flags=(unconfined) {",
            "  userns,",
            "",
            "  include if exists <local/lambent>",
            "}",
        ]
    );
}

#[test]
fn a_path_with_signs_of_apparmor_s_own_is_written_so_that_it_means_itself() {
    let profile = apparmor::profile(Path::new("/home/a b/{x}*/lam@bent,[1]")).unwrap();
    assert!(profile.contains(r#"profile lambent "/home/a b/\{x\}\*/lam@bent,\[1\]" flags"#), "{profile}");
    for path in ["/a\nb", "/a\"b", "/a\\b"] {
        assert!(apparmor::profile(Path::new(path)).is_err(), "{path}");
    }
}

#[test]
fn a_profile_that_does_not_load_leaves_nothing_behind() {
    let (_folder, place) = host(&IDS);
    write(&place, "/sys/kernel/security/apparmor/profiles", "");
    write(&place, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    program(&place, "apparmor_parser", "echo 'no abi 4.0' >&2; exit 1");
    let before = everything(&place);
    assert_eq!(set_up(&place), ExitCode::FAILURE);
    assert_eq!(everything(&place), before);
}

#[test]
fn another_binary_gets_the_profile_and_a_foreign_profile_stays() {
    let (_folder, place) = host(&IDS);
    write(&place, "/sys/kernel/security/apparmor/profiles", "");
    write(&place, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    program(&place, "apparmor_parser", "");
    set_up(&place);
    let record = Record::load(&place).unwrap();
    let plan = plan::plan(&place, &sam(), Path::new("/opt/lambent"), &record).unwrap();
    perform(&place, &sam(), plan, record, false).unwrap();
    assert!(text(&place, apparmor::FILE).contains("/opt/lambent"));
    assert_eq!(Record::load(&place).unwrap().changes.len(), 1);
    write(&place, apparmor::FILE, "somebody's own");
    assert_eq!(words(&place), Vec::<String>::new());
    set_up(&place);
    undo(&place, false).unwrap();
    assert_eq!(text(&place, apparmor::FILE), "somebody's own", "changed since: it stays");
}

#[test]
fn a_user_without_ids_gets_a_range_that_nobody_has() {
    let (_folder, place) = host(&[("/etc/subuid", "eve:100000:65536\n"), ("/etc/subgid", "eve:100000:131072\n")]);
    fs::set_permissions(place.at("/etc/subuid"), fs::Permissions::from_mode(0o640)).unwrap();
    there_and_back(&place);
    set_up(&place);
    assert_eq!(text(&place, "/etc/subuid"), "eve:100000:65536\nsam:231072:65536\n");
    assert_eq!(text(&place, "/etc/subgid"), "eve:100000:131072\nsam:231072:65536\n");
    assert_eq!(fs::metadata(place.at("/etc/subuid")).unwrap().permissions().mode() & 0o7777, 0o640);
    // Lines of others that came since stay.
    write(&place, "/etc/subuid", &(text(&place, "/etc/subuid") + "new:900000:65536\n"));
    undo(&place, false).unwrap();
    assert_eq!(text(&place, "/etc/subuid"), "eve:100000:65536\nnew:900000:65536\n");
}

#[test]
fn usermod_is_asked_first_and_not_believed() {
    let (_folder, place) = host(&[("/etc/subuid", ""), ("/etc/subgid", "")]);
    program(&place, "usermod", "");
    set_up(&place);
    assert_eq!(
        calls(&place),
        "usermod --prefix  --add-subuids 100000-165535 sam\nusermod --prefix  --add-subgids 100000-165535 sam\n"
    );
    assert_eq!(text(&place, "/etc/subuid"), "sam:100000:65536\n", "it did nothing, so it was done by hand");
}

#[test]
fn a_file_that_another_tool_is_changing_is_left_to_it() {
    let (_folder, place) = host(&[("/etc/subuid", ""), ("/etc/subgid", ""), ("/etc/subuid.lock", "77\0")]);
    assert_eq!(set_up(&place), ExitCode::FAILURE);
    assert_eq!(text(&place, "/etc/subuid"), "");
    assert_eq!(text(&place, "/etc/subgid"), "sam:100000:65536\n", "what can be done is done");
    let record = Record::load(&place).unwrap();
    assert_eq!(record.changes.len(), 1);
}

#[test]
fn programs_that_are_missing_are_named() {
    let (_folder, place) = host(&IDS);
    fs::remove_file(place.at("/usr/bin/newgidmap")).unwrap();
    let plan = plan::plan(&place, &sam(), Path::new(BINARY), &Record::default()).unwrap();
    assert!(plan.notes[0].contains("apt-get install uidmap"), "{:?}", plan.notes);
}

#[test]
fn systemd_is_told_to_delegate() {
    let (_folder, place) = host(&IDS);
    write(&place, "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    write(&place, "/run/systemd/system/x", "");
    program(&place, "systemctl", "");
    there_and_back(&place);
    assert_eq!(calls(&place), "systemctl daemon-reload\nsystemctl daemon-reload\n");
    set_up(&place);
    assert!(text(&place, cgroups::DROP_IN).ends_with("[Service]\nDelegate=cpu cpuset io memory pids\n"));
}

#[test]
fn what_systemd_delegates_already_is_enough() {
    let (_folder, place) = host(&IDS);
    write(&place, "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    write(&place, "/run/systemd/system/x", "");
    let uid = sam().uid;
    let manager = format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers");
    write(&place, &manager, "cpu memory pids\n");
    assert_eq!(words(&place), Vec::<String>::new());
    write(&place, &manager, "memory pids\n");
    assert_eq!(words(&place).len(), 1);
}

#[test]
fn trees_of_version_one_get_a_group_each() {
    let (_folder, place) = host(&IDS);
    for tree in ["memory", "cpu,cpuacct", "pids", "freezer"] {
        fs::create_dir_all(place.at(format!("/sys/fs/cgroup/{tree}"))).unwrap();
    }
    for name in ["cpu", "cpuacct"] {
        std::os::unix::fs::symlink("cpu,cpuacct", place.at(format!("/sys/fs/cgroup/{name}"))).unwrap();
    }
    let folder = |tree: &str| format!("/sys/fs/cgroup/{tree}/lambent-{}", sam().uid);
    let folders: Vec<_> = ["memory", "cpu", "pids", "freezer"].map(folder).into();
    assert_eq!(
        words(&place),
        [format!(
            "make /sys/fs/cgroup/{{memory,cpu,pids,freezer}}/lambent-{} and give it to sam: limits of memory, CPU and processes, \
             and freezing, until the host restarts",
            sam().uid
        )]
    );
    if own_uid() == 0 {
        set_up(&place);
        assert!(folders.iter().all(|folder| change::is_of(&place.at(folder), sam().uid)));
        undo(&place, false).unwrap();
        assert!(folders.iter().all(|folder| !place.exists(folder)));
    }
}

#[test]
fn settings_are_changed_only_where_they_block() {
    let (_folder, place) = host(&IDS);
    write(&place, "/proc/sys/user/max_user_namespaces", "0\n");
    write(&place, "/proc/sys/kernel/unprivileged_userns_clone", "1\n");
    assert_eq!(set_up(&place), ExitCode::SUCCESS);
    assert_eq!(text(&place, "/proc/sys/user/max_user_namespaces"), "15000");
    assert_eq!(text(&place, "/etc/sysctl.d/zz-lambent.conf"), "user.max_user_namespaces = 15000\n");
    assert_eq!(text(&place, "/proc/sys/kernel/unprivileged_userns_clone"), "1\n");
    undo(&place, false).unwrap();
    assert_eq!(text(&place, "/proc/sys/user/max_user_namespaces"), "0");
    assert!(!place.exists("/etc/sysctl.d"));
    // Changed by somebody since: theirs.
    set_up(&place);
    write(&place, "/proc/sys/user/max_user_namespaces", "77");
    undo(&place, false).unwrap();
    assert_eq!(text(&place, "/proc/sys/user/max_user_namespaces"), "77");
}

#[test]
fn a_host_that_lacks_nothing_is_left_alone() {
    let (_folder, place) = host(&IDS);
    let before = everything(&place);
    assert_eq!(set_up(&place), ExitCode::SUCCESS);
    assert_eq!(undo(&place, false).unwrap(), ExitCode::SUCCESS);
    assert_eq!(everything(&place), before);
}

#[test]
fn users_are_found_by_name_and_number() {
    let (_folder, place) = host(&[]);
    assert_eq!(User::named(&place, "sam").unwrap().name, "sam");
    assert_eq!(User::by_id(&place, 0).unwrap().name, "root");
    assert!(User::named(&place, "nobody-here").is_err());
}
