//! Whatever bytes come: no panic, no 500, no open connection.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Got, World};

fn request() -> impl Strategy<Value = Vec<u8>> {
    let token = || {
        prop::sample::select(vec![
            "GET",
            "POST",
            "OPTIONS",
            "HEAD",
            "/",
            "/2015-03-31/functions/%ff/invocations",
            "/_lambent/url/",
            "/?Action=X&Version=",
            "/_lambent/health?%",
            "//",
            "*",
            "http://a b/",
            "HTTP/1.1",
            "HTTP/1.0",
            "HTTP/9",
            " ",
            "\r\n",
            "\r\n\r\n",
            "\n",
            "\0",
            "host: localhost",
            "host: [::",
            "host:",
            "content-length: 5",
            "content-length: -1",
            "content-length: 99999999999999999999",
            "transfer-encoding: chunked",
            "5\r\nhello\r\n0\r\n\r\n",
            "authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e,",
            "x-amz-target: .",
            "content-type: application/x-www-form-urlencoded",
            "Action=GetCallerIdentity",
            "{\"a\":",
            "connection: close",
            "origin: ://",
            "x-amz-date: 2",
            "accept: text/html",
            "expect: 100-continue",
        ])
    };
    let piece = prop_oneof![
        8 => token().prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    let line = (
        prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "FOO"]),
        token(),
        prop::collection::vec(piece.clone(), 0..6),
        any::<bool>(),
    )
        .prop_map(|(method, path, pieces, ends)| {
            let mut raw = format!("{method} {} HTTP/1.1\r\n", path.trim()).into_bytes();
            for piece in pieces {
                raw.extend_from_slice(&piece);
                raw.extend_from_slice(b"\r\n");
            }
            if ends {
                raw.extend_from_slice(b"\r\n{}");
            }
            raw
        });
    prop_oneof![3 => line, 1 => prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())]
}

#[test]
fn no_bytes_break_the_gateway() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) }, |(raw in request())| {
        let got = runtime.block_on(async {
            let mut stream = world.connect().await;
            let _refused_early = stream.write_all(&raw).await;
            let _gone = stream.shutdown().await;
            let mut answer = Vec::new();
            let _reset = stream.read_to_end(&mut answer).await;
            Got::of(&answer)
        });
        prop_assert!(got.status < 500 || got.status == 501, "{:?} for {:?}", got, String::from_utf8_lossy(&raw));
    });
    let health = runtime.block_on(world.ask("GET", "/_lambent/health", &[], b""));
    assert_eq!(health.status, 200);
    assert!(!world.serving.is_finished());
}
