//! What this machine can carry: how many environments live, and how many start at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// The machine's room. INIT storms wait here in order, so that a hundred cold functions finish one after another instead
/// of all late.
#[derive(Debug)]
pub(crate) struct Host {
    starts: Arc<Semaphore>,
    // Of those who wait for a start, how many may have room already.
    ahead: Arc<Semaphore>,
    line: Arc<Semaphore>,
    // How many may stand in it.
    longest_line: usize,
    taken: Mutex<Taken>,
    // Rung whenever room is given back, or may be had by ending an environment that became idle.
    freed: Notify,
    // How many wait for that.
    wanting: AtomicUsize,
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
    pub(crate) start: Start,
    /// Held as long as the environment lives.
    pub(crate) room: Room,
}

/// One of the starts that may go on at once.
#[derive(Debug)]
pub(crate) struct Start {
    _of_host: OwnedSemaphorePermit,
    _of_pool: OwnedSemaphorePermit,
}

/// One environment's share of the machine, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    host: Arc<Host>,
    memory_mb: u64,
}

impl Host {
    pub(crate) fn new(starts: usize, waiting: usize, max_environments: usize, max_memory_mb: u64) -> Arc<Self> {
        let longest_line = waiting.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            starts: Arc::new(Semaphore::new(starts.max(1))),
            ahead: Arc::new(Semaphore::new(starts.max(1))),
            line: Arc::new(Semaphore::new(longest_line)),
            longest_line,
            taken: Mutex::default(),
            freed: Notify::new(),
            wanting: AtomicUsize::new(0),
            live: watch::Sender::new(0),
            max_environments,
            max_memory_mb,
        })
    }

    /// A place in the line of those who wait for an environment; none when the line is full.
    pub(crate) fn queue(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.line).try_acquire_owned().ok()
    }

    /// How many stand in that line.
    pub(crate) fn waiting(&self) -> usize {
        self.longest_line.saturating_sub(self.line.available_permits())
    }

    /// Waits for a start and for room. `evict` ends one idle environment of whichever function used it least recently,
    /// and says whether there was one.
    ///
    /// `pool` is the function version's own semaphore, with as many permits as there are starts: a version stands in the
    /// common line at most that often, so that a burst of one does not hold up the first call of another.
    pub(crate) async fn place(
        self: &Arc<Self>,
        pool: &Arc<Semaphore>,
        memory_mb: u32,
        evict: impl Fn() -> bool,
    ) -> Place {
        let of_pool = Arc::clone(pool).acquire_owned().await.expect("the semaphore is never closed");
        // Room first: who waits for much of it must not keep a start from those who need little.
        let (room, _ahead) = self.room(memory_mb, evict).await;
        let of_host = Arc::clone(&self.starts).acquire_owned().await.expect("the semaphore is never closed");
        Place { start: Start { _of_host: of_host, _of_pool: of_pool }, room }
    }

    /// Waits for room, and for one of the places of those who have room and no start yet: what does not start soon must not end
    /// what others keep.
    async fn room(self: &Arc<Self>, memory_mb: u32, evict: impl Fn() -> bool) -> (Room, OwnedSemaphorePermit) {
        let _wanting = Wanting::begin(&self.wanting);
        loop {
            // Enrolled before looking, so that room freed in between is not missed.
            let freed = self.freed.notified();
            let ahead = Arc::clone(&self.ahead).acquire_owned().await.expect("the semaphore is never closed");
            if let Some(room) = self.take(memory_mb) {
                return (room, ahead);
            }
            if !evict() {
                drop(ahead);
                freed.await;
            }
        }
    }

    /// An environment became idle: who waits for room may end it.
    pub(crate) fn idled(&self) {
        if self.wanting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }

    /// Whether there is room for an environment now.
    pub(crate) fn fits(&self, memory_mb: u32) -> bool {
        let taken = self.taken.lock().expect("no code panics while holding it");
        self.fits_beside(&taken, u64::from(memory_mb))
    }

    fn fits_beside(&self, taken: &Taken, memory_mb: u64) -> bool {
        let fits = taken.environments < self.max_environments && taken.memory_mb + memory_mb <= self.max_memory_mb;
        // One may always live.
        fits || taken.environments == 0
    }

    fn take(self: &Arc<Self>, memory_mb: u32) -> Option<Room> {
        let memory_mb = u64::from(memory_mb);
        let mut taken = self.taken.lock().expect("no code panics while holding it");
        if !self.fits_beside(&taken, memory_mb) {
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

/// Counts one who waits for room.
struct Wanting<'a>(&'a AtomicUsize);

impl<'a> Wanting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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
