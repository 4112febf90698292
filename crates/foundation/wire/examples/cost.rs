//! What the codecs and signatures cost: `cargo run --release -p lambent-wire --example cost`.
#![allow(clippy::print_stdout, reason = "it prints its measurements")]

use base::{Clocks, SystemClocks, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use wire::sigv4::{self, Signer};
use wire::{Protocol, Request};

#[path = "../tests/it/sample.rs"]
mod sample;

/// The yardstick: what serde derives for the same members.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "only its reading is measured")]
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "only its reading is measured")]
struct TypedCode {
    zip_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "only its reading is measured")]
struct TypedEnvironment {
    variables: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "only its reading is measured")]
struct TypedTag {
    key: Option<String>,
    value: Option<String>,
}

/// The median of many rounds, in nanoseconds a call.
fn measure(name: &str, mut call: impl FnMut()) {
    let clocks = SystemClocks;
    let mut rounds: Vec<u128> = (0..41)
        .map(|_| {
            let start = clocks.monotonic();
            (0..1000).for_each(|_| call());
            (clocks.monotonic() - start).as_nanos() / 1000
        })
        .collect();
    rounds.sort_unstable();
    println!("{name:<44} {:>8} ns", rounds[rounds.len() / 2]);
}

fn request(path: &str, body: Bytes) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:4566"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    Request { method: http::Method::POST, path: path.into(), query: String::new(), headers, body }
}

fn main() {
    let body = wire::encode(Protocol::RestJson, &sample::rest::CREATE_FUNCTION, &sample::full(), "id").body;
    println!("CreateFunction, {} bytes of JSON", body.len());
    let create = request("/2015-03-31/functions", body.clone());
    measure("serde_json, derived types", || {
        std::hint::black_box(serde_json::from_slice::<Typed>(&body).is_ok());
    });
    measure("decode (and one clone of the request)", || {
        std::hint::black_box(wire::decode(Protocol::RestJson, &sample::rest::CREATE_FUNCTION, create.clone()).is_ok());
    });
    measure("clone of the request", || {
        std::hint::black_box(create.clone());
    });
    let input = sample::full();
    measure("validate", || {
        std::hint::black_box(wire::validate(&sample::rest::CREATE_FUNCTION, &input).is_ok());
    });
    measure("encode", || {
        std::hint::black_box(wire::encode(Protocol::RestJson, &sample::rest::CREATE_FUNCTION, &input, "id"));
    });
    let mut invoke = request("/2015-03-31/functions/f/invocations", Bytes::from(vec![b'a'; 100]));
    measure("detect", || {
        std::hint::black_box(wire::route::detect(sample::SERVICES, &invoke));
    });
    let signer = Signer { key_id: "AKID", secret: "secret", token: None, region: "us-east-1", service: "lambda" };
    let now = Timestamp(1_795_257_600_000);
    sigv4::sign(&mut invoke, &signer, now);
    measure("sigv4: parse and verify a 600 byte request", || {
        let claim = sigv4::parse(&invoke).ok().flatten();
        std::hint::black_box(claim.is_some_and(|claim| claim.verify(&invoke, "secret", now).is_ok()));
    });
}
