//! Routes.

use model::apigatewayv2::{self as aws, ops};

use crate::world::{NOT_FOUND, World, input, refused, words};

#[tokio::test]
async fn a_route_has_awss_defaults() {
    let world = World::new();
    let api = world.api().await;
    let input = input!(CreateRouteRequest { api_id: &*api, route_key: "GET /pets", operation_name: "list" });
    let made = world.call::<ops::CreateRoute>(input).await.unwrap();
    assert_eq!((made.api_key_required, made.authorization_type.as_deref()), (Some(false), Some("NONE")));
    assert_eq!((made.route_key.as_deref(), made.operation_name.as_deref()), (Some("GET /pets"), Some("list")));
    assert_eq!(made.target, None);
    let id = made.route_id.unwrap();
    let got = world.call::<ops::GetRoute>(input!(GetRouteRequest { api_id: &*api, route_id: &*id })).await.unwrap();
    assert_eq!(got.route_key.as_deref(), Some("GET /pets"));
    let unmade = input!(GetRouteRequest { api_id: &*api, route_id: "unmade" });
    refused(world.call::<ops::GetRoute>(unmade).await, "NotFoundException", "Invalid Route identifier specified");
    let unmade = input!(GetRouteRequest { api_id: "unmade", route_id: id });
    refused(world.call::<ops::GetRoute>(unmade).await, "NotFoundException", "Invalid API identifier");
    world.stage(&api, "$default").await;
    assert_eq!(world.visit(&api, "GET", "/pets").await.both(), NOT_FOUND, "nothing answers it yet");
}

#[tokio::test]
async fn what_cannot_be_told_apart_is_refused() {
    let world = World::new();
    let api = world.api().await;
    let create = |key: &str| input!(CreateRouteRequest { api_id: &*api, route_key: key });
    let call = |input| world.call::<ops::CreateRoute>(input);
    for key in ["GET /a/{id}", "$default"] {
        call(create(key)).await.unwrap();
        let (status, code, message) = words(call(create(key)).await);
        assert_eq!((status, code.as_str()), (409, "ConflictException"));
        assert_eq!(message, format!("Route with key {key} already exists for this API"));
    }
    refused(
        call(create("GET /a/{name}")).await,
        "ConflictException",
        "conflicting variable on the same hierarchical level",
    );
    refused(call(create("FETCH /a")).await, "BadRequestException", "not formatted properly for HTTP protocol");
    for (input, code, told) in [
        (input!(CreateRouteRequest { target: "somewhere" }), "BadRequestException", "integrations/"),
        (input!(CreateRouteRequest { target: "integrations/unmade" }), "BadRequestException", "no integration unmade"),
        (input!(CreateRouteRequest { authorization_type: "JWT" }), "BadRequestException", "authorizerId must be"),
        (input!(CreateRouteRequest { authorization_type: "CUSTOM" }), "BadRequestException", "authorizerId must be"),
        (
            input!(CreateRouteRequest { authorization_type: "JWT", authorizer_id: "unmade" }),
            "BadRequestException",
            "no such authorizer",
        ),
        (
            input!(CreateRouteRequest { authorization_scopes: ["a".to_owned()] }),
            "BadRequestException",
            "only with the authorizationType JWT",
        ),
        (input!(CreateRouteRequest { api_key_required: true }), "NotImplemented", "ApiKeyRequired"),
        (input!(CreateRouteRequest { model_selection_expression: "x" }), "NotImplemented", "ModelSelection"),
    ] {
        let input = aws::CreateRouteRequest { api_id: Some(api.clone()), route_key: Some("GET /new".into()), ..input };
        refused(call(input).await, code, told);
    }
    let input = input!(CreateRouteRequest { api_id: "unmade", route_key: "GET /" });
    refused(call(input).await, "NotFoundException", "Invalid API identifier");
}

#[tokio::test]
async fn an_update_acts_at_once() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a", "GET /b"]).await;
    let routes = world.call::<ops::GetRoutes>(input!(GetRoutesRequest { api_id: &*api })).await.unwrap().items.unwrap();
    let route = routes.iter().find(|route| route.route_key.as_deref() == Some("GET /a")).unwrap();
    let id = route.route_id.clone().unwrap();
    let other = world.integration(&api, "1.0").await;
    let target = format!("integrations/{other}");
    let input = input!(UpdateRouteRequest {
        api_id: &*api,
        route_id: &*id,
        route_key: "GET /c",
        target: target,
        operation_name: "see",
    });
    let told = world.call::<ops::UpdateRoute>(input).await.unwrap();
    assert_eq!(told.operation_name.as_deref(), Some("see"));
    assert_eq!(world.visit(&api, "GET", "/a").await.both(), NOT_FOUND);
    world.function.does(crate::world::Does::Answers(serde_json::json!({"statusCode": 200})));
    assert_eq!(world.visit(&api, "GET", "/c").await.status, 200);
    assert_eq!(world.function.called().event["version"], "1.0");
    let input = input!(UpdateRouteRequest { api_id: &*api, route_id: &*id, route_key: "GET /b" });
    refused(world.call::<ops::UpdateRoute>(input).await, "ConflictException", "already exists");
    let input = input!(UpdateRouteRequest { api_id: &*api, route_id: &*id, authorization_type: "AWS_IAM" });
    world.call::<ops::UpdateRoute>(input).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/c").await.both(), (403, r#"{"message":"Forbidden"}"#));
    let input = input!(UpdateRouteRequest { api_id: &*api, route_id: "unmade" });
    refused(world.call::<ops::UpdateRoute>(input).await, "NotFoundException", "Route");
    let delete = || input!(DeleteRouteRequest { api_id: &*api, route_id: &*id });
    world.call::<ops::DeleteRoute>(delete()).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/c").await.both(), NOT_FOUND);
    refused(world.call::<ops::DeleteRoute>(delete()).await, "NotFoundException", "Route");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a", "GET /b", "GET /c"]).await;
    let page = input!(GetRoutesRequest { api_id: &*api, max_results: "2" });
    let page = world.call::<ops::GetRoutes>(page).await.unwrap();
    assert_eq!(page.items.unwrap().len(), 2);
    let token = page.next_token.unwrap();
    let rest = input!(GetRoutesRequest { api_id: &*api, next_token: token });
    assert_eq!(world.call::<ops::GetRoutes>(rest).await.unwrap().items.unwrap().len(), 1);
}

#[tokio::test]
async fn no_route_has_a_request_parameter() {
    let world = World::new();
    let api = world.api().await;
    let input = input!(CreateRouteRequest { api_id: &*api, route_key: "GET /" });
    let id = world.call::<ops::CreateRoute>(input).await.unwrap().route_id.unwrap();
    let delete = |api: &str, route: &str| {
        input!(DeleteRouteRequestParameterRequest {
            api_id: api,
            route_id: route,
            request_parameter_key: "route.request.header.a"
        })
    };
    let call = |input| world.call::<ops::DeleteRouteRequestParameter>(input);
    refused(call(delete(&api, &id)).await, "NotFoundException", "has no route.request.header.a");
    refused(call(delete(&api, "unmade")).await, "NotFoundException", "Invalid Route identifier");
    refused(call(delete("unmade", &id)).await, "NotFoundException", "Invalid API identifier");
}
