//! Parameter mapping.

use std::collections::BTreeMap;

use model::apigatewayv2::{self as aws, ops};
use serde_json::json;

use crate::world::{Does, World, input, refused, request};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_request_and_its_answer_are_changed_on_their_way() {
    let world = World::new();
    let api = world.api().await;
    let input = input!(CreateIntegrationRequest {
        api_id: &*api,
        integration_type: "HTTP_PROXY",
        integration_uri: "http://elsewhere.example/base",
        integration_method: "ANY",
        payload_format_version: "1.0",
        request_parameters: map(&[
            ("append:header.x-id", "$context.requestId"),
            ("overwrite:header.x-kind", "${request.path.kind}-${stageVariables.colour}"),
            ("remove:header.x-secret", "''"),
            ("append:querystring.from", "$request.body.who[0].name"),
            ("remove:querystring.drop", "''"),
            ("overwrite:path", "/other/${request.path.kind}"),
        ]),
        response_parameters: [(
            "404".to_owned(),
            map(&[
                ("overwrite:statuscode", "403"),
                ("append:header.error", "$response.body.why"),
                ("remove:header.content-type", "''"),
            ])
        )],
    });
    let made = world.call::<ops::CreateIntegration>(input).await.unwrap();
    assert_eq!(made.request_parameters.unwrap().len(), 6);
    let id = made.integration_id.unwrap();
    world.route(&api, "POST /{kind}", &id).await;
    let stage = input!(CreateStageRequest {
        api_id: &*api,
        stage_name: "$default",
        auto_deploy: true,
        stage_variables: [("colour".to_owned(), "blue".to_owned())],
    });
    world.call::<ops::CreateStage>(stage).await.unwrap();
    world.elsewhere.answers("http://elsewhere.example/other/cat?keep=1&from=ann", 404, r#"{"why": "gone"}"#);
    let sent = [("x-kind", "old"), ("x-secret", "s")];
    let body = r#"{"who": [{"name": "ann"}]}"#;
    let told = world.send(&request(&api, "POST", "/cat?keep=1&drop=2", &sent, body)).await;
    assert_eq!((told.status, told.header("error"), told.header("content-type")), (403, Some("gone"), None));
    let asked = world.elsewhere.asked().pop().unwrap();
    assert_eq!(asked.headers["x-id"], told.header("apigw-requestid").unwrap());
    assert_eq!(asked.headers["x-kind"], "cat-blue");
    assert!(!asked.headers.contains_key("x-secret"));
    // An empty value takes a mapping away.
    let update = input!(UpdateIntegrationRequest {
        api_id: &*api,
        integration_id: id,
        request_parameters: map(&[("overwrite:path", ""), ("append:header.x-new", "1")]),
        response_parameters: [("404".to_owned(), BTreeMap::new())],
    });
    let told = world.call::<ops::UpdateIntegration>(update).await.unwrap();
    assert_eq!((told.request_parameters.unwrap().len(), told.response_parameters), (6, None));
    world.elsewhere.answers("http://elsewhere.example/base?from=", 404, "none");
    assert_eq!(world.send(&request(&api, "POST", "/cat", &[], "")).await.status, 404);
    assert_eq!(world.elsewhere.asked().pop().unwrap().headers["x-new"], "1");
}

#[tokio::test]
async fn a_functions_event_is_changed_too() {
    let world = World::new();
    let api = world.api().await;
    let input = input!(CreateIntegrationRequest {
        api_id: &*api,
        integration_type: "AWS_PROXY",
        integration_uri: crate::world::FUNCTION,
        payload_format_version: "2.0",
        request_parameters: map(&[("append:header.x-stage", "$context.stage"), ("overwrite:path", "/fixed")]),
        response_parameters: [("200".to_owned(), map(&[("append:header.x-more", "1")]))],
    });
    let id = world.call::<ops::CreateIntegration>(input).await.unwrap().integration_id.unwrap();
    world.route(&api, "GET /a", &id).await;
    world.stage(&api, "$default").await;
    world.function.does(Does::Answers(json!({"statusCode": 200})));
    assert_eq!(world.visit(&api, "GET", "/a").await.header("x-more"), Some("1"));
    let event = world.function.called().event;
    assert_eq!((&event["headers"]["x-stage"], &event["rawPath"]), (&json!("$default"), &json!("/fixed")));
}

#[tokio::test]
async fn what_cannot_be_mapped_is_refused() {
    let world = World::new();
    let api = world.api().await;
    let of = |request: &[(&str, &str)], status: &str, answer: &[(&str, &str)]| aws::CreateIntegrationRequest {
        request_parameters: Some(map(request)),
        response_parameters: Some([(status.to_owned(), map(answer))].into()),
        ..input!(CreateIntegrationRequest {
            api_id: &*api,
            integration_type: "AWS_PROXY",
            integration_uri: crate::world::FUNCTION,
            payload_format_version: "2.0",
        })
    };
    for (input, told) in [
        (of(&[("append:header.authorization", "x")], "200", &[]), "Operations on header authorization are restricted"),
        (of(&[("append:header.a", "$nothing")], "200", &[]), "Invalid mapping expression specified: $nothing"),
        (of(&[("header.a", "x")], "200", &[]), "Invalid mapping expression specified: header.a"),
        (of(&[], "99", &[]), "Invalid status code"),
        (of(&[], "200", &[("overwrite:statuscode", "x")]), "Invalid status code"),
    ] {
        refused(world.call::<ops::CreateIntegration>(input).await, "BadRequestException", told);
    }
}
