//! What can happen to an object, and which configurations want to hear of it.
//!
//! Source: Amazon S3 User Guide, "Event notification types and destinations" and "Configuring event notifications using
//! object key name filtering".

use model::s3;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Put,
    Post,
    Copy,
    CompleteMultipartUpload,
    Delete,
    DeleteMarkerCreated,
    ExpirationDelete,
    ExpirationDeleteMarkerCreated,
    TaggingPut,
    TaggingDelete,
    AclPut,
}

impl Event {
    /// Its name as events have it: a configuration's has `s3:` before it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Post => "ObjectCreated:Post",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
            Self::DeleteMarkerCreated => "ObjectRemoved:DeleteMarkerCreated",
            Self::ExpirationDelete => "LifecycleExpiration:Delete",
            Self::ExpirationDeleteMarkerCreated => "LifecycleExpiration:DeleteMarkerCreated",
            Self::TaggingPut => "ObjectTagging:Put",
            Self::TaggingDelete => "ObjectTagging:Delete",
            Self::AclPut => "ObjectAcl:Put",
        }
    }

    /// Whether the object is there afterwards, with new bytes.
    pub(crate) fn creates(self) -> bool {
        matches!(self, Self::Put | Self::Post | Self::Copy | Self::CompleteMultipartUpload)
    }

    /// Whether it has a place in the order of what happens to its key.
    pub(crate) fn is_ordered(self) -> bool {
        !matches!(self, Self::TaggingPut | Self::TaggingDelete | Self::AclPut)
    }

    /// Whether one of a configuration's event names covers it.
    pub(crate) fn is_among(self, names: &[String]) -> bool {
        names.iter().any(|name| name.strip_prefix("s3:").is_some_and(|name| covers(name, self.name())))
    }
}

/// Whether `pattern`, a name or all of one kind (`ObjectCreated:*`), covers `name`.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(kind) => name.starts_with(kind),
        None => pattern == name,
    }
}

/// Whether some event has both names.
pub(crate) fn share_an_event(one: &str, other: &str) -> bool {
    covers(one, other) || covers(other, one)
}

/// Which keys a configuration is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) prefix: String,
    pub(crate) suffix: String,
}

impl Filter {
    /// What a kept configuration says. Rules are `Prefix` and `Suffix`, each at most once.
    pub(crate) fn of(filter: Option<&s3::NotificationConfigurationFilter>) -> Self {
        let mut out = Self::default();
        let rules = filter.and_then(|filter| filter.key.as_ref()).and_then(|key| key.filter_rules.as_ref());
        for rule in rules.into_iter().flatten() {
            let value = rule.value.clone().unwrap_or_default();
            match rule.name.as_deref() {
                Some("Suffix") => out.suffix = value,
                _ => out.prefix = value,
            }
        }
        out
    }

    /// Whether a key passes.
    pub(crate) fn passes(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }

    /// Whether some key might pass both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (one, two) = (&self.prefix, &other.prefix);
        let (end, tail) = (&self.suffix, &other.suffix);
        (one.starts_with(two) || two.starts_with(one)) && (end.ends_with(tail) || tail.ends_with(end))
    }
}

/// A key as events have it: encoded as forms are, but for its slashes.
pub(crate) fn encoded(key: &str) -> String {
    use std::fmt::Write;
    key.bytes().fold(String::with_capacity(key.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' | b'/' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_covers_itself_and_a_star_its_kind() {
        let among = |event: Event, name: &str| event.is_among(&[name.to_owned()]);
        assert!(among(Event::Put, "s3:ObjectCreated:Put") && among(Event::Copy, "s3:ObjectCreated:*"));
        assert!(!among(Event::Put, "s3:ObjectCreated:Post") && !among(Event::Delete, "s3:ObjectCreated:*"));
        assert!(!among(Event::ExpirationDelete, "s3:ObjectRemoved:*"));
        assert!(share_an_event("s3:ObjectCreated:*", "s3:ObjectCreated:Put"));
        assert!(!share_an_event("s3:ObjectCreated:Copy", "s3:ObjectCreated:Put"));
    }

    #[test]
    fn keys_are_encoded_as_forms_are() {
        assert_eq!(encoded("a b+c/d@é~.jpg"), "a+b%2Bc/d%40%C3%A9%7E.jpg");
    }

    proptest! {
        #[test]
        fn filters_that_one_key_passes_overlap(
            key in "[ab]{0,6}", a in "[ab]{0,2}", b in "[ab]{0,2}", c in "[ab]{0,2}", d in "[ab]{0,2}",
        ) {
            let one = Filter { prefix: a, suffix: b };
            let other = Filter { prefix: c, suffix: d };
            if one.passes(&key) && other.passes(&key) {
                prop_assert!(one.overlaps(&other) && other.overlaps(&one));
            }
        }
    }
}
