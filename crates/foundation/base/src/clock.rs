use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::BoxFuture;

/// A wall-clock moment: milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Seconds since the epoch, with milliseconds as the fraction.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This moment `ms` milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Year, month, day, hour, minute, second, millisecond in UTC.
    /// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32, u32) {
        let (days, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000) as u32);
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
        let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
        let year = yoe + era * 400 + i64::from(month <= 2);
        (year, month, day, ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
    }

    /// The moment of a UTC date and time; the inverse of [`Timestamp::civil`]. Months are 1..=12, days 1..=31.
    pub fn from_civil(year: i64, month: u32, day: u32, hour: u32, minute: u32, second: u32, ms: u32) -> Self {
        let y = year - i64::from(month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let mp = i64::from((month + 9) % 12);
        let doy = (153 * mp + 2) / 5 + i64::from(day) - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let days = era * 146_097 + doe - 719_468;
        let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Self(seconds * 1000 + i64::from(ms))
    }
}

/// The three clocks. Only this room reads them.
///
/// *Transport* is monotonic and real: sockets, durations, function deadlines. *Signing* is the real wall clock: SigV4
/// skew, tokens. *Product* is what users' schedules, retries and retention follow; a test may pause it and jump ahead.
pub trait Clocks: Send + Sync {
    /// Transport: monotonic, real.
    fn monotonic(&self) -> Instant;
    /// Signing: the real wall clock.
    fn signing(&self) -> Timestamp;
    /// Product: the wall clock as the platform's users see it.
    fn product(&self) -> Timestamp;
    /// Completes when the product clock reaches `due`.
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, ()>;
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn monotonic() -> Instant {
    Instant::now()
}

/// Sleeps towards a far `due` in bounded steps, since a wall clock may be set while we sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The machine's clocks: product time is real time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClocks;

impl Clocks for SystemClocks {
    fn monotonic(&self) -> Instant {
        monotonic()
    }
    fn signing(&self) -> Timestamp {
        wall()
    }
    fn product(&self) -> Timestamp {
        wall()
    }
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let left_ms = due.0.saturating_sub(wall().0);
                if left_ms <= 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left_ms.unsigned_abs()).min(LONGEST_SLEEP)).await;
            }
        })
    }
}

/// Product time of a [`VirtualClocks`]: real time plus an offset, or frozen.
#[derive(Debug, Clone, Copy)]
enum Course {
    Running { offset_ms: i64 },
    Paused { at: Timestamp },
}

impl Course {
    fn now(self) -> Timestamp {
        match self {
            Self::Running { offset_ms } => wall().plus_ms(offset_ms),
            Self::Paused { at } => at,
        }
    }
}

/// Clocks whose product time can be paused and moved forward, never back. Only under `--test-controls`.
#[derive(Debug)]
pub struct VirtualClocks {
    // Sleepers watch it, so that a jump wakes those whose time has come.
    course: watch::Sender<Course>,
    // Serialises changes: each reads the course before it writes.
    change: Mutex<()>,
}

impl Default for VirtualClocks {
    fn default() -> Self {
        Self { course: watch::Sender::new(Course::Running { offset_ms: 0 }), change: Mutex::new(()) }
    }
}

impl VirtualClocks {
    /// Stops product time where it is.
    pub fn pause(&self) {
        self.alter(|now| Course::Paused { at: now });
    }

    /// Lets product time run again from where it stands.
    pub fn resume(&self) {
        self.alter(|now| Course::Running { offset_ms: now.0 - wall().0 });
    }

    /// Moves product time forward by `ms`; sleepers that became due wake.
    pub fn advance(&self, ms: u64) {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        let paused = matches!(*self.course.borrow(), Course::Paused { .. });
        self.alter(|now| {
            let at = now.plus_ms(ms);
            if paused { Course::Paused { at } } else { Course::Running { offset_ms: at.0.saturating_sub(wall().0) } }
        });
    }

    fn alter(&self, change: impl FnOnce(Timestamp) -> Course) {
        let _one_at_a_time = self.change.lock().expect("no code panics while holding it");
        let now = self.course.borrow().now();
        self.course.send_replace(change(now));
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
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, ()> {
        let mut changes = self.course.subscribe();
        Box::pin(async move {
            loop {
                let course = *changes.borrow_and_update();
                let left_ms = due.0.saturating_sub(course.now().0);
                if left_ms <= 0 {
                    return;
                }
                let changed = match course {
                    Course::Paused { .. } => changes.changed().await,
                    Course::Running { .. } => {
                        let nap = Duration::from_millis(left_ms.unsigned_abs()).min(LONGEST_SLEEP);
                        tokio::time::timeout(nap, changes.changed()).await.unwrap_or(Ok(()))
                    }
                };
                if changed.is_err() {
                    // The clocks are gone: the platform is stopping, nothing is due any more.
                    std::future::pending::<()>().await;
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip() {
        for ms in [0, 951_782_399_999, 951_782_400_000, 1_763_683_200_123, -1, 4_102_444_800_000] {
            let (y, mo, d, h, mi, s, milli) = Timestamp(ms).civil();
            assert_eq!(Timestamp::from_civil(y, mo, d, h, mi, s, milli), Timestamp(ms));
        }
        assert_eq!(Timestamp(951_782_400_000).civil(), (2000, 2, 29, 0, 0, 0, 0));
    }

    #[tokio::test]
    async fn a_paused_clock_stands_still_and_wakes_sleepers_when_moved() {
        let clocks = VirtualClocks::default();
        clocks.pause();
        let now = clocks.product();
        let sleeping = tokio::spawn(clocks.product_reaches(now.plus_ms(3_600_000)));
        clocks.advance(3_599_999);
        assert_eq!(clocks.product(), now.plus_ms(3_599_999));
        clocks.advance(1);
        sleeping.await.expect("the sleeper ends");
    }
}
