//! How asynchronous invocations end: retries and ages as configured, and reports to other functions.

use base::{Fault, Principal};
use door::outbox::Delivery;
use door::{Ask, Decision, Denial, Gate, Mode, Policies};
use model::lambda::{self as aws, ops};
use serde_json::{Value, json};

use crate::events::{first_key, put_back, settled};
use crate::world::{Disk, World};

const TARGET: &str = "arn:aws:lambda:us-east-1:000000000000:function:target";

fn put(change: impl FnOnce(&mut aws::PutFunctionEventInvokeConfigRequest)) -> aws::PutFunctionEventInvokeConfigRequest {
    let mut input = aws::PutFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        ..aws::PutFunctionEventInvokeConfigRequest::default()
    };
    change(&mut input);
    input
}

fn to(on_success: Option<&str>, on_failure: Option<&str>) -> Option<aws::DestinationConfig> {
    Some(aws::DestinationConfig {
        on_success: on_success.map(|arn| aws::OnSuccess { destination: Some(arn.into()) }),
        on_failure: on_failure.map(|arn| aws::OnFailure { destination: Some(arn.into()) }),
    })
}

fn get(qualifier: Option<&str>) -> aws::GetFunctionEventInvokeConfigRequest {
    aws::GetFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        qualifier: qualifier.map(str::to_owned),
    }
}

fn told(fault: Fault) -> (String, u16, String) {
    (fault.code.into_owned(), fault.status, fault.message)
}

fn not_found(message: &str) -> (String, u16, String) {
    ("ResourceNotFoundException".into(), 404, message.into())
}

fn invalid(message: &str) -> (String, u16, String) {
    ("InvalidParameterValueException".into(), 400, message.into())
}

/// What waits in the outbox.
fn reports(world: &World) -> Vec<(Delivery, Value)> {
    let rows = store::outbox::first(&*world.disk.kv, 0, 100).unwrap();
    let read = rows.iter().map(|(_, _, value)| Delivery::read(value).unwrap());
    read.map(|delivery| (delivery.clone(), serde_json::from_slice(&delivery.body).unwrap())).collect()
}

async fn world_with_two() -> World {
    let world = World::new().serve();
    world.create("hello").await;
    world.create("target").await;
    world
}

#[tokio::test]
async fn a_configuration_is_kept_shown_and_removed() {
    let world = world_with_two().await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:hello:$LATEST";
    let none = not_found(&format!("The function {arn} doesn't have an EventInvokeConfig"));
    assert_eq!(told(world.call::<ops::GetFunctionEventInvokeConfig>(get(None)).await.unwrap_err()), none);
    let input = put(|input| input.maximum_retry_attempts = Some(0));
    let kept = world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    assert_eq!((kept.function_arn.as_deref(), kept.maximum_retry_attempts), (Some(arn), Some(0)));
    assert_eq!(kept.maximum_event_age_in_seconds, None);
    let nowhere = aws::DestinationConfig {
        on_success: Some(aws::OnSuccess::default()),
        on_failure: Some(aws::OnFailure::default()),
    };
    assert_eq!(kept.destination_config, Some(nowhere));
    let update = aws::UpdateFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        maximum_event_age_in_seconds: Some(60),
        destination_config: to(None, Some(TARGET)),
        ..aws::UpdateFunctionEventInvokeConfigRequest::default()
    };
    world.call::<ops::UpdateFunctionEventInvokeConfig>(update).await.unwrap();
    let world = World::on(world.die().await);
    let shown = world.call::<ops::GetFunctionEventInvokeConfig>(get(Some("$LATEST"))).await.unwrap();
    assert_eq!((shown.maximum_retry_attempts, shown.maximum_event_age_in_seconds), (Some(0), Some(60)));
    assert_eq!(shown.destination_config.unwrap().on_failure.unwrap().destination.as_deref(), Some(TARGET));
    // Another put forgets what it does not name.
    let input = put(|input| input.maximum_retry_attempts = Some(1));
    let kept = world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    assert_eq!(
        (kept.maximum_event_age_in_seconds, kept.destination_config.unwrap().on_failure.unwrap().destination),
        (None, None)
    );
    let list =
        || aws::ListFunctionEventInvokeConfigsRequest { function_name: Some("hello".into()), ..Default::default() };
    let listed = world.call::<ops::ListFunctionEventInvokeConfigs>(list()).await.unwrap();
    assert_eq!(listed.function_event_invoke_configs.unwrap().len(), 1);
    let delete =
        || aws::DeleteFunctionEventInvokeConfigRequest { function_name: Some("hello".into()), qualifier: None };
    world.call::<ops::DeleteFunctionEventInvokeConfig>(delete()).await.unwrap();
    assert_eq!(told(world.call::<ops::DeleteFunctionEventInvokeConfig>(delete()).await.unwrap_err()), none);
    let listed = world.call::<ops::ListFunctionEventInvokeConfigs>(list()).await.unwrap();
    assert_eq!(listed.function_event_invoke_configs, Some(Vec::new()));
}

