//! Retention by product time.

use model::logs::{self, ops};
use store::{Range, Space};

use crate::world::{GROUP, World, assert_fault};

const DAY: i64 = 86_400_000;

async fn keep(world: &World, days: i64) {
    let input = logs::PutRetentionPolicyRequest { log_group_name: Some(GROUP.into()), retention_in_days: Some(days) };
    world.call::<ops::PutRetentionPolicy>(input).await.unwrap();
}

#[tokio::test]
async fn expired_events_are_never_read_and_then_removed() {
    let world = World::new();
    let start = world.now();
    world.write("s", &[(start, "old"), (start + 1000, "old too")]);
    world.write("t", &[(start, "other")]);
    keep(&world, 1).await;
    assert_eq!(world.filter(Default::default()).await.len(), 3);
    world.clocks.advance(DAY as u64 / 2).await.unwrap();
    world.write("s", &[(world.now(), "young")]);
    assert_eq!(world.filter(Default::default()).await.len(), 4);
    world.clocks.advance(DAY as u64 / 2 + 2000).await.unwrap();
    assert_eq!(world.filter(Default::default()).await, ["young"]);
    // The sweeper wakes by the product clock: its work shows in the store.
    let rows = || world.kv.range(Space::Log, Range::all(), 1000, false).unwrap();
    world.clocks.advance(3_600_000).await.unwrap();
    let chunks = || rows().iter().filter(|(row, _)| row.get(8) == Some(&b'e')).count();
    for _ in 0..100_000 {
        if chunks() == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(chunks(), 1, "the sweeper takes away what expired");
    assert_eq!(world.filter(Default::default()).await, ["young"]);
    let groups = world.call::<ops::DescribeLogGroups>(Default::default()).await.unwrap().log_groups.unwrap();
    assert_eq!((groups[0].retention_in_days, groups[0].stored_bytes), (Some(1), Some(5 + 26)));
}

#[tokio::test]
async fn the_older_logs_of_functions_make_room_on_a_full_disk() {
    let (world, service) = World::idle(store::memory());
    let (full, lows) = tokio::sync::watch::channel(0_u64);
    tokio::spawn(service.making_room(lows).run());
    let start = world.now();
    world.write("s", &[(start, "old")]);
    world.create_group("/mine").await;
    assert_eq!(world.filter(Default::default()).await, ["old"]);
    world.clocks.advance(10 * DAY as u64).await.unwrap();
    world.write("s", &[(world.now(), "young")]);
    assert_eq!(world.filter(Default::default()).await, ["old", "young"]);
    full.send_modify(|count| *count += 1);
    for _ in 0..100_000 {
        if world.filter(Default::default()).await.len() == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(world.filter(Default::default()).await, ["young"]);
}

#[tokio::test]
async fn retention_is_one_of_the_services_values_and_can_be_taken_back() {
    let world = World::new();
    world.create_group(GROUP).await;
    let input =
        |days| logs::PutRetentionPolicyRequest { log_group_name: Some(GROUP.into()), retention_in_days: Some(days) };
    let fault = world.call::<ops::PutRetentionPolicy>(input(2)).await.unwrap_err();
    assert_eq!(fault.code, "InvalidParameterException");
    assert!(fault.message.starts_with("1 validation error detected: Value '2' at 'retentionInDays' failed"));
    keep(&world, 7).await;
    let back = logs::DeleteRetentionPolicyRequest { log_group_name: Some(GROUP.into()) };
    world.call::<ops::DeleteRetentionPolicy>(back).await.unwrap();
    let groups = world.call::<ops::DescribeLogGroups>(Default::default()).await.unwrap().log_groups.unwrap();
    assert_eq!(groups[0].retention_in_days, None);
    let nobody = logs::DeleteRetentionPolicyRequest { log_group_name: Some("none".into()) };
    assert_fault(
        world.call::<ops::DeleteRetentionPolicy>(nobody).await,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    );
}

#[tokio::test]
async fn nobody_shortens_the_audit_log() {
    let world = World::new();
    let group = Some(door::AUDIT_GROUP.to_owned());
    let input = logs::PutRetentionPolicyRequest { log_group_name: group.clone(), retention_in_days: Some(1) };
    let fault = world.call::<ops::PutRetentionPolicy>(input).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("AccessDeniedException", 400));
    let input = logs::CreateLogStreamRequest { log_group_name: group, log_stream_name: Some("mine".into()) };
    assert_eq!(world.call::<ops::CreateLogStream>(input).await.unwrap_err().code, "AccessDeniedException");
}
