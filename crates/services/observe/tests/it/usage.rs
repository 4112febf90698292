//! Metering.

use base::{Account, Invoked, Meter, Phases, Region, RequestId, StartKind, SystemRng, Timestamp};

use crate::world::World;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:hello:$LATEST";

fn invoked(at: Timestamp, start: StartKind, failed: bool) -> Invoked {
    Invoked {
        account: Account::DEFAULT,
        region: Region::default_region(),
        function_arn: ARN.into(),
        request: RequestId::new(&SystemRng),
        environment: None,
        at,
        start,
        phases: Phases { queue_us: 1, sandbox_us: 2, init_us: 3, handler_us: 4 },
        cpu_user_us: 10,
        cpu_system_us: 5,
        peak_memory_bytes: 1 << 20,
        memory_mb: 128,
        billed_ms: 7,
        failed,
    }
}

#[tokio::test]
async fn use_is_added_up_by_function_and_day_and_survives() {
    let kv = store::memory();
    let world = World::over(kv.clone());
    let today = Timestamp::from_civil(2026, 11, 21, 5, 0, 0, 0);
    world.observe.invoked(&invoked(today, StartKind::Cold, false));
    world.observe.invoked(&invoked(today, StartKind::Warm, true));
    assert_eq!(world.observe.usage(Account::DEFAULT, "2026-11-21").await.unwrap().len(), 1);
    world.observe.invoked(&invoked(today, StartKind::Warm, false));
    world.observe.invoked(&invoked(today.plus_ms(86_400_000), StartKind::Warm, false));
    world.observe.drain().await;
    let later = World::over(kv);
    let rows = later.observe.usage(Account::DEFAULT, "2026-11-01").await.unwrap();
    assert_eq!(rows.iter().map(|row| row.day.as_str()).collect::<Vec<_>>(), ["2026-11-21", "2026-11-22"]);
    let first = &rows[0];
    assert_eq!((first.region.as_str(), first.function_arn.as_str()), ("us-east-1", ARN));
    assert_eq!((first.used.invocations, first.used.failures, first.used.cold_starts), (3, 1, 1));
    assert_eq!((first.used.billed_ms, first.used.billed_mb_ms), (21, 21 * 128));
    assert_eq!((first.used.cpu_user_us, first.used.peak_memory_bytes), (30, 1 << 20));
    assert_eq!(later.observe.usage(Account::DEFAULT, "2026-11-22").await.unwrap().len(), 1);
}

#[tokio::test]
async fn refused_invocations_are_counted() {
    let world = World::new();
    world.observe.throttled(Account::DEFAULT, ARN);
    let rows = world.observe.usage(Account::DEFAULT, "").await.unwrap();
    assert_eq!((rows[0].used.throttles, rows[0].used.invocations), (1, 0));
}
