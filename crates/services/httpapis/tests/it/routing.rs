//! Which route takes a request.

use crate::world::{NOT_FOUND, Request, World, request};

#[tokio::test]
async fn the_best_route_takes_a_request() {
    let world = World::new();
    let keys = ["GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "POST /pets"];
    let api = world.serving("2.0", &keys).await;
    for (method, path, key) in [
        ("GET", "/pets/dog/1", Some("GET /pets/dog/1")),
        ("GET", "/pets/dog/2", Some("GET /pets/dog/{id}")),
        ("GET", "/pets/cat/1", Some("GET /pets/{proxy+}")),
        ("PATCH", "/pets/cat/1", Some("ANY /{proxy+}")),
        ("POST", "/pets", Some("POST /pets")),
        ("GET", "/", None),
    ] {
        let told = world.visit(&api, method, path).await;
        match key {
            Some(key) => assert_eq!(world.function.called().event["routeKey"], key, "{method} {path}"),
            None => assert_eq!(told.both(), NOT_FOUND, "{method} {path}"),
        }
    }
    let integration = world.integration(&api, "2.0").await;
    world.route(&api, "$default", &integration).await;
    world.visit(&api, "GET", "/").await;
    let called = world.function.called();
    assert_eq!(called.event["routeKey"], "$default");
    let base::Principal::Service { source_arn, .. } = called.principal else { panic!("a service") };
    assert!(source_arn.ends_with(&format!(":{api}/$default/$default")), "{source_arn}");
}

#[tokio::test]
async fn a_path_of_the_platforms_own_leads_there_too() {
    let world = World::new();
    let api = world.serving("2.0", &["GET /a/{b}"]).await;
    world.stage(&api, "dev").await;
    for (path, stage) in [("/a/x", "$default"), ("/dev/a/x", "dev")] {
        let own = request(&api, "GET", &format!("/_lambent/api/{api}{path}"), &[], "");
        let told = world.send(&Request { host: "127.0.0.1".into(), ..own }).await;
        assert_eq!(told.status, 200);
        let event = world.function.called().event;
        assert_eq!((&event["rawPath"], &event["requestContext"]["stage"]), (&path.into(), &stage.into()));
        assert_eq!(event["requestContext"]["domainName"], format!("{api}.execute-api.us-east-1.localhost"));
    }
}
