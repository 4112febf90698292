//! The room itself.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base::{Account, Arn, Bell, Clocks, Fault, Rng, Timestamp};
use door::Context;
use store::Kv;

use super::queue::{Queue, Settings};
use super::rules::name;
use super::timers::{Service, Timers};
use super::types::{Definition, QueueName};
use super::{faults, state};

/// What the room needs.
pub struct Options {
    /// Where everything is kept.
    pub kv: Arc<dyn Kv>,
    /// Delays, visibility and retention follow product time; who waits for messages waits by the transport clock.
    pub clocks: Arc<dyn Clocks>,
    /// Ids and receipts.
    pub rng: Arc<dyn Rng>,
    /// Rung as `sqs:{queue arn}` when a message may have become receivable.
    pub bell: Arc<dyn Bell>,
    /// Where clients reach the platform, for the URLs of queues that rooms ask for: `localhost:4566`.
    pub authority: String,
    /// How: `http` or `https`.
    pub scheme: &'static str,
}

/// The room: queues and their messages.
pub struct Queues {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) clocks: Arc<dyn Clocks>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) bell: Arc<dyn Bell>,
    pub(crate) timers: Timers,
    authority: String,
    scheme: &'static str,
    // Queues that were used since the start.
    known: RwLock<Known>,
    /// Held by whoever changes queues as wholes.
    pub(crate) control: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    queues: HashMap<QueueName, Arc<Queue>>,
    // Changes with every deletion: what was read before is not remembered then.
    epoch: u64,
}

impl Queues {
    /// Opens the room over its rows.
    pub fn open(options: Options) -> (Arc<Self>, Service) {
        let Options { kv, clocks, rng, bell, authority, scheme } = options;
        let queues = Arc::new(Self {
            kv,
            clocks,
            rng,
            bell,
            timers: Timers::default(),
            authority,
            scheme,
            known: RwLock::default(),
            control: tokio::sync::Mutex::default(),
        });
        (Arc::clone(&queues), Service::new(queues))
    }

    pub(crate) fn now(&self) -> i64 {
        self.clocks.product().0
    }

    /// A number never used before, but for a chance nobody need reckon with. Not 0.
    pub(crate) fn random(&self) -> u64 {
        let mut raw = [0; 8];
        self.rng.fill(&mut raw);
        u64::from_be_bytes(raw).max(1)
    }

    /// A queue, if it exists.
    pub(crate) fn find(&self, name: &QueueName) -> Result<Option<Arc<Queue>>, Fault> {
        let epoch = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(queue) = known.queues.get(name) {
                return Ok(Some(Arc::clone(queue)));
            }
            known.epoch
        };
        let Some(definition) = state::find(&*self.kv, name)? else { return Ok(None) };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != epoch {
            // Something was deleted while this was read.
            return Ok(known.queues.get(name).cloned());
        }
        let queue = known.queues.entry(name.clone()).or_insert_with(|| Queue::new(name.clone(), definition));
        Ok(Some(Arc::clone(queue)))
    }

    /// A queue was deleted.
    pub(crate) fn forget(&self, name: &QueueName) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.epoch += 1;
        known.queues.remove(name);
    }

    /// A queue was made or changed.
    pub(crate) fn remember(&self, name: &QueueName, definition: Definition) -> Arc<Queue> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match known.queues.get(name) {
            Some(queue) => {
                queue.change(definition);
                Arc::clone(queue)
            }
            None => {
                let queue = Queue::new(name.clone(), definition);
                known.queues.insert(name.clone(), Arc::clone(&queue));
                queue
            }
        }
    }

    /// The queue that a URL names.
    ///
    /// # Errors
    /// InvalidAddress, NonExistentQueue.
    pub(crate) fn at(&self, context: &Context, url: Option<&str>) -> Result<Arc<Queue>, Fault> {
        let (account, name) = name::of_url(url.unwrap_or_default())?;
        let name = QueueName { account, region: context.region.clone(), name: name.to_owned() };
        self.find(&name)?.ok_or_else(faults::no_queue)
    }

    /// The queue of the caller's own account that a URL names.
    ///
    /// # Errors
    /// InvalidAddress, NonExistentQueue, AccessDenied.
    pub(crate) fn own(&self, context: &Context, url: Option<&str>) -> Result<Arc<Queue>, Fault> {
        let queue = self.at(context, url)?;
        if queue.name.account == context.account {
            return Ok(queue);
        }
        Err(faults::not_yours(url.unwrap_or_default()))
    }

    /// The queue with this ARN, if it exists.
    pub(crate) fn by_arn(&self, arn: &str) -> Result<Option<Arc<Queue>>, Fault> {
        let name = arn.parse::<Arn>().ok().and_then(|arn| {
            let (account, region): (Account, _) = (arn.account.parse().ok()?, arn.region.parse().ok()?);
            (arn.service == "sqs").then_some(QueueName { account, region, name: arn.resource })
        });
        name.map_or(Ok(None), |name| self.find(&name))
    }

    /// A queue's URL, as the caller can use it.
    pub(crate) fn url(&self, context: &Context, name: &QueueName) -> String {
        let host = context.host.as_deref().unwrap_or(&self.authority);
        let scheme = if context.origin.tls { "https" } else { self.scheme };
        // Whoever came without TLS was let in without.
        let scheme = if context.host.is_some() && !context.origin.tls { "http" } else { scheme };
        format!("{scheme}://{host}/{}/{}", name.account, name.name)
    }

    /// Tells whoever waits at a queue that a message may have become receivable.
    pub(crate) fn wake(&self, queue: &Queue) {
        queue.arrivals.notify_one();
        self.bell.ring(&queue.bell);
    }

    /// Sees to it that what is due by itself in a queue is done in time.
    pub(crate) fn enrol(&self, queue: &Arc<Queue>, settings: &Settings) {
        let retention_ms = settings.definition.attributes.retention_ms();
        let due = queue.with(|index| {
            let ends = index.oldest_ms().map(|oldest| oldest.saturating_add(retention_ms));
            index.next_due().into_iter().chain(ends).min()
        });
        if let Some(due) = due.flatten() {
            self.timers.enrol(queue, Timestamp(due), &*self.clocks);
        }
    }
}
