//! Who may do what with a queue.

use std::sync::{Arc, Mutex};

use base::{Account, Principal, SystemClocks};
use door::{Ask, Decision, Denial, Dispatch, Gate, Mode, Policies};
use model::sqs::{self as aws, ops};

use crate::world::{World, call, map, message, url};

/// An action, a resource, its policy and its tags.
type Question = (String, String, Option<String>, Vec<String>);

/// Remembers what it was asked, and denies it.
#[derive(Default)]
struct Asked(Mutex<Vec<Question>>);

impl Policies for Asked {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let keys = (ask.keys)();
        let tags = keys.iter().filter(|(name, _)| name.starts_with("aws:ResourceTag/"));
        let tags = tags.map(|(name, value)| format!("{name}={}", value.join(","))).collect();
        let asked = (ask.action.to_owned(), ask.resource.to_owned(), ask.policy.map(str::to_owned), tags);
        self.0.lock().unwrap().push(asked);
        let denial = Denial { message: "no".into(), because: "no".into(), always: false };
        Decision::Denied(denial)
    }
}

#[tokio::test]
async fn policies_are_asked_about_the_queue_that_a_url_names() {
    let world = World::new();
    let policy = r#"{"Statement":[]}"#;
    let input = aws::CreateQueueRequest {
        queue_name: Some("jobs".into()),
        attributes: Some(map(&[("Policy", policy)])),
        tags: Some(map(&[("team", "blue")])),
    };
    world.call::<ops::CreateQueue>(input).await.unwrap();
    let asked = Arc::new(Asked::default());
    let gate = Gate::new(asked.clone(), Mode::Enforce, Arc::new(SystemClocks));
    let router = world.behind(Arc::new(gate));
    let stranger = Principal::Root { account: "111111111111".parse::<Account>().unwrap(), verified: true };
    let batch = aws::SendMessageBatchRequest {
        queue_url: url("jobs"),
        entries: Some(vec![aws::SendMessageBatchRequestEntry {
            id: Some("1".into()),
            message_body: Some("x".into()),
            ..Default::default()
        }]),
    };
    let fault = router.call(call::<ops::SendMessageBatch>(stranger, batch)).await.unwrap_err();
    assert_eq!((&*fault.code, fault.status), ("AccessDenied", 403));
    let arn = crate::world::arn("jobs");
    let wanted =
        ("sqs:SendMessage".to_owned(), arn, Some(policy.to_owned()), vec!["aws:ResourceTag/team=blue".to_owned()]);
    assert_eq!(*asked.0.lock().unwrap(), [wanted]);
}

#[tokio::test]
async fn another_account_may_send_and_receive_but_not_govern() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let stranger = || Principal::Root { account: "111111111111".parse::<Account>().unwrap(), verified: true };
    world.call_as::<ops::SendMessage>(stranger(), message("jobs", "x")).await.unwrap();
    let got = world.call_as::<ops::ReceiveMessage>(stranger(), crate::world::ask("jobs")).await.unwrap();
    assert_eq!(got.messages.unwrap()[0].attributes.as_ref().unwrap()["SenderId"], "111111111111");
    let set = aws::SetQueueAttributesRequest { queue_url: url("jobs"), attributes: Some(map(&[])) };
    let tag = aws::TagQueueRequest { queue_url: url("jobs"), tags: Some(map(&[])) };
    for fault in [
        world.call_as::<ops::SetQueueAttributes>(stranger(), set).await.unwrap_err(),
        world.call_as::<ops::TagQueue>(stranger(), tag).await.unwrap_err(),
        world
            .call_as::<ops::DeleteQueue>(stranger(), aws::DeleteQueueRequest { queue_url: url("jobs") })
            .await
            .unwrap_err(),
        world
            .call_as::<ops::ListQueueTags>(stranger(), aws::ListQueueTagsRequest { queue_url: url("jobs") })
            .await
            .unwrap_err(),
    ] {
        assert_eq!(fault.code, "AccessDenied");
    }
}

#[tokio::test]
async fn permissions_are_statements_of_the_policy() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let add = async |label: &str| {
        let input = aws::AddPermissionRequest {
            queue_url: url("jobs"),
            label: Some(label.into()),
            aws_account_ids: Some(vec!["111111111111".into()]),
            actions: Some(vec!["SendMessage".into(), "ReceiveMessage".into()]),
        };
        world.call::<ops::AddPermission>(input).await
    };
    add("share").await.unwrap();
    let policy = world.attributes("jobs").await["Policy"].clone();
    for part in ["arn:aws:iam::111111111111:root", "SQS:SendMessage", "SQS:ReceiveMessage", "\"share\""] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    let fault = add("share").await.unwrap_err();
    assert_eq!(fault.message, "Value share for parameter Label is invalid. Reason: Already exists.");
    let remove = async |label: &str| {
        let input = aws::RemovePermissionRequest { queue_url: url("jobs"), label: Some(label.into()) };
        world.call::<ops::RemovePermission>(input).await
    };
    remove("share").await.unwrap();
    assert!(!world.attributes("jobs").await.contains_key("Policy"));
    assert_eq!(remove("share").await.unwrap_err().code, "InvalidParameterValue");
}

#[tokio::test]
async fn who_moves_messages_must_be_allowed_each_step() {
    let world = World::new();
    let asked = Arc::new(Asked::default());
    // Warns only, so that all are asked.
    let router = world.behind(Arc::new(Gate::new(asked.clone(), Mode::Warn, Arc::new(SystemClocks))));
    world.create("dead", &[]).await;
    let input = aws::StartMessageMoveTaskRequest {
        source_arn: Some(crate::world::arn("dead")),
        destination_arn: Some(crate::world::arn("jobs")),
        ..Default::default()
    };
    let root = Principal::Root { account: Account::DEFAULT, verified: true };
    drop(router.call(call::<ops::StartMessageMoveTask>(root, input)).await);
    let asked: Vec<_> = asked.0.lock().unwrap().iter().map(|one| (one.0.clone(), one.1.clone())).collect();
    let (dead, jobs) = (crate::world::arn("dead"), crate::world::arn("jobs"));
    let wanted = [
        ("sqs:StartMessageMoveTask", &dead),
        ("sqs:ReceiveMessage", &dead),
        ("sqs:DeleteMessage", &dead),
        ("sqs:GetQueueAttributes", &dead),
        ("sqs:SendMessage", &jobs),
    ];
    assert_eq!(asked, wanted.map(|(action, arn)| (action.to_owned(), arn.clone())));
}
