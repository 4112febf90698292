//! Compilation in environments of its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use invoker::testing::{COMPILED, UNFIT};
use invoker::{Bytecode, Compiled, Refusal, Target};
use runtime::SnapshotWanted;
use tokio::sync::mpsc;

use crate::world::{World, target, target_with};

fn compiler(with: Option<&str>) -> Arc<Target> {
    target_with("compiler", "1", |target| {
        target.argv = vec!["/python".into(), "/compile.py".into()];
        target.env = with.map(|name| (name.to_owned(), "words".to_owned())).into_iter().collect();
        target.principal = None;
        target.credentials = None;
    })
}

async fn compile(world: &World, target: &Target) -> (Result<Compiled, Refusal>, usize) {
    let (pieces, mut received) = mpsc::channel(4);
    let wanted = SnapshotWanted { pieces, most_bytes: 1 << 20 };
    let all = async {
        let mut all = 0;
        while let Some(piece) = received.recv().await {
            all += piece.len();
        }
        all
    };
    tokio::join!(world.handle.compile(target, wanted, Duration::from_secs(20)), all)
}

#[tokio::test]
async fn what_is_compiled_is_handed_on_and_nobody_else_hears_of_it() {
    let world = World::new();
    assert_eq!(compile(&world, &compiler(None)).await, (Ok(Compiled::Taken), COMPILED.len()));
    world.live(0).await;
    let spec = &world.walls.launched()[0];
    assert_eq!((spec.limits.cpu_millis, spec.ports.len(), &spec.ahead), (Some(500), 1, &None));
    let names: Vec<_> = spec.env.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(names, ["AWS_LAMBDA_RUNTIME_API"], "it is told nothing");
    assert!(world.texts().is_empty() && world.ears.rows.lock().unwrap().is_empty());
    let seen = world.handle.overview();
    assert_eq!((seen.versions.len(), seen.total.invocations), (0, 0));
    let why = "words".to_owned();
    assert_eq!(compile(&world, &compiler(Some(UNFIT))).await.0, Ok(Compiled::Nothing { why }));
    let why = "the compiler ended: Exited(1)".to_owned();
    world.walls.let_compilers_die();
    assert_eq!(compile(&world, &compiler(None)).await.0, Ok(Compiled::Nothing { why }));
}

#[tokio::test]
async fn nothing_gives_way_to_a_compilation() {
    let world = World::with(|options| options.max_environments = 1);
    let f = target("f");
    world.call(&f, "x").await.unwrap();
    let (refused, handed) = compile(&world, &compiler(None)).await;
    assert_eq!((refused, handed), (Err(Refusal::Busy("the host has no room for a compilation".into())), 0));
    assert_eq!((world.handle.live()[0].idle, world.launches()), (1, 1));
}

#[tokio::test]
async fn a_drain_ends_it_and_begins_no_other() {
    let mut world = World::new();
    world.service().drain().await;
    assert_eq!(compile(&world, &compiler(None)).await.0, Err(Refusal::Draining));
}

#[tokio::test]
async fn environments_find_what_is_there_by_then() {
    let world = World::new();
    let file = Arc::new(OnceLock::new());
    let f = target_with("f", "1", |target| {
        let named = |file: &Arc<_>, name: &str| Bytecode { file: Arc::clone(file), name: name.to_owned() };
        target.bytecode = vec![named(&file, "task"), named(&Arc::default(), "opt0")];
    });
    world.call(&f, "exit:1").await.unwrap();
    file.set("/kept/f".into()).unwrap();
    world.call(&f, "exit:1").await.unwrap();
    let mut snapped = Target::clone(&f);
    snapped.image.snapshot = Some("/snapshot".into());
    world.call(&Arc::new(snapped), "x").await.unwrap();
    let launched = world.walls.launched();
    let found = |spec: &sandbox::Spec| {
        let pairs = spec.image.bytecode.iter();
        pairs.map(|mount| format!("{} {}", mount.source.display(), mount.target.display())).collect::<Vec<_>>()
    };
    let seen: Vec<_> = launched.iter().map(found).collect();
    assert_eq!(seen, [vec![], vec!["/kept/f /var/lang/bytecode/task".to_owned()], vec![]]);
}
