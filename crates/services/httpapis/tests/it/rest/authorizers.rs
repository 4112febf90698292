//! Functions that decide who may use methods.

use std::sync::Arc;

use base::SystemClocks;
use door::{Ask, Decision, Denial, Gate, Mode, Policies};
use model::apigateway::{self as aws, ops};
use serde_json::{Value, json};

use super::world::{Rest, patches, rest, texts, uri};
use crate::world::{Does, Seen, refused, request};

/// Lets in whom a statement allows for exactly the resource that is asked for.
struct Reader;

impl Policies for Reader {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let statement = |policy: &str| serde_json::from_str::<Value>(policy).unwrap()["Statement"][0].clone();
        let Some(said) = ask.policy.map(statement) else { return Decision::Allowed("no policy".into()) };
        let message = match (said["Effect"].as_str(), said["Resource"] == ask.resource) {
            (Some("Allow"), true) if said["Principal"] == "*" => return Decision::Allowed("it".into()),
            (Some("Deny"), true) => "no, with an explicit deny in a resource-based policy".to_owned(),
            _ => "no".to_owned(),
        };
        Decision::Denied(Denial { message: message.clone(), because: message, always: false })
    }
}

fn world() -> Rest {
    // Policies of authorizers count in every mode.
    Rest::over(store::memory(), Arc::new(Gate::new(Arc::new(Reader), Mode::Off, Arc::new(SystemClocks))))
}

fn of(api: &str, kind: &str, source: &str) -> aws::CreateAuthorizerRequest {
    rest!(CreateAuthorizerRequest {
        rest_api_id: api,
        name: "judge",
        type_: kind,
        authorizer_uri: uri(),
        identity_source: source,
    })
}

/// An API whose `GET /{what}` tells what the authorizer said of whom it lets in; its id and the authorizer's.
async fn guarded(rest: &Rest, input: impl FnOnce(&str) -> aws::CreateAuthorizerRequest) -> (String, String) {
    let (api, root) = rest.api().await;
    let judge = rest.call::<ops::CreateAuthorizer>(input(&api)).await.unwrap().id.unwrap();
    let all = rest.resource(&api, &root, "{what}").await;
    let put = rest!(PutMethodRequest {
        rest_api_id: &*api,
        resource_id: &*all,
        http_method: "GET",
        authorization_type: "CUSTOM",
        authorizer_id: &*judge,
    });
    let made = rest.call::<ops::PutMethod>(put).await.unwrap();
    assert_eq!((made.authorization_type.as_deref(), made.authorizer_id.as_ref()), (Some("CUSTOM"), Some(&judge)));
    let put = rest!(PutIntegrationRequest {
        rest_api_id: &*api,
        resource_id: &*all,
        http_method: "GET",
        type_: "MOCK",
        request_templates: texts(&[("application/json", "{\"statusCode\": 200}")]),
    });
    rest.call::<ops::PutIntegration>(put).await.unwrap();
    let told = "$context.authorizer.principalId $context.authorizer.team $context.authorizer.n";
    let put = rest!(PutIntegrationResponseRequest {
        rest_api_id: &*api,
        resource_id: &*all,
        http_method: "GET",
        status_code: "200",
        response_templates: texts(&[("application/json", told)]),
    });
    rest.call::<ops::PutIntegrationResponse>(put).await.unwrap();
    rest.deploy(&api, "dev").await;
    (api, judge)
}

fn says(api: &str, effect: &str, path: &str) -> Does {
    let resource = format!("arn:aws:execute-api:us-east-1:000000000000:{api}/dev/GET/{path}");
    let statement = json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource});
    Does::Answers(json!({
        "principalId": "ann",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"team": "blue", "n": 1},
    }))
}

async fn ask(rest: &Rest, api: &str, path: &str, token: &str) -> Seen {
    rest.send(&request(api, "GET", path, &[("authorization", token)], "")).await
}

