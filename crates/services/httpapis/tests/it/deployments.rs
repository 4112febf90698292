//! Deployments.

use model::apigatewayv2::{self as aws, ops};

use crate::world::{NOT_FOUND, World, input, refused, words};

#[tokio::test]
async fn a_stage_answers_with_its_deployment() {
    let world = World::new();
    let api = world.api().await;
    let create = || input!(CreateDeploymentRequest { api_id: &*api });
    let (status, code, message) = words(world.call::<ops::CreateDeployment>(create()).await);
    assert_eq!((status, code.as_str()), (400, "BadRequestException"));
    assert_eq!(message, "Unable to deploy API because no routes exist in this API");
    let integration = world.integration(&api, "2.0").await;
    world.route(&api, "GET /a", &integration).await;
    let first = world.call::<ops::CreateDeployment>(create()).await.unwrap();
    assert_eq!((first.deployment_status.as_deref(), first.auto_deployed), (Some("DEPLOYED"), Some(false)));
    let first = first.deployment_id.unwrap();
    let stage = input!(CreateStageRequest { api_id: &*api, stage_name: "prod", deployment_id: &*first });
    world.call::<ops::CreateStage>(stage).await.unwrap();
    world.route(&api, "GET /b", &integration).await;
    assert_eq!(world.visit(&api, "GET", "/prod/a").await.status, 200);
    assert_eq!(world.visit(&api, "GET", "/prod/b").await.both(), NOT_FOUND, "it is not deployed");
    let second = input!(CreateDeploymentRequest { api_id: &*api, stage_name: "prod", description: "more" });
    let second = world.call::<ops::CreateDeployment>(second).await.unwrap();
    assert_eq!(second.description.as_deref(), Some("more"));
    for world in [&world, &world.restarted()] {
        assert_eq!(world.visit(&api, "GET", "/prod/b").await.status, 200);
    }
    // Back to what was.
    let back = input!(UpdateStageRequest { api_id: &*api, stage_name: "prod", deployment_id: &*first });
    assert_eq!(world.call::<ops::UpdateStage>(back).await.unwrap().deployment_id, Some(first));
    assert_eq!(world.visit(&api, "GET", "/prod/b").await.both(), NOT_FOUND);
    for (input, code, told) in [
        (input!(CreateDeploymentRequest { api_id: &*api, stage_name: "unmade" }), "NotFoundException", "stage"),
        (input!(CreateDeploymentRequest { api_id: "unmade" }), "NotFoundException", "API"),
    ] {
        refused(world.call::<ops::CreateDeployment>(input).await, code, told);
    }
    world.stage(&api, "auto").await;
    let input = input!(CreateDeploymentRequest { api_id: &*api, stage_name: "auto" });
    refused(world.call::<ops::CreateDeployment>(input).await, "BadRequestException", "auto-deploy enabled");
}

#[tokio::test]
async fn a_deployment_is_shown_changed_and_deleted() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a"]).await;
    let create = || input!(CreateDeploymentRequest { api_id: &*api });
    let id = world.call::<ops::CreateDeployment>(create()).await.unwrap().deployment_id.unwrap();
    let update = input!(UpdateDeploymentRequest { api_id: &*api, deployment_id: &*id, description: "good" });
    world.call::<ops::UpdateDeployment>(update).await.unwrap();
    let get = |api: &str, id: &str| input!(GetDeploymentRequest { api_id: api, deployment_id: id });
    let got = world.call::<ops::GetDeployment>(get(&api, &id)).await.unwrap();
    assert_eq!(got.description.as_deref(), Some("good"));
    refused(world.call::<ops::GetDeployment>(get(&api, "unmade")).await, "NotFoundException", "deployment");
    refused(world.call::<ops::GetDeployment>(get("unmade", &id)).await, "NotFoundException", "API");
    let unmade = input!(UpdateDeploymentRequest { api_id: &*api, deployment_id: "unmade" });
    refused(world.call::<ops::UpdateDeployment>(unmade).await, "NotFoundException", "deployment");
    let delete = |id: &str| input!(DeleteDeploymentRequest { api_id: &*api, deployment_id: id });
    let call = |input| world.call::<ops::DeleteDeployment>(input);
    let stage = input!(CreateStageRequest { api_id: &*api, stage_name: "prod", deployment_id: &*id });
    world.call::<ops::CreateStage>(stage).await.unwrap();
    refused(call(delete(&id)).await, "BadRequestException", "Active stages pointing to this deployment");
    let gone = input!(DeleteStageRequest { api_id: &*api, stage_name: "prod" });
    world.call::<ops::DeleteStage>(gone).await.unwrap();
    call(delete(&id)).await.unwrap();
    refused(call(delete(&id)).await, "NotFoundException", "deployment");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a"]).await;
    for _ in 0..2 {
        world.call::<ops::CreateDeployment>(input!(CreateDeploymentRequest { api_id: &*api })).await.unwrap();
    }
    let page = input!(GetDeploymentsRequest { api_id: &*api, max_results: "2" });
    let page = world.call::<ops::GetDeployments>(page).await.unwrap();
    assert_eq!(page.items.unwrap().len(), 2);
    let token = page.next_token.unwrap();
    let rest = input!(GetDeploymentsRequest { api_id: &*api, next_token: token });
    assert_eq!(world.call::<ops::GetDeployments>(rest).await.unwrap().items.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stage_stays_with_what_another_followed() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a"]).await;
    let got = input!(GetStageRequest { api_id: &*api, stage_name: "$default" });
    let followed = world.call::<ops::GetStage>(got).await.unwrap().deployment_id.unwrap();
    let stage = input!(CreateStageRequest { api_id: &*api, stage_name: "prod", deployment_id: &*followed });
    world.call::<ops::CreateStage>(stage).await.unwrap();
    let integration = world.integration(&api, "2.0").await;
    world.route(&api, "GET /b", &integration).await;
    assert_eq!(world.visit(&api, "GET", "/b").await.status, 200);
    assert_eq!(world.visit(&api, "GET", "/prod/a").await.status, 200);
    assert_eq!(world.visit(&api, "GET", "/prod/b").await.both(), NOT_FOUND);
    // All goes with the API.
    world.call::<ops::DeleteApi>(aws::DeleteApiRequest { api_id: Some(api) }).await.unwrap();
    let rows = world.kv.range(store::Space::Control, store::Range::prefix("httpapi/"), 10, false).unwrap();
    assert_eq!(rows, []);
}
