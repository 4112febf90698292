//! APIs as OpenAPI definitions.

use model::apigatewayv2::{self as aws, ops};
use serde_json::{Value, json};

use crate::world::{FUNCTION, NOT_FOUND, World, input, refused};

fn definition(path: &str) -> Value {
    json!({
        "openapi": "3.0.1",
        "info": {"title": "pets", "description": "all of them", "version": "7"},
        "servers": [{"url": "https://example.com/v1"}],
        "tags": [{"name": "team", "x-amazon-apigateway-tag-value": "blue"}],
        "paths": {path: {"get": {
            "operationId": "see",
            "requestBody": {},
            "x-amazon-apigateway-integration": {"type": "AWS_PROXY", "uri": FUNCTION, "payloadFormatVersion": "2.0"},
        }}},
        "x-amazon-apigateway-cors": {"allowOrigins": ["https://app.example"]},
    })
}

async fn imported(world: &World, body: &Value) -> aws::ImportApiResponse {
    let input = input!(ImportApiRequest { body: body.to_string() });
    world.call::<ops::ImportApi>(input).await.unwrap()
}

async fn exported(world: &World, api: &str) -> Value {
    let input = input!(ExportApiRequest { api_id: api, specification: "OAS30", output_type: "JSON" });
    serde_json::from_slice(&world.call::<ops::ExportApi>(input).await.unwrap().body.unwrap()).unwrap()
}

#[tokio::test]
async fn an_imported_api_answers() {
    let world = World::new();
    let made = imported(&world, &definition("/pets/{id}")).await;
    assert_eq!((made.name.as_deref(), made.version.as_deref()), (Some("pets"), Some("7")));
    assert_eq!((made.tags.unwrap()["team"].as_str(), made.import_info.unwrap().len()), ("blue", 1));
    assert_eq!(made.cors_configuration.unwrap().allow_origins, Some(vec!["https://app.example".to_owned()]));
    let api = made.api_id.unwrap();
    world.stage(&api, "$default").await;
    assert_eq!(world.visit(&api, "GET", "/pets/6").await.status, 200);
    assert_eq!(world.function.called().event["pathParameters"]["id"], "6");
    // Another definition replaces it, and stages that follow answer with it.
    let other = |path: &str| input!(ReimportApiRequest { api_id: &*api, body: definition(path).to_string() });
    let told = world.call::<ops::ReimportApi>(other("/cats")).await.unwrap();
    assert_eq!(told.api_id.as_deref(), Some(&*api));
    assert_eq!(world.visit(&api, "GET", "/pets/6").await.both(), NOT_FOUND);
    assert_eq!(world.visit(&api, "GET", "/cats").await.status, 200);
    let based = aws::ReimportApiRequest { basepath: Some("prepend".into()), ..other("/cats") };
    world.call::<ops::ReimportApi>(based).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/v1/cats").await.status, 200);
    let based = aws::ImportApiRequest {
        basepath: Some("prepend".into()),
        ..input!(ImportApiRequest { body: definition("/x").to_string() })
    };
    let based = world.call::<ops::ImportApi>(based).await.unwrap().api_id.unwrap();
    assert!(exported(&world, &based).await["paths"].get("/v1/x").is_some());
    let unmade = input!(ReimportApiRequest { api_id: "unmade", body: definition("/").to_string() });
    refused(world.call::<ops::ReimportApi>(unmade).await, "NotFoundException", "API");
}

#[tokio::test]
async fn warnings_may_matter() {
    let world = World::new();
    let mut body = definition("/a");
    body["paths"]["/a"]["get"]["x-amazon-apigateway-integration"] = json!({"type": "MOCK"});
    let made = imported(&world, &body).await;
    assert!(made.warnings.unwrap()[0].contains("MOCK"));
    let strict = input!(ImportApiRequest { body: body.to_string(), fail_on_warnings: true });
    refused(world.call::<ops::ImportApi>(strict).await, "BadRequestException", "Warnings found during import");
    let strict =
        input!(ReimportApiRequest { api_id: made.api_id.unwrap(), body: body.to_string(), fail_on_warnings: true });
    refused(world.call::<ops::ReimportApi>(strict).await, "BadRequestException", "Warnings found during import");
    let mut twice = definition("/a/{x}");
    twice["paths"]["/a/{y}"] = twice["paths"]["/a/{x}"].clone();
    let input = input!(ImportApiRequest { body: twice.to_string() });
    refused(world.call::<ops::ImportApi>(input).await, "ConflictException", "conflicting variable");
}

