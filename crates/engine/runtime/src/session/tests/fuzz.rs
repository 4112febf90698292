//! A client that says anything at all. `one` is the target: bytes in, and the session must neither panic nor hang nor
//! answer anything but Lambda's statuses. The corpus in `tests/corpus` is tried first. `LAMBENT_SOAK=n` runs n times as
//! many cases.

use std::io::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::{Piece, Sink};
use super::*;

/// Ids that a case can name: the event that is there, and one that is not.
const KNOWN: &str = "00000000-0000-4000-8000-000000000001";
const STATUSES: [u16; 10] = [100, 200, 202, 400, 403, 404, 405, 413, 414, 431];
/// An answer is at most this much longer than the shortest request it answers.
const LONGEST_ANSWER: usize = 1024;
const SHORTEST_REQUEST: usize = 16;
const STREAMED_BYTES: usize = 3000;

/// Sends `data` to a session that holds one event, in pieces where a byte 0xFF stands, and reads all it says.
async fn one(data: &[u8]) {
    say(data, None).await;
    let (sink, mut pieces) = Sink::new(Arc::new(base::SystemClocks));
    let taking = tokio::spawn(async move {
        let mut taken = 0;
        while let Some(piece) = pieces.recv().await {
            if let Piece::Bytes(bytes) = piece {
                assert!(!bytes.is_empty());
                taken += bytes.len();
            }
        }
        taken
    });
    say(data, Some(sink)).await;
    assert!(timeout(PATIENCE, taking).await.expect("what streams ends").unwrap() <= STREAMED_BYTES);
}

async fn say(data: &[u8], sink: Option<Sink>) {
    let limits = Limits {
        connections: 2,
        payload_bytes: 2000,
        streamed_bytes: STREAMED_BYTES,
        head_bytes: 4000,
        ..Limits::default()
    };
    let served = Served::with(limits).await;
    let given = Event { request_id: KNOWN.parse().unwrap(), sink, ..event("an event") };
    let session = Arc::clone(&served.session);
    let invocation = tokio::spawn(async move { session.invoke(given).await });
    tokio::task::yield_now().await;
    let (mut reader, mut writer) = TcpStream::connect(served.address).await.unwrap().into_split();
    let sending = async {
        for piece in data.split(|byte| *byte == 0xFF) {
            // The server may have had enough.
            if writer.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
    };
    let mut said = Vec::new();
    let talk = async { tokio::join!(sending, reader.read_to_end(&mut said)).1 };
    // A reset is an end too: it hung up on bytes it had not read.
    let _ = timeout(PATIENCE, talk).await.expect("it ends when the client has ended");
    assert!(said.len() <= (data.len() / SHORTEST_REQUEST + 2) * LONGEST_ANSWER, "{} of {}", said.len(), data.len());
    check(&said);
    served.session.close();
    let _ = timeout(PATIENCE, invocation).await.expect("a session that is closed ends its invocations");
}

/// Everything said is whole answers in a row, but for a last one that was cut off.
fn check(mut said: &[u8]) {
    while let Some(end) = memchr::memmem::find(said, b"\r\n\r\n") {
        let head = std::str::from_utf8(&said[..end]).expect("heads are text");
        let status: u16 =
            head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok()).expect("a status line");
        assert!(STATUSES.contains(&status), "{head}");
        let length = field(head, "Content-Length").map_or(0, |length| length.parse().unwrap());
        said = said.get(end + 4 + length..).unwrap_or_default();
    }
}

fn words() -> Vec<&'static str> {
    vec![
        "GET ",
        "POST ",
        "DELETE ",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "/2018-06-01/runtime/invocation/next",
        "/2018-06-01/runtime/init/error",
        "/2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000001/response",
        "/2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000001/error",
        "/2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000002/response",
        "/2020-01-01/extension/register",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "\r\n",
        "\n",
        "Content-Length: 0\r\n",
        "Content-Length: 7\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 1999\r\n",
        "Content-Length: 2001\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "Lambda-Runtime-Function-Error-Type: A.B\r\n",
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n",
        "{\"a\":1}",
        "7\r\n{\"a\":1}\r\n",
        "0\r\n\r\n",
        "0\r\nLambda-Runtime-Function-Error-Type: A.B\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n",
        "0\r\nLambda-Runtime-Function-Error-Body: no base64\r\n",
        "ffffffffffffffff\r\n",
        "-1\r\n",
        ";x=y",
        "\0",
    ]
}

/// Whole requests, pieces of requests, noise, and places where the client takes a breath.
fn cases() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        NEXT.as_bytes().to_vec(),
        post(&format!("invocation/{KNOWN}/response"), "{\"a\":1}").into_bytes(),
        post(&format!("invocation/{KNOWN}/error"), "{}").into_bytes(),
        post("init/error", "{}").into_bytes(),
        format!("POST /2018-06-01/runtime/invocation/{KNOWN}/response HTTP/1.1\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes(),
        b"GET /nothing HTTP/1.1\r\n\r\n".to_vec(),
    ]);
    let piece = prop_oneof![
        3 => whole,
        6 => prop::sample::select(words()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (1usize..3000).prop_map(|length| vec![b'a'; length]),
        1 => Just(vec![0xFF]),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn executor() -> tokio::runtime::Runtime {
    // The clock stands until nobody has anything to do, and then goes to whoever waits: no case takes real time.
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn the_corpus_is_survived() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let executor = executor();
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        executor.block_on(one(&data));
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}

#[test]
fn a_client_may_say_anything() {
    let times = std::env::var("LAMBENT_SOAK").ok().and_then(|times| times.parse::<u32>().ok()).unwrap_or(1);
    let mut runner = TestRunner::new(Config { cases: 10_000 * times, failure_persistence: None, ..Config::default() });
    let executor = executor();
    let result = runner.run(&cases(), |data| {
        executor.block_on(one(&data));
        Ok(())
    });
    if let Err(error) = result {
        let _ = writeln!(std::io::stderr(), "a case to add to tests/corpus: {error}");
        panic!("{error}");
    }
}
