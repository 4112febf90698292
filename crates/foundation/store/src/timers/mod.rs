//! Timers: rows in the order they fall due, the nearest of them in memory, and one loop that waits for the first.
//!
//! A service puts or removes a timer in the same batch as the change it belongs to; the store tells the loop of it once it
//! is durable ([`Kv::follow`]). What is due is handed to its owner, whose own transaction removes the row or puts another in
//! its place: a timer whose owner was cut off is handed over again after the next start.
//!
//! Memory is bounded however many timers there are: each owner's nearest [`MOST`] are held, the rest stay on the disk until
//! their time comes. Fired rows leave traces in the engine for a while; no reader passes them, since it begins where the
//! last one ended.

mod wheel;

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{BoxFuture, Clocks, Fault, News, Timestamp, Turn};
use bytes::Bytes;

use crate::{Batch, Error, Kv, Range, Space};
use wheel::{Lane, Loading, Next, Wheel};

/// Timers of one owner in memory, those under way not counted.
pub const MOST: usize = 4096;
/// Rows read at a time.
const PAGE: usize = 256;
/// How long a timer rests whose owner failed, ms.
const REST_MS: i64 = 1_000;

/// Where one owner's timers stand: `PREFIX`, the due moment as 16 hexadecimal digits, `/`, and an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The keyspace.
    pub space: Space,
    /// The owner's own, with a `/` at its end.
    pub prefix: &'static str,
}

impl Place {
    /// In [`Space::Timer`]. The prefix ends in `/`.
    #[must_use]
    pub const fn under(prefix: &'static str) -> Self {
        Self { space: Space::Timer, prefix }
    }

    /// The key of a timer. Moments before 1970 are that year's first.
    #[must_use]
    pub fn key(&self, due: Timestamp, id: &str) -> Bytes {
        format!("{}{:016x}/{id}", self.prefix, due.0.max(0)).into()
    }

    /// Due moment and id of a key; none if it is not one of these.
    #[must_use]
    pub fn read<'a>(&self, key: &'a [u8]) -> Option<(Timestamp, &'a str)> {
        let (due, id) = std::str::from_utf8(key).ok()?.strip_prefix(self.prefix)?.split_once('/')?;
        if due.len() != 16 {
            return None;
        }
        Some((Timestamp(i64::from_str_radix(due, 16).ok()?), id))
    }

    /// Sets a timer. Its owner's ids are unique for each moment.
    pub fn put(&self, batch: &mut Batch, due: Timestamp, id: &str, value: impl Into<Bytes>) {
        batch.put(self.space, self.key(due, id), value);
    }

    /// Takes a timer away.
    pub fn remove(&self, batch: &mut Batch, due: Timestamp, id: &str) {
        batch.delete(self.space, self.key(due, id));
    }
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Since when.
    pub due: Timestamp,
    /// Which.
    pub id: String,
    /// What was put with it.
    pub value: Bytes,
}

/// Whoever is told what is due.
pub trait Owner: Send + Sync + 'static {
    /// Does what is due. Before it ends, a transaction of its own must have removed the row or put it to a later time: at
    /// least once, so it must bear to be told again. The turn goes along with work that outlasts this future.
    ///
    /// # Errors
    /// Any: it is told again after a second.
    fn due(self: Arc<Self>, timer: Timer, turn: Turn) -> BoxFuture<'static, Result<(), Fault>>;

    /// How many may be under way at once; with one, they are done in order.
    fn at_once(&self) -> usize {
        1
    }

    /// To which part of the owner's work a timer belongs, and how many of that part may be under way at once: a slow part
    /// must not hold up the others.
    fn share<'a>(&self, _id: &'a str) -> Option<(&'a str, usize)> {
        None
    }
}

/// The loop over all timers of a node.
pub struct Timers {
    kv: Arc<dyn Kv>,
    clocks: Arc<dyn Clocks>,
    owners: Vec<(Place, Arc<dyn Owner>)>,
    shared: Arc<Shared>,
}

struct Shared {
    wheel: Mutex<Wheel>,
    // Told when a timer came that is due before all others of its owner, or when one has ended.
    news: News,
    clocks: Arc<dyn Clocks>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wheel> {
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, lane: usize, changes: &[(Bytes, bool)]) {
        let mut wheel = self.lock();
        let mut sooner = false;
        for (key, there) in changes {
            match there {
                true => sooner |= wheel.lanes[lane].insert(key.clone()),
                false => wheel.lanes[lane].remove(key),
            }
        }
        drop(wheel);
        if sooner {
            self.news.tell(&*self.clocks);
        }
    }
}

