//! Inside a sandbox the listener says who speaks, and there is nothing to control.

use base::{Principal, SandboxNet};
use door::Via;
use gateway::Inside;
use tokio::io::AsyncReadExt;

use crate::world::{KEY, LIST, Made, SECRET, World};

fn function() -> Principal {
    Principal::Session { account: "000000000000".parse().unwrap(), role: "worker".into(), session: "hello".into() }
}

/// The same world, asked through a sandbox's listener.
async fn inside(mut world: World) -> (World, Box<dyn Send + Sync>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.port = listener.local_addr().unwrap().port();
    let net = Inside(std::sync::Arc::clone(&world.gateway));
    // The invoker hands listeners over from threads of its own.
    let guard = std::thread::spawn(move || net.serve(listener, function())).join().unwrap();
    (world, guard)
}

#[tokio::test]
async fn the_principal_is_the_listeners_whatever_is_claimed() {
    let (world, _guard) = inside(World::new().await).await;
    assert_eq!(world.ask("GET", "/2015-03-31/functions", &[], b"").await.status, 200);
    assert_eq!(world.signed(KEY, SECRET, None, LIST).await.status, 200);
    assert_eq!(world.signed("test", "test", None, LIST).await.status, 200);
    for seen in world.seen() {
        assert_eq!((seen.principal, seen.via), (function(), Via::Sandbox));
    }
    assert_eq!(world.seen()[1].region, "eu-west-1");
}

#[tokio::test]
async fn pages_and_test_controls_are_not_there_but_function_urls_are() {
    let (world, _guard) = inside(World::made(Made { test_controls: true, ..Made::default() }).await).await;
    assert_eq!(world.ask("POST", "/_lambent/test/clock", &[], b"{\"pause\":true}").await.status, 404);
    assert_eq!(world.ask("GET", "/", &[("accept", "text/html")], b"").await.status, 404);
    assert_eq!(world.ask("GET", "/_lambent/console/functions", &[], b"").await.status, 404);
    assert_eq!(world.ask("GET", "/_lambent/health", &[], b"").await.status, 200);
    assert!(world.ask("GET", "/_lambent/url/abc/", &[], b"").await.body.contains("Session"));
}

#[tokio::test]
async fn dropping_the_guard_ends_listener_and_connections() {
    let (world, guard) = inside(World::new().await).await;
    let mut open = world.connect().await;
    assert_eq!(world.ask("GET", "/_lambent/health", &[], b"").await.status, 200);
    drop(guard);
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = open.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    let refused = async { while tokio::net::TcpStream::connect(("127.0.0.1", world.port)).await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_secs(5), refused).await.expect("the listener closes");
}
