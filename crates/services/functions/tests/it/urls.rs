//! Function URLs as browsers and curl see them.

use base::{Account, Principal, RequestId, SystemRng};
use bytes::Bytes;
use door::{Body, Site, SiteRequest};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use invoker::testing::{ExitCause, Part};
use model::lambda::{self as aws, ops};

use serde_json::Value;

use crate::world::{PATIENCE, World};

pub(crate) fn request(method: &str, host: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> SiteRequest {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()));
    SiteRequest {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.into(),
        query: query.into(),
        host: host.into(),
        authority: format!("{host}:4566"),
        headers: pairs.collect(),
        body: Bytes::copy_from_slice(body),
        peer: [127, 0, 0, 1].into(),
        principal: Principal::Anonymous,
        origin: door::Origin::default(),
        request_id: RequestId::new(&SystemRng),
        takeover: None,
    }
}

pub(crate) async fn serve(world: &World, request: SiteRequest) -> (u16, HeaderMap, Vec<u8>) {
    assert!(world.functions.claims(&request.host, &request.path));
    let response = world.functions.serve(request).await;
    let Body::Bytes(body) = response.body else { panic!("the body is bytes") };
    (response.status, response.headers, body.to_vec())
}

async fn sets_mode(world: &World, mode: Option<&str>) -> String {
    let update = aws::UpdateFunctionUrlConfigRequest {
        function_name: Some("hello".into()),
        invoke_mode: mode.map(str::to_owned),
        ..Default::default()
    };
    world.call::<ops::UpdateFunctionUrlConfig>(update).await.unwrap().invoke_mode.unwrap()
}

pub(crate) async fn http(
    world: &World,
    method: &str,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, HeaderMap, Vec<u8>) {
    serve(world, request(method, host, path, headers, body)).await
}

/// Creates a function with a URL; answers the URL's host without port.
pub(crate) async fn with_url(world: &World, auth: &str, cors: Option<aws::Cors>) -> String {
    world.create("hello").await;
    let input = aws::CreateFunctionUrlConfigRequest {
        function_name: Some("hello".into()),
        auth_type: Some(auth.into()),
        cors,
        ..aws::CreateFunctionUrlConfigRequest::default()
    };
    let made = world.call::<ops::CreateFunctionUrlConfig>(input).await.unwrap();
    let url = made.function_url.unwrap();
    let host = url.strip_prefix("http://").unwrap().strip_suffix(":4566/").unwrap().to_owned();
    assert!(host.ends_with(".lambda-url.us-east-1.localhost"), "{host}");
    host
}

#[tokio::test]
async fn a_url_gives_the_function_an_event_and_the_client_its_answer() {
    let world = World::new();
    let host = with_url(&world, "NONE", None).await;
    let (status, headers, body) = http(&world, "GET", &host, "/a/b?x=1&x=2", &[("accept", "*/*")], b"").await;
    assert_eq!(status, 200);
    // The paper function answers with its event.
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&event["rawPath"], &event["queryStringParameters"]["x"]), (&"/a/b".into(), &"1,2".into()));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-amzn-requestid"], event["requestContext"]["requestId"].as_str().unwrap());
    assert_eq!(headers["lambent-start"], "cold");
    for name in ["lambent-phases", "lambent-cpu-us", "lambent-peak-memory", "lambent-billed-ms", "lambent-memory-mb"] {
        assert!(headers.contains_key(name), "{name}");
    }
    let id = host.split('.').next().unwrap();
    let (status, headers, body) = http(&world, "GET", "127.0.0.1", &format!("/_lambent/url/{id}/a/b"), &[], b"").await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &event["rawPath"]), (200, &"/a/b".into()));
    assert_eq!(headers["lambent-start"], "warm");
}

#[tokio::test]
async fn failures_unknown_ids_and_throttles_have_their_answers() {
    let world = World::new();
    let host = with_url(&world, "NONE", None).await;
    let (status, _, body) = http(&world, "GET", &host, "/fail", &[], b"").await;
    assert_eq!((status, body.as_slice()), (502, b"Internal Server Error".as_slice()));
    let (status, ..) = http(&world, "GET", "nobody.lambda-url.us-east-1.localhost", "/", &[], b"").await;
    assert_eq!(status, 404);
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    let (status, headers, _) = http(&world, "GET", &host, "/", &[], b"").await;
    assert_eq!(status, 429);
    assert!(headers.contains_key("x-amzn-requestid"));
}

