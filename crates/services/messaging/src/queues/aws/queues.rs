//! Queues as wholes: made, deleted, emptied, found by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};
use store::{Batch, Space};

use crate::queues::engine::Queues;
use crate::queues::queue::Queue;
use crate::queues::rules::redrive::{Allow, Redrive};
use crate::queues::rules::{attributes, name};
use crate::queues::types::{Attributes, Definition, QueueName};
use crate::queues::{faults, state};

use super::tags;

/// How long a deleted queue's name is taken, and how long a queue that was emptied cannot be again, ms.
const MINUTE_MS: i64 = 60_000;

impl Handle<ops::CreateQueue> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateQueueRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateQueueResult>, Fault> {
        let aws::CreateQueueRequest { queue_name, attributes: given, tags } = input;
        let given = given.unwrap_or_default();
        let name = QueueName {
            account: context.account,
            region: context.region.clone(),
            name: queue_name.unwrap_or_default(),
        };
        let attributes = attributes::of_new(&given)?;
        name::check(&name.name, attributes.fifo.is_some())?;
        let tags = tags.unwrap_or_default();
        tags::check(&tags)?;
        let held = self.control.lock().await;
        match self.find(&name)? {
            Some(exists) => meet(&exists, &attributes, &given)?,
            None => self.create(&name, attributes, tags).await?,
        }
        drop(held);
        Ok(aws::CreateQueueResult { queue_url: Some(self.url(&context, &name)) }.into())
    }
}

/// Whether a queue that exists is what somebody wants to make.
fn meet(exists: &Queue, wanted: &Attributes, given: &BTreeMap<String, String>) -> Result<(), Fault> {
    match attributes::difference(&exists.settings().definition.attributes, wanted, given) {
        None => Ok(()),
        Some(name) => Err(aws::queue_name_exists(format!(
            "A queue already exists with the same name and a different value for attribute {name}"
        ))),
    }
}

impl Queues {
    async fn create(
        &self,
        name: &QueueName,
        attributes: Attributes,
        tags: BTreeMap<String, String>,
    ) -> Result<(), Fault> {
        self.check_redrive(name, &attributes)?;
        let now = self.now();
        let gone: Option<i64> = store::get_json(&*self.kv, Space::Control, &state::gone_row(name))?;
        if gone.is_some_and(|gone| gone + MINUTE_MS > now) {
            return Err(aws::queue_deleted_recently(
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ));
        }
        let definition = Definition {
            id: self.random(),
            generation: self.random(),
            created_ms: now,
            modified_ms: now,
            purged_ms: None,
            attributes,
            tags,
        };
        let (row, gone, kept) = (state::queue_row(name), state::gone_row(name), definition.clone());
        let write = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.put_json(Space::Control, row.clone(), &kept)?;
            batch.delete(Space::Control, gone.clone());
            Ok(batch)
        };
        self.kv.transact(Vec::new(), Box::new(write)).await?;
        self.remember(name, definition);
        Ok(())
    }

    /// Checks that dead letters may go where a queue would send them.
    ///
    /// # Errors
    /// InvalidParameterValue.
    pub(super) fn check_redrive(&self, name: &QueueName, attributes: &Attributes) -> Result<(), Fault> {
        let Some(policy) = &attributes.redrive else { return Ok(()) };
        let wrong = |reason: &str| faults::parameter("RedrivePolicy", policy, reason);
        let target = Redrive::read(policy)?.target;
        let Some(found) = self.by_arn(&target)? else { return Err(wrong("Dead letter target does not exist.")) };
        if found.name.account != name.account || found.name.region != name.region {
            return Err(wrong("Dead-letter target owner should be same as the source."));
        }
        if found.name == *name {
            return Err(wrong("Dead-letter target must not be the source itself."));
        }
        let settings = found.settings();
        if settings.is_fifo() != attributes.fifo.is_some() {
            return Err(wrong("Dead-letter queue must be same type of queue as the source."));
        }
        let allow = settings.definition.attributes.redrive_allow.as_deref().map(Allow::read).transpose()?;
        match allow.is_none_or(|allow| allow.allows(&name.arn())) {
            true => Ok(()),
            false => Err(wrong("The dead-letter queue's redrive allow policy does not permit this source queue.")),
        }
    }

    /// Writes a queue's changed definition. The caller holds [`Queues::control`].
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn redefine(&self, name: &QueueName, definition: Definition) -> Result<(), Fault> {
        let (row, kept) = (state::queue_row(name), definition.clone());
        let write = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.put_json(Space::Control, row.clone(), &kept)?;
            Ok(batch)
        };
        self.kv.transact(Vec::new(), Box::new(write)).await?;
        self.remember(name, definition);
        Ok(())
    }
}

impl Handle<ops::DeleteQueue> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteQueueRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let held = self.control.lock().await;
        let queue = self.own(&context, input.queue_url.as_deref())?;
        let mut gone = queue.gate.write().await;
        let generation = queue.settings().definition.generation;
        let (row, tomb, now) = (state::queue_row(&queue.name), state::gone_row(&queue.name), self.now());
        let write = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.delete(Space::Control, row.clone());
            batch.put_json(Space::Control, tomb.clone(), &now)?;
            batch.drop_generation(Space::Queue, state::generation(generation));
            Ok(batch)
        };
        self.kv.transact(Vec::new(), Box::new(write)).await?;
        *gone = true;
        self.forget(&queue.name);
        drop(gone);
        // Who waits there learns that it is gone.
        queue.arrivals.notify_waiters();
        self.bell.ring(&queue.bell);
        drop(held);
        Ok(wire::Unit.into())
    }
}

impl Handle<ops::PurgeQueue> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PurgeQueueRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let held = self.control.lock().await;
        let queue = self.at(&context, input.queue_url.as_deref())?;
        let inside = queue.gate.write().await;
        let (settings, now) = (queue.settings(), self.now());
        if settings.definition.purged_ms.is_some_and(|purged| purged + MINUTE_MS > now) {
            return Err(aws::purge_queue_in_progress(format!(
                "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                queue.name.name
            )));
        }
        let old = settings.definition.generation;
        let definition = Definition { generation: self.random(), purged_ms: Some(now), ..settings.definition.clone() };
        let (row, kept) = (state::queue_row(&queue.name), definition.clone());
        let write = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.put_json(Space::Control, row.clone(), &kept)?;
            batch.drop_generation(Space::Queue, state::generation(old));
            Ok(batch)
        };
        self.kv.transact(Vec::new(), Box::new(write)).await?;
        queue.change(definition);
        drop(inside);
        drop(held);
        Ok(wire::Unit.into())
    }
}

impl Handle<ops::GetQueueUrl> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetQueueUrlRequest,
        _: Body,
    ) -> Result<Answer<aws::GetQueueUrlResult>, Fault> {
        let aws::GetQueueUrlRequest { queue_name, queue_owner_aws_account_id } = input;
        let account = match queue_owner_aws_account_id {
            Some(owner) => owner.parse().map_err(|()| faults::no_queue())?,
            None => context.account,
        };
        let name = QueueName { account, region: context.region.clone(), name: queue_name.unwrap_or_default() };
        self.find(&name)?.ok_or_else(faults::no_queue)?;
        Ok(aws::GetQueueUrlResult { queue_url: Some(self.url(&context, &name)) }.into())
    }
}
