//! Framed bodies: AWS's documented examples, every way to cut them, and what is refused.

use base::{Fault, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use wire::Request;
use wire::chunked::{self, Decoder, Framing, Trailers};
use wire::sigv4::{self, Signer};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SIGNED: Framing = Framing { signed: true, trailer: false };
const SIGNED_TRAILER: Framing = Framing { signed: true, trailer: true };
const TRAILER: Framing = Framing { signed: false, trailer: true };

/// The moment of AWS's examples.
fn then() -> Timestamp {
    Timestamp::from_civil(2013, 5, 24, 0, 0, 0, 0)
}

/// AWS's example of 65 KB of `a` in chunks of 64 KB, with these signatures.
fn example(word: &str, headers: &[(&str, &str)], seed: &str, chunks: [&str; 3], after: &str) -> Request {
    let mut map = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    };
    add("host", "s3.amazonaws.com");
    add("x-amz-date", "20130524T000000Z");
    add("x-amz-storage-class", "REDUCED_REDUNDANCY");
    add("x-amz-content-sha256", word);
    add("content-encoding", "aws-chunked");
    add("x-amz-decoded-content-length", "66560");
    headers.iter().for_each(|(name, value)| add(name, value));
    let mut signed: Vec<&str> = vec![
        "content-encoding",
        "host",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-storage-class",
    ];
    signed.extend(headers.iter().map(|(name, _)| *name));
    signed.sort_unstable();
    let signed = signed.join(";");
    add(
        "authorization",
        &format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={seed}"
        ),
    );
    let mut body = Vec::new();
    for (size, signature) in [65536, 1024, 0].into_iter().zip(chunks) {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        if size > 0 {
            body.extend_from_slice(b"\r\n");
        }
    }
    body.extend_from_slice(after.as_bytes());
    Request {
        method: http::Method::PUT,
        path: "/examplebucket/chunkObject.txt".into(),
        query: String::new(),
        headers: map,
        body: body.into(),
    }
}

fn plain() -> Request {
    let mut request = example(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        &[("content-length", "66824")],
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
        "\r\n",
    );
    assert_eq!(request.body.len(), 66824, "as the documentation counts");
    request.headers.insert("content-length", HeaderValue::from_static("66824"));
    request
}