#[tokio::test]
async fn what_is_exported_is_imported_as_the_same() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a/{id}", "ANY /b/{rest+}", "$default"]).await;
    let judge = input!(CreateAuthorizerRequest {
        api_id: &*api,
        name: "tokens",
        authorizer_type: "JWT",
        identity_source: ["$request.header.Authorization".to_owned()],
        jwt_configuration: input!(JWTConfiguration { issuer: "https://i.example", audience: ["a".to_owned()] }),
    });
    let judge = world.call::<ops::CreateAuthorizer>(judge).await.unwrap().authorizer_id.unwrap();
    let routes = world.call::<ops::GetRoutes>(input!(GetRoutesRequest { api_id: &*api })).await.unwrap().items.unwrap();
    let id = |key: &str| routes.iter().find(|route| route.route_key.as_deref() == Some(key)).unwrap().route_id.clone();
    let guard = aws::UpdateRouteRequest {
        route_id: id("GET /a/{id}"),
        ..input!(UpdateRouteRequest {
            api_id: &*api,
            authorization_type: "JWT",
            authorizer_id: judge,
            authorization_scopes: ["s".to_owned()]
        })
    };
    world.call::<ops::UpdateRoute>(guard).await.unwrap();
    let guard = aws::UpdateRouteRequest {
        route_id: id("$default"),
        ..input!(UpdateRouteRequest { api_id: &*api, authorization_type: "AWS_IAM" })
    };
    world.call::<ops::UpdateRoute>(guard).await.unwrap();
    let first = exported(&world, &api).await;
    assert_eq!(first["info"]["title"], "api");
    let copy = imported(&world, &first).await.api_id.unwrap();
    let mut second = exported(&world, &copy).await;
    second["servers"] = first["servers"].clone();
    // Schemes are named by ids, which differ.
    let plain = |value: &Value| {
        let mut value = value.clone();
        value["components"] = Value::Null;
        value["paths"]["/a/{id}"]["get"]["security"] = Value::Null;
        value
    };
    assert_eq!(plain(&second), plain(&first));
    let made = world.call::<ops::GetRoutes>(input!(GetRoutesRequest { api_id: &*copy })).await.unwrap().items.unwrap();
    let of = |key: &str| made.iter().find(|route| route.route_key.as_deref() == Some(key)).unwrap();
    assert_eq!(of("GET /a/{id}").authorization_type.as_deref(), Some("JWT"));
    assert_eq!(of("GET /a/{id}").authorization_scopes, Some(vec!["s".to_owned()]));
    assert_eq!(of("$default").authorization_type.as_deref(), Some("AWS_IAM"));
}

#[tokio::test]
async fn a_stage_or_the_bare_definition_may_be_exported() {
    let world = World::new();
    let api = world.api().await;
    let integration = world.integration(&api, "2.0").await;
    world.route(&api, "GET /a", &integration).await;
    let deploy = input!(CreateDeploymentRequest { api_id: &*api });
    let deployed = world.call::<ops::CreateDeployment>(deploy).await.unwrap().deployment_id.unwrap();
    let stage = input!(CreateStageRequest { api_id: &*api, stage_name: "prod", deployment_id: deployed });
    world.call::<ops::CreateStage>(stage).await.unwrap();
    world.route(&api, "GET /b", &integration).await;
    let of = |api: &str| input!(ExportApiRequest { api_id: api, specification: "OAS30", output_type: "YAML" });
    let of_stage =
        aws::ExportApiRequest { stage_name: Some("prod".into()), include_extensions: Some(false), ..of(&api) };
    let body = world.call::<ops::ExportApi>(of_stage).await.unwrap().body.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.starts_with("---\nopenapi: \"3.0.1\"\n"), "{body}");
    let of_stage = aws::ExportApiRequest {
        stage_name: Some("prod".into()),
        include_extensions: Some(false),
        output_type: Some("JSON".into()),
        ..of(&api)
    };
    let body = world.call::<ops::ExportApi>(of_stage).await.unwrap().body.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body["paths"].get("/a").is_some() && body["paths"].get("/b").is_none());
    assert_eq!(body["servers"][0]["variables"]["basePath"]["default"], "prod");
    assert!(!body.to_string().contains("x-amazon"), "{body}");
    for (input, code, told) in [
        (aws::ExportApiRequest { specification: Some("OAS20".into()), ..of(&api) }, "BadRequestException", "OAS30"),
        (aws::ExportApiRequest { output_type: Some("XML".into()), ..of(&api) }, "BadRequestException", "outputType"),
        (
            aws::ExportApiRequest { export_version: Some("2".into()), ..of(&api) },
            "BadRequestException",
            "exportVersion",
        ),
        (aws::ExportApiRequest { stage_name: Some("none".into()), ..of(&api) }, "NotFoundException", "stage"),
        (of("unmade"), "NotFoundException", "API"),
    ] {
        refused(world.call::<ops::ExportApi>(input).await, code, told);
    }
}
