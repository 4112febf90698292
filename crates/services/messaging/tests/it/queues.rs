//! Queues as wholes.

use model::sqs::{self as aws, ops};

use crate::world::{World, map, redrive, url};

#[tokio::test]
async fn a_queue_shows_every_attribute_that_it_was_given_and_the_defaults_of_the_rest() {
    let world = World::new();
    let made = world.create("jobs", &[("VisibilityTimeout", "20"), ("DelaySeconds", "1")]).await;
    assert_eq!(Some(made), url("jobs"));
    let seconds = (world.now() / 1000).to_string();
    let wanted = [
        ("ApproximateNumberOfMessages", "0"),
        ("ApproximateNumberOfMessagesDelayed", "0"),
        ("ApproximateNumberOfMessagesNotVisible", "0"),
        ("CreatedTimestamp", &seconds),
        ("DelaySeconds", "1"),
        ("LastModifiedTimestamp", &seconds),
        ("MaximumMessageSize", "1048576"),
        ("MessageRetentionPeriod", "345600"),
        ("QueueArn", "arn:aws:sqs:us-east-1:000000000000:jobs"),
        ("ReceiveMessageWaitTimeSeconds", "0"),
        ("SqsManagedSseEnabled", "true"),
        ("VisibilityTimeout", "20"),
    ];
    assert_eq!(world.attributes("jobs").await, map(&wanted));
    world.pass(5).await;
    world.set("jobs", &[("VisibilityTimeout", "0"), ("SqsManagedSseEnabled", "false")]).await.unwrap();
    let all = world.attributes("jobs").await;
    assert_eq!((&*all["VisibilityTimeout"], &*all["SqsManagedSseEnabled"], &*all["DelaySeconds"]), ("0", "false", "1"));
    assert_eq!(all["LastModifiedTimestamp"], (world.now() / 1000).to_string());
    assert_eq!(all["CreatedTimestamp"], seconds);
}

#[tokio::test]
async fn attributes_are_shown_by_name() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let get = async |names: &[&str]| {
        let attribute_names = Some(names.iter().map(|name| (*name).to_owned()).collect());
        world
            .call::<ops::GetQueueAttributes>(aws::GetQueueAttributesRequest { queue_url: url("jobs"), attribute_names })
            .await
    };
    assert_eq!(get(&["DelaySeconds", "Policy"]).await.unwrap().attributes.unwrap(), map(&[("DelaySeconds", "0")]));
    assert_eq!(get(&[]).await.unwrap().attributes, None);
    let fault = get(&["Colour"]).await.unwrap_err();
    assert_eq!((&*fault.code, &*fault.message), ("InvalidAttributeName", "Unknown Attribute Colour."));
}

#[tokio::test]
async fn a_queue_that_exists_is_found_if_it_is_what_was_wanted() {
    let world = World::new();
    let first = world.create("jobs", &[("DelaySeconds", "5")]).await;
    assert_eq!(world.create("jobs", &[]).await, first);
    assert_eq!(world.create("jobs", &[("DelaySeconds", "5")]).await, first);
    let fault = world.try_create("jobs", &[("DelaySeconds", "6")]).await.unwrap_err();
    assert_eq!(fault.code, "QueueAlreadyExists");
    assert_eq!(
        fault.message,
        "A queue already exists with the same name and a different value for attribute DelaySeconds"
    );
}

