//! What a runtime client does that knows its way.

use super::super::InitOutcome;
use super::*;

#[tokio::test]
async fn an_event_goes_to_the_waiting_client_and_its_answer_comes_back() {
    let served = Served::new().await;
    let mut client = served.client().await;
    client.send(NEXT).await;
    assert_eq!(served.session.initialised().await, InitOutcome::Ready);
    for payload in ["{\"a\":1}", "", "2"] {
        let mut given = event(payload);
        given.trace = Some("Root=1-2-3".into());
        let id = given.request_id;
        let invocation = served.invoke(given);
        let (head, body) = client.event().await;
        assert_eq!(body, payload);
        assert_eq!(field(&head, "Lambda-Runtime-Aws-Request-Id"), Some(id.as_str()));
        assert_eq!(field(&head, "Lambda-Runtime-Deadline-Ms"), Some("1763683200123"));
        assert_eq!(field(&head, "Lambda-Runtime-Trace-Id"), Some("Root=1-2-3"));
        assert!(field(&head, "Lambda-Runtime-Invoked-Function-Arn").unwrap().ends_with(":function:f"));
        client.respond(id, "answer").await;
        assert_eq!(invocation.await.unwrap(), response("answer"));
        client.send(NEXT).await;
    }
}

#[tokio::test]
async fn an_event_waits_for_a_client() {
    let served = Served::new().await;
    let given = event("early");
    let id = given.request_id;
    let invocation = served.invoke(given);
    tokio::task::yield_now().await;
    let mut client = served.client().await;
    assert_eq!(client.next().await.1, "early");
    // Another connection may answer.
    served.client().await.respond(id, "1").await;
    assert_eq!(invocation.await.unwrap(), response("1"));
}

#[tokio::test]
async fn an_answer_and_the_next_request_may_come_together() {
    let served = Served::new().await;
    let mut client = served.client().await;
    let mut given = event("0");
    client.send(NEXT).await;
    for round in 0..3 {
        let id = given.request_id;
        let invocation = served.invoke(given);
        if round > 0 {
            // Accepted only now, in one piece with the event.
            assert_eq!(client.answer().await.0, 202);
        }
        assert_eq!(client.event().await.1, round.to_string());
        client.send(post(&format!("invocation/{id}/response"), "r") + NEXT).await;
        assert_eq!(invocation.await.unwrap(), response("r"));
        assert!(client.hears_nothing().await, "two writes where one will do");
        given = event(&(round + 1).to_string());
    }
}

#[tokio::test]
async fn an_error_carries_its_type() {
    let served = Served::new().await;
    let mut client = served.client().await;
    for (header, wanted) in [("Lambda-Runtime-Function-Error-Type: My.Error\r\n", "My.Error"), ("", "Function.Unknown")]
    {
        let given = event("{}");
        let id = given.request_id;
        let invocation = served.invoke(given);
        client.next().await;
        client
            .send(format!(
                "POST /2018-06-01/runtime/invocation/{id}/error HTTP/1.1\r\n{header}content-length: 2\r\n\r\n{{}}"
            ))
            .await;
        assert_eq!(client.answer().await.0, 202);
        let wanted = Outcome::Error { error_type: wanted.into(), payload: "{}".into() };
        assert_eq!(invocation.await.unwrap(), Ok(wanted));
    }
}

#[tokio::test]
async fn init_may_fail() {
    let served = Served::new().await;
    let mut client = served.client().await;
    let waiting = served.invoke(event("{}"));
    tokio::task::yield_now().await;
    client
        .send(
            "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nLambda-Runtime-Function-Error-Type: Runtime.X\r\n\
         Content-Length: 2\r\n\r\n{}",
        )
        .await;
    assert_eq!(client.answer().await.0, 202);
    let failed = InitOutcome::Failed { error_type: "Runtime.X".into(), payload: "{}".into() };
    assert_eq!(served.session.initialised().await, failed);
    assert_eq!(served.session.initialised().await, failed);
    assert_eq!(waiting.await.unwrap(), Err(Gone));
    assert_eq!(served.session.invoke(event("{}")).await, Err(Gone));
    client.send(NEXT).await;
    assert_eq!(client.refusal().await, (403, "InvalidStateTransition".into()));
    client.post("init/error", "{}").await;
    assert_eq!(client.refusal().await, (403, "InvalidStateTransition".into()));
}

#[tokio::test]
async fn bodies_may_be_chunked_or_announced() {
    let served = Served::new().await;
    let mut client = served.client().await;
    let given = event("{}");
    let id = given.request_id;
    let invocation = served.invoke(given);
    client.next().await;
    client.send(format!(
        "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n"
    ))
    .await;
    tokio::task::yield_now().await;
    client.send("2\r\nde\r\n0\r\nTrailer: x\r\n\r\n").await;
    assert_eq!(client.answer().await.0, 202);
    assert_eq!(invocation.await.unwrap(), response("abcde"));

    let given = event("{}");
    let id = given.request_id;
    let invocation = served.invoke(given);
    client.next().await;
    client.send(format!(
        "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    ))
    .await;
    assert_eq!(client.answer().await.0, 100);
    client.send("ok").await;
    assert_eq!(client.answer().await.0, 202);
    assert_eq!(invocation.await.unwrap(), response("ok"));
}

#[tokio::test]
async fn a_session_that_is_closed_answers_nobody() {
    let served = Served::new().await;
    let mut client = served.client().await;
    let running = served.invoke(event("{}"));
    client.next().await;
    served.session.close();
    assert_eq!(running.await.unwrap(), Err(Gone));
    assert_eq!(served.session.invoke(event("{}")).await, Err(Gone));
    client.is_closed().await;
}

#[tokio::test]
async fn several_events_may_run_at_once() {
    let served = Served::with(Limits { concurrency: 2, ..Limits::default() }).await;
    let (mut one, mut two) = (served.client().await, served.client().await);
    let (first, second) = (event("1"), event("2"));
    let ids = (first.request_id, second.request_id);
    let first = served.invoke(first);
    assert_eq!(one.next().await.1, "1");
    let second = served.invoke(second);
    assert_eq!(two.next().await.1, "2");
    one.respond(ids.1, "b").await;
    two.respond(ids.0, "a").await;
    assert_eq!(first.await.unwrap(), response("a"));
    assert_eq!(second.await.unwrap(), response("b"));
}

#[tokio::test]
async fn connections_are_bounded() {
    let served = Served::with(Limits { connections: 2, ..Limits::default() }).await;
    let (mut one, mut two) = (served.client().await, served.client().await);
    for client in [&mut one, &mut two] {
        client.send("GET /nothing HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer().await.0, 404);
    }
    let mut three = served.client().await;
    three.send("GET /nothing HTTP/1.1\r\n\r\n").await;
    assert!(three.hears_nothing().await, "a third was served");
    drop(one);
    assert_eq!(three.answer().await.0, 404);
}
