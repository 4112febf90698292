#![allow(clippy::disallowed_methods)]
use std::time::Instant;
fn pss() -> String {
    std::fs::read_to_string("/proc/self/smaps_rollup").unwrap().lines().filter(|l| l.starts_with("Pss:") || l.starts_with("Pss_Anon")).collect::<Vec<_>>().join(" ")
}
fn main() {
    for n in [1usize, 2, 7] {
        let dir = tempfile::tempdir_in("/work").unwrap();
        for round in 0..3 {
            let t = Instant::now();
            let db = fjall::Database::builder(dir.path().join("kv")).worker_threads(1).cache_size(4 << 20).max_journaling_size(64 << 20).manual_journal_persist(true).open().unwrap();
            let a = t.elapsed();
            let ks: Vec<_> = (0..n).map(|i| db.keyspace(&format!("k{i}"), || fjall::KeyspaceCreateOptions::default().max_memtable_size(4 << 20)).unwrap()).collect();
            let b = t.elapsed();
            for k in &ks {
                let mut batch = db.batch().durability(Some(fjall::PersistMode::SyncData));
                batch.insert(k, format!("a{round}"), "b");
                batch.commit().unwrap();
            }
            let c = t.elapsed();
            for k in &ks { k.rotate_memtable_and_wait().unwrap(); }
            let d = t.elapsed();
            drop(ks); drop(db);
            println!("{n} ks round {round}: open {a:?} keyspaces {:?} writes {:?} flush {:?} drop {:?}  {}", b - a, c - b, d - c, t.elapsed() - d, pss());
        }
    }
}
