//! Sending messages.

use std::sync::Arc;

use base::{Fault, Principal};
use bytes::Bytes;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};

use crate::queues::engine::Queues;
use crate::queues::faults;
use crate::queues::queue::Settings;
use crate::queues::rules::stored::{Attribute, Stored};
use crate::queues::rules::{batch, message};
use crate::queues::send::{Draft, Sent, sequence};

/// Bytes of all messages of a batch together.
const BATCH_BYTES: usize = 1_048_576;
/// Seconds that one message may be delayed.
const DELAY_S: i64 = 900;

/// One message as a sender gives it.
struct Given {
    body: Option<String>,
    delay_s: Option<i64>,
    group: Option<String>,
    deduplication: Option<String>,
    attributes: Vec<Attribute>,
    trace: Option<String>,
}

/// A message that may be sent, and what its sender is told of it.
struct Checked {
    draft: Draft,
    body_md5: String,
    attributes_md5: Option<String>,
    trace_md5: Option<String>,
}

/// Who sends, as receivers see it. AWS shows ids of users and roles, which have none here: their names stand for them.
fn sender(principal: &Principal) -> String {
    match principal {
        Principal::Anonymous => "Anonymous".into(),
        Principal::Root { account, .. } => account.to_string(),
        Principal::User { name, .. } => name.clone(),
        Principal::Session { role, session, .. } => format!("{role}:{session}"),
        Principal::Service { name, .. } => (*name).to_owned(),
    }
}

impl Given {
    /// What must hold of messages of this kind of queue, in a batch of all of them at once.
    fn check_ids(&self, settings: &Settings, missing: fn(&str) -> Fault) -> Result<(), Fault> {
        for (name, id) in [("MessageGroupId", &self.group), ("MessageDeduplicationId", &self.deduplication)] {
            id.as_deref().map_or(Ok(()), |id| message::check_id(name, id))?;
        }
        match &settings.definition.attributes.fifo {
            Some(_) if self.group.is_none() => Err(missing("MessageGroupId")),
            Some(fifo) if self.deduplication.is_none() && !fifo.content_based => Err(faults::invalid(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
            )),
            _ => Ok(()),
        }
    }

    fn check(self, settings: &Settings, context: &Context) -> Result<Checked, Fault> {
        let Self { body, delay_s, group, deduplication, attributes, trace } = self;
        let body = body.filter(|body| !body.is_empty()).ok_or_else(|| faults::missing("MessageBody"))?;
        let of = &settings.definition.attributes;
        if message::size(&body, &attributes) > of.maximum_bytes as usize {
            return Err(faults::invalid(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
                of.maximum_bytes
            )));
        }
        message::check_body(&body)?;
        let delay_s = match delay_s {
            None => of.delay_s,
            Some(delay) if !(0..=DELAY_S).contains(&delay) => {
                return Err(faults::parameter("DelaySeconds", delay, "DelaySeconds must be >= 0 and <= 900."));
            }
            Some(delay) if settings.is_fifo() && delay > 0 => {
                return Err(faults::not_for_this_kind("DelaySeconds", delay));
            }
            Some(_) if settings.is_fifo() => of.delay_s,
            Some(delay) => delay as u32,
        };
        let deduplication = match (&of.fifo, deduplication) {
            (None, Some(id)) => return Err(faults::not_for_this_kind("MessageDeduplicationId", id)),
            (Some(_), None) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
                Some(message::hex(digest.as_ref()))
            }
            (_, given) => given,
        };
        let body_md5 = message::body_md5(body.as_bytes());
        let trace_md5 = trace.as_deref().and_then(message::trace_md5);
        let attributes_md5 = message::attributes_md5(&attributes);
        let stored = Stored {
            body_md5,
            sender: sender(&context.principal),
            group,
            deduplication,
            trace: trace.or_else(|| context.trace.clone()),
            attributes,
            ..Stored::default()
        };
        let draft = Draft { stored, body: Bytes::from(body), delay_s };
        Ok(Checked { draft, body_md5: message::hex(&body_md5), attributes_md5, trace_md5 })
    }
}

