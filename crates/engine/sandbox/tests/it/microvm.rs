//! The microVM class, under an emulated processor where this host has QEMU and a kernel for it.

use std::net::{Ipv4Addr, SocketAddrV4};

use sandbox::{Environment, Error, ExitCause, Isolation, Linux, Spec, WallState, Walls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::common::{eventually, groups, output, processes_with, python, shell, wait_for, walls};

/// One machine at a time: each takes all processors there are.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Asks for a machine. `None`, with words, where this host has none.
async fn try_start(walls: &Linux, mut spec: Spec) -> Option<Result<Environment, Error>> {
    if let WallState::Missing { why, fix } = sandbox::survey_microvm().state {
        println!("skipped: {why}; to mend it: {fix}");
        return None;
    }
    spec.isolation = Isolation::MicroVm;
    Some(walls.launch(spec).await)
}

/// Starts a machine, where this host can.
async fn start(walls: &Linux, spec: Spec) -> Option<Environment> {
    Some(try_start(walls, spec).await?.unwrap())
}

#[tokio::test]
async fn a_program_runs_with_a_kernel_of_its_own() {
    let (_one, walls) = (ONE.lock().await, walls());
    let spec = shell("uname -r > /tmp/release; cat /var/task/hello.txt /tmp/release; id -u; echo err >&2; exit 3");
    let Some(environment) = start(&walls, spec).await else { return };
    let exit = environment.control.exited().await;
    let text = output(&environment);
    assert_eq!(exit.cause, ExitCause::Exited(3), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let host = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!((lines[0], lines[2], lines[3]), ("hello from the task", "993", "err"), "{text}");
    assert_ne!(lines[1], host.trim());
    assert!(exit.usage.cpu_user_us > 100_000 && exit.usage.peak_memory_bytes > 100_000, "{exit:?}");
    assert!(exit.usage.peak_memory_bytes < 64 << 20, "the monitor's memory is not the program's: {exit:?}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let (_one, walls) = (ONE.lock().await, walls());
    let spec = crate::common::program(&["/var/task/missing"]);
    let Some(launched) = try_start(&walls, spec).await else { return };
    let Err(Error::Program(why)) = launched else { panic!("{:?}", launched.err()) };
    assert_eq!(why, "/var/task/missing: No such file or directory (os error 2)");
}

#[tokio::test]
async fn more_memory_than_the_limit_ends_it() {
    let (_one, walls) = (ONE.lock().await, walls());
    let script = "import os\nprint(open('/proc/meminfo').readline().split()[1], flush=True)\nx = bytearray(300 << 20)\nprint('still here')";
    let Some(environment) = start(&walls, python(script)).await else { return };
    let exit = environment.control.exited().await;
    let text = output(&environment);
    assert!(!text.contains("still here"), "{text}");
    assert_eq!(exit.cause, ExitCause::OutOfMemory, "{text}");
    assert!(exit.usage.oom_kills > 0 && exit.usage.peak_memory_bytes > 200 << 20, "{exit:?}");
    let total_kb: u64 = text.lines().next().unwrap().parse().unwrap();
    assert!(total_kb > 256 << 10, "the machine is larger than the function: {total_kb} kB");
}

/// Tells of itself, then serves what it is asked: twice over a connection to port 9001, once to elsewhere, once by name.
const TALKER: &str = r#"
import os, socket, sys, time
with open('/tmp/big', 'wb') as big:
    try:
        for _ in range(80): big.write(bytes(1 << 20)); big.flush()
    except OSError as error: print('tmp', error.errno, flush=True)
os.unlink('/tmp/big')
api = socket.create_connection(('127.0.0.1', 9001))
for turn in range(2):
    question = api.recv(100)
    print('asked', question.decode(), flush=True)
    api.sendall(question.upper() + bytes(400000))
away = socket.create_connection(('192.0.2.7', 443)); away.sendall(b'out'); print('away', away.recv(9).decode(), flush=True)
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); names.sendto(b'name?', ('127.0.0.1', 53))
print('name', names.recv(100).decode(), flush=True)
time.sleep(1000)
"#;

#[tokio::test]
async fn it_is_talked_to_and_killed_and_leaves_nothing() {
    let (_one, walls) = (ONE.lock().await, walls());
    let before = groups("lambent-").len();
    let mut spec = python(TALKER);
    spec.limits.tmp_mb = 64;
    spec.ports = vec![9001];
    let Some(mut environment) = start(&walls, spec).await else { return };
    let api = TcpListener::from_std(environment.listeners.remove(0)).unwrap();
    let (mut api, _) = tokio::select! {
        accepted = api.accept() => accepted.unwrap(),
        exit = environment.control.exited() => panic!("{exit:?}: {}", output(&environment)),
    };
    let mut said = crate::common::output(&environment);
    for question in ["one", "two"] {
        api.write_all(question.as_bytes()).await.unwrap();
        let mut answer = vec![0; 400_003];
        api.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer[..3], question.to_uppercase().as_bytes());
        // What was written before the answer is there with the answer.
        said += &crate::common::output(&environment);
        assert!(said.ends_with(&format!("asked {question}\n")), "{said}");
    }
    // ENOSPC: /tmp has the size that was asked for.
    assert!(said.starts_with("tmp 28\n"), "{said}");
    away(&environment).await;
    wait_for(&environment, "name Name?\n").await;
    let is_monitor = |line: &&String| line.starts_with("/usr/bin/qemu") || line.starts_with("/usr/local/bin/qemu");
    let monitors = || processes_with("stdio,id=channel,signal=off").iter().filter(is_monitor).count();
    assert_eq!(monitors(), 1);
    environment.control.kill();
    assert_eq!(environment.control.exited().await.cause, ExitCause::Killed);
    eventually("the monitor is gone", || monitors() == 0).await;
    drop((environment, walls));
    eventually("its groups are gone", || groups("lambent-").len() <= before).await;
}

/// What leaves the machine arrives at the sandbox's way out.
async fn away(environment: &Environment) {
    let uplink = environment.uplink.as_ref().unwrap();
    let tcp = TcpListener::from_std(uplink.tcp.as_ref().unwrap().try_clone().unwrap()).unwrap();
    let (mut socket, _): (TcpStream, _) = tokio::select! {
        accepted = tcp.accept() => accepted.unwrap(),
        exit = environment.control.exited() => panic!("{exit:?}: {}", output(environment)),
    };
    assert_eq!(sandbox::original_destination(&socket).unwrap(), SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 443));
    let mut word = [0; 3];
    socket.read_exact(&mut word).await.unwrap();
    socket.write_all(&word.map(|byte| byte.to_ascii_uppercase())).await.unwrap();
    let names = UdpSocket::from_std(uplink.dns_udp.try_clone().unwrap()).unwrap();
    let mut query = [0; 9];
    let (len, asker) = names.recv_from(&mut query).await.unwrap();
    query[0] = query[0].to_ascii_uppercase();
    names.send_to(&query[..len], asker).await.unwrap();
}
