//! Bytecode: code is compiled once for all who have it, beside everything else.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use base::{Account, Fault};
use bytes::Bytes;
use invoker::testing::COMPILED;
use model::lambda::{self as aws, ops};
use runtime::{Family, Interpreter};

use crate::world::{Disk, PATIENCE, World, create, invoke, zip_of};

/// Code of this many bytes of Python.
fn code_of(word: &str, bytes: usize) -> Bytes {
    let text = format!("# {word}\n{}", "VALUE = 1\n".repeat(bytes / 10));
    zip_of(&[("app.py", text.as_bytes(), 0o644)])
}

fn large(word: &str) -> Bytes {
    code_of(word, 150_000)
}

async fn make(world: &World, name: &str, code: Bytes) -> Result<aws::FunctionConfiguration, Fault> {
    let mut input = create(name);
    input.code = Some(aws::FunctionCode { zip_file: Some(code), ..aws::FunctionCode::default() });
    world.call::<ops::CreateFunction>(input).await
}

async fn save(world: &World, name: &str, code: Bytes) {
    let input = aws::UpdateFunctionCodeRequest {
        function_name: Some(name.into()),
        zip_file: Some(code),
        ..aws::UpdateFunctionCodeRequest::default()
    };
    world.call::<ops::UpdateFunctionCode>(input).await.unwrap();
}

async fn delete(world: &World, name: &str) {
    let input =
        aws::DeleteFunctionRequest { function_name: Some(name.into()), ..aws::DeleteFunctionRequest::default() };
    world.call::<ops::DeleteFunction>(input).await.unwrap();
}

fn kept(disk: &Disk) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(disk.folder.bytecode()).unwrap();
    let read = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
    files.map(|file| read(file.unwrap().path())).collect()
}