impl Timers {
    /// Over these owners. From now on it is told what is put; nothing is handed over before it runs.
    pub fn new(kv: Arc<dyn Kv>, clocks: Arc<dyn Clocks>, owners: Vec<(Place, Arc<dyn Owner>)>) -> Self {
        let lanes = owners.iter().map(|(place, owner)| Lane::new(*place, owner.at_once(), MOST)).collect();
        let shared =
            Arc::new(Shared { wheel: Mutex::new(Wheel { lanes }), news: News::default(), clocks: Arc::clone(&clocks) });
        // A clock that jumps waits until the loop has looked for the first time.
        shared.news.tell(&*clocks);
        for (lane, (place, _)) in owners.iter().enumerate() {
            let shared = Arc::downgrade(&shared);
            let told = move |changes: &[(Bytes, bool)]| match shared.upgrade() {
                Some(shared) => {
                    shared.changed(lane, changes);
                    true
                }
                None => false,
            };
            kv.follow(place.space, Bytes::from_static(place.prefix.as_bytes()), Box::new(told));
        }
        Self { kv, clocks, owners, shared }
    }

    /// Hands over what falls due, until it is dropped. What is then under way goes on by itself.
    pub async fn run(self) {
        let mut turn = self.shared.news.heard().await;
        loop {
            let next = self.shared.lock().next(self.clocks.product(), turn.is_awaited(), |lane, id| {
                self.owners[lane].1.share(id).map(|(part, most)| (part.to_owned(), most))
            });
            match next {
                Next::Due { lane, key } => self.hand_over(lane, key),
                Next::Unknown { lane, from } => {
                    let loaded = self.load(lane, from);
                    if let Err(error) = loaded {
                        tracing::error!(%error, "timers cannot be read");
                        let rested = self.clocks.product_reaches(self.clocks.product().plus_ms(REST_MS));
                        drop(turn);
                        turn = rested.await;
                    }
                }
                Next::Later(due) => {
                    let reached = due.map(|due| self.clocks.product_reaches(due));
                    drop(turn);
                    turn = match reached {
                        None => self.shared.news.heard().await,
                        Some(reached) => tokio::select! {
                            turn = reached => turn.called("the loop of timers"),
                            turn = self.shared.news.heard() => turn,
                        },
                    };
                }
            }
        }
    }

    /// Reads the next page of an owner's timers.
    fn load(&self, lane: usize, from: Bytes) -> Result<(), Error> {
        let (place, _) = &self.owners[lane];
        let mut range = Range::prefix(place.prefix);
        range.start = Bound::Included(from);
        // Whatever is written while this reads is noted, and counts afterwards.
        self.shared.lock().lanes[lane].loading = Some(Loading::default());
        let rows = self.kv.range(place.space, range, PAGE, false);
        let mut wheel = self.shared.lock();
        match rows {
            Ok(rows) => {
                let more = rows.len() == PAGE;
                wheel.lanes[lane].loaded(rows.into_iter().map(|(key, _)| key).collect(), more);
                Ok(())
            }
            Err(error) => {
                wheel.lanes[lane].loading = None;
                Err(error)
            }
        }
    }

    fn hand_over(&self, lane: usize, key: Bytes) {
        let (place, owner) = &self.owners[lane];
        let part = place.read(&key).and_then(|(_, id)| owner.share(id)).map(|(part, _)| part.to_owned());
        let mut under_way = UnderWay { shared: Arc::clone(&self.shared), lane, part, key, failed: true };
        let turn = self.clocks.turn().called(place.prefix);
        let (place, owner, kv) = (*place, Arc::clone(owner), Arc::clone(&self.kv));
        tokio::spawn(async move {
            let done = match kv.get(place.space, &under_way.key) {
                // Taken away in the meantime.
                Ok(None) => Ok(()),
                Ok(Some(value)) => match place.read(&under_way.key) {
                    Some((due, id)) => owner.due(Timer { due, id: id.to_owned(), value }, turn.clone()).await,
                    None => {
                        tracing::error!(key = %under_way.key.escape_ascii(), "a timer's row does not read; it is left where it is");
                        Ok(())
                    }
                },
                Err(error) => Err(error.into()),
            };
            if let Err(fault) = &done {
                tracing::error!(%fault, owner = place.prefix, "a timer's work failed; it will be done again");
            }
            under_way.failed = done.is_err();
            drop(under_way);
            drop(turn);
        });
    }
}

/// A timer in its owner's hands. One that breaks is handed over again too.
struct UnderWay {
    shared: Arc<Shared>,
    lane: usize,
    part: Option<String>,
    key: Bytes,
    failed: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let again = self.failed.then(|| (self.shared.clocks.product().plus_ms(REST_MS), self.key.clone()));
        self.shared.lock().lanes[self.lane].ended(self.part.as_deref(), again);
        self.shared.news.tell(&*self.shared.clocks);
    }
}
