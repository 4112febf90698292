//! A service of queues in memory: what a reader of queues meets there, and no more.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use base::{Bell, BoxFuture, Clocks, Fault, Principal};
use door::{Call, Dispatch, Input, Reply};
use functions::Options;
use model::{dynamodbstreams, kinesis, sqs};

use crate::world::{Disk, World};

pub(crate) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

struct Message {
    id: String,
    body: String,
    trace: Option<String>,
    group: Option<String>,
    visible_ms: i64,
    received: u32,
}

#[derive(Default)]
struct Queue {
    attributes: BTreeMap<String, String>,
    messages: Vec<Message>,
    sent: usize,
}

/// All queues, by name. One is there once it is made, or anything but `gone` when it is asked for.
pub(crate) struct Queues {
    inner: Mutex<Inner>,
    clocks: Arc<dyn Clocks>,
    bell: Arc<dyn Bell>,
}

#[derive(Default)]
struct Inner {
    queues: HashMap<String, Queue>,
    denied: HashSet<String>,
    /// Who received, and how much was asked for.
    receives: Vec<(Principal, i64)>,
    /// How the next deletions fail.
    broken: VecDeque<Broken>,
}

/// How a deletion fails.
#[derive(Clone, Copy)]
pub(crate) enum Broken {
    Whole,
    First,
}

impl Queues {
    pub(crate) fn new(options: &Options) -> Arc<Self> {
        let (clocks, bell) = (Arc::clone(&options.clocks), Arc::clone(&options.bell));
        Arc::new(Self { inner: Mutex::default(), clocks, bell })
    }

    pub(crate) fn set(&self, queue: &str, attribute: &str, value: &str) {
        let mut inner = self.inner.lock().unwrap();
        let queue = inner.queues.entry(queue.to_owned()).or_default();
        queue.attributes.insert(attribute.to_owned(), value.to_owned());
    }

    pub(crate) fn send(&self, queue: &str, body: &str) -> String {
        self.send_as(queue, body, None, None)
    }

    pub(crate) fn send_as(&self, queue: &str, body: &str, group: Option<&str>, trace: Option<&str>) -> String {
        let id = self.lay(queue, body, group, trace);
        self.ring(queue);
        id
    }

    /// Puts a message in without a ring.
    pub(crate) fn lay(&self, name: &str, body: &str, group: Option<&str>, trace: Option<&str>) -> String {
        let mut inner = self.inner.lock().unwrap();
        let queue = inner.queues.entry(name.to_owned()).or_default();
        queue.sent += 1;
        let id = format!("{name}-{}", queue.sent);
        queue.messages.push(Message {
            id: id.clone(),
            body: body.to_owned(),
            trace: trace.map(str::to_owned),
            group: group.map(str::to_owned),
            visible_ms: 0,
            received: 0,
        });
        id
    }

    pub(crate) fn ring(&self, queue: &str) {
        self.bell.ring(&format!("sqs:arn:aws:sqs:us-east-1:000000000000:{queue}"));
    }

