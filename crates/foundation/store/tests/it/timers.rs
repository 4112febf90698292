//! Timers over the real store: in order under a clock that jumps, over restarts, and after failures.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::{BoxFuture, Clocks, Fault, Timestamp, Turn, VirtualClocks};
use bytes::Bytes;
use store::timers::{Owner, Place, Timer, Timers};
use store::{Batch, Folder, Kv, Range, Space, transact_with};
use tokio::task::JoinHandle;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAYS_14: i64 = 14 * 24 * HOUR;

const RETRY: Place = Place::under("retry/");
const SCHEDULE: Place = Place::under("schedule/");
const EXPIRY: Place = Place::under("expiry/");

async fn change(kv: &dyn Kv, change: impl Fn(&mut Batch) + Send + 'static) -> Result<(), Fault> {
    let run = move |_: &store::Rows| {
        let mut batch = Batch::new();
        change(&mut batch);
        Ok((batch, ()))
    };
    Ok(transact_with(kv, vec![], run).await?)
}

async fn put(kv: &dyn Kv, place: Place, due: Timestamp, id: &str) {
    let id = id.to_owned();
    change(kv, move |batch| place.put(batch, due, &id, Bytes::new())).await.unwrap();
}

/// What was done, and when.
#[derive(Clone)]
struct Trace {
    start: Timestamp,
    clocks: Arc<VirtualClocks>,
    lines: Arc<Mutex<String>>,
}

impl Trace {
    fn say(&self, what: &str, id: &str) {
        let seconds = (self.clocks.product().0 - self.start.0) / 1000;
        *self.lines.lock().unwrap() += &format!("{seconds} {what} {id}\n");
    }
}

/// Something that fails, and is tried again ever later: 1, 2, 4 … minutes.
struct Retry(Arc<dyn Kv>, Trace);

impl Owner for Retry {
    fn due(self: Arc<Self>, timer: Timer, _turn: Turn) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(async move {
            let Self(kv, trace) = &*self;
            trace.say("retry", &timer.id);
            let failures = timer.value.len();
            change(&**kv, move |batch| {
                RETRY.remove(batch, timer.due, &timer.id);
                if failures < 12 {
                    let again = timer.due.plus_ms(MINUTE << failures);
                    RETRY.put(batch, again, &timer.id, vec![0; failures + 1]);
                }
            })
            .await
        })
    }
    fn at_once(&self) -> usize {
        8
    }
}

/// Something every hour, which once a day also sets something going that is tried again.
struct Schedule(Arc<dyn Kv>, Trace);

impl Owner for Schedule {
    fn due(self: Arc<Self>, timer: Timer, turn: Turn) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(async move {
            let Self(kv, trace) = &*self;
            trace.say("schedule", &timer.id);
            let (due, id) = (timer.due, timer.id);
            if (due.0 - trace.start.0) % (24 * HOUR) == 0 {
                let (me, day) = (Arc::clone(&self), (due.0 - trace.start.0) / (24 * HOUR));
                // By itself: the turn goes along.
                tokio::spawn(async move {
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    put(&*me.0, RETRY, due.plus_ms(90_000), &format!("of day {day}")).await;
                    drop(turn);
                });
            }
            change(&**kv, move |batch| {
                SCHEDULE.remove(batch, due, &id);
                SCHEDULE.put(batch, due.plus_ms(HOUR), &id, Bytes::new());
            })
            .await
        })
    }
}

struct Expiry(Arc<dyn Kv>, Trace);

impl Owner for Expiry {
    fn due(self: Arc<Self>, timer: Timer, _turn: Turn) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(async move {
            self.1.say("expiry", &timer.id);
            change(&*self.0, move |batch| EXPIRY.remove(batch, timer.due, &timer.id)).await
        })
    }
}

struct World {
    kv: Arc<dyn Kv>,
    clocks: Arc<VirtualClocks>,
    trace: Trace,
    running: JoinHandle<()>,
}

impl World {
    fn on(kv: Arc<dyn Kv>, clocks: Arc<VirtualClocks>, start: Timestamp) -> Self {
        let trace = Trace { start, clocks: Arc::clone(&clocks), lines: Arc::default() };
        let owners: Vec<(Place, Arc<dyn Owner>)> = vec![
            (RETRY, Arc::new(Retry(Arc::clone(&kv), trace.clone()))),
            (SCHEDULE, Arc::new(Schedule(Arc::clone(&kv), trace.clone()))),
            (EXPIRY, Arc::new(Expiry(Arc::clone(&kv), trace.clone()))),
        ];
        let running = tokio::spawn(Timers::new(Arc::clone(&kv), clocks.clone(), owners).run());
        Self { kv, clocks, trace, running }
    }

