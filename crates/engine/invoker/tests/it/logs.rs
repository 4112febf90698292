//! What is written down of an invocation.

use std::sync::Arc;

use base::StartKind;
use invoker::testing::{FakeWalls, Reply};

use crate::world::{World, tail, target, target_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tail_is_complete_the_moment_the_answer_is_there() {
    let world = World::new();
    let f = target("f");
    for i in 0..300 {
        let done = world.call(&f, &format!("print:line {i}\nno newline {i}")).await.unwrap();
        let id = done.row.request;
        let tail = tail(&done);
        let start =
            format!("START RequestId: {id} Version: $LATEST\nline {i}\nno newline {i}\nEND RequestId: {id}\nREPORT ");
        assert!(tail.starts_with(&start), "{tail}");
        assert!(tail.ends_with(" ms\n") && tail.lines().count() == 5);
    }
    let texts = world.texts();
    assert_eq!(texts.len(), 300 * 5);
    assert_eq!(texts[5 * 7 + 1], "line 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_pipe_holds_is_all_there_and_in_order() {
    let world = World::new();
    let text: String = (0..20_000).map(|i| format!("{i} {}\n", "x".repeat(20))).collect();
    let done = world.call(&target("f"), &format!("print:{text}")).await.unwrap();
    let lines = world.texts();
    assert_eq!(lines.len(), 20_003);
    assert!(lines[1..20_001].iter().enumerate().all(|(i, line)| line.starts_with(&format!("{i} "))));
    let all = format!("{}\n", lines.join("\n"));
    assert_eq!(tail(&done), all[all.len() - 4096..]);
}

#[tokio::test]
async fn report_has_the_phases_and_what_was_used() {
    let world = World::new();
    let f = target_with("f", "1", |target| target.notes = vec!["Python 3.14 stands in for 3.12".into()]);
    let cold = world.call(&f, "used").await.unwrap();
    let text = tail(&cold);
    assert!(text.starts_with("Python 3.14 stands in for 3.12\nSTART "));
    assert!(
        text.contains("\tMemory Size: 128 MB\tMax Memory Used: 0 MB\tInit Duration: ")
            && text.contains("\tPhases: queue ")
    );
    assert_eq!((cold.row.start, cold.row.cpu_user_us), (StartKind::Cold, 1_500));
    assert!(cold.row.phases.init_us > 0 && cold.row.phases.handler_us > 0);
    let billed_us = cold.row.phases.init_us + cold.row.phases.handler_us;
    assert_eq!(cold.row.billed_ms, billed_us.div_ceil(1000));
    assert_eq!(cold.notes, ["Python 3.14 stands in for 3.12"]);
    let warm = world.call(&f, "used").await.unwrap();
    assert_eq!((warm.row.start, warm.row.cpu_user_us), (StartKind::Warm, 1_500));
    assert!(!tail(&warm).contains("Init Duration") && tail(&warm).contains("\tCPU: user 1.50 ms, system 0.00 ms\n"));
    assert_eq!(*world.ears.rows.lock().unwrap(), [cold.row, warm.row]);
}

#[tokio::test]
async fn no_tail_unless_asked() {
    let world = World::new();
    let mut invocation = crate::world::invocation("print:hello\n");
    invocation.want_tail = false;
    let done = world.handle.invoke(target("f"), invocation).await.unwrap();
    assert_eq!(done.tail, None);
    assert_eq!(world.texts().len(), 4);
}

#[tokio::test]
async fn output_between_invocations_is_kept() {
    let walls = FakeWalls::serving(|inside, request| {
        Box::pin(async move {
            tokio::spawn(async move {
                // After the answer, when nobody asks.
                tokio::task::yield_now().await;
                inside.print("afterthought\n");
            });
            Reply::Response(request.payload)
        })
    });
    let world = World::on_walls(Arc::clone(&walls), |_| {});
    world.call(&target("f"), "x").await.unwrap();
    while !world.texts().contains(&"afterthought".to_owned()) {
        tokio::task::yield_now().await;
    }
}
