//! Where the end of an asynchronous invocation is reported: destinations and dead-letter queues, through the outbox.
//!
//! Source: AWS Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations" and "Adding a dead-letter
//! queue".

use base::{Fault, Timestamp};
use bytes::Bytes;
use door::outbox::{Delivery, Failing, Sender};
use form_urlencoded::byte_serialize;
use invoker::{Done, Finished};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::name::{Address, LATEST, Named};
use crate::queue::Queue;
use crate::rules;
use crate::target::role_name;
use crate::types::{EventInvoke, Waiting};
use crate::{Functions, name};

/// Why an event is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Condition {
    Success,
    RetriesExhausted,
    EventAgeExceeded,
}

/// The end of an event.
pub(crate) struct End<'a> {
    pub(crate) condition: Condition,
    pub(crate) payload: &'a Bytes,
    /// What the function answered last, if it ran at all.
    pub(crate) done: Option<&'a Done>,
    /// How often the function ran with it.
    pub(crate) runs: u32,
}

/// A row for the outbox: when it is due (ms, product clock), its id, its value.
pub(crate) type Outgoing = (i64, String, Bytes);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    request_payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<Payload<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: String,
    condition: Condition,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    executed_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

/// JSON as it came; what is none becomes a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(&'a RawValue),
    Text(std::borrow::Cow<'a, str>),
    Nothing(()),
}

impl<'a> Payload<'a> {
    fn of(bytes: &'a Bytes) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(json) => Self::Json(json),
            Err(_) if bytes.is_empty() => Self::Nothing(()),
            Err(_) => Self::Text(String::from_utf8_lossy(bytes)),
        }
    }
}

/// The record of an event's end, as AWS writes it.
fn record(named: &Named, waiting: &Waiting, end: &End<'_>, now: Timestamp) -> Result<Bytes, Fault> {
    let answered = end.done.map(|done| match &done.result {
        Finished::Response(payload) => (done, payload, None),
        Finished::FunctionError { payload, .. } => (done, payload, Some("Unhandled")),
    });
    let record = Record {
        version: "1.0",
        timestamp: rules::date_z(now),
        request_context: RequestContext {
            request_id: &waiting.request,
            function_arn: named.address.qualified(Some(named.qualifier.as_deref().unwrap_or(LATEST))),
            condition: end.condition,
            approximate_invoke_count: end.runs,
        },
        request_payload: Payload::of(end.payload),
        response_context: answered.map(|(done, _, function_error)| ResponseContext {
            status_code: 200,
            executed_version: done.row.function_arn.rsplit(':').next().unwrap_or(LATEST),
            function_error,
        }),
        response_payload: answered.map(|(_, payload, _)| Payload::of(payload)),
    };
    let json = serde_json::to_vec(&record).map_err(|_| Fault::internal("the record of an event has no JSON form"))?;
    Ok(json.into())
}

/// What of an error's message goes to a dead-letter queue, bytes.
const MESSAGE_BYTES: usize = 1024;

