//! Authorizers: kept, changed, and functions that decide.

use std::sync::Arc;

use base::{Principal, SystemClocks};
use door::{Ask, Decision, Denial, Gate, Mode, Policies};
use model::apigatewayv2::{self as aws, ops};
use serde_json::{Value, json};

use crate::world::{Does, FUNCTION, INTERNAL, World, input, refused, request, words};

const UNAUTHORIZED: (u16, &str) = (401, r#"{"message":"Unauthorized"}"#);
const FORBIDDEN: (u16, &str) = (403, r#"{"message":"Forbidden"}"#);

fn by_function(api: &str) -> aws::CreateAuthorizerRequest {
    input!(CreateAuthorizerRequest {
        api_id: api,
        name: "judge",
        authorizer_type: "REQUEST",
        authorizer_uri: FUNCTION,
        authorizer_payload_format_version: "2.0",
        enable_simple_responses: true,
        identity_source: ["$request.header.X-Who".to_owned(), "$request.querystring.pass".to_owned()],
    })
}

/// An API whose routes a function decides about; its id and the authorizer's. The target is elsewhere, so that the function's calls are only those of the authorizer.
async fn guarded(world: &World, input: aws::CreateAuthorizerRequest) -> (String, String) {
    let api = input.api_id.clone().unwrap();
    let judge = world.call::<ops::CreateAuthorizer>(input).await.unwrap().authorizer_id.unwrap();
    let to = input!(CreateIntegrationRequest {
        api_id: &*api,
        integration_type: "HTTP_PROXY",
        integration_uri: "http://elsewhere.example/",
        integration_method: "GET",
        payload_format_version: "1.0",
    });
    let to = world.call::<ops::CreateIntegration>(to).await.unwrap().integration_id.unwrap();
    world.elsewhere.answers("http://elsewhere.example/?pass=1", 200, "in");
    world.elsewhere.answers("http://elsewhere.example/", 200, "in");
    for key in ["GET /a", "GET /b/{id}"] {
        let route = input!(CreateRouteRequest {
            api_id: &*api,
            route_key: key,
            target: format!("integrations/{to}"),
            authorization_type: "CUSTOM",
            authorizer_id: &*judge,
        });
        world.call::<ops::CreateRoute>(route).await.unwrap();
    }
    world.stage(&api, "$default").await;
    (api, judge)
}

#[tokio::test]
async fn a_function_says_yes_or_no() {
    let world = World::new();
    let (api, judge) = guarded(&world, by_function(&world.api().await)).await;
    let ask = request(&api, "GET", "/a?pass=1", &[("x-who", "ann")], "");
    world.function.does(Does::Answers(json!({"isAuthorized": true})));
    assert_eq!(world.send(&ask).await.both(), (200, "in"));
    let called = world.function.called();
    let event = &called.event;
    assert_eq!((&event["version"], &event["type"]), (&json!("2.0"), &json!("REQUEST")));
    assert_eq!(event["identitySource"], json!(["ann", "1"]));
    assert_eq!(event["routeArn"], format!("arn:aws:execute-api:us-east-1:000000000000:{api}/$default/GET/a"));
    assert_eq!((&event["routeKey"], &event["rawPath"]), (&json!("GET /a"), &json!("/a")));
    assert!(event.get("body").is_none() && event.get("isBase64Encoded").is_none());
    let Principal::Service { source_arn, .. } = called.principal else { panic!("a service") };
    assert_eq!(source_arn, format!("arn:aws:execute-api:us-east-1:000000000000:{api}/authorizers/{judge}"));
    world.function.does(Does::Answers(json!({"isAuthorized": false})));
    assert_eq!(world.send(&ask).await.both(), FORBIDDEN);
    for does in [Does::Fails, Does::Answers(json!({"isAuthorized": "yes"})), Does::Refuses(base::Fault::denied("no"))] {
        world.function.does(does);
        assert_eq!(world.send(&ask).await.both(), INTERNAL);
    }
    world.function.was_called();
    // What is missing is missed without asking.
    for path in ["/a", "/a?pass="] {
        assert_eq!(world.send(&request(&api, "GET", path, &[("x-who", "ann")], "")).await.both(), UNAUTHORIZED);
    }
    assert_eq!(world.visit(&api, "GET", "/a?pass=1").await.both(), UNAUTHORIZED);
    assert!(!world.function.was_called());
}

#[tokio::test]
async fn its_word_is_kept_while_it_counts() {
    let world = World::new();
    let api = world.api().await;
    let input = aws::CreateAuthorizerRequest { authorizer_result_ttl_in_seconds: Some(60), ..by_function(&api) };
    let (api, judge) = guarded(&world, input).await;
    let ask = |who: &'static str| request(&api, "GET", "/a?pass=1", &[("x-who", who)], "");
    world.function.does(Does::Answers(json!({"isAuthorized": true})));
    for _ in 0..2 {
        assert_eq!(world.send(&ask("ann")).await.status, 200);
    }
    world.function.called();
    assert_eq!(world.send(&ask("bob")).await.status, 200);
    world.function.called();
    world.clocks.advance(60_001).await.unwrap();
    assert_eq!(world.send(&ask("ann")).await.status, 200);
    world.function.called();
    let reset = |api: &str, stage: &str| input!(ResetAuthorizersCacheRequest { api_id: api, stage_name: stage });
    let call = |input| world.call::<ops::ResetAuthorizersCache>(input);
    call(reset(&api, "$default")).await.unwrap();
    assert_eq!(world.send(&ask("ann")).await.status, 200);
    world.function.called();
    refused(call(reset(&api, "unmade")).await, "NotFoundException", "stage");
    refused(call(reset("unmade", "$default")).await, "NotFoundException", "API");
    // Nothing is kept where nothing is to be.
    let update =
        input!(UpdateAuthorizerRequest { api_id: &*api, authorizer_id: judge, authorizer_result_ttl_in_seconds: 0 });
    world.call::<ops::UpdateAuthorizer>(update).await.unwrap();
    for _ in 0..2 {
        world.send(&ask("ann")).await;
        world.function.called();
    }
}

/// Lets in whom a statement allows for exactly the resource that is asked for.
struct Reader;

impl Policies for Reader {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let allowed = ask.policy.is_some_and(|policy| {
            let policy: Value = serde_json::from_str(policy).unwrap();
            let statement = &policy["Statement"][0];
            statement["Principal"] == "*" && statement["Effect"] == "Allow" && statement["Resource"] == ask.resource
        });
        if allowed && ask.action == "execute-api:Invoke" {
            return Decision::Allowed("it".into());
        }
        Decision::Denied(Denial { message: "no".into(), because: "no".into(), always: false })
    }
}

#[tokio::test]
async fn a_policy_says_for_each_route() {
    // Policies of authorizers count in every mode.
    let gate = Arc::new(Gate::new(Arc::new(Reader), Mode::Off, Arc::new(SystemClocks)));
    let world = World::over(store::memory(), gate);
    let api = world.api().await;
    let input = aws::CreateAuthorizerRequest {
        authorizer_payload_format_version: Some("1.0".into()),
        enable_simple_responses: None,
        authorizer_result_ttl_in_seconds: Some(60),
        identity_source: Some(vec!["$request.header.x-who".into()]),
        ..by_function(&api)
    };
    let (api, _) = guarded(&world, input).await;
    let resource = format!("arn:aws:execute-api:us-east-1:000000000000:{api}/$default/GET/a");
    let statement = json!({"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource});
    let says = json!({"principalId": "ann", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}});
    world.function.does(Does::Answers(says));
    let ask = |path: &str| request(&api, "GET", path, &[("x-who", "ann")], "");
    assert_eq!(world.send(&ask("/a")).await.both(), (200, "in"));
    let event = world.function.called().event;
    assert_eq!((&event["version"], &event["methodArn"]), (&json!("1.0"), &json!(resource)));
    assert_eq!((&event["identitySource"], &event["authorizationToken"]), (&json!("ann"), &json!("ann")));
    assert_eq!(world.send(&ask("/b/1")).await.both(), FORBIDDEN);
    assert!(!world.function.was_called(), "what was said is about all routes");
}

#[tokio::test]
async fn the_integration_hears_what_the_authorizer_said() {
    let world = World::new();
    let api = world.api().await;
    let judge = world.call::<ops::CreateAuthorizer>(by_function(&api)).await.unwrap().authorizer_id.unwrap();
    // The function is both: its answer lets in, and is the answer.
    let says = json!({"isAuthorized": true, "context": {"team": "blue", "n": 1}, "statusCode": 200, "body": "in"});
    world.function.does(Does::Answers(says));
    for (path, payload) in [("/one", "1.0"), ("/two", "2.0")] {
        let integration = world.integration(&api, payload).await;
        let route = input!(CreateRouteRequest {
            api_id: &*api,
            route_key: format!("GET {path}"),
            target: format!("integrations/{integration}"),
            authorization_type: "CUSTOM",
            authorizer_id: &*judge,
        });
        world.call::<ops::CreateRoute>(route).await.unwrap();
    }
    world.stage(&api, "$default").await;
    for (path, place) in [("/one", "/requestContext/authorizer"), ("/two", "/requestContext/authorizer/lambda")] {
        let ask = request(&api, "GET", &format!("{path}?pass=1"), &[("x-who", "ann")], "");
        assert_eq!(world.send(&ask).await.status, 200);
        let event = world.function.calls().pop().unwrap().event;
        assert_eq!(event.pointer(place), Some(&json!({"team": "blue", "n": 1})), "{path}");
    }
}

#[tokio::test]
async fn what_decides_nothing_is_refused() {
    let world = World::new();
    let api = world.api().await;
    let call = |input| world.call::<ops::CreateAuthorizer>(input);
    let sources = |text: &str| Some(vec![text.to_owned()]);
    let token = || {
        input!(CreateAuthorizerRequest {
            api_id: &*api,
            name: "t",
            authorizer_type: "JWT",
            identity_source: ["$request.header.Authorization".to_owned()],
            jwt_configuration: input!(JWTConfiguration { issuer: "https://i.example", audience: ["a".to_owned()] }),
        })
    };
    for (input, told) in [
        (aws::CreateAuthorizerRequest { authorizer_uri: None, ..by_function(&api) }, "authorizerUri"),
        (
            aws::CreateAuthorizerRequest { authorizer_uri: Some("x".into()), ..by_function(&api) },
            "Invalid integration URI",
        ),
        (
            aws::CreateAuthorizerRequest { authorizer_payload_format_version: None, ..by_function(&api) },
            "PayloadFormat",
        ),
        (
            aws::CreateAuthorizerRequest { authorizer_payload_format_version: Some("1.0".into()), ..by_function(&api) },
            "enableSimpleResponses",
        ),
        (
            aws::CreateAuthorizerRequest { identity_source: sources("header"), ..by_function(&api) },
            "mapping expression",
        ),
        (
            aws::CreateAuthorizerRequest {
                identity_source: Some(Vec::new()),
                authorizer_result_ttl_in_seconds: Some(1),
                ..by_function(&api)
            },
            "at least one identitySource",
        ),
        (aws::CreateAuthorizerRequest { jwt_configuration: token().jwt_configuration, ..by_function(&api) }, "JWT"),
        (aws::CreateAuthorizerRequest { jwt_configuration: None, ..token() }, "JWT configuration must"),
        (aws::CreateAuthorizerRequest { authorizer_uri: Some(FUNCTION.into()), ..token() }, "authorizerUri"),
        (aws::CreateAuthorizerRequest { identity_source: sources("$context.path"), ..token() }, "exactly one"),
        (
            aws::CreateAuthorizerRequest {
                jwt_configuration: Some(input!(JWTConfiguration { issuer: "me", audience: ["a".to_owned()] })),
                ..token()
            },
            "issuer",
        ),
        (
            aws::CreateAuthorizerRequest {
                jwt_configuration: Some(input!(JWTConfiguration { issuer: "https://i.example" })),
                ..token()
            },
            "audiences",
        ),
    ] {
        refused(call(input).await, "BadRequestException", told);
    }
    let credentials =
        aws::CreateAuthorizerRequest { authorizer_credentials_arn: Some("r".into()), ..by_function(&api) };
    refused(call(credentials).await, "BadRequestException", "Invalid ARN specified");
    refused(call(by_function("unmade")).await, "NotFoundException", "API");
}

#[tokio::test]
async fn authorizers_are_kept_listed_changed_and_deleted() {
    let world = World::new();
    let (api, judge) = guarded(&world, by_function(&world.api().await)).await;
    let get = |api: &str, id: &str| input!(GetAuthorizerRequest { api_id: api, authorizer_id: id });
    let got = world.restarted().call::<ops::GetAuthorizer>(get(&api, &judge)).await.unwrap();
    assert_eq!((got.authorizer_type.as_deref(), got.enable_simple_responses), (Some("REQUEST"), Some(true)));
    assert_eq!((got.authorizer_uri.as_deref(), got.authorizer_result_ttl_in_seconds), (Some(FUNCTION), Some(0)));
    refused(world.call::<ops::GetAuthorizer>(get(&api, "unmade")).await, "NotFoundException", "Authorizer");
    refused(world.call::<ops::GetAuthorizer>(get("unmade", &judge)).await, "NotFoundException", "API");
    let other = world.call::<ops::CreateAuthorizer>(by_function(&api)).await.unwrap().authorizer_id.unwrap();
    let page = input!(GetAuthorizersRequest { api_id: &*api, max_results: "1" });
    let page = world.call::<ops::GetAuthorizers>(page).await.unwrap();
    assert_eq!(page.items.unwrap().len(), 1);
    let token = page.next_token.unwrap();
    let rest = input!(GetAuthorizersRequest { api_id: &*api, next_token: token });
    assert_eq!(world.call::<ops::GetAuthorizers>(rest).await.unwrap().items.unwrap().len(), 1);
    let live = format!("{FUNCTION}:live");
    let update = input!(UpdateAuthorizerRequest {
        api_id: &*api,
        authorizer_id: &*judge,
        name: "renamed",
        authorizer_uri: &*live,
        identity_source: ["$request.header.x-who".to_owned()],
        authorizer_payload_format_version: "1.0",
        enable_simple_responses: false,
    });
    let told = world.call::<ops::UpdateAuthorizer>(update).await.unwrap();
    assert_eq!((told.name.as_deref(), told.authorizer_uri.as_deref()), (Some("renamed"), Some(&*live)));
    world.function.does(Does::Fails);
    let ask = request(&api, "GET", "/a", &[("x-who", "ann")], "");
    assert_eq!(world.send(&ask).await.both(), INTERNAL);
    let called = world.function.called();
    assert_eq!((called.name, &called.event["version"]), (live, &json!("1.0")));
    let kind = input!(UpdateAuthorizerRequest { api_id: &*api, authorizer_id: &*judge, authorizer_type: "JWT" });
    refused(world.call::<ops::UpdateAuthorizer>(kind).await, "BadRequestException", "cannot be changed");
    let unmade = input!(UpdateAuthorizerRequest { api_id: &*api, authorizer_id: "unmade" });
    refused(world.call::<ops::UpdateAuthorizer>(unmade).await, "NotFoundException", "Authorizer");
    let delete = |id: &str| input!(DeleteAuthorizerRequest { api_id: &*api, authorizer_id: id });
    let (status, code, _) = words(world.call::<ops::DeleteAuthorizer>(delete(&judge)).await);
    assert_eq!((status, code.as_str()), (409, "ConflictException"));
    world.call::<ops::DeleteAuthorizer>(delete(&other)).await.unwrap();
    refused(world.call::<ops::DeleteAuthorizer>(delete(&other)).await, "NotFoundException", "Authorizer");
}

#[tokio::test]
async fn a_route_gets_another_authorizer_and_loses_it() {
    let world = World::new();
    let (api, _) = guarded(&world, by_function(&world.api().await)).await;
    let routes = world.call::<ops::GetRoutes>(input!(GetRoutesRequest { api_id: &*api })).await.unwrap().items.unwrap();
    let route = routes.iter().find(|route| route.route_key.as_deref() == Some("GET /a")).unwrap();
    let (route, before) = (route.route_id.clone().unwrap(), route.authorizer_id.clone().unwrap());
    let input = input!(CreateAuthorizerRequest {
        api_id: &*api,
        name: "tokens",
        authorizer_type: "JWT",
        identity_source: ["$request.header.Authorization".to_owned()],
        jwt_configuration: input!(JWTConfiguration { issuer: "https://i.example", audience: ["a".to_owned()] }),
    });
    let token = world.call::<ops::CreateAuthorizer>(input).await.unwrap().authorizer_id.unwrap();
    let update = |kind: &str, id: Option<&str>| aws::UpdateRouteRequest {
        authorizer_id: id.map(str::to_owned),
        ..input!(UpdateRouteRequest { api_id: &*api, route_id: &*route, authorization_type: kind })
    };
    let call = |input| world.call::<ops::UpdateRoute>(input);
    refused(call(update("JWT", Some(&before))).await, "BadRequestException", "does not fit");
    refused(call(update("JWT", Some("unmade"))).await, "BadRequestException", "no such authorizer");
    let scoped =
        aws::UpdateRouteRequest { authorization_scopes: Some(vec!["s".into()]), ..update("JWT", Some(&token)) };
    let told = call(scoped).await.unwrap();
    assert_eq!((told.authorizer_id, told.authorization_scopes), (Some(token), Some(vec!["s".to_owned()])));
    assert_eq!(world.visit(&api, "GET", "/a").await.header("www-authenticate"), Some("Bearer"));
    let told = call(update("NONE", None)).await.unwrap();
    assert_eq!((told.authorizer_id, told.authorization_scopes), (None, None));
    assert_eq!(world.visit(&api, "GET", "/a").await.status, 200);
}

#[tokio::test]
async fn a_role_may_call_the_function_that_decides() {
    let world = World::new();
    let api = world.api().await;
    let role = "arn:aws:iam::000000000000:role/caller";
    let input = aws::CreateAuthorizerRequest { authorizer_credentials_arn: Some(role.into()), ..by_function(&api) };
    let (api, judge) = guarded(&world, input).await;
    world.function.does(Does::Answers(json!({"isAuthorized": true})));
    let ask = request(&api, "GET", "/a?pass=1", &[("x-who", "ann")], "");
    assert_eq!(world.send(&ask).await.status, 200);
    let by = |principal: Principal| match principal {
        Principal::Session { role, .. } => role,
        other => panic!("{other:?}"),
    };
    assert_eq!(by(world.function.called().principal), "caller");
    let other = "arn:aws:iam::000000000000:role/other";
    let update =
        input!(UpdateAuthorizerRequest { api_id: &*api, authorizer_id: judge, authorizer_credentials_arn: other });
    let told = world.call::<ops::UpdateAuthorizer>(update).await.unwrap();
    assert_eq!(told.authorizer_credentials_arn.as_deref(), Some(other));
    world.send(&ask).await;
    assert_eq!(by(world.function.called().principal), "other");
}
