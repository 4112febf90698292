//! From launch to end.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use sandbox::{Error, ExitCause, Mount, WallState, Walls};

use crate::common::{eventually, folder, mark, output, processes_with, program, run, shell, wait_for, walls};

#[tokio::test]
async fn a_program_runs_and_its_output_and_status_come_back() {
    let walls = walls();
    let (text, exit) = run(&walls, shell("id -u; cat hello.txt; pwd; echo err >&2; exit 7")).await;
    assert_eq!(text, "993\nhello from the task\n/var/task\nerr\n");
    assert_eq!(exit.cause, ExitCause::Exited(7));
    assert!(exit.usage.cpu_user_us + exit.usage.cpu_system_us > 0, "{exit:?}");
    assert!(exit.usage.peak_memory_bytes > 0, "{exit:?}");
}

#[tokio::test]
async fn the_standard_streams_can_be_opened_by_name() {
    let script =
        "echo one > /dev/stdout; echo two > /dev/stderr; echo three > /proc/self/fd/1; cat /dev/stdin; echo $?";
    let (text, _) = run(&walls(), shell(script)).await;
    assert_eq!(text, "one\ntwo\nthree\n0\n");
}

#[tokio::test]
async fn a_signal_is_told_from_an_exit() {
    let (_, exit) = run(&walls(), shell("kill -SEGV $$")).await;
    assert_eq!(exit.cause, ExitCause::Signaled(11));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let error = walls().launch(program(&["/var/task/bootstrap"])).await.err().unwrap();
    assert_eq!(error, Error::Program("/var/task/bootstrap: No such file or directory (os error 2)".to_owned()));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let mut spec = shell("true");
    spec.image.task = "/nowhere/at/all".into();
    let error = walls().launch(spec).await.err().unwrap();
    assert!(matches!(&error, Error::Spec(why) if why.contains("/nowhere/at/all")), "{error}");
}

#[tokio::test]
async fn a_listener_of_the_inner_network_is_served_from_outside() {
    let walls = walls();
    let mut spec = program(&[
        "/usr/bin/perl",
        "-MIO::Socket",
        "-e",
        "my $s = IO::Socket::INET->new('127.0.0.1:9001') or die $!; print <$s>",
    ]);
    spec.ports = vec![9001];
    let environment = walls.launch(spec).await.unwrap();
    let listener = &environment.listeners[0];
    // Non-blocking: whether or not the program has been as quick.
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            let listener = tokio::net::TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
            let accepted = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await;
            accepted.unwrap().unwrap().0.into_std().unwrap()
        }
    };
    stream.set_nonblocking(false).unwrap();
    (&stream).write_all(b"from outside\n").unwrap();
    drop(stream);
    let exit = environment.control.exited().await;
    assert_eq!((exit.cause, output(&environment).as_str()), (ExitCause::Exited(0), "from outside\n"));
}

#[tokio::test]
async fn killing_takes_the_whole_tree_along() {
    let walls = walls();
    let marks = [11, 12, 13].map(|number| mark(number, std::process::id()));
    let [one, two, three] = &marks;
    let spec =
        shell(&format!("(setsid sh -c '(exec sleep {one}) & exec sleep {two}' &) ; echo started; exec sleep {three}"));
    let environment = walls.launch(spec).await.unwrap();
    wait_for(&environment, "started").await;
    environment.control.kill();
    assert_eq!(environment.control.exited().await.cause, ExitCause::Killed);
    assert_eq!(environment.control.exited().await.cause, ExitCause::Killed);
    for mark in &marks {
        assert_eq!(processes_with(mark), Vec::<String>::new());
    }
}

#[tokio::test]
async fn dropping_the_environment_kills_it() {
    let walls = walls();
    let sleeper = mark(21, std::process::id());
    let environment = walls.launch(shell(&format!("exec sleep {sleeper}"))).await.unwrap();
    let exited = environment.control.exited();
    drop(environment);
    assert_eq!(exited.await.cause, ExitCause::Killed);
    assert_eq!(processes_with(&sleeper), Vec::<String>::new());
}

#[tokio::test]
async fn a_launch_that_nobody_waits_for_is_undone() {
    let walls = walls();
    let sleeper = mark(22, std::process::id());
    for _ in 0..10 {
        let mut launch = walls.launch(shell(&format!("exec sleep {sleeper}")));
        // Once, which sends the request. Should it be answered already, then it is dropped with the answer.
        let _ = launch.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        drop(launch);
    }
    // What is asked for after them is answered after them.
    let (text, _) = run(&walls, shell("echo after")).await;
    assert_eq!(text, "after\n");
    eventually("abandoned launches are gone", || processes_with(&sleeper).is_empty()).await;
}

