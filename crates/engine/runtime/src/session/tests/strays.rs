//! What a runtime client does that strays, breaks off, or means harm.

use super::super::BrokenOff;
use super::*;

/// A client that has been given an event.
async fn running(served: &Served) -> (Client, RequestId, JoinHandle<Result<Outcome, Gone>>) {
    let given = event("{}");
    let id = given.request_id;
    let invocation = served.invoke(given);
    let mut client = served.client().await;
    client.next().await;
    (client, id, invocation)
}

#[tokio::test]
async fn wrong_ids_and_second_answers_are_refused() {
    let served = Served::new().await;
    let (mut client, id, invocation) = running(&served).await;
    for wrong in ["nonsense", "00000000-0000-4000-8000-000000000000", ""] {
        client.post(&format!("invocation/{wrong}/response"), "{}").await;
        let (status, _, body) = client.answer().await;
        assert_eq!(
            (status, body),
            (400, r#"{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}"#.into())
        );
    }
    client.respond(id, "1").await;
    for kind in ["response", "error"] {
        client.post(&format!("invocation/{id}/{kind}"), "{}").await;
        assert_eq!(client.refusal().await, (403, "InvalidStateTransition".into()));
    }
    assert_eq!(invocation.await.unwrap(), response("1"));
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let served = Served::new().await;
    let mut client = served.client().await;
    for path in ["/", "/2018-06-01/ping", "/2020-01-01/extension/register", "/2018-06-01/runtime/invocation/x/y/z"] {
        client.send(format!("POST {path} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")).await;
        assert_eq!(client.refusal().await, (404, "NotFound".into()));
    }
    client.send("POST /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.refusal().await.0, 405);
}

#[tokio::test]
async fn a_client_that_did_not_answer_gets_its_event_again() {
    let served = Served::new().await;
    let (mut client, id, invocation) = running(&served).await;
    for _ in 0..2 {
        let (head, _) = client.next().await;
        assert_eq!(field(&head, "Lambda-Runtime-Aws-Request-Id"), Some(id.as_str()));
    }
    client.respond(id, "1").await;
    assert_eq!(invocation.await.unwrap(), response("1"));
}

#[tokio::test]
async fn a_client_that_went_while_waiting_costs_no_event() {
    let served = Served::new().await;
    let mut gone = served.client().await;
    gone.send(NEXT).await;
    served.session.initialised().await;
    drop(gone);
    let (mut client, id, invocation) = running(&served).await;
    client.respond(id, "1").await;
    assert_eq!(invocation.await.unwrap(), response("1"));
}

#[tokio::test]
async fn a_client_that_went_leaves_the_queue() {
    let served = Served::new().await;
    let (mut gone, mut client) = (served.client().await, served.client().await);
    for client in [&mut gone, &mut client] {
        client.send(NEXT).await;
        assert!(client.hears_nothing().await);
    }
    drop(gone);
    let noticed = async {
        while served.session.exchange.waiting() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, noticed).await.expect("the server notices");
    served.invoke(event("for the second"));
    assert_eq!(client.event().await.1, "for the second");
}

#[tokio::test]
async fn an_abandoned_invocation_takes_its_event_back() {
    let served = Served::new().await;
    let (mut client, id, invocation) = running(&served).await;
    invocation.abort();
    assert!(invocation.await.unwrap_err().is_cancelled());
    client.post(&format!("invocation/{id}/response"), "late").await;
    assert_eq!(client.refusal().await, (400, "InvalidRequestID".into()));
    // And the next event is the next event.
    let given = event("new");
    served.invoke(given);
    assert_eq!(client.next().await.1, "new");
}

#[tokio::test]
async fn an_event_half_written_ends_its_connection() {
    let served = Served::new().await;
    let mut client = served.client().await;
    client.send(NEXT).await;
    served.session.initialised().await;
    // More than the socket takes while nobody reads.
    let invocation = served.invoke(event(&"x".repeat(32 << 20)));
    client.socket.readable().await.unwrap();
    invocation.abort();
    assert!(invocation.await.unwrap_err().is_cancelled());
    client.is_closed().await;
    assert!(client.arrived.len() < 32 << 20);
}

#[tokio::test]
async fn an_answer_broken_off_may_be_sent_again() {
    let served = Served::new().await;
    let (mut client, id, invocation) = running(&served).await;
    client
        .send(format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"))
        .await;
    let mut second = served.client().await;
    // While one answers, another may not.
    second.post(&format!("invocation/{id}/error"), "").await;
    assert_eq!(second.refusal().await, (403, "InvalidStateTransition".into()));
    drop(client);
    // As soon as the server has noticed.
    let taken = async {
        loop {
            second.post(&format!("invocation/{id}/response"), "whole").await;
            if second.answer().await.0 == 202 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the server notices");
    assert_eq!(invocation.await.unwrap(), response("whole"));
}

#[tokio::test]
async fn what_is_too_large_fails_the_invocation() {
    let limits = Limits { payload_bytes: 10, ..Limits::default() };
    let served = Served::with(limits).await;
    let wanted = Outcome::Error {
        error_type: "Function.ResponseSizeTooLarge".into(),
        payload: r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (10 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#.into(),
    };
    let (mut client, id, invocation) = running(&served).await;
    client.post(&format!("invocation/{id}/response"), "12345678901").await;
    assert_eq!(client.refusal().await, (413, "RequestEntityTooLarge".into()));
    assert_eq!(invocation.await.unwrap(), Ok(wanted.clone()));

    let (mut client, id, invocation) = running(&served).await;
    let path = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n");
    client.send(format!("{path}Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n")).await;
    assert_eq!(client.refusal().await.0, 413);
    assert_eq!(invocation.await.unwrap(), Ok(wanted.clone()));

    // The connection lives on. Exactly as much as may be is taken.
    let given = event("{}");
    let id = given.request_id;
    let invocation = served.invoke(given);
    client.next().await;
    client.respond(id, "1234567890").await;
    assert_eq!(invocation.await.unwrap(), response("1234567890"));

    // One that asks before it sends is told at once.
    let (mut client, id, invocation) = running(&served).await;
    let path = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n");
    client.send(format!("{path}Expect: 100-continue\r\nContent-Length: 99\r\n\r\n")).await;
    assert_eq!(client.refusal().await.0, 413);
    client.is_closed().await;
    assert_eq!(invocation.await.unwrap(), Ok(wanted));
}

#[tokio::test]
async fn a_response_that_nobody_reads_to_its_end_fails_the_invocation_and_the_client() {
    let served = Served::with(Limits { payload_bytes: 10, ..Limits::default() }).await;
    let wanted = Ok(Outcome::BrokenOff(BrokenOff::TooLarge { limit: 10 }));
    let (mut client, id, invocation) = running(&served).await;
    let path = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n");
    client.send(format!("{path}Content-Length: 99999999\r\n\r\n")).await;
    assert_eq!(invocation.await.unwrap(), wanted);
    client.is_closed().await;

    let (mut client, id, invocation) = running(&served).await;
    let path = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n");
    client.send(format!("{path}Transfer-Encoding: chunked\r\n\r\n")).await;
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    while client.socket.write_all(chunk.as_bytes()).await.is_ok() {}
    assert_eq!(invocation.await.unwrap(), wanted);
}

#[tokio::test]
async fn an_unknown_response_mode_is_refused_clearly() {
    let served = Served::new().await;
    let (mut client, id, invocation) = running(&served).await;
    client
        .send(format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n\
         Lambda-Runtime-Function-Response-Mode: sideways\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
        ))
        .await;
    assert_eq!(client.refusal().await, (400, "InvalidFunctionResponseMode".into()));
    let Ok(Outcome::Error { error_type, .. }) = invocation.await.unwrap() else { panic!("it was taken") };
    assert_eq!(error_type, "Runtime.InvalidResponseModeHeader");
}

#[tokio::test]
async fn what_is_no_request_ends_the_connection() {
    let served = Served::with(Limits { head_bytes: 5000, ..Limits::default() }).await;
    for (bytes, status) in [
        ("\x16\x03\x01nonsense\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(10_000)), 431),
    ] {
        let mut client = served.client().await;
        client.send(&bytes).await;
        assert_eq!(client.refusal().await.0, status, "{bytes:.80}");
        client.is_closed().await;
    }
    // Asking again while waiting is no request either.
    let mut client = served.client().await;
    client.send(format!("{NEXT}{NEXT}")).await;
    client.is_closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_not_waited_for() {
    let served = Served::with(Limits { head_time: PATIENCE / 2, ..Limits::default() }).await;
    let mut client = served.client().await;
    client.send("GET / HTTP/1.1\r\nA:").await;
    // The paused clock runs ahead as soon as nothing else happens.
    let before = tokio::time::Instant::now();
    client.is_closed().await;
    assert!(before.elapsed() >= PATIENCE / 3);
}

#[tokio::test]
async fn a_callers_values_make_no_headers() {
    let served = Served::new().await;
    let mut given = event("{}");
    given.client_context = Some("{\"a\":\r\n\"b\"}\r\nInjected: yes\r\n\r\n".into());
    served.invoke(given);
    let (head, body) = served.client().await.next().await;
    assert_eq!(field(&head, "Injected"), None);
    assert_eq!(field(&head, "Lambda-Runtime-Client-Context"), Some("{\"a\":  \"b\"}  Injected: yes    "));
    assert_eq!(body, "{}");
}
