//! Measures how long a launch takes, spaced and back to back: `cargo run --release -p lambent-sandbox --example launch`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement for people")]

use std::time::{Duration, Instant};

use sandbox::{Image, Isolation, Limits, Linux, Options, Spec, Walls};

fn spec() -> Spec {
    Spec {
        id: base::EnvironmentId(1),
        tenant: "000000000000".to_owned(),
        image: Image {
            task: "/usr/share".into(),
            layers: Vec::new(),
            runtime: Vec::new(),
            snapshot: None,
            bytecode: Vec::new(),
        },
        argv: vec!["/bin/true".into()],
        env: Vec::new(),
        cwd: "/".into(),
        ahead: None,
        limits: Limits { memory_mb: 256, cpu_millis: None, pids: 64, tmp_mb: 512, files: 1024 },
        isolation: Isolation::Process,
        ports: vec![9001],
        serves: None,
    }
}

async fn series(walls: &Linux, name: &str, count: usize, pause: Duration) {
    let mut launch = Vec::new();
    let mut whole = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(pause).await;
        let start = Instant::now();
        let environment = walls.launch(spec()).await.unwrap();
        launch.push(start.elapsed().as_micros());
        environment.control.exited().await;
        whole.push(start.elapsed().as_micros());
    }
    launch.sort_unstable();
    whole.sort_unstable();
    let at = |list: &[u128], share: usize| list[(list.len() * share / 100).min(list.len() - 1)];
    println!(
        "{name}: launched p50 {} µs p90 {} µs p99 {} µs · ended p50 {} µs p99 {} µs",
        at(&launch, 50),
        at(&launch, 90),
        at(&launch, 99),
        at(&whole, 50),
        at(&whole, 99)
    );
}

fn main() {
    sandbox::main_if_helper();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = std::env::temp_dir().join(format!("lambent-launch-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let start = Instant::now();
    let walls = Linux::start(Options::new(&folder)).unwrap();
    println!("started in {} µs", start.elapsed().as_micros());
    let first = runtime.block_on(walls.launch(spec()));
    println!("first launched after {} µs", start.elapsed().as_micros());
    drop(first);
    runtime.block_on(walls.settled());
    println!("settled after {} µs", start.elapsed().as_micros());
    for wall in walls.survey().walls {
        println!("  {:24} {:?}", wall.name, wall.state);
    }
    runtime.block_on(async {
        series(&walls, "spaced 250 ms", 40, Duration::from_millis(250)).await;
        series(&walls, "back to back ", 400, Duration::ZERO).await;
        let start = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let walls = std::sync::Arc::clone(&walls);
            tasks.push(tokio::spawn(async move {
                for _ in 0..100 {
                    let environment = walls.launch(spec()).await.unwrap();
                    environment.control.exited().await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        println!("four at a time: {:.0} a second", 400.0 / start.elapsed().as_secs_f64());
    });
    drop(walls);
    let _ = std::fs::remove_dir_all(folder);
}
