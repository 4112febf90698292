use proptest::prelude::*;

use super::*;

fn program() -> impl Strategy<Value = Program> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
    let list = move || proptest::collection::vec(bytes(), 0..4);
    let limits = (1..10_240_u32, proptest::option::of(1..6000_u32), any::<u32>(), any::<u32>(), any::<u32>());
    (limits, list(), list(), bytes(), proptest::collection::vec(any::<u16>(), 0..4)).prop_map(
        |((memory_mb, cpu_millis, pids, tmp_mb, files), argv, env, cwd, ports)| Program {
            limits: Limits { memory_mb, cpu_millis, pids, tmp_mb, files },
            argv,
            env,
            cwd,
            serves: ports.is_empty(),
            ports,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(program in program(), seq in any::<u64>(), targets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..4)) {
        let ahead = Ahead { argv: program.argv.clone(), env: program.env.clone(), zygote: targets.clone() };
        let launch = Launch { seq, tenant: b"t".to_vec(), program: program.clone(), ahead: Some(ahead.clone()), task: b"/t".to_vec(), layers: targets.clone(), snapshot: b"/s".to_vec(), bytecode_sources: targets.clone(), bytecode_targets: targets.clone(), runtime_sources: targets.clone(), runtime_targets: Vec::new() };
        let request = Request::Launch(Box::new(launch));
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        let kind = Kind { tenant: b"t".to_vec(), ahead: ahead.clone(), files: 3, runtime_sources: targets.clone(), runtime_targets: Vec::new() };
        let request = Request::Expect(Box::new(kind));
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        for order in [Order::Spare { ahead, forked: true, files: 7, targets: targets.clone() }, Order::Become { program, targets }] {
            prop_assert_eq!(Order::decode(&order.encode()), Ok(order));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Request::decode(&bytes), News::decode(&bytes), Order::decode(&bytes), Report::decode(&bytes));
        let _ = (Ask::decode(&bytes), Told::decode(&bytes));
    }

    #[test]
    fn a_cut_message_is_refused(seq in any::<u64>(), cut in 0..9_usize) {
        prop_assert_eq!(Request::decode(&Request::Kill(seq).encode()[..cut]), Err(Malformed));
    }
}

#[test]
fn news_and_reports_are_read_back() {
    let usage = Usage { cpu_user_us: 1, cpu_system_us: 2, peak_memory_bytes: 3, oom_kills: 4 };
    let walls = vec![crate::survey::holds("seccomp", "x"), crate::survey::missing("Landlock", "y", "z")];
    for news in [
        News::Hello { walls, usable: true, ranges: false },
        News::Launched {
            seq: 1,
            meters: 5,
            quota: 1,
            freezer: 2,
            line: true,
            uplink: 3,
            pid: 9,
            ahead: true,
            shared: 8,
        },
        News::Failed { seq: 2, fault: Fault::Unavailable, why: "w".into(), fix: "f".into() },
        News::Ended { seq: 3, cause: ExitCause::Signaled(9), usage },
        News::Wall { wall: crate::survey::holds("seccomp", "x"), last: true },
        News::MemoryIsShort,
    ] {
        assert_eq!(News::decode(&news.encode()), Ok(news));
    }
    for ask in
        [Ask::Make { number: 1, uid: 2, gid: 3, mb: 4 }, Ask::Resize { number: 5, mb: 6 }, Ask::Delete { number: 7 }]
    {
        assert_eq!(Ask::decode(&ask.encode()), Ok(ask));
    }
    for told in [
        Told::Ready,
        Told::Made { number: 1 },
        Told::Resized { number: 2 },
        Told::Failed { number: 3, errno: 28 },
        Told::Broken { why: "w".into() },
    ] {
        assert_eq!(Told::decode(&told.encode()), Ok(told));
    }
    for report in [
        Report::Prepared { closed: "c".into() },
        Report::Confined { uplink: 3 },
        Report::NotStarted { errno: 2 },
        Report::Ended { signaled: true, code: 9 },
        Report::Failed { step: "s".into(), errno: -1 },
        Report::Ready,
        Report::Forkable,
    ] {
        assert_eq!(Report::decode(&report.encode()), Ok(report));
    }
}
