//! Receiving messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::sqs::{self as aws, ops};

use crate::queues::engine::Queues;
use crate::queues::faults;
use crate::queues::receive::{Ask, Received};
use crate::queues::rules::message;
use crate::queues::rules::stored::Attribute;
use crate::queues::send::{sequence, uuid};

/// Names of what the system says of a message that receivers may ask for.
const SYSTEM: [&str; 10] = [
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// Seconds of visibility.
pub(super) const VISIBILITY_S: i64 = 43_200;

fn number(name: &str, given: Option<i64>, least: i64, most: i64, reason: &str) -> Result<Option<u32>, Fault> {
    match given {
        Some(value) if !(least..=most).contains(&value) => Err(faults::parameter(name, value, reason)),
        other => Ok(other.map(|value| value as u32)),
    }
}

impl Handle<ops::ReceiveMessage> for Queues {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ReceiveMessageRequest,
        _: Body,
    ) -> Result<Answer<aws::ReceiveMessageResult>, Fault> {
        let aws::ReceiveMessageRequest {
            queue_url,
            attribute_names,
            message_system_attribute_names,
            message_attribute_names,
            max_number_of_messages,
            visibility_timeout,
            wait_time_seconds,
            receive_request_attempt_id,
        } = input;
        let queue = self.at(&context, queue_url.as_deref())?;
        let reason = "Must be between 1 and 10, if provided.";
        let most = number("MaxNumberOfMessages", max_number_of_messages, 1, 10, reason)?.unwrap_or(1);
        let reason = "Must be >= 0 and <= 20, if provided.";
        let wait_s = number("WaitTimeSeconds", wait_time_seconds, 0, 20, reason)?;
        let reason = "Must be >= 0 and <= 43200, if provided.";
        let visibility_s = number("VisibilityTimeout", visibility_timeout, 0, VISIBILITY_S, reason)?;
        let mut system = attribute_names.unwrap_or_default();
        system.extend(message_system_attribute_names.unwrap_or_default());
        if let Some(unknown) = system.iter().find(|name| !SYSTEM.contains(&name.as_str())) {
            return Err(faults::unknown_attribute(unknown));
        }
        let is_fifo = queue.settings().is_fifo();
        if let Some(attempt) = &receive_request_attempt_id {
            message::check_id("ReceiveRequestAttemptId", attempt)?;
            if !is_fifo {
                return Err(faults::not_for_this_kind("ReceiveRequestAttemptId", attempt));
            }
        }
        let ask = Ask { most: most as usize, visibility_s, wait_s, attempt: receive_request_attempt_id };
        let received = self.receive(&queue, ask).await?;
        let users = message_attribute_names.unwrap_or_default();
        let messages: Vec<_> =
            received.into_iter().map(|one| shown(one, &system, &users, is_fifo)).collect::<Result<_, _>>()?;
        // AWS leaves an empty list out.
        Ok(aws::ReceiveMessageResult { messages: Some(messages).filter(|all| !all.is_empty()) }.into())
    }
}

fn shown(received: Received, system: &[String], users: &[String], is_fifo: bool) -> Result<aws::Message, Fault> {
    let Received { number, handle, state, stored, body } = received;
    let mut attributes = BTreeMap::new();
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|_| system.iter().any(|one| one == "All" || one == name)) {
            attributes.insert(name.to_owned(), value);
        }
    };
    say("SenderId", Some(stored.sender));
    say("SentTimestamp", Some(stored.sent_ms.to_string()));
    say("ApproximateReceiveCount", Some((state.receives + state.earlier).to_string()));
    say("ApproximateFirstReceiveTimestamp", Some(state.first_ms.to_string()));
    say("SequenceNumber", is_fifo.then(|| sequence(number)));
    say("MessageDeduplicationId", stored.deduplication);
    say("MessageGroupId", stored.group);
    say("AWSTraceHeader", stored.trace);
    say("DeadLetterQueueSourceArn", stored.source);
    let wanted: Vec<Attribute> =
        stored.attributes.into_iter().filter(|one| message::is_wanted(users, &one.name)).collect();
    let body = String::from_utf8(body.into()).map_err(|_| Fault::internal("a message's body is damaged"))?;
    Ok(aws::Message {
        message_id: Some(uuid(&stored.id)),
        receipt_handle: Some(handle),
        md5_of_body: Some(message::hex(&stored.body_md5)),
        body: Some(body),
        attributes: Some(attributes).filter(|all| !all.is_empty()),
        md5_of_message_attributes: message::attributes_md5(&wanted),
        message_attributes: Some(wanted.into_iter().map(attribute).collect())
            .filter(|all: &BTreeMap<_, _>| !all.is_empty()),
    })
}

fn attribute(one: Attribute) -> (String, aws::MessageAttributeValue) {
    let is_binary = one.is_binary();
    let Attribute { name, data_type, value } = one;
    let text = (!is_binary).then(|| String::from_utf8_lossy(&value).into_owned());
    let value = aws::MessageAttributeValue {
        string_value: text,
        binary_value: is_binary.then_some(value),
        data_type: Some(data_type),
        ..aws::MessageAttributeValue::default()
    };
    (name, value)
}
