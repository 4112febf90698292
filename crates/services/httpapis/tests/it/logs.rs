//! Access logs.

use base::Account;
use model::apigatewayv2::{self as aws, ops};
use serde_json::json;

use crate::world::{Does, World, input, refused, request};

const GROUP: &str = "arn:aws:logs:us-east-1:000000000000:log-group:/apis/pets";

fn settings(format: &str) -> aws::AccessLogSettings {
    input!(AccessLogSettings { destination_arn: GROUP, format: format })
}

#[tokio::test]
async fn each_request_leaves_a_line() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /pets/{id}"]).await;
    let format = "$context.requestId $context.httpMethod $context.path $context.routeKey $context.stage $context.status \
                  $context.responseLength $context.integrationStatus $context.integration.status \
                  \"$context.error.message\" $context.identity.sourceIp $context.authorizer.claims.sub $context.unknown";
    let input = input!(CreateStageRequest {
        api_id: &*api,
        stage_name: "dev",
        auto_deploy: true,
        access_log_settings: settings(format)
    });
    let made = world.call::<ops::CreateStage>(input).await.unwrap();
    assert_eq!(made.access_log_settings, Some(settings(format)));
    world.function.does(Does::Answers(json!({"statusCode": 201, "body": "four"})));
    let told = world.send(&request(&api, "GET", "/dev/pets/6", &[], "")).await;
    let line = world.lines.take().pop().unwrap();
    let id = told.header("apigw-requestid").unwrap();
    let expected = format!("{id} GET /dev/pets/6 GET /pets/{{id}} dev 201 4 200 201 \"-\" 127.0.0.1 - -");
    assert_eq!(line.text, expected);
    assert_eq!((&*line.group, line.account, line.region.as_str()), ("/apis/pets", Account::DEFAULT, "us-east-1"));
    assert_eq!((&*line.stream, line.at), (&*format!("{api}/dev"), world.now()));
    world.function.does(Does::Fails);
    world.visit(&api, "GET", "/dev/pets/6").await;
    let text = world.lines.take().pop().unwrap().text;
    assert!(text.contains(" 500 35 - - \"Internal Server Error\" "), "{text}");
    world.visit(&api, "GET", "/dev/none").await;
    let text = world.lines.take().pop().unwrap().text;
    assert!(text.contains(" GET /dev/none - dev 404 23 - - \"Not Found\" "), "{text}");
    // A stage without settings leaves none.
    world.visit(&api, "GET", "/pets/6").await;
    assert_eq!(world.lines.take().len(), 0);
}

#[tokio::test]
async fn settings_change_and_go() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a"]).await;
    let update = |settings: aws::AccessLogSettings| {
        input!(UpdateStageRequest { api_id: &*api, stage_name: "$default", access_log_settings: settings })
    };
    let call = |input| world.call::<ops::UpdateStage>(input);
    call(update(settings("$context.requestId one"))).await.unwrap();
    // A member that is not given stays.
    call(update(input!(AccessLogSettings { format: "two $context.requestId" }))).await.unwrap();
    world.visit(&api, "GET", "/a").await;
    assert!(world.lines.take().pop().unwrap().text.starts_with("two "));
    for (given, code, told) in [
        (settings("$context.status"), "BadRequestException", "$context.requestId"),
        (input!(AccessLogSettings { destination_arn: "x" }), "BadRequestException", "Invalid ARN"),
        (
            input!(AccessLogSettings { destination_arn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/x" }),
            "NotImplemented",
            "delivery stream",
        ),
    ] {
        refused(call(update(given)).await, code, told);
    }
    let delete = |api: &str, stage: &str| input!(DeleteAccessLogSettingsRequest { api_id: api, stage_name: stage });
    let call = |input| world.call::<ops::DeleteAccessLogSettings>(input);
    call(delete(&api, "$default")).await.unwrap();
    world.visit(&api, "GET", "/a").await;
    assert_eq!(world.lines.take().len(), 0);
    refused(call(delete(&api, "unmade")).await, "NotFoundException", "stage");
    refused(call(delete("unmade", "$default")).await, "NotFoundException", "API");
}
