//! Requests for objects: who may be nobody, and which pages are let in.

use base::Principal;

use crate::world::{KEY, LIST, Made, SECRET, Signed, World};

const OBJECT: Signed<'static> = Signed { path: "/pictures/cat.png", service: "s3", ..LIST };

fn asks(origin: &str) -> [(&str, &str); 2] {
    [("origin", origin), ("access-control-request-method", "GET")]
}

#[tokio::test]
async fn a_bucket_answers_for_itself_which_pages_it_lets_in() {
    let world = World::new().await;
    let got = world.ask("OPTIONS", "/pictures/cat.png", &asks("http://app.example"), b"").await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, "http://app.example"));
    for (path, origin) in [("/pictures/cat.png", "http://evil.example"), ("/private/x", "http://app.example")] {
        let got = world.ask("OPTIONS", path, &asks(origin), b"").await;
        assert_eq!((got.status, got.header("access-control-allow-origin")), (403, ""), "{path} {origin}");
        assert!(got.body.contains("<Code>AccessForbidden</Code>"), "{got:?}");
    }
    let by_host = [("host", "private.s3.localhost"), asks("http://app.example")[0], asks("http://app.example")[1]];
    assert_eq!(world.ask("OPTIONS", "/x", &by_host, b"").await.status, 403);
    let got = world.ask("OPTIONS", "/2015-03-31/functions", &asks("http://evil.example"), b"").await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (204, "*"), "other APIs are open to all pages");
}

#[tokio::test]
async fn an_answer_is_readable_for_the_pages_that_the_bucket_lets_in() {
    let world = World::new().await;
    for (path, origin, allowed) in [
        ("/pictures/cat.png", "http://app.example", "http://app.example"),
        ("/pictures/cat.png", "http://other.example", ""),
        ("/private/x", "http://app.example", ""),
        ("/unmade", "http://app.example", "*"),
    ] {
        let request = Signed { path, headers: &[("origin", origin)], ..OBJECT };
        let got = world.signed(KEY, SECRET, None, request).await;
        assert_eq!((got.status, got.header("access-control-allow-origin")), (200, allowed), "{path} {origin}");
    }
}

#[tokio::test]
async fn who_signs_nothing_is_nobody_to_the_store_off_loopback() {
    let world = World::made(Made { loopback: false, ..Made::default() }).await;
    for (host, path) in [("127.0.0.1", "/pictures/cat.png"), ("pictures.s3.localhost", "/cat.png")] {
        let got = world.ask("GET", path, &[("host", host)], b"").await;
        assert_eq!(got.status, 200, "{got:?}");
        let seen = world.seen().pop().unwrap();
        assert_eq!((seen.operation, seen.principal), ("GetObject", Principal::Anonymous));
        assert_eq!(seen.path, "/pictures/cat.png");
    }
    assert_eq!(
        world.ask("GET", "/2015-03-31/functions", &[], b"").await.status,
        403,
        "no other service has such callers"
    );
    assert_eq!(world.ask("GET", "/unmade/x", &[], b"").await.status, 403);
    let got = world.signed("test", "test", None, OBJECT).await;
    assert!(got.body.contains("<Code>InvalidAccessKeyId</Code>"), "an unknown key is not nobody: {got:?}");
}

#[tokio::test]
async fn on_loopback_who_signs_nothing_is_believed_unless_a_strangers_page_sent_it() {
    let world = World::new().await;
    assert_eq!(world.ask("GET", "/pictures/cat.png", &[], b"").await.status, 200);
    assert!(matches!(world.seen().pop().unwrap().principal, Principal::Root { verified: false, .. }));
    for origin in ["http://evil.example", "http://app.example"] {
        world.ask("GET", "/pictures/cat.png", &[("origin", origin)], b"").await;
        assert_eq!(world.seen().pop().unwrap().principal, Principal::Anonymous, "{origin}");
    }
    let own = [("origin", "http://localhost:3000")];
    world.ask("GET", "/pictures/cat.png", &own, b"").await;
    assert!(
        matches!(world.seen().pop().unwrap().principal, Principal::Root { .. }),
        "a page of this machine, by the rules"
    );
    let got = world.signed("test", "test", None, Signed { headers: &own, ..OBJECT }).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, "http://localhost:3000"));
    let got = world.signed("test", "test", None, Signed { headers: &own, path: "/private/x", ..OBJECT }).await;
    assert_eq!(got.status, 403, "not without rules");
}
