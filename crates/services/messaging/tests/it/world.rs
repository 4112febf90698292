//! The room, a caller, and clocks that a test holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Account, Bell, Fault, LocalBell, Principal, Region, RequestId, SystemRng, VirtualClocks};
use door::{Body, Call, Dispatch, Gate, Handle, Input, Origin, Router, RouterBuilder, Via};
use messaging::queues::{self, Options, Queues};
use model::sqs::{self as aws, ops};
use store::Kv;
use wire::Op;

pub(crate) struct World {
    pub(crate) queues: Arc<Queues>,
    /// The room behind a door that asks no policies.
    pub(crate) router: Arc<Router>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) bell: Arc<dyn Bell>,
    service: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.service.abort();
    }
}

/// What a queue's URL is here.
pub(crate) fn url(name: &str) -> Option<String> {
    Some(format!("http://localhost:4566/000000000000/{name}"))
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

/// A redrive policy.
pub(crate) fn redrive(target: &str, count: u32) -> String {
    format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":{count}}}"#, arn(target))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(store::memory())
    }

    pub(crate) fn over(kv: Arc<dyn Kv>) -> Self {
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        Self::with(kv, clocks)
    }

    pub(crate) fn with(kv: Arc<dyn Kv>, clocks: Arc<VirtualClocks>) -> Self {
        let bell: Arc<dyn Bell> = Arc::new(LocalBell::over(clocks.clone()));
        let (queues, service) = Queues::open(Options {
            kv: Arc::clone(&kv),
            clocks: clocks.clone(),
            rng: Arc::new(SystemRng),
            bell: Arc::clone(&bell),
            authority: "localhost:4566".into(),
            scheme: "http",
        });
        let router = queues::register(RouterBuilder::default(), &queues).dropping(dropped()).build(Gate::off());
        Self { queues, router, clocks, kv, bell, service: tokio::spawn(service.run()) }
    }

    /// The room after a restart, over the same rows.
    pub(crate) fn again(&self) -> Self {
        Self::with(Arc::clone(&self.kv), Arc::clone(&self.clocks))
    }

    /// The room behind another gate.
    pub(crate) fn behind(&self, gate: Arc<Gate>) -> Arc<Router> {
        queues::register(RouterBuilder::default(), &self.queues).dropping(dropped()).build(gate)
    }

    pub(crate) async fn call<O: Op>(&self, input: O::Input) -> Result<O::Output, Fault>
    where
        Queues: Handle<O>,
    {
        self.call_as::<O>(Principal::Root { account: Account::DEFAULT, verified: true }, input).await
    }

    pub(crate) async fn call_as<O: Op>(&self, principal: Principal, input: O::Input) -> Result<O::Output, Fault>
    where
        Queues: Handle<O>,
    {
        Ok(self.router.call(call::<O>(principal, input)).await?.typed().unwrap())
    }

    pub(crate) fn now(&self) -> i64 {
        base::Clocks::product(&*self.clocks).0
    }

    /// Lets so many seconds of product time pass.
    pub(crate) async fn pass(&self, seconds: i64) {
        self.clocks.advance(seconds as u64 * 1000).await.unwrap();
    }

    pub(crate) async fn create(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        self.try_create(name, attributes).await.unwrap()
    }

    pub(crate) async fn try_create(&self, name: &str, attributes: &[(&str, &str)]) -> Result<String, Fault> {
        let input =
            aws::CreateQueueRequest { queue_name: Some(name.into()), attributes: Some(map(attributes)), tags: None };
        Ok(self.call::<ops::CreateQueue>(input).await?.queue_url.unwrap())
    }

    pub(crate) async fn set(&self, name: &str, attributes: &[(&str, &str)]) -> Result<(), Fault> {
        let input = aws::SetQueueAttributesRequest { queue_url: url(name), attributes: Some(map(attributes)) };
        self.call::<ops::SetQueueAttributes>(input).await.map(drop)
    }

    pub(crate) async fn attributes(&self, name: &str) -> BTreeMap<String, String> {
        let input = aws::GetQueueAttributesRequest { queue_url: url(name), attribute_names: Some(vec!["All".into()]) };
        self.call::<ops::GetQueueAttributes>(input).await.unwrap().attributes.unwrap()
    }

    /// Messages that are visible, in flight, and delayed.
    pub(crate) async fn counts(&self, name: &str) -> (u64, u64, u64) {
        let all = self.attributes(name).await;
        let count = |name: &str| all[&format!("ApproximateNumberOfMessages{name}")].parse().unwrap();
        (count(""), count("NotVisible"), count("Delayed"))
    }

    pub(crate) async fn send(&self, name: &str, body: &str) -> aws::SendMessageResult {
        self.call::<ops::SendMessage>(message(name, body)).await.unwrap()
    }

    /// Sends to a FIFO queue; without an id the body stands for it.
    pub(crate) async fn send_to(
        &self,
        name: &str,
        group: &str,
        id: Option<&str>,
        body: &str,
    ) -> aws::SendMessageResult {
        let input = aws::SendMessageRequest {
            message_group_id: Some(group.into()),
            message_deduplication_id: id.map(Into::into),
            ..message(name, body)
        };
        self.call::<ops::SendMessage>(input).await.unwrap()
    }

    pub(crate) async fn receive(&self, name: &str) -> Vec<aws::Message> {
        self.receive_as(ask(name)).await
    }

    pub(crate) async fn receive_as(&self, ask: aws::ReceiveMessageRequest) -> Vec<aws::Message> {
        self.call::<ops::ReceiveMessage>(ask).await.unwrap().messages.unwrap_or_default()
    }

    /// The bodies of what can be received now.
    pub(crate) async fn bodies(&self, name: &str) -> Vec<String> {
        self.receive(name).await.into_iter().map(|one| one.body.unwrap()).collect()
    }

    pub(crate) async fn delete(&self, name: &str, message: &aws::Message) -> Result<(), Fault> {
        let input = aws::DeleteMessageRequest { queue_url: url(name), receipt_handle: message.receipt_handle.clone() };
        self.call::<ops::DeleteMessage>(input).await.map(drop)
    }

    pub(crate) async fn show(&self, name: &str, message: &aws::Message, seconds: i64) -> Result<(), Fault> {
        let input = aws::ChangeMessageVisibilityRequest {
            queue_url: url(name),
            receipt_handle: message.receipt_handle.clone(),
            visibility_timeout: Some(seconds),
        };
        self.call::<ops::ChangeMessageVisibility>(input).await.map(drop)
    }
}

