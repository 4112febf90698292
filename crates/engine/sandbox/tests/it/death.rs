//! What is left when the server, the helper or a sandbox dies: nothing.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use sandbox::{Error, ExitCause, Walls};

use crate::common::{
    again, eventually, folder, groups, is_root, mark, options, processes_with, run, sandboxes_of, shell, wait_for,
    walls,
};

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
async fn a_helper_that_cannot_be_had_is_tried_again_when_asked_for() {
    let mut options = options();
    let program = options.helper_exe.take().unwrap();
    let link = folder().join("a-helper-that-comes-and-goes");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(&program, &link).unwrap();
    options.helper_exe = Some(link.clone());
    let walls = sandbox::Linux::start(options).unwrap();
    assert_eq!(run(&walls, shell("echo first")).await.0, "first\n");
    std::fs::remove_file(&link).unwrap();
    kill(walls.helper_pid().unwrap());
    // It is tried for a while, then no more: nobody asks.
    eventually("it is given up", || !walls.survey().usable).await;
    let Err(Error::Exhausted { what: "helpers" | "processes", .. }) = walls.launch(shell("true")).await else {
        panic!("nothing could start it")
    };
    std::os::unix::fs::symlink(&program, &link).unwrap();
    let environment = loop {
        match walls.launch(shell("echo again; sleep 60")).await {
            Ok(environment) => break environment,
            Err(Error::HelperLost | Error::Exhausted { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    wait_for(&environment, "again").await;
    assert!(walls.survey().usable);
    // While one is waited for, a stop waits for nothing.
    std::fs::remove_file(&link).unwrap();
    kill(walls.helper_pid().unwrap());
    drop(walls);
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

/// First processes of sandboxes; the helper has another child, which keeps the volume of `/tmp`.
#[tokio::test]
async fn a_start_leaves_the_sandboxes_of_another_platform_alone() {
    let first = walls();
    let sleeper = mark(51, std::process::id());
    let living = first.launch(shell(&format!("exec sleep {sleeper}"))).await.unwrap();
    eventually("it sleeps", || processes_with(&sleeper).len() == 1).await;
    for _ in 0..3 {
        let second = walls();
        assert_eq!(run(&second, shell("echo second")).await.0, "second\n");
    }
    assert_eq!(processes_with(&sleeper).len(), 1);
    assert_eq!(run(&first, shell("echo first")).await.0, "first\n", "its groups are there too");
    drop(living);
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
    eventually("four are ready", || sandboxes_of(helper) == 4).await;
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
