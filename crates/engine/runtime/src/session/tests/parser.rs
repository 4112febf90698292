//! The parser takes anything.

use proptest::prelude::*;

use super::super::http::{Chunks, Length, Malformed, Piece, Route, head, head_end};

/// Pieces of requests, right and wrong, and noise.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![
            "GET", "POST", " ", "/", "/2018-06-01/runtime/invocation/next", "/2018-06-01/runtime/init/error",
            "/2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000000/response", " HTTP/1.1", " HTTP/1.0", "\r\n",
            "\r\n\r\n", "\n", ":", "Content-Length: 5", "Content-Length: 18446744073709551616", "Transfer-Encoding: chunked",
            "Connection: close", "Expect: 100-continue", "Lambda-Runtime-Function-Error-Type: x", "0\r\n\r\n", "5\r\nabcde\r\n",
            "ffffffffffffffff\r\n", "fffffffffffffffff\r\n", ";", "\0",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(word, 0..16).prop_map(|words| words.concat())
}

/// The body that `bytes` carry when they arrive in pieces of these sizes, and how many bytes of them were taken.
fn unchunked(bytes: &[u8], sizes: &[usize]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let (mut chunks, mut body, mut at, mut arrived) = (Chunks::default(), Vec::new(), 0, 0);
    for size in sizes.iter().copied().chain([bytes.len()]) {
        arrived = (arrived + size).min(bytes.len());
        loop {
            match chunks.next(&bytes[at..arrived])? {
                Piece::Data { skip, data } => {
                    assert!(data > 0);
                    body.extend_from_slice(&bytes[at + skip..at + skip + data]);
                    at += skip + data;
                }
                Piece::End { skip } => return Ok(Some((body, at + skip))),
                Piece::More { skip } => {
                    at += skip;
                    break;
                }
            }
        }
    }
    Ok(None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_request_or_a_refusal(bytes in bytes(), scanned in 0usize..64) {
        if let Some(end) = head_end(&bytes, 0) {
            // However much was looked at before, the end is found where it is.
            prop_assert_eq!(head_end(&bytes, scanned.min(end - 1)), Some(end));
            let _ = head(&bytes[..end]);
        }
        let _ = head(&bytes);
    }

    #[test]
    fn chunks_do_not_depend_on_how_they_arrive(bytes in bytes(), sizes in prop::collection::vec(1usize..9, 0..40)) {
        let whole = unchunked(&bytes, &[]);
        let pieces = unchunked(&bytes, &sizes);
        // A line that is too long may be refused earlier when it arrives in pieces; everything here is short.
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn what_was_cut_into_chunks_comes_out_whole(
        body in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
        sizes in prop::collection::vec(1usize..9, 0..40),
        behind in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut bytes = Vec::new();
        for chunk in &body {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let length = bytes.len();
        bytes.extend_from_slice(&behind);
        prop_assert_eq!(unchunked(&bytes, &sizes), Ok(Some((body.concat(), length))));
    }
}

#[test]
fn heads_are_read_as_written() {
    let read = |text: &str| head(text.as_bytes());
    let post = "POST /2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000000/error?x HTTP/1.1\r\n";
    let found = read(&format!("{post}CONTENT-LENGTH:  7 \r\nlambda-runtime-function-error-type: A.B\r\n\r\n")).unwrap();
    let id = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    assert_eq!((found.route, found.length, found.keep_alive), (Route::Error(Some(id)), Length::Known(7), true));
    assert_eq!(found.error_type.as_deref(), Some("A.B"));
    assert!(!read("GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
    assert!(read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
    assert!(!read("GET / HTTP/1.1\r\nConnection: x, close\r\n\r\n").unwrap().keep_alive);
    for wrong in [
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1",
    ] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
}
