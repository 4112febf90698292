//! The addresses of an API.

use model::apigateway::{self as aws, ops};

use super::world::{Rest, patches, rest, texts};
use crate::world::refused;

async fn deployed() -> (Rest, String, String) {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    let created = rest.call::<ops::CreateDeployment>(rest!(CreateDeploymentRequest { rest_api_id: &*api }));
    let deployment = created.await.unwrap().id.unwrap();
    (rest, api, deployment)
}

fn create(api: &str, name: &str, deployment: &str) -> aws::CreateStageRequest {
    rest!(CreateStageRequest { rest_api_id: api, stage_name: name, deployment_id: deployment })
}

#[tokio::test]
async fn a_stage_has_awss_form() {
    let (rest, api, deployment) = deployed().await;
    let input = aws::CreateStageRequest {
        variables: Some(texts(&[("a", "b")])),
        description: Some("d".into()),
        ..create(&api, "s1", &deployment)
    };
    let made = rest.call::<ops::CreateStage>(input).await.unwrap();
    assert_eq!((made.stage_name.as_deref(), made.deployment_id.as_ref()), (Some("s1"), Some(&deployment)));
    assert_eq!((made.cache_cluster_enabled, made.tracing_enabled), (Some(false), Some(false)));
    assert_eq!((made.cache_cluster_status.as_deref(), made.description.as_deref()), (Some("NOT_AVAILABLE"), Some("d")));
    assert_eq!(
        (made.method_settings.clone(), made.variables.clone()),
        (Some(Default::default()), Some(texts(&[("a", "b")])))
    );
    let read = || rest!(GetStageRequest { rest_api_id: &*api, stage_name: "s1" });
    assert_eq!(rest.call::<ops::GetStage>(read()).await.unwrap(), made);
    assert_eq!(rest.visit(&api, "GET", "/s1").await.status, 200);
    let delete = || rest!(DeleteStageRequest { rest_api_id: &*api, stage_name: "s1" });
    rest.call::<ops::DeleteStage>(delete()).await.unwrap();
    refused(rest.call::<ops::GetStage>(read()).await, "NotFoundException", "Invalid stage identifier specified");
    refused(rest.call::<ops::DeleteStage>(delete()).await, "NotFoundException", "Invalid stage identifier specified");
    assert_eq!(rest.visit(&api, "GET", "/s1").await.both(), (403, r#"{"message":"Forbidden"}"#));
}

#[tokio::test]
async fn what_makes_no_stage_is_refused() {
    let (rest, api, deployment) = deployed().await;
    let of = |input| rest.call::<ops::CreateStage>(input);
    refused(of(create("none", "s", &deployment)).await, "NotFoundException", "Invalid API identifier");
    refused(of(create(&api, "a.b", &deployment)).await, "BadRequestException", "Stage names can only contain");
    refused(of(create(&api, "s", "none")).await, "NotFoundException", "Invalid Deployment identifier specified");
    of(create(&api, "s", &deployment)).await.unwrap();
    refused(of(create(&api, "s", &deployment)).await, "ConflictException", "Stage already exists");
    let plain = || create(&api, "t", &deployment);
    for (input, named) in [
        (aws::CreateStageRequest { cache_cluster_enabled: Some(true), ..plain() }, "cacheClusterEnabled"),
        (aws::CreateStageRequest { tracing_enabled: Some(true), ..plain() }, "tracingEnabled"),
        (aws::CreateStageRequest { documentation_version: Some("1".into()), ..plain() }, "documentationVersion"),
        (aws::CreateStageRequest { canary_settings: Some(Default::default()), ..plain() }, "canarySettings"),
    ] {
        refused(of(input).await, "NotImplemented", named);
    }
    let wrong = aws::CreateStageRequest { variables: Some(texts(&[("a b", "c")])), ..plain() };
    refused(of(wrong).await, "BadRequestException", "Stage variable");
}

#[tokio::test]
async fn stages_are_listed_by_deployment() {
    let (rest, api, first) = deployed().await;
    rest.call::<ops::CreateStage>(create(&api, "a", &first)).await.unwrap();
    let second = rest.deploy(&api, "b").await;
    let list = async |input| {
        let all = rest.call::<ops::GetStages>(input).await.unwrap().item.unwrap();
        all.into_iter().map(|stage| stage.stage_name.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(list(rest!(GetStagesRequest { rest_api_id: &*api })).await, ["a", "b"]);
    assert_eq!(list(rest!(GetStagesRequest { rest_api_id: &*api, deployment_id: &*second })).await, ["b"]);
}

#[tokio::test]
async fn patches_change_what_they_name() {
    let (rest, api, first) = deployed().await;
    rest.call::<ops::CreateStage>(create(&api, "s", &first)).await.unwrap();
    let second = rest.deploy(&api, "other").await;
    let update = async |all: &[(&str, &str, &str)]| {
        let input = rest!(UpdateStageRequest { rest_api_id: &*api, stage_name: "s", patch_operations: patches(all) });
        rest.call::<ops::UpdateStage>(input).await
    };
    let done = update(&[
        ("replace", "/deploymentId", &second),
        ("replace", "/description", "new"),
        ("replace", "/variables/v", "1"),
        ("replace", "/variables/w", "2"),
        ("remove", "/variables/w", "-"),
        ("replace", "/*/*/metrics/enabled", "true"),
        ("replace", "/~1pets/GET/logging/loglevel", "OFF"),
        ("replace", "/~1pets/GET/caching/enabled", "false"),
        ("replace", "/tracingEnabled", "false"),
    ])
    .await
    .unwrap();
    assert_eq!((done.deployment_id.as_ref(), done.description.as_deref()), (Some(&second), Some("new")));
    assert_eq!(done.variables.unwrap(), texts(&[("v", "1")]));
    let settings = done.method_settings.unwrap();
    assert_eq!(settings["*/*"].metrics_enabled, Some(true));
    assert_eq!(
        (settings["pets/GET"].metrics_enabled, settings["pets/GET"].throttling_burst_limit),
        (Some(false), Some(5000))
    );
    assert_eq!(
        (settings["pets/GET"].logging_level.as_deref(), settings["*/*"].logging_level.as_deref()),
        (Some("OFF"), None)
    );
    assert_eq!(update(&[("remove", "/*/*", "-")]).await.unwrap().method_settings.unwrap().len(), 1);
    for (patch, code, message) in [
        (
            ("replace", "/documentation_version", "1"),
            "BadRequestException",
            "Invalid method setting path: /documentation_version. Must be one of: [/deploymentId",
        ),
        (("replace", "/tags/tag1", "1"), "BadRequestException", "Invalid method setting path: /tags/tag1"),
        (("replace", "/deploymentId", "none"), "BadRequestException", "Deployment id does not exist"),
        (("replace", "/tracingEnabled", "true"), "NotImplemented", "/tracingEnabled"),
        (
            ("replace", "/*/*/throttling/burstLimit", "x"),
            "BadRequestException",
            "Invalid throttling limit specified: x",
        ),
        (("replace", "/*/*/caching/enabled", "true"), "NotImplemented", "caching"),
        (("replace", "/*/*/caching/ttlInSeconds", "1"), "NotImplemented", "caching"),
        (("replace", "/*/*/logging/loglevel", "ALL"), "BadRequestException", "Must be one of [OFF, ERROR, INFO]"),
        (("replace", "/accessLogSettings/format", "$context.requestId"), "BadRequestException", "Invalid ARN"),
        (("remove", "/variables/none", "-"), "NotFoundException", "Invalid parameter name specified"),
    ] {
        refused(update(&[patch]).await, code, message);
    }
    let none = rest!(UpdateStageRequest { rest_api_id: &*api, stage_name: "none" });
    refused(rest.call::<ops::UpdateStage>(none).await, "NotFoundException", "Invalid stage identifier specified");
}
