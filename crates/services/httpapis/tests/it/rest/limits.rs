//! How often methods may be called, how long bodies may be, and what is logged.

use base::Account;
use door::Site as _;
use model::apigateway::{self as aws, ops};
use serde_json::json;

use super::world::{Rest, patches, rest};
use crate::world::{Does, refused, request};

const TOO_MANY: (u16, &str) = (429, r#"{"message":"Too Many Requests"}"#);
const GROUP: &str = "arn:aws:logs:us-east-1:000000000000:log-group:/apis/pets";

impl Rest {
    async fn set(&self, api: &str, all: &[(&str, &str, &str)]) -> Result<aws::Stage, base::Fault> {
        let patch = patches(all);
        let input = rest!(UpdateStageRequest { rest_api_id: api, stage_name: "dev", patch_operations: patch });
        self.call::<ops::UpdateStage>(input).await
    }
}

#[tokio::test]
async fn a_stage_limits_each_of_its_methods() {
    let rest = Rest::new();
    let api = rest.serving(&["/a/{id}", "/b"]).await;
    rest.world.function.does(Does::Answers(json!({"statusCode": 200})));
    let set = rest.set(
        &api,
        &[
            ("replace", "/*/*/throttling/rateLimit", "0.001"),
            ("replace", "/*/*/throttling/burstLimit", "2"),
            ("replace", "/b/ANY/throttling/burstLimit", "1"),
        ],
    );
    let settings = set.await.unwrap().method_settings.unwrap();
    assert_eq!(settings["*/*"].throttling_rate_limit, Some(0.001));
    assert_eq!((settings["*/*"].throttling_burst_limit, settings["b/ANY"].throttling_burst_limit), (Some(2), Some(1)));
    let spend = async |path: &str, allowed: usize| {
        for _ in 0..allowed {
            assert_eq!(rest.visit(&api, "GET", path).await.status, 200, "{path}");
        }
        let seen = rest.visit(&api, "GET", path).await;
        assert_eq!(seen.both(), TOO_MANY, "{path}");
        assert_eq!(seen.header("x-amzn-errortype"), Some("TooManyRequestsException"));
    };
    spend("/dev/a/1", 2).await;
    spend("/dev/b", 1).await;
    // Neither a change nor a deployment refills anything.
    rest.set(&api, &[("replace", "/description", "changed")]).await.unwrap();
    spend("/dev/a/1", 0).await;
    rest.deploy(&api, "dev").await;
    spend("/dev/b", 0).await;
    let answer =
        rest!(PutGatewayResponseRequest { rest_api_id: &*api, response_type: "THROTTLED", status_code: "503" });
    rest.call::<ops::PutGatewayResponse>(answer).await.unwrap();
    rest.deploy(&api, "dev").await;
    assert_eq!(rest.visit(&api, "GET", "/dev/b").await.status, 503);
    // Limits that are taken away limit nothing; they outlive restarts.
    let again = rest.restarted();
    again.world.function.does(Does::Answers(json!({"statusCode": 200})));
    for status in [200, 200, 503] {
        assert_eq!(again.visit(&api, "GET", "/dev/a/1").await.status, status);
    }
    rest.set(&api, &[("remove", "/*/*", "-"), ("replace", "/b/ANY/throttling/burstLimit", "-1")]).await.unwrap();
    for _ in 0..10 {
        assert_eq!(rest.visit(&api, "GET", "/dev/a/1").await.status, 200);
        assert_eq!(rest.visit(&api, "GET", "/dev/b").await.status, 200);
    }
}

#[tokio::test]
async fn a_body_may_be_longer_than_a_functions_event() {
    let rest = Rest::new();
    assert_eq!(rest.apis.body_bytes(), 10 * 1024 * 1024);
    let api = rest.serving(&["/a"]).await;
    let (mock, root) = rest.api().await;
    rest.mock(&mock, &root, "POST").await;
    rest.deploy(&mock, "dev").await;
    let long = || "a".repeat(7 * 1024 * 1024);
    assert_eq!(rest.send(&request(&mock, "POST", "/dev/", &[], long())).await.status, 200);
    let seen = rest.send(&request(&api, "POST", "/dev/a", &[], long())).await;
    assert_eq!(seen.both(), (413, r#"{"message":"Request Too Long"}"#));
    assert!(!rest.world.function.was_called());
}

#[tokio::test]
async fn each_request_leaves_a_line() {
    let rest = Rest::new();
    let api = rest.serving(&["/pets/{id}"]).await;
    let format = "$context.requestId $context.extendedRequestId $context.httpMethod $context.path $context.resourcePath \
                  $context.stage $context.status $context.responseLength $context.integrationStatus \
                  \"$context.error.message\" $context.error.responseType $context.identity.sourceIp $context.unknown";
    let shown = rest
        .set(
            &api,
            &[
                ("replace", "/accessLogSettings/destinationArn", GROUP),
                ("replace", "/accessLogSettings/format", format),
            ],
        )
        .await
        .unwrap();
    let settings = aws::AccessLogSettings { format: Some(format.into()), destination_arn: Some(GROUP.into()) };
    assert_eq!(shown.access_log_settings, Some(settings));
    rest.world.function.does(Does::Answers(json!({"statusCode": 201, "body": "four"})));
    let told = rest.visit(&api, "GET", "/dev/pets/6").await;
    let line = rest.world.lines.take().pop().unwrap();
    let (id, extended) = (told.header("x-amzn-requestid").unwrap(), told.header("x-amz-apigw-id").unwrap());
    let expected = format!("{id} {extended} GET /dev/pets/6 /pets/{{id}} dev 201 4 200 \"-\" - 127.0.0.1 -");
    assert_eq!(line.text, expected);
    assert_eq!((&*line.group, line.account, line.region.as_str()), ("/apis/pets", Account::DEFAULT, "us-east-1"));
    assert_eq!((&*line.stream, line.at), (&*format!("{api}/dev"), rest.world.now()));
    rest.world.function.does(Does::Fails);
    rest.visit(&api, "GET", "/dev/pets/6").await;
    let text = rest.world.lines.take().pop().unwrap().text;
    assert!(text.contains(" 502 36 - \"Internal server error\" DEFAULT_5XX "), "{text}");
    rest.visit(&api, "GET", "/dev/none").await;
    let text = rest.world.lines.take().pop().unwrap().text;
    assert!(text.contains(" GET /dev/none - dev 403 42 - \"Missing Authentication Token\" MISSING"), "{text}");
    for (patch, code, told) in [
        (("replace", "/accessLogSettings/format", "$context.status"), "BadRequestException", "requestId"),
        (("replace", "/accessLogSettings/destinationArn", "arn:aws:s3:::b"), "BadRequestException", "Invalid ARN"),
        (("replace", "/accessLogSettings/destinationArn", "arn:aws:firehose:x"), "NotImplemented", "delivery stream"),
    ] {
        refused(rest.set(&api, &[patch]).await, code, told);
    }
    let gone = rest.set(&api, &[("remove", "/accessLogSettings", "-")]).await.unwrap();
    assert_eq!(gone.access_log_settings, None);
    rest.visit(&api, "GET", "/dev/none").await;
    assert!(rest.world.lines.take().is_empty());
}

#[tokio::test]
async fn methods_tell_as_much_as_their_settings_want() {
    let rest = Rest::new();
    let api = rest.serving(&["/a", "/b", "/c"]).await;
    let shown = rest
        .set(
            &api,
            &[
                ("replace", "/*/*/logging/loglevel", "INFO"),
                ("replace", "/b/ANY/logging/loglevel", "INFO"),
                ("replace", "/b/ANY/logging/dataTrace", "true"),
                ("replace", "/c/ANY/logging/loglevel", "ERROR"),
            ],
        )
        .await
        .unwrap();
    let settings = shown.method_settings.unwrap();
    assert_eq!(settings["*/*"].logging_level.as_deref(), Some("INFO"));
    assert_eq!((settings["b/ANY"].data_trace_enabled, settings["*/*"].data_trace_enabled), (Some(true), Some(false)));
    rest.world.function.does(Does::Answers(json!({"statusCode": 200, "body": "made"})));
    let ask = async |path: &str| {
        let sent = request(&api, "POST", path, &[("authorization", "secret-words")], "long ".repeat(1000));
        let id = rest.send(&sent).await.header("x-amzn-requestid").unwrap().to_owned();
        let lines = rest.world.lines.take();
        assert!(lines.iter().all(|line| line.text.starts_with(&format!("({id}) ")) && line.text.len() < 1100));
        assert!(lines.iter().all(|line| *line.group == *format!("API-Gateway-Execution-Logs_{api}/dev")));
        lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
    };
    let text = ask("/dev/a").await;
    assert!(
        text.contains("HTTP Method: POST, Resource Path: /a") && text.contains("Method completed with status: 200")
    );
    assert!(!text.contains("long") && !text.contains("made"), "{text}");
    let text = ask("/dev/b").await;
    assert!(text.contains("Method request body before transformations: long long"), "{text}");
    assert!(text.contains("[TRUNCATED]") && text.contains("Authorization=*********rds"), "{text}");
    assert!(text.contains("Method response body after transformations: made"), "{text}");
    assert_eq!(ask("/dev/c").await, "");
    rest.world.function.does(Does::Fails);
    let text = ask("/dev/c").await;
    assert!(text.contains("Lambda execution failed with status 200 due to customer function error: {}"), "{text}");
    assert!(text.contains("Internal server error. Gateway response type: DEFAULT_5XX with status code: 502"), "{text}");
    assert!(!text.contains("Starting"), "{text}");
    assert_eq!(ask("/dev/none").await, "");
    rest.set(
        &api,
        &[("replace", "/*/*/logging/loglevel", "OFF"), ("remove", "/b/ANY", "-"), ("remove", "/c/ANY", "-")],
    )
    .await
    .unwrap();
    assert_eq!(ask("/dev/b").await, "");
}
