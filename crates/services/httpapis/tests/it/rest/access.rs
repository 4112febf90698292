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
        let keys = ask.keys.iter().filter(|(key, _)| key.starts_with("aws:ResourceTag/"));
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
