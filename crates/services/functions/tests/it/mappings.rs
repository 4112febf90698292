//! Event source mappings: their rules, their rows, their answers. Every source exists that is not called `gone`.

use base::Fault;
use model::lambda::{self as aws, ops};

use crate::queue::{QUEUE, world_on};
use crate::world::{Disk, World};

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:hello";

fn on(disk: Disk) -> World {
    world_on(disk, |_| {}).0
}

async fn world() -> World {
    let world = on(Disk::new());
    for name in ["hello", "other"] {
        world.create(name).await;
    }
    world
}

fn from(arn: &str) -> aws::CreateEventSourceMappingRequest {
    aws::CreateEventSourceMappingRequest {
        event_source_arn: Some(arn.into()),
        function_name: Some("hello".into()),
        ..aws::CreateEventSourceMappingRequest::default()
    }
}

fn told(fault: Fault) -> (String, u16, String) {
    (fault.code.into_owned(), fault.status, fault.message)
}

fn invalid(message: &str) -> (String, u16, String) {
    ("InvalidParameterValueException".into(), 400, message.into())
}

async fn get(world: &World, uuid: &str) -> Result<aws::EventSourceMappingConfiguration, Fault> {
    let input = aws::GetEventSourceMappingRequest { uuid: Some(uuid.into()) };
    world.call::<ops::GetEventSourceMapping>(input).await
}

async fn refused(world: &World, input: aws::CreateEventSourceMappingRequest) -> (String, u16, String) {
    told(world.call::<ops::CreateEventSourceMapping>(input).await.unwrap_err())
}

fn update(uuid: &str) -> aws::UpdateEventSourceMappingRequest {
    aws::UpdateEventSourceMappingRequest { uuid: Some(uuid.into()), ..aws::UpdateEventSourceMappingRequest::default() }
}

#[tokio::test]
async fn a_queues_mapping_lives_through_its_states() {
    let world = world().await;
    let created = world.call::<ops::CreateEventSourceMapping>(from(QUEUE)).await.unwrap();
    let uuid = created.uuid.clone().unwrap();
    assert_eq!(
        (created.state.as_deref(), created.state_transition_reason.as_deref()),
        (Some("Creating"), Some("USER_INITIATED"))
    );
    assert_eq!((created.batch_size, created.maximum_batching_window_in_seconds), (Some(10), Some(0)));
    assert_eq!((created.function_arn.as_deref(), created.event_source_arn.as_deref()), (Some(FUNCTION), Some(QUEUE)));
    assert_eq!(created.function_response_types, Some(Vec::new()));
    assert_eq!(
        (created.starting_position, created.parallelization_factor, created.last_processing_result),
        (None, None, None)
    );
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{uuid}");
    assert_eq!(created.event_source_mapping_arn, Some(arn));
    let world = on(world.die().await);
    assert_eq!(get(&world, &uuid).await.unwrap().state.as_deref(), Some("Enabled"));
    let change = aws::UpdateEventSourceMappingRequest {
        enabled: Some(false),
        batch_size: Some(100),
        maximum_batching_window_in_seconds: Some(5),
        scaling_config: Some(aws::ScalingConfig { maximum_concurrency: Some(7) }),
        function_response_types: Some(vec!["ReportBatchItemFailures".into()]),
        ..update(&uuid)
    };
    let updated = world.call::<ops::UpdateEventSourceMapping>(change).await.unwrap();
    assert_eq!(updated.state.as_deref(), Some("Disabling"));
    let shown = get(&world, &uuid).await.unwrap();
    assert_eq!((shown.state.as_deref(), shown.batch_size), (Some("Disabled"), Some(100)));
    assert_eq!(shown.scaling_config.unwrap().maximum_concurrency, Some(7));
    assert_eq!(shown.function_response_types, Some(vec!["ReportBatchItemFailures".to_owned()]));
    let delete = || aws::DeleteEventSourceMappingRequest { uuid: Some(uuid.clone()) };
    assert_eq!(world.call::<ops::DeleteEventSourceMapping>(delete()).await.unwrap().state.as_deref(), Some("Deleting"));
    let gone = ("ResourceNotFoundException".to_owned(), 404, "The resource you requested does not exist.".to_owned());
    assert_eq!(told(get(&world, &uuid).await.unwrap_err()), gone);
    assert_eq!(told(world.call::<ops::DeleteEventSourceMapping>(delete()).await.unwrap_err()), gone);
    assert_eq!(told(world.call::<ops::UpdateEventSourceMapping>(update(&uuid)).await.unwrap_err()), gone);
    // What is gone is in nobody's way.
    world.call::<ops::CreateEventSourceMapping>(from(QUEUE)).await.unwrap();
}

