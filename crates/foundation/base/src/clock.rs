use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{BoxFuture, Turn};

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
    /// Completes when the product clock reaches `due`. It is enrolled from the call on, not from the first poll.
    ///
    /// Whoever wakes holds the turn while it works and until it has enrolled for its next moment: a jump of
    /// [`VirtualClocks`](crate::VirtualClocks) goes on when all turns of a moment have ended.
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, Turn>;
    /// A turn for work that is due now although no moment woke it: what was just accepted, or what follows from it.
    fn turn(&self) -> Turn {
        Turn::default()
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Sleeps towards a far `due` in bounded steps, since a wall clock may be set while we sleep.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(60);

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
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, Turn> {
        Box::pin(async move {
            loop {
                let left_ms = due.0.saturating_sub(wall().0);
                if left_ms <= 0 {
                    return Turn::default();
                }
                tokio::time::sleep(Duration::from_millis(left_ms.unsigned_abs()).min(LONGEST_SLEEP)).await;
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
}
