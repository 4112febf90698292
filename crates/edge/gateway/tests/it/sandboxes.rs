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
async fn the_principal_is_the_listeners_unless_a_key_that_exists_proves_another() {
    let (world, _guard) = inside(World::new().await).await;
    assert_eq!(world.ask("GET", "/2015-03-31/functions", &[], b"").await.status, 200);
    assert_eq!(world.signed("test", "test", None, LIST).await.status, 200);
    assert_eq!(world.signed(KEY, SECRET, None, LIST).await.status, 200);
    let seen = world.seen();
    for one in &seen[..2] {
        assert_eq!((&one.principal, one.via), (&function(), Via::Sandbox), "an unknown key says nothing");
    }
    // A function that was given a key, or assumed a role, is then whom the key names.
    assert_eq!((seen[2].principal.arn(), seen[2].via), ("arn:aws:iam::111122223333:root".into(), Via::Sandbox));
    assert_eq!(seen[2].region, "eu-west-1");
    assert_eq!(world.signed(KEY, "not the secret", None, LIST).await.status, 403);
}

#[tokio::test]
async fn pages_and_test_controls_are_not_there_but_function_urls_are() {
    let (world, _guard) = inside(World::made(Made { test_controls: true, ..Made::default() }).await).await;
    let refused = world.ask("POST", "/_lambent/test/clock", &[], b"{\"pause\":true}").await;
    assert_eq!(refused.status, 404);
    assert_eq!(refused.json()["message"], "no function may hold the clock");
    assert_eq!(world.ask("GET", "/", &[("accept", "text/html")], b"").await.status, 404);
    assert_eq!(world.ask("GET", "/_lambent/console/functions", &[], b"").await.status, 404);
    assert_eq!(world.ask("GET", "/_lambent/health", &[], b"").await.status, 200);
    assert_eq!(world.ask("GET", "/_lambent/metrics", &[], b"").await.status, 404);
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

#[tokio::test]
async fn uploads_that_stop_half_way_inside_leave_room_outside() {
    use tokio::io::AsyncWriteExt;
    let world = World::new().await;
    let outside = world.port;
    let (mut world, _guard) = inside(world).await;
    // More than there are places, of both kinds.
    let mut stopped = Vec::new();
    for _ in 0..20 {
        let mut one = world.connect().await;
        one.write_all(b"POST /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n{")
            .await
            .unwrap();
        stopped.push(one);
    }
    assert_eq!(world.ask("GET", "/2015-03-31/functions", &[], b"").await.status, 200, "what is small goes on inside");
    world.port = outside;
    let large = vec![b' '; 9 << 20];
    let asked = world.ask("POST", "/2015-03-31/functions", &[], &large);
    tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.expect("a place outside is free");
}
