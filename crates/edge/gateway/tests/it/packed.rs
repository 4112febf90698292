//! Bodies packed with gzip arrive unpacked where they are the service's own, within limits.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::world::{Got, World};

fn pack(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

async fn send(world: &World, body: &[u8]) -> Got {
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "Logs_20140328.DescribeLogGroups"),
        ("content-encoding", "gzip"),
    ];
    world.ask("POST", "/", &headers, body).await
}

#[tokio::test]
async fn a_packed_document_arrives_unpacked() {
    let world = World::new().await;
    let document = br#"{"logGroupNamePrefix":"/aws"}"#;
    assert_eq!(send(&world, &pack(document)).await.status, 200);
    assert_eq!(world.seen()[0].body[..], document[..]);
    let rubbish = send(&world, b"not packed at all").await;
    assert_eq!(rubbish.status, 400, "{rubbish:?}");
    assert!(format!("{rubbish:?}").contains("SerializationException"), "{rubbish:?}");
    let bomb = pack(&vec![b' '; 9 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    assert_eq!(send(&world, &bomb).await.status, 413);
    assert_eq!(world.seen().len(), 1, "nothing else was called");
}

#[tokio::test]
async fn what_may_be_a_callers_own_bytes_stays_as_it_is() {
    let world = World::new().await;
    let packed = pack(b"{}");
    let path = "/2015-03-31/functions/hello/invocations";
    let got = world.ask("POST", path, &[("content-encoding", "gzip")], &packed).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(world.seen()[0].body[..], packed[..]);
}
