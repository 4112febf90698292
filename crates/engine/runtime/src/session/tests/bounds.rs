//! What a client may not make the platform keep or do.

use tokio::task::yield_now;

use super::super::connection::{FREE_STRAYS, OUT_BYTES, SMALL_HEAD_BYTES, STRAY_PAUSE};
use super::*;

/// Lets the server, which runs on this thread, do what it can.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

#[tokio::test]
async fn one_report_of_a_failed_init_is_read_at_a_time() {
    let served = Served::new().await;
    let mut first = served.client().await;
    first.send("POST /2018-06-01/runtime/init/error HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nhalf").await;
    settle().await;
    // Its body is thrown away as it comes.
    let mut second = served.client().await;
    second.post("init/error", "{}").await;
    assert_eq!(second.refusal().await, (403, "InvalidStateTransition".into()));
    drop(first);
    let taken = async {
        loop {
            second.post("init/error", "{}").await;
            if second.answer().await.0 == 202 {
                break;
            }
        }
    };
    timeout(PATIENCE, taken).await.expect("one that broke off does not keep others from it");
}

#[tokio::test]
async fn one_large_head_is_read_at_a_time() {
    let served = Served::new().await;
    let large = format!("GET /nothing HTTP/1.1\r\nX: {}", "a".repeat(2 * SMALL_HEAD_BYTES));
    let mut first = served.client().await;
    first.send(&large).await;
    settle().await;
    let mut second = served.client().await;
    second.send(large.clone() + "\r\n\r\n").await;
    assert!(second.hears_nothing().await, "two were read at once");
    // Small ones are not held up.
    let mut small = served.client().await;
    small.send("GET /nothing HTTP/1.1\r\n\r\n").await;
    assert_eq!(small.answer().await.0, 404);
    first.send("\r\n\r\n").await;
    assert_eq!(first.answer().await.0, 404);
    assert_eq!(second.answer().await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn who_strays_again_and_again_is_answered_slowly() {
    let served = Served::new().await;
    let mut client = served.client().await;
    let before = tokio::time::Instant::now();
    for _ in 0..FREE_STRAYS {
        client.send("GET /nothing HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer().await.0, 404);
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    for _ in 0..3 {
        client.send("GET /nothing HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer().await.0, 404);
    }
    assert_eq!(before.elapsed().as_millis() / STRAY_PAUSE.as_millis(), 3);
    // An answer that is taken makes good for all.
    let given = event("{}");
    let id = given.request_id;
    served.invoke(given);
    client.next().await;
    client.respond(id, "1").await;
    let after = tokio::time::Instant::now();
    client.post(&format!("invocation/{id}/response"), "2").await;
    assert_eq!(client.refusal().await.0, 403);
    assert_eq!(after.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn answers_are_not_kept_for_who_does_not_read_them() {
    let served = Served::new().await;
    let mut client = served.client().await;
    // The event again and again, as long as it is not answered, in one piece of asking.
    served.invoke(event(&"x".repeat(OUT_BYTES)));
    client.next().await;
    client.send(NEXT.repeat(500)).await;
    settle().await;
    let heard = client.socket.try_read(&mut vec![0; 1 << 20]).unwrap();
    assert!(heard > OUT_BYTES, "what is much is written at once");
    served.session.close();
    client.is_closed().await;
}
