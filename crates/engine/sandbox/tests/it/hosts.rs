//! Other hosts than the one the tests run on, as far as this one can play them.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use sandbox::{Error, ExitCause, Mode, WallState, Walls};

use crate::common::{again, folder, is_root, options, run, shell};

fn passed(output: &Output) {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("running 0 tests"), "{text}");
}

/// This program as another user, who may not enter the folder of the build.
fn as_nobody(before: &str, arguments: &[OsString]) -> Output {
    as_user(65534, &["sh"], before, arguments)
}

/// `shell` is what runs the script.
fn as_user(uid: u32, shell: &[&str], before: &str, arguments: &[OsString]) -> Output {
    static COPIES: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    let (program, helper) = COPIES.get_or_init(|| {
        let place = folder().join("as-a-user");
        std::fs::create_dir(&place).unwrap();
        let copy = |from: &Path| {
            let to = place.join(from.file_name().unwrap());
            std::fs::copy(from, &to).unwrap();
            to
        };
        for path in [folder(), &*place] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        (copy(&std::env::current_exe().unwrap()), copy(options().helper_exe.as_deref().unwrap()))
    });
    Command::new(shell[0])
        .args(&shell[1..])
        .args(["-ec", &format!("{before}; exec setpriv --reuid={uid} --regid={uid} --clear-groups \"$@\""), "sh"])
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("HOME", "/nonexistent")])
        .env("LAMBENT_TEST_HELPER", helper)
        .current_dir("/")
        .output()
        .unwrap()
}

/// Everything once more without root's powers.
#[test]
fn as_an_ordinary_user() {
    if is_root() {
        passed(&as_nobody(":", &["--test-threads=2".into()]));
    }
}

/// A user that exists in this test's own mounts only, with subordinate ids.
const OWNER: u32 = 64_321;

/// As a user to whom root has given ids. `None`, with words, where that cannot be played.
fn as_owner_of_ids(arguments: &[OsString]) -> Option<Output> {
    if !is_root() || !Path::new("/usr/bin/newuidmap").exists() {
        println!("skipped: it needs root, and newuidmap of the package uidmap");
        return None;
    }
    let etc = folder().join("etc-of-owner");
    std::fs::create_dir_all(&etc).unwrap();
    let passwd = format!("root:x:0:0::/root:/bin/sh\nowner:x:{OWNER}:{OWNER}::/nonexistent:/bin/sh\n");
    for (name, text) in [
        ("passwd", passwd.as_str()),
        ("subuid", "owner:3000000000:65536\n"),
        ("subgid", "other:1:9\nowner:3000000000:65536\n"),
    ] {
        std::fs::write(etc.join(name), text).unwrap();
    }
    let bind = |name: &str| format!("mount --bind {}/{name} /etc/{name}", etc.display());
    let mounts = ["passwd", "subuid", "subgid"].map(bind).join("; ");
    Some(as_user(OWNER, &["unshare", "--mount", "sh"], &mounts, arguments))
}

/// Two platforms of one host do not use the same ids, nor does one twice at a time.
#[tokio::test]
async fn ids_are_used_once_at_a_time() {
    if !is_root() {
        return;
    }
    let platforms = [sandbox::Linux::start(options()).unwrap(), sandbox::Linux::start(options()).unwrap()];
    let mut users = std::collections::BTreeSet::new();
    let mut living = Vec::new();
    for number in 0..6 {
        let sleeper = crate::common::mark(80 + number, std::process::id());
        let walls = &platforms[number as usize % 2];
        living.push(walls.launch(shell(&format!("exec sleep {sleeper}"))).await.unwrap());
        users.insert(user_of(&sleeper).await);
    }
    assert_eq!(users.len(), 6, "{users:?}");
}

/// Everything once more as such a user.
#[test]
fn as_an_ordinary_user_with_ids() {
    if let Some(done) = as_owner_of_ids(&["--test-threads=2".into()]) {
        passed(&done);
    }
}

#[test]
fn the_ids_of_an_ordinary_user_keep_sandboxes_apart() {
    if let Some(done) = as_owner_of_ids(&again("hosts::owner_of_ids")[1..]) {
        passed(&done);
    }
}

/// The user that a process is of, as this test's user namespace counts.
async fn user_of(sleeper: &str) -> u32 {
    let command = format!("sleep\0{sleeper}\0");
    let find = || {
        let is = |entry: &std::fs::DirEntry| {
            std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| line == command)
        };
        let found = std::fs::read_dir("/proc").unwrap().flatten().find(is)?;
        Some(std::os::unix::fs::MetadataExt::uid(&found.metadata().ok()?))
    };
    crate::common::eventually("it sleeps", || find().is_some()).await;
    find().unwrap()
}

