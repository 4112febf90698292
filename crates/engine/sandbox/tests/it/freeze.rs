//! Environments that stand still, and what becomes of them when somebody dies.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::{Control, Environment, Error, ExitCause, Linux, WallState, Walls};

use crate::common::{again, eventually, groups, is_root, mark, processes_with, python, shell, wait_for, walls};
use crate::limits::holds;

/// How long something is watched that must not move.
const WATCHED: Duration = Duration::from_millis(300);

/// What moves by an order to stop that is still under way, microseconds of CPU.
const LEEWAY_US: u64 = 20_000;

fn used(control: &dyn Control) -> u64 {
    let usage = control.usage();
    usage.cpu_user_us + usage.cpu_system_us
}

/// What it uses while it is watched, once an order to stand has had its time.
async fn used_while_watched(environment: &Environment) -> u64 {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = used(&*environment.control);
    tokio::time::sleep(WATCHED).await;
    used(&*environment.control) - before
}

/// A sandbox that runs this, frozen once it has said `up`. None, with words, where nothing can be frozen.
async fn frozen(walls: &Linux, script: &str) -> Option<Environment> {
    if !holds(walls, "freeze") {
        return None;
    }
    let environment = walls.launch(python(script)).await.unwrap();
    wait_for(&environment, "up").await;
    assert!(environment.control.freeze());
    Some(environment)
}

/// Busy in three threads of two processes, one of which is in a session of its own.
const BUSY: &str = "import os, threading\nif os.fork() == 0: os.setsid()\ndef spin():\n    while True: pass\n\
                    for _ in range(2): threading.Thread(target=spin).start()\nprint('up', flush=True)\nspin()";

#[tokio::test]
async fn what_is_frozen_stands_still_and_goes_on() {
    stands_still_and_goes_on(&walls()).await;
}

pub(crate) async fn stands_still_and_goes_on(walls: &Linux) {
    let Some(environment) = frozen(walls, BUSY).await else { return };
    for _ in 0..3 {
        let moved = used_while_watched(&environment).await;
        assert!(moved < LEEWAY_US, "it used {moved} us while it was frozen");
        environment.control.thaw();
        let moved = used_while_watched(&environment).await;
        assert!(moved > 3 * LEEWAY_US, "it used {moved} us once it was thawed");
        assert!(environment.control.freeze());
    }
}

#[tokio::test]
async fn who_is_born_meanwhile_stands_still_too() {
    let walls = walls();
    let script = "import os\nprint('up', flush=True)\nwhile True:\n    pid = os.fork()\n    if not pid: os._exit(0)\n    os.waitpid(pid, 0)";
    let Some(environment) = frozen(&walls, script).await else { return };
    let moved = used_while_watched(&environment).await;
    assert!(moved < LEEWAY_US, "it used {moved} us while it was frozen");
    environment.control.thaw();
    assert!(used_while_watched(&environment).await > 3 * LEEWAY_US);
}

/// The time a thaw may take until the program has answered, on a machine that is busy with other tests.
#[tokio::test]
async fn it_answers_at_once_when_it_is_thawed_however_often() {
    let walls = walls();
    if !holds(&walls, "freeze") {
        return;
    }
    let mut spec = python(
        "import socket\ns = socket.socket(); s.connect(('127.0.0.1', 9001))\nwhile True:\n    b = s.recv(1)\n    if not b: break\n    s.send(b)",
    );
    spec.ports = vec![9001];
    let environment = walls.launch(spec).await.unwrap();
    let listener = environment.listeners[0].try_clone().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for turn in 0..300_u32 {
        assert!(environment.control.freeze());
        if turn % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(turn % 5))).await;
        }
        // Before or after the bytes: neither may be lost.
        if turn % 2 == 0 {
            environment.control.thaw();
        }
        stream.write_all(b"x").await.unwrap();
        environment.control.thaw();
        let answer = tokio::time::timeout(Duration::from_secs(10), stream.read_u8()).await;
        assert_eq!(answer.expect("it hangs").unwrap(), b'x', "turn {turn}");
    }
}

