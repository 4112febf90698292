//! Deleting messages, and changing until when they are a receiver's.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};

use super::receive::VISIBILITY_S;
use crate::queues::engine::Queues;
use crate::queues::faults;
use crate::queues::rules::batch;

impl Handle<ops::DeleteMessage> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteMessageRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let queue = self.at(&context, input.queue_url.as_deref())?;
        let done = self.delete(&queue, vec![input.receipt_handle.unwrap_or_default()]).await?;
        done.into_iter().collect::<Result<(), Fault>>()?;
        Ok(wire::Unit.into())
    }
}

impl Handle<ops::DeleteMessageBatch> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteMessageBatchRequest,
        _: Body,
    ) -> Result<Answer<aws::DeleteMessageBatchResult>, Fault> {
        let queue = self.at(&context, input.queue_url.as_deref())?;
        let entries = input.entries.unwrap_or_default();
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_deref().unwrap_or_default()).collect();
        batch::check("DeleteMessageBatchRequestEntry", &ids)?;
        let (ids, handles): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(|entry| (entry.id.unwrap_or_default(), entry.receipt_handle.unwrap_or_default()))
            .unzip();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (id, done) in ids.into_iter().zip(self.delete(&queue, handles).await?) {
            match done {
                Ok(()) => successful.push(aws::DeleteMessageBatchResultEntry { id: Some(id) }),
                Err(fault) => failed.push(batch::failed(id, fault)),
            }
        }
        Ok(aws::DeleteMessageBatchResult { successful: Some(successful), failed: Some(failed) }.into())
    }
}

/// Checks a visibility timeout.
fn seconds(given: Option<i64>) -> Result<u32, Fault> {
    let given = given.ok_or_else(|| faults::missing("VisibilityTimeout"))?;
    match u32::try_from(given).ok().filter(|_| given <= VISIBILITY_S) {
        Some(seconds) => Ok(seconds),
        None => Err(faults::parameter("VisibilityTimeout", given, "Must be between 0 and 43200, if provided.")),
    }
}

impl Handle<ops::ChangeMessageVisibility> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ChangeMessageVisibilityRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let queue = self.at(&context, input.queue_url.as_deref())?;
        let seconds = seconds(input.visibility_timeout)?;
        let done = self.change(&queue, vec![(input.receipt_handle.unwrap_or_default(), seconds)]).await?;
        done.into_iter().collect::<Result<(), Fault>>()?;
        Ok(wire::Unit.into())
    }
}

impl Handle<ops::ChangeMessageVisibilityBatch> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ChangeMessageVisibilityBatchRequest,
        _: Body,
    ) -> Result<Answer<aws::ChangeMessageVisibilityBatchResult>, Fault> {
        let queue = self.at(&context, input.queue_url.as_deref())?;
        let entries = input.entries.unwrap_or_default();
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_deref().unwrap_or_default()).collect();
        batch::check("ChangeMessageVisibilityBatchRequestEntry", &ids)?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        let (mut ids, mut wanted) = (Vec::new(), Vec::new());
        for entry in entries {
            let id = entry.id.unwrap_or_default();
            match seconds(entry.visibility_timeout) {
                Ok(seconds) => {
                    ids.push(id);
                    wanted.push((entry.receipt_handle.unwrap_or_default(), seconds));
                }
                Err(fault) => failed.push(batch::failed(id, fault)),
            }
        }
        for (id, done) in ids.into_iter().zip(self.change(&queue, wanted).await?) {
            match done {
                Ok(()) => successful.push(aws::ChangeMessageVisibilityBatchResultEntry { id: Some(id) }),
                Err(fault) => failed.push(batch::failed(id, fault)),
            }
        }
        Ok(aws::ChangeMessageVisibilityBatchResult { successful: Some(successful), failed: Some(failed) }.into())
    }
}
