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
        let tags = ask.keys.iter().filter(|(name, _)| name.starts_with("aws:ResourceTag/"));
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
