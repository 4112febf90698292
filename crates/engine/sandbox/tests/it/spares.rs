//! Sandboxes whose program was started before it was known for whom.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use sandbox::{Ahead, Environment, ExitCause, Linux, Mount, Spec, Walls};

use crate::common::{
    eventually, folder, mark, output, pids_with, processes_with, program, python, sandboxes_of, walls,
};

/// Everything a program can see of where it is.
const LOOK: &str = "id; pwd; env | grep -vE '^(_|OLDPWD)=' | sort; umask; ulimit -a; ls -l / /var/task /opt /tmp /proc/self/fd | sed 's/[0-9][0-9]:[0-9][0-9]//; s/ [0-9]* -> / /; s/:\\[[0-9]*\\]//; s/proc.[0-9]*.fd//; s/ proc$//; s/^dr-xr-xr-x *[0-9]*//'; \
    grep -E '^(Cap|NoNew|Seccomp|Uid|Gid|Groups|NSpid|Sig)' /proc/self/status | sed 's/^NSpid.*//'; df -m /tmp | tail -1 | tr -s ' ' | cut -d' ' -f2; \
    cut -d' ' -f5- /proc/self/mountinfo | sed 's/,uid=.*//; s/master:[0-9]*//; s/subvolid=[0-9]*.*//' | sort; \
    (echo x > /var/task/x) 2>/dev/null && echo WRITTEN; (echo x > /x) 2>/dev/null && echo WRITTEN; (echo x > /proc/self/comm) 2>/dev/null && echo WRITTEN; echo x > /tmp/x && cat /tmp/x; \
    cat /proc/1/environ /proc/1/maps 2>&1 | head -2; kill -9 1 2>/dev/null; cat hello.txt; exit 3";

/// A spec whose program says whether it was started ahead, and then does `script`.
fn spec(script: &str) -> Spec {
    let mut spec = program(&["/bin/sh", "-c", &format!("echo direct; {script}")]);
    spec.env.push(("OWN".into(), "a = b".into()));
    let wait = format!(
        "echo $$ >&0; words=$(tr '\\0' '\\n' <&0); exec </dev/null; echo spare; cd \"${{words%%
*}}\"; export OWN='a = b'; {script}"
    );
    let argv = ["/bin/sh", "-c", &wait].map(Into::into).to_vec();
    spec.ahead = Some(Ahead { argv, env: vec![("PATH".into(), "/usr/bin:/bin".into())], zygote: Vec::new() });
    spec
}

/// The same in Python, whose program ahead is our bootstrap. What it imports says how it was started and loads a library
/// of the function before it does `LOOK`.
fn in_python(task: &Path) -> Spec {
    let bootstrap = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/src/bootstrap");
    std::fs::create_dir_all(task.join("lib")).unwrap();
    std::fs::write(task.join("hello.txt"), "hello from the task\n").unwrap();
    std::fs::write(task.join("mine.c"), "int mine(void) { return 42; }\n").unwrap();
    let made = std::process::Command::new("gcc")
        .args(["-shared", "-o", "lib/libmine.so", "mine.c"])
        .current_dir(task)
        .status();
    assert!(made.unwrap().success());
    // Told by the command line, which is that of the parent where it was forked.
    let app = format!(
        "import os\nprint(open('/proc/self/cmdline').read().split('\\0')[-2], flush=True)\nimport ctypes\n\
        print(os.getsid(0) == os.getpid(), open('/proc/self/environ').close(), ctypes.CDLL('libmine.so').mine(), flush=True)\n\
        os.execv('/bin/sh', ['/bin/sh', '-c', {LOOK:?}])\n"
    );
    std::fs::write(task.join("app.py"), app).unwrap();
    let mut spec = python("");
    let exe = spec.argv[0].clone();
    let start = |what: &[&str]| {
        let flags = ["-S", "-s", "/var/lang/lambent/python/bootstrap.py"];
        std::iter::once(exe.clone()).chain(flags.iter().chain(what).map(Into::into)).collect::<Vec<_>>()
    };
    let libraries = ("LD_LIBRARY_PATH".into(), "/var/task:/var/task/lib:/opt/lib".into());
    spec.argv = start(&[]);
    spec.ahead = Some(Ahead { argv: start(&["ahead"]), env: vec![libraries.clone()], zygote: start(&["zygote"]) });
    spec.image.runtime.push(Mount { source: bootstrap.into(), target: "/var/lang/lambent".into() });
    spec.image.task = task.to_owned();
    spec.ports = vec![9001];
    spec.env.extend([
        ("OWN".into(), "a = b".into()),
        ("_HANDLER".into(), "app.handler".into()),
        ("AWS_LAMBDA_RUNTIME_API".into(), "127.0.0.1:9001".into()),
        libraries,
    ]);
    spec
}

