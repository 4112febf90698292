//! How many batches of one mapping are under way at once.
//!
//! Source: AWS Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings" and "Backoff strategy for
//! failed invocations".

use base::Timestamp;

/// At first, and again when the queue has become empty.
const FIRST: usize = 5;
/// As many as there can be.
pub(super) const MOST: usize = 1_250;
/// As few as failures leave.
const FEWEST: usize = 2;
/// One more after so long, ms: 300 a minute.
const STEP_MS: i64 = 200;
/// While there is too little room it is looked for more so often, ms.
const LOOK_MS: i64 = 1_000;

/// The room of one mapping.
#[derive(Debug)]
pub(super) struct Pace {
    room: usize,
    // Since when it was too little, or since it grew last.
    since: Option<Timestamp>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { room: FIRST, since: None }
    }
}

fn limit(most: Option<i64>) -> usize {
    most.and_then(|most| usize::try_from(most).ok()).unwrap_or(MOST).min(MOST)
}

impl Pace {
    /// How many batches there may be now; at most `most`, if that is given.
    pub(super) fn room(&mut self, now: Timestamp, most: Option<i64>) -> usize {
        if let Some(since) = self.since {
            let steps = (now.0 - since.0).max(0) / STEP_MS;
            let grown = self.room.saturating_add(usize::try_from(steps).unwrap_or(MOST));
            self.room = grown.min(MOST);
            self.since = Some(since.plus_ms(steps * STEP_MS));
        }
        self.room.min(limit(most))
    }

    /// There was too little room: it grows from now on. When it is worth looking again; none where it grows no more.
    pub(super) fn crowded(&mut self, now: Timestamp, most: Option<i64>) -> Option<Timestamp> {
        self.since.get_or_insert(now);
        (self.room < limit(most)).then(|| now.plus_ms(LOOK_MS))
    }

    /// There is nothing in the queue, and nothing under way.
    pub(super) fn idle(&mut self) {
        *self = Self::default();
    }

    /// Nothing more waits, though batches are under way: it grows no further.
    pub(super) fn enough(&mut self) {
        self.since = None;
    }

    /// The function failed or had no room itself.
    pub(super) fn slower(&mut self) {
        self.room = (self.room / 2).max(FEWEST);
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_grows_by_three_hundred_a_minute_while_it_is_too_little() {
        let mut pace = Pace::default();
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        assert_eq!(pace.room(at(100), None), 5, "not before it is too little");
        assert_eq!(pace.crowded(at(100), None), Some(at(101)));
        assert_eq!(pace.room(at(101), None), 10);
        assert_eq!(pace.room(at(160), None), 305);
        assert_eq!(pace.room(at(160), Some(7)), 7, "never more than it may");
        assert_eq!(pace.room(at(1_000), None), MOST);
        assert_eq!(pace.crowded(at(1_000), None), None, "it grows no more");
        pace.slower();
        assert_eq!(pace.room(at(2_000), None), 625);
        for _ in 0..20 {
            pace.slower();
        }
        assert_eq!(pace.room(at(2_000), None), FEWEST);
        pace.idle();
        assert_eq!(pace.room(at(3_000), None), FIRST);
        assert_eq!(Pace::default().crowded(at(0), Some(2)), None);
    }

    proptest! {
        #[test]
        fn many_looks_give_no_more_than_one(steps in proptest::collection::vec(0..5_000i64, 1..50)) {
            let (mut often, mut once) = (Pace::default(), Pace::default());
            let mut now = Timestamp(0);
            prop_assert_eq!(often.crowded(now, None), once.crowded(now, None));
            for step in steps {
                now = now.plus_ms(step);
                often.room(now, None);
            }
            prop_assert_eq!(often.room(now, None), once.room(now, None));
        }
    }
}
