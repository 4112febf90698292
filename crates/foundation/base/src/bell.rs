use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::BoxFuture;

/// Ring a key, and whoever waits for that key wakes. This is why nothing polls.
///
/// A ring may be lost between nodes, so it only ever says "look again": the row in the store is the truth.
/// A waiter must therefore call [`Bell::wait`] first, look at the row second, and await the future third.
pub trait Bell: Send + Sync {
    /// Wakes everyone who waits for `key`.
    fn ring(&self, key: &str);
    /// Completes at the next ring of `key` after this call, not after the first poll.
    fn wait(&self, key: &str) -> BoxFuture<'static, ()>;
}

/// The bell of a single node.
#[derive(Debug, Default, Clone)]
pub struct LocalBell {
    // Keys somebody waits for; an entry goes when its last waiter has gone.
    keys: Arc<Mutex<HashMap<String, Arc<Notify>>>>,
}

impl LocalBell {
    /// A bell nobody waits for yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Bell for LocalBell {
    fn ring(&self, key: &str) {
        let waiting = self.keys.lock().expect("no code panics while holding it").remove(key);
        if let Some(notify) = waiting {
            notify.notify_waiters();
        }
    }

    fn wait(&self, key: &str) -> BoxFuture<'static, ()> {
        let mut keys = self.keys.lock().expect("no code panics while holding it");
        keys.retain(|_, notify| Arc::strong_count(notify) > 1);
        let notify = Arc::clone(keys.entry(key.to_owned()).or_default());
        // `notified_owned` is enrolled for `notify_waiters` from its creation on.
        let waiting = notify.notified_owned();
        Box::pin(waiting)
    }
}
