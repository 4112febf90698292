//! Programs that listen on a port.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Region, RequestId, StartKind, SystemRng};
use bytes::Bytes;
use invoker::testing::FakeWalls;
use invoker::{Answered, Done, FailureKind, Finished, Options, Refusal, Target, Web, WebCall};
use sandbox::ExitCause;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::world::{World, arn, target_with};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello";

fn web(concurrency: u32, change: impl FnOnce(&mut Target)) -> Arc<Target> {
    target_with("web", "1", |target| {
        target.web = Some(Web { concurrency, ready: None });
        change(target);
    })
}

pub(crate) fn call(path: &str) -> WebCall {
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = path.parse().unwrap();
    let request_id = RequestId::new(&SystemRng);
    WebCall {
        request_id,
        trace: None,
        invoked_arn: arn("web"),
        want_tail: true,
        by_receipt: false,
        fails_from: None,
        switch: None,
        request,
    }
}

/// Walls whose programs answer `/hold` when they are let, `/hang` never and `/drop` with the end of the connection.
struct Web3 {
    world: World,
    entered: mpsc::UnboundedReceiver<()>,
    gate: Arc<Semaphore>,
}

impl Web3 {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let (enter, entered) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let inner = Arc::clone(&gate);
        let walls = FakeWalls::listening(move |inside, asked| {
            let (gate, enter) = (Arc::clone(&inner), enter.clone());
            Box::pin(async move {
                inside.usage.lock().unwrap().cpu_user_us += 1_000;
                match asked.as_str() {
                    "GET /hold" => {
                        let _ = enter.send(());
                        gate.acquire().await.unwrap().forget();
                    }
                    "GET /hang" => std::future::pending().await,
                    "GET /drop" => return None,
                    "GET /half" => {
                        return Some(Bytes::from_static(
                            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhal",
                        ));
                    }
                    "GET /junk" => return Some(Bytes::from_static(b"what?\r\n\r\n")),
                    _ => {}
                }
                Some(Bytes::from_static(HELLO))
            })
        });
        Self { world: World::on_walls(walls, change), entered, gate }
    }

    fn spawn(&self, target: &Arc<Target>, path: &str) -> JoinHandle<Result<Done, Refusal>> {
        let asked = self.world.handle.web(Arc::clone(target), call(path));
        tokio::spawn(async move { Ok(whole(asked.await?).await) })
    }

    async fn ask(&self, target: &Arc<Target>, path: &str) -> Result<Done, Refusal> {
        self.spawn(target, path).await.unwrap()
    }

    async fn held(&mut self, number: usize) {
        for _ in 0..number {
            self.entered.recv().await.unwrap();
        }
    }

    fn rows(&self) -> Vec<base::Invoked> {
        self.world.ears.rows.lock().unwrap().clone()
    }
}

pub(crate) async fn whole(answered: Answered) -> Done {
    match answered {
        Answered::Answer { head, mut body } => {
            assert_eq!(head.status, 200);
            let read = body.whole(1 << 20).await;
            let mut done = body.done().unwrap().clone();
            if let (Ok(Some(bytes)), Finished::Response(_)) = (read, &done.result) {
                done.result = Finished::Response(bytes);
            }
            done
        }
        Answered::Failed(done) => *done,
        Answered::Switched { .. } => panic!("nobody asked for another protocol"),
    }
}

fn kind(done: &Done) -> Option<FailureKind> {
    match &done.result {
        Finished::FunctionError { kind, .. } => Some(*kind),
        Finished::Response(_) => None,
    }
}

#[tokio::test]
async fn requests_share_an_environment_up_to_its_places() {
    let mut web3 = Web3::new(|_| {});
    let target = web(3, |_| {});
    web3.ask(&target, "/").await.unwrap();
    let first: Vec<_> = (0..3).map(|_| web3.spawn(&target, "/hold")).collect();
    web3.held(3).await;
    assert_eq!(web3.world.launches(), 1);
    let fourth = web3.spawn(&target, "/hold");
    web3.held(1).await;
    assert_eq!(web3.world.launches(), 2);
    let counts = &web3.world.handle.live()[0];
    assert_eq!((counts.busy, counts.idle), (2, 0));
    web3.gate.add_permits(4);
    for asked in first.into_iter().chain([fourth]) {
        let done = asked.await.unwrap().unwrap();
        assert_eq!(done.result, Finished::Response(Bytes::from_static(b"hello")));
    }
    let counts = &web3.world.handle.live()[0];
    assert_eq!((counts.busy, counts.idle), (0, 2));
    // Both wait for more.
    web3.ask(&target, "/").await.unwrap();
    assert_eq!(web3.world.launches(), 2);
}

