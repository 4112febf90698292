//! Integrations.

use model::apigatewayv2::{self as aws, ops};

use crate::world::{FUNCTION, INTERNAL, World, input, refused, words};

fn proxy(api: &str) -> aws::CreateIntegrationRequest {
    input!(CreateIntegrationRequest {
        api_id: api,
        integration_type: "AWS_PROXY",
        integration_uri: FUNCTION,
        payload_format_version: "2.0",
    })
}

#[tokio::test]
async fn an_integration_has_awss_defaults() {
    let world = World::new();
    let api = world.api().await;
    let made = world.call::<ops::CreateIntegration>(proxy(&api)).await.unwrap();
    assert_eq!((made.timeout_in_millis, made.integration_method.as_deref()), (Some(30_000), Some("POST")));
    assert_eq!(
        (made.connection_type.as_deref(), made.payload_format_version.as_deref()),
        (Some("INTERNET"), Some("2.0"))
    );
    assert_eq!(
        (made.integration_type.as_deref(), made.integration_uri.as_deref()),
        (Some("AWS_PROXY"), Some(FUNCTION))
    );
    let id = made.integration_id.unwrap();
    let got = input!(GetIntegrationRequest { api_id: &*api, integration_id: &*id });
    assert_eq!(world.call::<ops::GetIntegration>(got).await.unwrap().integration_id.unwrap(), id);
    let unmade = input!(GetIntegrationRequest { api_id: &*api, integration_id: "unmade" });
    refused(world.call::<ops::GetIntegration>(unmade).await, "NotFoundException", "Invalid Integration identifier");
    let unmade = input!(GetIntegrationRequest { api_id: "unmade", integration_id: id });
    refused(world.call::<ops::GetIntegration>(unmade).await, "NotFoundException", "Invalid API identifier");
}

#[tokio::test]
async fn what_answers_nothing_is_refused() {
    let world = World::new();
    let api = world.api().await;
    let call = |input| world.call::<ops::CreateIntegration>(input);
    let mut absent = proxy(&api);
    absent.payload_format_version = None;
    refused(call(absent).await, "BadRequestException", "PayloadFormatVersion");
    let mut absent = proxy(&api);
    absent.integration_uri = None;
    refused(call(absent).await, "BadRequestException", "integrationUri");
    refused(call(proxy("unmade")).await, "NotFoundException", "Invalid API identifier");
    for (change, code, told) in [
        (
            input!(CreateIntegrationRequest { integration_type: "AWS" }),
            "BadRequestException",
            "may only be associated with proxy",
        ),
        (
            input!(CreateIntegrationRequest { integration_type: "HTTP_PROXY" }),
            "BadRequestException",
            "HttpMethod must be specified",
        ),
        (
            input!(CreateIntegrationRequest { integration_uri: "hello" }),
            "BadRequestException",
            "Invalid integration URI",
        ),
        (
            input!(CreateIntegrationRequest { payload_format_version: "3.0" }),
            "BadRequestException",
            "payloadFormatVersion",
        ),
        (input!(CreateIntegrationRequest { timeout_in_millis: 49 }), "ValidationException", "timeoutInMillis"),
        (input!(CreateIntegrationRequest { timeout_in_millis: 30_001 }), "ValidationException", "timeoutInMillis"),
        (input!(CreateIntegrationRequest { integration_method: "FETCH" }), "BadRequestException", "HTTP method"),
        (input!(CreateIntegrationRequest { connection_type: "VPC_LINK" }), "NotImplemented", "VPC_LINK"),
        (input!(CreateIntegrationRequest { connection_id: "x" }), "NotImplemented", "ConnectionId"),
        (input!(CreateIntegrationRequest { credentials_arn: "x" }), "BadRequestException", "Invalid ARN specified"),
        (
            input!(CreateIntegrationRequest { credentials_arn: "arn:aws:iam::*:user/*" }),
            "NotImplemented",
            "credentials of the caller",
        ),
        (input!(CreateIntegrationRequest { integration_subtype: "x" }), "NotImplemented", "IntegrationSubtype"),
    ] {
        let mut input = proxy(&api);
        let given = change.clone();
        input.integration_type = given.integration_type.or(input.integration_type);
        input.integration_uri = given.integration_uri.or(input.integration_uri);
        input.payload_format_version = given.payload_format_version.or(input.payload_format_version);
        input.timeout_in_millis = given.timeout_in_millis;
        input.integration_method = given.integration_method;
        input.connection_type = given.connection_type;
        input.connection_id = given.connection_id;
        input.credentials_arn = given.credentials_arn;
        input.integration_subtype = given.integration_subtype;
        refused(call(input).await, code, told);
    }
}

#[tokio::test]
async fn an_update_acts_at_once() {
    let world = World::new();
    let api = world.api().await;
    let id = world.integration(&api, "1.0").await;
    world.route(&api, "GET /", &id).await;
    world.stage(&api, "$default").await;
    world.visit(&api, "GET", "/").await;
    assert_eq!(world.function.called().event["version"], "1.0");
    let live = format!("{FUNCTION}:live");
    let input = input!(UpdateIntegrationRequest {
        api_id: &*api,
        integration_id: &*id,
        integration_uri: &*live,
        payload_format_version: "2.0",
        timeout_in_millis: 50,
        description: "new",
    });
    let told = world.call::<ops::UpdateIntegration>(input).await.unwrap();
    assert_eq!((told.description.as_deref(), told.timeout_in_millis), (Some("new"), Some(50)));
    world.visit(&api, "GET", "/").await;
    let called = world.function.called();
    assert_eq!((called.name, &called.event["version"]), (live, &"2.0".into()));
    let input = input!(UpdateIntegrationRequest { api_id: &*api, integration_id: &*id, integration_type: "AWS" });
    refused(world.call::<ops::UpdateIntegration>(input).await, "BadRequestException", "proxy integrations");
    let input = input!(UpdateIntegrationRequest { api_id: &*api, integration_id: "unmade" });
    refused(world.call::<ops::UpdateIntegration>(input).await, "NotFoundException", "Integration");
}

