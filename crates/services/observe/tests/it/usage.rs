//! Metering.

use base::{
    Account, Clocks, Concurrency, Invoked, KeptReady, Meter, Phases, Region, RequestId, StartKind, SystemRng, Timestamp,
};

use crate::world::World;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:hello:$LATEST";

fn today() -> Timestamp {
    Timestamp::from_civil(2026, 11, 21, 5, 0, 0, 0)
}

pub(crate) fn invoked(at: Timestamp, start: StartKind, failed: bool) -> Invoked {
    Invoked {
        account: Account::DEFAULT,
        region: Region::default_region(),
        function_arn: ARN.into(),
        invoked_arn: ARN.into(),
        request: RequestId::new(&SystemRng),
        environment: None,
        at,
        start,
        provisioned: false,
        ready: None,
        phases: Phases { queue_us: 1, sandbox_us: 2, init_us: 3, restore_us: 0, handler_us: 4 },
        cpu_user_us: 10,
        cpu_system_us: 5,
        peak_memory_bytes: 1 << 20,
        memory_mb: 128,
        tmp_mb: 512,
        arm: false,
        concurrency: Concurrency::default(),
        billed_ms: 7,
        failed,
        by_receipt: false,
    }
}

#[tokio::test]
async fn use_is_added_up_by_function_and_day_and_survives() {
    let kv = store::memory();
    let world = World::over(kv.clone());
    let today = today();
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
    world.observe.throttled(Account::DEFAULT, ARN, ARN);
    let rows = world.observe.usage(Account::DEFAULT, "").await.unwrap();
    assert_eq!((rows[0].used.throttles, rows[0].used.invocations), (1, 0));
}

#[tokio::test]
async fn a_call_is_counted_in_the_unit_of_every_tariff() {
    let world = World::new();
    let warm = Invoked {
        phases: Phases { handler_us: 14_200, ..Phases::default() },
        billed_ms: 15,
        cpu_user_us: 2_000,
        cpu_system_us: 1,
        ..invoked(today(), StartKind::Warm, false)
    };
    world.observe.invoked(&warm);
    world.observe.invoked(&warm);
    let rows = world.observe.usage(Account::DEFAULT, "").await.unwrap();
    let used = rows[0].used;
    assert_eq!((used.billed_ms, used.hundreds_ms, used.cpu_billed_ms), (2 * 15, 2 * 100, 2 * 3));
    assert_eq!((used.billed_mb_ms, used.hundreds_mb_ms), (30 * 128, 200 * 128));
    assert_eq!((used.init_billed_ms, used.tmp_mb_ms, used.arm_billed_mb_ms), (0, 0, 0));
    let cold = Invoked {
        phases: Phases { handler_us: 14_200, init_us: 120_000, ..Phases::default() },
        billed_ms: 135,
        tmp_mb: 612,
        arm: true,
        ..invoked(today().plus_ms(86_400_000), StartKind::Cold, false)
    };
    world.observe.invoked(&cold);
    let rows = world.observe.usage(Account::DEFAULT, "2026-11-22").await.unwrap();
    let used = rows[0].used;
    assert_eq!((used.billed_ms, used.init_billed_ms, used.hundreds_ms), (135, 120, 100));
    assert_eq!((used.tmp_mb_ms, used.arm_billed_mb_ms), (135 * 100, 135 * 128));
}

#[tokio::test]
async fn a_row_of_an_earlier_time_is_read_and_added_to() {
    let world = World::new();
    let key = format!("000000000000/2026-11-21/us-east-1/{ARN}");
    let row = br#"{"invocations":2,"billed_ms":14,"billed_mb_ms":1792}"#;
    put(&world, key.into_bytes(), row.to_vec()).await;
    world.observe.invoked(&invoked(today(), StartKind::Warm, false));
    let rows = world.observe.usage(Account::DEFAULT, "").await.unwrap();
    assert_eq!((rows[0].used.invocations, rows[0].used.billed_ms, rows[0].used.hundreds_ms), (3, 21, 100));
}

async fn put(world: &World, key: Vec<u8>, value: Vec<u8>) {
    let run = move |_: &store::Rows| {
        let mut batch = store::Batch::new();
        batch.put(store::Space::Usage, key.clone(), value.clone());
        Ok((batch, ()))
    };
    store::transact_with(&*world.kv, Vec::new(), run).await.unwrap();
}

#[tokio::test]
async fn receipts_count_once_also_after_a_restart() {
    let world = World::new();
    let row = Invoked { by_receipt: true, ..invoked(today(), StartKind::Warm, false) };
    world.observe.invoked(&row);
    assert!(world.observe.usage(Account::DEFAULT, "").await.unwrap().is_empty(), "the receipt counts it");
    let receipt = world.observe.receipt(&row).unwrap();
    assert_eq!(world.observe.receipt(&row), Some(receipt.clone()), "one invocation, one key");
    put(&world, receipt.key.clone(), receipt.value.clone()).await;
    // Nobody says so: the process died. The next one finds it.
    let later = World::over(world.kv.clone());
    assert_eq!(later.observe.usage(Account::DEFAULT, "").await.unwrap()[0].used.invocations, 1);
    let later = World::over(world.kv.clone());
    let other = Invoked { request: RequestId::new(&SystemRng), ..row };
    let receipt = later.observe.receipt(&other).unwrap();
    put(&later, receipt.key, receipt.value).await;
    later.observe.receipted();
    assert_eq!(later.observe.usage(Account::DEFAULT, "").await.unwrap()[0].used.invocations, 2);
    let left = later.kv.range(store::Space::Usage, store::Range::prefix("receipt/"), 1, false).unwrap();
    assert!(left.is_empty(), "a counted receipt is gone");
}

