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
    waiting: Arc<Mutex<Waiting>>,
    clocks: Arc<dyn Clocks>,
}

/// Who waits for which key.
#[derive(Default)]
struct Waiting {
    keys: HashMap<String, Vec<oneshot::Sender<Turn>>>,
    // Waiters that came since those who had gone were last cleared away, and how many were left then: to clear once in so
    // many costs each waiter the same, however many keys there are.
    came: usize,
    left: usize,
}

/// Waiters that may have gone and still be held, besides as many as there are.
const GONE: usize = 64;

impl Waiting {
    fn add(&mut self, key: &str, ring: oneshot::Sender<Turn>) {
        if self.came > self.left + GONE {
            self.keys.retain(|_, waiting| {
                waiting.retain(|waiter| !waiter.is_closed());
                !waiting.is_empty()
            });
            self.left = self.keys.values().map(Vec::len).sum();
            self.came = 0;
        }
        self.came += 1;
        match self.keys.get_mut(key) {
            Some(waiting) => waiting.push(ring),
            None => drop(self.keys.insert(key.to_owned(), vec![ring])),
        }
    }
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
        Self { waiting: Arc::default(), clocks }
    }
}

impl Bell for LocalBell {
    fn ring(&self, key: &str) {
        let waiting = self.waiting.lock().expect("no code panics while holding it").keys.remove(key);
        for waiter in waiting.into_iter().flatten() {
            // Whoever has gone meanwhile leaves the turn to be dropped.
            drop(waiter.send(self.clocks.turn()));
        }
    }

    fn news(&self, key: &str) -> BoxFuture<'static, Turn> {
        let (ring, rung) = oneshot::channel();
        self.waiting.lock().expect("no code panics while holding it").add(key, ring);
        Box::pin(async move {
            match rung.await {
                Ok(turn) => turn,
                // The bell is gone: it rings no more.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_went_away_is_cleared_away_and_who_waits_is_not() {
        let bell = LocalBell::new();
        let kept: Vec<_> = (0..10).map(|n| bell.wait(&format!("kept {n}"))).collect();
        for n in 0..10_000 {
            drop(bell.wait(&format!("gone {n}")));
        }
        let held: usize = bell.waiting.lock().unwrap().keys.values().map(Vec::len).sum();
        assert!(held <= 2 * 10 + 2 * GONE, "{held} are held");
        for n in 0..10 {
            bell.ring(&format!("kept {n}"));
        }
        for waiter in kept {
            waiter.await;
        }
    }
}
