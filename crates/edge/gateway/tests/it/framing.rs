//! Bodies in chunks of their own arrive as what they hold, or not at all.

use base::{Clocks, SystemClocks};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use wire::chunked::{self, Framing};
use wire::sigv4::Signer;

use crate::world::{Got, KEY, SECRET, World};

const PATH: &str = "/2015-03-31/functions/hello/invocations";

/// Sends an invocation framed as `framing` says, its bytes changed by `change` on the way.
async fn send(world: &World, framing: Framing, key: &str, change: impl Fn(&mut Vec<u8>)) -> Got {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:4566"));
    let body = Bytes::from(vec![b'x'; 10_000]);
    let mut request = wire::Request { method: Method::POST, path: PATH.into(), query: String::new(), headers, body };
    let mut sum = wire::checksum::Checksum::new(wire::checksum::Algorithm::Crc32);
    sum.update(&request.body);
    let sum = sum.finish();
    let trailers = [("x-amz-checksum-crc32", sum.as_str())];
    let trailers = if framing.trailer { &trailers[..] } else { &[] };
    let signer = Signer { key_id: key, secret: SECRET, token: None, region: "eu-west-1", service: "lambda" };
    chunked::encode(&mut request, framing, 8192, trailers, &signer, SystemClocks.signing());
    let mut bytes = request.body.to_vec();
    change(&mut bytes);
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    world.ask("POST", PATH, &headers, &bytes).await
}

#[tokio::test]
async fn a_framed_body_arrives_decoded() {
    let world = World::new().await;
    for (signed, trailer) in [(true, false), (true, true), (false, true)] {
        let got = send(&world, Framing { signed, trailer }, KEY, |_| {}).await;
        assert_eq!(got.status, 200, "{got:?}");
    }
    let got = send(&world, Framing { signed: true, trailer: true }, "AKIDUNKNOWN", |_| {}).await;
    assert_eq!(got.status, 200, "an unknown key is believed on loopback: {got:?}");
    for seen in world.seen() {
        assert_eq!(seen.body, vec![b'x'; 10_000]);
    }
}

#[tokio::test]
async fn a_broken_chunk_is_refused_and_nothing_is_called() {
    let world = World::new().await;
    let framing = Framing { signed: true, trailer: true };
    let got = send(&world, framing, KEY, |bytes| bytes[200] = b'y').await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (403, "SignatureDoesNotMatch"));
    let got = send(&world, framing, KEY, |bytes| bytes.truncate(9_000)).await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (400, "IncompleteBody"));
    let unsigned = Framing { signed: false, trailer: true };
    let got = send(&world, unsigned, KEY, |bytes| bytes[200] = b'y').await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (400, "BadDigest"));
    assert!(world.seen().is_empty());
}
