//! Stages.

use model::apigatewayv2::{self as aws, ops};

use crate::world::{FUNCTION, NOT_FOUND, World, input, refused, words};

#[tokio::test]
async fn a_stage_has_awss_form() {
    let world = World::new();
    let api = world.api().await;
    let input = input!(CreateStageRequest {
        api_id: &*api,
        stage_name: "dev",
        description: "mine",
        stage_variables: [("a".to_owned(), "1".to_owned())],
        tags: [("k".to_owned(), "v".to_owned())],
        default_route_settings: input!(RouteSettings { detailed_metrics_enabled: true }),
    });
    let made = world.call::<ops::CreateStage>(input).await.unwrap();
    assert_eq!((made.auto_deploy, made.deployment_id.clone()), (Some(false), None));
    assert_eq!(made.default_route_settings.unwrap().detailed_metrics_enabled, Some(true));
    let got = input!(GetStageRequest { api_id: &*api, stage_name: "dev" });
    let got = world.call::<ops::GetStage>(got).await.unwrap();
    assert_eq!((got.description.as_deref(), got.stage_name.as_deref()), (Some("mine"), Some("dev")));
    assert_eq!((got.tags.unwrap()["k"].as_str(), got.stage_variables.unwrap()["a"].as_str()), ("v", "1"));
    assert_eq!(got.created_date, got.last_updated_date);
    let unmade = input!(GetStageRequest { api_id: &*api, stage_name: "prod" });
    refused(world.call::<ops::GetStage>(unmade).await, "NotFoundException", "Invalid stage identifier specified");
    let unmade = input!(GetStageRequest { api_id: "unmade", stage_name: "dev" });
    refused(world.call::<ops::GetStage>(unmade).await, "NotFoundException", "Invalid API identifier");
}

#[tokio::test]
async fn what_makes_no_stage_is_refused() {
    let world = World::new();
    let api = world.api().await;
    let of = |name: &str| input!(CreateStageRequest { api_id: &*api, stage_name: name });
    let call = |input| world.call::<ops::CreateStage>(input);
    call(of("dev")).await.unwrap();
    let (status, code, message) = words(call(of("dev")).await);
    assert_eq!((status, code.as_str(), message.as_str()), (409, "ConflictException", "Stage already exists"));
    let variables = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    for (input, code, told) in [
        (of("a b"), "BadRequestException", "Invalid stage name"),
        (of(""), "BadRequestException", "Invalid stage name"),
        (input!(CreateStageRequest { api_id: "unmade", stage_name: "x" }), "NotFoundException", "Invalid API"),
        (
            aws::CreateStageRequest { deployment_id: Some("unmade".into()), ..of("x") },
            "BadRequestException",
            "Invalid deployment identifier",
        ),
        (
            aws::CreateStageRequest { deployment_id: Some("d".into()), auto_deploy: Some(true), ..of("x") },
            "BadRequestException",
            "auto-deploy enabled",
        ),
        (
            aws::CreateStageRequest { stage_variables: Some(variables("a-b", "1").into()), ..of("x") },
            "BadRequestException",
            "Stage variable a-b",
        ),
        (
            aws::CreateStageRequest { stage_variables: Some(variables("a", "{}").into()), ..of("x") },
            "BadRequestException",
            "Stage variable a",
        ),
        (
            aws::CreateStageRequest { client_certificate_id: Some("c".into()), ..of("x") },
            "NotImplemented",
            "ClientCertificateId",
        ),
        (
            aws::CreateStageRequest {
                route_settings: Some([("GET /x".to_owned(), aws::RouteSettings::default())].into()),
                ..of("x")
            },
            "NotFoundException",
            "GET /x",
        ),
    ] {
        refused(call(input).await, code, told);
    }
}

#[tokio::test]
async fn a_stage_that_follows_changes_is_deployed_by_each() {
    let world = World::new();
    let api = world.api().await;
    let stage = world.stage(&api, "$default").await;
    let told = "Deployment attempt failed: Unable to deploy API because no routes exist in this API";
    assert_eq!((stage.deployment_id, stage.last_deployment_status_message.as_deref()), (None, Some(told)));
    let integration = world.integration(&api, "2.0").await;
    let look = || async {
        let got = input!(GetStageRequest { api_id: &*api, stage_name: "$default" });
        world.call::<ops::GetStage>(got).await.unwrap()
    };
    world.route(&api, "GET /a", &integration).await;
    let first = look().await;
    let id = first.deployment_id.clone().unwrap();
    assert_eq!(
        first.last_deployment_status_message.unwrap(),
        format!("Successfully deployed stage with deployment ID '{id}'")
    );
    assert_eq!(world.visit(&api, "GET", "/a").await.status, 200);
    world.route(&api, "GET /b", &integration).await;
    let second = look().await.deployment_id.unwrap();
    assert_ne!(second, id);
    assert_eq!(world.visit(&api, "GET", "/b").await.status, 200);
    let listed = input!(GetDeploymentsRequest { api_id: &*api });
    let listed = world.call::<ops::GetDeployments>(listed).await.unwrap().items.unwrap();
    assert_eq!(listed.len(), 1, "what was replaced is gone");
    assert_eq!((listed[0].auto_deployed, listed[0].deployment_id.as_deref()), (Some(true), Some(&*second)));
}