#[tokio::test]
async fn a_url_with_iam_wants_a_signature() {
    let world = World::new();
    let host = with_url(&world, "AWS_IAM", None).await;
    let (status, _, body) = http(&world, "GET", &host, "/", &[], b"").await;
    assert_eq!((status, body.as_slice()), (403, b"{\"Message\":\"Forbidden\"}".as_slice()));
    let mut signed = request("GET", &host, "/", &[], b"");
    signed.principal = Principal::User { account: Account::DEFAULT, name: "ann".into() };
    let (status, _, body) = serve(&world, signed).await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &event["requestContext"]["accountId"]), (200, &"000000000000".into()));
    let mut stranger = request("GET", &host, "/", &[], b"");
    stranger.principal = Principal::Root { account: "111111111111".parse().unwrap(), verified: true };
    assert_eq!(serve(&world, stranger).await.0, 403);
}

#[tokio::test]
async fn cors_is_answered_from_the_configuration() {
    let world = World::new();
    let cors = aws::Cors {
        allow_origins: Some(vec!["https://example.org".into()]),
        allow_methods: Some(vec!["GET".into(), "POST".into()]),
        allow_headers: Some(vec!["x-token".into()]),
        max_age: Some(300),
        ..aws::Cors::default()
    };
    let host = with_url(&world, "NONE", Some(cors)).await;
    let ask = [("origin", "https://example.org"), ("access-control-request-method", "POST")];
    let (status, headers, _) = http(&world, "OPTIONS", &host, "/", &ask, b"").await;
    assert_eq!(status, 200);
    assert_eq!(headers["access-control-allow-origin"], "https://example.org");
    assert_eq!(headers["access-control-allow-methods"], "GET,POST");
    assert_eq!(headers["access-control-allow-headers"], "x-token");
    assert_eq!(headers["access-control-max-age"], "300");
    assert!(world.walls.launched().is_empty());
    let stranger = [("origin", "https://example.com"), ("access-control-request-method", "POST")];
    let (_, headers, _) = http(&world, "OPTIONS", &host, "/", &stranger, b"").await;
    assert!(!headers.contains_key("access-control-allow-origin"));
    let (_, headers, _) = http(&world, "GET", &host, "/", &ask[..1], b"").await;
    assert_eq!(headers["access-control-allow-origin"], "https://example.org");
}

#[tokio::test]
async fn the_configuration_of_a_url_can_be_changed_and_removed() {
    let world = World::new();
    let host = with_url(&world, "NONE", None).await;
    let name = || Some("hello".to_owned());
    let again = aws::CreateFunctionUrlConfigRequest {
        function_name: name(),
        auth_type: Some("NONE".into()),
        ..aws::CreateFunctionUrlConfigRequest::default()
    };
    let conflict = world.call::<ops::CreateFunctionUrlConfig>(again).await.unwrap_err();
    assert_eq!((conflict.code.as_ref(), conflict.status), ("ResourceConflictException", 409));
    assert_eq!(http(&world, "GET", &host, "/", &[], b"").await.0, 200);
    let update = aws::UpdateFunctionUrlConfigRequest {
        function_name: name(),
        auth_type: Some("AWS_IAM".into()),
        ..aws::UpdateFunctionUrlConfigRequest::default()
    };
    let updated = world.call::<ops::UpdateFunctionUrlConfig>(update).await.unwrap();
    assert_eq!((updated.auth_type.as_deref(), updated.invoke_mode.as_deref()), (Some("AWS_IAM"), Some("BUFFERED")));
    assert_eq!(http(&world, "GET", &host, "/", &[], b"").await.0, 403);
    let list = aws::ListFunctionUrlConfigsRequest { function_name: name(), ..Default::default() };
    let listed = world.call::<ops::ListFunctionUrlConfigs>(list).await.unwrap().function_url_configs.unwrap();
    assert_eq!(listed.len(), 1);
    let delete = aws::DeleteFunctionUrlConfigRequest { function_name: name(), qualifier: None };
    world.call::<ops::DeleteFunctionUrlConfig>(delete).await.unwrap();
    assert_eq!(http(&world, "GET", &host, "/", &[], b"").await.0, 404);
    let get = aws::GetFunctionUrlConfigRequest { function_name: name(), qualifier: None };
    let missing = world.call::<ops::GetFunctionUrlConfig>(get).await.unwrap_err();
    assert_eq!((missing.status, missing.message.as_str()), (404, "The resource you requested does not exist."));
}

#[tokio::test]
async fn live_environments_are_counted() {
    let world = World::new();
    world.create("hello").await;
    world.invoke("hello", "{}").await.unwrap();
    let live = world.functions.live();
    assert_eq!((live.len(), live[0].function.as_str(), live[0].idle), (1, "hello", 1));
}

