//! How often a route of a stage is called: a token bucket each.
//! Source: API Gateway Developer Guide, "Throttle requests to your HTTP APIs for better throughput".

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::types::Settings;

/// Requests in a second, and at once, where only the other is said: AWS's default of an account.
const RATE: f64 = 10_000.0;
const BURST: i64 = 5_000;

/// A bucket of tokens, each for one request.
#[derive(Debug)]
pub(super) struct Bucket {
    // Tokens a second.
    rate: f64,
    // Most tokens.
    burst: f64,
    state: Mutex<(f64, Option<Instant>)>,
}

impl Bucket {
    /// The bucket that settings ask for: those of the route itself go before those of all. None if neither limits anything.
    pub(super) fn of(own: Option<&Settings>, all: &Settings) -> Option<Self> {
        let rate = own.and_then(|own| own.rate_limit).or(all.rate_limit);
        let burst = own.and_then(|own| own.burst_limit).or(all.burst_limit);
        if rate.is_none() && burst.is_none() {
            return None;
        }
        let burst = burst.unwrap_or(BURST) as f64;
        Some(Self { rate: rate.unwrap_or(RATE), burst, state: Mutex::new((burst, None)) })
    }

    /// Takes a token; whether there was one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = *state;
        let passed = last.map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        let tokens = (tokens + passed * self.rate).min(self.burst);
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, Some(now));
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clocks, SystemClocks};

    use super::*;

    fn settings(rate: Option<f64>, burst: Option<i64>) -> Settings {
        Settings { rate_limit: rate, burst_limit: burst, ..Settings::default() }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = Bucket::of(None, &settings(Some(10.0), Some(2))).unwrap();
        let now = SystemClocks.monotonic();
        assert_eq!([0; 3].map(|_| bucket.take(now)), [true, true, false]);
        assert!(!bucket.take(now + Duration::from_millis(99)));
        assert!(bucket.take(now + Duration::from_millis(101)));
        assert!(!bucket.take(now + Duration::from_millis(102)));
        let later = now + Duration::from_secs(60);
        assert_eq!([0; 3].map(|_| bucket.take(later)), [true, true, false], "no more is saved than a burst");
    }

    #[test]
    fn a_routes_own_settings_go_before_those_of_all() {
        assert!(Bucket::of(None, &Settings::default()).is_none());
        let own = settings(None, Some(0));
        let bucket = Bucket::of(Some(&own), &settings(Some(5.0), Some(5))).unwrap();
        assert!(!bucket.take(SystemClocks.monotonic()));
    }
}