fn with_trailer() -> Request {
    example(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        &[("x-amz-trailer", "x-amz-checksum-crc32c")],
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
        "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    )
}

fn decoder(request: &Request) -> Decoder {
    let claim = sigv4::parse(request).unwrap().unwrap();
    claim.verify(request, SECRET, then()).unwrap();
    claim.decoder(request, SECRET).unwrap().expect("it is framed")
}

/// Decodes in pieces that end where `cuts` say.
fn decode(request: &Request, mut decoder: Decoder, cuts: &[usize]) -> Result<(Vec<u8>, Trailers), Fault> {
    let mut rest = request.body.clone();
    let mut out = Vec::new();
    for cut in cuts {
        let piece = rest.split_to((*cut).min(rest.len()));
        decoder.push(piece, &mut |bytes| out.extend_from_slice(&bytes))?;
    }
    decoder.push(rest, &mut |bytes| out.extend_from_slice(&bytes))?;
    Ok((out, decoder.finish()?))
}

#[test]
fn the_documented_examples_hold() {
    let request = plain();
    let (body, trailers) = decode(&request, decoder(&request), &[]).unwrap();
    assert_eq!((body, trailers), (vec![b'a'; 66560], vec![]));
    let request = with_trailer();
    let (body, trailers) = decode(&request, decoder(&request), &[]).unwrap();
    assert_eq!(body.len(), 66560);
    assert_eq!(trailers, [("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())]);
    // Some clients end the last chunk with a line break of its own, and some end a header with a bare line feed.
    let mut other = request.clone();
    let text = String::from_utf8(request.body.to_vec()).unwrap();
    other.body = text.replace("f992\r\n", "f992\r\n\r\n").replace("sOO8/Q==\r\n", "sOO8/Q==\n\r\n").into();
    assert_eq!(decode(&other, decoder(&other), &[]).unwrap().0.len(), 66560);
}

fn code(request: &Request) -> (String, u16) {
    let fault = decode(request, decoder(request), &[]).unwrap_err();
    (fault.code.into_owned(), fault.status)
}

#[test]
fn a_changed_byte_breaks_the_chain() {
    let whole = with_trailer();
    let text = String::from_utf8(whole.body.to_vec()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from));
        let mut request = whole.clone();
        request.body = text.replacen(from, to, 1).into();
        code(&request)
    };
    let mismatch = ("SignatureDoesNotMatch".to_owned(), 403);
    assert_eq!(changed("aaaa", "aaba"), mismatch);
    assert_eq!(changed("=b474", "=b475"), mismatch);
    assert_eq!(changed(";chunk-signature=1c13", ";other=1c13"), mismatch);
    assert_eq!(changed("=2ca2", "=2ca3"), mismatch);
    assert_eq!(changed(":d81f", ":d81e"), mismatch);
    assert_eq!(changed("sOO8", "sOO9"), mismatch);
    let incomplete = ("IncompleteBody".to_owned(), 400);
    assert_eq!(changed("400;", "401;"), incomplete);
    assert_eq!(changed("10000;", "fffffffffffffffff;"), incomplete);
    assert_eq!(changed("10000;", "-1;"), incomplete);
    assert_eq!(changed("x-amz-checksum-crc32c:", "x-amz-checksum-crc32:").0, "MalformedTrailerError");
    assert_eq!(changed("x-amz-trailer-signature", "x-amz-other").0, "MalformedTrailerError");
    for length in [0, 10, 90, 66_000, whole.body.len() - 1] {
        let mut short = whole.clone();
        short.body.truncate(length);
        assert_eq!(code(&short), incomplete, "{length}");
    }
}

fn unsigned(chunks: &[usize], trailer: &str) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-content-sha256", HeaderValue::from_static("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
    headers.insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-crc32"));
    headers.insert("x-amz-decoded-content-length", HeaderValue::from(chunks.iter().sum::<usize>()));
    let mut body = Vec::new();
    for size in chunks {
        body.extend_from_slice(format!("{size:x}\r\n{}\r\n", "x".repeat(*size)).as_bytes());
    }
    body.extend_from_slice(format!("0\r\n{trailer}\r\n\r\n").as_bytes());
    Request { method: http::Method::PUT, path: "/b/k".into(), query: String::new(), headers, body: body.into() }
}

fn refused(request: &Request) -> Fault {
    let decoder = Decoder::unverified(request).map(|decoder| decoder.expect("it is framed"));
    decoder.and_then(|decoder| decode(request, decoder, &[])).unwrap_err()
}

#[test]
fn sizes_lengths_and_checksums_are_checked() {
    let good = unsigned(&[5], "x-amz-checksum-crc32:QtHneA==");
    let decoder = Decoder::unverified(&good).unwrap().unwrap();
    assert_eq!(decoder.decoded_bytes(), 5);
    let (body, trailers) = decoder.whole(good.body.clone()).unwrap();
    assert_eq!((&body[..], trailers.len()), (&b"xxxxx"[..], 1));
    let wrong = refused(&unsigned(&[5], "x-amz-checksum-crc32:AAAAAA=="));
    assert_eq!((&*wrong.code, wrong.status), ("BadDigest", 400));
    assert_eq!(wrong.message, "The CRC32 you specified did not match the calculated checksum.");
    let invalid = refused(&unsigned(&[5], "x-amz-checksum-crc32:AA=="));
    assert_eq!(&*invalid.code, "InvalidRequest");
    assert_eq!(refused(&unsigned(&[5], "x-amz-meta-a:b")).code, "MalformedTrailerError");
    let small = refused(&unsigned(&[8191, 1], "x-amz-checksum-crc32:AAAAAA=="));
    assert_eq!((&*small.code, small.status), ("InvalidChunkSizeError", 400));
    assert_eq!(small.fields, [("Chunk", "2".to_owned()), ("BadChunkSize", "8191".to_owned())]);
    let mut other = good.clone();
    other.headers.remove("x-amz-decoded-content-length");
    let fault = refused(&other);
    assert_eq!((&*fault.code, fault.status), ("MissingContentLength", 411));
    for length in ["4", "6"] {
        other.headers.insert("x-amz-decoded-content-length", HeaderValue::from_static(length));
        assert_eq!(refused(&other).code, "IncompleteBody");
    }
    other.headers.insert("x-amz-content-sha256", HeaderValue::from_static("STREAMING-SOMETHING"));
    assert_eq!(refused(&other).code, "InvalidArgument");
    let mut long = good.clone();
    long.body = format!("0{}\r\n", "0".repeat(2000)).into();
    assert_eq!(refused(&long).code, "IncompleteBody");
    let mut trailer = good;
    trailer.headers.insert("x-amz-decoded-content-length", HeaderValue::from_static("0"));
    trailer.body = format!("0\r\nx-a:{}\r\n\r\n", "b".repeat(20_000)).into();
    assert_eq!(refused(&trailer).code, "MalformedTrailerError");
}

#[test]
fn what_names_the_framing_goes_with_it() {
    let mut headers = HeaderMap::new();
    headers.insert("content-encoding", HeaderValue::from_static("gzip, aws-chunked"));
    headers.insert("x-amz-decoded-content-length", HeaderValue::from_static("5"));
    chunked::strip(&mut headers, 5);
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["content-length"], "5");
    assert!(!headers.contains_key("x-amz-decoded-content-length"));
    headers.insert("content-encoding", HeaderValue::from_static("aws-chunked"));
    chunked::strip(&mut headers, 5);
    assert!(!headers.contains_key("content-encoding"));
}

