//! Tasks that move what lies in a dead-letter queue to where it came from, or elsewhere.
//!
//! A task is a row in [`store::Space::Control`], `sqs/task/<queue id>/<start>`, JSON. One that was cut off goes on after the next start.

use std::sync::Arc;

use base::{Fault, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Batch, Range, Space};

use super::engine::Queues;
use super::index::Want;
use super::queue::{Queue, Settings};
use super::rules::redrive::Redrive;
use super::rules::stored::Stored;
use super::state;
use super::types::QueueName;

/// The prefix of all tasks.
const TASKS: &str = "sqs/task/";
/// Tasks of a queue that are remembered.
pub(crate) const REMEMBERED: usize = 10;
/// Messages moved at a time by a task that is told no rate.
const AT_ONCE: u32 = 50;
/// Messages after which a task says how far it is.
const SAID_AFTER: u64 = 100;

/// How a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    #[serde(rename = "RUNNING")]
    Running,
    #[serde(rename = "COMPLETED")]
    Completed,
    #[serde(rename = "CANCELLING")]
    Cancelling,
    #[serde(rename = "CANCELLED")]
    Cancelled,
    #[serde(rename = "FAILED")]
    Failed,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) source: String,
    /// None: each message goes where it came from.
    pub(crate) destination: Option<String>,
    /// Messages a second.
    pub(crate) rate: Option<u32>,
    pub(crate) status: Status,
    pub(crate) moved: u64,
    pub(crate) to_move: u64,
    pub(crate) started_ms: i64,
    pub(crate) failure: Option<String>,
}

fn tasks_of(queue: u64) -> String {
    format!("{TASKS}{queue:016x}/")
}

fn row(queue: u64, task: &Task) -> String {
    format!("{}{:016x}", tasks_of(queue), task.started_ms.max(0))
}