#[tokio::test]
async fn a_url_belongs_to_the_function_and_qualifier_that_are_named() {
    let world = World::new();
    with_url(&world, "NONE", None).await;
    let (name, other) = (|| Some("hello".to_owned()), || Some("live".to_owned()));
    let create = aws::CreateFunctionUrlConfigRequest {
        function_name: name(),
        qualifier: other(),
        auth_type: Some("NONE".into()),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::CreateFunctionUrlConfig>(create).await.unwrap_err().status, 404);
    let get = |qualifier| aws::GetFunctionUrlConfigRequest { function_name: name(), qualifier };
    assert_eq!(world.call::<ops::GetFunctionUrlConfig>(get(other())).await.unwrap_err().status, 404);
    let shown = world.call::<ops::GetFunctionUrlConfig>(get(None)).await.unwrap();
    assert_eq!(shown.function_arn.as_deref(), Some("arn:aws:lambda:us-east-1:000000000000:function:hello"));
    let update = aws::UpdateFunctionUrlConfigRequest {
        function_name: name(),
        qualifier: other(),
        auth_type: Some("AWS_IAM".into()),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::UpdateFunctionUrlConfig>(update).await.unwrap_err().status, 404);
    let delete = aws::DeleteFunctionUrlConfigRequest { function_name: name(), qualifier: other() };
    assert_eq!(world.call::<ops::DeleteFunctionUrlConfig>(delete).await.unwrap_err().status, 404);
    let list = |marker, max_items| aws::ListFunctionUrlConfigsRequest { function_name: name(), marker, max_items };
    let listed = world.call::<ops::ListFunctionUrlConfigs>(list(None, None)).await.unwrap();
    assert_eq!((listed.function_url_configs.unwrap().len(), listed.next_marker), (1, None));
    let bad = world.call::<ops::ListFunctionUrlConfigs>(list(Some("not ours".into()), None)).await.unwrap_err();
    assert_eq!(bad.code, "InvalidParameterValueException");
    let none = world.call::<ops::ListFunctionUrlConfigs>(list(None, Some(0))).await.unwrap_err();
    assert_eq!(none.code, "ValidationException");
}

#[tokio::test]
async fn cors_and_mode_can_be_changed_apart() {
    let world = World::new();
    let host = with_url(&world, "NONE", None).await;
    let name = || Some("hello".to_owned());
    assert_eq!(sets_mode(&world, Some("RESPONSE_STREAM")).await, "RESPONSE_STREAM");
    let cors = aws::Cors { allow_origins: Some(vec!["https://example.org".into()]), ..Default::default() };
    let update = aws::UpdateFunctionUrlConfigRequest { function_name: name(), cors: Some(cors), ..Default::default() };
    let updated = world.call::<ops::UpdateFunctionUrlConfig>(update).await.unwrap();
    assert_eq!(updated.invoke_mode.as_deref(), Some("RESPONSE_STREAM"));
    assert_eq!(sets_mode(&world, None).await, "RESPONSE_STREAM");
    let mut visit = request("GET", &host, "/", &[("origin", "https://example.org")], b"");
    let response = world.functions.serve(visit).await;
    assert_eq!(response.headers["access-control-allow-origin"], "https://example.org");
    assert!(matches!(response.body, Body::Stream(_)));
    assert_eq!(sets_mode(&world, Some("BUFFERED")).await, "BUFFERED");
    visit = request("GET", &host, "/", &[("origin", "https://example.org")], b"");
    let (_, headers, _) = serve(&world, visit).await;
    assert_eq!(headers["access-control-allow-origin"], "https://example.org");
    world.create("other").await;
    let create = aws::CreateFunctionUrlConfigRequest {
        function_name: Some("other".into()),
        auth_type: Some("NONE".into()),
        invoke_mode: Some("RESPONSE_STREAM".into()),
        ..Default::default()
    };
    let made = world.call::<ops::CreateFunctionUrlConfig>(create).await.unwrap();
    assert_eq!(made.invoke_mode.as_deref(), Some("RESPONSE_STREAM"));
}

/// The rest of a body: what comes, and whether it ended well.
async fn rest(body: Body) -> (Vec<u8>, bool) {
    let (mut all, mut pieces) = (Vec::new(), body.into_stream());
    while let Some(piece) = tokio::time::timeout(PATIENCE, pieces.next()).await.expect("it goes on") {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(_) => return (all, false),
        }
    }
    (all, true)
}

const PRELUDE: &str = "application/vnd.awslambda.http-integration-response";