#[tokio::test]
#[ignore = "run by the_ids_of_an_ordinary_user_keep_sandboxes_apart"]
async fn owner_of_ids() {
    let walls = sandbox::Linux::start(options()).unwrap();
    let survey = walls.survey();
    let range = survey.walls.iter().find(|wall| wall.name == "uid range").unwrap();
    assert!(matches!(range.state, WallState::Holds(_)), "{range:?}");
    let mut users = std::collections::BTreeSet::new();
    let mut living = Vec::new();
    for number in 0..6 {
        let sleeper = crate::common::mark(70 + number, std::process::id());
        let mut spec = shell(&format!("cat hello.txt; id -u; groups; echo up; exec sleep {sleeper}"));
        // Two accounts in turn: they share nothing, so they may meet.
        spec.tenant = format!("00000000000{}", number % 2);
        let environment = walls.launch(spec).await.unwrap();
        crate::common::wait_for(&environment, "hello from the task\n993\nsbx_user1051\nup\n").await;
        users.insert(user_of(&sleeper).await);
        living.push(environment);
    }
    assert_eq!(users.len(), 6, "{users:?}");
    assert!(users.iter().all(|user| (3_000_000_000..3_000_065_536).contains(user)), "{users:?}");
}

/// As an ordinary user to whom root has given control groups.
#[test]
fn as_an_ordinary_user_with_groups() {
    let tree = |name: &str| Path::new("/sys/fs/cgroup").join(name);
    if !is_root() || !tree("memory/tasks").exists() {
        return;
    }
    let name = format!("test-of-lambent-{}", std::process::id());
    let groups = ["memory", "cpu", "cpuacct", "pids", "freezer"].map(|controller| tree(controller).join(&name));
    let before: Vec<String> = groups
        .iter()
        .map(|group| format!("mkdir -p {0}; chown 65534:65534 {0}; echo $$ > {0}/cgroup.procs", group.display()))
        .collect();
    let done = as_nobody(&before.join(";"), &again("hosts::given_groups")[1..]);
    let gone = groups.map(|group| std::fs::remove_dir(group).is_ok());
    passed(&done);
    assert_eq!(gone, [true; 5], "something was left in the groups");
}

#[tokio::test]
#[ignore = "run by as_an_ordinary_user_with_groups"]
async fn given_groups() {
    let walls = sandbox::Linux::start(options()).unwrap();
    let survey = walls.survey();
    for name in ["memory limit", "cpu limit", "process limit", "freeze"] {
        let wall = survey.walls.iter().find(|wall| wall.name == name).unwrap();
        assert_eq!(wall.state, WallState::Holds("cgroup v1".to_owned()));
    }
    let (_, exit) = run(&walls, crate::common::python("bytearray(300 << 20)")).await;
    assert_eq!(exit.cause, ExitCause::OutOfMemory);
    crate::freeze::stands_still_and_goes_on(&walls).await;
}

/// In a user namespace that may have no further ones.
#[test]
fn on_a_host_without_user_namespaces() {
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script, "sh"])
        .args(again("hosts::no_walls"))
        .output()
        .unwrap();
    passed(&done);
}

#[tokio::test]
#[ignore = "run by on_a_host_without_user_namespaces"]
async fn no_walls() {
    let walls = sandbox::Linux::start(options()).unwrap();
    let survey = walls.survey();
    assert!(!survey.usable && !survey.weak);
    assert_eq!(survey.count().0, 0);
    let Err(Error::Unavailable { why, fix }) = walls.launch(shell("true")).await else { panic!("it was launched") };
    assert!(why.contains("No space left on device"), "{why}");
    assert_eq!(fix, "sudo lambent setup (raises user.max_user_namespaces, which is 0)");
    weak().await;
}

/// The weak mode on such a host: it runs, and says what it is.
async fn weak() {
    let mut options = options();
    options.mode = Mode::Weak;
    let walls = sandbox::Linux::start(options).unwrap();
    let survey = walls.survey();
    assert!(survey.usable && survey.weak && survey.count().0 == 0);
    let mut spec = shell("cat /var/task/hello.txt; echo $API; ls /proc/self/fd | wc -l; exit 3");
    spec.env.push(("API".into(), "127.0.0.1:9001".into()));
    spec.ports = vec![9001];
    let environment = walls.launch(spec).await.unwrap();
    let exit = environment.control.exited().await;
    assert_eq!(exit.cause, ExitCause::Exited(3));
    let address = environment.listeners[0].local_addr().unwrap();
    assert_eq!(crate::common::output(&environment), format!("hello from the task\n{address}\n4\n"));
    let sleeper = crate::common::mark(61, std::process::id());
    let environment = walls.launch(shell(&format!("sleep {sleeper} & exec sleep 60"))).await.unwrap();
    environment.control.kill();
    assert_eq!(environment.control.exited().await.cause, ExitCause::Killed);
    crate::common::eventually("its group is gone", || crate::common::processes_with(&sleeper).is_empty()).await;
}

/// Root of a user namespace with one id, as in rootless containers.
#[test]
fn as_root_without_ids_to_give_away() {
    let done =
        Command::new("unshare").args(["--user", "--map-root-user"]).args(again("hosts::one_id")).output().unwrap();
    passed(&done);
}

#[tokio::test]
#[ignore = "run by as_root_without_ids_to_give_away"]
async fn one_id() {
    let walls = sandbox::Linux::start(options()).unwrap();
    let survey = walls.survey();
    assert!(survey.usable);
    let missing = |name| survey.walls.iter().any(|w| w.name == name && matches!(w.state, WallState::Missing { .. }));
    assert!(missing("uid range"));
    assert_eq!(run(&walls, shell("id -u")).await.0, "993\n");
}
