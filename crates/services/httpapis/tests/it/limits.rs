//! How often routes may be called.

use model::apigatewayv2::{self as aws, ops};

use crate::world::{World, input, refused};

const TOO_MANY: (u16, &str) = (429, r#"{"message":"Too Many Requests"}"#);

#[tokio::test]
async fn a_stage_limits_each_of_its_routes() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a", "GET /b", "GET /c"]).await;
    let slow = input!(RouteSettings { throttling_burst_limit: 2, throttling_rate_limit: 0.001 });
    let none = input!(RouteSettings { throttling_burst_limit: 0 });
    let input = input!(CreateStageRequest {
        api_id: &*api,
        stage_name: "slow",
        auto_deploy: true,
        default_route_settings: slow.clone(),
        route_settings: [("GET /c".to_owned(), none.clone())],
    });
    let made = world.call::<ops::CreateStage>(input).await.unwrap();
    let shown = made.default_route_settings.unwrap();
    assert_eq!((shown.throttling_burst_limit, shown.throttling_rate_limit), (Some(2), Some(0.001)));
    for (path, allowed) in [("/slow/a", 2), ("/slow/b", 2), ("/slow/c", 0)] {
        for _ in 0..allowed {
            assert_eq!(world.visit(&api, "GET", path).await.status, 200, "{path}");
        }
        assert_eq!(world.visit(&api, "GET", path).await.both(), TOO_MANY, "{path}");
    }
    // What is changed elsewhere in the API refills nothing.
    let described = input!(UpdateStageRequest { api_id: &*api, stage_name: "slow", description: "changed" });
    world.call::<ops::UpdateStage>(described).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/slow/a").await.both(), TOO_MANY);
    // Another stage has its own, and no settings no limit.
    for _ in 0..10 {
        assert_eq!(world.visit(&api, "GET", "/a").await.status, 200);
    }
    let update = aws::UpdateStageRequest {
        default_route_settings: Some(none),
        ..input!(UpdateStageRequest {
            api_id: &*api,
            stage_name: "$default",
            route_settings: [("GET /b".to_owned(), slow)]
        })
    };
    let told = world.call::<ops::UpdateStage>(update).await.unwrap();
    assert_eq!(told.default_route_settings.unwrap().throttling_burst_limit, Some(0));
    assert_eq!(world.visit(&api, "GET", "/a").await.both(), TOO_MANY);
    assert_eq!(world.visit(&api, "GET", "/b").await.status, 200);
    let delete = input!(DeleteRouteSettingsRequest { api_id: &*api, stage_name: "$default", route_key: "GET /b" });
    world.call::<ops::DeleteRouteSettings>(delete).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/b").await.both(), TOO_MANY);
    let wrong = input!(UpdateStageRequest {
        api_id: &*api,
        stage_name: "$default",
        default_route_settings: input!(RouteSettings { throttling_rate_limit: -1.0 }),
    });
    refused(world.call::<ops::UpdateStage>(wrong).await, "BadRequestException", "negative");
    let traced = input!(UpdateStageRequest {
        api_id: &*api,
        stage_name: "$default",
        default_route_settings: input!(RouteSettings { data_trace_enabled: true }),
    });
    refused(world.call::<ops::UpdateStage>(traced).await, "NotImplemented", "DataTraceEnabled");
}