impl Queues {
    /// The last tasks of a queue, newest first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn tasks(&self, queue: u64) -> Result<Vec<Task>, Fault> {
        let rows = self.kv.range(Space::Control, Range::prefix(tasks_of(queue)), REMEMBERED, true)?;
        let read = |(key, value): (bytes::Bytes, bytes::Bytes)| {
            serde_json::from_slice(&value).map_err(|_| Fault::from(state::damaged(&key)))
        };
        rows.into_iter().map(read).collect()
    }

    /// The names of the queues that send their dead letters here.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn sources_of(&self, queue: &Queue) -> Result<Vec<QueueName>, Fault> {
        let mut range = Range::prefix(state::queues_of(queue.name.account, &queue.name.region));
        let mut sources = Vec::new();
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), 256, false)?;
            let Some((last, _)) = rows.last() else { return Ok(sources) };
            range = range.after(last.clone());
            for (key, value) in &rows {
                let definition: super::types::Definition =
                    serde_json::from_slice(value).map_err(|_| Fault::from(state::damaged(key)))?;
                let redrive = definition.attributes.redrive.as_deref().and_then(|policy| Redrive::read(policy).ok());
                if redrive.is_some_and(|redrive| redrive.target == queue.arn) {
                    let name = key.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                    sources.push(QueueName { name: String::from_utf8_lossy(name).into_owned(), ..queue.name.clone() });
                }
            }
        }
    }

    /// Writes a task down, and takes away what is older than the last ones.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn keep_task(&self, queue: u64, task: &Task) -> Result<(), Fault> {
        let rows = self.kv.range(Space::Control, Range::prefix(tasks_of(queue)), 2 * REMEMBERED, true)?;
        let old: Vec<_> = rows.into_iter().skip(REMEMBERED).map(|(key, _)| key).collect();
        let (row, task) = (row(queue, task), task.clone());
        let write = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.put_json(Space::Control, row.clone(), &task)?;
            for key in &old {
                batch.delete(Space::Control, key.clone());
            }
            Ok(batch)
        };
        Ok(self.kv.transact(Vec::new(), Box::new(write)).await?)
    }

    /// Takes up the tasks that were cut off.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn take_up_tasks(self: &Arc<Self>) -> Result<(), Fault> {
        let mut range = Range::prefix(TASKS);
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), 256, false)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = range.after(last.clone());
            for (key, value) in &rows {
                let task: Task = serde_json::from_slice(value).map_err(|_| Fault::from(state::damaged(key)))?;
                if matches!(task.status, Status::Running | Status::Cancelling)
                    && let Some(queue) = self.by_arn(&task.source)?
                {
                    self.work_on(queue, task);
                }
            }
        }
    }

    /// Moves messages until all are moved that were there at the start, or the task is cancelled.
    pub(crate) fn work_on(self: &Arc<Self>, queue: Arc<Queue>, mut task: Task) {
        let room = Arc::clone(self);
        tokio::spawn(async move {
            let id = queue.settings().definition.id;
            let outcome = room.move_all(&queue, id, &mut task).await;
            match outcome {
                Ok(status) => task.status = status,
                Err(fault) => {
                    task.status = Status::Failed;
                    task.failure = Some(format!("{}: {}", fault.code, fault.message));
                }
            }
            if let Err(fault) = room.keep_task(id, &task).await {
                tracing::error!(%fault, queue = queue.arn, "the end of a move task cannot be written down");
            }
        });
    }

    async fn move_all(self: &Arc<Self>, queue: &Arc<Queue>, id: u64, task: &mut Task) -> Result<Status, Fault> {
        let mut said = task.moved;
        loop {
            let asked = self.tasks(id)?.into_iter().find(|one| one.id == task.id);
            if asked.is_none_or(|one| one.status != Status::Running) {
                return Ok(Status::Cancelled);
            }
            let left = task.to_move.saturating_sub(task.moved);
            let most = u64::from(task.rate.unwrap_or(AT_ONCE).min(AT_ONCE)).min(left);
            let moved = if most == 0 { 0 } else { self.move_some(queue, task, most as usize).await? };
            task.moved += moved;
            if moved == 0 {
                return Ok(Status::Completed);
            }
            if task.moved - said >= SAID_AFTER {
                said = task.moved;
                let held = self.control.lock().await;
                // Whoever cancels meanwhile is heard.
                let asked = self.tasks(id)?.into_iter().find(|one| one.id == task.id);
                task.status = asked.map_or(Status::Cancelling, |one| one.status);
                self.keep_task(id, task).await?;
                drop(held);
            }
            if let Some(rate) = task.rate {
                let pause_ms = (moved * 1000).div_ceil(u64::from(rate)) as i64;
                drop(self.clocks.product_reaches(Timestamp(self.now() + pause_ms)).await);
            }
        }
    }

    /// Moves some messages; how many.
    async fn move_some(self: &Arc<Self>, queue: &Arc<Queue>, task: &Task, most: usize) -> Result<u64, Fault> {
        let (inside, settings) = queue.enter(self).await?;
        let (generation, now) = (settings.definition.generation, self.now());
        // What may not be received at all is set aside whole.
        let want = Want { most, visible_ms: now, maximum: Some(0) };
        let leaving = queue.with(|index| {
            index.advance(now);
            Queue::read_ahead(&*self.kv, generation, index, most)?;
            Ok::<_, store::Error>(index.take(now, want, &mut || 0).1)
        });
        let mut leaving = leaving.unwrap_or_else(|| Ok(Vec::new()))?.into_iter();
        let mut moved = 0;
        for one in leaving.by_ref() {
            let number = one.number;
            let gone = match moved < most as u64 {
                true => self.move_one(queue, &settings, task, one).await,
                false => Err(Fault::internal("more were set aside than wanted")),
            };
            match gone {
                Ok(()) => moved += 1,
                Err(_) if moved == most as u64 => drop(queue.with(|index| index.stay(number, now))),
                Err(fault) => {
                    queue.with(|index| {
                        index.stay(number, now);
                        leaving.for_each(|one| index.stay(one.number, now));
                    });
                    return Err(fault);
                }
            }
        }
        drop(inside);
        Ok(moved)
    }

    async fn move_one(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        settings: &Settings,
        task: &Task,
        one: super::index::Taken,
    ) -> Result<(), Fault> {
        let arn = match &task.destination {
            Some(arn) => arn.clone(),
            None => {
                let row = state::message(settings.definition.generation, one.number);
                let value = self.kv.get(Space::Queue, &row)?.ok_or_else(|| Fault::from(state::damaged(&row)))?;
                let stored = Stored::read(value).ok_or_else(|| Fault::from(state::damaged(&row)))?;
                stored.source.ok_or_else(|| {
                    Fault::new("CouldNotDetermineMessageSource", 400, "A message came from no other queue.")
                })?
            }
        };
        let gone = || Fault::new("AWS.SimpleQueueService.NonExistentQueue", 400, format!("There is no queue {arn}."));
        let target = self.by_arn(&arn)?.ok_or_else(gone)?;
        self.relocate(queue, settings, &target, one, false).await
    }
}
