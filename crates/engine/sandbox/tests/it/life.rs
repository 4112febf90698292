//! From launch to end.

use std::io::{Read, Write};
use std::time::Duration;

use sandbox::{Error, ExitCause, Walls};

use crate::common::{output, program, run, shell, walls};

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
async fn a_signal_is_told_from_an_exit() {
    let (_, exit) = run(&walls(), shell("kill -SEGV $$")).await;
    assert_eq!(exit.cause, ExitCause::Signaled(11));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let error = walls().launch(program(&["/var/task/bootstrap"])).await.err().unwrap();
    assert_eq!(error, Error::Spec("cannot start /var/task/bootstrap: No such file or directory (os error 2)".to_owned()));
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
    let mut spec = program(&["/usr/bin/perl", "-MIO::Socket", "-e", "my $s = IO::Socket::INET->new('127.0.0.1:9001') or die $!; print <$s>"]);
    spec.ports = vec![9001];
    let environment = walls.launch(spec).await.unwrap();
    let listener = &environment.listeners[0];
    assert!(matches!(listener.accept().map(drop).map_err(|e| e.kind()), Ok(()) | Err(std::io::ErrorKind::WouldBlock)));
    let listener = tokio::net::TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
    let (stream, _) = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
    let mut stream = stream.into_std().unwrap();
    stream.write_all(b"from outside\n").unwrap();
    drop(stream);
    let exit = environment.control.exited().await;
    assert_eq!((exit.cause, output(&environment).as_str()), (ExitCause::Exited(0), "from outside\n"));
}

#[tokio::test]
async fn killing_takes_the_whole_tree_along() {
    let walls = walls();
    let spec = shell("(setsid sh -c '(exec sleep 4711) & exec sleep 4712' &) ; echo started; exec sleep 4713");
    let environment = walls.launch(spec).await.unwrap();
    let fd = environment.output.try_clone().unwrap();
    let mut reader = std::fs::File::from(fd);
    let mut text = [0; 8];
    while reader.read(&mut text).is_err() {
        tokio::task::yield_now().await;
    }
    environment.control.kill();
    assert_eq!(environment.control.exited().await.cause, ExitCause::Killed);
    assert_eq!(environment.control.exited().await.cause, ExitCause::Killed);
    for wanted in ["4711", "4712", "4713"] {
        assert_eq!(processes_with(wanted), Vec::<String>::new());
    }
}

/// The command lines of this host that hold a word.
fn processes_with(word: &str) -> Vec<String> {
    let line = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).ok();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().filter_map(line);
    lines.filter(|line| line.split('\0').any(|part| part == word)).collect()
}