/// The error that a dead-letter queue is told of: an HTTP status and the first kilobyte of the message.
/// Source: AWS Lambda Developer Guide, "Adding a dead-letter queue".
fn error(waiting: &Waiting, end: &End<'_>) -> (u16, String) {
    let (status, mut message) = match (end.done.map(|done| &done.result), &waiting.last) {
        (Some(Finished::FunctionError { payload, .. }), _) => (200, error_message(payload)),
        (_, Some((status, message))) => (*status, message.clone()),
        _ => (500, "the event is too old".to_owned()),
    };
    // A queue takes no others. Source: Amazon SQS API Reference, `SendMessage`.
    message = message.replace(|letter: char| !is_sendable(letter), "\u{fffd}");
    let end = (0..=MESSAGE_BYTES.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
    message.truncate(end.unwrap_or(0));
    (status, message)
}

fn is_sendable(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// The message of a function's error.
pub(crate) fn error_message(payload: &Bytes) -> String {
    let told: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
    let message = told.as_ref().and_then(|told| told.get("errorMessage")?.as_str());
    message.map_or_else(|| String::from_utf8_lossy(payload).into_owned(), str::to_owned)
}

/// The request that sends a message to a queue, JSON in its body. What a queue does not take stands within texts there, and is
/// written as JSON can also write it.
fn message(queue_url: &str, body: &str, attributes: &[(&str, &str, &str)]) -> Bytes {
    let body = body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    let mut request = serde_json::json!({"QueueUrl": queue_url, "MessageBody": body});
    if !attributes.is_empty() {
        let attribute = |(name, kind, value): &(&str, &str, &str)| {
            ((*name).to_owned(), serde_json::json!({"DataType": kind, "StringValue": value}))
        };
        request["MessageAttributes"] = serde_json::Value::Object(attributes.iter().map(attribute).collect());
    }
    request.to_string().into()
}

impl Functions {
    /// The rows that report an event's end: to the destination and to the dead-letter queue, where its function wants it.
    ///
    /// # Errors
    /// The store's faults.
    pub(crate) fn reports(
        &self,
        named: &Named,
        config: &EventInvoke,
        waiting: &Waiting,
        end: &End<'_>,
    ) -> Result<Vec<Outgoing>, Fault> {
        let succeeded = end.condition == Condition::Success;
        let target = if succeeded { &config.on_success } else { &config.on_failure };
        if succeeded && target.is_none() {
            return Ok(Vec::new());
        }
        let found = match self.find(named.clone()) {
            Ok(found) => found,
            // Nobody's role could send it.
            Err(fault) if fault.status == 404 => return Ok(Vec::new()),
            Err(fault) => return Err(fault),
        };
        let (now, settings) = (self.options.clocks.product(), found.edition().settings);
        let delivery = Delivery {
            service: "lambda".into(),
            operation: "Invoke".into(),
            sender: Sender::Role {
                account: named.address.account.to_string(),
                role: role_name(&settings.role).to_owned(),
                session: named.address.name.clone(),
            },
            region: named.address.region.to_string(),
            path: "/".into(),
            query: String::new(),
            headers: vec![("content-type".into(), "application/json".into())],
            first_ms: now.0,
            depth: waiting.depth.saturating_add(1),
            trace: waiting.trace.clone(),
            attempts: 0,
            last_error: None,
            failing: None,
            body: Bytes::new(),
        };
        let failing = |dead_letter| {
            let function_arn = named.address.qualified(named.qualifier.as_deref());
            Some(Failing { function_arn, dead_letter })
        };
        let send = |queue: &Queue, dead_letter, body| Delivery {
            service: "sqs".into(),
            operation: "SendMessage".into(),
            region: queue.region.to_string(),
            failing: failing(dead_letter),
            body,
            ..delivery.clone()
        };
        let mut reports = Vec::new();
        // An event ends once, so its request names the rows.
        let mut put = |name: &str, delivery: Delivery| {
            reports.push((now.0, format!("{name}-{}", waiting.request), delivery.to_bytes()));
        };
        if let Some(target) = target {
            let record = record(named, waiting, end, now)?;
            match Queue::of(target) {
                Some(queue) => {
                    let body = message(&self.queue_url(&queue), &String::from_utf8_lossy(&record), &[]);
                    put("event", send(&queue, false, body));
                }
                None => {
                    let function: String = byte_serialize(target.as_bytes()).collect();
                    let path = format!("/2015-03-31/functions/{function}/invocations");
                    let headers = vec![("x-amz-invocation-type".into(), "Event".into())];
                    put("event", Delivery { path, headers, failing: failing(false), body: record, ..delivery.clone() });
                }
            }
        }
        if let Some(queue) = settings.dead_letter.as_deref().and_then(Queue::of).filter(|_| !succeeded) {
            let (status, why) = error(waiting, end);
            let status = status.to_string();
            let mut attributes =
                vec![("RequestID", "String", waiting.request.as_str()), ("ErrorCode", "Number", &status)];
            // A queue takes no empty attribute.
            if !why.is_empty() {
                attributes.push(("ErrorMessage", "String", &why));
            }
            let body = message(&self.queue_url(&queue), &String::from_utf8_lossy(end.payload), &attributes);
            put("dead-letter", send(&queue, true, body));
        }
        Ok(reports)
    }
}

/// The function that a destination names, if it is one of this region.
pub(crate) fn function(region: &base::Region, arn: &str) -> Option<Named> {
    let parts = name::parse(arn)?;
    let account = parts.account?.parse().ok()?;
    let here = parts.region == Some(region.as_str()) && arn.starts_with("arn:");
    let address = Address { account, region: region.clone(), name: parts.name.to_owned() };
    here.then(|| Named { address, qualifier: parts.qualifier.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_as_aws_writes_it() {
        let address =
            Address { account: base::Account::DEFAULT, region: base::Region::default_region(), name: "f".into() };
        let named = Named { address, qualifier: None };
        let waiting = Waiting {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            name: "f".into(),
            qualifier: None,
            request: "r".into(),
            since_ms: 0,
            failures: 0,
            refusals: 0,
            last: None,
            trace: None,
            client_context: None,
            depth: 0,
        };
        let payload = Bytes::from_static(b"{\"b\": 1.50, \"a\": 2}");
        let end = End { condition: Condition::EventAgeExceeded, payload: &payload, done: None, runs: 1 };
        let now = Timestamp::from_civil(2026, 11, 21, 5, 20, 0, 7);
        assert_eq!(
            record(&named, &waiting, &end, now).unwrap(),
            r#"{"version":"1.0","timestamp":"2026-11-21T05:20:00.007Z","requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"EventAgeExceeded","approximateInvokeCount":1},"requestPayload":{"b": 1.50, "a": 2}}"#
        );
    }

    #[test]
    fn what_is_no_json_is_told_as_text() {
        let told = |bytes: &'static [u8]| serde_json::to_string(&Payload::of(&Bytes::from_static(bytes))).unwrap();
        assert_eq!(
            (told(b"[1]"), told(b"no \"json\""), told(b"")),
            ("[1]".into(), r#""no \"json\"""#.into(), "null".into())
        );
    }

    #[test]
    fn what_no_queue_takes_is_written_otherwise_in_json() {
        let sent: serde_json::Value = serde_json::from_slice(&message("u", "[\"a\u{ffff}\u{fffe}\"]", &[])).unwrap();
        let body = sent["MessageBody"].as_str().unwrap();
        assert_eq!(body, r#"["a\uffff\ufffe"]"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), serde_json::json!(["a\u{ffff}\u{fffe}"]));
    }

    #[test]
    fn only_a_whole_arn_of_the_region_names_a_destination() {
        let region = base::Region::default_region();
        let found = |arn| function(&region, arn).map(|named| (named.address.name, named.qualifier));
        assert_eq!(
            found("arn:aws:lambda:us-east-1:000000000000:function:f:live"),
            Some(("f".into(), Some("live".into())))
        );
        for other in ["f", "000000000000:function:f", "arn:aws:lambda:eu-west-1:000000000000:function:f"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