#[tokio::test]
async fn those_that_come_during_a_start_wait_for_it() {
    let web3 = Web3::new(|_| {});
    let target = web(20, |_| {});
    let asked: Vec<_> = (0..15).map(|_| web3.spawn(&target, "/")).collect();
    for one in asked {
        assert_eq!(kind(&one.await.unwrap().unwrap()), None);
    }
    assert_eq!(web3.world.launches(), 1);
    let cold = web3.rows().iter().filter(|row| row.start == StartKind::Cold).count();
    assert_eq!((cold, web3.rows().len()), (1, 15));
}

// One environment in use is one concurrent execution, however many requests it serves.
#[tokio::test]
async fn a_reservation_counts_environments() {
    let mut web3 = Web3::new(|_| {});
    let target = web(2, |_| {});
    web3.world.handle.reserve(target.account, &Region::default_region(), &arn("web"), Some(1));
    let both: Vec<_> = (0..2).map(|_| web3.spawn(&target, "/hold")).collect();
    web3.held(2).await;
    assert!(matches!(web3.ask(&target, "/").await, Err(Refusal::Throttled { .. })));
    assert_eq!(*web3.world.ears.throttled.lock().unwrap(), 1);
    web3.gate.add_permits(2);
    for one in both {
        one.await.unwrap().unwrap();
    }
    web3.ask(&target, "/").await.unwrap();
}

