//! Sandboxes whose program was started before it was known for whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use sandbox::{Ahead, Environment, ExitCause, Linux, Spec, Walls};

use crate::common::{eventually, mark, output, pids_with, processes_with, program, sandboxes_of, walls};

/// Everything a program can see of where it is.
const LOOK: &str = "id; pwd; env | grep -vE '^(_|OLDPWD)=' | sort; umask; ulimit -a; ls -l / /var/task /opt /tmp /proc/self/fd | sed 's/[0-9][0-9]:[0-9][0-9]//; s/ [0-9]* -> / /; s/:\\[[0-9]*\\]//; s/proc.[0-9]*.fd//; s/ proc$//; s/^dr-xr-xr-x *[0-9]*//'; \
    grep -E '^(Cap|NoNew|Seccomp|Uid|Gid|Groups|NSpid|Sig)' /proc/self/status | sed 's/^NSpid.*//'; df -m /tmp | tail -1 | tr -s ' ' | cut -d' ' -f2; \
    cut -d' ' -f5- /proc/self/mountinfo | sed 's/,uid=.*//; s/master:[0-9]*//; s/subvolid=[0-9]*.*//' | sort; \
    (echo x > /var/task/x) 2>/dev/null && echo WRITTEN; (echo x > /x) 2>/dev/null && echo WRITTEN; echo x > /tmp/x && cat /tmp/x; \
    cat /proc/1/environ /proc/1/maps 2>&1 | head -2; kill -9 1 2>/dev/null; cat hello.txt; exit 3";

/// A spec whose program says whether it was started ahead, and then does `script`.
fn spec(script: &str) -> Spec {
    let mut spec = program(&["/bin/sh", "-c", &format!("echo direct; {script}")]);
    spec.env.push(("OWN".into(), "a = b".into()));
    let wait = format!(
        "printf . >&0; words=$(tr '\\0' '\\n' <&0); exec </dev/null; echo spare; cd \"${{words%%
*}}\"; export OWN='a = b'; {script}"
    );
    let argv = ["/bin/sh", "-c", &wait].map(Into::into).to_vec();
    spec.ahead = Some(Ahead { argv, env: vec![("PATH".into(), "/usr/bin:/bin".into())] });
    spec
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
        assert!(seen.contains("hello from the task") && seen.contains("OWN=a = b") && !seen.contains("WRITTEN"), "{seen}");
    }
}

#[tokio::test]
async fn a_spare_that_ended_serves_nobody() {
    let walls = walls();
    let mut sleeping = spec("true");
    let sleeper = mark(31, std::process::id());
    let wait = format!("printf . >&0; exec sleep {sleeper}");
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