#[tokio::test]
async fn a_stage_that_follows_no_longer_stays_as_it_is() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a"]).await;
    let update = |auto: bool| {
        input!(UpdateStageRequest { api_id: &*api, stage_name: "$default", auto_deploy: auto, description: "now" })
    };
    let told = world.call::<ops::UpdateStage>(update(false)).await.unwrap();
    assert_eq!((told.auto_deploy, told.description.as_deref()), (Some(false), Some("now")));
    let integration = world.integration(&api, "2.0").await;
    world.route(&api, "GET /b", &integration).await;
    for world in [&world, &world.restarted()] {
        assert_eq!(world.visit(&api, "GET", "/a").await.status, 200);
        assert_eq!(world.visit(&api, "GET", "/b").await.both(), NOT_FOUND);
    }
    world.call::<ops::UpdateStage>(update(true)).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/b").await.status, 200);
    let named = input!(UpdateStageRequest { api_id: &*api, stage_name: "$default", deployment_id: "x" });
    refused(world.call::<ops::UpdateStage>(named).await, "BadRequestException", "auto-deploy enabled");
    let unmade = input!(UpdateStageRequest { api_id: &*api, stage_name: "unmade" });
    refused(world.call::<ops::UpdateStage>(unmade).await, "NotFoundException", "stage");
}

#[tokio::test]
async fn stages_are_addresses_of_their_own() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a", "GET /dev/a"]).await;
    world.stage(&api, "dev").await;
    assert_eq!(world.visit(&api, "GET", "/dev/a").await.status, 200);
    let event = world.function.called().event;
    assert_eq!((&event["requestContext"]["stage"], &event["routeKey"]), (&"dev".into(), &"GET /a".into()));
    assert_eq!(event["rawPath"], "/dev/a", "the path has the stage");
    let delete = || input!(DeleteStageRequest { api_id: &*api, stage_name: "dev" });
    world.call::<ops::DeleteStage>(delete()).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/dev/a").await.status, 200);
    assert_eq!(world.function.called().event["routeKey"], "GET /dev/a", "now `$default` has it");
    refused(world.call::<ops::DeleteStage>(delete()).await, "NotFoundException", "stage");
    let last = input!(DeleteStageRequest { api_id: &*api, stage_name: "$default" });
    world.call::<ops::DeleteStage>(last).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/a").await.both(), NOT_FOUND);
}

#[tokio::test]
async fn settings_of_routes_are_kept_and_taken_away() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a"]).await;
    let of = |settings: aws::RouteSettings| [("GET /a".to_owned(), settings)];
    let metrics = input!(RouteSettings { detailed_metrics_enabled: true });
    let put =
        |settings| input!(UpdateStageRequest { api_id: &*api, stage_name: "$default", route_settings: of(settings) });
    let told = world.call::<ops::UpdateStage>(put(metrics)).await.unwrap();
    assert_eq!(told.route_settings.unwrap()["GET /a"].detailed_metrics_enabled, Some(true));
    let delete = |api: &str, stage: &str| {
        input!(DeleteRouteSettingsRequest { api_id: api, stage_name: stage, route_key: "GET /a" })
    };
    let call = |input| world.call::<ops::DeleteRouteSettings>(input);
    call(delete(&api, "$default")).await.unwrap();
    let got = input!(GetStageRequest { api_id: &*api, stage_name: "$default" });
    assert_eq!(world.call::<ops::GetStage>(got).await.unwrap().route_settings.unwrap(), [].into());
    refused(call(delete(&api, "$default")).await, "NotFoundException", "route settings");
    refused(call(delete(&api, "unmade")).await, "NotFoundException", "stage");
    refused(call(delete("unmade", "$default")).await, "NotFoundException", "API");
    let delete = |api: &str, stage: &str| input!(DeleteAccessLogSettingsRequest { api_id: api, stage_name: stage });
    let call = |input| world.call::<ops::DeleteAccessLogSettings>(input);
    call(delete(&api, "$default")).await.unwrap();
    refused(call(delete(&api, "unmade")).await, "NotFoundException", "stage");
    refused(call(delete("unmade", "$default")).await, "NotFoundException", "API");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    let api = world.api().await;
    for name in ["a", "b", "c"] {
        world.stage(&api, name).await;
    }
    let page = input!(GetStagesRequest { api_id: &*api, max_results: "2" });
    let page = world.call::<ops::GetStages>(page).await.unwrap();
    let names: Vec<_> = page.items.unwrap().into_iter().map(|stage| stage.stage_name.unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    let token = page.next_token.unwrap();
    let rest = input!(GetStagesRequest { api_id: &*api, next_token: token });
    let rest = world.call::<ops::GetStages>(rest).await.unwrap().items.unwrap();
    assert_eq!((rest.len(), rest[0].stage_name.as_deref()), (1, Some("c")));
}

#[tokio::test]
async fn a_stage_may_answer_with_another_function() {
    let world = World::new();
    let api = world.quick().await;
    assert_eq!(world.visit(&api, "GET", "/").await.status, 200);
    let called = world.function.called();
    assert_eq!((called.name.as_str(), called.region.as_str()), (FUNCTION, "us-east-1"));
}
