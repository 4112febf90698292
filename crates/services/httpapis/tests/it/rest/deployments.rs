//! What stages answer with.

use model::apigateway::{self as aws, ops};

use super::world::{Rest, patches, rest, texts};
use crate::world::refused;

#[tokio::test]
async fn an_api_without_answers_is_not_deployed() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let create = || rest.call::<ops::CreateDeployment>(rest!(CreateDeploymentRequest { rest_api_id: &*api }));
    refused(create().await, "BadRequestException", "The REST API doesn't contain any methods");
    rest.method(&api, &root, "GET").await;
    refused(create().await, "BadRequestException", "No integration defined for method");
}

#[tokio::test]
async fn a_stage_answers_with_what_was_deployed() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    let first = rest.deploy(&api, "dev").await;
    let a = rest.resource(&api, &root, "a").await;
    rest.mock(&api, &a, "GET").await;
    assert_eq!(rest.visit(&api, "GET", "/dev/a").await.status, 403, "not deployed yet");
    let second = rest.deploy(&api, "dev").await;
    assert_eq!(rest.visit(&api, "GET", "/dev/a").await.status, 200);
    let delete = async |id: &str| {
        rest.call::<ops::DeleteDeployment>(rest!(DeleteDeploymentRequest { rest_api_id: &*api, deployment_id: id }))
            .await
    };
    refused(
        delete(&second).await,
        "BadRequestException",
        "Active stages pointing to this deployment must be moved or deleted",
    );
    delete(&first).await.unwrap();
    refused(delete(&first).await, "NotFoundException", "Invalid Deployment identifier specified");
}

#[tokio::test]
async fn a_deployment_makes_its_stage_and_says_what_it_has() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    let input = rest!(CreateDeploymentRequest {
        rest_api_id: &*api,
        stage_name: "dev",
        stage_description: "s",
        description: "d",
        variables: texts(&[("a", "b")]),
    });
    let made = rest.call::<ops::CreateDeployment>(input).await.unwrap();
    assert_eq!((made.description.as_deref(), made.api_summary.as_ref()), (Some("d"), None));
    let id = made.id.unwrap();
    let stage =
        rest.call::<ops::GetStage>(rest!(GetStageRequest { rest_api_id: &*api, stage_name: "dev" })).await.unwrap();
    assert_eq!((stage.deployment_id.as_ref(), stage.description.as_deref()), (Some(&id), Some("s")));
    assert_eq!(stage.variables.unwrap(), texts(&[("a", "b")]));
    let read = |embed: &[&str]| aws::GetDeploymentRequest {
        rest_api_id: Some(api.clone()),
        deployment_id: Some(id.clone()),
        embed: Some(embed.iter().map(|one| (*one).to_owned()).collect()),
    };
    assert_eq!(rest.call::<ops::GetDeployment>(read(&[])).await.unwrap().api_summary, None);
    let summary = rest.call::<ops::GetDeployment>(read(&["apisummary"])).await.unwrap().api_summary.unwrap();
    assert_eq!(summary["/"]["GET"].authorization_type.as_deref(), Some("NONE"));
    refused(rest.call::<ops::GetDeployment>(read(&["x"])).await, "BadRequestException", "embed");
    let update = async |patch| {
        let input = rest!(UpdateDeploymentRequest {
            rest_api_id: &*api,
            deployment_id: &*id,
            patch_operations: patches(&[patch]),
        });
        rest.call::<ops::UpdateDeployment>(input).await
    };
    let done = update(("replace", "/description", "new")).await.unwrap();
    assert_eq!(done.description.as_deref(), Some("new"));
    refused(update(("replace", "/x", "new")).await, "BadRequestException", "Invalid patch path /x");
    for (input, named) in [
        (rest!(CreateDeploymentRequest { rest_api_id: &*api, tracing_enabled: true }), "tracingEnabled"),
        (rest!(CreateDeploymentRequest { rest_api_id: &*api, cache_cluster_enabled: true }), "cacheClusterEnabled"),
        (
            rest!(CreateDeploymentRequest {
                rest_api_id: &*api,
                canary_settings: aws::DeploymentCanarySettings::default()
            }),
            "canarySettings",
        ),
    ] {
        refused(rest.call::<ops::CreateDeployment>(input).await, "NotImplemented", named);
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    rest.deploy(&api, "a").await;
    rest.deploy(&api, "b").await;
    let input = rest!(GetDeploymentsRequest { rest_api_id: &*api, limit: 1 });
    let first = rest.call::<ops::GetDeployments>(input).await.unwrap();
    assert_eq!(first.items.as_ref().unwrap().len(), 1);
    let input = rest!(GetDeploymentsRequest { rest_api_id: &*api, limit: 1, position: first.position.unwrap() });
    let second = rest.call::<ops::GetDeployments>(input).await.unwrap();
    assert!(second.position.is_none() && second.items != first.items);
}
