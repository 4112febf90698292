//! How fast FilterLogEvents finds a rare term: `cargo run --profile fast -p lambent-observe --example search -- 1024`.
//!
//! Stores so many MiB of log text in a data folder, lines of about 120 bytes, then searches all of it, and meanwhile asks
//! for one stream's latest events again and again, to see what a search costs others.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, which ends at the first fault")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::{Account, Clocks, LogLine, LogSink, Principal, Region, RequestId, SystemClocks, SystemRng, Timestamp};
use door::{Body, Call, Dispatch, Gate, Input, Origin, Router, RouterBuilder, Via};
use model::logs::{self, ops};
use observe::{Observe, Options};
use wire::Op;

const GROUP: &str = "/aws/lambda/hello";
const STREAMS: usize = 16;
const LINE_BYTES: usize = 120;

#[tokio::main(worker_threads = 1)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mib: usize = arguments.next().map_or(64, |text| text.parse().unwrap());
    let folder = std::path::PathBuf::from(arguments.next().expect("a folder for the rows"));
    let options = Options {
        kv: store::open(&folder).unwrap(),
        clocks: Arc::new(SystemClocks),
        rng: Arc::new(SystemRng),
        bell: Arc::new(base::LocalBell::new()),
        dispatch: RouterBuilder::default().build(Gate::off()),
    };
    let (room, service) = Observe::open(options);
    let running = tokio::spawn(service.run());
    let router = observe::register(RouterBuilder::default(), &room).build(Gate::off());
    load(&room, &router, mib * 1024 * 1024 / LINE_BYTES).await;

    let done = Arc::new(AtomicBool::new(false));
    let beside = tokio::spawn(beside(Arc::clone(&router), Arc::clone(&done)));
    for pattern in ["NEEDLE", "?NEEDLE ?HAYFORK", "%NEEDLE-[0-9]+%", "{ $.level = \"NEEDLE\" }", "\"absent\""] {
        search(&router, pattern).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut waits = beside.await.unwrap();
    waits.sort_unstable();
    println!("{} other reads meanwhile: median {:?}, slowest {:?}", waits.len(), waits[waits.len() / 2], waits.last());
    room.drain().await;
    running.await.unwrap();
}

/// Lines of a busy hour: every millisecond one, a stream after the other; one in a million holds the needle.
async fn load(room: &Observe, router: &Arc<Router>, lines: usize) {
    let began = SystemClocks.monotonic();
    let first = SystemClocks.product().0 - lines as i64;
    for block in (0..lines).step_by(4096) {
        let stored: Vec<LogLine> = (block..(block + 4096).min(lines)).map(|at| line(first, at)).collect();
        room.write(stored);
        // What a full queue would drop must be stored first.
        if block % (64 * 4096) == 0 {
            call::<ops::FilterLogEvents>(
                router,
                logs::FilterLogEventsRequest {
                    log_group_name: Some(GROUP.into()),
                    limit: Some(1),
                    ..Default::default()
                },
            )
            .await;
        }
    }
    println!("{lines} lines stored in {:?}", began.elapsed());
}

fn line(first: i64, at: usize) -> LogLine {
    let what = if at % 1_000_000 == 999_999 { format!("NEEDLE-{at}") } else { "served".into() };
    let id = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = format!(
        "2026-11-27T00:00:00.000Z\t{id:016x}{at:016x}\tINFO\t{what} GET /orders/{at} in {} ms from 10.0.{}.{}",
        at % 977,
        at % 251,
        at % 241
    );
    LogLine {
        account: Account::DEFAULT,
        region: Region::default_region(),
        group: GROUP.into(),
        stream: format!("2026/11/27/[$LATEST]{:032x}", at / 4096 % STREAMS).into(),
        at: Timestamp(first + at as i64),
        text,
        hops: 0,
    }
}

async fn search(router: &Arc<Router>, pattern: &str) {
    let began = SystemClocks.monotonic();
    let (mut pages, mut found, mut slowest) = (0, 0, Duration::ZERO);
    let mut input = logs::FilterLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        filter_pattern: Some(pattern.into()),
        ..Default::default()
    };
    loop {
        let asked = SystemClocks.monotonic();
        let page = call::<ops::FilterLogEvents>(router, input.clone()).await;
        slowest = slowest.max(asked.elapsed());
        pages += 1;
        found += page.events.unwrap().len();
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            break;
        }
    }
    println!("{pattern}: {found} found in {:?}, {pages} pages, the slowest {slowest:?}", began.elapsed());
}

async fn beside(router: Arc<Router>, done: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let asked = SystemClocks.monotonic();
        call::<ops::GetLogEvents>(
            &router,
            logs::GetLogEventsRequest {
                log_group_name: Some(GROUP.into()),
                log_stream_name: Some(format!("2026/11/27/[$LATEST]{:032x}", 3)),
                limit: Some(10),
                ..Default::default()
            },
        )
        .await;
        waits.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    waits
}

async fn call<O: Op>(router: &Arc<Router>, input: O::Input) -> O::Output {
    let call = Call {
        principal: Principal::Root { account: Account::DEFAULT, verified: true },
        origin: Origin::default(),
        via: Via::Client { loopback: true },
        operation: O::ROW,
        input: Input::Typed(Box::new(input)),
        body: Body::Empty,
        region: Region::default_region(),
        request_id: RequestId::new(&SystemRng),
        deadline: None,
        depth: 0,
        trace: None,
    };
    router.call(call).await.unwrap().typed().unwrap()
}
