//! Random histories, run alike over fjall, memory and redb, and compared with one another after each step: transactions
//! alone and racing, ranges, snapshots that stay behind, generations given up. fjall and redb are also opened again in
//! between. `LAMBENT_SOAK=n` runs n times as many.

use std::path::Path;
use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use futures_util::future::join_all;
use proptest::prelude::*;
use store::{Batch, Error, Key, Kv, Range, Rows, Snapshot, Space};

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
    /// Several transactions at once, each of which counts and writes down what it counted.
    Race {
        space: Space,
        key: Bytes,
        racers: u8,
    },
    /// Writes a row of the generation in use.
    Live {
        key: Bytes,
    },
    /// Gives up the generation in use, and begins the next.
    DropGeneration,
    /// Keeps a snapshot; the oldest goes if there are three.
    Snapshot,
    /// Reads from a snapshot kept.
    Look {
        which: usize,
        space: Space,
        prefix: Bytes,
        limit: usize,
        reverse: bool,
    },
    /// Opens fjall and redb again: after a clean stop, or after dropping them only.
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
    let race = (space(), key(), 2..6_u8).prop_map(|(space, key, racers)| Step::Race { space, key, racers });
    let live = key().prop_map(|key| Step::Live { key });
    let look = (0..3_usize, space(), key(), 0..5_usize, any::<bool>())
        .prop_map(|(which, space, prefix, limit, reverse)| Step::Look { which, space, prefix, limit, reverse });
    let reopen = any::<bool>().prop_map(|clean| Step::Reopen { clean });
    prop_oneof![
        12 => transact,
        3 => range,
        3 => prefix,
        2 => race,
        6 => live,
        1 => Just(Step::DropGeneration),
        2 => Just(Step::Snapshot),
        3 => look,
        1 => reopen,
    ]
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
        Step::Race { space, key, racers } => {
            let racing = (0..racers).map(|racer| {
                let key = key.clone();
                let keys = vec![Key::new(space, key.clone())];
                let count = move |rows: &Rows| {
                    let seen = rows.get(space, &key).unwrap_or_default();
                    let mut batch = Batch::new();
                    batch.put(space, key.clone(), [seen.get(..12).unwrap_or(&seen), &[racer]].concat());
                    Ok(batch)
                };
                kv.transact(keys, Box::new(count))
            });
            join_all(racing).await.into_iter().collect::<Result<Vec<()>, Error>>().map(|_| Vec::new())
        }
        Step::Live { .. } | Step::DropGeneration | Step::Snapshot | Step::Look { .. } | Step::Reopen { .. } => {
            unreachable!("a step that needs more than the rows")
        }
    }
}

/// An engine with the snapshots kept of it.
struct Run {
    name: &'static str,
    // Before the rows, so that they go first: a clean stop waits for readers.
    kept: Vec<Box<dyn Snapshot>>,
    kv: Arc<dyn Kv>,
}

impl Run {
    fn new(name: &'static str, kv: Arc<dyn Kv>) -> Self {
        Self { name, kv, kept: Vec::new() }
    }

    async fn step(&mut self, step: &Step, generation: u32) -> Outcome {
        let kv = self.kv.as_ref();
        match step.clone() {
            Step::Live { key } => {
                let row = [format!("g/{generation}/").as_bytes(), &key].concat();
                write(kv, move |batch| {
                    batch.put(Space::Log, row.clone(), "live");
                })
                .await
            }
            Step::DropGeneration => {
                let dropped = write(kv, move |batch| {
                    batch.drop_generation(Space::Log, format!("g/{generation}/"));
                })
                .await;
                swept(kv).await;
                dropped
            }
            Step::Snapshot => {
                self.kept.truncate(2);
                self.kept.insert(0, kv.snapshot()?);
                Ok(Vec::new())
            }
            Step::Look { which, space, prefix, limit, reverse } => match self.kept.get(which) {
                Some(snapshot) => {
                    let mut seen = snapshot.range(space, Range::prefix(prefix.clone()), limit, reverse)?;
                    seen.extend(snapshot.get(space, &prefix)?.map(|value| (prefix, value)));
                    Ok(seen)
                }
                None => Ok(Vec::new()),
            },
            _ => run(kv, step).await,
        }
    }

    async fn reopen(&mut self, clean: bool, open: impl FnOnce() -> Arc<dyn Kv>) {
        self.kept.clear();
        if clean {
            self.kv.close().await.unwrap();
        }
        self.kv = store::memory();
        self.kv = open();
        swept(self.kv.as_ref()).await;
    }
}

async fn write(kv: &dyn Kv, fill: impl Fn(&mut Batch) + Send + 'static) -> Outcome {
    let decide = move |_: &Rows| {
        let mut batch = Batch::new();
        fill(&mut batch);
        Ok(batch)
    };
    kv.transact(vec![], Box::new(decide)).await.map(|()| Vec::new())
}

/// Waits until no sweep is under way. A transaction goes behind the step that comes next, so this ends.
async fn swept(kv: &dyn Kv) {
    for _ in 0..100 {
        if kv.range(Space::Meta, Range::prefix("sweep/"), 1, false).unwrap().is_empty() {
            return;
        }
        write(kv, |batch| {
            batch.delete(Space::Meta, "nothing");
        })
        .await
        .unwrap();
    }
    panic!("a sweep of a few rows does not end");
}

fn everything(kv: &dyn Kv) -> Vec<Outcome> {
    Space::ALL.into_iter().map(|space| kv.range(space, Range::all(), usize::MAX, false)).collect()
}

async fn check(folder: &Path, steps: &[Step]) {
    let rows = folder.join("kv");
    let mut oracle = Run::new("redb", redb_kv::open(folder));
    let mut others = [Run::new("memory", store::memory()), Run::new("fjall", store::open(&rows).unwrap())];
    let mut generation = 0;
    for step in steps {
        if let Step::Reopen { clean } = step {
            // What a snapshot showed is gone with the process that held it, so all of them go.
            others[0].kept.clear();
            oracle.reopen(*clean, || redb_kv::open(folder)).await;
            others[1].reopen(*clean, || store::open(&rows).unwrap()).await;
            assert_eq!(everything(others[1].kv.as_ref()), everything(oracle.kv.as_ref()), "opened again");
            continue;
        }
        let expected = oracle.step(step, generation).await;
        for one in &mut others {
            assert_eq!(one.step(step, generation).await, expected, "{}: {step:?}", one.name);
        }
        generation += u32::from(matches!(step, Step::DropGeneration));
    }
    for one in &others {
        assert_eq!(everything(one.kv.as_ref()), everything(oracle.kv.as_ref()), "{} in the end", one.name);
    }
}

fn cases() -> u32 {
    16 * std::env::var("LAMBENT_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn engines_agree(steps in prop::collection::vec(step(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(folder.path(), &steps));
    }
}
