use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::{Bell, LocalBell, News};

const MINUTE: i64 = 60_000;

fn paused() -> Arc<VirtualClocks> {
    let clocks = Arc::new(VirtualClocks::default());
    clocks.pause();
    clocks
}

/// What happened, and when by the product clock.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<(i64, &'static str)>>>);

impl Trace {
    fn say(&self, clocks: &VirtualClocks, start: Timestamp, what: &'static str) {
        self.0.lock().unwrap().push(((clocks.product().0 - start.0) / MINUTE, what));
    }

    fn taken(&self) -> Vec<(i64, &'static str)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Lets other tasks go on for a while: work that nobody waited for would be found not done.
async fn dawdle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_paused_clock_stands_still_and_wakes_sleepers_when_moved() {
    let clocks = paused();
    let now = clocks.product();
    let sleeping = tokio::spawn(clocks.product_reaches(now.plus_ms(3_600_000)));
    assert_eq!(clocks.advance(3_599_999).await, Ok(now.plus_ms(3_599_999)));
    assert_eq!(clocks.product(), now.plus_ms(3_599_999));
    let moved = clocks.advance(1);
    let (turn, moved) = tokio::join!(async { drop(sleeping.await.unwrap()) }, moved);
    assert_eq!((turn, moved), ((), Ok(now.plus_ms(3_600_000))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_jump_is_as_if_the_time_had_passed() {
    let clocks = paused();
    let (start, trace) = (clocks.product(), Trace::default());
    let at = |minutes: i64| clocks.product_reaches(start.plus_ms(minutes * MINUTE));
    // Enrolled out of order; the retry enrols for its next attempt on the way, through a task of its own.
    let (expiry, retry, same) = (at(10), at(1), at(10));
    let (log, at_once) = (trace.clone(), Arc::clone(&clocks));
    tokio::spawn(async move {
        let turn = retry.await;
        log.say(&at_once, start, "first retry");
        let (log, clocks) = (log.clone(), Arc::clone(&at_once));
        tokio::spawn(async move {
            dawdle().await;
            let again = clocks.product_reaches(start.plus_ms(3 * MINUTE));
            drop(turn);
            let _turn = again.await;
            dawdle().await;
            log.say(&clocks, start, "second retry");
        });
    });
    for (expiry, name) in [(expiry, "expiry"), (same, "another expiry")] {
        let (log, clocks) = (trace.clone(), Arc::clone(&clocks));
        tokio::spawn(async move {
            let _turn = expiry.await;
            dawdle().await;
            log.say(&clocks, start, name);
        });
    }
    assert_eq!(clocks.next_due(), Some(start.plus_ms(MINUTE)));
    assert_eq!(clocks.advance(14 * 24 * 3_600_000).await, Ok(start.plus_ms(14 * 24 * 3_600_000)));
    let expected = [(1, "first retry"), (3, "second retry"), (10, "expiry"), (10, "another expiry")];
    assert_eq!(trace.taken(), expected);
    assert_eq!(clocks.next_due(), None);
    assert!(clocks.is_paused());
}

#[tokio::test]
async fn a_step_goes_to_what_is_due_next() {
    let clocks = paused();
    let start = clocks.product();
    let sleepers = [5, 2].map(|minutes| {
        let reached = clocks.product_reaches(start.plus_ms(minutes * MINUTE));
        tokio::spawn(async move { reached.await.is_awaited() })
    });
    assert_eq!(clocks.step().await, Ok(Some(start.plus_ms(2 * MINUTE))));
    assert_eq!(clocks.step().await, Ok(Some(start.plus_ms(5 * MINUTE))));
    assert_eq!(clocks.step().await, Ok(None));
    assert_eq!(clocks.product(), start.plus_ms(5 * MINUTE));
    for sleeper in sleepers {
        assert!(sleeper.await.unwrap());
    }
}

#[tokio::test]
async fn a_running_clock_runs_on_from_where_a_jump_ends_and_wakes_by_itself() {
    let clocks = VirtualClocks::default();
    let before = clocks.product();
    let moved = clocks.advance(1_000_000).await.unwrap();
    assert!(moved >= before.plus_ms(1_000_000));
    assert!(!clocks.is_paused());
    drop(clocks.product_reaches(clocks.product().plus_ms(20)).await);
    assert!(clocks.product() >= moved.plus_ms(20));
    // A pause and its end while somebody sleeps.
    clocks.pause();
    let stands = clocks.product();
    let sleeping = clocks.product_reaches(stands.plus_ms(10));
    clocks.resume();
    drop(sleeping.await);
    assert!(clocks.product() >= stands.plus_ms(10));
}

#[tokio::test]
async fn what_began_before_a_jump_ends_before_it() {
    let clocks = paused();
    let start = clocks.product();
    let (turn, trace) = (clocks.turn(), Trace::default());
    let (log, inner) = (trace.clone(), Arc::clone(&clocks));
    tokio::spawn(async move {
        dawdle().await;
        log.say(&inner, start, "accepted before");
        drop(turn);
    });
    clocks.advance(MINUTE as u64).await.unwrap();
    assert_eq!(trace.taken(), [(0, "accepted before")]);
}

#[tokio::test]
async fn word_of_something_new_holds_the_clock_until_it_was_looked_at() {
    let clocks = paused();
    let start = clocks.product();
    let (news, trace) = (Arc::new(News::default()), Trace::default());
    let bell = LocalBell::over(clocks.clone());
    let (log, inner, heard, rung) = (trace.clone(), Arc::clone(&clocks), Arc::clone(&news), bell.news("key"));
    tokio::spawn(async move {
        let turn = heard.heard().await;
        dawdle().await;
        log.say(&inner, start, "heard");
        drop(turn);
        let turn = rung.await;
        dawdle().await;
        log.say(&inner, start, "rung");
        drop(turn);
    });
    news.tell(&*clocks);
    clocks.advance(MINUTE as u64).await.unwrap();
    assert_eq!(trace.taken(), [(0, "heard")]);
    bell.ring("key");
    clocks.advance(MINUTE as u64).await.unwrap();
    assert_eq!(trace.taken(), [(1, "rung")]);
}

#[tokio::test]
async fn a_jump_says_for_whom_it_waits_in_vain_and_may_be_asked_again() {
    let clocks = VirtualClocks { patience: Duration::from_millis(10), ..VirtualClocks::default() };
    clocks.pause();
    let start = clocks.product();
    let first = clocks.product_reaches(start.plus_ms(MINUTE));
    let (turn, stuck) = tokio::join!(async { first.await.called("a slow thing") }, clocks.advance(5 * MINUTE as u64));
    let at = start.plus_ms(MINUTE).0;
    assert_eq!(stuck, Err(Stuck { waited_s: 0, at_ms: at, since_ms: at, what: "a slow thing" }));
    assert_eq!((clocks.product().0, clocks.is_paused()), (at, true));
    drop(turn);
    assert_eq!(clocks.advance(MINUTE as u64).await, Ok(start.plus_ms(2 * MINUTE)));
}

#[tokio::test]
async fn a_jump_that_is_given_up_leaves_the_clock_where_it_came_to() {
    let clocks = paused();
    let start = clocks.product();
    let sleeper = clocks.product_reaches(start.plus_ms(MINUTE));
    let held = {
        let jump = clocks.advance(5 * MINUTE as u64);
        tokio::pin!(jump);
        let held = tokio::select! {
            _ = &mut jump => panic!("the turn is held"),
            turn = sleeper => turn,
        };
        // What is asked meanwhile holds afterwards.
        clocks.resume();
        assert_eq!(clocks.product(), start.plus_ms(MINUTE));
        held
    };
    drop(held);
    assert!(!clocks.is_paused());
    assert!(clocks.product() >= start.plus_ms(MINUTE) && clocks.product() < start.plus_ms(4 * MINUTE));
}

#[test]
fn the_clock_never_goes_back_nor_past_its_end() {
    let clocks = paused();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert_eq!(runtime.block_on(clocks.advance(u64::MAX)), Ok(Timestamp(i64::MAX)));
    assert_eq!(runtime.block_on(clocks.advance(1)), Ok(Timestamp(i64::MAX)));
}

#[tokio::test]
async fn a_restart_goes_on_where_the_clock_stood_even_within_a_jump() {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let clocks =
        VirtualClocks::on(Course::Running { offset_ms: 0 }, move |course| *keep.lock().unwrap() = Some(course));
    let due = clocks.product().plus_ms(MINUTE);
    let (seen, _) = tokio::join!(
        async {
            let _turn = clocks.product_reaches(due).await;
            // Killed here.
            kept.lock().unwrap().unwrap()
        },
        clocks.advance(5 * MINUTE as u64)
    );
    let again = VirtualClocks::on(seen.to_string().parse().unwrap(), |_| {});
    assert!(!again.is_paused(), "it ran before the jump");
    assert!(again.product() >= due && again.product() < due.plus_ms(MINUTE));
    let stands = clocks.product();
    clocks.pause();
    let again = VirtualClocks::on(kept.lock().unwrap().unwrap(), |_| {});
    assert!(again.is_paused() && again.product() >= stands);
    for wrong in ["", "running", "paused x", "walking 1", "paused 1 2"] {
        assert_eq!(wrong.parse::<Course>(), Err(NotACourse));
    }
}
