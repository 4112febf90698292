//! Environments that begin with a snapshot.

use std::sync::Arc;
use std::time::Duration;

use invoker::testing::{FakeWalls, Program};
use invoker::{Finished, InitFailure, Refusal, Snapshotted, Target};
use runtime::SnapshotWanted;
use sandbox::ExitCause;
use tokio::sync::mpsc;

use crate::world::{World, target};

fn under_snap_start(name: &str, with: Option<&str>) -> Arc<Target> {
    let mut target = Target::clone(&target(name));
    target.env.extend(with.map(|name| (name.to_owned(), "Test.Error".to_owned())));
    Arc::new(target)
}

fn restored(target: &Target) -> Arc<Target> {
    let mut target = target.clone();
    target.image.snapshot = Some("/snapshot".into());
    Arc::new(target)
}

async fn take(world: &World, target: &Target) -> (Snapshotted, Vec<u8>) {
    let (pieces, mut received) = mpsc::channel(4);
    let wanted = SnapshotWanted { pieces, most_bytes: 1 << 20 };
    let all = async {
        let mut all = Vec::new();
        while let Some(piece) = received.recv().await {
            all.extend_from_slice(&piece);
        }
        all
    };
    let (taken, all) = tokio::join!(world.handle.snapshot(target, wanted, Duration::from_secs(20)), all);
    (taken.unwrap(), all)
}

#[tokio::test]
async fn a_snapshot_is_taken_tried_and_restored() {
    let world = World::new();
    let f = under_snap_start("f", None);
    assert_eq!(take(&world, &f).await, (Snapshotted::Taken, b"a snapshot".to_vec()));
    let f = restored(&f);
    assert!(world.handle.try_restore(&f).await.unwrap());
    let done = world.call(&f, "x").await.unwrap();
    assert!(done.row.phases.restore_us > 0 && done.row.phases.init_us == 0, "{:?}", done.row.phases);
    let done = world.call(&f, "x").await.unwrap();
    assert_eq!((done.row.start, done.row.phases.restore_us), (base::StartKind::Warm, 0));
    let seen = world.handle.overview();
    let version = &seen.versions[0].spread;
    assert_eq!((version.restore.len(), version.init.len()), (1, 0));
}

#[tokio::test]
async fn an_init_that_fails_makes_no_snapshot() {
    let world = World::new();
    let f = under_snap_start("f", Some(invoker::testing::INIT_ERROR));
    let failed = Snapshotted::Failed(InitFailure::Error("Test.Error".into()));
    assert_eq!(take(&world, &f).await, (failed, Vec::new()));
    let f = under_snap_start("g", Some(invoker::testing::UNFIT));
    assert_eq!(take(&world, &f).await.0, Snapshotted::Unfit { why: "Test.Error".into() });
}

#[tokio::test]
async fn what_fails_after_a_restore_is_refused_and_ends() {
    let world = World::new();
    let f = restored(&under_snap_start("f", Some(invoker::testing::RESTORE_ERROR)));
    assert!(world.handle.try_restore(&f).await.unwrap(), "nothing of the function's own goes on");
    assert_eq!(world.call(&f, "x").await.unwrap_err(), Refusal::Restore { timeout: false });
    assert!(world.handle.live().is_empty());
}

#[tokio::test]
async fn a_snapshot_that_brings_nothing_back_gives_way_to_init() {
    let program: Program = Arc::new(|inside| {
        Box::pin(async move {
            if inside.env("_LAMBENT_SNAPSHOT").is_some() {
                return ExitCause::Exited(97);
            }
            let mut client = inside.connect().await.unwrap();
            let request = client.next().await.unwrap();
            client.respond(&request.id, b"by INIT").await.unwrap();
            std::future::pending().await
        })
    });
    let walls = FakeWalls::new(program);
    let world = World::on_walls(walls, |_| {});
    let f = restored(&under_snap_start("f", None));
    assert!(!world.handle.try_restore(&f).await.unwrap());
    let done = world.call(&f, "x").await.unwrap();
    assert_eq!(done.result, Finished::Response("by INIT".into()));
    assert!(done.row.phases.restore_us == 0 && done.row.phases.init_us > 0);
}
