//! Layers: published, listed, shared, used in order, kept while something uses them.

use base::{Account, Fault, Principal};
use model::lambda::{self as aws, ops};
use store::{Blobs, Trees};
use wire::Op;

use crate::world::{PATIENCE, World, call_as, create, zip_of};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:layer:libs";

pub(crate) fn publish(name: &str, word: &str) -> aws::PublishLayerVersionRequest {
    let zip_file = Some(zip_of(&[("python/shared.py", word.as_bytes(), 0o644)]));
    aws::PublishLayerVersionRequest {
        layer_name: Some(name.into()),
        content: Some(aws::LayerVersionContentInput { zip_file, ..aws::LayerVersionContentInput::default() }),
        ..aws::PublishLayerVersionRequest::default()
    }
}

fn get(name: &str, version: i64) -> aws::GetLayerVersionRequest {
    aws::GetLayerVersionRequest { layer_name: Some(name.into()), version_number: Some(version) }
}

fn with_layers(name: &str, layers: &[&str]) -> aws::CreateFunctionRequest {
    let layers = Some(layers.iter().map(|&layer| layer.to_owned()).collect());
    aws::CreateFunctionRequest { layers, ..create(name) }
}

pub(crate) fn update(name: &str, layers: &[&str]) -> aws::UpdateFunctionConfigurationRequest {
    aws::UpdateFunctionConfigurationRequest {
        function_name: Some(name.into()),
        layers: Some(layers.iter().map(|&layer| layer.to_owned()).collect()),
        ..aws::UpdateFunctionConfigurationRequest::default()
    }
}

async fn delete(world: &World, name: &str, version: i64) {
    let input = aws::DeleteLayerVersionRequest { layer_name: Some(name.into()), version_number: Some(version) };
    world.call::<ops::DeleteLayerVersion>(input).await.unwrap();
}

fn told(fault: Fault) -> (String, u16, String) {
    (fault.code.into_owned(), fault.status, fault.message)
}

fn invalid(message: &str) -> (String, u16, String) {
    ("InvalidParameterValueException".into(), 400, message.into())
}

fn gone() -> (String, u16, String) {
    ("ResourceNotFoundException".into(), 404, "The resource you requested does not exist.".into())
}

async fn kept(world: &World) -> usize {
    let blobs = Blobs::at(&world.disk.folder).list().await.unwrap().len();
    blobs.max(Trees::at(&world.disk.folder).list().await.unwrap().len())
}

