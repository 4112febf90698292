//! Permissions for other accounts, as statements of the queue's policy.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};

use crate::queues::engine::Queues;
use crate::queues::rules::policy;

impl Queues {
    async fn rewrite(
        &self,
        context: &Context,
        url: Option<&str>,
        change: impl FnOnce(Option<&str>, &str) -> Result<Option<String>, Fault>,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let held = self.control.lock().await;
        let queue = self.own(context, url)?;
        let mut definition = queue.settings().definition.clone();
        definition.attributes.policy = change(definition.attributes.policy.as_deref(), &queue.arn)?;
        definition.modified_ms = self.now();
        self.redefine(&queue.name, definition).await?;
        drop(held);
        Ok(wire::Unit.into())
    }
}

impl Handle<ops::AddPermission> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::AddPermissionRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let aws::AddPermissionRequest { queue_url, label, aws_account_ids, actions } = input;
        let (label, accounts, actions) =
            (label.unwrap_or_default(), aws_account_ids.unwrap_or_default(), actions.unwrap_or_default());
        let change = |policy: Option<&str>, arn: &str| policy::add(policy, arn, &label, &accounts, &actions).map(Some);
        self.rewrite(&context, queue_url.as_deref(), change).await
    }
}

impl Handle<ops::RemovePermission> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::RemovePermissionRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let label = input.label.unwrap_or_default();
        self.rewrite(&context, input.queue_url.as_deref(), |policy, _| policy::remove(policy, &label)).await
    }
}