#[tokio::test]
async fn what_is_frozen_is_killed_as_fast_as_ever() {
    let walls = walls();
    let Some(environment) = frozen(&walls, BUSY).await else { return };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    environment.control.kill();
    let exit = tokio::time::timeout(Duration::from_secs(10), environment.control.exited()).await.expect("it dies");
    assert_eq!(exit.cause, ExitCause::Killed);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// A sandbox that is frozen and known by the sleeper in it.
async fn frozen_sleeper(walls: &Linux, number: u32) -> Option<(Environment, String)> {
    if !holds(walls, "freeze") {
        return None;
    }
    let sleeper = mark(number, std::process::id());
    let script = format!("setsid sleep {sleeper} & echo up; exec sleep {sleeper}");
    let environment = walls.launch(shell(&script)).await.unwrap();
    wait_for(&environment, "up").await;
    eventually("both sleep", || processes_with(&sleeper).len() == 2).await;
    assert!(environment.control.freeze());
    tokio::time::sleep(Duration::from_millis(50)).await;
    Some((environment, sleeper))
}

#[tokio::test]
async fn a_helper_that_dies_leaves_nothing_frozen() {
    let walls = walls();
    let Some((environment, sleeper)) = frozen_sleeper(&walls, 91).await else { return };
    let helper = walls.helper_pid().unwrap();
    assert!(Command::new("kill").args(["-KILL", &helper.to_string()]).status().unwrap().success());
    assert_eq!(environment.control.exited().await.cause, ExitCause::HelperLost);
    // Who holds it lets it go when its end is told.
    drop(environment);
    eventually("they are gone", || processes_with(&sleeper).is_empty()).await;
    while !matches!(walls.launch(shell("true")).await, Ok(_) | Err(Error::Exhausted { .. })) {
        tokio::task::yield_now().await;
    }
    eventually("its groups are swept", || groups(&format!("lambent-{helper}-")).is_empty()).await;
}

#[tokio::test]
async fn a_server_that_dies_leaves_nothing_frozen() {
    if !holds(&walls(), "freeze") {
        return;
    }
    let arguments = again("freeze::a_server_that_freezes");
    let mut server = Command::new(&arguments[0]).args(&arguments[1..]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let helper: u32 = lines.filter_map(|line| line.strip_prefix("helper ")?.parse().ok()).next().unwrap();
    let sleeper = mark(92, server.id());
    assert_eq!(processes_with(&sleeper).len(), 2);
    server.kill().unwrap();
    server.wait().unwrap();
    eventually("the sandbox is gone", || processes_with(&sleeper).is_empty()).await;
    eventually("the helper is gone", || !Path::new(&format!("/proc/{helper}")).exists()).await;
    assert_eq!(groups(&format!("lambent-{helper}-")), Vec::<PathBuf>::new());
}

#[tokio::test]
#[ignore = "run by a_server_that_dies_leaves_nothing_frozen"]
async fn a_server_that_freezes() {
    let walls = walls();
    let Some((environment, _)) = frozen_sleeper(&walls, 92).await else { return };
    println!("\nhelper {}", walls.helper_pid().unwrap());
    environment.control.exited().await;
}

#[tokio::test]
async fn a_start_sweeps_what_an_earlier_helper_left_frozen() {
    let trees: &[(&str, &str, &str, &str)] = &[
        ("/sys/fs/cgroup/unified", "cgroup.procs", "cgroup.freeze", "1"),
        ("/sys/fs/cgroup/freezer", "cgroup.procs", "freezer.state", "FROZEN"),
    ];
    for (number, (tree, join, file, word)) in trees.iter().enumerate() {
        // The way that this host's walls take, and no other.
        let walls = walls();
        let says = walls.survey().walls.into_iter().find(|wall| wall.name == "freeze");
        let taken = says.is_some_and(|wall| match wall.state {
            WallState::Holds(how) => how.contains("v1") && how.contains("beside") == (number == 0),
            WallState::Missing { .. } => false,
        });
        if !is_root() || !taken {
            continue;
        }
        // A pid above the kernel's highest is nobody's.
        let left = PathBuf::from(format!("{tree}/lambent-{}-7", 91_000_000 + std::process::id()));
        std::fs::create_dir_all(left.join("3")).unwrap();
        if number == 0 {
            for group in [&*left, &left.join("3")] {
                std::fs::write(group.join("cgroup.type"), "threaded").unwrap();
            }
        }
        let mut process = Command::new("sleep").arg("60").spawn().unwrap();
        std::fs::write(left.join("3").join(join), process.id().to_string()).unwrap();
        std::fs::write(left.join("3").join(file), word).unwrap();
        drop(crate::common::walls());
        eventually("it is killed", || process.try_wait().unwrap().is_some_and(|status| !status.success())).await;
        drop(crate::common::walls());
        assert!(!left.exists());
    }
}

/// Everything once more where only version 1 freezes.
#[test]
fn on_version_one_alone() {
    if !is_root() || !Path::new("/sys/fs/cgroup/freezer/tasks").exists() {
        return;
    }
    let hidden = "while umount /sys/fs/cgroup/unified 2>/dev/null; do :; done; exec \"$@\"";
    let exe = std::env::current_exe().unwrap();
    let done = Command::new("unshare")
        .args(["--mount", "sh", "-c", hidden, "sh"])
        .arg(exe)
        .args(["freeze::", "--skip", "on_version_one_alone", "--test-threads=2"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[&*done.stdout, &*done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{text}");
    assert!(!text.contains("running 0 tests"), "{text}");
}