#[tokio::test]
async fn a_deleted_queue_is_gone_and_its_name_is_taken_for_a_minute() {
    let world = World::new();
    world.create("jobs", &[]).await;
    world.send("jobs", "lost").await;
    world.call::<ops::DeleteQueue>(aws::DeleteQueueRequest { queue_url: url("jobs") }).await.unwrap();
    let fault = world.call::<ops::ReceiveMessage>(crate::world::ask("jobs")).await.unwrap_err();
    assert_eq!(fault.code, "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(fault.message, "The specified queue does not exist.");
    world.pass(59).await;
    let fault = world.try_create("jobs", &[]).await.unwrap_err();
    assert_eq!(fault.code, "AWS.SimpleQueueService.QueueDeletedRecently");
    world.pass(1).await;
    world.create("jobs", &[]).await;
    assert_eq!(world.counts("jobs").await, (0, 0, 0));
    assert!(world.bodies("jobs").await.is_empty());
}

#[tokio::test]
async fn a_purge_takes_all_messages_and_only_one_a_minute_is_let_in() {
    let world = World::new();
    world.create("jobs", &[]).await;
    for body in ["a", "b", "c"] {
        world.send("jobs", body).await;
    }
    let one = aws::ReceiveMessageRequest { max_number_of_messages: Some(1), ..crate::world::ask("jobs") };
    let held = world.receive_as(one).await;
    let purge = || world.call::<ops::PurgeQueue>(aws::PurgeQueueRequest { queue_url: url("jobs") });
    purge().await.unwrap();
    assert_eq!(world.counts("jobs").await, (0, 0, 0));
    world.delete("jobs", &held[0]).await.unwrap();
    world.send("jobs", "new").await;
    let fault = purge().await.unwrap_err();
    assert_eq!((&*fault.code, fault.status), ("AWS.SimpleQueueService.PurgeQueueInProgress", 403));
    assert_eq!(fault.message, "Only one PurgeQueue operation on jobs is allowed every 60 seconds.");
    assert_eq!(world.bodies("jobs").await, ["new"]);
    world.pass(60).await;
    purge().await.unwrap();
    assert!(world.bodies("jobs").await.is_empty());
}

#[tokio::test]
async fn urls_are_found_by_name_and_understood_whatever_their_host() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let get = async |name: &str, owner: Option<&str>| {
        let input = aws::GetQueueUrlRequest {
            queue_name: Some(name.into()),
            queue_owner_aws_account_id: owner.map(Into::into),
        };
        world.call::<ops::GetQueueUrl>(input).await.map(|found| found.queue_url)
    };
    assert_eq!(get("jobs", None).await.unwrap(), url("jobs"));
    assert_eq!(get("jobs", Some("000000000000")).await.unwrap(), url("jobs"));
    for (name, owner) in [("none", None), ("jobs", Some("111111111111"))] {
        assert_eq!(get(name, owner).await.unwrap_err().code, "AWS.SimpleQueueService.NonExistentQueue");
    }
    for at in ["https://sqs.us-east-1.amazonaws.com/000000000000/jobs", "http://10.0.0.1:1/queue/000000000000/jobs/"] {
        let input = aws::SendMessageRequest { queue_url: Some(at.into()), ..crate::world::message("", "hello") };
        world.call::<ops::SendMessage>(input).await.unwrap();
    }
    assert_eq!(world.counts("jobs").await.0, 2);
}

#[tokio::test]
async fn tags_are_set_and_taken_away() {
    let world = World::new();
    let input = aws::CreateQueueRequest {
        queue_name: Some("jobs".into()),
        tags: Some(map(&[("a", "1"), ("b", "2")])),
        ..Default::default()
    };
    world.call::<ops::CreateQueue>(input).await.unwrap();
    let tags = async || {
        world.call::<ops::ListQueueTags>(aws::ListQueueTagsRequest { queue_url: url("jobs") }).await.unwrap().tags
    };
    assert_eq!(tags().await, Some(map(&[("a", "1"), ("b", "2")])));
    let input = aws::TagQueueRequest { queue_url: url("jobs"), tags: Some(map(&[("b", ""), ("c", "3")])) };
    world.call::<ops::TagQueue>(input).await.unwrap();
    assert_eq!(tags().await, Some(map(&[("a", "1"), ("b", ""), ("c", "3")])));
    let untag =
        aws::UntagQueueRequest { queue_url: url("jobs"), tag_keys: Some(vec!["a".into(), "b".into(), "c".into()]) };
    world.call::<ops::UntagQueue>(untag).await.unwrap();
    assert_eq!(tags().await, None);
    let many: Vec<_> = (0..51).map(|n| format!("k{n}")).collect();
    let many = many.iter().map(|key| (key.as_str(), "v")).collect::<Vec<_>>();
    let input = aws::TagQueueRequest { queue_url: url("jobs"), tags: Some(map(&many)) };
    assert_eq!(world.call::<ops::TagQueue>(input).await.unwrap_err().code, "InvalidParameterValue");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let world = World::new();
    let fault = world.call::<ops::DeleteQueue>(aws::DeleteQueueRequest::default()).await.unwrap_err();
    assert_eq!(
        (&*fault.code, &*fault.message),
        ("MissingParameter", "The request must contain the parameter QueueUrl.")
    );
    let fault = world.call::<ops::CreateQueue>(aws::CreateQueueRequest::default()).await.unwrap_err();
    assert_eq!(fault.message, "The request must contain the parameter QueueName.");
    world.create("dead", &[]).await;
    world.create("jobs", &[("RedrivePolicy", &redrive("dead", 1))]).await;
    let message = aws::SendMessageRequest { message_body: Some(String::new()), ..crate::world::message("jobs", "") };
    assert_eq!(world.call::<ops::SendMessage>(message).await.unwrap_err().code, "MissingParameter");
}
