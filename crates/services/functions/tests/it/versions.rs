//! Versions: snapshots that stay as they are, under numbers that are never used again.

use std::sync::Arc;

use base::Fault;
use model::lambda::{self as aws, ops};

use crate::world::{PATIENCE, World, call, create, invoke, package};

pub(crate) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:hello";

pub(crate) fn told(fault: &Fault) -> (&str, u16, &str) {
    (fault.code.as_ref(), fault.status, fault.message.as_str())
}

pub(crate) async fn publish(world: &World) -> aws::FunctionConfiguration {
    let input = aws::PublishVersionRequest { function_name: Some("hello".into()), ..Default::default() };
    world.call::<ops::PublishVersion>(input).await.unwrap()
}

/// Changes what a handler that is told `env` answers with.
pub(crate) async fn set(world: &World, value: &str) -> aws::FunctionConfiguration {
    let variables = Some([("VALUE".to_owned(), value.to_owned())].into());
    let input = aws::UpdateFunctionConfigurationRequest {
        function_name: Some("hello".into()),
        environment: Some(aws::Environment { variables }),
        ..Default::default()
    };
    world.call::<ops::UpdateFunctionConfiguration>(input).await.unwrap()
}

pub(crate) async fn get(world: &World, qualifier: Option<&str>) -> Result<aws::FunctionConfiguration, Fault> {
    let input = aws::GetFunctionConfigurationRequest {
        function_name: Some("hello".into()),
        qualifier: qualifier.map(str::to_owned),
    };
    world.call::<ops::GetFunctionConfiguration>(input).await
}

pub(crate) async fn value(world: &World, name: &str) -> (String, String) {
    let answer = world.invoke(name, "\"env\"").await.unwrap();
    let payload = String::from_utf8(answer.payload.unwrap().to_vec()).unwrap();
    (payload.trim_matches('"').to_owned(), answer.executed_version.unwrap())
}

pub(crate) async fn delete(world: &World, qualifier: Option<&str>) -> Result<(), Fault> {
    let input =
        aws::DeleteFunctionRequest { function_name: Some("hello".into()), qualifier: qualifier.map(str::to_owned) };
    world.call::<ops::DeleteFunction>(input).await.map(drop)
}

async fn versions(world: &World) -> Vec<String> {
    let input = aws::ListVersionsByFunctionRequest { function_name: Some("hello".into()), ..Default::default() };
    let listed = world.call::<ops::ListVersionsByFunction>(input).await.unwrap().versions.unwrap();
    listed.into_iter().map(|version| version.version.unwrap()).collect()
}

async fn update(world: &World, word: &str, publish: bool) -> aws::FunctionConfiguration {
    let input = aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        zip_file: Some(package(word)),
        publish: Some(publish),
        ..Default::default()
    };
    world.call::<ops::UpdateFunctionCode>(input).await.unwrap()
}