#[tokio::test]
async fn a_receipt_that_does_not_read_holds_up_no_other() {
    let world = World::new();
    put(&world, b"receipt/0/0".to_vec(), b"rubbish".to_vec()).await;
    let receipt = world.observe.receipt(&invoked(today(), StartKind::Warm, false)).unwrap();
    put(&world, receipt.key, receipt.value).await;
    world.observe.receipted();
    assert_eq!(world.observe.usage(Account::DEFAULT, "").await.unwrap()[0].used.invocations, 1);
}

/// Milliseconds times MiB that were kept ready, by day and version.
async fn kept(world: &World) -> Vec<(String, String, u64)> {
    let rows = world.observe.usage(Account::DEFAULT, "").await.unwrap();
    let version = |arn: &str| arn.rsplit(':').next().unwrap().to_owned();
    rows.into_iter().map(|row| (row.day, version(&row.function_arn), row.used.provisioned_mb_ms)).collect()
}

#[tokio::test]
async fn what_is_kept_ready_costs_by_the_time_it_is_in_steps_of_five_minutes() {
    const MINUTE: u64 = 60_000;
    let world = World::new();
    let function = "arn:aws:lambda:us-east-1:000000000000:function:hello";
    let of = |version: &str, memory_mb: u64| KeptReady {
        function_arn: format!("{function}:{version}"),
        memory_mb,
        arm: version == "2",
    };
    let tell = |world: &World, all: Vec<KeptReady>| {
        world.observe.kept_ready(Some(function), all, world.clocks.product());
    };
    let now = world.clocks.product();
    let midnight = now.0 - now.0.rem_euclid(86_400_000) + 86_400_000;
    world.clocks.advance((midnight - now.0).unsigned_abs()).await.unwrap();
    let day = |at: Timestamp| {
        let (year, month, day, ..) = at.civil();
        format!("{year:04}-{month:02}-{day:02}")
    };
    let today = day(world.clocks.product());
    tell(&world, vec![of("1", 300)]);
    assert!(kept(&world).await.is_empty());
    // What nobody has ended yet is told as if it ended now.
    world.clocks.advance(MINUTE).await.unwrap();
    assert_eq!(kept(&world).await, [(today.clone(), "1".into(), 5 * MINUTE * 300)]);
    world.clocks.advance(9 * MINUTE).await.unwrap();
    assert_eq!(kept(&world).await, [(today.clone(), "1".into(), 10 * MINUTE * 300)]);
    // The same once more changes nothing; more memory counts from then on; the time goes on.
    tell(&world, vec![of("1", 300)]);
    world.clocks.advance(2 * MINUTE).await.unwrap();
    tell(&world, vec![of("1", 600), of("2", 100)]);
    // Another function whose name only begins so is another.
    world.observe.kept_ready(Some(&function[..function.len() - 1]), Vec::new(), world.clocks.product());
    world.observe.drain().await;
    let world = {
        let later = World::over(world.kv.clone());
        later.clocks.advance((world.now() - later.now()).unsigned_abs()).await.unwrap();
        later
    };
    world.clocks.advance(MINUTE).await.unwrap();
    tell(&world, vec![of("1", 600)]);
    let first = 12 * MINUTE * 300 + 3 * MINUTE * 600;
    let second = 5 * MINUTE * 100;
    assert_eq!(kept(&world).await, [(today.clone(), "1".into(), first), (today.clone(), "2".into(), second)]);
    let rows = world.observe.usage(Account::DEFAULT, &today).await.unwrap();
    assert_eq!((rows[0].used.arm_provisioned_mb_ms, rows[1].used.arm_provisioned_mb_ms), (0, second));
    // Over midnight, to its end; at the start everything is told.
    world.clocks.advance(24 * 60 * MINUTE - 13 * MINUTE + 21 * MINUTE).await.unwrap();
    world.observe.kept_ready(None, Vec::new(), world.clocks.product());
    let tomorrow = day(world.clocks.product());
    let first = 12 * MINUTE * 300 + (24 * 60 - 12) * MINUTE * 600;
    let all =
        [(today.clone(), "1".into(), first), (today, "2".into(), second), (tomorrow, "1".into(), 25 * MINUTE * 600)];
    assert_eq!(kept(&world).await, all);
    world.clocks.advance(60 * MINUTE).await.unwrap();
    assert_eq!(kept(&world).await, all);
}

#[tokio::test]
async fn what_provisioned_concurrency_covers_is_told_apart() {
    let world = World::new();
    world.observe.invoked(&Invoked { provisioned: true, ..invoked(today(), StartKind::Warm, false) });
    world.observe.invoked(&Invoked { provisioned: true, arm: true, ..invoked(today(), StartKind::Warm, false) });
    world.observe.invoked(&invoked(today(), StartKind::Warm, false));
    let used = world.observe.usage(Account::DEFAULT, "").await.unwrap()[0].used;
    assert_eq!((used.billed_mb_ms, used.covered_mb_ms, used.arm_covered_mb_ms), (21 * 128, 14 * 128, 7 * 128));
}