    async fn new(kv: Arc<dyn Kv>) -> Self {
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        let start = clocks.product();
        let world = Self::on(kv, clocks, start);
        put(&*world.kv, EXPIRY, start.plus_ms(DAYS_14), "the last").await;
        put(&*world.kv, SCHEDULE, start.plus_ms(HOUR), "hourly").await;
        put(&*world.kv, RETRY, start.plus_ms(MINUTE), "first").await;
        world
    }

    fn told(&self) -> String {
        std::mem::take(&mut self.trace.lines.lock().unwrap())
    }

    async fn die(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }
}

/// What disturbs: other writers of the same store, and threads that are busy.
fn noise(kv: &Arc<dyn Kv>, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let make = |n: u64| {
        let (kv, stop) = (Arc::clone(kv), Arc::clone(stop));
        tokio::spawn(async move {
            let mut round = n;
            while !stop.load(Ordering::Relaxed) {
                round = round.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let key = format!("noise/{n}/{}", round >> 60);
                let write = move |batch: &mut Batch| {
                    batch.put(Space::Control, key.clone(), Bytes::new());
                };
                change(&*kv, write).await.unwrap();
                tokio::time::sleep(Duration::from_micros(round >> 53)).await;
            }
        })
    };
    (0..3).map(make).collect()
}

/// 14 days; the trace, and how long it took.
async fn fourteen_days(kv: Arc<dyn Kv>, noisy: bool) -> (String, Duration) {
    let world = World::new(Arc::clone(&kv)).await;
    let stop = Arc::new(AtomicBool::new(!noisy));
    let noise = noise(&kv, &stop);
    #[allow(clippy::disallowed_methods, reason = "how long it really takes is what is measured")]
    let begun = Instant::now();
    assert_eq!(world.clocks.advance(DAYS_14 as u64).await, Ok(world.trace.start.plus_ms(DAYS_14)));
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    for one in noise {
        one.await.unwrap();
    }
    let told = world.told();
    world.die().await;
    (told, took)
}

fn check(trace: &str) {
    let lines: Vec<&str> = trace.lines().collect();
    assert_eq!(lines[..4], ["60 retry first", "120 retry first", "240 retry first", "480 retry first"]);
    assert_eq!(lines.iter().filter(|line| line.contains(" schedule hourly")).count(), 14 * 24);
    assert_eq!(lines.iter().filter(|line| line.ends_with(" retry of day 13")).count(), 11);
    // Of one moment, the owners' in their order.
    let last = [format!("{} schedule hourly", DAYS_14 / 1000), format!("{} expiry the last", DAYS_14 / 1000)];
    assert_eq!(lines[lines.len() - 2..], last);
    let at = |line: &&str| line.split(' ').next().unwrap().parse::<i64>().unwrap();
    assert!(lines.is_sorted_by_key(at));
}

/// The same order a hundred times, whatever else the machine does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fourteen_days_are_the_same_in_a_hundred_runs() {
    let mut first: Option<String> = None;
    for round in 0..25 {
        let runs: Vec<_> = (0..4).map(|_| tokio::spawn(fourteen_days(store::memory(), true))).collect();
        for run in runs {
            let (trace, _) = run.await.unwrap();
            check(&trace);
            let first = first.get_or_insert_with(|| trace.clone());
            assert_eq!(*first, trace, "round {round}");
        }
    }
}

/// And on the disk, where the 14 days take less than a second of an idle machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fourteen_days_on_the_disk_take_no_time() {
    let (expected, _) = fourteen_days(store::memory(), false).await;
    let folder = Folder::ephemeral().unwrap();
    let kv = store::open_in(&folder).unwrap();
    let (trace, took) = fourteen_days(Arc::clone(&kv), false).await;
    eprintln!("14 days, {} timers: {took:?}", trace.lines().count());
    assert_eq!(trace, expected);
    assert!(took < Duration::from_secs(20), "{took:?}");
    kv.close().await.unwrap();
}

