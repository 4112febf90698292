//! What becomes of a bucket's objects with time. Source: Amazon S3 User Guide, "Managing the lifecycle of objects".
//!
//! A rule's moments are all midnights of UTC: days are counted from when something began and rounded to the next midnight. So the loop
//! wakes at midnight, while any bucket has rules, and looks at these buckets.

mod check;
mod decide;
mod rules;
mod run;

pub(crate) use check::check;
pub(crate) use rules::{SETTING, abort, expiration};
pub(crate) use run::run;

/// The length of a day.
const DAY_MS: i64 = 86_400_000;

/// The first midnight of UTC after a moment.
fn midnight_after(ms: i64) -> i64 {
    (ms.div_euclid(DAY_MS) + 1).saturating_mul(DAY_MS)
}
