//! Who may use methods with `AWS_IAM`, and what policies are told.

use std::sync::{Arc, Mutex};

use base::{Account, Principal, SystemClocks};
use door::{Ask, Decision, Denial, Gate, Mode, Policies};
use model::apigateway::ops;

use super::world::{MISSING_TOKEN, Rest, patches, rest, texts};
use crate::world::{Does, Request, request, root};

/// Lets in whoever asks for what it knows, and remembers who asked.
#[derive(Default)]
struct Book {
    asked: Mutex<Vec<(String, String, String)>>,
}

impl Policies for Book {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let keys = (ask.keys)();
        let keys = keys.iter().filter(|(key, _)| key.starts_with("aws:ResourceTag/"));
        let keys: Vec<String> = keys.map(|(key, values)| format!("{key}={}", values.join(","))).collect();
        self.asked.lock().unwrap().push((ask.action.into(), ask.resource.into(), keys.join(" ")));
        if ask.resource.ends_with("/denied") {
            let message = "not allowed".to_owned();
            return Decision::Denied(Denial { message: message.clone(), because: message, always: false });
        }
        Decision::Allowed("the book".into())
    }
}

const SIGNED: (&str, &str) = (
    "authorization",
    "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261127/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature=0",
);

async fn guarded(rest: &Rest) -> String {
    let api = rest.serving(&["/{what}"]).await;
    let all = rest.call::<ops::GetResources>(rest!(GetResourcesRequest { rest_api_id: &*api })).await.unwrap();
    let one = all.items.unwrap().into_iter().find(|one| one.path.as_deref() == Some("/{what}")).unwrap();
    let input = rest!(UpdateMethodRequest {
        rest_api_id: &*api,
        resource_id: one.id.unwrap(),
        http_method: "ANY",
        patch_operations: patches(&[("replace", "/authorizationType", "AWS_IAM")]),
    });
    rest.call::<ops::UpdateMethod>(input).await.unwrap();
    rest.deploy(&api, "dev").await;
    rest.world.function.does(Does::Answers(serde_json::json!({})));
    api
}

