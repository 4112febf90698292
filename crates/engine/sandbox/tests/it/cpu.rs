//! The share of CPU that each size of memory gets, measured: 1,769 MB are one CPU, as on Lambda
//! (docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).

use std::time::{Duration, Instant};

use sandbox::{Linux, Walls};

use crate::common::{groups, python, wait_for, walls};
use crate::limits::holds;

/// How long one reading takes: enough periods that the first and the last count for little.
const READING: Duration = Duration::from_millis(1500);

/// Readings on a machine that is busy with other things, until it is given up.
const READINGS: usize = 4;

/// Memory in MB, its share in thousandths of a CPU, and how many processes it takes to use it up.
const SIZES: [(u32, u32, u32); 4] = [(128, 72, 1), (512, 289, 1), (1769, 1000, 2), (3538, 2000, 2)];

/// Periods, and those in which a group had used its share up, summed over the groups of a helper.
fn periods(walls: &Linux) -> (u64, u64) {
    let prefix = format!("lambent-{}-", walls.helper_pid().unwrap());
    let inner = groups(&prefix).into_iter().flat_map(|group| std::fs::read_dir(group).into_iter().flatten().flatten());
    let mut sum = (0, 0);
    for group in inner.filter(|group| !group.path().to_string_lossy().contains("cpuacct")) {
        let text = std::fs::read_to_string(group.path().join("cpu.stat")).unwrap_or_default();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        sum.0 += field("nr_periods ").unwrap_or(0);
        sum.1 += field("nr_throttled ").unwrap_or(0);
    }
    sum
}

/// What a group uses that wants all it can get, and whether it had used its share up nearly all the time.
async fn read(walls: &Linux, control: &dyn sandbox::Control) -> (f64, bool) {
    let used = || {
        let usage = control.usage();
        (usage.cpu_user_us + usage.cpu_system_us) as f64
    };
    let (start, before, first) = (Instant::now(), used(), periods(walls));
    tokio::time::sleep(READING).await;
    let share = (used() - before) / start.elapsed().as_micros() as f64;
    let last = periods(walls);
    // Groups of sets that are made meanwhile add nothing: they are not limited yet.
    let (all, used_up) = (last.0.saturating_sub(first.0), last.1.saturating_sub(first.1));
    (share, all > 0 && used_up * 10 > all * 9)
}

#[tokio::test]
async fn each_size_of_memory_has_its_share_of_cpu() {
    let cpus = std::thread::available_parallelism().unwrap().get() as u32;
    for (memory_mb, cpu_millis, processes) in SIZES {
        let walls = walls();
        if !holds(&walls, "cpu limit") {
            return;
        }
        let script = format!(
            "import os\nfor n in range({processes} - 1):\n    if os.fork() == 0: break\nelse: print('busy', flush=True)\nwhile True: pass"
        );
        let mut spec = python(&script);
        spec.limits.memory_mb = memory_mb;
        // As functions are started: INIT has two CPUs, whatever the size.
        spec.limits.cpu_millis = Some(cpu_millis.max(2000));
        let environment = walls.launch(spec).await.unwrap();
        wait_for(&environment, "busy").await;
        environment.control.set_cpu(Some(cpu_millis));
        let want = f64::from(cpu_millis) / 1000.0;
        let mut readings = Vec::new();
        for _ in 0..READINGS {
            let (share, used_up) = read(&walls, &*environment.control).await;
            assert!(share < want * 1.15, "{memory_mb} MB: {share} of a CPU, not {want}");
            readings.push((share, used_up));
            // Who is held back in every period is held back by the limit, not by the machine.
            assert!(!used_up || share > want * 0.85, "{memory_mb} MB: {share} of a CPU, not {want}");
            if share > want * 0.85 {
                break;
            }
        }
        let reached = readings.iter().any(|(share, _)| *share > want * 0.85);
        if !reached {
            println!("{memory_mb} MB: the machine of {cpus} CPUs had no {want} to give: {readings:?}");
        }
    }
}

#[tokio::test]
async fn the_start_of_the_smallest_function_has_two_cpus() {
    let walls = walls();
    if !holds(&walls, "cpu limit") {
        return;
    }
    let mut spec = python("print('busy', flush=True)\nwhile True: pass");
    spec.limits.cpu_millis = Some(2000);
    let environment = walls.launch(spec).await.unwrap();
    wait_for(&environment, "busy").await;
    let mut best = 0.0_f64;
    for _ in 0..READINGS {
        let (share, used_up) = read(&walls, &*environment.control).await;
        assert!(!used_up, "it is held back");
        best = best.max(share);
    }
    // One process uses one CPU, which is more than any function below 1,769 MB gets later; a busy machine has less.
    assert!(best > 0.1, "{best}");
}