const UNAUTHORIZED: (u16, &str) = (401, r#"{"message":"Unauthorized"}"#);
const NO_VERDICT: (u16, &str) = (500, r#"{"message":null}"#);

#[tokio::test]
async fn a_token_is_judged_once_and_its_policy_for_each_method() {
    let rest = world();
    let (api, judge) = guarded(&rest, |api| of(api, "TOKEN", "method.request.header.Authorization")).await;
    rest.world.function.does(says(&api, "Allow", "a"));
    assert_eq!(ask(&rest, &api, "/dev/a", "t").await.both(), (200, "ann blue 1"));
    let called = rest.world.function.called();
    let arn = format!("arn:aws:execute-api:us-east-1:000000000000:{api}/dev/GET/a");
    assert_eq!(called.event, json!({"type": "TOKEN", "methodArn": arn, "authorizationToken": "t"}));
    let base::Principal::Service { source_arn, .. } = called.principal else { panic!("a service") };
    assert_eq!(source_arn, format!("arn:aws:execute-api:us-east-1:000000000000:{api}/authorizers/{judge}"));
    assert_eq!(ask(&rest, &api, "/dev/a", "t").await.status, 200);
    let denied = ask(&rest, &api, "/dev/b", "t").await;
    assert_eq!(denied.both(), (403, r#"{"Message":"User is not authorized to access this resource"}"#));
    assert_eq!(denied.header("x-amzn-errortype"), Some("AccessDeniedException"));
    assert!(!rest.world.function.was_called(), "what was said is about all methods");
    rest.world.function.does(says(&api, "Deny", "a"));
    let denied = ask(&rest, &api, "/dev/a", "other").await;
    let explicit = r#"{"Message":"User is not authorized to access this resource with an explicit deny"}"#;
    assert_eq!(denied.both(), (403, explicit));
}

#[tokio::test]
async fn an_answer_counts_as_long_as_is_said_or_until_it_is_flushed() {
    let rest = world();
    let input = |api: &str| aws::CreateAuthorizerRequest {
        authorizer_result_ttl_in_seconds: Some(60),
        ..of(api, "TOKEN", "method.request.header.Authorization")
    };
    let (api, judge) = guarded(&rest, input).await;
    rest.world.function.does(says(&api, "Allow", "a"));
    let asked = async || {
        assert_eq!(ask(&rest, &api, "/dev/a", "t").await.status, 200);
        rest.world.function.was_called()
    };
    assert!(asked().await && !asked().await);
    rest.world.clocks.advance(59_000).await.unwrap();
    assert!(!asked().await);
    rest.world.clocks.advance(2_000).await.unwrap();
    assert!(asked().await && !asked().await);
    let flush = |stage: &str| rest!(FlushStageAuthorizersCacheRequest { rest_api_id: &*api, stage_name: stage });
    rest.call::<ops::FlushStageAuthorizersCache>(flush("dev")).await.unwrap();
    assert!(asked().await);
    let none = rest.call::<ops::FlushStageAuthorizersCache>(flush("none")).await;
    refused(none, "NotFoundException", "Invalid stage identifier specified");
    let never = patches(&[("replace", "/authorizerResultTtlInSeconds", "0")]);
    let update = rest!(UpdateAuthorizerRequest { rest_api_id: &*api, authorizer_id: &*judge, patch_operations: never });
    assert_eq!(rest.call::<ops::UpdateAuthorizer>(update).await.unwrap().authorizer_result_ttl_in_seconds, Some(0));
    rest.deploy(&api, "dev").await;
    assert!(asked().await && asked().await);
}

#[tokio::test]
async fn what_is_missing_or_looks_wrong_is_not_asked_about() {
    let rest = world();
    let input = |api: &str| aws::CreateAuthorizerRequest {
        identity_validation_expression: Some("Bearer [a-z]+".into()),
        ..of(api, "TOKEN", "method.request.header.Authorization")
    };
    let (api, _) = guarded(&rest, input).await;
    rest.world.function.does(says(&api, "Allow", "a"));
    let missing = rest.visit(&api, "GET", "/dev/a").await;
    assert_eq!((missing.both(), missing.header("x-amzn-errortype")), (UNAUTHORIZED, Some("UnauthorizedException")));
    for token in ["", "Bearer 1", "Bearer a ", "x Bearer a"] {
        assert_eq!(ask(&rest, &api, "/dev/a", token).await.both(), UNAUTHORIZED, "{token}");
    }
    assert!(!rest.world.function.was_called());
    assert_eq!(ask(&rest, &api, "/dev/a", "Bearer abc").await.status, 200);
}

#[tokio::test]
async fn what_is_no_verdict_lets_nobody_in() {
    let rest = world();
    let (api, _) = guarded(&rest, |api| of(api, "TOKEN", "method.request.header.Authorization")).await;
    let statement = json!([{"Effect": "Allow"}]);
    for answer in [
        json!({}),
        json!("Allow"),
        json!({"principalId": "p"}),
        json!({"policyDocument": {"Statement": statement}}),
        json!({"principalId": "p", "policyDocument": {"Statement": [1]}}),
        json!({"principalId": "p", "policyDocument": {"Statement": statement}, "context": {"deep": {}}}),
        json!({"principalId": "p", "policyDocument": {"Statement": statement}, "context": "x"}),
    ] {
        rest.world.function.does(Does::Answers(answer.clone()));
        let seen = ask(&rest, &api, "/dev/a", "t").await;
        assert_eq!(seen.both(), NO_VERDICT, "{answer}");
        assert_eq!(seen.header("x-amzn-errortype"), Some("AuthorizerConfigurationException"));
    }
    rest.world.function.does(Does::Fails);
    assert_eq!(ask(&rest, &api, "/dev/a", "t").await.both(), NO_VERDICT);
    rest.world.function.does(Does::Refuses(base::Fault::new("AccessDeniedException", 403, "no")));
    assert_eq!(ask(&rest, &api, "/dev/a", "t").await.both(), NO_VERDICT);
}

#[tokio::test]
async fn a_whole_request_is_judged_by_what_identifies_it() {
    let rest = world();
    let sources =
        "method.request.header.x-who, method.request.querystring.q,stageVariables.v,context.identity.sourceIp";
    let (api, _) = guarded(&rest, |api| of(api, "REQUEST", sources)).await;
    rest.world.function.does(says(&api, "Allow", "a"));
    let send = async |who: &str, path: &str| rest.send(&request(&api, "GET", path, &[("x-who", who)], "")).await;
    assert_eq!(send("ann", "/dev/a?q=1").await.both(), UNAUTHORIZED, "the stage has no variable");
    let variable = patches(&[("replace", "/variables/v", "1")]);
    let update = rest!(UpdateStageRequest { rest_api_id: &*api, stage_name: "dev", patch_operations: variable });
    rest.call::<ops::UpdateStage>(update).await.unwrap();
    assert_eq!(send("ann", "/dev/a?q=1").await.status, 200);
    let event = rest.world.function.called().event;
    assert_eq!(
        (&event["type"], &event["resource"], &event["path"]),
        (&json!("REQUEST"), &json!("/{what}"), &json!("/a"))
    );
    assert_eq!((&event["headers"]["x-who"], &event["pathParameters"]), (&json!("ann"), &json!({"what": "a"})));
    assert_eq!((&event["queryStringParameters"], &event["stageVariables"]), (&json!({"q": "1"}), &json!({"v": "1"})));
    assert_eq!(event["requestContext"]["httpMethod"], "GET");
    assert!(event.get("body").is_none());
    assert_eq!(send("ann", "/dev/a?q=1&z=2").await.status, 200);
    assert!(!rest.world.function.was_called());
    assert_eq!(send("bob", "/dev/a?q=1").await.status, 200);
    assert!(rest.world.function.was_called(), "another identity");
}

#[tokio::test]
async fn an_authorizer_has_awss_form() {
    let rest = world();
    let (api, root) = rest.api().await;
    let input = aws::CreateAuthorizerRequest {
        auth_type: Some("oauth2".into()),
        ..of(&api, "TOKEN", "method.request.header.Authorization")
    };
    let made = rest.call::<ops::CreateAuthorizer>(input).await.unwrap();
    let id = made.id.clone().unwrap();
    assert_eq!(
        (made.name.as_deref(), made.type_.as_deref(), made.auth_type.as_deref()),
        (Some("judge"), Some("TOKEN"), Some("oauth2"))
    );
    assert_eq!((made.authorizer_result_ttl_in_seconds, made.authorizer_uri.clone()), (Some(300), Some(uri())));
    let read = || rest!(GetAuthorizerRequest { rest_api_id: &*api, authorizer_id: &*id });
    assert_eq!(rest.call::<ops::GetAuthorizer>(read()).await.unwrap(), made);
    rest.call::<ops::CreateAuthorizer>(aws::CreateAuthorizerRequest {
        name: Some("b".into()),
        ..of(&api, "TOKEN", "method.request.header.x")
    })
    .await
    .unwrap();
    let first =
        rest.call::<ops::GetAuthorizers>(rest!(GetAuthorizersRequest { rest_api_id: &*api, limit: 1 })).await.unwrap();
    let next = rest!(GetAuthorizersRequest { rest_api_id: &*api, limit: 1, position: first.position.unwrap() });
    let second = rest.call::<ops::GetAuthorizers>(next).await.unwrap();
    assert!(first.items.as_ref().unwrap().len() == 1 && second.position.is_none() && second.items != first.items);
    let put = rest!(PutMethodRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        authorization_type: "CUSTOM",
        authorizer_id: &*id,
    });
    rest.call::<ops::PutMethod>(put).await.unwrap();
    let delete = || {
        rest.call::<ops::DeleteAuthorizer>(rest!(DeleteAuthorizerRequest { rest_api_id: &*api, authorizer_id: &*id }))
    };
    refused(delete().await, "ConflictException", "Cannot delete authorizer 'judge', is referenced in method: //GET");
    // What no longer asks for it forgets it.
    let open = patches(&[("replace", "/authorizationType", "NONE")]);
    let update = rest!(UpdateMethodRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        patch_operations: open
    });
    assert_eq!(rest.call::<ops::UpdateMethod>(update).await.unwrap().authorizer_id, None);
    delete().await.unwrap();
    refused(delete().await, "NotFoundException", "Invalid Authorizer identifier specified");
    refused(
        rest.call::<ops::GetAuthorizer>(read()).await,
        "NotFoundException",
        "Invalid Authorizer identifier specified",
    );
}

#[tokio::test]
async fn what_makes_no_authorizer_is_refused() {
    let rest = world();
    let (api, _) = rest.api().await;
    let create = |input| rest.call::<ops::CreateAuthorizer>(input);
    let token = || of(&api, "TOKEN", "method.request.header.Authorization");
    for (input, code, message) in [
        (of("none", "TOKEN", "method.request.header.A"), "NotFoundException", "Invalid API identifier"),
        (
            of(&api, "TOKEN", "method.request.querystring.a"),
            "BadRequestException",
            "Invalid mapping expression specified",
        ),
        (of(&api, "TOKEN", ""), "BadRequestException", "Identity source is required"),
        (of(&api, "REQUEST", ""), "BadRequestException", "Identity source is required"),
        (of(&api, "REQUEST", "method.request.path.a"), "BadRequestException", "Invalid mapping expression specified"),
        (of(&api, "COGNITO_USER_POOLS", "method.request.header.A"), "NotImplemented", "type COGNITO_USER_POOLS"),
        (of(&api, "WRONG", "method.request.header.A"), "ValidationException", "WRONG"),
        (
            aws::CreateAuthorizerRequest { authorizer_uri: Some("x".into()), ..token() },
            "BadRequestException",
            "Invalid ARN specified",
        ),
        (
            aws::CreateAuthorizerRequest { authorizer_credentials: Some("x".into()), ..token() },
            "BadRequestException",
            "Invalid ARN specified for credentials: x",
        ),
        (
            aws::CreateAuthorizerRequest { authorizer_result_ttl_in_seconds: Some(3601), ..token() },
            "BadRequestException",
            "between 0 and 3600",
        ),
        (
            aws::CreateAuthorizerRequest { identity_validation_expression: Some("(".into()), ..token() },
            "BadRequestException",
            "identity validation expression",
        ),
    ] {
        refused(create(input).await, code, message);
    }
    let id = create(token()).await.unwrap().id.unwrap();
    refused(create(token()).await, "BadRequestException", "Authorizer name must be unique");
    for (patch, code, message) in [
        (("replace", "/x", "1"), "BadRequestException", "Invalid patch path /x"),
        (("add", "/name", "n"), "BadRequestException", "Must be one of: [replace]"),
        (("replace", "/authorizerUri", "n"), "BadRequestException", "Invalid ARN specified"),
        (("replace", "/authorizerResultTtlInSeconds", "x"), "BadRequestException", "between 0 and 3600"),
        (("replace", "/type", "REQUEST"), "NotImplemented", "patch path /type"),
    ] {
        let input = rest!(UpdateAuthorizerRequest {
            rest_api_id: &*api,
            authorizer_id: &*id,
            patch_operations: patches(&[patch])
        });
        refused(rest.call::<ops::UpdateAuthorizer>(input).await, code, message);
    }
}
