//! APIs: made, shown, listed, changed, gone.

use base::Account;
use model::apigatewayv2::{self as aws, ops};

use crate::world::{FUNCTION, NOT_FOUND, World, input, refused, request, root, words};

#[tokio::test]
async fn an_api_has_awss_form_and_defaults() {
    let world = World::new();
    let input =
        input!(CreateApiRequest { name: "pets", protocol_type: "HTTP", description: "all of them", version: "v1" });
    let made = world.call::<ops::CreateApi>(input).await.unwrap();
    let id = made.api_id.clone().unwrap();
    assert!(id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{id}");
    assert_eq!(made.api_endpoint.unwrap(), format!("http://{id}.execute-api.us-east-1.localhost:4566"));
    assert_eq!(made.api_key_selection_expression.as_deref(), Some("$request.header.x-api-key"));
    assert_eq!(made.route_selection_expression.as_deref(), Some("$request.method $request.path"));
    assert_eq!((made.disable_execute_api_endpoint, made.ip_address_type.as_deref()), (Some(false), Some("ipv4")));
    assert_eq!((made.name.as_deref(), made.protocol_type.as_deref()), (Some("pets"), Some("HTTP")));
    assert_eq!((made.description.as_deref(), made.version.as_deref()), (Some("all of them"), Some("v1")));
    assert_eq!(made.created_date.unwrap().0, world.now().0 / 1000 * 1000);
    let got = world.call::<ops::GetApi>(input!(GetApiRequest { api_id: id })).await.unwrap();
    assert_eq!((got.name.as_deref(), got.tags), (Some("pets"), Some([].into())));
    assert_eq!(got.cors_configuration, None);
}

#[tokio::test]
async fn what_makes_no_api_is_refused() {
    let world = World::new();
    let of = |protocol: &str| input!(CreateApiRequest { name: "a", protocol_type: protocol });
    let http = || of("HTTP");
    let call = |input| world.call::<ops::CreateApi>(input);
    assert_eq!(words(call(of("WEBSOCKET")).await).1, "NotImplemented");
    let long = "x".repeat(129);
    for (input, told) in [
        (aws::CreateApiRequest { name: Some(long), ..http() }, "Invalid name"),
        (aws::CreateApiRequest { name: Some(String::new()), ..http() }, "Invalid name"),
        (aws::CreateApiRequest { description: Some("x".repeat(1025)), ..http() }, "Invalid description"),
        (aws::CreateApiRequest { version: Some(String::new()), ..http() }, "Invalid version"),
        (
            aws::CreateApiRequest { route_selection_expression: Some("$request.body.a".into()), ..http() },
            "routeSelection",
        ),
        (aws::CreateApiRequest { api_key_selection_expression: Some("$x".into()), ..http() }, "apiKeySelection"),
        (aws::CreateApiRequest { route_key: Some("GET /".into()), ..http() }, "target"),
        (aws::CreateApiRequest { target: Some("hello".into()), ..http() }, "Invalid integration URI"),
        (aws::CreateApiRequest { target: Some(FUNCTION.into()), route_key: Some("GET".into()), ..http() }, "route key"),
        (aws::CreateApiRequest { tags: Some([("aws:x".into(), "1".into())].into()), ..http() }, "reserved"),
        (
            aws::CreateApiRequest {
                cors_configuration: Some(input!(Cors { allow_origins: ["x".to_owned()] })),
                ..http()
            },
            "origin",
        ),
    ] {
        refused(call(input).await, "BadRequestException", told);
    }
    let input = aws::CreateApiRequest { credentials_arn: Some("arn:aws:iam::000000000000:role/r".into()), ..http() };
    refused(call(input).await, "BadRequestException", "A target must be specified");
    let input = aws::CreateApiRequest { ip_address_type: Some("ipv6".into()), ..http() };
    refused(call(input).await, "ValidationException", "ipAddressType");
    for input in [aws::CreateApiRequest { disable_schema_validation: Some(true), ..http() }] {
        refused(call(input).await, "NotImplemented", "apigatewayv2:CreateApi");
    }
}

#[tokio::test]
async fn quick_create_makes_an_api_that_answers() {
    let world = World::new();
    let input = input!(CreateApiRequest { name: "a", protocol_type: "HTTP", target: FUNCTION, route_key: "GET /hi" });
    let api = world.call::<ops::CreateApi>(input).await.unwrap().api_id.unwrap();
    assert_eq!(world.visit(&api, "GET", "/hi").await.both(), (200, r#"{"hello":"you"}"#));
    assert_eq!(world.visit(&api, "GET", "/other").await.both(), NOT_FOUND);
    let routes = world.call::<ops::GetRoutes>(input!(GetRoutesRequest { api_id: &*api })).await.unwrap().items.unwrap();
    assert_eq!((routes.len(), routes[0].api_gateway_managed), (1, Some(true)));
    let stage = input!(GetStageRequest { api_id: &*api, stage_name: "$default" });
    let stage = world.call::<ops::GetStage>(stage).await.unwrap();
    assert_eq!((stage.api_gateway_managed, stage.auto_deploy), (Some(true), Some(true)));
    // What it made changes with it.
    let other = format!("{FUNCTION}:live");
    let input = input!(UpdateApiRequest { api_id: &*api, target: &*other, route_key: "GET /there" });
    world.call::<ops::UpdateApi>(input).await.unwrap();
    world.function.was_called();
    assert_eq!(world.visit(&api, "GET", "/there").await.status, 200);
    assert_eq!(world.function.called().name, other);
    // Without a key it is `$default`; what quick create did not make has no target to change.
    let api = world.quick().await;
    assert_eq!(world.visit(&api, "POST", "/any/thing").await.status, 200);
    let plain = world.api().await;
    let input = input!(UpdateApiRequest { api_id: plain, target: FUNCTION });
    refused(world.call::<ops::UpdateApi>(input).await, "BadRequestException", "quick create");
}

#[tokio::test]
async fn an_api_is_its_accounts_and_regions_own() {
    let world = World::new();
    let api = world.api().await;
    let other: Account = "111122223333".parse().unwrap();
    let get = || input!(GetApiRequest { api_id: &*api });
    let (status, code, message) = words(world.call_as::<ops::GetApi>(root(other), get()).await);
    let told = format!("Invalid API identifier specified 111122223333:{api}");
    assert_eq!((status, code.as_str(), message), (404, "NotFoundException", told));
    let listed = world.call_as::<ops::GetApis>(root(other), aws::GetApisRequest::default()).await.unwrap();
    assert_eq!(listed.items.unwrap(), []);
    for result in [
        world.call_as::<ops::DeleteApi>(root(other), input!(DeleteApiRequest { api_id: &*api })).await.map(drop),
        world.call::<ops::DeleteApi>(input!(DeleteApiRequest { api_id: "unmade" })).await.map(drop),
        world.call::<ops::UpdateApi>(input!(UpdateApiRequest { api_id: "unmade" })).await.map(drop),
    ] {
        refused(result, "NotFoundException", "Invalid API identifier specified");
    }
    world.call::<ops::GetApi>(get()).await.unwrap();
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    let mut made: Vec<String> = Vec::new();
    for _ in 0..5 {
        made.push(world.api().await);
    }
    made.sort();
    let mut seen = Vec::new();
    let mut next_token = None;
    loop {
        let input = aws::GetApisRequest { max_results: Some("2".into()), next_token };
        let page = world.call::<ops::GetApis>(input).await.unwrap();
        let items = page.items.unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.into_iter().map(|api| api.api_id.unwrap()));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
    let wrong = input!(GetApisRequest { next_token: "%" });
    refused(world.call::<ops::GetApis>(wrong).await, "BadRequestException", "position");
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    let world = World::new();
    let api = world.quick().await;
    let input = input!(UpdateApiRequest {
        api_id: &*api,
        name: "other",
        description: "new",
        version: "2",
        ip_address_type: "dualstack",
        disable_execute_api_endpoint: true,
        route_selection_expression: "${request.method} ${request.path}",
        api_key_selection_expression: "$request.header.x-api-key",
    });
    let told = world.call::<ops::UpdateApi>(input).await.unwrap();
    assert_eq!((told.name.as_deref(), told.description.as_deref()), (Some("other"), Some("new")));
    assert_eq!((told.version.as_deref(), told.ip_address_type.as_deref()), (Some("2"), Some("dualstack")));
    assert_eq!(world.visit(&api, "GET", "/").await.both(), NOT_FOUND, "its host is not answered any more");
    let input = input!(UpdateApiRequest { api_id: &*api, disable_execute_api_endpoint: false });
    let told = world.call::<ops::UpdateApi>(input).await.unwrap();
    assert_eq!(told.name.as_deref(), Some("other"), "what is not named stays");
    assert_eq!(world.visit(&api, "GET", "/").await.status, 200);
    let input = input!(CreateApiRequest {
        name: "hidden",
        protocol_type: "HTTP",
        target: FUNCTION,
        disable_execute_api_endpoint: true
    });
    let hidden = world.call::<ops::CreateApi>(input).await.unwrap().api_id.unwrap();
    assert_eq!(world.visit(&hidden, "GET", "/").await.both(), NOT_FOUND);
}

#[tokio::test]
async fn a_deleted_api_answers_no_more_and_one_that_was_made_outlives_a_restart() {
    let world = World::new();
    let (gone, stays) = (world.quick().await, world.quick().await);
    assert_eq!(world.visit(&gone, "GET", "/").await.status, 200);
    world.call::<ops::DeleteApi>(input!(DeleteApiRequest { api_id: &*gone })).await.unwrap();
    for world in [&world, &world.restarted()] {
        assert_eq!(world.visit(&gone, "GET", "/").await.both(), NOT_FOUND);
        assert_eq!(world.visit(&stays, "GET", "/").await.status, 200);
        let by_path = request(&stays, "GET", &format!("/_lambent/api/{stays}/x"), &[], "");
        let by_path = crate::world::Request { host: "127.0.0.1".into(), ..by_path };
        assert_eq!(world.send(&by_path).await.status, 200);
    }
    assert_eq!(world.visit("unmade", "GET", "/").await.both(), NOT_FOUND);
}
