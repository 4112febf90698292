//! Bodies that come or go compressed.

use std::io::{Read as _, Write as _};

use door::{Body, Site as _, SiteResponse};
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::GzEncoder;
use model::apigateway::ops;
use serde_json::json;

use super::world::{Rest, patches, rest};
use crate::world::{Does, request};

const LONG: usize = 100_000;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

impl Rest {
    async fn compresses(&self, api: &str, from: &str) {
        let patch = patches(&[("replace", "/minimumCompressionSize", from)]);
        let input = rest!(UpdateRestApiRequest { rest_api_id: api, patch_operations: patch });
        self.call::<ops::UpdateRestApi>(input).await.unwrap();
        self.deploy(api, "dev").await;
    }

    async fn raw(&self, api: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (SiteResponse, Vec<u8>) {
        let answer = self.apis.serve(request(api, "POST", "/dev/", headers, body).to_site()).await;
        let Body::Bytes(bytes) = &answer.body else { panic!("a whole body") };
        let bytes = bytes.to_vec();
        (answer, bytes)
    }
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_accepts_that() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.proxy(&api, &root, "ANY").await;
    rest.compresses(&api, "10").await;
    let long = "a".repeat(LONG);
    rest.world.function.does(Does::Answers(json!({"statusCode": 200, "body": long})));
    let (answer, packed) = rest.raw(&api, &[("accept-encoding", "gzip, deflate")], Vec::new()).await;
    assert_eq!(answer.headers["content-encoding"], "gzip");
    let mut plain = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut plain).unwrap();
    assert!(plain == long && packed.len() < 1000);
    let (answer, packed) = rest.raw(&api, &[("accept-encoding", "deflate")], Vec::new()).await;
    assert_eq!(answer.headers["content-encoding"], "deflate");
    let mut plain = String::new();
    ZlibDecoder::new(&packed[..]).read_to_string(&mut plain).unwrap();
    assert_eq!(plain, long);
    for accepted in ["identity", "br", "*"] {
        let (answer, body) = rest.raw(&api, &[("accept-encoding", accepted)], Vec::new()).await;
        assert!(!answer.headers.contains_key("content-encoding") && body.len() == LONG, "{accepted}");
    }
    let own = json!({"statusCode": 200, "headers": {"content-encoding": "br"}, "body": long});
    rest.world.function.does(Does::Answers(own));
    let (answer, body) = rest.raw(&api, &[("accept-encoding", "gzip")], Vec::new()).await;
    assert!(answer.headers["content-encoding"] == "br" && body.len() == LONG, "what is coded stays as it is");
    rest.world.function.does(Does::Answers(json!({"statusCode": 200, "body": "short"})));
    let (answer, _) = rest.raw(&api, &[("accept-encoding", "gzip")], Vec::new()).await;
    assert!(!answer.headers.contains_key("content-encoding"));
    // An empty size is none.
    rest.compresses(&api, "").await;
    rest.world.function.does(Does::Answers(json!({"statusCode": 200, "body": long})));
    let (_, body) = rest.raw(&api, &[("accept-encoding", "gzip")], Vec::new()).await;
    assert_eq!(body.len(), LONG);
}

#[tokio::test]
async fn compressed_requests_are_unpacked() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.proxy(&api, &root, "ANY").await;
    rest.compresses(&api, "0").await;
    rest.world.function.does(Does::Answers(json!({"statusCode": 200, "body": "ok"})));
    let coded = [("content-encoding", "gzip"), ("content-type", "text/plain")];
    let long = "é".repeat(LONG);
    for plain in ["hello", &long] {
        assert_eq!(rest.raw(&api, &coded, gzip(plain.as_bytes())).await.0.status, 200);
        let event = rest.world.function.called().event;
        assert_eq!((&event["body"], &event["headers"]["Content-Encoding"]), (&json!(plain), &json!(null)));
    }
    let (answer, body) = rest.raw(&api, &coded, b"no gzip".to_vec()).await;
    assert_eq!((answer.status, &body[..]), (415, &br#"{"message":"Unsupported Media Type"}"#[..]));
    assert_eq!(rest.raw(&api, &[("content-encoding", "br")], b"x".to_vec()).await.0.status, 415);
    let bomb = gzip(&vec![0; 20 * 1024 * 1024]);
    assert_eq!(rest.raw(&api, &coded, bomb).await.0.status, 413);
    assert!(!rest.world.function.was_called());
    assert_eq!(rest.raw(&api, &[("content-encoding", "identity")], b"x".to_vec()).await.0.status, 200);
    rest.world.function.called();
    // Shorter than the size it goes on as it came.
    rest.compresses(&api, "1000").await;
    rest.raw(&api, &coded, gzip(b"hello")).await;
    assert_eq!(rest.world.function.called().event["headers"]["Content-Encoding"], "gzip");
}

#[tokio::test]
async fn a_size_is_kept_and_shown() {
    let rest = Rest::new();
    let made = rest!(CreateRestApiRequest { name: "a", minimum_compression_size: 5 });
    let made = rest.call::<ops::CreateRestApi>(made).await.unwrap();
    assert_eq!(made.minimum_compression_size, Some(5));
    let api = made.id.unwrap();
    let again = rest.restarted();
    let read = again.call::<ops::GetRestApi>(rest!(GetRestApiRequest { rest_api_id: &*api })).await.unwrap();
    assert_eq!(read.minimum_compression_size, Some(5));
    let wrong = rest!(CreateRestApiRequest { name: "a", minimum_compression_size: 10_485_761 });
    let fault = rest.call::<ops::CreateRestApi>(wrong).await.unwrap_err();
    assert_eq!(fault.message, "Invalid minimum compression size, must be between 0 and 10485760");
}
