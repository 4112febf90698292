//! Each protocol's request reaches its operation, and every answer is in the protocol of its request.

use base::Fault;
use door::Via;

use crate::world::{World, root};

#[tokio::test]
async fn a_rest_request_reaches_its_operation_and_its_body_comes_back_unread() {
    let world = World::new().await;
    let event = br#"{ "spaces" :  "stay" }"#;
    let got = world.ask("POST", "/2015-03-31/functions/hello/invocations", &[], event).await;
    assert_eq!((got.status, got.body.as_bytes()), (200, &event[..]));
    assert_eq!(got.header("x-amzn-requestid").len(), 36);
    let seen = &world.seen()[0];
    assert_eq!((seen.operation, &seen.body[..], seen.via), ("Invoke", &event[..], Via::Client { loopback: true }));
    assert_eq!(seen.principal, root("000000000000", false));
    assert_eq!(seen.region, "us-east-1");
}

#[tokio::test]
async fn query_and_json_requests_reach_theirs() {
    let world = World::new().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let got = world.ask("POST", "/", &[form], b"Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(got.status, 200, "{got:?}");
    assert!(got.body.contains("<Account>000000000000</Account>"), "{got:?}");
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "Logs_20140328.DescribeLogGroups")];
    let got = world.ask("POST", "/", &headers, b"{}").await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/x-amz-json-1.1"));
    let operations: Vec<_> = world.seen().iter().map(|seen| seen.operation).collect();
    assert_eq!(operations, ["GetCallerIdentity", "DescribeLogGroups"]);
}

#[tokio::test]
async fn a_fault_is_printed_in_the_protocol_of_its_request() {
    let world = World::new().await;
    *world.door.fault.lock().unwrap() = Some(Fault::new("Thing", 409, "the words").header("retry-after", "7"));
    let got = world.ask("GET", "/2015-03-31/functions/x", &[], b"").await;
    assert_eq!((got.status, got.header("x-amzn-errortype"), got.header("retry-after")), (409, "Thing", "7"));
    assert!(got.body.contains("the words"));
    let got = world.ask("POST", "/", &[("x-amz-target", "Logs_20140328.DescribeLogGroups")], b"{}").await;
    assert_eq!((got.status, got.json()["__type"].as_str()), (409, Some("Thing")));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let got = world.ask("POST", "/", &[form], b"Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(got.status, 409);
    assert!(got.body.contains("<Code>Thing</Code>") && got.body.contains("<ErrorResponse"), "{got:?}");
}

#[tokio::test]
async fn what_nobody_models_is_refused_in_the_protocol_it_was_asked_in() {
    let world = World::new().await;
    let got = world.ask("POST", "/", &[("x-amz-target", "DynamoDB_20120810.PutItem")], b"{}").await;
    assert_eq!(got.status, 501, "{got:?}");
    assert!(got.json()["message"].as_str().unwrap().contains("PutItem"), "{got:?}");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let got = world.ask("POST", "/", &[form], b"Action=Nonsense&Version=2011-06-15").await;
    assert!(got.status >= 400 && got.body.contains("<ErrorResponse"), "{got:?}");
    let got = world.ask("GET", "/2015-03-31/nonsense", &[], b"").await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (404, "UnknownOperationException"));
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn an_error_has_no_body_when_only_the_head_was_asked_for() {
    let world = World::new().await;
    let got = world.ask("HEAD", "/2015-03-31/nonsense", &[], b"").await;
    assert_eq!((got.status, got.header("x-amzn-errortype"), got.body.as_str()), (404, "UnknownOperationException", ""));
}
