//! What PutLogEvents accepts.
//!
//! Source: CloudWatch Logs API reference, PutLogEvents.

use crate::rules::chunk::EVENT_OVERHEAD;
use crate::types::DAY_MS;

/// Largest batch, bytes, each event's overhead included.
pub const BATCH_BYTES: usize = 1_048_576;
/// Events older than this are refused.
const OLDEST_MS: i64 = 14 * DAY_MS;
/// Events further in the future are refused.
const NEWEST_MS: i64 = 2 * 3_600_000;

/// Which events of a batch are kept: the indices from `begin` to `end`, and why the others are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The first kept.
    pub begin: usize,
    /// After the last kept.
    pub end: usize,
    /// Everything before it lies before the group's retention.
    pub expired_end: Option<usize>,
    /// Everything before it is older than 14 days.
    pub too_old_end: Option<usize>,
    /// Everything from it on lies more than two hours ahead.
    pub too_new_start: Option<usize>,
}

/// Judges a batch of (time, message bytes), given product time and the moment before which the group keeps nothing.
///
/// # Errors
/// The words of InvalidParameterException: the whole batch is refused.
pub fn judge(batch: &[(i64, usize)], now_ms: i64, expired_before: i64) -> Result<Verdict, String> {
    let size: usize = batch.iter().map(|(_, bytes)| bytes + EVENT_OVERHEAD).sum();
    if size > BATCH_BYTES {
        return Err(format!("Upload too large: {size} bytes exceeds limit of {BATCH_BYTES}"));
    }
    if batch.is_sorted_by_key(|(at_ms, _)| *at_ms) {
        let oldest = now_ms - OLDEST_MS;
        let too_old = batch.partition_point(|(at_ms, _)| *at_ms < oldest);
        let expired = batch.partition_point(|(at_ms, _)| *at_ms < expired_before);
        let end = batch.partition_point(|(at_ms, _)| *at_ms <= now_ms + NEWEST_MS);
        let begin = too_old.max(expired).min(end);
        if let ([(first, _), ..], [.., (last, _)]) = (&batch[begin..end], &batch[begin..end])
            && last - first > DAY_MS
        {
            return Err(
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.".into()
            );
        }
        return Ok(Verdict {
            begin,
            end,
            expired_end: (expired > too_old).then_some(expired),
            too_old_end: (too_old > 0).then_some(too_old),
            too_new_start: (end < batch.len()).then_some(end),
        });
    }
    Err("Log events in a single PutLogEvents request must be in chronological order.".into())
}

/// What retention may be, days.
/// Source: CloudWatch Logs API reference, PutRetentionPolicy.
pub const RETENTION_DAYS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 100 * DAY_MS;

    #[test]
    fn old_and_future_events_are_left_out_and_named() {
        let batch =
            [(NOW - 15 * DAY_MS, 1), (NOW - 4 * DAY_MS, 1), (NOW, 1), (NOW + NEWEST_MS, 1), (NOW + NEWEST_MS + 1, 1)];
        let verdict = judge(&batch, NOW, NOW - 3 * DAY_MS).unwrap();
        let expected = Verdict { begin: 2, end: 4, expired_end: Some(2), too_old_end: Some(1), too_new_start: Some(4) };
        assert_eq!(verdict, expected);
    }

    #[test]
    fn a_batch_is_refused_whole_with_the_services_words() {
        let words = |batch: &[(i64, usize)]| judge(batch, NOW, i64::MIN).unwrap_err();
        assert!(words(&[(NOW, 1), (NOW - 1, 1)]).ends_with("must be in chronological order."));
        assert!(words(&[(NOW - DAY_MS - 1, 1), (NOW, 1)]).ends_with("cannot span more than 24 hours."));
        assert_eq!(words(&[(NOW, BATCH_BYTES)]), "Upload too large: 1048602 bytes exceeds limit of 1048576");
        assert!(judge(&[(NOW, BATCH_BYTES - EVENT_OVERHEAD)], NOW, i64::MIN).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_kept_is_within_the_bounds(mut times in proptest::collection::vec(-20i64..3, 1..20), keep in 1i64..20) {
            times.sort_unstable();
            let batch: Vec<_> = times.iter().map(|days| (NOW + days * DAY_MS, 1)).collect();
            if let Ok(verdict) = judge(&batch, NOW, NOW - keep * DAY_MS) {
                for (at, (ms, _)) in batch.iter().enumerate() {
                    let good = *ms >= NOW - 14 * DAY_MS && *ms >= NOW - keep * DAY_MS && *ms <= NOW + NEWEST_MS;
                    prop_assert_eq!(good, (verdict.begin..verdict.end).contains(&at));
                }
            }
        }
    }
}