proptest! {
    #![proptest_config(crate::cases(400))]

    /// However the network cuts a body, and whatever the body, it decodes to what was framed.
    #[test]
    fn what_is_framed_decodes_however_it_is_cut(
        body in prop::collection::vec(any::<u8>(), 0..40_000),
        chunk in 8192usize..20_000,
        which in 0usize..3,
        cuts in prop::collection::vec(0usize..9000, 0..40),
    ) {
        let framing = [SIGNED, SIGNED_TRAILER, TRAILER][which];
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("127.0.0.1:4566"));
        let mut request = Request {
            method: http::Method::PUT, path: "/b/k".into(), query: String::new(), headers, body: Bytes::from(body.clone()),
        };
        let mut sum = wire::checksum::Checksum::new(wire::checksum::Algorithm::Crc64Nvme);
        sum.update(&body);
        let sum = sum.finish();
        let trailers = [("x-amz-checksum-crc64nvme", sum.as_str())];
        let trailers = if framing.trailer { &trailers[..] } else { &[] };
        let signer = Signer { key_id: "AKID", secret: SECRET, token: None, region: "us-east-1", service: "s3" };
        chunked::encode(&mut request, framing, chunk, trailers, &signer, then());
        let (decoded, found) = decode(&request, decoder(&request), &cuts).unwrap();
        prop_assert_eq!(decoded, body);
        prop_assert_eq!(found.len(), trailers.len());
    }

}

proptest! {
    #![proptest_config(crate::cases(10_000))]

    /// Whatever bytes come, the decoder ends with a fault or a body, never a panic.
    #[test]
    fn any_bytes_end(
        pieces in prop::collection::vec(prop_oneof![
            Just(&b"5\r\nxxxxx\r\n"[..]), Just(&b"0\r\n"[..]), Just(&b"\r\n"[..]), Just(&b"ffffffffffffffff\r\n"[..]),
            Just(&b"x-amz-checksum-crc32:AAAAAA==\r\n"[..]), Just(&b"\xff\n:;"[..]), Just(&b"1;chunk-signature="[..]),
        ], 0..12),
        announced in 0u64..30,
    ) {
        let mut request = unsigned(&[], "");
        request.headers.insert("x-amz-decoded-content-length", HeaderValue::from(announced));
        request.body = pieces.concat().into();
        let decoder = Decoder::unverified(&request).unwrap().unwrap();
        if let Ok((body, _)) = decode(&request, decoder, &[3, 1, 4]) {
            prop_assert_eq!(body.len() as u64, announced);
        }
    }
}