#[tokio::test]
async fn a_fork_of_a_zygote_has_the_same_walls_and_sees_the_same() {
    let walls = walls();
    walls.settled().await;
    let spec = in_python(&folder().join("forked"));
    let first = walls.launch(Spec { ahead: None, ..spec.clone() }).await.unwrap();
    assert_eq!(first.control.exited().await.cause, ExitCause::Exited(3));
    let text = output(&first);
    let wanted = text.strip_prefix("/var/lang/lambent/python/bootstrap.py\nTrue None 42\n").unwrap();
    assert!(wanted.contains("hello from the task") && wanted.contains("OWN=a = b"), "{wanted}");
    let ahead = spec.ahead.clone().unwrap();
    for (how, zygote) in [("ahead", Vec::new()), ("zygote", ahead.zygote.clone())] {
        let spec = Spec { ahead: Some(Ahead { zygote, ..ahead.clone() }), ..spec.clone() };
        let mut seen = 0;
        for _ in 0..300 {
            let environment = walls.launch(spec.clone()).await.unwrap();
            let exit = environment.control.exited().await;
            let text = output(&environment);
            assert_eq!(exit.cause, ExitCause::Exited(3), "{text}");
            assert_eq!(text.split_once("\nTrue None 42\n").unwrap().1, wanted, "{how}");
            seen += usize::from(text.starts_with(how));
            if seen == 10 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(seen, 10, "{how}");
    }
    // Many at once.
    let all = (0..20).map(|_| walls.launch(spec.clone()));
    for environment in futures_util::future::join_all(all).await {
        let environment = environment.unwrap();
        assert_eq!(environment.control.exited().await.cause, ExitCause::Exited(3));
        assert!(output(&environment).ends_with(wanted));
    }
}

#[tokio::test]
async fn a_zygote_that_stands_still_or_dies_holds_nobody_up() {
    for signal in ["-STOP", "-KILL"] {
        let walls = walls();
        walls.settled().await;
        lose_zygote(&walls, signal).await;
    }
}

async fn lose_zygote(walls: &Linux, signal: &str) {
    let spec = in_python(&folder().join("still"));
    let helper = walls.helper_pid().unwrap();
    let of_helper = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.split_whitespace().nth(1) == Some(&helper.to_string()))
    };
    let run = async |count: usize| {
        let all = (0..count).map(|_| walls.launch(spec.clone()));
        for environment in futures_util::future::join_all(all).await {
            let environment = environment.unwrap();
            let exit = environment.control.exited().await;
            assert_eq!(exit.cause, ExitCause::Exited(3), "{}", output(&environment));
        }
    };
    let mut seen = String::new();
    while !seen.starts_with("zygote") {
        let environment = walls.launch(spec.clone()).await.unwrap();
        environment.control.exited().await;
        seen = output(&environment);
    }
    let zygote = pids_with("zygote").into_iter().find(of_helper).unwrap();
    std::process::Command::new("kill").args([signal, &zygote.to_string()]).status().unwrap();
    run(12).await;
    eventually("it is given up", || !std::path::Path::new(&format!("/proc/{zygote}")).exists()).await;
    run(2).await;
}

#[tokio::test]
async fn what_a_program_keeps_of_its_input_is_a_line_to_the_caller() {
    use std::io::{Read, Write};
    let walls = walls();
    walls.settled().await;
    let task = folder().join("line");
    let with_zygote = in_python(&task);
    std::fs::write(task.join("app.py"), "def handler(event, context):\n    return event\n").unwrap();
    let ahead = with_zygote.ahead.clone().unwrap();
    let alone = Spec { ahead: Some(Ahead { zygote: Vec::new(), ..ahead }), ..with_zygote.clone() };
    for spec in [with_zygote.clone(), alone] {
        let mut environment = walls.launch(spec.clone()).await.unwrap();
        // The first may come before there is anything to be kept.
        for _ in 0..200 {
            if environment.line.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            environment = walls.launch(spec.clone()).await.unwrap();
        }
        assert!(environment.ahead);
        let mut line = environment.line.take().unwrap();
        line.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let mut heard = [0; 44];
        line.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"GET /2018-06-01/runtime/invocation/next HTTP");
        line.write_all(b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 7\r\nContent-Length: 2\r\n\r\n42").unwrap();
        let mut rest = Vec::new();
        while !rest.windows(3).any(|three| three == b"42G") {
            let mut some = [0; 512];
            let read = line.read(&mut some).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&rest));
            rest.extend(&some[..read]);
        }
        assert!(String::from_utf8(rest).unwrap().contains("POST /2018-06-01/runtime/invocation/7/response"));
        // Who hangs up is told by the end of the program.
        drop(line);
        assert_eq!(environment.control.exited().await.cause, ExitCause::Exited(1));
    }
    // Nothing is started ahead: it has no line.
    let environment = walls.launch(Spec { ahead: None, ..with_zygote }).await.unwrap();
    assert!(environment.line.is_none());
}

#[tokio::test]
async fn what_is_expected_is_there_for_the_first_launch() {
    let walls = walls();
    walls.settled().await;
    let spec = in_python(&folder().join("expected"));
    walls.expect(&spec.tenant, &spec.image, spec.ahead.as_ref().unwrap(), spec.limits.files);
    let helper = walls.helper_pid().unwrap().to_string();
    let parent = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(str::to_owned))
    };
    // Its child waits in a sandbox, whose first process is the helper's.
    let waits = |pid: u32| parent(&pid).and_then(|first| parent(&first.parse().ok()?)).as_ref() == Some(&helper);
    eventually("a fork waits", || pids_with("zygote").into_iter().any(waits)).await;
    let environment = walls.launch(spec).await.unwrap();
    environment.control.exited().await;
    assert!(output(&environment).starts_with("zygote"));
}

