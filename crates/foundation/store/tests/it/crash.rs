//! The crash test: the child is killed at a random moment, again and again over the same folder, also while it recovers.
//! Whatever was acknowledged must be there, nothing may be torn, and no counter may go back. `LAMBENT_SOAK=n` makes it n
//! times as long.

use std::time::Duration;

use crate::workload::{self, Known, Random, Run};

const ROUNDS: u64 = 200;

#[test]
fn nothing_acknowledged_is_lost_over_hundreds_of_kills() {
    let rounds = ROUNDS * workload::soak();
    let parent = tempfile::tempdir().unwrap();
    let mut random = Random(0x5eed);
    let mut known = Known::default();
    let mut folder = parent.path().join("0");
    for round in 0..rounds {
        if round % 16 == 15 {
            // A new folder now and then, so that its making is killed too.
            folder = parent.path().join(round.to_string());
            known.forget();
        }
        let mut run = Run::start(&folder, &[]);
        match random.below(8) {
            // At a random moment from the very start; the time, not the progress, must be random here.
            0..=2 => std::thread::sleep(Duration::from_micros(random.below(12_000))),
            _ => run.hear_acknowledged(&mut known, random.below(120)),
        }
        if random.below(8) == 0 {
            assert!(run.stop(&mut known).success(), "round {round}: a clean stop failed");
        } else {
            run.kill(&mut known);
        }
        known.must_be_sound();
    }
    // The last word: a child that only looks.
    assert!(Run::start(&folder, &[]).stop(&mut known).success());
    known.must_be_sound();
    assert!(known.looked > rounds / 3, "most rounds must get as far as recovering: {}", known.looked);
}
