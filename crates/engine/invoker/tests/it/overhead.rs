//! What a warm invocation costs beside the conversation itself. Run by hand: `cargo test --release -p lambent-invoker
//! --test it -- --ignored --nocapture`.

use base::{Clocks as _, SystemClocks};

use crate::world::{World, invocation, target};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints numbers, tests nothing"]
async fn warm_invocations_by_the_microsecond() {
    let world = World::new();
    let f = target("f");
    for payload in ["x", "print:hello\n"] {
        let mut times = Vec::new();
        for _ in 0..10_000 {
            let mut invocation = invocation(payload);
            invocation.want_tail = false;
            let begun = SystemClocks.monotonic();
            let done = world.handle.invoke(f.clone(), invocation).await.unwrap();
            let all_us = begun.elapsed().as_nanos() as f64 / 1000.0;
            times.push((all_us, all_us - done.row.phases.handler_us as f64));
        }
        let p50 = |pick: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = times.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!("{payload:?}: whole {:.1} us, outside the handler {:.1} us", p50(|t| t.0), p50(|t| t.1));
    }
}
