//! Health, test controls, function URLs and pages for people.

use std::time::Duration;

use base::Clocks;
use gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{KEY, LIST, Made, SECRET, Signed, World, ring};

#[tokio::test]
async fn health_tells_walls_and_services() {
    let world = World::made(Made { loopback: false, ..Made::default() }).await;
    let health = world.ask("GET", "/_lambent/health", &[], b"").await.json();
    assert_eq!(health["status"], "running");
    assert_eq!(health["walls"], serde_json::json!({"holds": 9, "of": 10, "weak": false}));
    assert_eq!(health["services"]["lambda"], "running");
    let local = world.ask("GET", "/_localstack/health", &[], b"").await;
    assert!(local.body.contains("\"lambda\": \"available\""), "{local:?}");
    assert_eq!(local.json()["edition"], "community");
    assert_eq!(world.ask("GET", "/_localstack/init/ready", &[], b"").await.json()["completed"], true);
    assert_eq!(world.ask("GET", "/_localstack/init", &[], b"").await.json()["completed"]["READY"], true);
    let head = world.ask("HEAD", "/_lambent/health", &[], b"").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(world.ask("POST", "/_lambent/health", &[], b"").await.status, 405);
}

#[tokio::test]
async fn test_controls_move_the_product_clock_when_the_platform_has_them() {
    const CLOCK: &str = "/_lambent/test/clock";
    let world = World::new().await;
    let refused = world.ask("POST", CLOCK, &[], b"{\"pause\":true}").await;
    assert_eq!(refused.status, 404);
    assert!(refused.body.contains("--test-controls") && refused.body.contains("--ephemeral"), "{refused:?}");
    let world = World::made(Made { test_controls: true, ..Made::default() }).await;
    assert_eq!(world.ask("GET", CLOCK, &[], b"").await.json()["paused"], false);
    let paused = world.ask("POST", CLOCK, &[], b"{\"pause\":true}").await.json();
    let before = world.clocks.product();
    assert_eq!(paused, serde_json::json!({"nowMs": before.0, "paused": true, "nextDueMs": null}));
    let got = world.ask("POST", CLOCK, &[], b"{\"advanceMs\":3600000}").await;
    assert_eq!(got.json()["nowMs"], before.0 + 3_600_000);
    assert_eq!(world.clocks.product(), before.plus_ms(3_600_000));
    for wrong in ["{\"advanceMs\":-1}", "{\"advanceMs\":316224000001}", "{\"step\":1}", "{", ""] {
        let refused = world.ask("POST", CLOCK, &[], wrong.as_bytes()).await;
        assert_eq!((refused.status, refused.body.contains("advanceMs")), (400, true), "{wrong}");
    }
    assert_eq!(world.ask("DELETE", CLOCK, &[], b"").await.status, 405);
    for foreign in [("origin", "http://evil.example"), ("host", "evil.example"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(world.ask("POST", CLOCK, &[foreign], b"{\"resume\":true}").await.status, 403, "{foreign:?}");
    }
    assert_eq!(world.clocks.product(), before.plus_ms(3_600_000));
}

#[tokio::test]
async fn a_step_of_the_clock_answers_when_what_was_due_is_done() {
    let world = World::made(Made { test_controls: true, ..Made::default() }).await;
    world.clocks.pause();
    let due = world.clocks.product().plus_ms(7_000);
    let reached = world.clocks.product_reaches(due);
    let working = tokio::spawn(async move {
        let turn = reached.await;
        tokio::task::yield_now().await;
        drop(turn);
    });
    let stands = world.ask("GET", "/_lambent/test/clock", &[], b"").await.json();
    assert_eq!(stands["nextDueMs"], due.0);
    let step = world.ask("POST", "/_lambent/test/clock", &[], b"{\"step\":true}").await.json();
    let expected = serde_json::json!({"nowMs": due.0, "paused": true, "nextDueMs": null, "moved": true});
    assert_eq!(step, expected);
    working.await.unwrap();
    assert_eq!(world.ask("POST", "/_lambent/test/clock", &[], b"{\"step\":true}").await.json()["moved"], false);
}

#[tokio::test]
async fn a_function_url_owns_its_host_whole_and_anybody_may_call_it() {
    let world = World::made(Made { loopback: false, ..Made::default() }).await;
    for path in ["/", "/_lambent/health", "/2015-03-31/functions"] {
        let host = ("host", "abc.lambda-url.us-east-1.localhost:4566");
        let got = world.ask("POST", path, &[host, ("origin", "http://app.example")], b"xyz").await;
        assert_eq!(got.body, format!("abc.lambda-url.us-east-1.localhost POST {path} Anonymous 3"));
        assert_eq!(got.header("content-security-policy"), "");
    }
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_function_url_by_path_cannot_act_as_our_own_page() {
    let world = World::new().await;
    let got = world.ask("GET", "/_lambent/url/abc/", &[], b"").await;
    assert_eq!(got.status, 200);
    assert!(got.header("content-security-policy").starts_with("sandbox "), "{got:?}");
    assert!(!got.header("content-security-policy").contains("allow-same-origin"));
    assert_eq!(got.header("connection"), "close", "the site's own connection header is dropped");
}

#[tokio::test]
async fn a_signed_visitor_of_a_function_url_is_who_the_key_says() {
    let world = World::new().await;
    let visit = Signed { path: "/_lambent/url/abc/", ..LIST };
    assert!(world.signed(KEY, SECRET, None, visit).await.body.contains("Root"));
    assert_eq!(world.signed(KEY, "wrong", None, visit).await.status, 403);
    let bearer = world.ask("GET", "/_lambent/url/abc/", &[("authorization", "Bearer of-the-application")], b"").await;
    assert!(bearer.body.contains("Anonymous"), "{bearer:?}");
}

#[tokio::test]
async fn the_front_page_is_for_browsers_on_loopback() {
    let world = World::new().await;
    let got = world.ask("GET", "/", &[("accept", "text/html,*/*;q=0.8")], b"").await;
    assert!(got.body.starts_with("127.0.0.1 GET / Root"), "{got:?}");
    let outside = World::made(Made { loopback: false, ..Made::default() }).await;
    let got = outside.ask("GET", "/", &[("accept", "text/html")], b"").await;
    assert_eq!((got.status, got.header("content-type")), (403, "text/plain; charset=utf-8"));
    assert!(got.body.contains("at the machine itself"), "{got:?}");
    let mut claimed = ring();
    claimed.taken.push(base::Account::DEFAULT);
    let claimed = World::made(Made { ring: claimed, ..Made::default() }).await;
    let got = claimed.ask("GET", "/", &[("accept", "text/html")], b"").await;
    assert!(got.status == 403 && got.body.contains("this account has access keys"), "{got:?}");
}

/// A connection on which the endless stream has begun.
async fn reading_events(world: &World) -> TcpStream {
    let mut stream = world.connect().await;
    let head = format!("GET /_lambent/events HTTP/1.1\r\nhost: localhost:{}\r\n\r\n", world.port);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains("data: 1") {
        let mut piece = [0u8; 1024];
        let read = stream.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "the first event comes");
        got.extend_from_slice(&piece[..read]);
    }
    stream
}

#[tokio::test]
async fn a_stop_ends_event_streams_and_lets_the_listener_go() {
    let mut world = World::new().await;
    let _still_open = reading_events(&world).await;
    world.stop.take().unwrap().send(()).unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(5), &mut world.serving).await;
    stopped.expect("events do not hold up a stop").unwrap();
    assert!(TcpStream::connect(("127.0.0.1", world.port)).await.is_err());
}

#[tokio::test]
async fn an_event_stream_goes_with_its_reader() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let world = World::made(Made { limits, ..Made::default() }).await;
    drop(reading_events(&world).await);
    let next = world.ask("GET", "/_lambent/health", &[], b"");
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), next).await.expect("the one place is free").status, 200);
}

#[tokio::test]
async fn every_answer_has_its_request_id_and_metrics_are_for_believed_callers() {
    let world = World::new().await;
    for path in ["/_lambent/health", "/", "/nowhere", "/_lambent/none", "/2015-03-31/functions", "/_lambent/metrics"] {
        let answer = world.ask("GET", path, &[], b"").await;
        assert_eq!(answer.header("x-amzn-requestid").len(), 36, "{path}");
    }
    let metrics = world.ask("GET", "/_lambent/metrics", &[], b"").await;
    assert_eq!((metrics.status, metrics.body.as_str()), (200, "lambent_calls_total 1\n"));
    let open = World::made(Made { loopback: false, ..Made::default() }).await;
    assert_eq!(open.ask("GET", "/_lambent/metrics", &[], b"").await.status, 403);
}
