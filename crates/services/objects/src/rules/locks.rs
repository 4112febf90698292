//! What locks allow. Source: Amazon S3 User Guide, "Locking objects with Object Lock".

use base::{Fault, Timestamp};
use model::s3;

use crate::faults;
use crate::types::{Object, Retention};

/// Longest default retention.
const DAYS: i64 = 36_500;
const YEARS: i64 = 100;

impl Retention {
    /// Whether it holds at this moment.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.until_ms > now.0
    }

    fn is_compliance(&self) -> bool {
        self.mode == "COMPLIANCE"
    }
}

/// Whether an object may be taken away now. `bypass`: governance does not hold the one who asks.
///
/// # Errors
/// AccessDenied.
pub(crate) fn unlocked(object: &Object, now: Timestamp, bypass: bool) -> Result<(), Fault> {
    let kept = object.retention.as_ref().filter(|retention| retention.holds(now));
    if object.legal_hold == Some(true) || kept.is_some_and(|kept| kept.is_compliance() || !bypass) {
        return Err(protected());
    }
    Ok(())
}

/// Whether governance is all that keeps an object from being taken away now.
pub(crate) fn governed(object: &Object, now: Timestamp) -> bool {
    object.retention.as_ref().is_some_and(|retention| retention.holds(now) && !retention.is_compliance())
}

/// Whether a retention may be replaced by another, or by none, now.
///
/// # Errors
/// AccessDenied for less than there was, unless governance is bypassed.
pub(crate) fn replaceable(
    old: Option<&Retention>,
    new: Option<&Retention>,
    now: Timestamp,
    bypass: bool,
) -> Result<(), Fault> {
    let Some(old) = old.filter(|old| old.holds(now)) else { return Ok(()) };
    let kept = new.is_some_and(|new| new.mode == old.mode && new.until_ms >= old.until_ms);
    if kept || (bypass && !old.is_compliance()) { Ok(()) } else { Err(protected()) }
}

fn protected() -> Fault {
    Fault::new("AccessDenied", 403, "Access Denied because object protected by object lock.")
}

/// The retention that a request gives; none for an empty one.
///
/// # Errors
/// MalformedXML, InvalidArgument.
pub(crate) fn retention(given: s3::ObjectLockRetention, now: Timestamp) -> Result<Option<Retention>, Fault> {
    match (given.mode, given.retain_until_date) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) if until > now => Ok(Some(Retention { mode, until_ms: until.0 })),
        (Some(_), Some(until)) => {
            let words = "The retain until date must be in the future!";
            Err(faults::argument(words, "RetainUntilDate", &wire::http_date(until)))
        }
        _ => Err(faults::malformed()),
    }
}

/// Checks a bucket's configuration.
///
/// # Errors
/// MalformedXML, InvalidArgument.
pub(crate) fn check(configuration: &s3::ObjectLockConfiguration) -> Result<(), Fault> {
    if configuration.object_lock_enabled.as_deref() != Some("Enabled") {
        return Err(faults::malformed());
    }
    let Some(rule) = &configuration.rule else { return Ok(()) };
    let default = rule.default_retention.as_ref().filter(|default| default.mode.is_some());
    let default = default.ok_or_else(faults::malformed)?;
    let (name, given, most) = match (default.days, default.years) {
        (Some(days), None) => ("Days", days, DAYS),
        (None, Some(years)) => ("Years", years, YEARS),
        _ => return Err(faults::malformed()),
    };
    let words = match given {
        ..1 => "Default retention period must be a positive integer value.",
        given if given > most => "Default retention period too large.",
        _ => return Ok(()),
    };
    Err(faults::argument(words, name, &given.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(mode: &str, until_ms: i64) -> Retention {
        Retention { mode: mode.into(), until_ms }
    }

    #[test]
    fn a_retention_grows_and_shrinks_as_its_mode_allows() {
        let now = Timestamp(100);
        let (governance, compliance) = (kept("GOVERNANCE", 200), kept("COMPLIANCE", 200));
        let may =
            |old: &Retention, new: Option<Retention>, bypass| replaceable(Some(old), new.as_ref(), now, bypass).is_ok();
        for (mode, old) in [("GOVERNANCE", &governance), ("COMPLIANCE", &compliance)] {
            assert!(may(old, Some(kept(mode, 300)), false), "{mode} grows");
            assert!(may(old, Some(kept(mode, 200)), false), "{mode} stays");
            assert!(!may(old, Some(kept(mode, 150)), false), "{mode} does not shrink");
            assert!(!may(old, None, false), "{mode} does not go");
            assert_eq!(may(old, Some(kept(mode, 150)), true), mode == "GOVERNANCE", "{mode} shrinks by force");
            assert_eq!(may(old, None, true), mode == "GOVERNANCE", "{mode} goes by force");
        }
        assert!(!may(&governance, Some(compliance.clone()), false));
        assert!(may(&governance, Some(compliance.clone()), true));
        assert!(!may(&compliance, Some(kept("GOVERNANCE", 300)), true));
        assert!(may(&kept("COMPLIANCE", 100), None, false), "it is over");
        assert!(replaceable(None, Some(&governance), now, false).is_ok());
    }

    #[test]
    fn a_bucket_has_one_period_by_default() {
        let asked = |days: Option<i64>, years: Option<i64>| {
            let default = s3::DefaultRetention { mode: Some("GOVERNANCE".into()), days, years, ..Default::default() };
            check(&s3::ObjectLockConfiguration {
                object_lock_enabled: Some("Enabled".into()),
                rule: Some(s3::ObjectLockRule { default_retention: Some(default) }),
            })
        };
        assert!(asked(Some(36_500), None).is_ok());
        assert!(asked(None, Some(100)).is_ok());
        for (days, years, code) in [
            (Some(0), None, "InvalidArgument"),
            (Some(36_501), None, "InvalidArgument"),
            (None, Some(-1), "InvalidArgument"),
            (None, Some(101), "InvalidArgument"),
            (Some(1), Some(1), "MalformedXML"),
            (None, None, "MalformedXML"),
        ] {
            assert_eq!(asked(days, years).unwrap_err().code, code, "{days:?} {years:?}");
        }
        assert!(check(&s3::ObjectLockConfiguration::default()).is_err());
    }
}
