//! temporary
#![allow(clippy::all, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]
use std::sync::Arc;
use std::time::Instant;
use base::*;
use door::*;
use model::logs::{self, ops};
#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let kv = store::open(std::path::Path::new(&dir)).unwrap();
    let (o, s) = observe::Observe::open(observe::Options { kv, clocks: Arc::new(SystemClocks), rng: Arc::new(SystemRng) });
    tokio::spawn(s.run());
    let ctx = || Context { principal: Principal::Root { account: Account::DEFAULT, verified: true }, via: Via::Client { loopback: true }, account: Account::DEFAULT, region: Region::default_region(), request_id: RequestId::new(&SystemRng), deadline: None, depth: 0, trace: None, host: None };
    let cpu = || { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<u64>().unwrap() + f[12].parse::<u64>().unwrap()) as f64 / 100.0 };
    let group: Arc<str> = "/aws/lambda/x".into();
    let streams: Vec<Arc<str>> = (0..20).map(|i| format!("2026/11/21/[$LATEST]{i:032}").into()).collect();
    let n = 200_000u64;
    let (t, c) = (Instant::now(), cpu());
    let mut spent = std::time::Duration::ZERO;
    for i in 0..n {
        let line = |text: String| LogLine { account: Account::DEFAULT, region: Region::default_region(), group: group.clone(), stream: streams[(i % 20) as usize].clone(), at: SystemClocks.product(), text };
        let rid = RequestId::new(&SystemRng);
        let lines = vec![line(format!("START RequestId: {rid} Version: $LATEST")), line(format!("hello from the function, this is one line {i}")), line(format!("END RequestId: {rid}")), line(format!("REPORT RequestId: {rid}\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB"))];
        let w = Instant::now();
        o.write(lines);
        o.invoked(&Invoked { account: Account::DEFAULT, region: Region::default_region(), function_arn: "arn:aws:lambda:us-east-1:000000000000:function:x:$LATEST".into(), request: rid, environment: None, at: SystemClocks.product(), start: StartKind::Warm, phases: Phases::default(), cpu_user_us: 1, cpu_system_us: 1, peak_memory_bytes: 1, memory_mb: 128, billed_ms: 2, failed: false });
        spent += w.elapsed();
        if i % 10 == 9 { tokio::time::sleep(std::time::Duration::from_micros(200)).await; }
    }
    let r = Arc::clone(&o);
    Handle::<ops::DescribeLogStreams>::handle(r, ctx(), logs::DescribeLogStreamsRequest { log_group_name: Some("/aws/lambda/x".into()), ..Default::default() }, Body::Empty).await.unwrap();
    println!("{n} invocations x 4 lines: {:.2} s wall, {:.2} us CPU each (all), {:.2} us in write+invoked", t.elapsed().as_secs_f64(), (cpu() - c) * 1e6 / n as f64, spent.as_secs_f64() * 1e6 / n as f64);
    for (name, pattern, limit) in [("first page", "", 10_000), ("rare term", "\"line 199999\"", 100), ("json, none", "{ $.a = 1 }", 100)] {
        let (t, c) = (Instant::now(), cpu());
        let mut input = logs::FilterLogEventsRequest { log_group_name: Some("/aws/lambda/x".into()), filter_pattern: Some(pattern.into()), limit: Some(limit), ..Default::default() };
        let (mut pages, mut found) = (0, 0);
        loop {
            let p = Handle::<ops::FilterLogEvents>::handle(Arc::clone(&o), ctx(), input.clone(), Body::Empty).await.unwrap().output;
            pages += 1; found += p.events.unwrap().len();
            input.next_token = p.next_token;
            if input.next_token.is_none() || pattern.is_empty() { break; }
        }
        println!("filter {name}: {:.1} ms, cpu {:.2} s, pages {pages}, found {found}", t.elapsed().as_secs_f64() * 1e3, cpu() - c);
    }
    let t = Instant::now();
    for _ in 0..100 {
        let p = Handle::<ops::GetLogEvents>::handle(Arc::clone(&o), ctx(), logs::GetLogEventsRequest { log_group_name: Some("/aws/lambda/x".into()), log_stream_name: Some(streams[3].to_string()), limit: Some(50), ..Default::default() }, Body::Empty).await.unwrap().output;
        assert_eq!(p.events.unwrap().len(), 50);
    }
    println!("get last 50: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 100.0);
    o.drain().await;
}
