//! A queue's attributes.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};

use crate::queues::engine::Queues;
use crate::queues::faults;
use crate::queues::receive::is_old;
use crate::queues::rules::attributes::{ALL, TOLD, apply, is_known, shown};
use crate::queues::types::Definition;

impl Handle<ops::GetQueueAttributes> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetQueueAttributesRequest,
        _: Body,
    ) -> Result<Answer<aws::GetQueueAttributesResult>, Fault> {
        let aws::GetQueueAttributesRequest { queue_url, attribute_names } = input;
        let queue = self.at(&context, queue_url.as_deref())?;
        let wanted = attribute_names.unwrap_or_default();
        if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
            return Err(faults::unknown_attribute(unknown));
        }
        let is_wanted = |name: &str| wanted.iter().any(|one| one == ALL || one == name);
        let settings = queue.settings();
        let mut all = shown(&settings.definition.attributes);
        if TOLD.into_iter().any(is_wanted) {
            let (_inside, settings) = queue.enter(&self).await?;
            let now = self.now();
            if queue.with(|index| is_old(index.oldest_ms(), &settings, now)) == Some(true) {
                self.expire(&queue, &settings).await?;
            }
            let counts = queue.with(|index| {
                index.advance(now);
                index.counts()
            });
            let (visible, in_flight, delayed) = counts.unwrap_or_default();
            let Definition { created_ms, modified_ms, .. } = &settings.definition;
            let seconds = |ms: i64| (ms / 1000).to_string();
            let told = [
                queue.arn.clone(),
                visible.to_string(),
                in_flight.to_string(),
                delayed.to_string(),
                seconds(*created_ms),
                seconds(*modified_ms),
            ];
            all.extend(TOLD.into_iter().map(str::to_owned).zip(told));
        }
        all.retain(|name, _| is_wanted(name));
        // AWS leaves an empty map out.
        let attributes = Some(all).filter(|all| !all.is_empty());
        Ok(aws::GetQueueAttributesResult { attributes }.into())
    }
}

impl Handle<ops::SetQueueAttributes> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::SetQueueAttributesRequest,
        _: Body,
    ) -> Result<Answer<wire::Unit>, Fault> {
        let aws::SetQueueAttributesRequest { queue_url, attributes: given } = input;
        let given = given.unwrap_or_default();
        let held = self.control.lock().await;
        let queue = self.own(&context, queue_url.as_deref())?;
        let mut definition = queue.settings().definition.clone();
        apply(&mut definition.attributes, &given)?;
        if given.contains_key("RedrivePolicy") {
            self.check_redrive(&queue.name, &definition.attributes)?;
        }
        definition.modified_ms = self.now();
        self.redefine(&queue.name, definition).await?;
        drop(held);
        // A shorter retention may end some messages sooner.
        let (inside, settings) = queue.enter(&self).await?;
        self.enrol(&queue, &settings);
        drop(inside);
        Ok(wire::Unit.into())
    }
}
