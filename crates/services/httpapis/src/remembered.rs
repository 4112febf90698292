//! APIs as they were last read, made ready: every request needs one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Fault;
use store::{Kv, Space};

use crate::limits;

/// What was made of the rows below one prefix, by the id behind it. A row that changes is forgotten.
pub(crate) struct Remembered<T> {
    prefix: &'static str,
    known: Mutex<Known<T>>,
}

struct Known<T> {
    // Changes with every row that changes: what was read before is not remembered then.
    epoch: u64,
    by_id: HashMap<String, T>,
}

impl<T: Clone + Send + 'static> Remembered<T> {
    /// Remembers nothing yet, and hears of what changes.
    pub(crate) fn following(kv: &dyn Kv, prefix: &'static str) -> Arc<Self> {
        let known = Mutex::new(Known { epoch: 0, by_id: HashMap::new() });
        let remembered = Arc::new(Self { prefix, known });
        let forgetting = Arc::downgrade(&remembered);
        kv.follow(
            Space::Control,
            prefix.into(),
            Box::new(move |rows| {
                let Some(remembered) = forgetting.upgrade() else { return false };
                remembered.forget(rows);
                true
            }),
        );
        remembered
    }

    fn lock(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, rows: &[(bytes::Bytes, bool)]) {
        let mut known = self.lock();
        known.epoch += 1;
        for (row, _) in rows {
            let id = row.strip_prefix(self.prefix.as_bytes()).and_then(|id| std::str::from_utf8(id).ok());
            if let Some(id) = id {
                known.by_id.remove(id);
            }
        }
    }

    /// What is remembered of an id, else what `read` makes of it, if that is anything.
    ///
    /// # Errors
    /// What `read` says.
    pub(crate) fn find(&self, id: &str, read: impl FnOnce() -> Result<Option<T>, Fault>) -> Result<Option<T>, Fault> {
        let epoch = {
            let known = self.lock();
            if let Some(live) = known.by_id.get(id) {
                return Ok(Some(live.clone()));
            }
            known.epoch
        };
        let Some(live) = read()? else { return Ok(None) };
        let mut known = self.lock();
        if known.epoch == epoch {
            if known.by_id.len() >= limits::REMEMBERED {
                known.by_id.clear();
            }
            known.by_id.insert(id.to_owned(), live.clone());
        }
        Ok(Some(live))
    }
}