/// A call by somebody.
pub(crate) fn call<O: Op>(principal: Principal, input: O::Input) -> Call {
    Call {
        principal,
        origin: Origin::default(),
        via: Via::Client { loopback: true },
        operation: O::ROW,
        input: Input::Typed(Box::new(input)),
        body: Body::Empty,
        region: Region::default_region(),
        request_id: RequestId::new(&SystemRng),
        deadline: None,
        depth: 0,
        trace: None,
    }
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn message(name: &str, body: &str) -> aws::SendMessageRequest {
    aws::SendMessageRequest { queue_url: url(name), message_body: Some(body.into()), ..Default::default() }
}

/// Asks for ten messages with all that is said of them.
pub(crate) fn ask(name: &str) -> aws::ReceiveMessageRequest {
    aws::ReceiveMessageRequest {
        queue_url: url(name),
        message_system_attribute_names: Some(vec!["All".into()]),
        message_attribute_names: Some(vec!["All".into()]),
        max_number_of_messages: Some(10),
        ..Default::default()
    }
}

/// What the system says of a message.
pub(crate) fn said<'m>(message: &'m aws::Message, name: &str) -> Option<&'m str> {
    message.attributes.as_ref()?.get(name).map(String::as_str)
}

/// Whether a task is still at work after everybody had a turn.
pub(crate) async fn waits<T>(task: &tokio::task::JoinHandle<T>) -> bool {
    tokio::time::sleep(Duration::from_millis(20)).await;
    !task.is_finished()
}

/// The member that `cargo xtask drops` takes away.
fn dropped() -> Option<door::Dropped> {
    std::env::var("LAMBENT_DROP").ok().map(|text| text.parse().unwrap())
}