#[tokio::test]
async fn only_whom_policies_let_in_gets_in() {
    let book = Arc::new(Book::default());
    let gate = Arc::new(Gate::new(book.clone(), Mode::Enforce, Arc::new(SystemClocks)));
    let rest = Rest::over(store::memory(), gate);
    let api = guarded(&rest).await;
    let user = Principal::User { account: Account::DEFAULT, name: "ann".into() };
    let ask = |path: &str, header: &str| Request {
        principal: user.clone(),
        ..request(&api, "GET", path, &[("authorization", header)], "")
    };
    assert_eq!(rest.visit(&api, "GET", "/dev/open").await.both(), MISSING_TOKEN, "nobody signed");
    book.asked.lock().unwrap().clear();
    assert_eq!(rest.send(&ask("/dev/open", SIGNED.1)).await.status, 200);
    let resource = format!("arn:aws:execute-api:us-east-1:000000000000:{api}/dev/GET/open");
    assert_eq!(book.asked.lock().unwrap()[0], ("execute-api:Invoke".to_owned(), resource, String::new()));
    let identity = rest.world.function.called().event["requestContext"]["identity"].clone();
    assert_eq!((&identity["accessKey"], &identity["accountId"]), (&"AKIAEXAMPLE".into(), &"000000000000".into()));
    assert_eq!(identity["userArn"], "arn:aws:iam::000000000000:user/ann");
    let denied = rest.send(&ask("/dev/denied", SIGNED.1)).await;
    assert_eq!(denied.both(), (403, r#"{"Message":"not allowed"}"#));
    assert_eq!(denied.header("x-amzn-errortype"), Some("AccessDeniedException"));
    let elsewhere = rest.send(&ask("/dev/open", &SIGNED.1.replace("execute-api", "lambda"))).await;
    assert_eq!(elsewhere.header("x-amzn-errortype"), Some("InvalidSignatureException"));
    assert!(elsewhere.body.contains("Credential should be scoped to correct service: 'execute-api'"));
}

#[tokio::test]
async fn where_policies_do_not_decide_the_account_does() {
    let rest = Rest::new();
    let api = guarded(&rest).await;
    let ask = || request(&api, "GET", "/dev/a", &[SIGNED], "");
    assert_eq!(rest.send(&Request { principal: root(Account::DEFAULT), ..ask() }).await.status, 200);
    let other = root("111122223333".parse().unwrap());
    let denied = rest.send(&Request { principal: other, ..ask() }).await;
    assert!(
        denied.status == 403 && denied.body.contains("is not authorized to perform: execute-api:Invoke"),
        "{denied:?}"
    );
    assert_eq!(rest.send(&ask()).await.both(), MISSING_TOKEN);
}

#[tokio::test]
async fn policies_hear_of_tags() {
    let book = Arc::new(Book::default());
    let rest = Rest::over(store::memory(), Arc::new(Gate::new(book.clone(), Mode::Warn, Arc::new(SystemClocks))));
    let (api, _) = rest.api().await;
    let arn = format!("arn:aws:apigateway:us-east-1::/restapis/{api}");
    let tag = rest!(TagResourceRequest { resource_arn: &*arn, tags: texts(&[("team", "blue")]) });
    rest.call::<ops::TagResource>(tag).await.unwrap();
    book.asked.lock().unwrap().clear();
    rest.call::<ops::GetRestApi>(rest!(GetRestApiRequest { rest_api_id: &*api })).await.unwrap();
    let asked = book.asked.lock().unwrap()[0].clone();
    assert_eq!(asked, ("apigateway:GET".to_owned(), arn, "aws:ResourceTag/team=blue".to_owned()));
}

#[tokio::test]
async fn functions_are_called_as_roles_and_as_who_signed() {
    let book = Arc::new(Book::default());
    let gate = Arc::new(Gate::new(book.clone(), Mode::Warn, Arc::new(SystemClocks)));
    let rest = Rest::over(store::memory(), gate);
    let (api, root) = rest.api().await;
    let role = |name: &str| format!("arn:aws:iam::000000000000:role/{name}");
    let passed = |name: &str| {
        let asked = std::mem::take(&mut *book.asked.lock().unwrap());
        asked.iter().any(|(action, resource, _)| action == "iam:PassRole" && *resource == role(name))
    };
    rest.method(&api, &root, "ANY").await;
    let put = rest!(PutIntegrationRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "ANY",
        type_: "AWS_PROXY",
        integration_http_method: "POST",
        uri: super::world::uri(),
        credentials: role("caller"),
    });
    let made = rest.call::<ops::PutIntegration>(put).await.unwrap();
    assert_eq!((made.credentials, passed("caller")), (Some(role("caller")), true));
    rest.deploy(&api, "dev").await;
    rest.world.function.does(Does::Answers(serde_json::json!({"statusCode": 200})));
    let acting = |name: &str| Principal::Session {
        account: Account::DEFAULT,
        role: name.into(),
        session: "BackplaneAssumeRoleSession".into(),
    };
    rest.visit(&api, "GET", "/dev").await;
    assert_eq!(rest.world.function.called().principal, acting("caller"));
    // A definition passes roles on, too, and so does a patch.
    let export = rest!(GetExportRequest {
        rest_api_id: &*api,
        stage_name: "dev",
        export_type: "oas30",
        parameters: texts(&[("extensions", "apigateway")]),
    });
    let export = rest.call::<ops::GetExport>(export).await.unwrap().body.unwrap();
    let put = rest!(PutRestApiRequest { rest_api_id: &*api, mode: "overwrite", body: export });
    rest.call::<ops::PutRestApi>(put).await.unwrap();
    assert!(passed("caller"));
    let change = async |value: &str| {
        let input = rest!(UpdateIntegrationRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "ANY",
            patch_operations: patches(&[("replace", "/credentials", value)]),
        });
        rest.call::<ops::UpdateIntegration>(input).await.unwrap();
        rest.deploy(&api, "dev").await;
    };
    change(&role("other")).await;
    assert!(passed("other"));
    rest.visit(&api, "GET", "/dev").await;
    assert_eq!(rest.world.function.called().principal, acting("other"));
    // Who signed calls as who they are; who did not, not at all.
    change("arn:aws:iam::*:user/*").await;
    assert!(!passed("*"));
    assert_eq!(rest.visit(&api, "GET", "/dev").await.status, 500);
    assert!(!rest.world.function.was_called());
    let update = rest!(UpdateMethodRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "ANY",
        patch_operations: patches(&[("replace", "/authorizationType", "AWS_IAM")]),
    });
    rest.call::<ops::UpdateMethod>(update).await.unwrap();
    rest.deploy(&api, "dev").await;
    let ann = Principal::User { account: Account::DEFAULT, name: "ann".into() };
    let signed = Request { principal: ann.clone(), ..request(&api, "GET", "/dev", &[SIGNED], "") };
    assert_eq!(rest.send(&signed).await.status, 200);
    assert_eq!(rest.world.function.called().principal, ann);
    // An authorizer's function is called as a role, too.
    let judge = rest!(CreateAuthorizerRequest {
        rest_api_id: &*api,
        name: "judge",
        type_: "TOKEN",
        authorizer_uri: super::world::uri(),
        authorizer_credentials: role("judge"),
        identity_source: "method.request.header.auth",
    });
    let judge = rest.call::<ops::CreateAuthorizer>(judge).await.unwrap();
    assert_eq!((judge.authorizer_credentials, passed("judge")), (Some(role("judge")), true));
    let ask = rest!(TestInvokeAuthorizerRequest {
        rest_api_id: &*api,
        authorizer_id: judge.id.clone().unwrap(),
        headers: texts(&[("auth", "x")]),
    });
    rest.call::<ops::TestInvokeAuthorizer>(ask).await.unwrap();
    assert_eq!(rest.world.function.called().principal, acting("judge"));
    let update = rest!(UpdateAuthorizerRequest {
        rest_api_id: &*api,
        authorizer_id: judge.id.unwrap(),
        patch_operations: patches(&[("replace", "/authorizerCredentials", &role("third"))]),
    });
    rest.call::<ops::UpdateAuthorizer>(update).await.unwrap();
    assert!(passed("third"));
}