#[tokio::test]
async fn each_version_has_a_configuration_of_its_own_and_lists_come_in_pages() {
    let world = World::new();
    world.create("hello").await;
    let publish = aws::PublishVersionRequest { function_name: Some("hello".into()), ..Default::default() };
    world.call::<ops::PublishVersion>(publish).await.unwrap();
    let one = || Some("1".to_owned());
    for qualifier in [None, one()] {
        let input = put(|input| (input.maximum_retry_attempts, input.qualifier) = (Some(0), qualifier));
        world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    }
    let update = aws::UpdateFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        qualifier: one(),
        maximum_retry_attempts: Some(1),
        maximum_event_age_in_seconds: Some(60),
        ..Default::default()
    };
    world.call::<ops::UpdateFunctionEventInvokeConfig>(update).await.unwrap();
    let retries = async |qualifier| {
        let shown = world.call::<ops::GetFunctionEventInvokeConfig>(get(qualifier)).await;
        shown.map(|shown| shown.maximum_retry_attempts.unwrap()).map_err(|fault| fault.status)
    };
    assert_eq!((retries(None).await, retries(Some("1")).await), (Ok(0), Ok(1)));
    let mut list = aws::ListFunctionEventInvokeConfigsRequest {
        function_name: Some("hello".into()),
        max_items: Some(1),
        marker: None,
    };
    let mut pages = Vec::new();
    loop {
        let page = world.call::<ops::ListFunctionEventInvokeConfigs>(list.clone()).await.unwrap();
        pages.push(page.function_event_invoke_configs.unwrap().len());
        list.marker = page.next_marker;
        if list.marker.is_none() {
            break;
        }
        assert!(pages.len() < 10, "the marker leads nowhere");
    }
    assert_eq!(pages, [1, 1]);
    let delete = aws::DeleteFunctionEventInvokeConfigRequest { function_name: Some("hello".into()), qualifier: one() };
    world.call::<ops::DeleteFunctionEventInvokeConfig>(delete).await.unwrap();
    assert_eq!((retries(None).await, retries(Some("1")).await), (Ok(0), Err(404)));
}

#[tokio::test]
async fn what_cannot_be_configured_is_refused_in_words() {
    let world = world_with_two().await;
    let refused = async |input| told(world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap_err());
    assert_eq!(
        refused(put(|_| {})).await,
        invalid("You must specify at least one of error handling or destination setting.")
    );
    let nobody = put(|input| {
        input.function_name = Some("nobody".into());
        input.maximum_retry_attempts = Some(1);
    });
    assert_eq!(refused(nobody).await, not_found("The function doesn't exist."));
    let at = |arn: &'static str| put(move |input| input.destination_config = to(Some(arn), None));
    assert_eq!(
        refused(at("arn:aws:lambda:us-east-1:000000000000:function:hello")).await,
        invalid("You can't specify the function as a destination for itself.")
    );
    for arn in ["arn:aws:lambda:us-east-1:000000000000:function:nobody", "arn:aws:iam::000000000000:role/r"] {
        assert_eq!(refused(at(arn)).await, invalid(&format!("The destination ARN {arn} is invalid.")));
    }
    for (arn, service) in [
        ("arn:aws:sns:us-east-1:000000000000:t", "SNS"),
        ("arn:aws:events:us-east-1:000000000000:event-bus/b", "EventBridge"),
        ("arn:aws:s3:::bucket", "S3"),
        ("kafka://topic", "Kafka"),
    ] {
        let (code, _, message) = refused(at(arn)).await;
        assert_eq!(code, "NotImplemented");
        assert!(message.contains(&format!("PutFunctionEventInvokeConfig.DestinationConfig.OnSuccess to {service}")));
    }
    let update = aws::UpdateFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        maximum_retry_attempts: Some(1),
        ..aws::UpdateFunctionEventInvokeConfigRequest::default()
    };
    let missing = world.call::<ops::UpdateFunctionEventInvokeConfig>(update).await.unwrap_err();
    assert!(missing.message.ends_with("doesn't have an EventInvokeConfig"), "{}", missing.message);
}

