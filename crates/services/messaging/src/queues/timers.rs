//! What happens to messages by itself, when its time comes: they become visible, or too old.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use base::{Clocks, News, Timestamp, Turn};

use super::engine::Queues;
use super::queue::Queue;

/// How long a queue rests whose work failed, ms.
const REST_MS: i64 = 1000;

/// Which queue has something to do when. A queue that nobody has used since the start has nothing: whoever uses it
/// finds it as if it had been done in time.
#[derive(Default)]
pub(crate) struct Timers {
    // By moment and the queue's address: a queue stands here once.
    due: Mutex<BTreeMap<(i64, usize), Weak<Queue>>>,
    news: News,
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(i64, usize), Weak<Queue>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is due in a queue at this moment, or later.
    pub(crate) fn enrol(&self, queue: &Arc<Queue>, at: Timestamp, clocks: &dyn Clocks) {
        if queue.enrolled.load(Ordering::Relaxed) <= at.0 {
            return;
        }
        let address = Arc::as_ptr(queue).addr();
        let mut due = self.lock();
        let before = queue.enrolled.load(Ordering::Relaxed);
        if before <= at.0 {
            return;
        }
        due.remove(&(before, address));
        queue.enrolled.store(at.0, Ordering::Relaxed);
        let is_first = due.keys().next().is_none_or(|(first, _)| at.0 < *first);
        due.insert((at.0, address), Arc::downgrade(queue));
        drop(due);
        if is_first {
            self.news.tell(clocks);
        }
    }

    /// The queues in which something is due by now, and when the next one is.
    fn take(&self, now: i64) -> (Vec<Arc<Queue>>, Option<i64>) {
        let mut due = self.lock();
        let later = due.split_off(&(now.saturating_add(1), 0));
        let next = later.keys().next().map(|(at, _)| *at);
        let now_due = std::mem::replace(&mut *due, later);
        let queues: Vec<_> = now_due.into_values().filter_map(|queue| queue.upgrade()).collect();
        for queue in &queues {
            queue.enrolled.store(i64::MAX, Ordering::Relaxed);
        }
        (queues, next)
    }
}

/// The part that runs beside the calls.
pub struct Service {
    queues: Arc<Queues>,
}

impl Service {
    pub(crate) fn new(queues: Arc<Queues>) -> Self {
        Self { queues }
    }

    /// Runs until it is dropped; nothing is lost then.
    pub async fn run(self) {
        let room = &self.queues;
        if let Err(fault) = room.take_up_tasks() {
            tracing::error!(%fault, "tasks that move messages cannot be taken up");
        }
        let mut turn = Turn::default();
        loop {
            let now = room.now();
            let (due, next) = room.timers.take(now);
            for queue in &due {
                if let Err(fault) = room.do_what_is_due(queue).await
                    && fault.code != "AWS.SimpleQueueService.NonExistentQueue"
                {
                    tracing::error!(%fault, queue = queue.arn, "what was due in a queue failed; it will be done again");
                    room.timers.enrol(queue, Timestamp(now + REST_MS), &*room.clocks);
                }
            }
            if !due.is_empty() {
                continue;
            }
            let reached = next.map(|at| room.clocks.product_reaches(Timestamp(at)));
            drop(turn);
            turn = match reached {
                None => room.timers.news.heard().await,
                Some(reached) => tokio::select! {
                    turn = reached => turn.called("the loop of queues"),
                    turn = room.timers.news.heard() => turn,
                },
            };
        }
    }
}

impl Queues {
    async fn do_what_is_due(self: &Arc<Self>, queue: &Arc<Queue>) -> Result<(), base::Fault> {
        let (_inside, settings) = queue.enter(self).await?;
        let now = self.now();
        self.expire(queue, &settings).await?;
        let available = queue.with(|index| {
            index.advance(now);
            index.has_ripened()
        });
        if available == Some(true) {
            self.wake(queue);
        }
        self.enrol_after(queue, &settings, now);
        Ok(())
    }

    /// As [`Queues::enrol`], and not for what is due by now already: it is under way.
    fn enrol_after(&self, queue: &Arc<Queue>, settings: &super::queue::Settings, now: i64) {
        let retention_ms = settings.definition.attributes.retention_ms();
        let due = queue.with(|index| {
            let ends = index.oldest_ms().map(|oldest| oldest.saturating_add(retention_ms));
            index.next_due().into_iter().chain(ends).min()
        });
        if let Some(due) = due.flatten() {
            let at = if due <= now { now + REST_MS } else { due };
            self.timers.enrol(queue, Timestamp(at), &*self.clocks);
        }
    }
}