#[tokio::test]
async fn timers_outlive_the_process_and_what_was_cut_off_is_done_again() {
    let folder = Folder::ephemeral().unwrap();
    let kv = store::open_in(&folder).unwrap();
    let world = World::new(Arc::clone(&kv)).await;
    let (start, clocks) = (world.trace.start, Arc::clone(&world.clocks));
    clocks.advance(2 * HOUR as u64 + 1).await.unwrap();
    assert!(world.told().ends_with("7200 schedule hourly\n"));
    // Its owner begins and never ends.
    let held = clocks.product_reaches(start.plus_ms(3 * HOUR));
    world.die().await;
    drop(kv);
    let kv = store::open_in(&folder).unwrap();
    // The rows that have fired are gone, and nothing but what waits is there.
    assert_eq!(kv.range(Space::Timer, Range::all(), 10, false).unwrap().len(), 3);
    let hung = tokio::spawn({
        let clocks = Arc::clone(&clocks);
        async move { clocks.advance(HOUR as u64).await }
    });
    let turn = held.await;
    let world = World::on(Arc::clone(&kv), Arc::clone(&clocks), start);
    drop(turn);
    hung.await.unwrap().unwrap();
    // What fell due while nobody was there comes first.
    assert_eq!(world.told(), "10800 retry first\n10800 schedule hourly\n");
    clocks.advance(HOUR as u64).await.unwrap();
    assert_eq!(world.told(), "14400 schedule hourly\n");
    world.die().await;
    kv.close().await.unwrap();
}

/// Fails or breaks as often as told.
struct Clumsy {
    kv: Arc<dyn Kv>,
    faults: AtomicUsize,
    told: Mutex<Vec<(i64, String)>>,
    clocks: Arc<VirtualClocks>,
}

const CLUMSY: Place = Place::under("clumsy/");

impl Owner for Clumsy {
    fn due(self: Arc<Self>, timer: Timer, _turn: Turn) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(async move {
            self.told.lock().unwrap().push((self.clocks.product().0, timer.id.clone()));
            match self.faults.load(Ordering::SeqCst) {
                0 => change(&*self.kv, move |batch| CLUMSY.remove(batch, timer.due, &timer.id)).await,
                left => {
                    self.faults.store(left - 1, Ordering::SeqCst);
                    assert!(left % 2 == 0, "broken");
                    Err(Fault::internal("failed"))
                }
            }
        })
    }
}

#[tokio::test]
async fn what_fails_or_breaks_is_done_again_a_second_later_and_what_was_taken_away_is_not_done() {
    let kv = store::memory();
    let clocks = Arc::new(VirtualClocks::default());
    clocks.pause();
    let start = clocks.product();
    let clumsy = Arc::new(Clumsy {
        kv: Arc::clone(&kv),
        faults: AtomicUsize::new(2),
        told: Mutex::default(),
        clocks: Arc::clone(&clocks),
    });
    put(&*kv, CLUMSY, start.plus_ms(10), "one").await;
    let timers = Timers::new(Arc::clone(&kv), clocks.clone(), vec![(CLUMSY, clumsy.clone() as Arc<dyn Owner>)]);
    let running = tokio::spawn(timers.run());
    put(&*kv, CLUMSY, start.plus_ms(5_000), "taken away").await;
    change(&*kv, move |batch| CLUMSY.remove(batch, start.plus_ms(5_000), "taken away")).await.unwrap();
    // Put while nothing is due sooner: the loop hears of it without being told by anyone but the store.
    put(&*kv, CLUMSY, start.plus_ms(5), "sooner").await;
    clumsy.faults.store(0, Ordering::SeqCst);
    clocks.advance(6).await.unwrap();
    clumsy.faults.store(2, Ordering::SeqCst);
    clocks.advance(10_000).await.unwrap();
    let told: Vec<_> = clumsy.told.lock().unwrap().iter().map(|(at, id)| (at - start.0, id.clone())).collect();
    let expected = [(5, "sooner"), (10, "one"), (1_010, "one"), (2_010, "one")];
    assert_eq!(told, expected.map(|(at, id)| (at, id.to_owned())));
    assert!(kv.range(Space::Timer, Range::all(), 1, false).unwrap().is_empty());
    running.abort();
}

#[test]
fn keys_sort_by_moment_and_read_back() {
    let place = Place::under("x/");
    assert!(place.key(Timestamp(9), "b") < place.key(Timestamp(10), "a"));
    let key = place.key(Timestamp(1_763_683_200_123), "a/b");
    assert_eq!(place.read(&key), Some((Timestamp(1_763_683_200_123), "a/b")));
    for wrong in [&b"y/0000000000000001/a"[..], b"x/1/a", b"x/000000000000000g/a", b"x/0000000000000001", b"\xff"] {
        assert_eq!(place.read(wrong), None);
    }
}