/// Lets everybody do everything but invoke functions.
struct NoInvoke;

impl Policies for NoInvoke {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let role = matches!(ask.principal, Principal::Session { role, .. } if role == "test");
        if role && ask.action == "lambda:InvokeFunction" {
            return Decision::Denied(Denial { message: "no".into(), because: String::new(), always: false });
        }
        Decision::Allowed("all".into())
    }

    fn trust_of(&self, _: &str) -> Option<std::sync::Arc<str>> {
        Some("{}".into())
    }
}

#[tokio::test]
async fn the_functions_role_must_be_allowed_to_report() {
    let gate = |mode| {
        std::sync::Arc::new(Gate::new(std::sync::Arc::new(NoInvoke), mode, std::sync::Arc::new(base::SystemClocks)))
    };
    let input = || put(|input| input.destination_config = to(None, Some(TARGET)));
    for mode in [Mode::Enforce, Mode::Warn] {
        let world = World::with(Disk::new(), |options| options.gate = gate(mode));
        world.create("hello").await;
        world.create("target").await;
        let answer = world.call::<ops::PutFunctionEventInvokeConfig>(input()).await.map_err(told);
        if mode == Mode::Enforce {
            let message =
                format!("The function execution role does not have permissions to call InvokeFunction on {TARGET}");
            assert_eq!(answer.unwrap_err(), invalid(&message));
        } else {
            answer.unwrap();
        }
    }
}

