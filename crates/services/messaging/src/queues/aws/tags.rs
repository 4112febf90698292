//! A queue's tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};

use crate::queues::engine::Queues;
use crate::queues::faults;

/// Tags of a queue.
const TAGS: usize = 50;

/// Checks a queue's tags.
///
/// # Errors
/// InvalidParameterValue.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > TAGS {
        return Err(faults::invalid(format!(
            "Too many tags added for queue. Maximum number of tags allowed is {TAGS}."
        )));
    }
    for (key, value) in tags {
        let reserved = key.to_ascii_lowercase().starts_with("aws:");
        if !(1..=128).contains(&key.chars().count()) || reserved {
            return Err(faults::invalid(format!(
                "Tag key '{key}' is invalid: 1 to 128 letters that do not begin with aws:."
            )));
        }
        if value.chars().count() > 256 {
            return Err(faults::invalid(format!("The value of tag '{key}' is invalid: at most 256 letters.")));
        }
    }
    Ok(())
}

impl Queues {
    async fn retag(
        &self,
        context: &Context,
        url: Option<&str>,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<Answer<wire::Unit>, Fault> {
        let held = self.control.lock().await;
        let queue = self.own(context, url)?;
        let mut definition = queue.settings().definition.clone();
        change(&mut definition.tags);
        check(&definition.tags)?;
        self.redefine(&queue.name, definition).await?;
        drop(held);
        Ok(wire::Unit.into())
    }
}

impl Handle<ops::ListQueueTags> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListQueueTagsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListQueueTagsResult>, Fault> {
        let queue = self.own(&context, input.queue_url.as_deref())?;
        // AWS leaves an empty map out.
        let tags = Some(queue.settings().definition.tags.clone()).filter(|tags| !tags.is_empty());
        Ok(aws::ListQueueTagsResult { tags }.into())
    }
}

impl Handle<ops::TagQueue> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TagQueueRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let given = input.tags.unwrap_or_default();
        self.retag(&context, input.queue_url.as_deref(), |tags| tags.extend(given)).await
    }
}

impl Handle<ops::UntagQueue> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UntagQueueRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let keys = input.tag_keys.unwrap_or_default();
        self.retag(&context, input.queue_url.as_deref(), |tags| tags.retain(|key, _| !keys.contains(key))).await
    }
}
