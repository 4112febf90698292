//! Pages of other origins.

use model::apigatewayv2::{self as aws, ops};
use serde_json::json;

use crate::world::{Does, FUNCTION, NOT_FOUND, World, input, request};

fn configuration() -> aws::Cors {
    input!(Cors {
        allow_origins: ["https://app.example".to_owned()],
        allow_methods: ["GET".to_owned(), "PUT".to_owned()],
        allow_headers: ["authorization".to_owned()],
        expose_headers: ["x-count".to_owned()],
        allow_credentials: true,
        max_age: 300,
    })
}

#[tokio::test]
async fn the_api_answers_what_browsers_ask() {
    let world = World::new();
    let input = input!(CreateApiRequest {
        name: "a",
        protocol_type: "HTTP",
        target: FUNCTION,
        cors_configuration: configuration()
    });
    let made = world.call::<ops::CreateApi>(input).await.unwrap();
    assert_eq!(made.cors_configuration, Some(configuration()));
    let api = made.api_id.unwrap();
    let asks =
        |origin| request(&api, "OPTIONS", "/x", &[("origin", origin), ("access-control-request-method", "PUT")], "");
    let told = world.send(&asks("https://app.example")).await;
    assert_eq!((told.status, told.body.as_str()), (204, ""));
    assert!(!world.function.was_called());
    assert_eq!(told.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(told.header("access-control-allow-methods"), Some("GET,PUT"));
    assert_eq!(told.header("access-control-allow-headers"), Some("authorization"));
    assert_eq!(told.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(told.header("access-control-max-age"), Some("300"));
    let told = world.send(&asks("https://evil.example")).await;
    assert_eq!((told.status, told.header("access-control-allow-origin")), (204, None));
    // Any other OPTIONS is a request like all.
    assert_eq!(world.visit(&api, "OPTIONS", "/x").await.status, 200);
}

#[tokio::test]
async fn its_headers_go_before_the_functions() {
    let world = World::new();
    let api = world.quick().await;
    let says =
        json!({"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*", "Access-Control-Max-Age": "9"}});
    world.function.does(Does::Answers(says));
    let from = |origin| request(&api, "GET", "/x", &[("origin", origin)], "");
    // Without a configuration the function has its say.
    assert_eq!(world.send(&from("https://app.example")).await.header("access-control-allow-origin"), Some("*"));
    let input = input!(UpdateApiRequest { api_id: &*api, cors_configuration: configuration() });
    world.call::<ops::UpdateApi>(input).await.unwrap();
    let told = world.send(&from("https://app.example")).await;
    assert_eq!(told.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(
        (told.header("access-control-expose-headers"), told.header("access-control-max-age")),
        (Some("x-count"), None)
    );
    assert_eq!(world.send(&from("https://evil.example")).await.header("access-control-allow-origin"), None);
    let delete = |api: &str| input!(DeleteCorsConfigurationRequest { api_id: api });
    world.call::<ops::DeleteCorsConfiguration>(delete(&api)).await.unwrap();
    assert_eq!(world.send(&from("https://evil.example")).await.header("access-control-allow-origin"), Some("*"));
    assert!(world.call::<ops::DeleteCorsConfiguration>(delete("unmade")).await.is_err());
}

#[tokio::test]
async fn without_a_configuration_nobody_answers_for_the_function() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /x"]).await;
    let asks = [("origin", "https://app.example"), ("access-control-request-method", "PUT")];
    assert_eq!(world.send(&request(&api, "OPTIONS", "/x", &asks, "")).await.both(), NOT_FOUND);
}