#[tokio::test]
async fn a_url_that_streams_answers_before_the_function_has_ended() {
    let world = World::new();
    let host = with_url(&world, "NONE", None).await;
    sets_mode(&world, Some("RESPONSE_STREAM")).await;
    let visit = || request("GET", &host, "/", &[], b"");
    let says = world.script(Some(PRELUDE));
    let say = {
        let says = says.downgrade();
        async move |text: &'static str| says.upgrade().unwrap().send(Part::Bytes(text.into())).await.unwrap()
    };
    let prelude = "{\"statusCode\": 201, \"headers\": {\"Content-Type\": \"text/plain\", \"X-A\": \"b\"}, \"cookies\": [\"c=d\"]}";
    let (response, ()) = tokio::join!(world.functions.serve(visit()), async {
        say(prelude).await;
        say("\0\0\0\0").await;
        say("\0\0\0\0").await;
    });
    // Nothing of the body has been written.
    let kind = response.headers["content-type"].to_str().unwrap();
    assert_eq!((response.status, kind), (201, "text/plain"));
    assert_eq!(
        (&response.headers["x-a"], &response.headers["set-cookie"]),
        (&"b".parse().unwrap(), &"c=d".parse().unwrap())
    );
    assert!(response.headers.contains_key("x-amzn-requestid") && response.headers.contains_key("x-amzn-trace-id"));
    let (body, ()) = tokio::join!(rest(response.body), async {
        say("one").await;
        say("two").await;
        drop(says);
    });
    assert_eq!(body, (b"onetwo".to_vec(), true));
    // Without a prelude.
    for (content_type, shown) in [(None, "application/octet-stream"), (Some("text/html"), "text/html")] {
        let says = world.script(content_type);
        says.send(Part::Bytes("one".into())).await.unwrap();
        let response = world.functions.serve(visit()).await;
        assert_eq!((response.status, response.headers["content-type"].to_str().unwrap()), (200, shown));
        drop(says);
        assert_eq!(rest(response.body).await, (b"one".to_vec(), true));
    }
    // An answer that is not streamed is not read: it is the body.
    let response = world.functions.serve(request("POST", &host, "/", &[], b"")).await;
    assert_eq!((response.status, response.headers["content-type"].to_str().unwrap()), (200, "application/json"));
    let event: Value = serde_json::from_slice(&rest(response.body).await.0).unwrap();
    assert_eq!(event["rawPath"], "/");
}

#[tokio::test]
async fn before_the_first_byte_a_failure_is_a_bad_gateway_and_after_it_a_cut() {
    let world = World::new();
    let host = with_url(&world, "NONE", None).await;
    sets_mode(&world, Some("RESPONSE_STREAM")).await;
    let visit = || request("GET", &host, "/", &[], b"");
    let failure = || Part::Error("Late".into(), "{}".into());
    for (content_type, parts) in [
        (None, vec![failure()]),
        (None, vec![Part::Exit(ExitCause::Exited(1))]),
        (Some(PRELUDE), vec![Part::Bytes("{}".into()), failure()]),
        (Some(PRELUDE), vec![Part::Bytes("{}".into())]),
        (Some(PRELUDE), vec![Part::Bytes("no json\0\0\0\0\0\0\0\0".into())]),
    ] {
        let says = world.script(content_type);
        let (response, ()) = tokio::join!(world.functions.serve(visit()), async {
            for part in parts {
                says.send(part).await.unwrap();
            }
            drop(says);
        });
        assert_eq!(response.status, 502, "{content_type:?}");
    }
    for last in [failure(), Part::Exit(ExitCause::Exited(1)), Part::Cut] {
        let says = world.script(None);
        says.send(Part::Bytes("one".into())).await.unwrap();
        let response = world.functions.serve(visit()).await;
        says.send(last).await.unwrap();
        assert_eq!((response.status, rest(response.body).await), (200, (b"one".to_vec(), false)));
    }
    // Nothing at all is an empty body.
    drop(world.script(None));
    let response = world.functions.serve(visit()).await;
    assert_eq!((response.status, rest(response.body).await), (200, (Vec::new(), true)));
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    assert_eq!(world.functions.serve(visit()).await.status, 429);
}

#[tokio::test]
async fn a_buffered_url_reads_what_a_streaming_function_wrote_as_one_answer() {
    let world = World::new();
    let host = with_url(&world, "NONE", None).await;
    let says = world.script(None);
    let ((status, _, body), ()) = tokio::join!(http(&world, "GET", &host, "/", &[], b""), async {
        says.send(Part::Bytes("{\"statusCode\": 202, ".into())).await.unwrap();
        says.send(Part::Bytes("\"body\": \"one\"}".into())).await.unwrap();
        drop(says);
    });
    assert_eq!((status, body.as_slice()), (202, b"one".as_slice()));
}