impl Handle<ops::SendMessage> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::SendMessageRequest,
        _: Body,
    ) -> Result<Answer<aws::SendMessageResult>, Fault> {
        let aws::SendMessageRequest {
            queue_url,
            message_body,
            delay_seconds,
            message_attributes,
            message_system_attributes,
            message_deduplication_id,
            message_group_id,
        } = input;
        let queue = self.at(&context, queue_url.as_deref())?;
        let settings = queue.settings();
        let given = Given {
            body: message_body,
            delay_s: delay_seconds,
            group: message_group_id,
            deduplication: message_deduplication_id,
            attributes: message::attributes(message_attributes.unwrap_or_default())?,
            trace: message::trace(message_system_attributes.unwrap_or_default())?,
        };
        given.check_ids(&settings, faults::missing)?;
        let Checked { draft, body_md5, attributes_md5, trace_md5 } = given.check(&settings, &context)?;
        let sent = self.send(&queue, vec![draft]).await?.pop();
        let Sent { id, number, .. } = sent.ok_or_else(|| Fault::internal("a message was sent and is not there"))?;
        Ok(aws::SendMessageResult {
            md5_of_message_body: Some(body_md5),
            md5_of_message_attributes: attributes_md5,
            md5_of_message_system_attributes: trace_md5,
            message_id: Some(id),
            sequence_number: settings.is_fifo().then(|| sequence(number)),
        }
        .into())
    }
}

impl Handle<ops::SendMessageBatch> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::SendMessageBatchRequest,
        _: Body,
    ) -> Result<Answer<aws::SendMessageBatchResult>, Fault> {
        let aws::SendMessageBatchRequest { queue_url, entries } = input;
        let queue = self.at(&context, queue_url.as_deref())?;
        let settings = queue.settings();
        let entries = entries.unwrap_or_default();
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_deref().unwrap_or_default()).collect();
        batch::check("SendMessageBatchRequestEntry", &ids)?;
        let mut read = Vec::with_capacity(entries.len());
        let mut bytes = 0;
        for entry in entries {
            let (id, given) = of_entry(entry);
            if let Ok(given) = &given {
                bytes += message::size(given.body.as_deref().unwrap_or_default(), &given.attributes);
                // In a batch it is a value that is wrong, and not one that is missing.
                given.check_ids(&settings, |name| {
                    faults::invalid(format!("The request must contain the parameter {name}."))
                })?;
            }
            read.push((id, given));
        }
        if bytes > BATCH_BYTES {
            return Err(aws::batch_request_too_long(format!(
                "Batch requests cannot be longer than {BATCH_BYTES} bytes. You have sent {bytes} bytes."
            )));
        }
        let (mut told, mut drafts, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (id, given) in read {
            match given.and_then(|given| given.check(&settings, &context)) {
                Ok(Checked { draft, body_md5, attributes_md5, trace_md5 }) => {
                    drafts.push(draft);
                    told.push((id, body_md5, attributes_md5, trace_md5));
                }
                Err(fault) => failed.push(batch::failed(id, fault)),
            }
        }
        let sent = if drafts.is_empty() { Vec::new() } else { self.send(&queue, drafts).await? };
        let of = |((id, body_md5, attributes_md5, trace_md5), sent): (_, Sent)| aws::SendMessageBatchResultEntry {
            id: Some(id),
            message_id: Some(sent.id),
            md5_of_message_body: Some(body_md5),
            md5_of_message_attributes: attributes_md5,
            md5_of_message_system_attributes: trace_md5,
            sequence_number: settings.is_fifo().then(|| sequence(sent.number)),
        };
        let successful = told.into_iter().zip(sent).map(of).collect();
        Ok(aws::SendMessageBatchResult { successful: Some(successful), failed: Some(failed) }.into())
    }
}

fn of_entry(entry: aws::SendMessageBatchRequestEntry) -> (String, Result<Given, Fault>) {
    let aws::SendMessageBatchRequestEntry {
        id,
        message_body,
        delay_seconds,
        message_attributes,
        message_system_attributes,
        message_deduplication_id,
        message_group_id,
    } = entry;
    let attributes = message::attributes(message_attributes.unwrap_or_default());
    let trace = message::trace(message_system_attributes.unwrap_or_default());
    let given = attributes.and_then(|attributes| {
        Ok(Given {
            body: message_body,
            delay_s: delay_seconds,
            group: message_group_id,
            deduplication: message_deduplication_id,
            attributes,
            trace: trace?,
        })
    });
    (id.unwrap_or_default(), given)
}