#[tokio::test]
async fn the_time_in_use_is_billed_once() {
    let mut web3 = Web3::new(|_| {});
    let target = web(10, |_| {});
    web3.ask(&target, "/").await.unwrap();
    web3.world.ears.rows.lock().unwrap().clear();
    let begun = base::Clocks::monotonic(&*web3.world.clocks);
    let ten: Vec<_> = (0..10).map(|_| web3.spawn(&target, "/hold")).collect();
    web3.held(10).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    web3.gate.add_permits(10);
    for one in ten {
        let done = one.await.unwrap().unwrap();
        assert!(done.row.phases.handler_us >= 200_000);
    }
    let took_ms = u64::try_from((base::Clocks::monotonic(&*web3.world.clocks) - begun).as_millis()).unwrap();
    let rows = web3.rows();
    let billed: u64 = rows.iter().map(|row| row.billed_ms).sum();
    assert!((200..=took_ms + 1).contains(&billed), "{billed} of {took_ms}");
    // Each used a millisecond of CPU, and all of it is in somebody's row.
    assert_eq!(rows.iter().map(|row| row.cpu_user_us).sum::<u64>(), 10_000);
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends_its_environment_once_the_others_are_done() {
    let mut web3 = Web3::new(|_| {});
    let target = web(5, |target| target.timeout_ms = 3_000);
    let hangs = web3.spawn(&target, "/hang");
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let holds = web3.spawn(&target, "/hold");
    web3.held(1).await;
    let hung = hangs.await.unwrap().unwrap();
    assert_eq!(kind(&hung), Some(FailureKind::Timeout));
    // Nobody joins it any more, and the one that is in it is served.
    web3.ask(&target, "/").await.unwrap();
    assert_eq!(web3.world.launches(), 2);
    web3.gate.add_permits(1);
    assert_eq!(kind(&holds.await.unwrap().unwrap()), None);
    web3.world.live(1).await;
    assert!(web3.world.texts().iter().any(|line| line.ends_with("Task timed out after 3.00 seconds")));
    let report = String::from_utf8(hung.tail.unwrap()).unwrap();
    assert!(report.contains("\tStatus: timeout\t") && report.ends_with("\tHTTP: GET /hang\n"), "{report}");
}

#[tokio::test]
async fn what_cannot_begin_is_told_to_all_and_counted_once_for_each() {
    let walls = FakeWalls::new(Arc::new(|_| Box::pin(async { ExitCause::Exited(3) })));
    let world = World::on_walls(walls, |_| {});
    let target = web(9, |_| {});
    let asked = || {
        let asked = world.handle.web(Arc::clone(&target), call("/"));
        tokio::spawn(async move { whole(asked.await.unwrap()).await })
    };
    let (one, two, three) = (asked(), asked(), asked());
    let mut tails = Vec::new();
    for asked in [one, two, three] {
        let done = asked.await.unwrap();
        assert_eq!(kind(&done), Some(FailureKind::Init));
        tails.extend(done.tail);
    }
    // Whose start it was is told what happened.
    assert!(tails.len() == 1 && String::from_utf8_lossy(&tails[0]).contains("exit status 3"));
    assert_eq!((world.launches(), world.ears.rows.lock().unwrap().len()), (1, 3));
    assert!(world.handle.live().is_empty());
}

#[tokio::test]
async fn a_port_that_is_never_listened_on_is_a_timeout_of_init() {
    let walls = FakeWalls::new(Arc::new(|_| Box::pin(std::future::pending())));
    let world = World::on_walls(walls, |options| options.init_timeout_ms = 100);
    let target = web(9, |target| target.timeout_ms = 1_000);
    let done = whole(world.handle.web(target, call("/")).await.unwrap()).await;
    assert_eq!((kind(&done), world.launches()), (Some(FailureKind::Timeout), 2));
    world.live(0).await;
}

#[tokio::test]
async fn answers_that_are_none_say_so_and_the_environment_goes_on() {
    let web3 = Web3::new(|_| {});
    let target = web(9, |_| {});
    for (path, words) in [("/drop", "without an answer"), ("/half", "within its answer"), ("/junk", "no HTTP")] {
        let done = web3.ask(&target, path).await.unwrap();
        let Finished::FunctionError { kind: FailureKind::BrokenOff, error_type, payload } = &done.result else {
            panic!("{path}: {done:?}")
        };
        let payload = String::from_utf8_lossy(payload);
        assert!(error_type == "Runtime.InvalidWebResponse" && payload.contains(words), "{path}: {payload}");
    }
    assert_eq!(kind(&web3.ask(&target, "/").await.unwrap()), None);
    assert_eq!(web3.world.launches(), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_is_counted_and_makes_room() {
    let mut web3 = Web3::new(|_| {});
    let target = web(1, |_| {});
    web3.ask(&target, "/").await.unwrap();
    let held = web3.spawn(&target, "/hold");
    web3.held(1).await;
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    // The place is free again, in the same environment.
    web3.ask(&target, "/").await.unwrap();
    assert_eq!((web3.world.launches(), web3.rows().len()), (1, 3));
    assert!(web3.world.texts().iter().any(|line| line.ends_with("\tHTTP: GET /hold (the caller left)")));
    // An answer that nobody reads to its end.
    let answered = web3.world.handle.web(Arc::clone(&target), call("/")).await.unwrap();
    drop(answered);
    assert_eq!(web3.rows().len(), 4);
}

#[tokio::test]
async fn callers_who_leave_during_a_start_leave_an_environment_behind() {
    let web3 = Web3::new(|_| {});
    let target = web(5, |_| {});
    let asked = web3.spawn(&target, "/");
    tokio::task::yield_now().await;
    asked.abort();
    let _ = asked.await;
    web3.world.live(1).await;
    while web3.world.handle.live()[0].idle == 0 {
        tokio::task::yield_now().await;
    }
    // What the start has cost is told.
    while web3.rows().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(web3.rows()[0].start == StartKind::Cold && web3.rows()[0].billed_ms > 0);
    assert!(web3.world.texts().iter().any(|line| line.ends_with("\tHTTP: GET / (the caller left)")));
    web3.ask(&target, "/").await.unwrap();
    assert_eq!((web3.world.launches(), web3.rows().len()), (1, 2));
}

// The deadline is the reader's, too, and the program is not to blame.
#[tokio::test]
async fn a_reader_who_is_too_slow_is_cut_off_and_the_environment_goes_on() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 16 << 20);
    let big: Bytes = [head.into_bytes(), vec![b'x'; 16 << 20]].concat().into();
    let walls = FakeWalls::listening(move |_, asked| {
        let answer = if asked == "GET /big" { big.clone() } else { Bytes::from_static(HELLO) };
        Box::pin(async move { Some(answer) })
    });
    let world = World::on_walls(walls, |_| {});
    let target = web(5, |target| target.timeout_ms = 1_000);
    let answered = world.handle.web(Arc::clone(&target), call("/big")).await.unwrap();
    let Answered::Answer { mut body, .. } = answered else { panic!("it answers") };
    assert!(body.next().await.unwrap().is_ok());
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    // Bytes are there all the time.
    assert_eq!(body.next().await, Some(Err(invoker::WebBroken::Timeout)));
    assert_eq!((body.next().await, kind(body.done().unwrap())), (None, Some(FailureKind::Timeout)));
    assert_eq!(kind(&whole(world.handle.web(target, call("/")).await.unwrap()).await), None);
    assert_eq!(world.launches(), 1);
}

#[tokio::test]
async fn a_program_that_listens_no_more_is_replaced() {
    let walls = FakeWalls::new(Arc::new(|inside| {
        Box::pin(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", inside.served.unwrap())).await.unwrap();
            loop {
                let (mut peer, _) = listener.accept().await.unwrap();
                let mut head = [0; 1000];
                // The first connection only sees that somebody listens.
                if peer.read(&mut head).await.unwrap_or(0) > 0 {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    peer.write_all(answer).await.unwrap();
                    break;
                }
            }
            drop(listener);
            std::future::pending().await
        })
    }));
    let world = World::on_walls(walls, |_| {});
    let target = web(1, |_| {});
    let ask = || async { kind(&whole(world.handle.web(Arc::clone(&target), call("/")).await.unwrap()).await) };
    assert_eq!((ask().await, ask().await), (None, Some(FailureKind::BrokenOff)));
    assert_eq!((ask().await, world.launches()), (None, 2));
}