/// Waits until so many files are there.
async fn settled(world: &World, count: usize) -> Vec<(String, Vec<u8>)> {
    let settled = async {
        while kept(&world.disk).len() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kept(&world.disk)
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("what is to be compiled is compiled")
}

/// Whether what was launched is a compiler, of this account, with these variables, ports, layers and CPU; and the bytecode it sees.
struct Launched {
    compiles: bool,
    tenant: String,
    told: Vec<OsString>,
    rest: (usize, usize, Option<u32>),
    bytecode: Vec<String>,
}

fn launched(world: &World) -> Vec<Launched> {
    let launched = world.walls.launched().into_iter().map(|spec| Launched {
        compiles: spec.argv.iter().any(|argument| argument == "/var/lang/lambent/python/compile.py"),
        tenant: spec.tenant,
        told: spec.env.into_iter().map(|(name, _)| name).collect(),
        rest: (spec.ports.len(), spec.image.layers.len(), spec.limits.cpu_millis),
        bytecode: spec.image.bytecode.iter().map(|mount| mount.target.to_str().unwrap().to_owned()).collect(),
    });
    launched.collect()
}

fn compilers(world: &World) -> Vec<Launched> {
    launched(world).into_iter().filter(|one| one.compiles).collect()
}

/// The next invocation of a function is a cold start: what it was given.
async fn cold(world: &World, name: &str) -> Vec<String> {
    let before = world.walls.launched().len();
    let input = aws::UpdateFunctionConfigurationRequest {
        function_name: Some(name.into()),
        timeout: Some(i64::try_from(before).unwrap() + 3),
        ..aws::UpdateFunctionConfigurationRequest::default()
    };
    world.call::<ops::UpdateFunctionConfiguration>(input).await.unwrap();
    world.invoke(name, "{}").await.unwrap();
    let last = launched(world).into_iter().skip(before).rfind(|one| !one.compiles);
    last.expect("it is a cold start").bytecode
}

#[tokio::test]
async fn code_is_compiled_once_and_goes_with_its_last_user() {
    let world = World::new().serve();
    let made = make(&world, "one", large("same")).await.unwrap();
    make(&world, "two", large("same")).await.unwrap();
    world.invoke("one", "{}").await.unwrap();
    assert!(compilers(&world).is_empty(), "an invocation waits for nothing");
    let files = settled(&world, 1).await;
    assert_eq!(files[0].1, COMPILED);
    assert!(files[0].0.ends_with("-python3.12.4") && files[0].0.len() == 64 + "-python3.12.4".len(), "{files:?}");
    assert!(made.code_sha256.is_some());
    for name in ["one", "two"] {
        assert_eq!(cold(&world, name).await, ["/var/lang/bytecode/task"]);
    }
    let compiler = &compilers(&world)[0];
    assert_eq!((&compiler.told[..], compiler.rest), (&["AWS_LAMBDA_RUNTIME_API".into()][..], (1, 0, Some(500))));
    delete(&world, "one").await;
    assert_eq!(cold(&world, "two").await, ["/var/lang/bytecode/task"]);
    delete(&world, "two").await;
    settled(&world, 0).await;
    assert_eq!(compilers(&world).len(), 1);
}

#[tokio::test]
async fn what_is_small_or_has_no_walls_is_left_alone() {
    let world = World::new().serve();
    make(&world, "small", code_of("small", 90_000)).await.unwrap();
    make(&world, "large", large("large")).await.unwrap();
    settled(&world, 1).await;
    assert!(cold(&world, "small").await.is_empty());
    assert_eq!(compilers(&world).len(), 1);
    let world = World::with(world.die().await, |options| options.egress = None).serve();
    assert!(cold(&world, "large").await.is_empty());
}

#[tokio::test]
async fn a_restart_keeps_what_is_whole() {
    let world = World::new().serve();
    make(&world, "large", large("large")).await.unwrap();
    // It dies before anything was compiled; what it is to compile is found by whoever invokes it.
    let world = World::on(world.die().await).serve();
    assert!(kept(&world.disk).is_empty());
    world.invoke("large", "{}").await.unwrap();
    let files = settled(&world, 1).await;
    let disk = world.die().await;
    std::fs::write(disk.folder.bytecode().join("00-python3.11.9"), "of an interpreter that is gone").unwrap();
    let world = World::on(disk).serve();
    assert_eq!(settled(&world, 1).await, files);
    assert_eq!(cold(&world, "large").await, ["/var/lang/bytecode/task"]);
    assert!(compilers(&world).is_empty());
    // Another interpreter makes its own.
    let next = |options: &mut functions::Options| {
        let python = Interpreter {
            family: Family::Python,
            version: (3, 12, 5),
            exe: "/usr/bin/python3.12".into(),
            mounts: Vec::new(),
        };
        let found: base::BoxFuture<'static, std::sync::Arc<[Interpreter]>> =
            Box::pin(std::future::ready(std::sync::Arc::from([python])));
        options.interpreters = futures_util::FutureExt::shared(found);
    };
    let world = World::with(world.die().await, next).serve();
    settled(&world, 0).await;
    assert!(cold(&world, "large").await.is_empty());
    assert!(settled(&world, 1).await[0].0.ends_with("-python3.12.5"));
}

#[tokio::test]
async fn what_cannot_be_compiled_is_not_tried_again() {
    let world = World::new().serve();
    world.walls.let_compilers_die();
    make(&world, "bomb", large("bomb")).await.unwrap();
    assert_eq!(settled(&world, 1).await[0].1, b"");
    assert!(cold(&world, "bomb").await.is_empty());
    let world = World::on(world.die().await).serve();
    assert!(cold(&world, "bomb").await.is_empty());
    make(&world, "next", large("next")).await.unwrap();
    settled(&world, 2).await;
    assert_eq!(compilers(&world).len(), 1, "only what is new");
}

#[tokio::test]
async fn what_is_replaced_at_once_is_never_compiled() {
    let world = World::new().serve();
    // On a host that stands still meanwhile some of them are not replaced at once.
    for attempt in 0.. {
        assert!(attempt < 10, "the host is too slow to see it");
        let (begun, name) = (tokio::time::Instant::now(), format!("saved{attempt}"));
        make(&world, &name, large(&name)).await.unwrap();
        for n in 1..5 {
            save(&world, &name, large(&format!("{name} {n}"))).await;
            world.invoke(&name, "{}").await.unwrap();
        }
        if begun.elapsed() > Duration::from_secs(1) {
            delete(&world, &name).await;
            continue;
        }
        let before = compilers(&world).len();
        let of_saved = settled(&world, 1).await[0].0.clone();
        assert_eq!((compilers(&world).len() - before, cold(&world, &name).await.len()), (1, 1));
        // What comes after that waits until a minute has passed, and others do not.
        save(&world, &name, large("later")).await;
        assert!(cold(&world, &name).await.is_empty());
        make(&world, "other", large("other")).await.unwrap();
        let other = async {
            while !matches!(&kept(&world.disk)[..], [(only, _)] if *only != of_saved) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, other).await.expect("another function's code is compiled");
        assert_eq!((cold(&world, "other").await.len(), cold(&world, &name).await.len()), (1, 0));
        return;
    }
}

#[tokio::test]
async fn layers_are_compiled_apart_from_code() {
    let world = World::new().serve();
    let mut arns = Vec::new();
    for word in ["one", "two", "tiny"] {
        let code = if word == "tiny" { code_of(word, 100) } else { large(word) };
        let input = aws::PublishLayerVersionRequest {
            layer_name: Some(word.into()),
            content: Some(aws::LayerVersionContentInput { zip_file: Some(code), ..Default::default() }),
            ..aws::PublishLayerVersionRequest::default()
        };
        arns.push(world.call::<ops::PublishLayerVersion>(input).await.unwrap().layer_version_arn.unwrap());
    }
    let mut input = create("layered");
    input.layers = Some(vec![arns[0].clone(), arns[2].clone(), arns[1].clone()]);
    world.call::<ops::CreateFunction>(input).await.unwrap();
    settled(&world, 2).await;
    assert_eq!(cold(&world, "layered").await, ["/var/lang/bytecode/opt0", "/var/lang/bytecode/opt2"]);
    assert!(compilers(&world).iter().all(|one| one.rest.1 == 0), "each sees one tree");
    // A layer does not wait until a minute has passed since its function's code was compiled.
    save(&world, "layered", large("code")).await;
    settled(&world, 3).await;
    let input = aws::PublishLayerVersionRequest {
        layer_name: Some("one".into()),
        content: Some(aws::LayerVersionContentInput { zip_file: Some(large("three")), ..Default::default() }),
        ..aws::PublishLayerVersionRequest::default()
    };
    let next = world.call::<ops::PublishLayerVersion>(input).await.unwrap().layer_version_arn.unwrap();
    let input = aws::UpdateFunctionConfigurationRequest {
        function_name: Some("layered".into()),
        layers: Some(vec![next]),
        ..aws::UpdateFunctionConfigurationRequest::default()
    };
    world.call::<ops::UpdateFunctionConfiguration>(input).await.unwrap();
    settled(&world, 4).await;
    delete(&world, "layered").await;
    for (name, number) in [("one", 1), ("two", 1), ("one", 2)] {
        let input = aws::DeleteLayerVersionRequest { layer_name: Some(name.into()), version_number: Some(number) };
        world.call::<ops::DeleteLayerVersion>(input).await.unwrap();
    }
    settled(&world, 0).await;
}

#[tokio::test]
async fn another_account_shares_what_the_same_code_makes() {
    let world = World::new().serve();
    make(&world, "ours", large("same")).await.unwrap();
    settled(&world, 1).await;
    let other: Account = "111111111111".parse().unwrap();
    let principal = base::Principal::Root { account: other, verified: true };
    let mut input = create("theirs");
    input.role = Some("arn:aws:iam::111111111111:role/test".into());
    input.code = Some(aws::FunctionCode { zip_file: Some(large("same")), ..aws::FunctionCode::default() });
    crate::world::call_as::<ops::CreateFunction>(&world.router, principal.clone(), input).await.unwrap();
    crate::world::call_as::<ops::Invoke>(&world.router, principal, invoke("theirs", "{}")).await.unwrap();
    let launched = launched(&world);
    let theirs = launched.last().unwrap();
    assert_eq!((theirs.tenant.as_str(), theirs.bytecode.len()), ("111111111111", 1));
    assert_eq!(compilers(&world).len(), 1);
}