#[tokio::test]
async fn one_that_a_route_names_is_not_deleted() {
    let world = World::new();
    let api = world.api().await;
    let id = world.integration(&api, "2.0").await;
    let route = world.route(&api, "GET /", &id).await;
    let delete = || input!(DeleteIntegrationRequest { api_id: &*api, integration_id: &*id });
    let (status, code, message) = words(world.call::<ops::DeleteIntegration>(delete()).await);
    assert_eq!((status, code.as_str()), (409, "ConflictException"));
    assert_eq!(
        message,
        format!("Cannot delete Integration because it is referenced by the following Routes with Ids: [{route}]")
    );
    world.call::<ops::DeleteRoute>(input!(DeleteRouteRequest { api_id: &*api, route_id: route })).await.unwrap();
    world.call::<ops::DeleteIntegration>(delete()).await.unwrap();
    refused(world.call::<ops::DeleteIntegration>(delete()).await, "NotFoundException", "Integration");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    let api = world.api().await;
    for _ in 0..3 {
        world.integration(&api, "2.0").await;
    }
    let first = input!(GetIntegrationsRequest { api_id: &*api, max_results: "2" });
    let page = world.call::<ops::GetIntegrations>(first).await.unwrap();
    assert_eq!(page.items.unwrap().len(), 2);
    let token = page.next_token.unwrap();
    let rest = input!(GetIntegrationsRequest { api_id: &*api, next_token: token });
    let page = world.call::<ops::GetIntegrations>(rest).await.unwrap();
    assert_eq!((page.items.unwrap().len(), page.next_token), (1, None));
}

#[tokio::test]
async fn a_stages_variables_choose_the_function() {
    let world = World::new();
    let api = world.api().await;
    let uri = "arn:aws:lambda:us-east-1:000000000000:function:${stageVariables.function}";
    let mut input = proxy(&api);
    input.integration_uri = Some(uri.into());
    let id = world.call::<ops::CreateIntegration>(input).await.unwrap().integration_id.unwrap();
    world.route(&api, "GET /", &id).await;
    for (name, function) in [("dev", "old"), ("prod", "new")] {
        let input = input!(CreateStageRequest {
            api_id: &*api,
            stage_name: name,
            auto_deploy: true,
            stage_variables: [("function".to_owned(), function.to_owned())],
        });
        world.call::<ops::CreateStage>(input).await.unwrap();
    }
    for (path, function) in [("/dev", "old"), ("/prod/", "new")] {
        assert_eq!(world.visit(&api, "GET", path).await.status, 200, "{path}");
        let called = world.function.called();
        assert!(called.name.ends_with(function), "{}", called.name);
        assert_eq!(called.event["stageVariables"]["function"], function);
    }
    let none = input!(UpdateStageRequest { api_id: &*api, stage_name: "dev", stage_variables: [] });
    world.call::<ops::UpdateStage>(none).await.unwrap();
    assert_eq!(world.visit(&api, "GET", "/dev").await.both(), INTERNAL, "the URI names no function then");
}

#[tokio::test]
async fn a_role_may_call_the_function() {
    use base::{Account, Principal};

    let world = World::new();
    let role = "arn:aws:iam::000000000000:role/caller";
    let input = input!(CreateApiRequest { name: "a", protocol_type: "HTTP", target: FUNCTION, credentials_arn: role });
    let api = world.call::<ops::CreateApi>(input).await.unwrap().api_id.unwrap();
    let called_by = |role: &str| Principal::Session {
        account: Account::DEFAULT,
        role: role.into(),
        session: "BackplaneAssumeRoleSession".into(),
    };
    world.visit(&api, "GET", "/").await;
    assert_eq!(world.function.called().principal, called_by("caller"));
    let other = "arn:aws:iam::000000000000:role/other";
    let input = input!(UpdateApiRequest { api_id: &*api, credentials_arn: other });
    world.call::<ops::UpdateApi>(input).await.unwrap();
    world.visit(&api, "GET", "/").await;
    assert_eq!(world.function.called().principal, called_by("other"));
    let plain = world.api().await;
    let input = input!(UpdateApiRequest { api_id: &*plain, credentials_arn: role });
    refused(world.call::<ops::UpdateApi>(input).await, "BadRequestException", "quick create");
    let made = aws::CreateIntegrationRequest { credentials_arn: Some(role.into()), ..proxy(&plain) };
    let made = world.call::<ops::CreateIntegration>(made).await.unwrap();
    assert_eq!(made.credentials_arn.as_deref(), Some(role));
    let id = made.integration_id.unwrap();
    let update = input!(UpdateIntegrationRequest { api_id: &*plain, integration_id: &*id, credentials_arn: other });
    world.call::<ops::UpdateIntegration>(update).await.unwrap();
    world.route(&plain, "GET /", &id).await;
    world.stage(&plain, "$default").await;
    world.visit(&plain, "GET", "/").await;
    assert_eq!(world.function.called().principal, called_by("other"));
}
