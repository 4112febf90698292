use base::Fault;
use bytes::Bytes;

use crate::{Error, Space};

/// Largest key, bytes.
pub(crate) const KEY_BYTES: usize = 8 * 1024;
/// Largest value, bytes: the largest event and item fit with room; larger things are blobs.
pub(crate) const VALUE_BYTES: usize = 8 * 1024 * 1024;
/// Largest batch, bytes: it is held in memory and must fit the journal.
pub(crate) const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What a transaction that deletes may write when the room is full, bytes: counters, and who has to hear of it.
const DELETION_BYTES: u64 = 64 * 1024;

/// One row to write: a value, or none to delete it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The row's space.
    pub space: Space,
    /// The row's key.
    pub key: Bytes,
    /// The new value; none deletes the row.
    pub value: Option<Bytes>,
}

/// What a transaction changes, all of it or nothing. Keys need not have been declared: a blind write is fine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    writes: Vec<Write>,
    dropped: Vec<(Space, Bytes)>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a row, in place of what stood there. Later calls on the same key win.
    pub fn put(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) -> &mut Self {
        self.writes.push(Write { space, key: key.into(), value: Some(value.into()) });
        self
    }

    /// Deletes a row; nothing happens if there is none.
    pub fn delete(&mut self, space: Space, key: impl Into<Bytes>) -> &mut Self {
        self.writes.push(Write { space, key: key.into(), value: None });
        self
    }

    /// Writes a row whose value is `value` as JSON.
    ///
    /// # Errors
    /// `InternalFailure` if the value has no JSON form (a map with keys that are not strings).
    pub fn put_json<T: serde::Serialize + ?Sized>(
        &mut self,
        space: Space,
        key: impl Into<Bytes>,
        value: &T,
    ) -> Result<&mut Self, Fault> {
        let bytes =
            serde_json::to_vec(value).map_err(|error| Fault::internal(format!("a row has no JSON form: {error}")))?;
        Ok(self.put(space, key, bytes))
    }

    /// Gives up a whole generation: every row under `prefix` will be deleted in the background, in bounded steps, also
    /// after a restart. Costs the same for one row and for a million.
    ///
    /// The rows may still be read for a while, and rows written under the prefix later may vanish with them: the caller
    /// forgets the prefix in the same transaction and never uses it again.
    pub fn drop_generation(&mut self, space: Space, prefix: impl Into<Bytes>) -> &mut Self {
        self.dropped.push((space, prefix.into()));
        self
    }

    /// The writes, in the order they were made.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The generations given up.
    #[must_use]
    pub fn dropped(&self) -> &[(Space, Bytes)] {
        &self.dropped
    }

    /// The writes and the generations given up, for whoever carries it out.
    pub(crate) fn into_parts(self) -> (Vec<Write>, Vec<(Space, Bytes)>) {
        (self.writes, self.dropped)
    }

    /// True if it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.dropped.is_empty()
    }

    /// True if it is let through when the room is full: it takes something away, and writes little in its place.
    pub(crate) fn makes_room(&self) -> bool {
        let deletes = !self.dropped.is_empty() || self.writes.iter().any(|write| write.value.is_none());
        deletes && self.bytes() <= DELETION_BYTES
    }

    /// Bytes of keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = |write: &Write| write.key.len() + write.value.as_ref().map_or(0, Bytes::len);
        self.writes.iter().map(|write| bytes(write) as u64).sum()
    }

    /// Refuses what the engines cannot hold, before anything is written.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check(&self) -> Result<(), Error> {
        let mut total = 0;
        for write in &self.writes {
            let value_bytes = write.value.as_ref().map_or(0, Bytes::len);
            within("key", write.key.len(), KEY_BYTES)?;
            within("value", value_bytes, VALUE_BYTES)?;
            total += write.key.len() + value_bytes;
        }
        for (_, prefix) in &self.dropped {
            within("key", prefix.len(), KEY_BYTES)?;
        }
        within("batch", total, BATCH_BYTES)
    }
}

fn within(what: &'static str, size: usize, limit: usize) -> Result<(), Error> {
    if size > limit {
        return Err(Error::TooLarge { what, size_bytes: size as u64, limit_bytes: limit as u64 });
    }
    Ok(())
}
