//! The door's outbox over the store.

use std::sync::Arc;

use base::{BoxFuture, Fault, Timestamp};
use bytes::Bytes;
use door::outbox::{Outbox, Place, Settled};
use store::Kv;
use store::outbox::{self, After};

/// The rows of every service, in the one store.
pub(super) struct Rows(pub(super) Arc<dyn Kv>);

impl Outbox for Rows {
    fn first(&self, from: Timestamp, limit: usize) -> Result<Vec<(Place, Bytes)>, Fault> {
        let rows = outbox::first(&*self.0, from.0, limit)?;
        Ok(rows.into_iter().map(|(due_ms, id, value)| (Place { due: Timestamp(due_ms), id }, value)).collect())
    }

    fn settle(&self, place: Place, how: Settled) -> BoxFuture<'_, Result<(), Fault>> {
        let after = match how {
            Settled::Delivered => After::Gone,
            Settled::Again(at, value) => After::Due(at.0, value),
            Settled::Parked(value) => After::Parked(value),
        };
        Box::pin(async move { Ok(outbox::settle(&*self.0, place.due.0, &place.id, after).await?) })
    }

    fn parked(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Bytes)>, Fault> {
        Ok(outbox::parked(&*self.0, after, limit)?)
    }

    fn replay(&self, id: String, due: Timestamp, value: Bytes) -> BoxFuture<'_, Result<bool, Fault>> {
        Box::pin(async move { Ok(outbox::replay(&*self.0, &id, due.0, value).await?) })
    }
}
