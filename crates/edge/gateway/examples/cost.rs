//! What the gateway itself costs: invocations that end at its door, over a kept connection on loopback.
//!
//! `cargo run --profile fast -p lambent-gateway --example cost [REQUESTS]` prints times; instructions are counted by running it under
//! `valgrind --tool=callgrind` with two numbers of requests.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use base::{Account, BoxFuture, Fault, SystemClocks, SystemRng, Timestamp};
use door::{Body, Buckets, Call, Credential, CrossOrigin, Dispatch, Keys, Reply, Temporary, Via};
use gateway::{Gateway, Limits, Options, Walls};

struct Door;

impl Dispatch for Door {
    fn call(&self, _: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async {
            let payload = Some(bytes::Bytes::from_static(b"{\"hello\":\"x\"}"));
            let output = model::lambda::InvocationResponse { status_code: Some(200), payload, ..Default::default() };
            Ok(Reply { output: Box::new(output), body: Body::Empty })
        })
    }
}

struct Nobody;

impl Keys for Nobody {
    fn find(&self, _: &str) -> Option<Credential> {
        None
    }
    fn account_has_keys(&self, _: Account) -> bool {
        false
    }
    fn for_function(&self, _: Account, _: &str, _: &str) -> Temporary {
        Temporary { key_id: String::new(), secret: String::new(), token: String::new(), expires: Timestamp(0) }
    }
}

impl Buckets for Nobody {
    fn exists(&self, _: &str) -> bool {
        false
    }
    fn share(&self, _: &str, _: &CrossOrigin<'_>) -> Result<http::HeaderMap, Fault> {
        Err(Fault::denied("no"))
    }
}

fn main() {
    let requests: usize = std::env::args().nth(1).map_or(50_000, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let gateway = Gateway::new(Options {
        dispatch: Arc::new(Door),
        services: model::SERVICES,
        sites: Vec::new(),
        buckets: Arc::new(Nobody),
        keys: Arc::new(Nobody),
        clocks: Arc::new(SystemClocks),
        rng: Arc::new(SystemRng),
        hosts: Vec::new(),
        metrics: Arc::new(String::new),
        walls: Arc::new(Walls::default),
        test_controls: None,
        tls: None,
        insecure: false,
        limits: Limits::default(),
        runtime: runtime.handle().clone(),
    });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move { gateway.serve(listener, Via::Client { loopback: true }, std::future::pending()).await });

    let mut socket = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_nodelay(true).unwrap();
    let request = format!(
        "POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=aa\r\n\
         X-Amz-Date: 20260101T000000Z\r\nContent-Length: 18\r\n\r\n{{\"name\":\"lambent\"}}"
    );
    let mut answer = [0; 4096];
    let mut times: Vec<u128> = (0..requests)
        .map(|_| {
            let begun = Instant::now();
            socket.write_all(request.as_bytes()).unwrap();
            let read = socket.read(&mut answer).unwrap();
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
            begun.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    println!("{requests} requests, p50 {} ns, p99 {} ns", times[requests / 2], times[requests * 99 / 100]);
}
