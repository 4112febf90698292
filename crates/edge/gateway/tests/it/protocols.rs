//! Each protocol's request reaches its operation, and every answer is in the protocol of its request.

use base::Fault;
use door::Via;

use crate::world::{KEY, LIST, SECRET, Signed, World, root};

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
    let got = world.ask("POST", "/", &[("x-amz-target", "Nimbus_20120810.PutThing")], b"{}").await;
    assert_eq!(got.status, 501, "{got:?}");
    assert!(got.json()["message"].as_str().unwrap().contains("PutThing"), "{got:?}");
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

/// S3's clients name the bucket in the host: then the path that codecs read begins with it, and what was signed did not.
#[tokio::test]
async fn a_bucket_may_stand_in_the_hosts_name() {
    let world = World::new().await;
    let signed = Signed { path: "/a/key", service: "s3", ..LIST };
    for (host, path) in [
        (None, "/a/key"),
        (Some("bucket.localhost"), "/bucket/a/key"),
        (Some("a.bucket.build.lan"), "/a.bucket/a/key"),
        (Some("bucket.s3.localhost:4566"), "/bucket/a/key"),
        (Some("s3.localhost"), "/a/key"),
    ] {
        let got = world.signed(KEY, SECRET, None, Signed { host, ..signed }).await;
        assert_eq!(got.status, 200, "{host:?} {got:?}");
        let seen = world.seen().pop().unwrap();
        assert_eq!((seen.operation, seen.path.as_str()), ("GetObject", path), "{host:?}");
    }
    let got = world.ask("GET", "/key", &[("host", "bucket.s3.localhost")], b"").await;
    assert_eq!(got.status, 200, "the host alone says it {got:?}");
    assert_eq!(world.seen().pop().unwrap().path, "/bucket/key");
}

#[tokio::test]
async fn a_store_of_objects_swallows_nothing_of_the_platforms_own() {
    let world = World::new().await;
    for host in ["127.0.0.1", "bucket.localhost", "bucket.s3.localhost"] {
        let health = world.ask("GET", "/_lambent/health", &[("host", host)], b"").await;
        assert_eq!((health.status, world.seen().len()), (200, 0), "{host} {health:?}");
    }
    let page = world.ask("GET", "/", &[("host", "localhost"), ("accept", "text/html")], b"").await;
    let url = world.ask("GET", "/key", &[("host", "s3.lambda-url.us-east-1.localhost")], b"").await;
    assert!(page.body.starts_with("localhost GET /") && url.body.contains("GET /key"), "{page:?} {url:?}");
    let got = world.ask("GET", "/bucket/key", &[("host", "bucket.localhost")], b"").await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (404, "UnknownOperationException"), "not signed for S3");
    assert!(world.seen().is_empty());
}

/// What is too short to be streamed is read whole, and is what its head says, or nothing.
#[tokio::test]
async fn a_document_for_the_store_of_objects_is_what_its_head_says() {
    let world = World::new().await;
    for (header, right, wrong) in [
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg==", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("x-amz-checksum-crc32", "NhCmhg==", "AAAAAA=="),
        (
            "x-amz-checksum-sha256",
            "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ),
    ] {
        let ask = |value| [("host", "bucket.s3.localhost"), (header, value)];
        let got = world.ask("PUT", "/?lifecycle", &ask(right), b"hello").await;
        assert_eq!(got.status, 200, "{header} {got:?}");
        let got = world.ask("PUT", "/?lifecycle", &ask(wrong), b"hello").await;
        assert_eq!(got.status, 400, "{header}");
        assert!(got.body.contains("<Code>BadDigest</Code>"), "{header} {got:?}");
        let got = world.ask("PUT", "/?lifecycle", &ask("nonsense"), b"hello").await;
        assert_eq!(got.status, 400, "{header} {got:?}");
    }
    assert_eq!(world.seen().len(), 3);
}

#[tokio::test]
async fn a_stage_before_a_connection_is_no_part_of_its_path() {
    let world = World::new().await;
    let signed = Signed { path: "/live/@connections/abc", service: "execute-api", ..LIST };
    let got = world.signed(KEY, SECRET, None, signed).await;
    assert_eq!(got.status, 200, "{got:?}");
    let seen = world.seen().pop().unwrap();
    assert_eq!((seen.operation, seen.path.as_str()), ("GetConnection", "/@connections/abc"));
}
