use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::{LONGEST_SLEEP, monotonic, wall};
use crate::turn::{Board, Sleeper};
use crate::{BoxFuture, Clocks, Timestamp, Turn};

/// How long a jump waits while none of the work of a moment ends. Real time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Product time of a [`VirtualClocks`]: real time plus an offset, or frozen. As text: `running 1209600000` (ms) or `paused
/// 1795738008140` (ms since the epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// So much ahead of the machine's clock.
    Running {
        /// How much, ms.
        offset_ms: i64,
    },
    /// Frozen.
    Paused {
        /// Where.
        at: Timestamp,
    },
}

impl std::fmt::Display for Course {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running { offset_ms } => write!(f, "running {offset_ms}"),
            Self::Paused { at } => write!(f, "paused {}", at.0),
        }
    }
}

/// A text that is no [`Course`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a clock's course is `running MS` or `paused MS`")]
pub struct NotACourse;

impl std::str::FromStr for Course {
    type Err = NotACourse;

    fn from_str(text: &str) -> Result<Self, NotACourse> {
        let (word, ms) = text.trim().split_once(' ').ok_or(NotACourse)?;
        let ms = ms.parse().map_err(|_| NotACourse)?;
        match word {
            "running" => Ok(Self::Running { offset_ms: ms }),
            "paused" => Ok(Self::Paused { at: Timestamp(ms) }),
            _ => Err(NotACourse),
        }
    }
}

impl Course {
    fn now(self) -> Timestamp {
        match self {
            Self::Running { offset_ms } => wall().plus_ms(offset_ms),
            Self::Paused { at } => at,
        }
    }

    fn from(at: Timestamp, runs: bool) -> Self {
        if runs { Self::Running { offset_ms: at.0.saturating_sub(wall().0) } } else { Self::Paused { at } }
    }
}

/// Why a jump ended before its goal: the work of a moment does not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock stands at {at_ms}: it has waited for {waited_s} s for the end of {what}, begun at {since_ms} (both in ms \
     since 1970); ask again to wait longer"
)]
pub struct Stuck {
    /// How long nothing ended, seconds, real time.
    pub waited_s: u64,
    /// Where the clock stands, ms since the epoch.
    pub at_ms: i64,
    /// When what does not end began, product clock.
    pub since_ms: i64,
    /// What does not end.
    pub what: &'static str,
}

/// Clocks whose product time can be paused and moved forward, never back. Only under `--test-controls` or `--ephemeral`.
///
/// A jump is as if the time had passed: it visits the moments for which somebody waits, in order; the clock shows each
/// while what is due then is done, one sleeper after the other; and it goes on when all that has ended ([`Turn`]).
pub struct VirtualClocks {
    board: Arc<Board>,
    // Sleepers watch it, to nap as long as they must while it runs. Moments within a jump are no change for them.
    course: watch::Sender<Course>,
    // Serialises changes: each reads the course before it writes.
    change: Mutex<Change>,
    // Told of each change before anybody is woken for it, so that a restart need not go back.
    keep: Box<dyn Fn(Course) + Send + Sync>,
    patience: Duration,
    // One jump at a time.
    jumps: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Change {
    // During a jump, whether time runs after it.
    runs_then: Option<bool>,
}

impl Default for VirtualClocks {
    fn default() -> Self {
        Self::on(Course::Running { offset_ms: 0 }, |_| {})
    }
}

impl VirtualClocks {
    /// Clocks that begin on this course and tell `keep` of every change, each moment of a jump included. It must be quick.
    pub fn on(course: Course, keep: impl Fn(Course) + Send + Sync + 'static) -> Self {
        Self {
            board: Arc::default(),
            course: watch::Sender::new(course),
            keep: Box::new(keep),
            change: Mutex::default(),
            patience: PATIENCE,
            jumps: tokio::sync::Mutex::default(),
        }
    }

    /// Stops product time where it is; during a jump, where that ends.
    pub fn pause(&self) {
        self.run(false);
    }

    /// Lets product time run again from where it stands; during a jump, from where that ends.
    pub fn resume(&self) {
        self.run(true);
    }

    fn run(&self, runs: bool) {
        let mut change = self.lock();
        match &mut change.runs_then {
            Some(then) => *then = runs,
            None => self.set(self.product(), runs, runs),
        }
    }

    /// Whether product time stands still, or will after the jump under way.
    pub fn is_paused(&self) -> bool {
        match self.lock().runs_then {
            Some(runs) => !runs,
            None => matches!(*self.course.borrow(), Course::Paused { .. }),
        }
    }

    /// The next moment at which something is due, if there is one.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.board.next_due()
    }

    /// Moves product time forward by `ms` through all that falls due, and answers with where it then stands.
    ///
    /// Dropped half-way, the clock stays at the moment it has come to.
    ///
    /// # Errors
    /// Work of a moment that does not end; the clock stays at that moment.
    pub async fn advance(&self, ms: u64) -> Result<Timestamp, Stuck> {
        let _one_at_a_time = self.jumps.lock().await;
        let jump = Jump::begin(self);
        let goal = self.product().plus_ms(i64::try_from(ms).unwrap_or(i64::MAX));
        jump.walk(goal).await?;
        Ok(goal)
    }