    /// The bodies that are there still, visible or not.
    pub(crate) fn left(&self, queue: &str) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        inner
            .queues
            .get(queue)
            .map_or_else(Vec::new, |queue| queue.messages.iter().map(|one| one.body.clone()).collect())
    }

    pub(crate) fn deny(&self, action: &str, denied: bool) {
        let mut inner = self.inner.lock().unwrap();
        if denied {
            inner.denied.insert(action.to_owned())
        } else {
            inner.denied.remove(action)
        };
    }

    /// Lets the next deletions fail.
    pub(crate) fn break_deletions(&self, how: &[Broken]) {
        self.inner.lock().unwrap().broken.extend(how);
    }

    pub(crate) fn receives(&self) -> Vec<(Principal, i64)> {
        self.inner.lock().unwrap().receives.clone()
    }

    fn answer(&self, call: Call) -> Result<Reply, Fault> {
        let operation = call.operation.name;
        let Input::Typed(input) = call.input else { return Err(Fault::internal("typed")) };
        let input: Box<dyn std::any::Any> = input;
        let mut inner = self.inner.lock().unwrap();
        let is_owner = matches!(call.principal, Principal::Root { .. });
        if !is_owner && inner.denied.contains(operation) {
            return Err(Fault::new("AccessDeniedException", 400, format!("may not {operation}")));
        }
        let name = |url: Option<String>| {
            let url = url.unwrap_or_default();
            let name = url.rsplit('/').next().unwrap_or_default().to_owned();
            if name == "gone" {
                return Err(sqs::queue_does_not_exist("The specified queue does not exist."));
            }
            Ok(name)
        };
        let output: Box<dyn wire::Structure> = match operation {
            "GetQueueAttributes" => {
                let asked = input.downcast::<sqs::GetQueueAttributesRequest>().unwrap();
                let queue = inner.queues.entry(name(asked.queue_url)?).or_default();
                let mut attributes = queue.attributes.clone();
                attributes.entry("VisibilityTimeout".into()).or_insert("30".into());
                Box::new(sqs::GetQueueAttributesResult { attributes: Some(attributes) })
            }
            "ReceiveMessage" => {
                let asked = input.downcast::<sqs::ReceiveMessageRequest>().unwrap();
                assert_eq!((asked.wait_time_seconds, asked.visibility_timeout), (Some(0), None));
                let most = asked.max_number_of_messages.unwrap();
                inner.receives.push((call.principal, most));
                let queue = inner.queues.entry(name(asked.queue_url)?).or_default();
                let messages = queue.receive(self.clocks.product().0, usize::try_from(most).unwrap());
                Box::new(sqs::ReceiveMessageResult { messages: Some(messages) })
            }
            "DeleteMessageBatch" => {
                let asked = input.downcast::<sqs::DeleteMessageBatchRequest>().unwrap();
                let entries = asked.entries.unwrap();
                assert!((1..=10).contains(&entries.len()));
                let broken = inner.broken.pop_front();
                if let Some(Broken::Whole) = broken {
                    return Err(Fault::internal("broken"));
                }
                let mut entries = entries.into_iter();
                let failed = broken.and_then(|_| entries.next()).map(|entry| sqs::BatchResultErrorEntry {
                    id: entry.id,
                    sender_fault: Some(false),
                    code: Some("InternalError".into()),
                    ..sqs::BatchResultErrorEntry::default()
                });
                let gone: HashSet<String> = entries.filter_map(|entry| entry.receipt_handle).collect();
                let queue = inner.queues.entry(name(asked.queue_url)?).or_default();
                queue.messages.retain(|message| !gone.contains(&format!("{}-{}", message.id, message.received)));
                let failed = failed.map(|failed| vec![failed]);
                Box::new(sqs::DeleteMessageBatchResult { failed, ..sqs::DeleteMessageBatchResult::default() })
            }
            "DescribeStreamSummary" => {
                let asked = input.downcast::<kinesis::DescribeStreamSummaryInput>().unwrap();
                name(asked.stream_arn)?;
                Box::new(kinesis::DescribeStreamSummaryOutput::default())
            }
            "DescribeStream" => Box::new(dynamodbstreams::DescribeStreamOutput::default()),
            other => return Err(Fault::not_implemented(format_args!("{other}"))),
        };
        Ok(Reply { output, body: door::Body::Empty })
    }
}

impl Queue {
    fn receive(&mut self, now_ms: i64, most: usize) -> Vec<sqs::Message> {
        let visibility_s: i64 = self.attributes.get("VisibilityTimeout").map_or(30, |text| text.parse().unwrap());
        // A group with a message under way is closed.
        let under_way = |message: &&Message| message.visible_ms > now_ms;
        let closed: HashSet<String> =
            self.messages.iter().filter(under_way).filter_map(|message| message.group.clone()).collect();
        let open = |message: &&mut Message| {
            message.visible_ms <= now_ms && message.group.as_ref().is_none_or(|group| !closed.contains(group))
        };
        let told = self.messages.iter_mut().filter(open).take(most).map(|message| {
            message.visible_ms = now_ms + visibility_s * 1_000;
            message.received += 1;
            let mut attributes = BTreeMap::from([("ApproximateReceiveCount".to_owned(), message.received.to_string())]);
            attributes.extend(message.trace.clone().map(|trace| ("AWSTraceHeader".to_owned(), trace)));
            attributes.extend(message.group.clone().map(|group| ("MessageGroupId".to_owned(), group)));
            sqs::Message {
                message_id: Some(message.id.clone()),
                receipt_handle: Some(format!("{}-{}", message.id, message.received)),
                body: Some(message.body.clone()),
                md5_of_body: Some("md5".into()),
                attributes: Some(attributes),
                ..sqs::Message::default()
            }
        });
        told.collect()
    }
}

/// As a [`Dispatch`].
pub(crate) struct Asked(pub(crate) Arc<Queues>);

impl Dispatch for Asked {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        let answer = self.0.answer(call);
        Box::pin(async move { answer })
    }
}

/// A world with queues. Nothing is read before it serves.
pub(crate) fn world_on(disk: Disk, change: impl FnOnce(&mut Options)) -> (World, Arc<Queues>) {
    let mut queues = None;
    let world = World::with(disk, |options| {
        let made = Queues::new(options);
        options.dispatch = Arc::new(Asked(Arc::clone(&made)));
        queues = Some(made);
        change(options);
    });
    (world, queues.unwrap())
}
