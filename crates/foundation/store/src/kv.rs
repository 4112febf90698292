use std::sync::{Arc, Mutex, PoisonError};

use base::{BoxFuture, Fault};
use bytes::Bytes;

use crate::rows::from_json;
use crate::{Batch, Error, Key, Range, Row, Rows, Space, Told};

/// What a transaction decides: from the declared rows to what changes, or a fault. It must be pure: it may run again.
pub type Transaction = Box<dyn FnMut(&Rows) -> Result<Batch, Fault> + Send>;

/// Reads over one point in time. Keep it short-lived: while it lives, old values are kept on the disk.
pub trait Snapshot: Send {
    /// The value of a row, none if there is no such row.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`], [`Error::Closed`].
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// At most `limit` rows of the range, in key order, or from its end backwards if `reverse`.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error>;
}

/// Ordered rows that survive. Used as `Arc<dyn Kv>`; [`crate::memory`] is the twin for tests.
///
/// Reads see only what is published, that is, safely on the disk. Transactions are serialisable: each runs as if alone,
/// in one order, and an answered one is durable.
pub trait Kv: Send + Sync {
    /// The value of a row, none if there is no such row.
    ///
    /// # Errors
    /// [`Error::Poisoned`], [`Error::Io`], [`Error::Corrupt`], [`Error::Closed`].
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// At most `limit` rows of the range, in key order, or from its end backwards if `reverse`. They are all held in
    /// memory: page with [`Range::after`] through what may be long.
    ///
    /// # Errors
    /// As [`Kv::get`].
    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error>;

    /// A view of this moment, for reads that must fit together.
    ///
    /// # Errors
    /// As [`Kv::get`].
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error>;

    /// Runs `f` over the declared rows and makes its batch durable, all of it or nothing, before answering.
    ///
    /// Nothing happens before the future is polled. Dropping it afterwards does not undo the transaction: it may still
    /// be carried out.
    ///
    /// # Errors
    /// [`Error::Fault`] is what `f` decided; the others say why nothing was written, except [`Error::Poisoned`], after
    /// which it is not known whether it was.
    fn transact(&self, keys: Vec<Key>, f: Transaction) -> BoxFuture<'_, Result<(), Error>>;

    /// Has `told` called with the keys under `prefix` that transactions from now on write or delete: once they are
    /// published and before they are answered, in their order, one call at a time. What [`Batch::drop_prefix`] takes away
    /// is not told.
    fn follow(&self, space: Space, prefix: Bytes, told: Told);

    /// Resolves when the store is poisoned, never before: the process must then end. Every later call fails.
    fn failed(&self) -> BoxFuture<'static, Error>;

    /// Stops cleanly: finishes what was accepted and makes the next start fast. Every later call is [`Error::Closed`].
    ///
    /// # Errors
    /// [`Error::Poisoned`] or [`Error::Io`]; acknowledged writes are safe even then.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}

/// [`Kv::transact`] with a value: `f` returns the batch and what the caller wants to know.
///
/// # Errors
/// As [`Kv::transact`].
pub async fn transact_with<T, F>(kv: &dyn Kv, keys: Vec<Key>, mut f: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnMut(&Rows) -> Result<(Batch, T), Fault> + Send + 'static,
{
    let slot = Arc::new(Mutex::new(None));
    let filled = Arc::clone(&slot);
    let run: Transaction = Box::new(move |rows| {
        let (batch, value) = f(rows)?;
        // A rerun replaces what an earlier run left.
        *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(batch)
    });
    kv.transact(keys, run).await?;
    let value = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(value.expect("an accepted transaction has run its function, which fills the slot"))
}

/// The value of a row, read as JSON.
///
/// # Errors
/// As [`Kv::get`], and [`Error::Corrupt`] if the bytes do not read as a `T`.
pub fn get_json<T: serde::de::DeserializeOwned>(kv: &dyn Kv, space: Space, key: &[u8]) -> Result<Option<T>, Error> {
    kv.get(space, key)?.map(|bytes| from_json(space, key, &bytes)).transpose()
}
