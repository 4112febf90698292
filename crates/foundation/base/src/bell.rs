use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::{BoxFuture, Clocks, SystemClocks, Turn};

/// Ring a key, and whoever waits for that key wakes. This is why nothing polls.
///
/// A ring may be lost between nodes, so it only ever says "look again": the row in the store is the truth.
/// A waiter must therefore call [`Bell::wait`] first, look at the row second, and await the future third.
pub trait Bell: Send + Sync {
    /// Wakes everyone who waits for `key`.
    fn ring(&self, key: &str);
    /// [`Bell::wait`] for those whose work the product clock waits for: each is given a turn, from the ring on.
    fn news(&self, key: &str) -> BoxFuture<'static, Turn>;
    /// Completes at the next ring of `key` after this call, not after the first poll.
    fn wait(&self, key: &str) -> BoxFuture<'static, ()> {
        let news = self.news(key);
        Box::pin(async move { drop(news.await) })
    }
}

/// The bell of a single node.
#[derive(Clone)]
pub struct LocalBell {
    // Keys somebody waits for; an entry goes when its last waiter has gone.
    keys: Arc<Mutex<HashMap<String, Vec<oneshot::Sender<Turn>>>>>,
    clocks: Arc<dyn Clocks>,
}

impl Default for LocalBell {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalBell {
    /// A bell nobody waits for yet.
    pub fn new() -> Self {
        Self::over(Arc::new(SystemClocks))
    }

    /// The same, whose rings give turns of these clocks.
    pub fn over(clocks: Arc<dyn Clocks>) -> Self {
        Self { keys: Arc::default(), clocks }
    }
}

impl Bell for LocalBell {
    fn ring(&self, key: &str) {
        let waiting = self.keys.lock().expect("no code panics while holding it").remove(key);
        for waiter in waiting.into_iter().flatten() {
            // Whoever has gone meanwhile leaves the turn to be dropped.
            drop(waiter.send(self.clocks.turn()));
        }
    }

    fn news(&self, key: &str) -> BoxFuture<'static, Turn> {
        let (ring, rung) = oneshot::channel();
        let mut keys = self.keys.lock().expect("no code panics while holding it");
        keys.retain(|_, waiting| {
            waiting.retain(|waiter| !waiter.is_closed());
            !waiting.is_empty()
        });
        keys.entry(key.to_owned()).or_default().push(ring);
        Box::pin(async move {
            match rung.await {
                Ok(turn) => turn,
                // The bell is gone: it rings no more.
                Err(_) => std::future::pending().await,
            }
        })
    }
}
