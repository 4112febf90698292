//! Conditional requests. Source: RFC 9110, 13; Amazon S3 User Guide, "Add preconditions to S3 operations with conditional
//! requests".

use base::{Fault, Timestamp};

use crate::faults;
use crate::types::Version;

/// What a request wants to hold of the object it reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) matches: Option<String>,
    pub(crate) none_matches: Option<String>,
    pub(crate) modified_since: Option<Timestamp>,
    pub(crate) unmodified_since: Option<Timestamp>,
}

/// What a request wants to hold of the object it replaces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writing {
    pub(crate) matches: Option<String>,
    pub(crate) none_matches: Option<String>,
}

/// What is wrong with a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// A condition, by its header.
    Precondition(&'static str),
    /// The reader has it already.
    NotModified,
}

/// Whether a list of entity tags (`"a", W/"b"`, `*`) names one.
fn names(list: &str, etag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    list.trim() == "*" || list.split(',').any(|tag| bare(tag) == etag)
}

impl Reading {
    /// Whether the reader shall have an object with this tag and date.
    pub(crate) fn check(&self, etag: &str, modified_ms: i64) -> Result<(), Failed> {
        // Dates of HTTP have whole seconds.
        let modified = modified_ms.div_euclid(1000);
        let later = |than: Timestamp| modified > than.0.div_euclid(1000);
        match (&self.matches, self.unmodified_since) {
            (Some(list), _) if !names(list, etag) => return Err(Failed::Precondition("If-Match")),
            (None, Some(date)) if later(date) => return Err(Failed::Precondition("If-Unmodified-Since")),
            _ => {}
        }
        match (&self.none_matches, self.modified_since) {
            (Some(list), _) if names(list, etag) => Err(Failed::NotModified),
            (None, Some(date)) if !later(date) => Err(Failed::NotModified),
            _ => Ok(()),
        }
    }
}

impl Writing {
    /// Reads the two headers.
    ///
    /// # Errors
    /// NotImplemented for what S3 does not implement either.
    pub(crate) fn of(matches: Option<String>, none_matches: Option<String>) -> Result<Self, Fault> {
        let fault = |header: &str| {
            Fault::new("NotImplemented", 501, "A header you provided implies functionality that is not implemented")
                .with("Header", header)
        };
        match (&matches, &none_matches) {
            (Some(_), Some(_)) => return Err(fault("If-Match,If-None-Match")),
            (_, Some(list)) if list.trim() != "*" => return Err(fault("If-None-Match")),
            (Some(list), _) if list.trim() == "*" => return Err(fault("If-Match")),
            _ => {}
        }
        Ok(Self { matches, none_matches })
    }

    /// Whether an object may be written in place of `current`, the newest version of its key.
    ///
    /// # Errors
    /// PreconditionFailed; NoSuchKey where there is nothing to match.
    pub(crate) fn check(&self, key: &str, current: Option<&Version>) -> Result<(), Fault> {
        let object = current.and_then(|version| version.object.as_ref());
        if self.none_matches.is_some() && object.is_some() {
            return Err(faults::precondition("If-None-Match"));
        }
        match (&self.matches, object) {
            (Some(_), None) => Err(faults::no_key(key)),
            (Some(list), Some(object)) if !names(list, &object.etag) => Err(faults::precondition("If-Match")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(change: impl FnOnce(&mut Reading)) -> Result<(), Failed> {
        let mut reading = Reading::default();
        change(&mut reading);
        reading.check("abc", 10_500)
    }

    #[test]
    fn reads_follow_the_order_of_the_rfc() {
        let at = |s: i64| Some(Timestamp(s * 1000));
        assert_eq!(reading(|_| {}), Ok(()));
        assert_eq!(reading(|it| it.matches = Some("\"abc\"".into())), Ok(()));
        assert_eq!(reading(|it| it.matches = Some("x, abc".into())), Ok(()));
        assert_eq!(reading(|it| it.matches = Some("x".into())), Err(Failed::Precondition("If-Match")));
        assert_eq!(reading(|it| it.none_matches = Some("*".into())), Err(Failed::NotModified));
        assert_eq!(reading(|it| it.none_matches = Some("W/\"abc\"".into())), Err(Failed::NotModified));
        assert_eq!(reading(|it| it.none_matches = Some("x".into())), Ok(()));
        assert_eq!(reading(|it| it.modified_since = at(10)), Err(Failed::NotModified));
        assert_eq!(reading(|it| it.modified_since = at(9)), Ok(()));
        assert_eq!(reading(|it| it.unmodified_since = at(10)), Ok(()));
        assert_eq!(reading(|it| it.unmodified_since = at(9)), Err(Failed::Precondition("If-Unmodified-Since")));
        // A tag outweighs a date.
        assert_eq!(reading(|it| (it.matches, it.unmodified_since) = (Some("abc".into()), at(9))), Ok(()));
        assert_eq!(reading(|it| (it.none_matches, it.modified_since) = (Some("x".into()), at(10))), Ok(()));
    }
}