// Servers close connections that were idle for a while, in the very moment in which they are used again.
#[tokio::test]
async fn a_connection_that_was_closed_is_made_anew() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let walls = FakeWalls::listening(move |_, _| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        // Every second request on a connection ends it.
        Box::pin(async move { number.is_multiple_of(2).then(|| Bytes::from_static(HELLO)) })
    });
    let world = World::on_walls(walls, |_| {});
    let target = web(1, |_| {});
    for _ in 0..5 {
        let done = whole(world.handle.web(Arc::clone(&target), call("/")).await.unwrap()).await;
        assert_eq!(kind(&done), None);
    }
    // The first needed one, each of the others two.
    assert_eq!(served.load(Ordering::SeqCst), 9);
    // What may not be repeated is not: the program may have acted on it.
    let mut post = call("/");
    *post.request.method_mut() = http::Method::POST;
    let done = whole(world.handle.web(target, post).await.unwrap()).await;
    assert_eq!(kind(&done), Some(FailureKind::BrokenOff));
}

#[tokio::test]
async fn a_changed_function_serves_the_rest_with_what_it_was() {
    let mut web3 = Web3::new(|_| {});
    let (old, new) = (web(5, |_| {}), web(5, |target| target.key.revision = "2".into()));
    let held = web3.spawn(&old, "/hold");
    web3.held(1).await;
    web3.ask(&new, "/").await.unwrap();
    assert_eq!(web3.world.launches(), 2);
    web3.gate.add_permits(1);
    assert_eq!(kind(&held.await.unwrap().unwrap()), None);
    web3.world.live(1).await;
}

#[tokio::test]
async fn a_drain_waits_for_answers_that_are_being_read() {
    let mut web3 = Web3::new(|_| {});
    let target = web(5, |_| {});
    let answered = web3.world.handle.web(Arc::clone(&target), call("/")).await.unwrap();
    let mut draining = tokio::spawn(web3.world.service().drain());
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), &mut draining).await;
    assert!(waiting.is_err());
    assert_eq!(kind(&whole(answered).await), None);
    draining.await.unwrap();
    assert!(matches!(web3.ask(&target, "/").await, Err(Refusal::Draining)));
}
