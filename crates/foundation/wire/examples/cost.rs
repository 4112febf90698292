//! What the codecs and signatures cost: `cargo run --release -p lambent-wire --example cost`.
#![allow(clippy::print_stdout, reason = "it prints its measurements")]

use base::{Clocks, SystemClocks, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use wire::checksum::{Algorithm, Checksum};
use wire::chunked::{self, Framing};
use wire::sigv4::{self, Signer};
use wire::{Operation, Protocol, Request};

#[path = "../tests/it/sample.rs"]
mod sample;

/// The yardstick: what serde derives for the same members.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Typed {
    function_name: Option<String>,
    runtime: Option<String>,
    role: Option<String>,
    handler: Option<String>,
    code: Option<TypedCode>,
    description: Option<String>,
    timeout: Option<i64>,
    memory_size: Option<i64>,
    publish: Option<bool>,
    environment: Option<TypedEnvironment>,
    layers: Option<Vec<String>>,
    tags: Option<Vec<TypedTag>>,
    weights: Option<std::collections::BTreeMap<String, f64>>,
    at: Option<f64>,
    on: Option<String>,
    free: Option<serde_json::Value>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TypedCode {
    zip_file: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TypedEnvironment {
    variables: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TypedTag {
    key: Option<String>,
    value: Option<String>,
}

/// The best of many rounds, in nanoseconds a call: the others tell what else the machine did.
fn measure(name: &str, mut call: impl FnMut()) {
    let clocks = SystemClocks;
    let round = |_| {
        let start = clocks.monotonic();
        (0..1000).for_each(|_| call());
        (clocks.monotonic() - start).as_nanos() / 1000
    };
    println!("{name:<44} {:>8} ns", (0..101).map(round).min().unwrap_or_default());
}

fn request(path: &str, body: Bytes) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:4566"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    Request { method: http::Method::POST, path: path.into(), query: String::new(), headers, body }
}

/// One operation in one protocol: its input read, and printed again as if it were the output.
fn codec(name: &str, protocol: Protocol, operation: &'static Operation, body: &Bytes) {
    let mut given = request(operation.uri, body.clone());
    if protocol == Protocol::Cbor {
        given.headers.insert("content-type", HeaderValue::from_static("application/cbor"));
    }
    println!("{name}: {} bytes", body.len());
    measure("  clone of the request, part of the next", || {
        std::hint::black_box(given.clone());
    });
    measure("  decode", || {
        std::hint::black_box(wire::decode(protocol, operation, given.clone()).is_ok());
    });
    let Ok(input) = wire::decode(protocol, operation, given.clone()) else { panic!("{name} reads") };
    measure("  encode", || {
        std::hint::black_box(wire::encode(protocol, operation, &*input, "id"));
    });
}

fn json_and_its_yardstick() {
    let input = sample::full();
    let put = &sample::json::PUT_THING;
    let body = wire::encode(Protocol::Json11, put, &input, "id").body;
    codec("awsJson", Protocol::Json11, put, &body);
    let Ok(typed) = serde_json::from_slice::<Typed>(&body) else { panic!("the yardstick reads the same JSON") };
    measure("  serde_json into derived types", || {
        std::hint::black_box(serde_json::from_slice::<Typed>(&body).is_ok());
    });
    measure("  serde_json from derived types", || {
        std::hint::black_box(serde_json::to_vec(&typed).is_ok());
    });
    measure("  validate", || {
        std::hint::black_box(wire::validate(put, &input).is_ok());
    });
}

fn the_other_protocols() {
    let input = sample::full();
    let body = wire::encode(Protocol::Cbor, &sample::metrics::PUT, &input, "id").body;
    codec("rpcv2Cbor", Protocol::Cbor, &sample::metrics::PUT, &body);
    let rule = sample::Rule { id: Some("a".into()), days: Some(5), on: Some(true), ..sample::Rule::default() };
    let rules = sample::RuleSet { rules: Some(vec![rule; 8]) };
    let body = wire::encode(Protocol::RestXml, &sample::zones::CHANGE, &rules, "id").body;
    codec("restXml", Protocol::RestXml, &sample::zones::CHANGE, &body);
    let form = "Action=CreateRole&Version=2010-05-08&FunctionName=thumbnail&Timeout=30&Publish=true&Tags.member.1.Key=a\
                &Tags.member.1.Value=1&Environment.Variables.entry.1.key=TABLE&Environment.Variables.entry.1.value=t+1";
    codec("awsQuery", Protocol::Query, &sample::query::CREATE_ROLE, &Bytes::from_static(form.as_bytes()));
}

/// A signed request of 600 bytes in all, head and body, as an SDK sends it.
fn signatures() {
    let mut invoke = request("/2015-03-31/functions/thumbnail/invocations", Bytes::from(vec![b'a'; 64]));
    let agent = "aws-sdk-rust/1.3 ua/2.1 api/lambda/1.60 os/linux lang/rust/1.95 m/E,D";
    for (name, value) in [("user-agent", agent), ("amz-sdk-request", "attempt=1; max=3"), ("accept", "*/*")] {
        invoke.headers.insert(name, HeaderValue::from_static(value));
    }
    let signer = Signer {
        key_id: "AKIAIOSFODNN7EXAMPLE",
        secret: "secret",
        token: None,
        region: "us-east-1",
        service: "lambda",
    };
    let now = Timestamp(1_795_257_600_000);
    sigv4::sign(&mut invoke, &signer, now);
    let head: usize = invoke.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    println!("SigV4: {} bytes", head + invoke.path.len() + 16 + invoke.body.len());
    measure("  detect", || {
        std::hint::black_box(wire::route::detect(sample::SERVICES, &invoke));
    });
    measure("  parse", || {
        std::hint::black_box(sigv4::parse(&invoke).is_ok());
    });
    measure("  parse and verify", || {
        let claim = sigv4::parse(&invoke).ok().flatten();
        std::hint::black_box(claim.is_some_and(|claim| claim.verify(&invoke, "secret", now).is_ok()));
    });
}

/// A megabyte framed as `aws-chunked`, each chunk signed.
fn chunks() {
    let framing = Framing { signed: true, trailer: true };
    let mut put = request("/bucket/key", Bytes::from(vec![b'a'; 1 << 20]));
    let mut sum = Checksum::new(Algorithm::Crc64Nvme);
    sum.update(&put.body);
    let sum = sum.finish();
    let signer = Signer { key_id: "AKID", secret: "secret", token: None, region: "us-east-1", service: "s3" };
    let now = Timestamp(1_795_257_600_000);
    chunked::encode(&mut put, framing, 65_536, &[("x-amz-checksum-crc64nvme", &sum)], &signer, now);
    let Ok(Some(claim)) = sigv4::parse(&put) else { panic!("it is signed") };
    let clocks = SystemClocks;
    let mut best = u128::MAX;
    for _ in 0..50 {
        let start = clocks.monotonic();
        let decoded =
            claim.decoder(&put, "secret").ok().flatten().map(|decoder| decoder.whole(put.body.clone()).is_ok());
        assert_eq!(decoded, Some(true));
        best = best.min((clocks.monotonic() - start).as_micros());
    }
    println!("aws-chunked, signed, CRC-64: 1 MiB in {best} us");
}

fn main() {
    json_and_its_yardstick();
    the_other_protocols();
    signatures();
    chunks();
}