#[tokio::test]
async fn a_version_is_a_snapshot_and_is_made_once() {
    let world = World::new();
    let latest = world.create("hello").await;
    let first = publish(&world).await;
    let expected = aws::FunctionConfiguration {
        function_arn: Some(format!("{ARN}:1")),
        version: Some("1".into()),
        revision_id: first.revision_id.clone(),
        ..latest.clone()
    };
    assert_eq!(first, expected);
    assert_ne!(first.revision_id, latest.revision_id);
    assert_eq!(publish(&world).await, first, "nothing changed since");
    let described = aws::PublishVersionRequest {
        function_name: Some("hello".into()),
        description: Some("another word for the same".into()),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::PublishVersion>(described.clone()).await.unwrap(), first);

    set(&world, "two").await;
    let second = world.call::<ops::PublishVersion>(described).await.unwrap();
    assert_eq!(
        (second.version.as_deref(), second.description.as_deref()),
        (Some("2"), Some("another word for the same"))
    );
    set(&world, "three").await;
    assert_eq!(get(&world, Some("1")).await.unwrap(), first);
    assert_eq!(get(&world, Some("2")).await.unwrap(), second);
    assert_eq!(get(&world, None).await.unwrap().description.as_deref(), Some(""));
    assert_eq!(get(&world, Some("$LATEST")).await.unwrap().function_arn, Some(format!("{ARN}:$LATEST")));
    for (name, expected) in [
        ("hello:1", ("", "1")),
        ("000000000000:function:hello:2", ("two", "2")),
        ("arn:aws:lambda:us-east-1:000000000000:function:hello:2", ("two", "2")),
        ("hello", ("three", "$LATEST")),
        ("hello:$LATEST", ("three", "$LATEST")),
    ] {
        let (text, version) = value(&world, name).await;
        assert_eq!((text.as_str(), version.as_str()), expected, "{name}");
    }
    let inside = world.walls.launched();
    let of = |version: &str| {
        inside
            .iter()
            .find(|spec| spec.env.iter().any(|(key, value)| key == "AWS_LAMBDA_FUNCTION_VERSION" && value == version))
    };
    let stream = &of("2").unwrap().env.iter().find(|(key, _)| key == "AWS_LAMBDA_LOG_STREAM_NAME").unwrap().1;
    assert!(stream.to_string_lossy().contains("[2]"), "{stream:?}");
}

#[tokio::test]
async fn a_change_leaves_the_environments_of_versions_alone() {
    let world = World::new();
    world.create("hello").await;
    publish(&world).await;
    value(&world, "hello:1").await;
    set(&world, "new").await;
    update(&world, "new", false).await;
    value(&world, "hello:1").await;
    assert_eq!(world.walls.launched().len(), 1, "version 1 is warm still");
}

#[tokio::test]
async fn preconditions_are_insisted_on() {
    let world = World::new();
    let latest = world.create("hello").await;
    let input = |code: Option<&str>, revision: Option<&str>| aws::PublishVersionRequest {
        function_name: Some("hello".into()),
        code_sha256: code.map(str::to_owned),
        revision_id: revision.map(str::to_owned),
        ..Default::default()
    };
    let stale = world.call::<ops::PublishVersion>(input(None, Some("old"))).await.unwrap_err();
    let words = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
                 retrieve the latest Revision Id";
    assert_eq!(told(&stale), ("PreconditionFailedException", 412, words));
    let other = world.call::<ops::PublishVersion>(input(Some("abc="), None)).await.unwrap_err();
    let current = latest.code_sha256.as_deref().unwrap();
    let words = format!(
        "CodeSHA256 (abc=) is different from current CodeSHA256 in $LATEST ({current}). Please try again with the \
         CodeSHA256 in $LATEST."
    );
    assert_eq!(told(&other), ("InvalidParameterValueException", 400, words.as_str()));
    assert_eq!(versions(&world).await, ["$LATEST"]);
    let right = input(Some(current), latest.revision_id.as_deref());
    assert_eq!(world.call::<ops::PublishVersion>(right).await.unwrap().version.as_deref(), Some("1"));
    let nobody = aws::PublishVersionRequest { function_name: Some("nobody".into()), ..Default::default() };
    let missing = world.call::<ops::PublishVersion>(nobody).await.unwrap_err();
    let words = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody";
    assert_eq!(told(&missing), ("ResourceNotFoundException", 404, words));
    let qualified = aws::PublishVersionRequest { function_name: Some("hello:1".into()), ..Default::default() };
    assert_eq!(world.call::<ops::PublishVersion>(qualified).await.unwrap_err().status, 400);
}

