//! No web page of a stranger may drive a platform on loopback.

use crate::world::{KEY, LIST, SECRET, Signed, World};

const FUNCTIONS: &str = "/2015-03-31/functions";

#[tokio::test]
async fn an_unsigned_request_of_a_foreign_page_is_refused() {
    let world = World::new().await;
    let other_port = format!("http://127.0.0.1:{}", world.port + 1);
    for origin in ["http://evil.example", "null", "https://localhost.evil.example", &other_port] {
        let got = world.ask("GET", FUNCTIONS, &[("origin", origin)], b"").await;
        assert_eq!((got.status, got.header("x-amzn-errortype")), (403, "AccessDeniedException"), "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(world.ask("GET", FUNCTIONS, &[("sec-fetch-site", site)], b"").await.status, 403);
    }
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn our_own_page_and_programs_are_answered() {
    let world = World::new().await;
    let own = format!("http://127.0.0.1:{}", world.port);
    assert_eq!(world.ask("GET", FUNCTIONS, &[("origin", &own)], b"").await.status, 200);
    assert_eq!(world.ask("GET", FUNCTIONS, &[], b"").await.status, 200);
}

#[tokio::test]
async fn a_name_that_was_pointed_at_loopback_is_not_ours() {
    let world = World::new().await;
    for host in ["evil.example:4566", "localhost.evil.example"] {
        assert_eq!(world.ask("GET", FUNCTIONS, &[("host", host)], b"").await.status, 403, "{host}");
        assert_eq!(world.signed("test", "test", None, Signed { host: Some(host), ..LIST }).await.status, 403, "{host}");
        assert_eq!(world.ask("GET", "/", &[("host", host), ("accept", "text/html")], b"").await.status, 403, "{host}");
    }
    for host in ["localhost:4566", "[::1]:4566", "lambda.us-east-1.localhost", "build.lan:1"] {
        assert_eq!(world.ask("GET", FUNCTIONS, &[("host", host)], b"").await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_page_may_call_with_a_known_key_and_read_the_answer() {
    let world = World::new().await;
    let got = world
        .ask(
            "OPTIONS",
            "/2015-03-31/functions",
            &[
                ("origin", "http://app.example"),
                ("access-control-request-method", "GET"),
                ("access-control-request-headers", "authorization,x-amz-date"),
            ],
            b"",
        )
        .await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (204, "*"));
    assert_eq!(got.header("access-control-allow-headers"), "authorization,x-amz-date");
    let from_page = Signed { headers: &[("origin", "http://app.example")], ..LIST };
    let got = world.signed(KEY, SECRET, None, from_page).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, "*"));
    let got = world.signed("test", "test", None, from_page).await;
    assert_eq!(got.status, 403, "an unknown key proves nothing: {got:?}");
}

#[tokio::test]
async fn a_link_may_lead_to_the_front_page_but_a_foreign_page_may_not_read_it() {
    let world = World::new().await;
    let link = [
        ("accept", "text/html"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert_eq!(world.ask("GET", "/", &link, b"").await.status, 200);
    let frame = [
        ("accept", "text/html"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ];
    assert_eq!(world.ask("GET", "/", &frame, b"").await.status, 403);
    let got = world.ask("GET", "/_lambent/console/functions", &[("origin", "http://evil.example")], b"").await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (403, ""));
}