#[tokio::test]
async fn a_streams_mapping_shows_how_it_is_read() {
    let world = world().await;
    let input = aws::CreateEventSourceMappingRequest {
        starting_position: Some("TRIM_HORIZON".into()),
        bisect_batch_on_function_error: Some(true),
        maximum_retry_attempts: Some(3),
        maximum_record_age_in_seconds: Some(60),
        parallelization_factor: Some(2),
        tumbling_window_in_seconds: Some(30),
        enabled: Some(false),
        filter_criteria: Some(aws::FilterCriteria {
            filters: Some(vec![aws::Filter { pattern: Some(r#"{"data":{"n":[1]}}"#.into()) }]),
        }),
        ..from(STREAM)
    };
    let created = world.call::<ops::CreateEventSourceMapping>(input).await.unwrap();
    assert_eq!((created.batch_size, created.parallelization_factor), (Some(100), Some(2)));
    assert_eq!((created.maximum_retry_attempts, created.maximum_record_age_in_seconds), (Some(3), Some(60)));
    assert_eq!((created.bisect_batch_on_function_error, created.tumbling_window_in_seconds), (Some(true), Some(30)));
    assert_eq!(created.starting_position.as_deref(), Some("TRIM_HORIZON"));
    assert_eq!(created.state_transition_reason.as_deref(), Some("User action"));
    assert_eq!(created.last_processing_result.as_deref(), Some("No records processed"));
    assert_eq!(created.destination_config.unwrap().on_failure, Some(aws::OnFailure::default()));
    let shown = get(&world, &created.uuid.unwrap()).await.unwrap();
    assert_eq!(shown.state.as_deref(), Some("Disabled"));
    assert_eq!(shown.filter_criteria.unwrap().filters.unwrap().len(), 1);
}

#[tokio::test]
async fn a_source_and_a_function_have_one_mapping() {
    let world = world().await;
    let first = world.call::<ops::CreateEventSourceMapping>(from(QUEUE)).await.unwrap().uuid.unwrap();
    let (code, status, message) = refused(&world, from(QUEUE)).await;
    assert_eq!((code.as_str(), status), ("ResourceConflictException", 409));
    assert_eq!(
        message,
        format!(
            "An event source mapping with SQS arn (\" {QUEUE} \") and function (\" hello \") already exists. Please update \
             or delete the existing mapping with UUID {first}"
        )
    );
    let other = aws::CreateEventSourceMappingRequest { function_name: Some("other".into()), ..from(QUEUE) };
    let second = world.call::<ops::CreateEventSourceMapping>(other).await.unwrap().uuid.unwrap();
    let moved = aws::UpdateEventSourceMappingRequest { function_name: Some("hello".into()), ..update(&second) };
    assert_eq!(world.call::<ops::UpdateEventSourceMapping>(moved).await.unwrap_err().status, 409);
    let list = async |function: Option<&str>, source: Option<&str>, marker: Option<String>, max_items| {
        let input = aws::ListEventSourceMappingsRequest {
            event_source_arn: source.map(str::to_owned),
            function_name: function.map(str::to_owned),
            marker,
            max_items,
        };
        let answer = world.call::<ops::ListEventSourceMappings>(input).await.unwrap();
        (answer.event_source_mappings.unwrap().len(), answer.next_marker)
    };
    assert_eq!(list(None, None, None, None).await, (2, None));
    assert_eq!(list(Some("hello"), None, None, None).await, (1, None));
    assert_eq!(list(Some("hello"), Some(STREAM), None, None).await, (0, None));
    assert_eq!(list(None, Some(QUEUE), None, None).await, (2, None));
    let (n, marker) = list(None, None, None, Some(1)).await;
    assert_eq!((n, list(None, None, marker, Some(1)).await), (1, (1, None)));
}

#[tokio::test]
async fn what_cannot_be_mapped_is_refused_in_words() {
    let world = world().await;
    assert_eq!(
        refused(&world, aws::CreateEventSourceMappingRequest { event_source_arn: None, ..from(QUEUE) }).await,
        invalid("Unrecognized event source.")
    );
    let nobody = aws::CreateEventSourceMappingRequest { function_name: Some("nobody".into()), ..from(QUEUE) };
    assert_eq!(refused(&world, nobody).await, invalid("Function does not exist"));
    assert_eq!(
        refused(&world, from("arn:aws:sqs:us-east-1:000000000000:gone")).await,
        invalid(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
             Message: The specified queue does not exist."
        )
    );
    let gone = "arn:aws:kinesis:us-east-1:000000000000:stream/gone";
    let stream = aws::CreateEventSourceMappingRequest { starting_position: Some("LATEST".into()), ..from(gone) };
    assert_eq!(refused(&world, stream).await, invalid(&format!("Stream not found: {gone}")));
    let filters = Some(vec![aws::Filter { pattern: Some("[".into()) }]);
    let wrong =
        aws::CreateEventSourceMappingRequest { filter_criteria: Some(aws::FilterCriteria { filters }), ..from(QUEUE) };
    assert_eq!(refused(&world, wrong).await, invalid("Invalid filter pattern definition."));
    for (name, input) in [
        (
            "KMSKeyArn",
            aws::CreateEventSourceMappingRequest { kms_key_arn: Some("arn:aws:kms:x".into()), ..from(QUEUE) },
        ),
        (
            "SelfManagedEventSource",
            aws::CreateEventSourceMappingRequest { self_managed_event_source: Some(Default::default()), ..from(QUEUE) },
        ),
        ("Amazon MSK", from("arn:aws:kafka:us-east-1:000000000000:cluster/c/1")),
    ] {
        let (code, _, message) = refused(&world, input).await;
        assert_eq!(code, "NotImplemented");
        assert!(message.contains(name), "{message}");
    }
    let on_failure = Some(aws::OnFailure { destination: Some(QUEUE.into()) });
    let destination = Some(aws::DestinationConfig { on_success: None, on_failure });
    let input = aws::CreateEventSourceMappingRequest { destination_config: destination.clone(), ..from(QUEUE) };
    let of_queue = "Unsupported DestinationConfig parameter for given event source mapping type.";
    assert_eq!(refused(&world, input).await, invalid(of_queue));
    let input = aws::CreateEventSourceMappingRequest {
        destination_config: destination.clone(),
        starting_position: Some("LATEST".into()),
        ..from(STREAM)
    };
    assert_eq!(refused(&world, input).await.0, "NotImplemented");
    let uuid = world.call::<ops::CreateEventSourceMapping>(from(QUEUE)).await.unwrap().uuid.unwrap();
    let change = aws::UpdateEventSourceMappingRequest { destination_config: destination, ..update(&uuid) };
    assert_eq!(told(world.call::<ops::UpdateEventSourceMapping>(change).await.unwrap_err()), invalid(of_queue));
    // As long as no room holds sources, none exists.
    let world = World::on(world.die().await);
    assert!(refused(&world, from(QUEUE)).await.2.starts_with("Error occurred while ReceiveMessage."));
}

#[tokio::test]
async fn a_mapping_has_tags() {
    let world = world().await;
    let tags = [("team".to_owned(), "blue".to_owned())].into();
    let input = aws::CreateEventSourceMappingRequest { tags: Some(tags), ..from(QUEUE) };
    let arn = world.call::<ops::CreateEventSourceMapping>(input).await.unwrap().event_source_mapping_arn;
    let more = aws::TagResourceRequest { resource: arn.clone(), tags: Some([("a".to_owned(), "b".to_owned())].into()) };
    world.call::<ops::TagResource>(more).await.unwrap();
    let less = aws::UntagResourceRequest { resource: arn.clone(), tag_keys: Some(vec!["team".into()]) };
    world.call::<ops::UntagResource>(less).await.unwrap();
    let listed = world.call::<ops::ListTags>(aws::ListTagsRequest { resource: arn }).await.unwrap();
    assert_eq!(listed.tags, Some([("a".to_owned(), "b".to_owned())].into()));
}
