//! Who may use routes with `AWS_IAM`, and what policies are told.

use std::sync::{Arc, Mutex};

use base::{Account, Principal, SystemClocks};
use door::{Ask, Decision, Denial, Gate, Mode, Policies};
use model::apigatewayv2::ops;
use serde_json::json;

use crate::world::{Request, World, input, request, root};

/// Lets in whoever asks for what it knows, and remembers who asked.
#[derive(Default)]
struct Book {
    asked: Mutex<Vec<(String, String, String)>>,
}

impl Book {
    /// What was asked since the last look, without tags.
    fn asked(&self) -> Vec<(String, String)> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.into_iter().map(|(action, resource, _)| (action, resource)).collect()
    }
}

impl Policies for Book {
    fn trust_of(&self, role: &str) -> Option<Arc<str>> {
        role.ends_with("/denied").then(|| "{}".into())
    }

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

async fn guarded(world: &World, key: &str) -> String {
    let api = world.serving("2.0", &[]).await;
    let integration = world.integration(&api, "2.0").await;
    let target = format!("integrations/{integration}");
    let input =
        input!(CreateRouteRequest { api_id: &*api, route_key: key, target: target, authorization_type: "AWS_IAM" });
    let made = world.call::<ops::CreateRoute>(input).await.unwrap();
    assert_eq!(made.authorization_type.as_deref(), Some("AWS_IAM"));
    api
}

#[tokio::test]
async fn only_whom_policies_let_in_gets_in() {
    let book = Arc::new(Book::default());
    let gate = Arc::new(Gate::new(book.clone(), Mode::Enforce, Arc::new(SystemClocks)));
    let world = World::over(store::memory(), gate);
    let api = guarded(&world, "GET /{what}").await;
    let forbidden = (403, r#"{"message":"Forbidden"}"#);
    let ask = |path: &str| request(&api, "GET", path, &[SIGNED], "");
    assert_eq!(world.send(&ask("/open")).await.both(), forbidden, "nobody signed");
    let user = Principal::User { account: Account::DEFAULT, name: "ann".into() };
    book.asked.lock().unwrap().clear();
    assert_eq!(world.send(&Request { principal: user.clone(), ..ask("/open") }).await.status, 200);
    let resource = format!("arn:aws:execute-api:us-east-1:000000000000:{api}/$default/GET/open");
    assert_eq!(book.asked.lock().unwrap()[0], ("execute-api:Invoke".to_owned(), resource, String::new()));
    let event = world.function.called().event;
    let iam = &event["requestContext"]["authorizer"]["iam"];
    assert_eq!((&iam["accessKey"], &iam["accountId"]), (&"AKIAEXAMPLE".into(), &"000000000000".into()));
    assert_eq!(iam["userArn"], "arn:aws:iam::000000000000:user/ann");
    assert_eq!(world.send(&Request { principal: user.clone(), ..ask("/denied") }).await.both(), forbidden);
    let elsewhere = request(&api, "GET", "/open", &[("authorization", &SIGNED.1.replace("execute-api", "lambda"))], "");
    assert_eq!(
        world.send(&Request { principal: user, ..elsewhere }).await.both(),
        forbidden,
        "signed for another service"
    );
}

#[tokio::test]
async fn where_policies_do_not_decide_the_account_does() {
    let world = World::new();
    let api = guarded(&world, "GET /").await;
    let ask = || request(&api, "GET", "/", &[SIGNED], "");
    assert_eq!(world.send(&Request { principal: root(Account::DEFAULT), ..ask() }).await.status, 200);
    let other = root("111122223333".parse().unwrap());
    assert_eq!(world.send(&Request { principal: other, ..ask() }).await.status, 403);
    assert_eq!(world.send(&ask()).await.status, 403);
}

#[tokio::test]
async fn policies_hear_of_tags() {
    let book = Arc::new(Book::default());
    let world = World::over(store::memory(), Arc::new(Gate::new(book.clone(), Mode::Warn, Arc::new(SystemClocks))));
    let api = world.api().await;
    let arn = format!("arn:aws:apigateway:us-east-1::/apis/{api}");
    let tag = input!(TagResourceRequest { resource_arn: arn, tags: [("team".to_owned(), "blue".to_owned())] });
    world.call::<ops::TagResource>(tag).await.unwrap();
    book.asked.lock().unwrap().clear();
    world.call::<ops::GetApi>(input!(GetApiRequest { api_id: &*api })).await.unwrap();
    let asked = book.asked.lock().unwrap()[0].clone();
    let resource = format!("arn:aws:apigateway:us-east-1::/apis/{api}");
    assert_eq!(asked, ("apigateway:GET".to_owned(), resource, "aws:ResourceTag/team=blue".to_owned()));
}

#[tokio::test]
async fn a_role_is_passed_on_and_must_trust_the_service() {
    let book = Arc::new(Book::default());
    let world = World::over(store::memory(), Arc::new(Gate::new(book.clone(), Mode::Warn, Arc::new(SystemClocks))));
    let make = |role: &str| {
        input!(CreateApiRequest {
            name: "a",
            protocol_type: "HTTP",
            target: crate::world::FUNCTION,
            credentials_arn: role
        })
    };
    let role = "arn:aws:iam::000000000000:role/caller";
    world.call::<ops::CreateApi>(make(role)).await.unwrap();
    assert!(book.asked().contains(&("iam:PassRole".to_owned(), role.to_owned())));
    // Also where only a definition names it.
    let other = "arn:aws:iam::000000000000:role/other";
    let definition = json!({"openapi": "3.0.1", "info": {"title": "a"}, "paths": {"/a": {"get": {
        "x-amazon-apigateway-integration": {
            "type": "AWS_PROXY", "uri": crate::world::FUNCTION, "payloadFormatVersion": "2.0", "credentials": other},
    }}}});
    let import = input!(ImportApiRequest { body: definition.to_string() });
    world.call::<ops::ImportApi>(import).await.unwrap();
    assert!(book.asked().contains(&("iam:PassRole".to_owned(), other.to_owned())));
    // One whose trust policy does not let the service act as it. It is held to its word where denials are the answer.
    let enforced = World::over(store::memory(), Arc::new(Gate::new(book, Mode::Enforce, Arc::new(SystemClocks))));
    let untrusting = "arn:aws:iam::000000000000:role/none";
    let api = world.call::<ops::CreateApi>(make(untrusting)).await.unwrap().api_id.unwrap();
    assert_eq!(world.visit(&api, "GET", "/").await.status, 200);
    let api = enforced.call::<ops::CreateApi>(make(untrusting)).await.unwrap().api_id.unwrap();
    assert_eq!(enforced.visit(&api, "GET", "/").await.status, 500, "there is no such role");
}