#[tokio::test]
async fn a_zygote_gives_way_to_another_after_a_thousand_forks() {
    let walls = walls();
    walls.settled().await;
    let task = folder().join("renewed");
    let spec = in_python(&task);
    std::fs::write(task.join("app.py"), "import os\nos._exit(3)\n").unwrap();
    let helper = walls.helper_pid().unwrap();
    let zygotes = || {
        let of_helper = |pid: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.split_whitespace().nth(1) == Some(&helper.to_string()))
        };
        pids_with("zygote").into_iter().filter(of_helper).collect::<Vec<_>>()
    };
    let mut first = Vec::new();
    for _ in 0..150 {
        let all = (0..10).map(|_| walls.launch(spec.clone()));
        for environment in futures_util::future::join_all(all).await {
            assert_eq!(environment.unwrap().control.exited().await.cause, ExitCause::Exited(3));
        }
        if first.is_empty() {
            first = zygotes();
        } else if zygotes().iter().any(|pid| !first.contains(pid)) {
            break;
        }
    }
    eventually("the first has gone", || !zygotes().iter().any(|pid| first.contains(pid))).await;
    assert_eq!(zygotes().len(), 1);
}

/// Launches until one was started ahead.
async fn spare(walls: &Linux, spec: &Spec) -> (Environment, String) {
    for _ in 0..200 {
        let environment = walls.launch(spec.clone()).await.unwrap();
        let exit = environment.control.exited().await;
        let text = output(&environment);
        if let Some(rest) = text.strip_prefix("spare\n") {
            assert!(exit.usage.peak_memory_bytes > 0);
            return (environment, rest.to_owned());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no spare was ever used");
}

#[tokio::test]
async fn a_spare_has_the_same_walls_and_sees_the_same() {
    let walls = walls();
    walls.settled().await;
    for tmp_mb in [512, 700] {
        let mut spec = spec(LOOK);
        spec.limits.tmp_mb = tmp_mb;
        let first = walls.launch(Spec { ahead: None, ..spec.clone() }).await.unwrap();
        assert_eq!(first.control.exited().await.cause, ExitCause::Exited(3));
        let direct = output(&first);
        let (second, seen) = spare(&walls, &spec).await;
        assert_eq!(second.control.exited().await.cause, ExitCause::Exited(3));
        assert_eq!(seen, direct.strip_prefix("direct\n").unwrap());
        assert!(
            seen.contains("hello from the task") && seen.contains("OWN=a = b") && !seen.contains("WRITTEN"),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn a_spare_that_ended_serves_nobody() {
    let walls = walls();
    let mut sleeping = spec("true");
    let sleeper = mark(31, std::process::id());
    let wait = format!("echo $$ >&0; exec sleep {sleeper}");
    sleeping.ahead.as_mut().unwrap().argv = ["/bin/sh", "-c", &wait].map(Into::into).to_vec();
    let direct = async || {
        let environment = walls.launch(sleeping.clone()).await.unwrap();
        assert_eq!(environment.control.exited().await.cause, ExitCause::Exited(0));
        assert_eq!(output(&environment), "direct\n");
    };
    direct().await;
    let mut killed = BTreeSet::new();
    eventually("three spares came and went", || {
        for pid in pids_with(&sleeper) {
            std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
            killed.insert(pid);
        }
        killed.len() == 3
    })
    .await;
    eventually("the last is gone", || pids_with(&sleeper).is_empty()).await;
    direct().await;
    assert_eq!(processes_with(&sleeper), Vec::<String>::new());
}

#[tokio::test]
async fn a_program_that_is_never_ready_does_not_hold_up_launches() {
    let walls = walls();
    for argv in [vec!["/nowhere".into()], ["/bin/sh", "-c", "exit 1"].map(Into::into).to_vec()] {
        let mut spec = spec("true");
        spec.ahead.as_mut().unwrap().argv = argv;
        for _ in 0..8 {
            let environment = walls.launch(spec.clone()).await.unwrap();
            environment.control.exited().await;
            assert_eq!(output(&environment), "direct\n");
        }
    }
}

#[tokio::test]
async fn spares_of_another_kind_are_not_used_and_none_outlives_the_walls() {
    let walls = walls();
    let one = spec("true");
    let (_, _) = spare(&walls, &one).await;
    let mut other = one.clone();
    other.ahead.as_mut().unwrap().env.push(("A".into(), "b".into()));
    let environment = walls.launch(other).await.unwrap();
    environment.control.exited().await;
    assert_eq!(output(&environment), "direct\n");
    let helper = walls.helper_pid().unwrap();
    assert!(sandboxes_of(helper) > 0);
    drop(Arc::into_inner(walls).unwrap());
    assert_eq!(sandboxes_of(helper), 0);
}
