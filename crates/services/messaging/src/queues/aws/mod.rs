//! The operations, by topic. What is not registered in [`register`] answers NotImplemented at the door.

mod attributes;
mod list;
pub(super) mod moves;
mod permissions;
mod queues;
mod receive;
mod send;
mod settle;
mod tags;

use std::sync::Arc;

use door::RouterBuilder;
use model::sqs::ops;

use super::engine::Queues;

/// Registers every operation of SQS that this room carries out: the coverage table.
#[must_use]
pub fn register(builder: RouterBuilder, queues: &Arc<Queues>) -> RouterBuilder {
    builder
        .knows("sqs", Arc::<Queues>::clone(queues))
        .on::<ops::CreateQueue, _>(queues)
        .on::<ops::DeleteQueue, _>(queues)
        .on::<ops::PurgeQueue, _>(queues)
        .on::<ops::GetQueueUrl, _>(queues)
        .on::<ops::ListQueues, _>(queues)
        .on::<ops::ListDeadLetterSourceQueues, _>(queues)
        .on::<ops::GetQueueAttributes, _>(queues)
        .on::<ops::SetQueueAttributes, _>(queues)
        .on::<ops::AddPermission, _>(queues)
        .on::<ops::RemovePermission, _>(queues)
        .on::<ops::StartMessageMoveTask, _>(queues)
        .on::<ops::ListMessageMoveTasks, _>(queues)
        .on::<ops::CancelMessageMoveTask, _>(queues)
        .on::<ops::ListQueueTags, _>(queues)
        .on::<ops::TagQueue, _>(queues)
        .on::<ops::UntagQueue, _>(queues)
        .on::<ops::SendMessage, _>(queues)
        .on::<ops::SendMessageBatch, _>(queues)
        .on::<ops::ReceiveMessage, _>(queues)
        .on::<ops::DeleteMessage, _>(queues)
        .on::<ops::DeleteMessageBatch, _>(queues)
        .on::<ops::ChangeMessageVisibility, _>(queues)
        .on::<ops::ChangeMessageVisibilityBatch, _>(queues)
}
