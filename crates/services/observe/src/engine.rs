//! The room itself, and the service that writes and sweeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base::{Bell, Clocks, Fault, News, Rng};
use door::Dispatch;
use store::Kv;
use tokio::sync::{Notify, broadcast, watch};

use crate::ingest::{self, Incoming, Queue};
use crate::metrics;
use crate::retention;
use crate::types::Group;

/// Batches that a slow tail may be behind.
const STORED_BATCHES: usize = 16;

/// What the room needs.
pub struct Options {
    /// Where everything is kept.
    pub kv: Arc<dyn Kv>,
    /// Creation dates and retention follow product time.
    pub clocks: Arc<dyn Clocks>,
    /// Ids.
    pub rng: Arc<dyn Rng>,
    /// Rung when something was handed to the outbox.
    pub bell: Arc<dyn Bell>,
    /// Asked whether a subscription's function may be invoked.
    pub dispatch: Arc<dyn Dispatch>,
}

/// The room: logs, metrics and usage. It is the platform's [`base::LogSink`] and [`base::Meter`].
pub struct Observe {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) clocks: Arc<dyn Clocks>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) bell: Arc<dyn Bell>,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) queue: Queue,
    // Shows what was stored to whoever tails; one that is too slow misses some, and is told so.
    pub(crate) stored: broadcast::Sender<Arc<Vec<Incoming>>>,
    // Events of groups with subscriptions are stored one batch after the other: what subscribers hear carries the numbers
    // that the events get.
    pub(crate) subscribed: tokio::sync::Mutex<()>,
    // Told when the first metric is stored: there is something to roll up one day.
    pub(crate) first_metric: News,
    // Whether the sweep of metrics has found none, and waits to be told of the first.
    pub(crate) no_metrics: AtomicBool,
    // Told when a retention policy is set: the sweeper computes anew what is due.
    pub(crate) retention: News,
    stop: Arc<Stop>,
}

/// A bell for each loop, and whether they have ended.
#[derive(Default)]
struct Stop {
    writer: Notify,
    sweeper: Notify,
    roller: Notify,
    ended: watch::Sender<bool>,
}

/// The background work of [`Observe`]: until it runs, nothing is stored and reads wait.
pub struct Service {
    observe: Arc<Observe>,
    // Changes when the disk is nearly full; none: it never is.
    lows: Option<watch::Receiver<u64>>,
}

impl Observe {
    /// Opens the room.
    pub fn open(options: Options) -> (Arc<Self>, Service) {
        let Options { kv, clocks, rng, bell, dispatch } = options;
        let stop = Arc::new(Stop::default());
        let observe = Arc::new(Self {
            kv,
            clocks,
            rng,
            bell,
            dispatch,
            queue: Queue::default(),
            stored: broadcast::Sender::new(STORED_BATCHES),
            subscribed: tokio::sync::Mutex::default(),
            no_metrics: AtomicBool::new(false),
            first_metric: News::default(),
            retention: News::default(),
            stop,
        });
        (Arc::clone(&observe), Service { observe, lows: None })
    }

    /// Stores what waits and ends the service. Returns when it has ended, at once if it ended before.
    pub async fn drain(&self) {
        self.stop.writer.notify_one();
        self.stop.sweeper.notify_one();
        self.stop.roller.notify_one();
        // The sender lives as long as the room does.
        let _ = self.stop.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// A group that was not there before.
    pub(crate) fn fresh_group(&self) -> Group {
        Group {
            generation: self.random(),
            created_ms: self.clocks.product().0,
            retention_days: None,
            tags: BTreeMap::new(),
            protected: false,
            subscriptions: BTreeMap::new(),
        }
    }

    /// A number never used before, but for a chance nobody need reckon with.
    pub(crate) fn random(&self) -> u64 {
        let mut raw = [0; 8];
        self.rng.fill(&mut raw);
        u64::from_be_bytes(raw)
    }

    /// Runs a read off the threads that serve requests: it may take as long as the disk does.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, read: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    {
        self.queue.flush().await;
        let room = Arc::clone(self);
        tokio::task::spawn_blocking(move || read(&room)).await.map_err(Fault::internal)?
    }
}

impl Service {
    /// The same, which makes room each time `lows` changes (`store::Folder::lows`): the older half of what the logs of
    /// functions span goes, whatever their retention.
    #[must_use]
    pub fn making_room(mut self, lows: watch::Receiver<u64>) -> Self {
        self.lows = Some(lows);
        self
    }

    /// Writes and sweeps until [`Observe::drain`].
    pub async fn run(mut self) {
        let (stop, lows) = (&self.observe.stop, self.lows.take());
        tokio::join!(
            ingest::run(&self.observe, &stop.writer),
            retention::run(&self.observe, &stop.sweeper, lows),
            metrics::retention::run(&self.observe, &stop.roller),
        );
    }
}

impl Drop for Service {
    // Also when it never ran, or was dropped while it ran: nobody may wait for it any more.
    fn drop(&mut self) {
        self.observe.queue.close();
        self.observe.stop.ended.send_replace(true);
    }
}
