//! Provisioned concurrency: what is asked for is started ahead, shown as it is, and there again after a restart.

use std::sync::{Arc, Mutex};

use base::{Account, Clocks, EventNews, Invoked, KeptReady, Meter, Receipt, Timestamp};
use model::lambda::{self as aws, ops};

use crate::versions::{ARN, delete, publish, set, told};
use crate::world::{Disk, PATIENCE, World};

fn put(qualifier: &str, wanted: i64) -> aws::PutProvisionedConcurrencyConfigRequest {
    aws::PutProvisionedConcurrencyConfigRequest {
        function_name: Some("hello".into()),
        qualifier: Some(qualifier.into()),
        provisioned_concurrent_executions: Some(wanted),
    }
}

fn get(qualifier: &str) -> aws::GetProvisionedConcurrencyConfigRequest {
    aws::GetProvisionedConcurrencyConfigRequest {
        function_name: Some("hello".into()),
        qualifier: Some(qualifier.into()),
    }
}

fn reserve(wanted: i64) -> aws::PutFunctionConcurrencyRequest {
    aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(wanted),
    }
}

pub(crate) async fn alias(world: &World, name: &str, version: &str) {
    let input = aws::CreateAliasRequest {
        function_name: Some("hello".into()),
        name: Some(name.into()),
        function_version: Some(version.into()),
        ..Default::default()
    };
    world.call::<ops::CreateAlias>(input).await.unwrap();
}

