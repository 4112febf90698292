//! How often an account may call: AWS's default rates, when the platform is told to keep them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::{Account, Clocks, Fault, Region};
use wire::{Operation, Protocol, Service};

/// A rate that some operations of a service share.
#[derive(Debug)]
struct Rate {
    service: &'static str,
    /// The operations; empty means all that no earlier row names.
    operations: &'static [&'static str],
    per_second: u32,
}

const fn rate(service: &'static str, operations: &'static [&'static str], per_second: u32) -> Rate {
    Rate { service, operations, per_second }
}

/// AWS's defaults, for each account and region. What no row speaks of has no published rate.
/// Source: AWS Lambda quotas, "API requests"; IAM User Guide, "IAM and AWS STS quotas"; CloudWatch Logs quotas (of
/// `us-east-1`, where they differ between regions). Invocations are limited by concurrency.
static RATES: &[Rate] = &[
    rate("lambda", &["Invoke", "InvokeAsync", "InvokeWithResponseStream"], 0),
    rate("lambda", &["GetFunction"], 100),
    rate("lambda", &["GetPolicy"], 15),
    rate("lambda", &[], 15),
    rate("sts", &["AssumeRole", "GetAccessKeyInfo", "GetCallerIdentity", "GetSessionToken"], 600),
    rate("logs", &["CreateLogGroup"], 10),
    rate("logs", &["DeleteLogGroup"], 10),
    rate("logs", &["CreateLogStream"], 50),
    rate("logs", &["DescribeLogGroups"], 10),
    rate("logs", &["DescribeLogStreams"], 25),
    rate("logs", &["FilterLogEvents"], 25),
    rate("logs", &["GetLogEvents"], 25),
    rate("logs", &["PutLogEvents"], 5000),
];

/// Buckets kept at once: beyond it those that are full again go, and if that is not enough all.
const MOST: usize = 10_000;

/// Keeps AWS's rates: for each account, region and rate a bucket of one second's calls, which fills evenly.
pub struct Throttle {
    clocks: Arc<dyn Clocks>,
    buckets: Mutex<HashMap<(Account, Region, usize), Bucket>>,
}

impl Throttle {
    /// Full buckets for everyone; time is the transport clock's.
    pub fn new(clocks: Arc<dyn Clocks>) -> Self {
        Self { clocks, buckets: Mutex::default() }
    }

    /// Counts one call.
    ///
    /// # Errors
    /// The service's throttle, if the account has called too often.
    pub(crate) fn count(&self, operation: &Operation, account: Account, region: &Region) -> Result<(), Fault> {
        let Some((row, per_second)) = rate_of(operation) else { return Ok(()) };
        let now = self.clocks.monotonic();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= MOST {
                buckets.clear();
            }
        }
        let bucket = buckets.entry((account, region.clone(), row)).or_insert_with(|| Bucket::full(per_second, now));
        if bucket.take(now) { Ok(()) } else { Err(throttled(operation.service)) }
    }
}

/// The row of an operation's rate, and the rate; none if it has none.
fn rate_of(operation: &Operation) -> Option<(usize, u32)> {
    let of_service = RATES.iter().enumerate().filter(|(_, rate)| rate.service == operation.service.name);
    let (row, rate) = of_service
        .into_iter()
        .find(|(_, rate)| rate.operations.is_empty() || rate.operations.contains(&operation.name))?;
    (rate.per_second > 0).then_some((row, rate.per_second))
}

/// A service's throttle as its clients know it.
fn throttled(service: &Service) -> Fault {
    let message = "Rate exceeded";
    match service.protocols.first() {
        Some(Protocol::RestJson) => {
            Fault::new("TooManyRequestsException", 429, message).with("Reason", "CallerRateLimitExceeded")
        }
        Some(Protocol::Query | Protocol::Ec2Query) => Fault::new("Throttling", 400, message),
        Some(Protocol::RestXml) => Fault::new("SlowDown", 503, "Please reduce your request rate."),
        Some(Protocol::Json10 | Protocol::Json11 | Protocol::Cbor) | None => {
            Fault::new("ThrottlingException", 400, message)
        }
    }
}

/// Tokens, in nanoseconds of filling: a call costs the time in which one token comes.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    cost: Duration,
    // The moment from which the bucket has been filling as if it were empty then.
    empty_at: Instant,
}

/// What a full bucket holds.
const BURST: Duration = Duration::from_secs(1);

impl Bucket {
    fn full(per_second: u32, now: Instant) -> Self {
        let empty_at = now.checked_sub(BURST).unwrap_or(now);
        Self { cost: BURST / per_second.max(1), empty_at }
    }

    fn is_full(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.empty_at) >= BURST
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.is_full(now) {
            self.empty_at = now.checked_sub(BURST).unwrap_or(now);
        }
        if now.saturating_duration_since(self.empty_at) < self.cost {
            return false;
        }
        self.empty_at += self.cost;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::SystemClocks;

    #[test]
    fn a_bucket_holds_a_second_and_fills_evenly() {
        let start = SystemClocks.monotonic() + Duration::from_secs(3600);
        let mut bucket = Bucket::full(10, start);
        let burst = (0..20).filter(|_| bucket.take(start)).count();
        assert_eq!(burst, 10);
        assert!(!bucket.take(start + Duration::from_millis(99)) && bucket.take(start + Duration::from_millis(101)));
        let later = start + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 10, "it never holds more than a second");
        let steady = (1..=100).filter(|step| bucket.take(later + Duration::from_millis(step * 50))).count();
        assert_eq!(steady, 50, "ten each second in the long run");
    }

    #[test]
    fn operations_share_the_rates_aws_says_they_share() {
        let row = |service: &str, name: &str| {
            let service = model::SERVICES.iter().find(|one| one.name == service).unwrap();
            rate_of(service.operations.iter().find(|one| one.name == name).unwrap())
        };
        assert_eq!(row("lambda", "Invoke"), None);
        assert_eq!(row("lambda", "CreateFunction"), row("lambda", "ListFunctions"));
        assert_ne!(row("lambda", "GetFunction"), row("lambda", "ListFunctions"));
        assert_eq!(row("lambda", "CreateFunction").unwrap().1, 15);
        assert_eq!(row("sts", "AssumeRole"), row("sts", "GetCallerIdentity"));
        assert_eq!(row("iam", "GetUser"), None);
        let named = RATES.iter().flat_map(|rate| rate.operations.iter().map(move |name| (rate.service, *name)));
        for (service, name) in named.filter(|(_, name)| *name != "InvokeWithResponseStream") {
            let service = model::SERVICES.iter().find(|one| one.name == service).unwrap();
            assert!(service.operations.iter().any(|one| one.name == name), "{name} is an operation");
        }
    }
}
