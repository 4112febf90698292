use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{Space, Write};

/// Told of keys, each with whether its row is there now; answers whether it wants to be told again. It must be quick, and
/// must not call the store.
pub type Told = Box<dyn Fn(&[(Bytes, bool)]) -> bool + Send + Sync>;

/// Who is told of which keys.
#[derive(Default)]
pub(crate) struct Followers {
    all: Mutex<Vec<Follower>>,
}

struct Follower {
    space: Space,
    prefix: Bytes,
    told: Told,
}

/// What one group of writes means to those who follow. While it lives nobody begins to follow, so that whoever does and
/// then reads misses nothing.
pub(crate) struct News<'a> {
    all: MutexGuard<'a, Vec<Follower>>,
    keys: Vec<Vec<(Bytes, bool)>>,
}

impl Followers {
    pub(crate) fn add(&self, space: Space, prefix: Bytes, told: Told) {
        self.lock().push(Follower { space, prefix, told });
    }

    /// Takes in what is about to be written.
    pub(crate) fn news(&self, writes: &[Write]) -> News<'_> {
        let all = self.lock();
        let of = |follower: &Follower| {
            let followed = |write: &&Write| write.space == follower.space && write.key.starts_with(&follower.prefix);
            writes.iter().filter(followed).map(|write| (write.key.clone(), write.value.is_some())).collect()
        };
        let keys = all.iter().map(of).collect();
        News { all, keys }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Follower>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News<'_> {
    /// It is written.
    pub(crate) fn tell(mut self) {
        let mut keys = self.keys.into_iter();
        self.all.retain(|follower| match keys.next() {
            Some(keys) if !keys.is_empty() => (follower.told)(&keys),
            _ => true,
        });
    }
}
