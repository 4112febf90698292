//! Freezing: an environment that nobody uses stands still, as on Lambda, and goes on with its next event.
//!
//! What a function leaves running when it has answered (threads, timers, processes) does not run on between events. The
//! keeper freezes what has been idle for a while, and whoever takes an environment thaws it. Nothing waits for a freeze, and
//! a function that is called more often than that is never frozen. The keeper holds one entry for each pool with idle
//! environments and sleeps until the first is due.
//! Source: AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle".

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use base::Clocks;
use sandbox::{Control, Survey, WallState};
use tokio::sync::Notify;

use crate::due::Due;
use crate::pool::Pool;

/// In somebody's hands, or ending.
const IN_USE: u8 = 0;
/// Nobody's, and running.
const IDLE: u8 = 1;
/// The keeper is about to freeze it, or has just done so.
const FREEZING: u8 = 2;
/// Nobody's, and frozen.
const FROZEN: u8 = 3;

/// How far one environment is between in use and frozen. Only one keeper may freeze it; all else may come at any moment.
pub(crate) struct Frost {
    state: AtomicU8,
    control: Arc<dyn Control>,
}

/// Whether an idle environment may be frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    Now,
    /// Its runtime has not asked for the next event yet: what it does belongs to the last one.
    NotYet,
    /// A debugger may come at any time.
    Never,
}

impl Frost {
    /// Of an environment that is in use.
    pub(crate) fn new(control: Arc<dyn Control>) -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(IN_USE), control })
    }

    /// Nobody uses it from now on.
    pub(crate) fn rest(&self) {
        self.state.store(IDLE, Ordering::Release);
    }

    /// Somebody uses it from now on: it goes on. Where the keeper is just freezing it, the keeper sees this and thaws it. Says
    /// whether it may have stood still.
    pub(crate) fn wake(&self) -> bool {
        let before = self.state.swap(IN_USE, Ordering::AcqRel);
        if before == FROZEN {
            self.control.thaw();
        }
        matches!(before, FREEZING | FROZEN)
    }

    /// It is about to be killed: it is not frozen any more, nor need it run until then.
    pub(crate) fn end(&self) {
        self.state.store(IN_USE, Ordering::Release);
    }

    /// Freezes it, if it is idle. Says whether it is frozen now.
    fn freeze(&self) -> bool {
        let change = |from, to| self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !change(IDLE, FREEZING) {
            return false;
        }
        let frozen = self.control.freeze();
        if change(FREEZING, if frozen { FROZEN } else { IDLE }) {
            return frozen;
        }
        // It was taken meanwhile, by somebody who found it running. It may even be idle again.
        self.control.thaw();
        false
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.state.load(Ordering::Acquire) == FROZEN
    }
}

/// Freezes what has been idle for long enough.
pub(crate) struct Keeper {
    // How long that is; none where nothing is frozen.
    after: Option<Duration>,
    // When which pool is to be looked at.
    due: Due<Instant>,
    // Told when an earlier entry than all others came.
    sooner: Notify,
}

impl Keeper {
    /// Where the walls cannot freeze nothing is.
    pub(crate) fn new(after: Option<Duration>, survey: &Survey) -> Arc<Self> {
        let cannot = |wall: &sandbox::Wall| wall.name == "freeze" && matches!(wall.state, WallState::Missing { .. });
        let after = after.filter(|_| !survey.walls.iter().any(cannot));
        Arc::new(Self { after, due: Due::default(), sooner: Notify::new() })
    }

    /// When an environment that is idle since then is due; none where it never is.
    pub(crate) fn due(&self, since: Instant) -> Option<Instant> {
        self.after.and_then(|after| since.checked_add(after))
    }

    /// Has `pool` looked at then.
    pub(crate) fn add(&self, pool: &Arc<Pool>, due: Instant) {
        if self.due.add(pool, due) {
            self.sooner.notify_one();
        }
    }

    /// Freezes environments as they become due. Never returns.
    pub(crate) async fn turn(&self, clocks: &dyn Clocks) {
        loop {
            match self.due.first() {
                None => self.sooner.notified().await,
                Some(due) => tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => self.look(clocks.monotonic()).await,
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    async fn look(&self, now: Instant) {
        let mut due = Vec::new();
        while let Some(pool) = self.due.pop(now) {
            if let Some(next) = pool.freezable(now, self.after.unwrap_or_default(), &mut due) {
                self.add(&pool, next);
            }
        }
        if due.is_empty() {
            return;
        }
        // The kernel may have each wait for somebody who makes or ends a control group.
        let frozen = tokio::task::spawn_blocking(move || due.iter().filter(|frost| frost.freeze()).count()).await;
        tracing::trace!(frozen = frozen.unwrap_or_default(), "froze idle environments");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64};

    use base::BoxFuture;
    use sandbox::{Exit, Usage};

    use super::*;

    /// Stands or runs as it was told last, and does what it is given only while it runs.
    #[derive(Default)]
    struct Paper {
        frozen: AtomicBool,
        freezes: AtomicU64,
        cannot: bool,
    }

    impl Control for Paper {
        fn usage(&self) -> Usage {
            Usage::default()
        }
        fn private_memory(&self) -> u64 {
            0
        }
        fn set_cpu(&self, _: Option<u32>) {}
        fn freeze(&self) -> bool {
            self.freezes.fetch_add(1, Ordering::Relaxed);
            // Gives others the moment.
            std::thread::yield_now();
            self.frozen.store(!self.cannot, Ordering::SeqCst);
            std::thread::yield_now();
            !self.cannot
        }
        fn thaw(&self) {
            self.frozen.store(false, Ordering::SeqCst);
        }
        fn kill(&self) {}
        fn exited(&self) -> BoxFuture<'static, Exit> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn only_what_is_idle_is_frozen_and_whoever_takes_it_thaws_it() {
        let paper = Arc::new(Paper::default());
        let frost = Frost::new(Arc::clone(&paper) as Arc<dyn Control>);
        assert!(!frost.freeze() && !frost.is_frozen(), "it is in use");
        frost.rest();
        assert!(frost.freeze() && frost.is_frozen() && !frost.freeze());
        assert!(paper.frozen.load(Ordering::SeqCst));
        frost.wake();
        assert!(!paper.frozen.load(Ordering::SeqCst) && !frost.is_frozen());
        assert_eq!(paper.freezes.load(Ordering::Relaxed), 1);
        let never = Frost::new(Arc::new(Paper { cannot: true, ..Paper::default() }));
        never.rest();
        assert!(!never.freeze() && !never.is_frozen());
    }

    /// Whoever has taken an environment finds it running, or sees it run soon: nobody has to come for that.
    #[test]
    fn an_event_at_the_moment_of_the_freeze_is_never_left_waiting() {
        let paper = Arc::new(Paper::default());
        let frost = Frost::new(Arc::clone(&paper) as Arc<dyn Control>);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    frost.freeze();
                }
            });
            let mut turn = 0_u64;
            while turn < 2_000 || paper.freezes.load(Ordering::Relaxed) < 500 {
                turn += 1;
                frost.rest();
                if turn.is_multiple_of(7) {
                    std::thread::yield_now();
                }
                frost.wake();
                let mut looks = 0_u64;
                while paper.frozen.load(Ordering::SeqCst) {
                    looks += 1;
                    assert!(looks < 10_000_000, "turn {turn}: it stands still, and is in use");
                    std::thread::yield_now();
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(!paper.frozen.load(Ordering::SeqCst));
    }
}
