use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use base::BoxFuture;
use bytes::Bytes;

use crate::follow::Followers;
use crate::{Batch, Error, Key, Kv, Range, Row, Rows, Snapshot, Space, Told, Transaction};

type Table = BTreeMap<Bytes, Bytes>;

/// Rows in memory: the fast twin of the embedded engine, for tests. Nothing survives.
///
/// Transactions run at once in the caller, so that a test under a paused clock stays in step; dropped generations
/// vanish at once.
#[derive(Default)]
struct Memory {
    /// None once closed. Each space is shared with the snapshots taken of it and copied only when then written.
    spaces: RwLock<Option<Spaces>>,
    followers: Followers,
}

#[derive(Default, Clone)]
struct Spaces([Arc<Table>; Space::ALL.len()]);

impl Spaces {
    fn table(&self, space: Space) -> &Arc<Table> {
        &self.0[space as usize]
    }

    fn apply(&mut self, batch: &Batch) {
        for write in batch.writes() {
            let table = Arc::make_mut(&mut self.0[write.space as usize]);
            match &write.value {
                Some(value) => table.insert(write.key.clone(), value.clone()),
                None => table.remove(&write.key),
            };
        }
        for (space, prefix) in batch.dropped() {
            Arc::make_mut(&mut self.0[*space as usize]).retain(|key, _| !key.starts_with(prefix));
        }
    }
}

impl Snapshot for Spaces {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.table(space).get(key).cloned())
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.table(space).range((range.start, range.end)).map(|(key, value)| (key.clone(), value.clone()));
        Ok(if reverse { found.rev().take(limit).collect() } else { found.take(limit).collect() })
    }
}

/// A fresh, empty store in memory, for tests.
#[must_use]
pub fn memory() -> Arc<dyn Kv> {
    Arc::new(Memory { spaces: RwLock::new(Some(Spaces::default())), followers: Followers::default() })
}

impl Memory {
    fn view(&self) -> Result<Spaces, Error> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Closed)
    }

    fn run(&self, keys: &[Key], mut f: Transaction) -> Result<(), Error> {
        let mut guard = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        let spaces = guard.as_mut().ok_or(Error::Closed)?;
        let rows = Rows::load(keys, spaces)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| f(&rows))).map_err(|_| Error::Panicked)?;
        rows.declared_all()?;
        let batch = outcome?;
        batch.check()?;
        let news = self.followers.news(batch.writes());
        spaces.apply(&batch);
        news.tell();
        Ok(())
    }
}

impl Kv for Memory {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.view()?.get(space, key)
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        self.view()?.range(space, range, limit, reverse)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(self.view()?))
    }

    fn transact(&self, keys: Vec<Key>, f: Transaction) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.run(&keys, f) })
    }

    fn follow(&self, space: Space, prefix: Bytes, told: Told) {
        self.followers.add(space, prefix, told);
    }

    fn failed(&self) -> BoxFuture<'static, Error> {
        Box::pin(std::future::pending())
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            *self.spaces.write().unwrap_or_else(PoisonError::into_inner) = None;
            Ok(())
        })
    }
}
