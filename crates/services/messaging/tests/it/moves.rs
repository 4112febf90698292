//! Moving dead letters back.

use base::Fault;
use model::sqs::{self as aws, ops};

use crate::world::{World, arn, redrive, said};

async fn dead_letters(world: &World, count: usize) {
    world.create("dead", &[]).await;
    world.create("jobs", &[("RedrivePolicy", &redrive("dead", 1)), ("VisibilityTimeout", "0")]).await;
    for n in 0..count {
        world.send("jobs", &n.to_string()).await;
    }
    while !world.receive("jobs").await.is_empty() {}
    assert_eq!(world.counts("dead").await, (count as u64, 0, 0));
}

fn start() -> aws::StartMessageMoveTaskRequest {
    aws::StartMessageMoveTaskRequest { source_arn: Some(arn("dead")), ..Default::default() }
}

async fn tasks(world: &World, most: Option<i64>) -> Vec<aws::ListMessageMoveTasksResultEntry> {
    let input = aws::ListMessageMoveTasksRequest { source_arn: Some(arn("dead")), max_results: most };
    world.call::<ops::ListMessageMoveTasks>(input).await.unwrap().results.unwrap()
}

async fn ended(world: &World) -> aws::ListMessageMoveTasksResultEntry {
    for _ in 0..500 {
        let last = tasks(world, None).await.remove(0);
        if !matches!(last.status.as_deref(), Some("RUNNING" | "CANCELLING")) {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the task does not end");
}

#[tokio::test]
async fn messages_go_back_where_they_came_from_as_new_ones() {
    let world = World::new();
    dead_letters(&world, 12).await;
    world.pass(100).await;
    assert!(world.call::<ops::StartMessageMoveTask>(start()).await.unwrap().task_handle.is_some());
    let last = ended(&world).await;
    assert_eq!((last.status.as_deref(), last.approximate_number_of_messages_moved), (Some("COMPLETED"), Some(12)));
    assert_eq!((last.task_handle, last.approximate_number_of_messages_to_move), (None, Some(12)));
    assert_eq!((world.counts("dead").await, world.counts("jobs").await), ((0, 0, 0), (12, 0, 0)));
    let got = world.receive("jobs").await.remove(0);
    assert_eq!(said(&got, "ApproximateReceiveCount"), Some("1"));
    assert_eq!(said(&got, "SentTimestamp"), Some(world.now().to_string().as_str()));
    assert_eq!(said(&got, "DeadLetterQueueSourceArn"), None);
}

#[tokio::test]
async fn messages_go_elsewhere_no_faster_than_told_and_a_task_can_be_cancelled() {
    let world = World::new();
    dead_letters(&world, 10).await;
    world.create("other", &[]).await;
    let input = aws::StartMessageMoveTaskRequest {
        destination_arn: Some(arn("other")),
        max_number_of_messages_per_second: Some(2),
        ..start()
    };
    let handle = world.call::<ops::StartMessageMoveTask>(input.clone()).await.unwrap().task_handle;
    let second = world.call::<ops::StartMessageMoveTask>(input).await.unwrap_err();
    assert_eq!(second.code, "AWS.SimpleQueueService.UnsupportedOperation");
    let settled = async || tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    settled().await;
    assert_eq!(world.counts("other").await.0, 2);
    world.pass(1).await;
    settled().await;
    assert_eq!(world.counts("other").await.0, 4);
    let cancel = || aws::CancelMessageMoveTaskRequest { task_handle: handle.clone() };
    world.call::<ops::CancelMessageMoveTask>(cancel()).await.unwrap();
    world.pass(1).await;
    assert_eq!(ended(&world).await.status.as_deref(), Some("CANCELLED"));
    assert_eq!((world.counts("dead").await.0, world.counts("other").await.0), (6, 4));
    let again = world.call::<ops::CancelMessageMoveTask>(cancel()).await.unwrap_err();
    assert_eq!(again.code, "AWS.SimpleQueueService.UnsupportedOperation");
}

#[tokio::test]
async fn a_task_that_was_cut_off_goes_on_after_a_restart() {
    let world = World::new();
    dead_letters(&world, 4).await;
    let input = aws::StartMessageMoveTaskRequest { max_number_of_messages_per_second: Some(1), ..start() };
    world.call::<ops::StartMessageMoveTask>(input).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    // Another room over the same rows; the first one's task is at rest until the clock moves.
    let after = world.again();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(tasks(&after, Some(10)).await[0].status.as_deref(), Some("RUNNING"));
    assert!(after.counts("jobs").await.0 >= 2);
}

#[tokio::test]
async fn only_dead_letter_queues_have_tasks() {
    let world = World::new();
    world.create("plain", &[]).await;
    dead_letters(&world, 1).await;
    let code = |outcome: Result<aws::StartMessageMoveTaskResult, Fault>| outcome.unwrap_err().code.into_owned();
    let of = |source: &str, destination: Option<&str>, rate| aws::StartMessageMoveTaskRequest {
        source_arn: Some(arn(source)),
        destination_arn: destination.map(arn),
        max_number_of_messages_per_second: rate,
    };
    for (input, wanted) in [
        (of("plain", None, None), "InvalidParameterValue"),
        (of("none", None, None), "ResourceNotFoundException"),
        (of("dead", Some("none"), None), "ResourceNotFoundException"),
        (of("dead", Some("dead"), None), "InvalidParameterValue"),
        (of("dead", None, Some(501)), "InvalidParameterValue"),
    ] {
        assert_eq!(code(world.call::<ops::StartMessageMoveTask>(input).await), wanted);
    }
    assert!(tasks(&world, Some(10)).await.is_empty());
    let wrong = aws::CancelMessageMoveTaskRequest { task_handle: Some("x".into()) };
    assert!(world.call::<ops::CancelMessageMoveTask>(wrong).await.is_err());
    // A message that came from nowhere cannot go back there.
    world.send("dead", "own").await;
    world.call::<ops::StartMessageMoveTask>(of("dead", None, None)).await.unwrap();
    let last = ended(&world).await;
    assert_eq!(last.status.as_deref(), Some("FAILED"));
    assert!(last.failure_reason.unwrap().contains("CouldNotDetermineMessageSource"));
    assert_eq!(world.counts("dead").await, (1, 0, 0));
    world.call::<ops::StartMessageMoveTask>(of("dead", Some("plain"), None)).await.unwrap();
    assert_eq!(ended(&world).await.status.as_deref(), Some("COMPLETED"));
    assert_eq!((tasks(&world, Some(10)).await.len(), tasks(&world, None).await.len()), (2, 1));
}
