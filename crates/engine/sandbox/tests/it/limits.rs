//! What a program may use.

use std::time::{Duration, Instant};

use sandbox::{ExitCause, WallState, Walls};

use crate::common::{python, run, shell, wait_for, walls};

/// Whether a wall holds on this host.
pub(crate) fn holds(walls: &sandbox::Linux, name: &str) -> bool {
    walls.survey().walls.iter().any(|wall| wall.name == name && matches!(wall.state, WallState::Holds(_)))
}

#[tokio::test]
async fn more_memory_than_the_limit_ends_it() {
    let walls = walls();
    let (text, exit) = run(&walls, python("x = bytearray(300 << 20)\nprint('still here')")).await;
    assert!(!text.contains("still here"), "{text}");
    if holds(&walls, "memory limit") {
        assert_eq!(exit.cause, ExitCause::OutOfMemory);
        assert!(exit.usage.oom_kills > 0 && exit.usage.peak_memory_bytes > 200 << 20, "{exit:?}");
    } else {
        assert!(text.contains("MemoryError"), "{text}");
    }
}

#[tokio::test]
async fn a_child_that_runs_out_of_memory_takes_all_along() {
    let walls = walls();
    if !holds(&walls, "memory limit") {
        return;
    }
    let script = "import subprocess, sys, time\nif len(sys.argv) > 1: bytearray(300 << 20)\nelse:\n    subprocess.run([sys.executable, '-c', 'x = bytearray(300 << 20)'])\n    time.sleep(60)";
    let (_, exit) = run(&walls, python(script)).await;
    assert_eq!(exit.cause, ExitCause::OutOfMemory);
}

#[tokio::test]
async fn the_whole_memory_is_there_to_be_used() {
    let (text, exit) = run(&walls(), python("x = bytearray(200 << 20)\nprint('still here')")).await;
    assert_eq!((text.as_str(), exit.cause), ("still here\n", ExitCause::Exited(0)));
    assert!(exit.usage.peak_memory_bytes > 200 << 20, "{exit:?}");
}

#[tokio::test]
async fn node_runs_in_the_smallest_function() {
    let found = sandbox::find_interpreters();
    let Some(node) = found.into_iter().find(|found| found.family == sandbox::Family::Node) else { return };
    let script = "const w = new (require('worker_threads').Worker)('1', {eval: true}); w.on('exit', () => { \
                  const b = Buffer.alloc(20 << 20, 1); console.log('ran', b.length, require('os').cpus().length > 0) })";
    let mut spec = crate::common::program(&[node.exe.to_str().unwrap(), "-e", script]);
    spec.image.runtime = node.mounts;
    spec.limits.memory_mb = 128;
    let (text, exit) = run(&walls(), spec).await;
    assert_eq!((text.as_str(), exit.cause), ("ran 20971520 true\n", ExitCause::Exited(0)));
}

#[tokio::test]
async fn a_fork_bomb_is_held() {
    let walls = walls();
    let script = "import os, time\nn = 0\ntry:\n    while n < 1000:\n        if os.fork() == 0: time.sleep(60)\n        n += 1\nexcept OSError as e: print(n, e.errno)";
    let (text, exit) = run(&walls, python(script)).await;
    // 64 processes: the program and 63 children. EAGAIN.
    assert_eq!((text.as_str(), exit.cause), ("63 11\n", ExitCause::Exited(0)));
}

#[tokio::test]
async fn tmp_has_the_size_asked_for() {
    let walls = walls();
    let mut spec = shell(
        "head -c 20000000 /dev/zero > /tmp/fits && rm /tmp/fits && head -c 70000000 /dev/zero > /tmp/big; echo $?; df -m /tmp | tail -1",
    );
    spec.limits.tmp_mb = 64;
    let (text, exit) = run(&walls, spec).await;
    // The second where `/tmp` is on disk.
    let said = ["No space left on device", "Disk quota exceeded"];
    assert!(said.iter().any(|said| text.contains(said)), "{text} {exit:?}");
}

#[tokio::test]
async fn a_cpu_share_is_a_share() {
    let walls = walls();
    if !holds(&walls, "cpu limit") {
        return;
    }
    let mut spec = shell("echo; while :; do :; done");
    spec.limits.cpu_millis = Some(500);
    let environment = walls.launch(spec).await.unwrap();
    let used = || {
        let usage = environment.control.usage();
        (usage.cpu_user_us + usage.cpu_system_us) as f64
    };
    let (start, before) = (Instant::now(), used());
    tokio::time::sleep(Duration::from_millis(800)).await;
    let half = (used() - before) / start.elapsed().as_micros() as f64;
    environment.control.set_cpu(Some(100));
    let (start, before) = (Instant::now(), used());
    tokio::time::sleep(Duration::from_millis(800)).await;
    let tenth = (used() - before) / start.elapsed().as_micros() as f64;
    assert!((0.2..0.6).contains(&half), "{half}");
    assert!((0.03..0.2).contains(&tenth), "{tenth}");
    drop(environment);
}

#[tokio::test]
async fn readings_grow_and_are_cheap() {
    let walls = walls();
    let script = "import time\nt = time.process_time()\nwhile time.process_time() - t < 0.2: pass\nprint('used', flush=True)\ntime.sleep(60)";
    let environment = walls.launch(python(script)).await.unwrap();
    wait_for(&environment, "used").await;
    let usage = environment.control.usage();
    assert!((150_000..2_000_000).contains(&(usage.cpu_user_us + usage.cpu_system_us)), "{usage:?}");
    assert!(usage.peak_memory_bytes > 1 << 20, "{usage:?}");
}

#[tokio::test]
async fn the_host_keeps_process_numbers_for_itself() {
    let walls = walls();
    let helper = walls.helper_pid().unwrap();
    let all: u64 = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
    let limits = crate::common::groups(&format!("lambent-{helper}-"))
        .into_iter()
        .filter_map(|group| std::fs::read_to_string(group.join("pids.max")).ok());
    for limit in limits {
        assert_eq!(limit.trim().parse(), Ok(all / 4 * 3));
    }
}

#[tokio::test]
async fn what_the_host_shares_among_all_is_not_taken() {
    let walls = walls();
    let script = r#"
import ctypes, resource
libc = ctypes.CDLL(None, use_errno=True)
print(resource.getrlimit(resource.RLIMIT_CORE))
made = 0
while libc.inotify_init1(0) >= 0: made += 1
print('watches' if made else 'none', flush=True)
import time; time.sleep(60)
"#;
    let environment = walls.launch(python(script)).await.unwrap();
    wait_for(&environment, "(1, 1)\nwatches").await;
    // Root's own are left, since the namespace was made in the sandbox's own name; of an ordinary user's, half.
    rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).unwrap();
}

#[tokio::test]
async fn connections_that_are_over_are_soon_forgotten() {
    let walls = walls();
    if !holds(&walls, "egress") || !crate::common::is_root() {
        return;
    }
    let (text, _) =
        run(&walls, shell("cat /proc/sys/net/netfilter/nf_conntrack_udp_timeout /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait"))
            .await;
    assert_eq!(text, "6\n2\n");
}
