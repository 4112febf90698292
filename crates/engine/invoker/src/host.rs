//! What this machine can carry: how many environments live, and how many start at once.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// The machine's room. INIT storms wait here in order, so that a hundred cold functions finish one after another instead
/// of all late.
#[derive(Debug)]
pub(crate) struct Host {
    starts: Arc<Semaphore>,
    line: Arc<Semaphore>,
    taken: Mutex<Taken>,
    // Rung whenever room is given back.
    freed: Notify,
    // How many environments live, for those who show it.
    live: watch::Sender<usize>,
    max_environments: usize,
    max_memory_mb: u64,
}

#[derive(Debug, Default)]
struct Taken {
    environments: usize,
    memory_mb: u64,
}

/// The right to launch one environment and run its INIT.
#[derive(Debug)]
pub(crate) struct Place {
    /// Held until INIT has ended.
    pub(crate) start: OwnedSemaphorePermit,
    /// Held as long as the environment lives.
    pub(crate) room: Room,
}

/// One environment's share of the machine, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    host: Arc<Host>,
    memory_mb: u64,
}

impl Host {
    pub(crate) fn new(starts: usize, waiting: usize, max_environments: usize, max_memory_mb: u64) -> Arc<Self> {
        Arc::new(Self {
            starts: Arc::new(Semaphore::new(starts.max(1))),
            line: Arc::new(Semaphore::new(waiting.min(Semaphore::MAX_PERMITS))),
            taken: Mutex::default(),
            freed: Notify::new(),
            live: watch::Sender::new(0),
            max_environments,
            max_memory_mb,
        })
    }

    /// A place in the line of those who wait for an environment; none when the line is full.
    pub(crate) fn queue(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.line).try_acquire_owned().ok()
    }

    /// Waits for a start and for room. `evict` ends one idle environment of whichever function used it least recently,
    /// and says whether there was one.
    pub(crate) async fn place(self: &Arc<Self>, memory_mb: u32, evict: impl Fn() -> bool) -> Place {
        let start = Arc::clone(&self.starts).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            // Enrolled before looking, so that room freed in between is not missed.
            let freed = self.freed.notified();
            if let Some(room) = self.take(memory_mb) {
                return Place { start, room };
            }
            if !evict() {
                freed.await;
            }
        }
    }

    fn take(self: &Arc<Self>, memory_mb: u32) -> Option<Room> {
        let memory_mb = u64::from(memory_mb);
        let mut taken = self.taken.lock().expect("no code panics while holding it");
        let fits = taken.environments < self.max_environments && taken.memory_mb + memory_mb <= self.max_memory_mb;
        if !fits && taken.environments > 0 {
            return None;
        }
        taken.environments += 1;
        taken.memory_mb += memory_mb;
        self.live.send_replace(taken.environments);
        Some(Room { host: Arc::clone(self), memory_mb })
    }

    /// The number of live environments, those in launch included, and word of every change.
    pub(crate) fn live(&self) -> watch::Receiver<usize> {
        self.live.subscribe()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.host.taken.lock().expect("no code panics while holding it");
        taken.environments -= 1;
        taken.memory_mb -= self.memory_mb;
        self.host.live.send_replace(taken.environments);
        drop(taken);
        self.host.freed.notify_waiters();
    }
}