#[tokio::test]
async fn creating_and_updating_can_publish() {
    let world = World::new();
    let input = aws::CreateFunctionRequest { publish: Some(true), ..create("hello") };
    let made = world.call::<ops::CreateFunction>(input).await.unwrap();
    assert_eq!((made.version.as_deref(), made.function_arn), (Some("1"), Some(format!("{ARN}:1"))));
    let updated = update(&world, "two", true).await;
    assert_eq!(updated.version.as_deref(), Some("2"));
    assert_eq!(update(&world, "two", true).await.version.as_deref(), Some("2"), "the same code is no new version");
    assert_eq!(update(&world, "two", false).await.version.as_deref(), Some("$LATEST"));
    assert_eq!(versions(&world).await, ["$LATEST", "1", "2"]);
}

#[tokio::test]
async fn a_deleted_version_is_gone_and_its_number_is_not_used_again() {
    let world = World::new().serve();
    world.create("hello").await;
    publish(&world).await;
    update(&world, "two", true).await;
    let words = "$LATEST version cannot be deleted without deleting the function.";
    let latest = delete(&world, Some("$LATEST")).await.unwrap_err();
    assert_eq!(told(&latest), ("InvalidParameterValueException", 400, words));
    let alias = delete(&world, Some("live")).await.unwrap_err();
    let words = "Deletion of aliases is not currently supported.";
    assert_eq!(told(&alias), ("InvalidParameterValueException", 400, words));
    delete(&world, Some("99")).await.unwrap();
    delete(&world, Some("2")).await.unwrap();
    assert_eq!(versions(&world).await, ["$LATEST", "1"]);
    let gone = world.invoke("hello:2", "{}").await.unwrap_err();
    assert_eq!(told(&gone), ("ResourceNotFoundException", 404, format!("Function not found: {ARN}:2").as_str()));
    assert_eq!(publish(&world).await.version.as_deref(), Some("3"), "what was published last is gone");
    delete(&world, None).await.unwrap();
    let left = world.disk.kv.range(store::Space::Control, store::Range::all(), 10, false).unwrap();
    let left: Vec<String> = left.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
    assert_eq!(left, ["function-number/000000000000/us-east-1/hello"], "only the count of versions stays");
    world.create("hello").await;
    assert_eq!(publish(&world).await.version.as_deref(), Some("4"));
}

