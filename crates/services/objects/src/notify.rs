//! Events: whoever a bucket tells of a change is handed it in the change's own transaction.

use base::{Fault, Timestamp};
use bytes::Bytes;
use door::outbox::{Delivery, Sender};
use model::s3;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cause::Cause;
use crate::rules::events::{Event, Filter};
use crate::rules::record::Happened;
use crate::state;
use crate::types::{Bucket, Version};
use crate::write::Family;

/// As whom functions are invoked and messages sent.
pub(crate) const PRINCIPAL: &str = "s3.amazonaws.com";
/// The name of the configuration in a bucket's row.
pub(crate) const SETTING: &str = "notification";

/// The version an event is about, if it is still told of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// The version that was made, changed or taken away; none: there are no versions, or nothing was there.
    pub(crate) version: Option<&'a Version>,
    /// Its place in the order of what happens to the key; none: after all that has happened.
    pub(crate) seq: Option<u64>,
}

impl<'a> About<'a> {
    /// A version that is there now.
    pub(crate) fn made(version: &'a Version) -> Self {
        Self { version: Some(version), seq: Some(version.seq) }
    }

    /// A version that has gone.
    pub(crate) fn gone(version: &'a Version) -> Self {
        Self { version: Some(version), seq: None }
    }
}

/// `aws:SourceArn` of what a bucket sends.
pub(crate) fn source_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

impl Family<'_> {
    /// Hands an event to everybody whom the bucket tells of it.
    ///
    /// # Errors
    /// That the bucket's configuration does not read.
    pub(crate) fn tell(&mut self, event: Event, about: About<'_>, cause: &Cause) -> Result<(), Fault> {
        let Some(kept) = self.bucket.settings.get(SETTING) else { return Ok(()) };
        let configuration: s3::NotificationConfiguration =
            wire::recall(kept).map_err(|_| Fault::internal("a bucket's notification configuration does not read"))?;
        let key = self.place.key.clone();
        let wanted = listening(configuration, event, &key);
        if wanted.is_empty() {
            return Ok(());
        }
        let removed = !event.creates() && event.is_ordered();
        let object = about.version.and_then(|version| version.object.as_ref()).filter(|_| !removed);
        let happened = Happened {
            event,
            at: Timestamp(self.now_ms),
            cause,
            region: &self.bucket.region,
            bucket: &self.place.name,
            owner: &self.bucket.owner,
            key: &key,
            object: object.map(|object| (object.content.size_bytes, object.etag.as_str())),
            version_id: about.version.and_then(|version| version.id.as_deref()),
            seq: about.seq.unwrap_or_else(|| self.next_seq()),
        };
        for (to, id) in wanted {
            let delivery = delivery(&happened, &self.bucket, &to, &id);
            let row = format!("s3-{}-{}", state::hex(&self.random), self.told);
            store::outbox::put(&mut self.batch, self.now_ms, &row, delivery.to_bytes());
            self.told += 1;
        }
        Ok(())
    }
}

/// Who hears of an event of a key, and by which configuration.
fn listening(configuration: s3::NotificationConfiguration, event: Event, key: &str) -> Vec<(To, String)> {
    let s3::NotificationConfiguration {
        lambda_function_configurations: functions, queue_configurations: queues, ..
    } = configuration;
    let functions = functions
        .into_iter()
        .flatten()
        .map(|one| (To::Function(one.lambda_function_arn.unwrap_or_default()), one.id, one.events, one.filter));
    let queues = queues
        .into_iter()
        .flatten()
        .filter_map(|one| Some((To::Queue(Queue::of(&one.queue_arn?)?), one.id, one.events, one.filter)));
    functions
        .chain(queues)
        .filter(|(_, _, events, _)| event.is_among(events.as_deref().unwrap_or_default()))
        .filter(|(_, _, _, filter)| Filter::of(filter.as_ref()).passes(key))
        .map(|(to, id, ..)| (to, id.unwrap_or_default()))
        .collect()
}

/// Who hears.
enum To {
    Function(String),
    Queue(Queue),
}

/// A queue, as its ARN names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) region: String,
    account: String,
    name: String,
}

impl Queue {
    /// Reads `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    pub(crate) fn of(arn: &str) -> Option<Self> {
        let arn: base::Arn = arn.parse().ok().filter(|arn: &base::Arn| arn.service == "sqs")?;
        Some(Self { region: arn.region, account: arn.account, name: arn.resource })
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    /// Its URL, as AWS writes it: the queues look at its path alone.
    pub(crate) fn url(&self) -> String {
        format!("https://sqs.{}.amazonaws.com/{}/{}", self.region, self.account, self.name)
    }
}

/// One asynchronous invocation, or one message.
fn delivery(happened: &Happened<'_>, bucket: &Bucket, to: &To, configuration: &str) -> Delivery {
    let (cause, record) = (happened.cause, happened.record(configuration));
    let delivery = Delivery {
        service: "lambda".into(),
        operation: "Invoke".into(),
        sender: Sender::Service {
            name: PRINCIPAL.into(),
            source_arn: source_arn(happened.bucket),
            account: bucket.owner.clone(),
        },
        region: bucket.region.clone(),
        path: "/".into(),
        query: String::new(),
        headers: vec![("content-type".into(), "application/json".into())],
        first_ms: happened.at.0,
        depth: cause.depth.saturating_add(1),
        trace: cause.trace.clone(),
        attempts: 0,
        last_error: None,
        failing: None,
        body: Bytes::new(),
    };
    match to {
        To::Function(function) => {
            let mut headers = delivery.headers.clone();
            headers.push(("x-amz-invocation-type".into(), "Event".into()));
            let function = utf8_percent_encode(function, NON_ALPHANUMERIC);
            Delivery {
                path: format!("/2015-03-31/functions/{function}/invocations"),
                headers,
                body: record,
                ..delivery
            }
        }
        To::Queue(queue) => {
            let body = String::from_utf8_lossy(&record);
            let request = serde_json::json!({"QueueUrl": queue.url(), "MessageBody": body});
            Delivery {
                service: "sqs".into(),
                operation: "SendMessage".into(),
                body: request.to_string().into(),
                ..delivery
            }
        }
    }
}
