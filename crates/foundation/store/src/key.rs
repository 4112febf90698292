use std::ops::Bound;

use bytes::Bytes;

/// One row: its key and its value.
pub type Row = (Bytes, Bytes);

/// The fixed keyspaces. Their number never grows with use: a resource is a key prefix inside one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// What the platform knows of itself: node identity, epochs, sweeps under way.
    Meta,
    /// The control plane: functions, versions, aliases, roles, users, policies, log groups.
    Control,
    /// Work in arrival order: asynchronous events, messages.
    Queue,
    /// Work in due order: retries, delays, schedules.
    Timer,
    /// State changes that other services have yet to hear of.
    Outbox,
    /// Log events.
    Log,
    /// Metered use, for bills and metrics.
    Usage,
    /// Objects of buckets: what is said of them, and the small ones themselves.
    Object,
}

impl Space {
    /// Every space, in a fixed order.
    pub const ALL: [Self; 8] =
        [Self::Meta, Self::Control, Self::Queue, Self::Timer, Self::Outbox, Self::Log, Self::Usage, Self::Object];

    /// The byte that names the space on disk. Never changes: it is part of the data format.
    #[must_use]
    pub fn tag(self) -> u8 {
        match self {
            Self::Meta => b'm',
            Self::Control => b'c',
            Self::Queue => b'q',
            Self::Timer => b't',
            Self::Outbox => b'o',
            Self::Log => b'l',
            Self::Usage => b'u',
            Self::Object => b'b',
        }
    }

    /// The space a tag names, if any.
    #[must_use]
    pub fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.tag() == tag)
    }
}

/// What a transaction declares that it will read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// One row, by its exact key.
    Exact(Space, Bytes),
    /// The first row under a prefix: the head of a queue, the next timer due.
    First(Space, Bytes),
}

impl Key {
    /// The row with exactly this key.
    pub fn new(space: Space, key: impl Into<Bytes>) -> Self {
        Self::Exact(space, key.into())
    }

    /// The first row whose key starts with `prefix`.
    pub fn first(space: Space, prefix: impl Into<Bytes>) -> Self {
        Self::First(space, prefix.into())
    }
}

/// A stretch of keys within one space, in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub start: Bound<Bytes>,
    /// Where it ends.
    pub end: Bound<Bytes>,
}

impl Range {
    /// The whole space.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        let end = after_prefix(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start: Bound::Included(prefix), end }
    }

    /// Every key from `start` (included) to `end` (excluded).
    pub fn between(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { start: Bound::Included(start.into()), end: Bound::Excluded(end.into()) }
    }

    /// The same range without what comes up to and including `key`: the next page of a forward listing.
    #[must_use]
    pub fn after(self, key: impl Into<Bytes>) -> Self {
        Self { start: Bound::Excluded(key.into()), ..self }
    }

    /// The same range without `key` and what comes after it: the next page of a reverse listing.
    #[must_use]
    pub fn before(self, key: impl Into<Bytes>) -> Self {
        Self { end: Bound::Excluded(key.into()), ..self }
    }

    /// The same range, from `key` (included) on.
    #[must_use]
    pub fn starting_at(self, key: impl Into<Bytes>) -> Self {
        Self { start: Bound::Included(key.into()), ..self }
    }

    /// True if no key can lie inside. Maps panic on such ranges, so each engine asks first.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
                start >= end
            }
        }
    }
}

/// The first key after every key that starts with `prefix`; none if there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(Range::prefix(&b"fn/"[..]).end, Bound::Excluded(Bytes::from_static(b"fn0")));
        assert_eq!(Range::prefix(&b"a\xff\xff"[..]).end, Bound::Excluded(Bytes::from_static(b"b")));
        assert_eq!(Range::prefix(&b"\xff"[..]).end, Bound::Unbounded);
        assert_eq!(Range::prefix(&b""[..]).end, Bound::Unbounded);
    }

    #[test]
    fn tags_are_distinct_and_read_back() {
        for space in Space::ALL {
            assert_eq!(Space::of_tag(space.tag()), Some(space));
        }
    }

    #[test]
    fn a_page_past_the_end_is_empty() {
        assert!(Range::between(&b"a"[..], &b"b"[..]).after(&b"b"[..]).is_empty());
        assert!(Range::between(&b"b"[..], &b"b"[..]).is_empty());
        assert!(!Range::prefix(&b"a"[..]).is_empty());
    }
}