#[tokio::test]
async fn a_version_keeps_its_code_alive() {
    let world = World::new();
    world.create("hello").await;
    publish(&world).await;
    update(&world, "two", false).await;
    let disk = world.die().await;
    // A start removes what nothing uses.
    let world = World::on(disk).serve();
    let trees = store::Trees::at(&world.disk.folder);
    let used = |_: &World| async { trees.list().await.unwrap().len() };
    assert_eq!(value(&world, "hello:1").await.1, "1");
    assert_eq!(used(&world).await, 2);
    delete(&world, Some("1")).await.unwrap();
    let gone = async {
        while used(&world).await > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the code of a deleted version goes");
}

#[tokio::test]
async fn versions_outlive_a_restart() {
    let world = World::new();
    world.create("hello").await;
    set(&world, "one").await;
    let first = publish(&world).await;
    set(&world, "two").await;
    let disk = world.die().await;
    let world = World::on(disk);
    assert_eq!(get(&world, Some("1")).await.unwrap(), first);
    assert_eq!(value(&world, "hello:1").await, ("one".into(), "1".into()));
    assert_eq!(publish(&world).await.version.as_deref(), Some("2"));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    world.create("hello").await;
    world.create("other").await;
    for n in 0..3 {
        set(&world, &n.to_string()).await;
        publish(&world).await;
    }
    let (mut seen, mut marker) = (Vec::new(), None);
    loop {
        let input =
            aws::ListVersionsByFunctionRequest { function_name: Some("hello".into()), marker, max_items: Some(2) };
        let page = world.call::<ops::ListVersionsByFunction>(input).await.unwrap();
        let arns: Vec<String> = page.versions.unwrap().into_iter().map(|one| one.function_arn.unwrap()).collect();
        assert!(arns.len() <= 2);
        seen.extend(arns);
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    let mut expected: Vec<String> = ["$LATEST", "1", "2", "3"].map(|version| format!("{ARN}:{version}")).to_vec();
    assert_eq!(seen, expected);
    let (mut seen, mut marker) = (Vec::new(), None);
    loop {
        let input = aws::ListFunctionsRequest {
            function_version: Some("ALL".into()),
            marker,
            max_items: Some(2),
            ..Default::default()
        };
        let page = world.call::<ops::ListFunctions>(input).await.unwrap();
        seen.extend(page.functions.unwrap().into_iter().map(|one| one.function_arn.unwrap()));
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    expected.push(ARN.replace("hello", "other:$LATEST"));
    assert_eq!(seen, expected);
    let input = aws::ListFunctionsRequest::default();
    let plain = world.call::<ops::ListFunctions>(input).await.unwrap().functions.unwrap();
    assert_eq!(plain.len(), 2);
    let settings = world.call::<ops::GetAccountSettings>(aws::GetAccountSettingsRequest::default()).await.unwrap();
    let usage = settings.account_usage.unwrap();
    let size = |name: &str| package(name).len() as i64;
    assert_eq!(usage.total_code_size, Some(4 * size("hello") + size("other")));
    assert_eq!(usage.function_count, Some(2));
}

#[tokio::test]
async fn an_event_under_way_ends_on_the_code_it_began_with() {
    let mut world = World::new();
    world.create("hello").await;
    set(&world, "old").await;
    let held = tokio::spawn(call::<ops::Invoke>(Arc::clone(&world.router), invoke("hello", "\"hold env\"")));
    assert_eq!(world.begins().await, "\"hold env\"");
    set(&world, "new").await;
    assert_eq!(value(&world, "hello").await.0, "new");
    world.gate.add_permits(1);
    assert_eq!(held.await.unwrap().unwrap().payload.unwrap(), "\"old\"");
}

#[tokio::test]
async fn a_row_from_before_there_were_versions_reads() {
    let world = World::new();
    world.create("hello").await;
    let zip = package("hello");
    let row = serde_json::json!({
        "settings": {
            "runtime": "python3.12", "role": crate::world::ROLE, "handler": "app.handler", "description": "", "timeout_s": 3,
            "memory_mb": 128, "tmp_mb": 512, "environment": { "VALUE": "old" }, "architecture": "x86_64"
        },
        "code": { "sha256": store::Digest::of(&zip).to_string(), "size_bytes": zip.len() },
        "revision": "b5f3c1a0-0000-4000-8000-000000000000",
        "modified_ms": 1,
        "reserved": 7,
        "policy": [{ "id": "s", "json": "{\"Sid\":\"s\"}" }],
        "policy_revision": "b5f3c1a0-0000-4000-8000-000000000001"
    });
    let key = "function/000000000000/us-east-1/hello";
    let write = move |_: &store::Rows| {
        let mut batch = store::Batch::new();
        batch.put_json(store::Space::Control, key, &row)?;
        Ok(batch)
    };
    world.disk.kv.transact(Vec::new(), Box::new(write)).await.unwrap();
    let world = World::on(world.die().await);
    let shown = get(&world, None).await.unwrap();
    assert_eq!(shown.revision_id.as_deref(), Some("b5f3c1a0-0000-4000-8000-000000000000"));
    assert_eq!(shown.tracing_config.unwrap().mode.as_deref(), Some("PassThrough"));
    assert_eq!(versions(&world).await, ["$LATEST"]);
    assert_eq!(publish(&world).await.version.as_deref(), Some("1"));
    set(&world, "new").await;
    assert_eq!(value(&world, "hello:1").await, ("old".into(), "1".into()));
    let policy = aws::GetPolicyRequest { function_name: Some("hello".into()), qualifier: None };
    assert!(world.call::<ops::GetPolicy>(policy).await.unwrap().policy.unwrap().contains("\"Sid\":\"s\""));
}