    /// Moves product time forward to the next moment at which something is due, and does that; answers with the moment,
    /// or none if nothing will ever be due.
    ///
    /// # Errors
    /// As [`VirtualClocks::advance`].
    pub async fn step(&self) -> Result<Option<Timestamp>, Stuck> {
        let _one_at_a_time = self.jumps.lock().await;
        let jump = Jump::begin(self);
        jump.settle().await?;
        let Some(due) = self.board.next_due() else { return Ok(None) };
        let goal = due.max(self.product());
        jump.walk(goal).await?;
        Ok(Some(goal))
    }

    fn lock(&self) -> MutexGuard<'_, Change> {
        self.change.lock().expect("no code panics while holding it")
    }

    /// Sets where the clock stands, whether it runs now, and whether it shall after a restart.
    fn set(&self, at: Timestamp, runs: bool, will_run: bool) {
        let course = Course::from(at, runs);
        (self.keep)(Course::from(at, will_run));
        self.course.send_if_modified(|stands| {
            let both_paused = matches!((&stands, course), (Course::Paused { .. }, Course::Paused { .. }));
            *stands = course;
            !both_paused
        });
    }
}

/// A jump under way: time stands still but for what it does.
struct Jump<'a> {
    clocks: &'a VirtualClocks,
}

impl<'a> Jump<'a> {
    fn begin(clocks: &'a VirtualClocks) -> Self {
        let mut change = clocks.lock();
        let course = *clocks.course.borrow();
        let runs = matches!(course, Course::Running { .. });
        change.runs_then = Some(runs);
        clocks.set(course.now(), false, runs);
        Self { clocks }
    }

    /// Through all moments up to `goal`.
    async fn walk(&self, goal: Timestamp) -> Result<(), Stuck> {
        // What began before ends before: it may want to be woken on the way.
        self.settle().await?;
        while let Some((due, wake)) = self.clocks.board.first(goal) {
            let at = due.max(self.clocks.product());
            self.at(at);
            // Whoever no longer waits leaves the turn to be dropped here.
            drop(wake.send(self.clocks.board.turn(at)));
            self.settle().await?;
        }
        self.at(goal);
        Ok(())
    }

    fn at(&self, moment: Timestamp) {
        let change = self.clocks.lock();
        self.clocks.set(moment, false, change.runs_then.unwrap_or(false));
    }

    /// Until nobody works at this moment any more.
    async fn settle(&self) -> Result<(), Stuck> {
        let board = &self.clocks.board;
        loop {
            let ended = board.ended.notified();
            if board.oldest().is_none() {
                return Ok(());
            }
            if tokio::time::timeout(self.clocks.patience, ended).await.is_err()
                && let Some(oldest) = board.oldest()
            {
                let at_ms = self.clocks.product().0;
                let waited_s = self.clocks.patience.as_secs();
                return Err(Stuck { waited_s, at_ms, since_ms: oldest.since.0, what: oldest.what });
            }
        }
    }
}

impl Drop for Jump<'_> {
    fn drop(&mut self) {
        let mut change = self.clocks.lock();
        let runs = change.runs_then.take().unwrap_or(false);
        self.clocks.set(self.clocks.product(), runs, runs);
    }
}

impl Clocks for VirtualClocks {
    fn monotonic(&self) -> Instant {
        monotonic()
    }
    fn signing(&self) -> Timestamp {
        wall()
    }
    fn product(&self) -> Timestamp {
        self.course.borrow().now()
    }
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, Turn> {
        let changes = self.course.subscribe();
        let now = self.product();
        if due <= now {
            let turn = self.turn();
            return Box::pin(async { turn });
        }
        Box::pin(sleep(self.board.enrol(due), due, changes))
    }
    fn turn(&self) -> Turn {
        self.board.turn(self.product())
    }
}

/// Sleeps until woken by a jump, or until time itself has come to `due`.
async fn sleep(mut sleeper: Sleeper, due: Timestamp, mut changes: watch::Receiver<Course>) -> Turn {
    loop {
        let course = *changes.borrow_and_update();
        let left_ms = due.0.saturating_sub(course.now().0);
        if left_ms <= 0
            && let Some(turn) = sleeper.rise(course.now())
        {
            return turn;
        }
        let nap = async {
            match course {
                Course::Running { .. } => {
                    tokio::time::sleep(Duration::from_millis(left_ms.max(0).unsigned_abs()).min(LONGEST_SLEEP)).await;
                }
                Course::Paused { .. } => std::future::pending().await,
            }
        };
        let gone = tokio::select! {
            biased;
            woken = &mut sleeper.woken => match woken {
                Ok(turn) => return turn,
                Err(_) => true,
            },
            changed = changes.changed() => changed.is_err(),
            () = nap => false,
        };
        if gone {
            // The clocks are gone: the platform is stopping, nothing is due any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