async fn ready(world: &World, qualifier: &str) -> aws::GetProvisionedConcurrencyConfigResponse {
    let wait = async {
        loop {
            let shown = world.call::<ops::GetProvisionedConcurrencyConfig>(get(qualifier)).await.unwrap();
            if shown.status.as_deref() != Some("IN_PROGRESS") {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it gets ready")
}

async fn start_of(world: &World, name: &str) -> usize {
    world.invoke(name, "{}").await.unwrap();
    world.walls.launched().len()
}

#[tokio::test]
async fn a_version_is_ready_before_its_first_call_and_after_a_restart() {
    let world = World::new().serve();
    world.create("hello").await;
    publish(&world).await;
    let none = world.call::<ops::GetProvisionedConcurrencyConfig>(get("1")).await.unwrap_err();
    assert_eq!(
        told(&none),
        (
            "ProvisionedConcurrencyConfigNotFoundException",
            404,
            "No Provisioned Concurrency Config found for this function"
        )
    );
    let asked = world.call::<ops::PutProvisionedConcurrencyConfig>(put("1", 2)).await.unwrap();
    assert_eq!(asked.requested_provisioned_concurrent_executions, Some(2));
    assert_eq!(asked.allocated_provisioned_concurrent_executions, Some(0));
    assert_eq!((asked.status.as_deref(), asked.status_reason), (Some("IN_PROGRESS"), None));
    let shown = ready(&world, "1").await;
    assert_eq!((shown.status.as_deref(), shown.last_modified), (Some("READY"), asked.last_modified));
    assert_eq!(shown.available_provisioned_concurrent_executions, Some(2));
    assert_eq!(shown.allocated_provisioned_concurrent_executions, Some(2));
    assert_eq!(start_of(&world, "hello:1").await, 2, "nothing more had to start");

    let world = World::on(world.die().await).serve();
    assert_eq!(ready(&world, "1").await.status.as_deref(), Some("READY"));
    assert_eq!(start_of(&world, "hello:1").await, 2);
    let remove = || aws::DeleteProvisionedConcurrencyConfigRequest {
        function_name: Some("hello".into()),
        qualifier: Some("1".into()),
    };
    world.call::<ops::DeleteProvisionedConcurrencyConfig>(remove()).await.unwrap();
    world.call::<ops::DeleteProvisionedConcurrencyConfig>(remove()).await.unwrap();
    assert_eq!(world.call::<ops::GetProvisionedConcurrencyConfig>(get("1")).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn an_alias_takes_its_environments_along() {
    let world = World::new().serve();
    world.create("hello").await;
    publish(&world).await;
    set(&world, "two").await;
    publish(&world).await;
    alias(&world, "live", "1").await;
    world.call::<ops::PutProvisionedConcurrencyConfig>(put("live", 1)).await.unwrap();
    assert_eq!(ready(&world, "live").await.status.as_deref(), Some("READY"));
    let second = world.call::<ops::PutProvisionedConcurrencyConfig>(put("1", 1)).await.unwrap_err();
    assert_eq!(
        told(&second),
        ("ResourceConflictException", 409, "Version is pointed by a Provisioned Concurrency alias")
    );
    let input = aws::UpdateAliasRequest {
        function_name: Some("hello".into()),
        name: Some("live".into()),
        function_version: Some("2".into()),
        ..Default::default()
    };
    world.call::<ops::UpdateAlias>(input).await.unwrap();
    assert_eq!(ready(&world, "live").await.status.as_deref(), Some("READY"));
    assert_eq!(start_of(&world, "hello:live").await, 2, "one for each version it pointed to");
    world.call::<ops::PutProvisionedConcurrencyConfig>(put("1", 1)).await.unwrap();
    alias(&world, "old", "1").await;
    let second = world.call::<ops::PutProvisionedConcurrencyConfig>(put("old", 1)).await.unwrap_err();
    let words = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
    assert_eq!(told(&second), ("ResourceConflictException", 409, words));
    let list = |marker| aws::ListProvisionedConcurrencyConfigsRequest {
        function_name: Some("hello".into()),
        marker,
        max_items: Some(1),
    };
    let first = world.call::<ops::ListProvisionedConcurrencyConfigs>(list(None)).await.unwrap();
    let rest = world.call::<ops::ListProvisionedConcurrencyConfigs>(list(first.next_marker.clone())).await.unwrap();
    let arns = |page: &aws::ListProvisionedConcurrencyConfigsResponse| -> Vec<String> {
        page.provisioned_concurrency_configs.iter().flatten().map(|one| one.function_arn.clone().unwrap()).collect()
    };
    assert_eq!((arns(&first), arns(&rest)), (vec![format!("{ARN}:1")], vec![format!("{ARN}:live")]));
    assert_eq!(rest.next_marker, None);
    delete(&world, None).await.unwrap();
    world.create("hello").await;
    let none = world.call::<ops::ListProvisionedConcurrencyConfigs>(list(None)).await.unwrap();
    assert_eq!(arns(&none).len(), 0);
}

#[tokio::test]
async fn two_aliases_of_a_version_have_their_own_environments_each() {
    let world = World::new().serve();
    world.create("hello").await;
    publish(&world).await;
    alias(&world, "second", "1").await;
    alias(&world, "first", "1").await;
    for (qualifier, launched) in [("second", 2), ("first", 4)] {
        world.call::<ops::PutProvisionedConcurrencyConfig>(put(qualifier, 2)).await.unwrap();
        assert_eq!(ready(&world, qualifier).await.status.as_deref(), Some("READY"));
        assert_eq!(world.walls.launched().len(), launched);
        world.clocks.advance(1_000).await.unwrap();
        // Whatever has come since, what was configured first has its own first.
        let shown = world.call::<ops::GetProvisionedConcurrencyConfig>(get("second")).await.unwrap();
        assert_eq!(
            (shown.status.as_deref(), shown.allocated_provisioned_concurrent_executions),
            (Some("READY"), Some(2))
        );
    }
}

#[tokio::test]
async fn what_cannot_be_provisioned_is_refused() {
    let world = World::new();
    world.create("hello").await;
    publish(&world).await;
    alias(&world, "latest", "$LATEST").await;
    let unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
    let missing = format!("Function not found: {ARN}:9");
    let nobody = format!("Cannot find alias arn: {ARN}:nobody");
    for (qualifier, wanted, expected) in [
        ("$LATEST", 1, ("InvalidParameterValueException", 400, unpublished)),
        ("latest", 1, ("InvalidParameterValueException", 400, unpublished)),
        ("9", 1, ("ResourceNotFoundException", 404, missing.as_str())),
        ("nobody", 1, ("ResourceNotFoundException", 404, nobody.as_str())),
        (
            "1",
            1001,
            (
                "InvalidParameterValueException",
                400,
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].",
            ),
        ),
        (
            "1",
            901,
            (
                "InvalidParameterValueException",
                400,
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
                 minimum value of [100].",
            ),
        ),
    ] {
        let refused = world.call::<ops::PutProvisionedConcurrencyConfig>(put(qualifier, wanted)).await.unwrap_err();
        assert_eq!(told(&refused), expected, "{qualifier} {wanted}");
    }
    let zero = world.call::<ops::PutProvisionedConcurrencyConfig>(put("1", 0)).await.unwrap_err();
    assert_eq!((zero.code.as_ref(), zero.status), ("ValidationException", 400));
    let latest = world.call::<ops::GetProvisionedConcurrencyConfig>(get("$LATEST")).await.unwrap_err();
    assert_eq!(latest.message, "The function resource provided must be an alias or a published version.");

    world.call::<ops::PutFunctionConcurrency>(reserve(5)).await.unwrap();
    let more = world.call::<ops::PutProvisionedConcurrencyConfig>(put("1", 6)).await.unwrap_err();
    let words =
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
    assert_eq!(told(&more), ("InvalidParameterValueException", 400, words));
    world.call::<ops::PutProvisionedConcurrencyConfig>(put("1", 5)).await.unwrap();
    let less = world.call::<ops::PutFunctionConcurrency>(reserve(4)).await.unwrap_err();
    assert!(less.message.contains("should not be lower than function's total provisioned concurrency [5]"));
    // What is provisioned without a reservation is the account's no more.
    let name = || Some("hello".to_owned());
    let remove = aws::DeleteFunctionConcurrencyRequest { function_name: name() };
    world.call::<ops::DeleteFunctionConcurrency>(remove).await.unwrap();
    let settings = world.call::<ops::GetAccountSettings>(aws::GetAccountSettingsRequest::default()).await.unwrap();
    assert_eq!(settings.account_limit.unwrap().unreserved_concurrent_executions, Some(995));
}

type Told = (Option<String>, Vec<(String, u64)>, Timestamp);

/// Remembers what is said to be kept ready.
#[derive(Default)]
struct Bills(Mutex<Vec<Told>>);

impl Meter for Bills {
    fn invoked(&self, _: &Invoked) {}
    fn throttled(&self, _: Account, _: &str, _: &str) {}
    fn event(&self, _: Account, _: &str, _: EventNews) {}
    fn unsigned(&self, _: Account, _: &str) {}
    fn kept_ready(&self, function_arn: Option<&str>, all: Vec<KeptReady>, at: Timestamp) {
        let all = all.into_iter().map(|kept| (kept.function_arn, kept.memory_mb)).collect();
        self.0.lock().unwrap().push((function_arn.map(str::to_owned), all, at));
    }
    fn receipt(&self, _: &Invoked) -> Option<Receipt> {
        None
    }
    fn receipted(&self) {}
}

impl Bills {
    /// The next news.
    async fn next(&self) -> Told {
        let wait = async {
            loop {
                if let Some(told) = self.0.lock().unwrap().pop() {
                    return told;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it is told")
    }
}

#[tokio::test]
async fn what_is_configured_is_told_to_the_bill_with_its_time() {
    let bills = Arc::new(Bills::default());
    let meter = Arc::clone(&bills);
    let world = World::with(Disk::new(), |options| options.meter = meter);
    world.create("hello").await;
    publish(&world).await;
    set(&world, "other").await;
    publish(&world).await;
    alias(&world, "live", "1").await;
    let begin = world.clocks.product();
    world.call::<ops::PutProvisionedConcurrencyConfig>(put("live", 3)).await.unwrap();
    let of = |all: &[(u32, u64)], at| {
        let all = all.iter().map(|(version, mb)| (format!("{ARN}:{version}"), *mb)).collect::<Vec<_>>();
        (Some(ARN.to_owned()), all, at)
    };
    assert_eq!(bills.next().await, of(&[(1, 3 * 128)], begin));
    world.clocks.advance(60_000).await.unwrap();
    let weights = Some([("2".to_owned(), 0.34)].into());
    let input = aws::UpdateAliasRequest {
        function_name: Some("hello".into()),
        name: Some("live".into()),
        routing_config: Some(aws::AliasRoutingConfiguration { additional_version_weights: weights }),
        ..Default::default()
    };
    world.call::<ops::UpdateAlias>(input).await.unwrap();
    assert_eq!(bills.next().await, of(&[(1, 2 * 128), (2, 128)], begin.plus_ms(60_000)));
    let disk = world.die().await;

    let meter = Arc::clone(&bills);
    let world = World::with(disk, |options| options.meter = meter).serve();
    // At the start all functions are told at once.
    let now = world.clocks.product();
    assert_eq!(bills.next().await, (None, of(&[(1, 2 * 128), (2, 128)], now).1, now));
    delete(&world, None).await.unwrap();
    assert_eq!(bills.next().await, of(&[], world.clocks.product()));
}
