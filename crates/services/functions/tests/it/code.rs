//! Code is kept once, stays while something runs on it, and goes when nothing uses it.

use model::lambda::{self as aws, ops};
use store::{Blobs, Trees};

use crate::world::{PATIENCE, World, create, package};

async fn kept(world: &World) -> usize {
    let trees = Trees::at(&world.disk.folder).list().await.unwrap();
    let blobs = Blobs::at(&world.disk.folder).list().await.unwrap();
    assert!(trees.len() >= blobs.len());
    trees.len()
}

async fn until_kept(world: &World, n: usize) {
    let reached = async {
        while kept(world).await != n {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("unused code goes");
}

fn with_code(name: &str, word: &str) -> aws::CreateFunctionRequest {
    let code = aws::FunctionCode { zip_file: Some(package(word)), ..aws::FunctionCode::default() };
    aws::CreateFunctionRequest { code: Some(code), ..create(name) }
}

async fn delete(world: &World, name: &str) {
    let delete = aws::DeleteFunctionRequest { function_name: Some(name.into()), qualifier: None };
    world.call::<ops::DeleteFunction>(delete).await.unwrap();
}

#[tokio::test]
async fn the_same_code_is_kept_once_and_goes_with_its_last_function() {
    let world = World::new().serve();
    for name in ["one", "two"] {
        world.call::<ops::CreateFunction>(with_code(name, "same")).await.unwrap();
    }
    assert_eq!(kept(&world).await, 1);
    delete(&world, "one").await;
    assert_eq!(world.invoke("two", "1").await.unwrap().payload.unwrap(), "1");
    assert_eq!(kept(&world).await, 1);
    delete(&world, "two").await;
    until_kept(&world, 0).await;
}

#[tokio::test]
async fn code_stays_while_an_invocation_runs_on_it() {
    let mut world = World::new().serve();
    world.create("hello").await;
    let router = std::sync::Arc::clone(&world.router);
    let running = tokio::spawn(crate::world::call::<ops::Invoke>(router, crate::world::invoke("hello", "\"hold\"")));
    world.begins().await;
    let task = world.walls.launched().remove(0).image.task;
    delete(&world, "hello").await;
    // Another function's whole life passes through the sweeper behind the deleted one.
    world.call::<ops::CreateFunction>(with_code("other", "other")).await.unwrap();
    delete(&world, "other").await;
    until_kept(&world, 1).await;
    assert!(task.join("app.py").exists());
    world.gate.add_permits(1);
    running.await.unwrap().unwrap();
    until_kept(&world, 0).await;
}

#[tokio::test]
async fn what_an_interrupted_create_left_goes_at_the_next_start() {
    let world = World::new();
    world.create("hello").await;
    Trees::at(&world.disk.folder).unpack_zip(package("left"), store::Limits::default()).await.unwrap();
    assert_eq!(kept(&world).await, 2);
    let world = World::on(world.die().await).serve();
    until_kept(&world, 1).await;
    assert_eq!(world.invoke("hello", "1").await.unwrap().payload.unwrap(), "1");
}

#[tokio::test]
async fn code_that_was_only_checked_goes_again() {
    let world = World::new().serve();
    world.create("hello").await;
    let dry = aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        zip_file: Some(package("dry")),
        dry_run: Some(true),
        ..aws::UpdateFunctionCodeRequest::default()
    };
    world.call::<ops::UpdateFunctionCode>(dry).await.unwrap();
    until_kept(&world, 1).await;
    assert_eq!(world.invoke("hello", "1").await.unwrap().payload.unwrap(), "1");
}

#[tokio::test]
async fn a_tree_that_vanished_is_unpacked_again() {
    let world = World::new();
    world.create("hello").await;
    world.invoke("hello", "1").await.unwrap();
    let disk = world.die().await;
    let trees = Trees::at(&disk.folder);
    let digest = trees.list().await.unwrap().remove(0);
    trees.remove(&digest).await.unwrap();
    let world = World::on(disk);
    assert_eq!(world.invoke("hello", "1").await.unwrap().payload.unwrap(), "1");
    assert!(world.walls.launched().remove(0).image.task.join("app.py").exists());
}

#[tokio::test]
async fn what_runs_ends_on_the_code_it_began_on() {
    let mut world = World::new().serve();
    world.create("hello").await;
    let router = std::sync::Arc::clone(&world.router);
    let running = tokio::spawn(crate::world::call::<ops::Invoke>(router, crate::world::invoke("hello", "\"hold\"")));
    world.begins().await;
    let update = aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        zip_file: Some(package("new")),
        ..aws::UpdateFunctionCodeRequest::default()
    };
    world.call::<ops::UpdateFunctionCode>(update).await.unwrap();
    world.invoke("hello", "1").await.unwrap();
    let read = |n: usize| std::fs::read_to_string(world.walls.launched()[n].image.task.join("app.py")).unwrap();
    assert_eq!((read(0), read(1)), ("hello".to_owned(), "new".to_owned()));
    world.gate.add_permits(1);
    running.await.unwrap().unwrap();
    until_kept(&world, 1).await;
}
