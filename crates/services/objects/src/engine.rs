//! The long-lived part: [`Options`] → [`Objects`] and its [`Service`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Bell, Clocks, Fault, News, Rng};
use door::{Dispatch, Gate};
use store::{Batch, Blobs, Kv, Space};
use tokio::sync::RwLock;

use crate::content::{self, Readers, Seal};
use crate::faults;
use crate::lifecycle;
use crate::state::{self, Id};
use crate::types::Bucket;

/// Buckets that are remembered; beyond it all are forgotten.
const REMEMBERED: usize = 10_000;

/// What the platform gives this room when it starts.
pub struct Options {
    /// The rows.
    pub kv: Arc<dyn Kv>,
    /// The bytes of larger objects.
    pub blobs: Blobs,
    /// Dates of objects, retention and lifecycles follow the product clock.
    pub clocks: Arc<dyn Clocks>,
    /// Ids, salts, the platform's own key.
    pub rng: Arc<dyn Rng>,
    /// Rung when something was handed to the outbox.
    pub bell: Arc<dyn Bell>,
    /// Asked whether the targets of notifications exist.
    pub dispatch: Arc<dyn Dispatch>,
    /// Asked what a call may do besides what its operation is, and what a visitor of a website may read.
    pub gate: Arc<Gate>,
}

/// The room: carries out the operations.
pub struct Objects {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) blobs: Blobs,
    pub(crate) clocks: Arc<dyn Clocks>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) bell: Arc<dyn Bell>,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) seal: Seal,
    // Held for reading by whoever is about to name a blob in a row, for writing while one is removed.
    pub(crate) naming: Arc<RwLock<()>>,
    pub(crate) readers: Readers,
    // Told when there is something to give back.
    pub(crate) garbage: News,
    // Told when the lifecycle of a bucket changes.
    pub(crate) lifecycles: News,
    remembered: Arc<Remembered>,
}

/// Buckets as they were last read. Every call needs one, and they change seldom.
#[derive(Default)]
struct Remembered {
    buckets: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    // Changes with every bucket that changes: what was read before is not remembered then.
    epoch: u64,
    buckets: HashMap<String, Arc<Bucket>>,
}

impl Remembered {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, rows: &[(bytes::Bytes, bool)]) {
        let mut known = self.lock();
        known.epoch += 1;
        for (row, _) in rows {
            if let Some(name) =
                row.strip_prefix(state::BUCKETS.as_bytes()).and_then(|name| std::str::from_utf8(name).ok())
            {
                known.buckets.remove(name);
            }
        }
    }
}

impl Objects {
    /// Opens the room over its rows.
    ///
    /// # Errors
    /// The store's faults.
    pub async fn open(options: Options) -> Result<(Arc<Self>, Service), Fault> {
        let Options { kv, blobs, clocks, rng, bell, dispatch, gate } = options;
        let seal = Seal::new(&master(&*kv, &*rng).await?);
        let remembered = Arc::new(Remembered::default());
        let forgetting = Arc::downgrade(&remembered);
        kv.follow(
            Space::Control,
            state::BUCKETS.into(),
            Box::new(move |rows| {
                let Some(remembered) = forgetting.upgrade() else { return false };
                remembered.forget(rows);
                true
            }),
        );
        let objects = Arc::new(Self {
            kv,
            blobs,
            clocks,
            rng,
            bell,
            dispatch,
            gate,
            seal,
            naming: Arc::default(),
            readers: Readers::default(),
            garbage: News::default(),
            lifecycles: News::default(),
            remembered,
        });
        Ok((Arc::clone(&objects), Service { objects }))
    }

    /// A bucket, if it exists.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Arc<Bucket>>, Fault> {
        let epoch = {
            let known = self.remembered.lock();
            if let Some(bucket) = known.buckets.get(name) {
                return Ok(Some(Arc::clone(bucket)));
            }
            known.epoch
        };
        let Some(bucket) = state::find_bucket(&*self.kv, name)?.map(Arc::new) else { return Ok(None) };
        let mut known = self.remembered.lock();
        if known.epoch == epoch {
            if known.buckets.len() >= REMEMBERED {
                known.buckets.clear();
            }
            known.buckets.insert(name.to_owned(), Arc::clone(&bucket));
        }
        Ok(Some(bucket))
    }

    /// A bucket that a client names, together with whose it says that it is.
    ///
    /// # Errors
    /// NoSuchBucket; AccessDenied if it is another's than was expected.
    pub(crate) fn bucket(&self, name: Option<&str>, owner: Option<&str>) -> Result<Arc<Bucket>, Fault> {
        let name = name.unwrap_or_default();
        let bucket = self.find(name)?.ok_or_else(|| faults::no_bucket(name))?;
        match owner {
            Some(owner) if owner != bucket.owner => Err(faults::denied()),
            _ => Ok(bucket),
        }
    }

    /// An id never used before, but for a chance nobody need reckon with.
    pub(crate) fn id(&self) -> Id {
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        id
    }

    /// Says that there is something to give back.
    pub(crate) fn left(&self) {
        self.garbage.tell(&*self.clocks);
    }
}

/// The platform's own key, made at the first start of a folder's life.
async fn master(kv: &dyn Kv, rng: &dyn Rng) -> Result<[u8; 32], Fault> {
    let read = |kv: &dyn Kv| -> Result<Option<[u8; 32]>, Fault> {
        let Some(row) = kv.get(Space::Control, state::MASTER.as_bytes())? else { return Ok(None) };
        let key = row.as_ref().try_into().map_err(|_| Fault::internal("the key of objects is damaged"))?;
        Ok(Some(key))
    };
    if let Some(key) = read(kv)? {
        return Ok(key);
    }
    let mut key = [0; 32];
    rng.fill(&mut key);
    let write = move |_: &store::Rows| {
        let mut batch = Batch::new();
        batch.put(Space::Control, state::MASTER, key.to_vec());
        Ok(batch)
    };
    kv.transact(Vec::new(), Box::new(write)).await?;
    Ok(key)
}

/// The part that runs beside the calls: gives back what nothing names any more, and follows the lifecycles of buckets.
pub struct Service {
    objects: Arc<Objects>,
}

impl Service {
    /// Runs until it is dropped; what is cut off goes on after the next start.
    pub async fn run(self) {
        tokio::join!(content::sweep(&self.objects), lifecycle::run(&self.objects));
    }
}