#[tokio::test]
async fn a_success_is_reported_in_the_same_step() {
    let mut world = world_with_two().await;
    let input = put(|input| input.destination_config = to(Some(TARGET), None));
    world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    world.event("hello", "{\"n\": 1.0}").await;
    world.begins().await;
    settled(&world).await;
    let world = World::on(world.die().await);
    let (delivery, record) = reports(&world).remove(0);
    assert_eq!((delivery.service.as_str(), delivery.operation.as_str()), ("lambda", "Invoke"));
    assert!(delivery.path.starts_with("/2015-03-31/functions/arn") && delivery.path.ends_with("/invocations"));
    assert_eq!(delivery.headers, [("x-amz-invocation-type".to_owned(), "Event".to_owned())]);
    assert_eq!(delivery.sender.account().unwrap().as_str(), "000000000000");
    assert_eq!(delivery.depth, 1);
    assert_eq!(record["version"], "1.0");
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(record["requestContext"]["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:hello:$LATEST");
    assert_eq!(record["requestPayload"], json!({"n": 1.0}));
    assert_eq!(record["responseContext"], json!({"statusCode": 200, "executedVersion": "$LATEST"}));
    assert_eq!(record["responsePayload"], json!({"n": 1.0}));
    // A function that wants no report of failures gets none.
    let mut world = world.serve();
    world.event("hello", "\"fail\"").await;
    let mut key = first_key(&world);
    for wait_ms in [60_000, 120_000] {
        world.begins().await;
        key = put_back(&world, &key).await;
        world.clocks.advance(wait_ms).await.unwrap();
    }
    world.begins().await;
    settled(&world).await;
    assert_eq!(reports(&world).len(), 1);
}

#[tokio::test]
async fn retries_that_are_used_up_are_reported() {
    let mut world = world_with_two().await;
    let input = put(|input| {
        input.maximum_retry_attempts = Some(1);
        input.destination_config = to(None, Some(TARGET));
    });
    world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    world.event("hello", "\"fail\"").await;
    let key = first_key(&world);
    world.begins().await;
    put_back(&world, &key).await;
    assert!(reports(&world).is_empty());
    world.clocks.advance(60_000).await.unwrap();
    world.begins().await;
    settled(&world).await;
    let (_, record) = reports(&world).remove(0);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(
        record["responseContext"],
        json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"})
    );
    assert_eq!(record["responsePayload"], json!({"errorType": "ValueError"}));
}

#[tokio::test]
async fn an_event_that_is_too_old_is_reported_when_it_is() {
    let mut world = world_with_two().await;
    let input = put(|input| {
        input.maximum_event_age_in_seconds = Some(90);
        input.destination_config = to(None, Some(TARGET));
    });
    world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    world.event("hello", "\"fail\"").await;
    let key = first_key(&world);
    world.begins().await;
    let key = put_back(&world, &key).await;
    world.clocks.advance(60_000).await.unwrap();
    world.begins().await;
    // The next retry would come at 180 s: the event ends at 90.
    put_back(&world, &key).await;
    world.clocks.advance(30_001).await.unwrap();
    settled(&world).await;
    assert!(world.begun.try_recv().is_err());
    let (_, record) = reports(&world).remove(0);
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(record.get("responseContext"), None);
}

#[tokio::test]
async fn each_qualifier_has_a_configuration_of_its_own() {
    let mut world = world_with_two().await;
    let version = aws::PublishVersionRequest { function_name: Some("hello".into()), ..Default::default() };
    world.call::<ops::PublishVersion>(version).await.unwrap();
    let alias = aws::CreateAliasRequest {
        function_name: Some("hello".into()),
        name: Some("live".into()),
        function_version: Some("1".into()),
        ..aws::CreateAliasRequest::default()
    };
    world.call::<ops::CreateAlias>(alias).await.unwrap();
    let input = put(|input| {
        input.qualifier = Some("live".into());
        input.destination_config = to(Some(TARGET), None);
    });
    let kept = world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:hello:live";
    assert_eq!(kept.function_arn.as_deref(), Some(arn));
    // Neither the version behind the alias nor the function itself has it.
    assert_eq!(world.call::<ops::GetFunctionEventInvokeConfig>(get(None)).await.unwrap_err().status, 404);
    assert_eq!(world.call::<ops::GetFunctionEventInvokeConfig>(get(Some("1"))).await.unwrap_err().status, 404);
    for (name, payload) in [("hello", "\"unnamed\""), ("hello:live", "\"named\"")] {
        world.event(name, payload).await;
        world.begins().await;
    }
    settled(&world).await;
    let all = reports(&world);
    let (_, record) = &all[0];
    assert_eq!((all.len(), &record["requestPayload"]), (1, &json!("named")));
    assert_eq!(record["requestContext"]["functionArn"], arn);
    assert_eq!(record["responseContext"]["executedVersion"], "1");

    let update = aws::UpdateFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        qualifier: Some("live".into()),
        maximum_retry_attempts: Some(0),
        ..aws::UpdateFunctionEventInvokeConfigRequest::default()
    };
    world.call::<ops::UpdateFunctionEventInvokeConfig>(update).await.unwrap();
    let shown = world.call::<ops::GetFunctionEventInvokeConfig>(get(Some("live"))).await.unwrap();
    assert_eq!(shown.maximum_retry_attempts, Some(0));
    let input = put(|input| {
        input.qualifier = Some("1".into());
        input.maximum_retry_attempts = Some(1);
    });
    world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap();
    let list = async |marker: Option<String>| {
        let input = aws::ListFunctionEventInvokeConfigsRequest {
            function_name: Some("hello".into()),
            marker,
            max_items: Some(1),
        };
        let answer = world.call::<ops::ListFunctionEventInvokeConfigs>(input).await.unwrap();
        let arns = answer.function_event_invoke_configs.unwrap().into_iter();
        (arns.map(|config| config.function_arn.unwrap()).collect::<Vec<_>>(), answer.next_marker)
    };
    let (first, marker) = list(None).await;
    assert_eq!((first.len(), first[0].ends_with(":hello:1"), marker.is_some()), (1, true, true));
    assert_eq!(list(marker).await, (vec![arn.to_owned()], None));
    let delete = aws::DeleteFunctionEventInvokeConfigRequest {
        function_name: Some("hello".into()),
        qualifier: Some("live".into()),
    };
    world.call::<ops::DeleteFunctionEventInvokeConfig>(delete).await.unwrap();
    assert_eq!(list(None).await.0.len(), 1);
    // With an alias goes what hangs on it: a namesake made later begins anew.
    let gone = aws::DeleteAliasRequest { function_name: Some("hello".into()), name: Some("live".into()) };
    world.call::<ops::DeleteAlias>(gone).await.unwrap();
    let missing = world.call::<ops::GetFunctionEventInvokeConfig>(get(Some("live"))).await.unwrap_err();
    assert_eq!(told(missing), not_found("The function doesn't exist."));
}

#[tokio::test]
async fn a_function_of_another_account_is_refused_by_name_as_a_destination() {
    let world = World::new();
    world.create("hello").await;
    let other = TARGET.replace("000000000000", "111111111111");
    let input = put(|input| input.destination_config = to(None, Some(&other)));
    let (code, _, message) = told(world.call::<ops::PutFunctionEventInvokeConfig>(input).await.unwrap_err());
    assert_eq!(code, "NotImplemented");
    assert!(message.contains("in another account"), "{message}");
}
