//! Events that failed for good, and ends of events, as messages of queues.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::{Fault, SystemClocks};
use door::outbox::{Delivery, Failing};
use door::{Ask, Decision, Denial, Gate, Mode, Policies};
use functions::Options;
use model::lambda::{self as aws, ops};
use model::sqs;
use serde_json::{Value, json};
use wire::Op;

use crate::events::{first_key, put_back, settled};
use crate::queue::{QUEUE, world_on};
use crate::world::{Disk, World, create};

fn to_queue(name: &str, target: &str) -> aws::CreateFunctionRequest {
    let config = aws::DeadLetterConfig { target_arn: Some(target.into()) };
    aws::CreateFunctionRequest { dead_letter_config: Some(config), ..create(name) }
}

fn world() -> World {
    world_on(Disk::new(), |_| {}).0
}

/// What waits in the outbox for queues, as the queues will read it.
fn sent(world: &World) -> Vec<(Delivery, sqs::SendMessageRequest)> {
    let rows = store::outbox::first(&*world.disk.kv, 0, 100).unwrap();
    let read = |value| {
        let delivery = Delivery::read(value).unwrap();
        assert_eq!((delivery.service.as_str(), delivery.operation.as_str()), ("sqs", "SendMessage"));
        let request = wire::Request {
            method: http::Method::POST,
            path: delivery.path.clone(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: delivery.body.clone(),
        };
        let row = sqs::ops::SendMessage::ROW;
        let input: Box<dyn std::any::Any> = wire::decode(row.service.protocols[0], row, request).unwrap();
        (delivery, *input.downcast().unwrap())
    };
    rows.iter().map(|(_, _, value)| read(value)).collect()
}

fn attribute<'a>(message: &'a sqs::SendMessageRequest, name: &str) -> (&'a str, &'a str) {
    let value = &message.message_attributes.as_ref().unwrap()[name];
    (value.data_type.as_deref().unwrap(), value.string_value.as_deref().unwrap())
}

fn words(fault: Fault) -> (String, String) {
    (fault.code.into_owned(), fault.message)
}

fn invalid(message: &str) -> (String, String) {
    ("InvalidParameterValueException".into(), message.into())
}

#[tokio::test]
async fn an_event_that_failed_for_good_goes_to_the_dead_letter_queue() {
    let mut world = world().serve();
    let made = world.call::<ops::CreateFunction>(to_queue("hello", QUEUE)).await.unwrap();
    assert_eq!(made.dead_letter_config.unwrap().target_arn.as_deref(), Some(QUEUE));
    world.event("hello", "\"fine\"").await;
    world.begins().await;
    settled(&world).await;
    assert!(sent(&world).is_empty());
    world.event("hello", "{\"fail\": 1.0}").await;
    let mut key = first_key(&world);
    for wait_ms in [60_000, 120_000] {
        world.begins().await;
        key = put_back(&world, &key).await;
        assert!(sent(&world).is_empty(), "it is tried again");
        world.clocks.advance(wait_ms).await.unwrap();
    }
    world.begins().await;
    settled(&world).await;
    let disk = world.die().await;
    let world = World::on(disk);
    let (delivery, message) = sent(&world).remove(0);
    assert_eq!(message.message_body.as_deref(), Some("{\"fail\": 1.0}"), "the event as it came");
    assert_eq!(message.queue_url.as_deref(), Some("http://localhost:4566/000000000000/q"));
    assert_eq!(attribute(&message, "ErrorCode"), ("Number", "200"));
    assert_eq!(attribute(&message, "ErrorMessage"), ("String", "{\"errorType\":\"ValueError\"}"));
    let (kind, request) = attribute(&message, "RequestID");
    assert_eq!((kind, request.len()), ("String", 36));
    let function_arn = "arn:aws:lambda:us-east-1:000000000000:function:hello".into();
    assert_eq!(delivery.failing, Some(Failing { function_arn, dead_letter: true }));
    assert_eq!(delivery.sender.account().unwrap().as_str(), "000000000000");
}

#[tokio::test]
async fn a_message_says_why_the_event_never_began() {
    let world = world().serve();
    world.call::<ops::CreateFunction>(to_queue("hello", QUEUE)).await.unwrap();
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    let age = aws::PutFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        maximum_event_age_in_seconds: Some(60),
        ..aws::PutFunctionEventInvokeConfigRequest::default()
    };
    world.call::<ops::PutFunctionEventInvokeConfig>(age).await.unwrap();
    world.event("hello", "1").await;
    world.clocks.advance(61_000).await.unwrap();
    settled(&world).await;
    let (_, message) = sent(&world).remove(0);
    assert_eq!(attribute(&message, "ErrorCode"), ("Number", "429"));
    assert_eq!(attribute(&message, "ErrorMessage"), ("String", "Rate Exceeded."));
}

