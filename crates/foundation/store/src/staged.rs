use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Error, Range, Row, Snapshot, Space, Write};

/// The writes of a group that are decided and not yet on the disk, over what is published.
///
/// Only the transactions of the same group see it: the later ones must build on the earlier ones, and all of them are
/// answered together once the group is synced.
pub(crate) struct Staged {
    published: Box<dyn Snapshot>,
    /// By space. One entry a key: the engine gives a group one sequence number, so a key may appear in it only once.
    writes: [BTreeMap<Bytes, Option<Bytes>>; Space::ALL.len()],
    bytes: usize,
}

impl Staged {
    pub(crate) fn over(published: Box<dyn Snapshot>) -> Self {
        Self { published, writes: Default::default(), bytes: 0 }
    }

    pub(crate) fn write(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.writes[space as usize].insert(key, value);
    }

    /// Bytes written so far, those overwritten since included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is published, without what is staged.
    pub(crate) fn published(&self) -> &dyn Snapshot {
        self.published.as_ref()
    }

    pub(crate) fn into_writes(self) -> Vec<Write> {
        let mut writes = Vec::with_capacity(self.writes.iter().map(BTreeMap::len).sum());
        for (space, of_space) in Space::ALL.into_iter().zip(self.writes) {
            writes.extend(of_space.into_iter().map(|(key, value)| Write { space, key, value }));
        }
        writes
    }

    /// The staged writes of `space` within `range`, by key.
    fn within(&self, space: Space, range: &Range) -> BTreeMap<Bytes, Option<Bytes>> {
        if range.is_empty() {
            return BTreeMap::new();
        }
        let found = self.writes[space as usize].range((range.start.clone(), range.end.clone()));
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Snapshot for Staged {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.writes[space as usize].get(key) {
            Some(value) => Ok(value.clone()),
            None => self.published.get(space, key),
        }
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        let staged = self.within(space, &range);
        // Each staged write hides at most one published row, so this many are enough to fill the limit.
        let published = self.published.range(space, range, limit.saturating_add(staged.len()), reverse)?;
        let mut merged: BTreeMap<Bytes, Option<Bytes>> =
            published.into_iter().map(|(key, value)| (key, Some(value))).collect();
        merged.extend(staged);
        let live = merged.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
        Ok(if reverse { live.rev().take(limit).collect() } else { live.take(limit).collect() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Batch, Rows};

    /// So few that published and staged rows meet all the time.
    fn key() -> impl Strategy<Value = Bytes> {
        prop::sample::select(vec![&b""[..], b"a", b"a\0", b"a\xff", b"b"]).prop_map(Bytes::from_static)
    }

    fn space() -> impl Strategy<Value = Space> {
        prop_oneof![Just(Space::Control), Just(Space::Queue)]
    }

    fn writes() -> impl Strategy<Value = Vec<(Space, Bytes, Option<u8>)>> {
        prop::collection::vec((space(), key(), prop::option::of(any::<u8>())), 0..12)
    }

    /// A store in memory after these writes.
    fn after(steps: &[&[(Space, Bytes, Option<u8>)]]) -> Box<dyn Snapshot> {
        let kv = crate::memory();
        let steps: Vec<_> = steps.concat();
        let write = move |_: &Rows| {
            let mut batch = Batch::new();
            for (space, key, value) in &steps {
                match value {
                    Some(value) => batch.put(*space, key.clone(), vec![*value]),
                    None => batch.delete(*space, key.clone()),
                };
            }
            Ok(batch)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(kv.transact(vec![], Box::new(write))).unwrap();
        kv.snapshot().unwrap()
    }

    proptest! {
        /// What a later transaction of a group sees is what it would see had the earlier ones been published.
        #[test]
        fn staged_reads_as_if_published(
            published in writes(), staged in writes(), space in space(), start in key(), end in key(),
            limit in 0..4_usize, reverse: bool,
        ) {
            let mut group = Staged::over(after(&[&published]));
            for (space, key, value) in &staged {
                group.write(*space, key.clone(), value.map(|value| vec![value].into()));
            }
            let expected = after(&[&published, &staged]);
            prop_assert_eq!(group.get(space, &start), expected.get(space, &start));
            for range in [Range::between(start.clone(), end), Range::prefix(start), Range::all()] {
                let found = group.range(space, range.clone(), limit, reverse);
                prop_assert_eq!(found, expected.range(space, range, limit, reverse));
            }
        }
    }
}
