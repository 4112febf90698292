#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;
use store::{Batch, Blobs, Folder, Limits, Rows, Space, Trees, Use};
fn pss() -> String {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    text.lines().filter(|l| l.starts_with("Pss:") || l.starts_with("Pss_Anon")).map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}
fn main() {
    let base = tempfile::tempdir_in(std::env::args().nth(1).unwrap_or("/work".into())).unwrap();
    let path = base.path().join("d");
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    println!("start {}", pss());
    for round in 0..4 {
        let t = Instant::now();
        let folder = Folder::open(&path, Use::Keep).unwrap();
        let a = t.elapsed();
        let kv = store::open(&folder.kv()).unwrap();
        let b = t.elapsed();
        rt.block_on(async { kv.transact(vec![], Box::new(|_: &Rows| { let mut b = Batch::new(); b.put(Space::Control, "a", "b"); Ok(b) })).await.unwrap() });
        let c = t.elapsed();
        println!("round {round} folder {a:?} kv {:?} first transact {:?} {}", b - a, c - b, pss());
        let t = Instant::now();
        rt.block_on(kv.close()).unwrap();
        println!("  close {:?} ", t.elapsed());
    }
    let folder = Folder::open(&path, Use::Keep).unwrap();
    let kv = store::open(&folder.kv()).unwrap();
    // throughput
    for (writers, each) in [(1u64, 2000u64), (8, 1000), (64, 400)] {
        let t = Instant::now();
        rt.block_on(async {
            let mut tasks = vec![];
            for w in 0..writers {
                let kv = Arc::clone(&kv);
                tasks.push(tokio::spawn(async move {
                    for i in 0..each {
                        kv.transact(vec![store::Key::new(Space::Control, format!("c/{w}"))], Box::new(move |r: &Rows| {
                            let _ = r.get(Space::Control, format!("c/{w}").as_bytes());
                            let mut b = Batch::new();
                            b.put(Space::Queue, format!("{w}/{i:08}"), vec![7u8; 300]);
                            b.put(Space::Timer, format!("{w}/{i:08}"), vec![7u8; 30]);
                            b.put(Space::Control, format!("c/{w}"), format!("{i}"));
                            Ok(b)
                        })).await.unwrap();
                    }
                }));
            }
            for t in tasks { t.await.unwrap(); }
        });
        println!("{writers} writers: {:.0} tx/s  {:?}/tx", (writers * each) as f64 / t.elapsed().as_secs_f64(), t.elapsed() / (each as u32));
    }
    let t = Instant::now();
    for i in 0..20000u64 { assert!(kv.get(Space::Queue, format!("{}/{:08}", i % 64, i % 400).as_bytes()).unwrap().is_some()); }
    println!("get {:?}", t.elapsed() / 20000);
    println!("after writes {}", pss());
    // volume: 100 MB
    let t = Instant::now();
    rt.block_on(async {
        for i in 0..(100 * 16) {
            kv.transact(vec![], Box::new(move |_: &Rows| { let mut b = Batch::new(); for k in 0..16 { let mut v = vec![0u8; 4000]; for (j, x) in v.iter_mut().enumerate() { *x = (i * 31 + k * 7 + j * j) as u8; } b.put(Space::Log, format!("v/{i:06}/{k}"), v); } Ok(b) })).await.unwrap();
        }
    });
    println!("100 MB in {:?} {}", t.elapsed(), pss());
    for e in std::fs::read_dir(folder.kv()).unwrap() { let e = e.unwrap(); println!("   {:?} {}", e.file_name(), e.metadata().unwrap().len()); }
    // crash: forget and copy
    std::process::Command::new("cp").args(["-r", "--sparse=always"]).arg(folder.kv()).arg(base.path().join("crashed")).status().unwrap();
    let t = Instant::now();
    let kv2 = store::open(&base.path().join("crashed")).unwrap();
    println!("open with full journal {:?} {}", t.elapsed(), pss());
    assert_eq!(kv2.range(Space::Log, store::Range::prefix("v/"), usize::MAX, false).unwrap().len(), 25600);
    drop(kv2);
    let t = Instant::now();
    rt.block_on(kv.close()).unwrap();
    println!("close {:?}", t.elapsed());
    let t = Instant::now();
    let kv = store::open(&folder.kv()).unwrap();
    println!("open after clean stop with 100 MB {:?} {}", t.elapsed(), pss());
    drop(kv);
    // tree
    let mut z = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for i in 0..3000 { z.start_file(format!("d{}/f{i}.py", i % 100), zip::write::SimpleFileOptions::default()).unwrap(); z.write_all(&vec![b'x'; 3000]).unwrap(); }
    let z = z.finish().unwrap().into_inner();
    let blobs = Blobs::at(&folder);
    let t = Instant::now();
    let digest = rt.block_on(blobs.put(z.clone().into())).unwrap();
    println!("blob put {} bytes {:?}", z.len(), t.elapsed());
    let t = Instant::now();
    rt.block_on(Trees::at(&folder).unpack_blob(&blobs, &digest, Limits::default())).unwrap();
    println!("unpack 3000 files {:?}", t.elapsed());
    let mut z = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    z.start_file("f.py", zip::write::SimpleFileOptions::default()).unwrap(); z.write_all(b"hello").unwrap();
    let z = z.finish().unwrap().into_inner();
    let t = Instant::now();
    rt.block_on(Trees::at(&folder).unpack_zip(z.into(), Limits::default())).unwrap();
    println!("unpack 1 file {:?}", t.elapsed());
}