#[tokio::test]
async fn layers_lie_over_each_other_in_order() {
    let walls = walls();
    let layer = |name: &str, files: &[(&str, &str)]| {
        let path = folder().join(name);
        std::fs::create_dir_all(&path).unwrap();
        files.iter().for_each(|(file, text)| std::fs::write(path.join(file), text).unwrap());
        path
    };
    let mut spec = shell("cat /opt/both /opt/first /opt/second; touch /opt/x 2>&1 | grep -o 'Read-only file system'");
    spec.image.layers = vec![
        layer("layer:one,", &[("both", "1"), ("first", "1")]),
        layer("layer two", &[("both", "2"), ("second", "2")]),
    ];
    assert_eq!(run(&walls, spec.clone()).await.0, "212Read-only file system\n");
    spec.image.layers.truncate(1);
    spec.argv[2] = "ls /opt".into();
    assert_eq!(run(&walls, spec).await.0, "both\nfirst\n");
}

#[tokio::test]
async fn bytecode_appears_in_a_folder_of_its_own_and_cannot_be_changed() {
    let walls = walls();
    let file = folder().join("compiled");
    std::fs::write(&file, "compiled\n").unwrap();
    let look = "ls /var/lang/bytecode 2>/dev/null && echo LISTED; cd /var/lang/bytecode && cat opt0 task; (echo x > task) 2>/dev/null && echo WRITTEN; rm -f task 2>/dev/null; \
                test -s task && echo there";
    let mut spec = shell(look);
    let at = |name: &str| Mount { source: file.clone(), target: Path::new("/var/lang/bytecode").join(name) };
    spec.image.bytecode = vec![at("task"), at("opt0")];
    assert_eq!(run(&walls, spec.clone()).await.0, "compiled\ncompiled\nthere\n");
    // Who has none sees at most where others have theirs.
    assert_eq!(run(&walls, shell("cat /var/lang/bytecode/task /var/lang/bytecode/opt0 2>/dev/null")).await.0, "");
    for target in
        ["/var/lang/bytecode", "/var/lang/bytecode/../lambent", "/var/lang/bytecode/a/b", "/usr/bytecode", "task"]
    {
        spec.image.bytecode = vec![Mount { source: file.clone(), target: target.into() }];
        let Err(refused) = walls.launch(spec.clone()).await else { panic!("{target} was taken") };
        assert!(refused.to_string().ends_with("is no place for bytecode"), "{refused}");
    }
}

#[tokio::test]
async fn a_runtime_appears_where_it_is_asked_for() {
    let walls = walls();
    let file = folder().join("bootstrap.sh");
    std::fs::write(&file, "echo from the bootstrap\n").unwrap();
    let mut spec = shell("sh /var/runtime/deep/bootstrap; cat /home/some/where/hello.txt");
    spec.image.runtime = vec![
        Mount { source: file, target: "/var/runtime/deep/bootstrap".into() },
        Mount { source: folder().join("task"), target: "/home/some/where".into() },
    ];
    assert_eq!(run(&walls, spec.clone()).await.0, "from the bootstrap\nhello from the task\n");
    for bad in ["/proc/x", "/etc/passwd", "/var/../x", "relative", "/"] {
        spec.image.runtime[0].target = bad.into();
        assert!(matches!(walls.launch(spec.clone()).await, Err(Error::Spec(_))), "{bad}");
    }
}

#[tokio::test]
async fn tenants_that_share_ids_do_not_meet() {
    let walls = walls();
    let first = walls.launch(shell("sleep 60")).await.unwrap();
    let mut spec = shell("true");
    spec.tenant = "111111111111".to_owned();
    let own_ids = walls.survey().walls.iter().any(|w| w.name == "uid range" && matches!(w.state, WallState::Holds(_)));
    let second = walls.launch(spec.clone()).await;
    if own_ids {
        assert!(second.is_ok());
        return;
    }
    assert_eq!(second.err(), Some(Error::Tenants));
    let exited = first.control.exited();
    drop(first);
    exited.await;
    assert!(walls.launch(spec).await.is_ok());
}