async fn until_kept(world: &World, n: usize) {
    let reached = async {
        while kept(world).await != n {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("unused code goes");
}

/// Calls as the root of another account.
async fn as_other<O: Op>(world: &World, input: O::Input) -> Result<O::Output, Fault> {
    let account: Account = "111111111111".parse().unwrap();
    call_as::<O>(&world.router, Principal::Root { account, verified: true }, input).await
}

#[tokio::test]
async fn a_version_is_described_and_its_number_never_comes_again() {
    let world = World::new();
    let input = aws::PublishLayerVersionRequest {
        description: Some("shared code".into()),
        license_info: Some("MIT".into()),
        compatible_runtimes: Some(vec!["python3.12".into()]),
        compatible_architectures: Some(vec!["x86_64".into()]),
        ..publish("libs", "one")
    };
    let published = world.call::<ops::PublishLayerVersion>(input).await.unwrap();
    assert_eq!(published.layer_arn.as_deref(), Some(ARN));
    assert_eq!(published.layer_version_arn, Some(format!("{ARN}:1")));
    assert_eq!((published.version, published.description.as_deref()), (Some(1), Some("shared code")));
    assert_eq!(published.license_info.as_deref(), Some("MIT"));
    assert_eq!(published.compatible_runtimes, Some(vec!["python3.12".to_owned()]));
    assert_eq!(published.compatible_architectures, Some(vec!["x86_64".to_owned()]));
    let content = published.content.clone().unwrap();
    assert_eq!(content.code_sha256.unwrap().len(), 44);
    assert!(content.code_size.unwrap() > 100 && content.location.unwrap().contains("/_lambent/code/"));
    let shown = world.call::<ops::GetLayerVersion>(get(ARN, 1)).await.unwrap();
    assert_eq!(
        (shown.created_date.clone(), shown.description.clone()),
        (published.created_date, published.description)
    );
    let by_arn = aws::GetLayerVersionByArnRequest { arn: Some(format!("{ARN}:1")) };
    assert_eq!(world.call::<ops::GetLayerVersionByArn>(by_arn).await.unwrap().created_date, shown.created_date);
    delete(&world, "libs", 1).await;
    delete(&world, "libs", 1).await;
    assert_eq!(told(world.call::<ops::GetLayerVersion>(get("libs", 1)).await.unwrap_err()), gone());
    let world = World::on(world.die().await);
    let again = world.call::<ops::PublishLayerVersion>(publish("libs", "one")).await.unwrap();
    assert_eq!(again.version, Some(2));
    assert_eq!(
        told(world.call::<ops::GetLayerVersion>(get("libs", 0)).await.unwrap_err()),
        invalid("Layer Version Cannot be less than 1.")
    );
}

#[tokio::test]
async fn lists_show_the_newest_that_matches_page_by_page() {
    let world = World::new();
    for (name, runtime) in [("a", "python3.12"), ("a", "nodejs22.x"), ("b", "nodejs22.x"), ("c", "python3.12")] {
        let compatible_runtimes = Some(vec![runtime.to_owned()]);
        let input = aws::PublishLayerVersionRequest { compatible_runtimes, ..publish(name, runtime) };
        world.call::<ops::PublishLayerVersion>(input).await.unwrap();
    }
    let list = async |runtime: Option<&str>, marker: Option<String>, max_items| {
        let compatible_runtime = runtime.map(str::to_owned);
        let input = aws::ListLayersRequest { compatible_runtime, marker, max_items, compatible_architecture: None };
        let answer = world.call::<ops::ListLayers>(input).await.unwrap();
        let layers = answer.layers.unwrap().into_iter();
        let shown = layers.map(|one| (one.layer_name.unwrap(), one.latest_matching_version.unwrap().version.unwrap()));
        (shown.collect::<Vec<_>>(), answer.next_marker)
    };
    let named = |all: &[(&str, i64)]| all.iter().map(|&(name, version)| (name.to_owned(), version)).collect::<Vec<_>>();
    assert_eq!(list(None, None, None).await, (named(&[("a", 2), ("b", 1), ("c", 1)]), None));
    assert_eq!(list(Some("python3.12"), None, None).await, (named(&[("a", 1), ("c", 1)]), None));
    let (page, marker) = list(None, None, Some(2)).await;
    assert_eq!(page, named(&[("a", 2), ("b", 1)]));
    assert_eq!(list(None, marker, Some(2)).await, (named(&[("c", 1)]), None));
    let versions = async |marker: Option<String>| {
        let input = aws::ListLayerVersionsRequest {
            layer_name: Some("a".into()),
            max_items: Some(1),
            marker,
            ..aws::ListLayerVersionsRequest::default()
        };
        let answer = world.call::<ops::ListLayerVersions>(input).await.unwrap();
        (answer.layer_versions.unwrap().remove(0).version, answer.next_marker)
    };
    let (newest, marker) = versions(None).await;
    assert_eq!((newest, versions(marker).await), (Some(2), (Some(1), None)));
    let nobody = aws::ListLayerVersionsRequest { layer_name: Some("nobody".into()), ..Default::default() };
    assert_eq!(world.call::<ops::ListLayerVersions>(nobody).await.unwrap().layer_versions, Some(Vec::new()));
}

#[tokio::test]
async fn lists_show_what_matches_runtime_and_architecture() {
    let world = World::new();
    for (runtime, architecture) in [("python3.12", "x86_64"), ("nodejs22.x", "arm64")] {
        let input = aws::PublishLayerVersionRequest {
            compatible_runtimes: Some(vec![runtime.into()]),
            compatible_architectures: Some(vec![architecture.into()]),
            ..publish("libs", runtime)
        };
        world.call::<ops::PublishLayerVersion>(input).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let layers = aws::ListLayersRequest { compatible_architecture: some("x86_64"), ..Default::default() };
    let shown = world.call::<ops::ListLayers>(layers).await.unwrap().layers.unwrap().remove(0);
    assert_eq!(shown.latest_matching_version.unwrap().version, Some(1));
    let versions = async |compatible_runtime, compatible_architecture| -> Vec<i64> {
        let input = aws::ListLayerVersionsRequest {
            layer_name: some("libs"),
            compatible_runtime,
            compatible_architecture,
            ..Default::default()
        };
        let shown = world.call::<ops::ListLayerVersions>(input).await.unwrap().layer_versions.unwrap();
        shown.into_iter().map(|one| one.version.unwrap()).collect()
    };
    assert_eq!(versions(some("python3.12"), None).await, [1]);
    assert_eq!(versions(None, some("arm64")).await, [2]);
    assert_eq!(versions(None, None).await, [2, 1]);
}

#[tokio::test]
async fn a_function_gets_its_layers_in_order_and_shows_them() {
    let world = World::new();
    for word in ["one", "two"] {
        world.call::<ops::PublishLayerVersion>(publish(word, word)).await.unwrap();
    }
    let arns = ["one", "two"].map(|name| format!("arn:aws:lambda:us-east-1:000000000000:layer:{name}:1"));
    let created = world.call::<ops::CreateFunction>(with_layers("hello", &[&arns[0], &arns[1]])).await.unwrap();
    let shown: Vec<_> = created.layers.unwrap().into_iter().map(|layer| layer.arn.unwrap()).collect();
    assert_eq!(shown, arns);
    // A restart in between: the row has what it needs.
    let world = World::on(world.die().await);
    world.invoke("hello", "1").await.unwrap();
    let seen = |n: usize| -> Vec<String> {
        let layers = world.walls.launched()[n].image.layers.clone();
        layers.iter().map(|path| std::fs::read_to_string(path.join("python/shared.py")).unwrap()).collect()
    };
    assert_eq!(seen(0), ["one", "two"]);
    let updated = world.call::<ops::UpdateFunctionConfiguration>(update("hello", &[&arns[1], &arns[0]])).await.unwrap();
    assert!(updated.layers.unwrap()[0].code_size.unwrap() > 0);
    world.invoke("hello", "1").await.unwrap();
    assert_eq!(seen(1), ["two", "one"]);
    // What an update does not name stays, and an empty list takes them away.
    let other = aws::UpdateFunctionConfigurationRequest {
        function_name: Some("hello".into()),
        timeout: Some(9),
        ..aws::UpdateFunctionConfigurationRequest::default()
    };
    assert_eq!(world.call::<ops::UpdateFunctionConfiguration>(other).await.unwrap().layers.unwrap().len(), 2);
    assert_eq!(world.call::<ops::UpdateFunctionConfiguration>(update("hello", &[])).await.unwrap().layers, None);
}

#[tokio::test]
async fn a_deleted_version_serves_its_functions_until_the_last_goes() {
    let world = World::new().serve();
    world.call::<ops::PublishLayerVersion>(publish("libs", "one")).await.unwrap();
    world.call::<ops::CreateFunction>(with_layers("hello", &[&format!("{ARN}:1")])).await.unwrap();
    assert_eq!(kept(&world).await, 2);
    delete(&world, "libs", 1).await;
    // Another function's whole life passes through the sweeper behind the deleted version.
    world.create("other").await;
    let input = aws::DeleteFunctionRequest { function_name: Some("other".into()), qualifier: None };
    world.call::<ops::DeleteFunction>(input).await.unwrap();
    until_kept(&world, 2).await;
    let world = World::on(world.die().await).serve();
    world.invoke("hello", "1").await.unwrap();
    let layer = world.walls.launched().remove(0).image.layers.remove(0);
    assert_eq!(std::fs::read_to_string(layer.join("python/shared.py")).unwrap(), "one");
    assert_eq!(
        told(world.call::<ops::CreateFunction>(with_layers("late", &[&format!("{ARN}:1")])).await.unwrap_err()),
        invalid(&format!("Layer version {ARN}:1 does not exist."))
    );
    let input = aws::DeleteFunctionRequest { function_name: Some("hello".into()), qualifier: None };
    world.call::<ops::DeleteFunction>(input).await.unwrap();
    until_kept(&world, 0).await;
}

#[tokio::test]
async fn a_layer_stays_while_its_version_is_there_and_goes_with_it() {
    let world = World::new().serve();
    world.call::<ops::PublishLayerVersion>(publish("libs", "one")).await.unwrap();
    world.call::<ops::PublishLayerVersion>(publish("same", "one")).await.unwrap();
    until_kept(&world, 1).await;
    delete(&world, "libs", 1).await;
    let world = World::on(world.die().await).serve();
    until_kept(&world, 1).await;
    delete(&world, "same", 1).await;
    until_kept(&world, 0).await;
}

#[tokio::test]
async fn code_and_layers_together_have_a_limit() {
    let world = World::new();
    let half = vec![0; 140_000_000];
    for name in ["one", "two"] {
        let zip_file = Some(zip_of(&[(name, &half, 0o644)]));
        let content = aws::LayerVersionContentInput { zip_file, ..aws::LayerVersionContentInput::default() };
        let input = aws::PublishLayerVersionRequest { content: Some(content), ..publish(name, "") };
        world.call::<ops::PublishLayerVersion>(input).await.unwrap();
    }
    let arns = ["one", "two"].map(|name| format!("arn:aws:lambda:us-east-1:000000000000:layer:{name}:1"));
    let both = world.call::<ops::CreateFunction>(with_layers("hello", &[&arns[0], &arns[1]])).await;
    assert_eq!(told(both.unwrap_err()), invalid("Layers consume more than the available size of 262144000 bytes"));
    world.call::<ops::CreateFunction>(with_layers("hello", &[&arns[0]])).await.unwrap();
    let big = aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        zip_file: Some(zip_of(&[("app.py", &half, 0o644)])),
        ..aws::UpdateFunctionCodeRequest::default()
    };
    assert_eq!(
        told(world.call::<ops::UpdateFunctionCode>(big).await.unwrap_err()),
        invalid(
            "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is \
             280000000 bytes."
        )
    );
}

#[tokio::test]
async fn what_brings_an_extension_is_refused_by_name() {
    let world = World::new();
    let zip_file = Some(zip_of(&[("extensions/agent", b"#!/bin/sh", 0o755)]));
    let content = aws::LayerVersionContentInput { zip_file, ..aws::LayerVersionContentInput::default() };
    let input = aws::PublishLayerVersionRequest { content: Some(content), ..publish("libs", "") };
    world.call::<ops::PublishLayerVersion>(input).await.unwrap();
    let refused = world.call::<ops::CreateFunction>(with_layers("hello", &[&format!("{ARN}:1")])).await.unwrap_err();
    assert_eq!(refused.code, "NotImplemented");
    assert!(refused.message.contains("/opt/extensions/agent"), "{}", refused.message);
}

#[tokio::test]
async fn another_account_needs_the_versions_policy() {
    let world = World::new();
    world.call::<ops::PublishLayerVersion>(publish("libs", "one")).await.unwrap();
    let theirs = format!("{ARN}:1");
    let role = Some("arn:aws:iam::111111111111:role/test".to_owned());
    let input = || aws::CreateFunctionRequest { role: role.clone(), ..with_layers("hello", &[&theirs]) };
    let (code, status, message) = told(as_other::<ops::CreateFunction>(&world, input()).await.unwrap_err());
    assert_eq!((code.as_str(), status), ("AccessDeniedException", 403));
    assert!(
        message.contains(&format!("lambda:GetLayerVersion on resource: {theirs} because no resource-based policy"))
    );
    assert_eq!(as_other::<ops::GetLayerVersion>(&world, get(ARN, 1)).await.unwrap_err().status, 403);
    let add = |principal: &str, sid: &str, revision: Option<&str>| aws::AddLayerVersionPermissionRequest {
        layer_name: Some("libs".into()),
        version_number: Some(1),
        statement_id: Some(sid.into()),
        action: Some("lambda:GetLayerVersion".into()),
        principal: Some(principal.into()),
        organization_id: None,
        revision_id: revision.map(str::to_owned),
    };
    let added = world.call::<ops::AddLayerVersionPermission>(add("111111111111", "s1", None)).await.unwrap();
    assert_eq!(
        added.statement.unwrap(),
        format!(
            r#"{{"Sid":"s1","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111111111111:root"}},"Action":"lambda:GetLayerVersion","Resource":"{theirs}"}}"#
        )
    );
    let revision = added.revision_id.unwrap();
    as_other::<ops::GetLayerVersion>(&world, get(ARN, 1)).await.unwrap();
    as_other::<ops::CreateFunction>(&world, input()).await.unwrap();
    let twice = world.call::<ops::AddLayerVersionPermission>(add("*", "s1", None)).await.unwrap_err();
    assert_eq!(twice.code, "ResourceConflictException");
    let of = |principal: &str, sid: &str| aws::AddLayerVersionPermissionRequest {
        organization_id: Some("o-0123456789".into()),
        ..add(principal, sid, None)
    };
    let one = world.call::<ops::AddLayerVersionPermission>(of("111111111111", "s3")).await.unwrap_err();
    assert!(one.message.contains("OrganizationId can only be set"), "{}", one.message);
    let stale = world.call::<ops::AddLayerVersionPermission>(add("*", "s2", Some("old"))).await.unwrap_err();
    assert_eq!((stale.status, stale.message.contains("Call the GetLayerPolicy API")), (412, true));
    let policy = || aws::GetLayerVersionPolicyRequest { layer_name: Some("libs".into()), version_number: Some(1) };
    let shown = world.call::<ops::GetLayerVersionPolicy>(policy()).await.unwrap();
    assert_eq!(shown.revision_id.as_ref(), Some(&revision));
    assert!(shown.policy.unwrap().starts_with(r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s1""#));
    let remove = |sid: &str, revision: &str| aws::RemoveLayerVersionPermissionRequest {
        layer_name: Some("libs".into()),
        version_number: Some(1),
        statement_id: Some(sid.into()),
        revision_id: Some(revision.into()),
    };
    let unknown = world.call::<ops::RemoveLayerVersionPermission>(remove("s9", &revision)).await.unwrap_err();
    assert_eq!(unknown.message, "Statement s9 is not found in resource policy.");
    assert_eq!(world.call::<ops::RemoveLayerVersionPermission>(remove("s1", "old")).await.unwrap_err().status, 412);
    world.call::<ops::RemoveLayerVersionPermission>(remove("s1", &revision)).await.unwrap();
    let none = world.call::<ops::GetLayerVersionPolicy>(policy()).await.unwrap_err();
    assert_eq!(none.message, "No policy is associated with the given resource.");
    assert_eq!(as_other::<ops::GetLayerVersion>(&world, get(ARN, 1)).await.unwrap_err().status, 403);
}

#[tokio::test]
async fn what_is_wrong_with_a_layer_is_told_in_words() {
    let world = World::new();
    let missing = told(world.call::<ops::GetLayerVersion>(get("libs", 1)).await.unwrap_err());
    assert_eq!(missing, gone());
    let empty = aws::PublishLayerVersionRequest {
        content: Some(aws::LayerVersionContentInput {
            zip_file: Some(bytes::Bytes::from_static(b"no zip")),
            ..aws::LayerVersionContentInput::default()
        }),
        ..publish("libs", "")
    };
    assert_eq!(
        told(world.call::<ops::PublishLayerVersion>(empty).await.unwrap_err()),
        invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
    );
    let large = aws::PublishLayerVersionRequest {
        content: Some(aws::LayerVersionContentInput {
            zip_file: Some(vec![0; 52_428_801].into()),
            ..aws::LayerVersionContentInput::default()
        }),
        ..publish("libs", "")
    };
    let (code, status, message) = told(world.call::<ops::PublishLayerVersion>(large).await.unwrap_err());
    assert_eq!((code.as_str(), status), ("RequestEntityTooLargeException", 413));
    assert_eq!(message, "Request must be smaller than 69905067 bytes for the PublishLayerVersion operation");
    let strange =
        world.call::<ops::PublishLayerVersion>(publish("arn:aws:lambda:us-east-1:111111111111:layer:libs", ""));
    assert_eq!(strange.await.unwrap_err().status, 403);
    assert_eq!(kept(&world).await, 0);
}

#[tokio::test]
async fn an_arn_that_is_spelt_in_another_way_names_no_layer() {
    let world = World::new();
    world.call::<ops::PublishLayerVersion>(publish("libs", "one")).await.unwrap();
    for arn in [format!("{ARN}:01"), format!("{ARN}:1").replace("arn:aws:", "arn:aws-cn:")] {
        let fault = world.call::<ops::CreateFunction>(with_layers("hello", &[&arn])).await.unwrap_err();
        assert_eq!(told(fault), invalid(&format!("Layer version {arn} does not exist.")));
    }
}
