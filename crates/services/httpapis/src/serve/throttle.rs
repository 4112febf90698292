//! How often a route of a stage is called: a token bucket each.
//! Source: API Gateway Developer Guide, "Throttle requests to your HTTP APIs for better throughput" and "Throttle requests to
//! your REST APIs for better throughput".

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::limits;

/// Requests in a second, and at once, where only the other is said: AWS's default of an account.
const RATE: f64 = 10_000.0;
const BURST: i64 = 5_000;

/// A bucket of tokens, each for one request.
#[derive(Debug)]
pub(crate) struct Bucket {
    // Tokens a second.
    rate: f64,
    // Most tokens.
    burst: f64,
    state: Mutex<(f64, Option<Instant>)>,
}

impl Bucket {
    /// The bucket that limits ask for, requests in a second and at once; none if neither limits anything.
    fn of(rate: Option<f64>, burst: Option<i64>) -> Option<Self> {
        if rate.is_none() && burst.is_none() {
            return None;
        }
        let burst = burst.unwrap_or(BURST) as f64;
        Some(Self { rate: rate.unwrap_or(RATE), burst, state: Mutex::new((burst, None)) })
    }

    /// Takes a token; whether there was one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = *state;
        let passed = last.map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        let tokens = (tokens + passed * self.rate).min(self.burst);
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, Some(now));
        taken
    }
}

/// By stage and route.
type OfApi = HashMap<(String, String), Arc<Bucket>>;

/// The buckets of all APIs. One outlives what is changed of its API, as long as its limits stay: no change refills it.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    by_api: Mutex<HashMap<String, OfApi>>,
}

impl Buckets {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, OfApi>> {
        self.by_api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bucket of a route at a stage, if anything limits it.
    pub(crate) fn find(
        &self,
        (api, stage, route): (&str, &str, &str),
        rate: Option<f64>,
        burst: Option<i64>,
    ) -> Option<Arc<Bucket>> {
        let wanted = Bucket::of(rate, burst)?;
        let mut all = self.lock();
        if all.len() >= limits::REMEMBERED && !all.contains_key(api) {
            all.clear();
        }
        let of_api = all.entry(api.to_owned()).or_default();
        let key = (stage.to_owned(), route.to_owned());
        if let Some(known) = of_api.get(&key).filter(|known| known.rate == wanted.rate && known.burst == wanted.burst) {
            return Some(Arc::clone(known));
        }
        let made = Arc::new(wanted);
        of_api.insert(key, Arc::clone(&made));
        Some(made)
    }

    /// Forgets what an API has no longer.
    pub(crate) fn keep(&self, api: &str, left: &HashSet<(String, String)>) {
        let mut all = self.lock();
        let Some(of_api) = all.get_mut(api) else { return };
        of_api.retain(|key, _| left.contains(key));
        if of_api.is_empty() {
            all.remove(api);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clocks, SystemClocks};

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = Bucket::of(Some(10.0), Some(2)).unwrap();
        let now = SystemClocks.monotonic();
        assert_eq!([0; 3].map(|_| bucket.take(now)), [true, true, false]);
        assert!(!bucket.take(now + Duration::from_millis(99)));
        assert!(bucket.take(now + Duration::from_millis(101)));
        assert!(!bucket.take(now + Duration::from_millis(102)));
        let later = now + Duration::from_secs(60);
        assert_eq!([0; 3].map(|_| bucket.take(later)), [true, true, false], "no more than the burst is saved up");
    }

    #[test]
    fn nothing_said_is_nothing_limited() {
        assert!(Bucket::of(None, None).is_none());
        let now = SystemClocks.monotonic();
        assert!(!Bucket::of(Some(5.0), Some(0)).unwrap().take(now));
    }

    #[test]
    fn a_bucket_stays_while_its_limits_do() {
        let (buckets, now) = (Buckets::default(), SystemClocks.monotonic());
        let find = |route, burst| buckets.find(("api", "dev", route), Some(0.0), Some(burst)).unwrap();
        assert!(find("a", 1).take(now) && !find("a", 1).take(now));
        assert!(find("b", 1).take(now));
        assert!(find("a", 2).take(now), "other limits, another bucket");
        buckets.keep("api", &HashSet::from([("dev".to_owned(), "b".to_owned())]));
        assert!(!find("b", 1).take(now) && find("a", 2).take(now));
        buckets.keep("api", &HashSet::new());
        assert!(find("b", 1).take(now) && buckets.lock().len() == 1);
    }
}
