//! What is left when the server, the helper or a sandbox dies: nothing.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use sandbox::{Error, ExitCause, Walls};

use crate::common::{again, eventually, groups, is_root, mark, processes_with, run, shell, wait_for, walls};

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn when_the_helper_dies_everything_dies_and_later_launches_work() {
    let walls = walls();
    let (one, two) = (mark(31, std::process::id()), mark(32, std::process::id()));
    let script = format!("setsid sleep {one} & echo up; exec sleep {two}");
    let environment = walls.launch(shell(&script)).await.unwrap();
    wait_for(&environment, "up").await;
    let helper = walls.helper_pid().unwrap();
    assert!(environment.control.usage().peak_memory_bytes > 0);
    kill(helper);
    let exit = environment.control.exited().await;
    assert_eq!(exit.cause, ExitCause::HelperLost);
    assert!(exit.usage.peak_memory_bytes > 0, "{exit:?}");
    eventually("its processes are gone", || [processes_with(&one), processes_with(&two)].concat().is_empty()).await;
    let text = loop {
        match walls.launch(shell("echo again; sleep 60")).await {
            Ok(environment) => {
                wait_for(&environment, "again").await;
                break "again";
            }
            Err(Error::HelperLost) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(text, "again");
    eventually("its groups are swept", || groups(&format!("lambent-{helper}-")).is_empty()).await;
}

#[tokio::test]
async fn when_the_server_dies_nothing_is_left() {
    let arguments = again("death::a_server_that_waits");
    let mut server = Command::new(&arguments[0]).args(&arguments[1..]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let helper: u32 = lines.filter_map(|line| line.strip_prefix("helper ")?.parse().ok()).next().unwrap();
    let sleeper = mark(41, server.id());
    eventually("the sandbox sleeps", || processes_with(&sleeper).len() == 1).await;
    server.kill().unwrap();
    server.wait().unwrap();
    eventually("the sandbox is gone", || processes_with(&sleeper).is_empty()).await;
    eventually("the helper is gone", || !std::path::Path::new(&format!("/proc/{helper}")).exists()).await;
    assert_eq!(groups(&format!("lambent-{helper}-")), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
#[ignore = "run by when_the_server_dies_nothing_is_left"]
async fn a_server_that_waits() {
    let walls = walls();
    let environment =
        walls.launch(shell(&format!("echo up; exec sleep {}", mark(41, std::process::id())))).await.unwrap();
    wait_for(&environment, "up").await;
    println!("\nhelper {}", walls.helper_pid().unwrap());
    environment.control.exited().await;
}

#[tokio::test]
async fn a_start_sweeps_what_an_earlier_helper_left() {
    if !is_root() || !std::path::Path::new("/sys/fs/cgroup/memory/tasks").exists() {
        return;
    }
    // A pid above the kernel's highest is nobody's.
    let left = format!("/sys/fs/cgroup/memory/lambent-{}-7", 90_000_000 + std::process::id());
    let left = std::path::Path::new(&left);
    std::fs::create_dir_all(left.join("3")).unwrap();
    let mut process = Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::write(left.join("3/cgroup.procs"), process.id().to_string()).unwrap();
    drop(walls());
    assert!(!process.wait().unwrap().success());
    drop(walls());
    assert!(!left.exists());
}

#[tokio::test]
async fn two_hundred_environments_leave_nothing_behind() {
    let arguments = again("death::two_hundred_environments");
    let done = Command::new(&arguments[0]).args(&arguments[1..]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

/// What could leak: open descriptors of a process.
fn descriptors(pid: &str) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn children(pid: &str) -> usize {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().count()
}

#[tokio::test]
#[ignore = "run by two_hundred_environments_leave_nothing_behind, in a process where nothing else opens descriptors"]
async fn two_hundred_environments() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let walls = walls();
    let helper = walls.helper_pid().unwrap().to_string();
    let group = format!("lambent-{helper}-");
    let inner_groups = || {
        groups(&group)
            .iter()
            .flat_map(|g| std::fs::read_dir(g).unwrap().flatten())
            .filter(|g| g.path().is_dir())
            .count()
    };
    let mut spec = shell("echo x > /tmp/x; (setsid sleep 50 &) ; echo done");
    spec.ports = vec![9001];
    // Once around, so that everything kept on purpose is there. Four prepared sets stay.
    run(&walls, spec.clone()).await;
    eventually("four are ready", || children(&helper) == 4).await;
    let before = (descriptors("self"), descriptors(&helper), inner_groups());
    for round in 0..50 {
        let four = (0..4).map(|_| run(&walls, spec.clone()));
        for (text, exit) in futures_util::future::join_all(four).await {
            assert_eq!((text.as_str(), exit.cause), ("done\n", ExitCause::Exited(0)), "{round}");
        }
    }
    eventually("only the prepared are left", || {
        let now = (descriptors("self"), descriptors(&helper), inner_groups());
        children(&helper) == 4 && now.0 <= before.0 && now.1 <= before.1 && now.2 <= before.2
    })
    .await;
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    drop(walls);
    assert_eq!(groups(&group), Vec::<std::path::PathBuf>::new());
    assert!(!std::path::Path::new("/proc").join(&helper).exists());
    let left: Vec<_> = std::fs::read_dir(crate::common::folder().join("sandbox-root")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// CPU ticks a process has used.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<u64> =
        stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2).map(|f| f.parse().unwrap()).collect();
    fields.iter().sum()
}

#[tokio::test]
async fn an_idle_helper_does_nothing() {
    let walls = walls();
    let environment = walls.launch(shell("true")).await.unwrap();
    environment.control.exited().await;
    // The environment is over but still held, and with it its descriptors.
    let helper = walls.helper_pid().unwrap();
    let children = || children(&helper.to_string());
    eventually("four are ready", || children() == 4).await;
    let before = ticks(helper);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(ticks(helper) - before <= 3, "{before} then {}", ticks(helper));
    drop(environment);
}

#[tokio::test]
async fn what_stops_a_server_does_not_stop_its_helper_first() {
    let walls = walls();
    for signal in ["-TERM", "-INT", "-HUP"] {
        assert!(
            Command::new("kill").args([signal, &walls.helper_pid().unwrap().to_string()]).status().unwrap().success()
        );
    }
    let (text, _) = run(&walls, shell("sh -c 'kill -TERM $$; echo survived'; echo $?")).await;
    assert_eq!(text, "Terminated\n143\n", "programs start with the default actions");
}
