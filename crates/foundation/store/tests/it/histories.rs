//! Random histories, run alike over fjall, memory and redb, and compared with one another after each step; fjall is
//! also closed and opened again in between.

use std::path::Path;
use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use proptest::prelude::*;
use store::{Batch, Error, Key, Kv, Range, Rows, Space};

use crate::redb_kv;

#[derive(Debug, Clone)]
enum Step {
    /// Reads the declared rows and writes a digest of what it saw with each row written.
    Transact {
        reads: Vec<(Space, Bytes)>,
        head: (Space, Bytes),
        writes: Vec<(Space, Bytes, Option<u8>)>,
        refuse: bool,
    },
    Range {
        space: Space,
        start: Bytes,
        end: Bytes,
        limit: usize,
        reverse: bool,
    },
    Prefix {
        space: Space,
        prefix: Bytes,
        limit: usize,
        reverse: bool,
    },
    /// Opens fjall again: after a clean stop, or after dropping it only.
    Reopen {
        clean: bool,
    },
}

fn space() -> impl Strategy<Value = Space> {
    prop_oneof![Just(Space::Control), Just(Space::Queue), Just(Space::Usage)]
}

/// Few and short keys, so that steps meet; some at the edges of the byte order.
fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(prop_oneof![Just(0), Just(b'a'), Just(b'b'), Just(0xff)], 0..4).prop_map(Bytes::from)
}

fn step() -> impl Strategy<Value = Step> {
    let row = || (space(), key());
    let write = (space(), key(), prop::option::weighted(0.7, any::<u8>()));
    let transact =
        (prop::collection::vec(row(), 0..3), row(), prop::collection::vec(write, 0..5), prop::bool::weighted(0.1))
            .prop_map(|(reads, head, writes, refuse)| Step::Transact { reads, head, writes, refuse });
    let range = (space(), key(), key(), 0..5_usize, any::<bool>())
        .prop_map(|(space, start, end, limit, reverse)| Step::Range { space, start, end, limit, reverse });
    let prefix = (space(), key(), 0..5_usize, any::<bool>()).prop_map(|(space, prefix, limit, reverse)| Step::Prefix {
        space,
        prefix,
        limit,
        reverse,
    });
    let reopen = any::<bool>().prop_map(|clean| Step::Reopen { clean });
    prop_oneof![12 => transact, 3 => range, 3 => prefix, 1 => reopen]
}

type Outcome = Result<Vec<(Bytes, Bytes)>, Error>;

async fn run(kv: &dyn Kv, step: &Step) -> Outcome {
    match step.clone() {
        Step::Transact { reads, head, writes, refuse } => {
            let mut keys: Vec<Key> = reads.iter().map(|(space, key)| Key::new(*space, key.clone())).collect();
            keys.push(Key::first(head.0, head.1.clone()));
            let decide = move |rows: &Rows| {
                let mut seen: Vec<u8> = Vec::new();
                for (space, key) in &reads {
                    seen.extend(rows.get(*space, key).unwrap_or_default().iter().take(4));
                }
                if let Some((key, value)) = rows.first(head.0, &head.1) {
                    seen.extend(key.iter().chain(value.iter().take(4)));
                }
                if refuse {
                    return Err(Fault::internal(format!("{seen:?}")));
                }
                let mut batch = Batch::new();
                for (space, key, value) in &writes {
                    match value {
                        Some(value) => batch.put(*space, key.clone(), [&[*value], seen.as_slice()].concat()),
                        None => batch.delete(*space, key.clone()),
                    };
                }
                Ok(batch)
            };
            kv.transact(keys, Box::new(decide)).await.map(|()| Vec::new())
        }
        Step::Range { space, start, end, limit, reverse } => {
            kv.range(space, Range::between(start, end), limit, reverse)
        }
        Step::Prefix { space, prefix, limit, reverse } => kv.range(space, Range::prefix(prefix), limit, reverse),
        Step::Reopen { .. } => Ok(Vec::new()),
    }
}

fn everything(kv: &dyn Kv) -> Vec<Outcome> {
    Space::ALL.into_iter().map(|space| kv.range(space, Range::all(), usize::MAX, false)).collect()
}

async fn check(folder: &Path, steps: &[Step]) {
    let rows = folder.join("kv");
    let (memory, oracle) = (store::memory(), redb_kv::open(folder));
    let mut fjall: Arc<dyn Kv> = store::open(&rows).unwrap();
    for step in steps {
        if let Step::Reopen { clean } = step {
            if *clean {
                fjall.close().await.unwrap();
            }
            drop(fjall);
            fjall = store::open(&rows).unwrap();
        }
        let expected = run(oracle.as_ref(), step).await;
        assert_eq!(run(memory.as_ref(), step).await, expected, "memory: {step:?}");
        assert_eq!(run(fjall.as_ref(), step).await, expected, "fjall: {step:?}");
    }
    assert_eq!(everything(memory.as_ref()), everything(oracle.as_ref()));
    assert_eq!(everything(fjall.as_ref()), everything(oracle.as_ref()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn engines_agree(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(folder.path(), &steps));
    }
}
