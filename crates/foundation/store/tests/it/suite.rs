//! What every engine does alike. Each case runs over all of them.

use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use store::{Batch, Error, Key, Kv, Range, Rows, Space, get_json, transact_with};

use crate::redb_kv;

/// Runs a case over every engine, each in a fresh folder.
async fn on_each<F: Future<Output = ()>>(case: impl Fn(Arc<dyn Kv>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    case(store::memory()).await;
    case(redb_kv::open(folder.path())).await;
    case(store::open(&folder.path().join("kv")).unwrap()).await;
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn put_all(kv: &dyn Kv, rows: &[(Space, &'static str, &'static str)]) {
    let rows = rows.to_vec();
    let put = move |_: &Rows| {
        let mut batch = Batch::new();
        for (space, key, value) in &rows {
            batch.put(*space, *key, *value);
        }
        Ok(batch)
    };
    kv.transact(vec![], Box::new(put)).await.unwrap();
}

#[tokio::test]
async fn rows_are_read_back_in_order_within_their_space() {
    on_each(|kv| async move {
        use Space::{Control, Log, Meta};
        let rows = [(Control, "b", "2"), (Control, "a", "1"), (Control, "ab", "3"), (Log, "a", "4"), (Meta, "", "5")];
        put_all(kv.as_ref(), &rows).await;
        assert_eq!(kv.get(Control, b"ab"), Ok(Some(bytes("3"))));
        assert_eq!(kv.get(Control, b"abc"), Ok(None));
        assert_eq!(kv.get(Meta, b""), Ok(Some(bytes("5"))));
        let keys = |range, limit, reverse| -> Vec<Bytes> {
            kv.range(Control, range, limit, reverse).unwrap().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys(Range::all(), 9, false), ["a", "ab", "b"]);
        assert_eq!(keys(Range::all(), 2, true), ["b", "ab"]);
        assert_eq!(keys(Range::prefix("a"), 9, false), ["a", "ab"]);
        assert_eq!(keys(Range::prefix("a").after("a"), 9, false), ["ab"]);
        assert_eq!(keys(Range::all().before("b"), 1, true), ["ab"]);
        assert_eq!(keys(Range::between("ab", "b"), 9, false), ["ab"]);
        assert_eq!(keys(Range::between("b", "a"), 9, false), [""; 0]);
        assert_eq!(keys(Range::all(), 0, false), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_transaction_changes_nothing() {
    on_each(|kv| async move {
        put_all(kv.as_ref(), &[(Space::Control, "a", "1")]).await;
        let fault = Fault::new("ResourceConflictException", 409, "exists");
        let refuse = fault.clone();
        let outcome = kv.transact(vec![], Box::new(move |_: &Rows| Err(refuse.clone()))).await;
        assert_eq!(outcome, Err(Error::Fault(fault)));
        let too_large = |_: &Rows| {
            let mut batch = Batch::new();
            batch.delete(Space::Control, "a").put(Space::Control, "b", vec![0; 9 * 1024 * 1024]);
            Ok(batch)
        };
        assert!(matches!(kv.transact(vec![], Box::new(too_large)).await, Err(Error::TooLarge { what: "value", .. })));
        assert_eq!(kv.get(Space::Control, b"a"), Ok(Some(bytes("1"))));
    })
    .await;
}

#[tokio::test]
async fn an_undeclared_read_is_named() {
    on_each(|kv| async move {
        let peek = |rows: &Rows| {
            let mut batch = Batch::new();
            batch.put(Space::Control, "seen", rows.get(Space::Control, b"other").unwrap_or_default());
            Ok(batch)
        };
        let outcome = kv.transact(vec![Key::new(Space::Control, "a")], Box::new(peek)).await;
        assert_eq!(outcome, Err(Error::Undeclared { space: Space::Control, key: "other".into() }));
        assert_eq!(kv.get(Space::Control, b"seen"), Ok(None));
    })
    .await;
}

#[tokio::test]
async fn the_head_of_a_queue_is_taken_once() {
    on_each(|kv| async move {
        put_all(kv.as_ref(), &[(Space::Queue, "q/1", "a"), (Space::Queue, "q/2", "b"), (Space::Queue, "r/0", "x")])
            .await;
        let mut taken = Vec::new();
        for _ in 0..3 {
            let take = |rows: &Rows| {
                let mut batch = Batch::new();
                let head = rows.first(Space::Queue, b"q/");
                if let Some((key, _)) = &head {
                    batch.delete(Space::Queue, key.clone());
                }
                Ok((batch, head.map(|(_, value)| value)))
            };
            taken.push(transact_with(kv.as_ref(), vec![Key::first(Space::Queue, "q/")], take).await.unwrap());
        }
        assert_eq!(taken, [Some(bytes("a")), Some(bytes("b")), None]);
    })
    .await;
}

#[tokio::test]
async fn counters_hold_under_many_writers() {
    on_each(|kv| async move {
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let kv = Arc::clone(&kv);
            tasks.push(tokio::spawn(async move {
                for _ in 0..25 {
                    let count = |rows: &Rows| {
                        let n: u64 = rows.json(Space::Control, b"n")?.unwrap_or(0) + 1;
                        let mut batch = Batch::new();
                        batch.put_json(Space::Control, "n", &n)?;
                        Ok((batch, n))
                    };
                    let n = transact_with(kv.as_ref(), vec![Key::new(Space::Control, "n")], count).await.unwrap();
                    // Whoever has an answer reads at least what it says.
                    let seen: u64 = get_json(kv.as_ref(), Space::Control, b"n").unwrap().unwrap();
                    assert!(seen >= n, "{seen} after {n}");
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(get_json::<u64>(kv.as_ref(), Space::Control, b"n"), Ok(Some(200)));
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_stands_still() {
    on_each(|kv| async move {
        put_all(kv.as_ref(), &[(Space::Control, "a", "1"), (Space::Log, "a", "1")]).await;
        let snapshot = kv.snapshot().unwrap();
        put_all(kv.as_ref(), &[(Space::Control, "a", "2"), (Space::Log, "a", "2"), (Space::Log, "b", "2")]).await;
        assert_eq!(snapshot.get(Space::Control, b"a"), Ok(Some(bytes("1"))));
        assert_eq!(snapshot.range(Space::Log, Range::all(), 9, false).unwrap(), [(bytes("a"), bytes("1"))]);
        assert_eq!(kv.get(Space::Log, b"b"), Ok(Some(bytes("2"))));
    })
    .await;
}

#[tokio::test]
async fn a_dropped_generation_is_gone_in_the_end() {
    on_each(|kv| async move {
        put_all(kv.as_ref(), &[(Space::Queue, "g1/a", "1"), (Space::Queue, "g1/b", "1"), (Space::Queue, "g2/a", "1")])
            .await;
        let drop_it = |_: &Rows| {
            let mut batch = Batch::new();
            batch.drop_generation(Space::Queue, "g1/");
            Ok(batch)
        };
        kv.transact(vec![], Box::new(drop_it)).await.unwrap();
        // The sweep goes before whatever is asked next: two transactions later it is done.
        put_all(kv.as_ref(), &[(Space::Control, "x", "1")]).await;
        put_all(kv.as_ref(), &[(Space::Control, "y", "1")]).await;
        assert_eq!(kv.range(Space::Queue, Range::all(), 9, false).unwrap(), [(bytes("g2/a"), bytes("1"))]);
        assert_eq!(kv.range(Space::Meta, Range::all(), 9, false).unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_does_not_read_is_named() {
    on_each(|kv| async move {
        put_all(kv.as_ref(), &[(Space::Control, "a", "{")]).await;
        assert!(matches!(get_json::<u64>(kv.as_ref(), Space::Control, b"a"), Err(Error::Corrupt(_))));
    })
    .await;
}
