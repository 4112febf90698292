//! What goes on, as `lambent top` asks for it.

use std::sync::Arc;

use base::{Account, Principal};
use door::{Body, Site};
use functions::Top;
use serde_json::Value;

use crate::urls::request;
use crate::world::World;

async fn look(world: &World, principal: Principal, method: &str, path: &str) -> (u16, Value) {
    let top = Top(Arc::clone(&world.functions));
    let mut asked = request(method, "localhost", path, &[], b"");
    assert!(top.claims(&asked.host, &asked.path));
    asked.principal = principal;
    let answer = top.serve(asked).await;
    let Body::Bytes(body) = answer.body else { panic!("the body is bytes") };
    (answer.status, serde_json::from_slice(&body).unwrap())
}

fn root(account: Account) -> Principal {
    Principal::Root { account, verified: false }
}

#[tokio::test]
async fn an_account_s_root_sees_its_functions_and_the_sums_of_all() {
    let world = World::new();
    world.create("hello").await;
    world.invoke("hello", "{}").await.unwrap();
    let (status, seen) = look(&world, root(Account::DEFAULT), "GET", "/_lambent/top").await;
    assert_eq!(status, 200, "{seen}");
    let version = &seen["versions"][0];
    let named = ["function", "version", "region"].map(|member| version[member].as_str().unwrap());
    assert_eq!(named, ["hello", "$LATEST", "us-east-1"]);
    assert_eq!((&version["idle"], &version["busy"]), (&1.into(), &0.into()), "{version}");
    assert_eq!(version["counted"]["invocations"], 1);
    for phase in ["queue", "sandbox", "init", "handler"] {
        assert_eq!(version["spread"][phase][0][1], 1, "{phase} of {version}");
    }
    assert_eq!((&seen["total"]["invocations"], &seen["environments"]), (&1.into(), &1.into()));

    let (status, seen) = look(&world, root("111111111111".parse().unwrap()), "GET", "/_lambent/top").await;
    assert_eq!((status, &seen["versions"]), (200, &Value::Array(Vec::new())), "another's functions are not shown");
    assert_eq!(seen["total"]["invocations"], 1);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused() {
    let world = World::new();
    for (principal, method, path, status) in [
        (Principal::Anonymous, "GET", "/_lambent/top", 403),
        (root(Account::DEFAULT), "POST", "/_lambent/top", 405),
        (root(Account::DEFAULT), "GET", "/_lambent/top?function=x", 400),
    ] {
        assert_eq!(look(&world, principal, method, path).await.0, status, "{method} {path}");
    }
}