#[tokio::test]
async fn a_dead_letter_queue_is_checked_changed_and_taken_away() {
    let world = world();
    let refused =
        async |target: &str| words(world.call::<ops::CreateFunction>(to_queue("other", target)).await.unwrap_err());
    assert_eq!(
        refused("arn:aws:sqs:us-east-1:000000000000:gone").await,
        invalid(
            "Error occurred while SendMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
             Message: The specified queue does not exist."
        )
    );
    let (code, message) = refused("arn:aws:sns:us-east-1:000000000000:t").await;
    assert_eq!(code, "NotImplemented");
    assert!(message.contains("CreateFunction.DeadLetterConfig to SNS"), "{message}");
    assert!(refused("arn:aws:sqs:us-east-1:000000000000:q.fifo").await.1.contains("FIFO"));
    for wrong in ["arn:aws:s3:::bucket", "arn:aws:sqs:eu-west-1:000000000000:q"] {
        assert_eq!(refused(wrong).await, invalid(&format!("The dead letter target ARN {wrong} is invalid.")));
    }
    world.create("hello").await;
    let update = async |target: Option<&str>| {
        let config = target.map(|target| aws::DeadLetterConfig { target_arn: Some(target.into()) });
        let input = aws::UpdateFunctionConfigurationRequest {
            function_name: Some("hello".into()),
            dead_letter_config: config,
            ..aws::UpdateFunctionConfigurationRequest::default()
        };
        let updated = world.call::<ops::UpdateFunctionConfiguration>(input).await;
        updated.map(|updated| updated.dead_letter_config.and_then(|config| config.target_arn)).map_err(words)
    };
    assert_eq!(update(Some(QUEUE)).await, Ok(Some(QUEUE.to_owned())));
    assert_eq!(update(None).await, Ok(Some(QUEUE.to_owned())));
    assert!(update(Some("arn:aws:sqs:us-east-1:000000000000:gone")).await.is_err());
    assert_eq!(update(Some("")).await, Ok(None));
}

/// Lets everybody do everything but send messages.
struct NoSending;

impl Policies for NoSending {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        if ask.action == "sqs:SendMessage" {
            return Decision::Denied(Denial { message: "no".into(), because: "no".into(), always: false });
        }
        Decision::Allowed("all".into())
    }

    fn trust_of(&self, _: &str) -> Option<Arc<str>> {
        Some("{}".into())
    }
}

#[tokio::test]
async fn the_functions_role_must_be_allowed_to_send() {
    let gated = |options: &mut Options| {
        options.gate = Arc::new(Gate::new(Arc::new(NoSending), Mode::Enforce, Arc::new(SystemClocks)));
    };
    let (world, _) = world_on(Disk::new(), gated);
    assert_eq!(
        words(world.call::<ops::CreateFunction>(to_queue("hello", QUEUE)).await.unwrap_err()),
        invalid("The provided execution role does not have permissions to call SendMessage on SQS")
    );
    world.create("hello").await;
    assert_eq!(
        words(world.call::<ops::PutFunctionEventInvokeConfig>(reporting(QUEUE)).await.unwrap_err()),
        invalid(&format!("The function's execution role does not have permissions to call SendMessage on {QUEUE}"))
    );
}

/// Both ends go to one queue.
fn reporting(arn: &str) -> aws::PutFunctionEventInvokeConfigRequest {
    aws::PutFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        maximum_retry_attempts: Some(0),
        destination_config: Some(aws::DestinationConfig {
            on_success: Some(aws::OnSuccess { destination: Some(arn.into()) }),
            on_failure: Some(aws::OnFailure { destination: Some(arn.into()) }),
        }),
        ..aws::PutFunctionEventInvokeConfigRequest::default()
    }
}

#[tokio::test]
async fn a_queue_hears_of_an_events_end() {
    let mut world = world().serve();
    world.call::<ops::CreateFunction>(to_queue("hello", QUEUE)).await.unwrap();
    for wrong in ["arn:aws:sqs:us-east-1:000000000000:gone", "arn:aws:sqs:us-east-1:000000000000:q.fifo"] {
        let refused = world.call::<ops::PutFunctionEventInvokeConfig>(reporting(wrong)).await.unwrap_err();
        assert_eq!(words(refused), invalid(&format!("The destination ARN {wrong} is invalid.")));
    }
    world.call::<ops::PutFunctionEventInvokeConfig>(reporting(QUEUE)).await.unwrap();
    world.failures.store(1, Ordering::SeqCst);
    world.event("hello", "\"fine\"").await;
    world.begins().await;
    settled(&world).await;
    let (delivery, message) = sent(&world).remove(0);
    let record: Value = serde_json::from_str(message.message_body.as_deref().unwrap()).unwrap();
    assert_eq!(
        (&record["requestContext"]["condition"], &record["requestPayload"]),
        (&json!("Success"), &json!("fine"))
    );
    assert_eq!(message.message_attributes, None);
    assert!(!delivery.failing.unwrap().dead_letter);
    world.event("hello", "\"fail\"").await;
    world.begins().await;
    settled(&world).await;
    // The destination and the dead-letter queue hear of it both.
    let bodies: Vec<String> = sent(&world).into_iter().map(|(_, one)| one.message_body.unwrap()).collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.contains(&"\"fail\"".to_owned()), "{bodies:?}");
    assert!(bodies.iter().any(|body| body.contains("RetriesExhausted")), "{bodies:?}");
}
