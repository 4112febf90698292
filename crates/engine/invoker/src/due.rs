//! Which pool is to be looked at when: one entry for each, however often it is used, so that nothing ticks when nothing is due.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::pool::Pool;

/// Pools in the order of their moments, by whichever clock.
pub(crate) struct Due<T>(Mutex<Entries<T>>);

struct Entries<T> {
    // The number tells entries of one moment apart.
    by_time: BTreeMap<(T, u64), Weak<Pool>>,
    next: u64,
}

impl<T: Ord + Copy> Default for Due<T> {
    fn default() -> Self {
        Self(Mutex::new(Entries { by_time: BTreeMap::new(), next: 0 }))
    }
}

impl<T: Ord + Copy> Due<T> {
    /// Has `pool` looked at then; says whether that is before all others.
    pub(crate) fn add(&self, pool: &Arc<Pool>, at: T) -> bool {
        let mut entries = self.lock();
        let key = (at, entries.next);
        entries.next += 1;
        entries.by_time.insert(key, Arc::downgrade(pool));
        entries.by_time.first_key_value().is_some_and(|(first, _)| *first == key)
    }

    /// The first moment.
    pub(crate) fn first(&self) -> Option<T> {
        self.lock().by_time.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out the first that is due, if it is still there.
    pub(crate) fn pop(&self, now: T) -> Option<Arc<Pool>> {
        loop {
            let first = {
                let mut entries = self.lock();
                let first = entries.by_time.first_entry()?;
                (first.key().0 <= now).then(|| first.remove())?
            };
            if let Some(pool) = first.upgrade() {
                return Some(pool);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.0.lock().expect("no code panics while holding it")
    }
}
