//! The port that a program serves.

use std::io::ErrorKind;

use sandbox::{Isolation, Walls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::{eventually, python, wait_for, walls};

// One thread: where no cgroup counts them, all tests of a user share what it may have.
const ECHO: &str = "
import asyncio
async def serve(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()
async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 8080, backlog=128)
    print('listening', flush=True)
    await server.serve_forever()
asyncio.run(main())
";

#[tokio::test]
async fn a_served_port_is_reached_as_often_as_wanted() {
    let walls = walls();
    let mut spec = python(ECHO);
    spec.ports = vec![9001];
    spec.serves = Some(8080);
    let environment = walls.launch(spec).await.unwrap();
    assert_eq!(environment.listeners.len(), 1);
    let dial = environment.dial.as_ref().unwrap();
    let early = dial.connect().await;
    assert!(early.is_ok() || early.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
    wait_for(&environment, "listening").await;
    // Many at a time, over and over: more than are made in one go, and none of them twice.
    for round in 0..5u8 {
        let mut open = Vec::new();
        for number in 0..40u8 {
            let mut stream = dial.connect().await.unwrap();
            stream.write_all(&[round, number]).await.unwrap();
            open.push((stream, number));
        }
        for (mut stream, number) in open {
            let mut back = [0; 2];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(back, [round, number]);
        }
    }
    environment.control.kill();
    environment.control.exited().await;
    // What was made ahead is there still, and leads nowhere.
    for _ in 0..20 {
        assert!(dial.connect().await.is_err());
    }
}

#[tokio::test]
async fn what_serves_nothing_has_no_way_in() {
    let walls = walls();
    let environment = walls.launch(python("import time; time.sleep(60)")).await.unwrap();
    assert!(environment.dial.is_none() && environment.listeners.is_empty());
    let mut spec = python(ECHO);
    (spec.serves, spec.isolation) = (Some(8080), Isolation::MicroVm);
    assert!(matches!(walls.launch(spec).await, Err(sandbox::Error::Spec(_))));
}

// The function may stop it, and waits for itself alone.
#[tokio::test]
async fn a_stopped_maker_holds_up_nobody_else() {
    let walls = walls();
    let mut spec = python(
        "
import os, signal, time
print('listening', flush=True)
os.kill(-1, signal.SIGSTOP)
time.sleep(60)
",
    );
    spec.serves = Some(8080);
    let environment = walls.launch(spec).await.unwrap();
    wait_for(&environment, "listening").await;
    let dial = environment.dial.as_ref().unwrap();
    // More askers than the way to it holds questions, none of whom waits for long.
    for _ in 0..2000 {
        let asked = tokio::time::timeout(std::time::Duration::from_micros(200), dial.connect()).await;
        assert!(!matches!(asked, Ok(Ok(_))));
    }
}

// The process that makes sockets has the walls of all others, and the function cannot even see it.
#[tokio::test]
async fn who_makes_the_sockets_is_within_the_walls() {
    let walls = walls();
    let mut spec = python(
        "
import glob, time
names = [open(name).read().strip() for name in glob.glob('/proc/[0-9]*/comm')]
print('listening', len(names), 'lambent-dial' in names, flush=True)
time.sleep(60)
",
    );
    spec.serves = Some(8080);
    let environment = walls.launch(spec).await.unwrap();
    wait_for(&environment, "listening 1 False").await;
    // Those of other tests are looked at too, while they hand sockets over, or end.
    let makers = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        all.filter(|path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "lambent-dial"))
    };
    assert!(makers().count() > 0);
    let is_walled = |status: String| {
        ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"].iter().all(|wall| status.contains(wall))
    };
    eventually("every maker stands within its walls", || {
        makers().all(|path| std::fs::read_to_string(path.join("status")).map_or(true, is_walled))
    })
    .await;
    eventually("no maker holds more than it needs", || {
        makers().all(|path| std::fs::read_dir(path.join("fd")).map_or(true, |files| files.count() == 4))
    })
    .await;
}
