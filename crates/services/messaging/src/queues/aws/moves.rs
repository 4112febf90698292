//! Tasks that move messages out of dead-letter queues.

use std::sync::Arc;

use base::{Account, Fault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};
use serde_json::Value;

use crate::queues::engine::Queues;
use crate::queues::faults;
use crate::queues::moves::{REMEMBERED, Status, Task};
use crate::queues::queue::Queue;
use crate::queues::send::uuid;

/// What names a task, and its queue.
fn handle(task: &Task) -> String {
    STANDARD.encode(serde_json::json!({"taskId": task.id, "sourceArn": task.source}).to_string())
}

/// A task's id and its queue's ARN.
pub(crate) fn read(handle: &str) -> Option<(String, String)> {
    let value: Value = serde_json::from_slice(&STANDARD.decode(handle).ok()?).ok()?;
    Some((value.get("taskId")?.as_str()?.to_owned(), value.get("sourceArn")?.as_str()?.to_owned()))
}

impl Queues {
    /// The caller's own queue with this ARN.
    fn source(&self, account: Account, arn: &str) -> Result<Arc<Queue>, Fault> {
        let found = self.by_arn(arn)?.filter(|queue| queue.name.account == account);
        found.ok_or_else(|| {
            aws::resource_not_found_exception(
                "The resource that you specified for the SourceArn parameter doesn't exist.",
            )
        })
    }
}

impl Handle<ops::StartMessageMoveTask> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::StartMessageMoveTaskRequest,
        _: Body,
    ) -> Result<Answer<aws::StartMessageMoveTaskResult>, Fault> {
        let aws::StartMessageMoveTaskRequest { source_arn, destination_arn, max_number_of_messages_per_second } = input;
        let rate = match max_number_of_messages_per_second {
            Some(rate) if !(1..=500).contains(&rate) => {
                return Err(faults::parameter("MaxNumberOfMessagesPerSecond", rate, "Must be between 1 and 500."));
            }
            rate => rate.map(|rate| rate as u32),
        };
        let held = self.control.lock().await;
        let queue = self.source(context.account, source_arn.as_deref().unwrap_or_default())?;
        if let Some(arn) = &destination_arn {
            let found = self.by_arn(arn)?.filter(|found| found.name.account == context.account);
            let found = found.ok_or_else(|| {
                aws::resource_not_found_exception(
                    "The resource that you specified for the DestinationArn parameter doesn't exist.",
                )
            })?;
            if found.name == queue.name || found.settings().is_fifo() != queue.settings().is_fifo() {
                return Err(faults::parameter("DestinationArn", arn, "It must be another queue of the same type."));
            }
        }
        if self.sources_of(&queue)?.is_empty() {
            return Err(faults::invalid("Source queue must be configured as a Dead Letter Queue."));
        }
        let (inside, settings) = queue.enter(&self).await?;
        let id = settings.definition.id;
        let tasks = self.tasks(id)?;
        if tasks.iter().any(|task| matches!(task.status, Status::Running | Status::Cancelling)) {
            return Err(aws::unsupported_operation(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        let now = self.now();
        let to_move = queue.with(|index| {
            index.advance(now);
            index.counts().0
        });
        drop(inside);
        let mut raw = [0; 16];
        self.rng.fill(&mut raw);
        let task = Task {
            id: uuid(&raw),
            source: queue.arn.clone(),
            destination: destination_arn,
            rate,
            status: Status::Running,
            moved: 0,
            to_move: to_move.unwrap_or_default(),
            // Each of a queue begins at a moment of its own.
            started_ms: tasks.first().map_or(now, |last| now.max(last.started_ms + 1)),
            failure: None,
        };
        self.keep_task(id, &task).await?;
        drop(held);
        let task_handle = Some(handle(&task));
        self.work_on(queue, task);
        Ok(aws::StartMessageMoveTaskResult { task_handle }.into())
    }
}

impl Handle<ops::ListMessageMoveTasks> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListMessageMoveTasksRequest,
        _: Body,
    ) -> Result<Answer<aws::ListMessageMoveTasksResult>, Fault> {
        let aws::ListMessageMoveTasksRequest { source_arn, max_results } = input;
        let most = match max_results {
            None => 1,
            Some(most) if (1..=REMEMBERED as i64).contains(&most) => most as usize,
            Some(most) => return Err(faults::parameter("MaxResults", most, "Must be between 1 and 10.")),
        };
        let queue = self.source(context.account, source_arn.as_deref().unwrap_or_default())?;
        let tasks = self.tasks(queue.settings().definition.id)?;
        let results = tasks.into_iter().take(most).map(|task| aws::ListMessageMoveTasksResultEntry {
            task_handle: (task.status == Status::Running).then(|| handle(&task)),
            status: Some(task.status.word().into()),
            source_arn: Some(task.source),
            destination_arn: task.destination,
            max_number_of_messages_per_second: task.rate.map(i64::from),
            approximate_number_of_messages_moved: Some(task.moved as i64),
            approximate_number_of_messages_to_move: Some(task.to_move as i64),
            failure_reason: task.failure,
            started_timestamp: Some(task.started_ms),
        });
        Ok(aws::ListMessageMoveTasksResult { results: Some(results.collect()) }.into())
    }
}

impl Handle<ops::CancelMessageMoveTask> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CancelMessageMoveTaskRequest,
        _: Body,
    ) -> Result<Answer<aws::CancelMessageMoveTaskResult>, Fault> {
        let text = input.task_handle.unwrap_or_default();
        let (id, arn) = read(&text).ok_or_else(|| faults::parameter("TaskHandle", &text, "It is no task handle."))?;
        let held = self.control.lock().await;
        let queue = self.source(context.account, &arn)?;
        let of = queue.settings().definition.id;
        let task = self.tasks(of)?.into_iter().find(|task| task.id == id);
        let mut task = task.ok_or_else(|| {
            aws::resource_not_found_exception("The task that you specified for the TaskHandle parameter doesn't exist.")
        })?;
        if task.status != Status::Running {
            return Err(aws::unsupported_operation("Only active tasks can be cancelled."));
        }
        task.status = Status::Cancelling;
        self.keep_task(of, &task).await?;
        drop(held);
        Ok(aws::CancelMessageMoveTaskResult { approximate_number_of_messages_moved: Some(task.moved as i64) }.into())
    }
}
