use std::time::{Duration, Instant};

/// Turns given away in a row without anybody coming, after which the group is closed: some ten microseconds on a machine
/// with nothing else to do, a fraction of a sync.
const TURNS: u32 = 64;
/// The longest a group is kept open: where other programs want the core, a turn given away may be long.
const MOST: Duration = Duration::from_micros(200);
/// Most groups in a row that are closed at once because waiting was in vain.
const MOST_SKIPPED: u32 = 64;

/// Who will ask in a moment: a caller that was just answered often asks again.
///
/// Without it such callers fall into two halves: one half comes back while the group of the other is being synced, and
/// each caller waits for two syncs. So a group is kept open while it has fewer requests than were just answered or had
/// come by then, and the thread gives its turn away to those who make them. A caller that is alone is never waited for,
/// and where those who were answered do not come back the waiting soon stops.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// Requests that the group under way still expects.
    expected: usize,
    /// Turns given away since the last of them came.
    turns: u32,
    /// When the first was given away, how many were hoped for then, and how many of them came.
    since: Option<Instant>,
    hoped: usize,
    came: usize,
    /// Groups to close at once, the one under way included.
    skip: u32,
    /// How many groups the last wait in vain made skip; twice as many the next time.
    skipped: u32,
}

impl Crowd {
    /// A group of `answered` requests is about to be answered while `waiting` others wait: the next group begins.
    pub(crate) fn answered(&mut self, answered: usize, waiting: usize) {
        let together = answered + waiting;
        self.expected = if together > 1 { together } else { 0 };
        (self.turns, self.since, self.came) = (0, None, 0);
        self.skip = self.skip.saturating_sub(1);
    }

    /// How many requests the group under way still expects.
    pub(crate) fn expected(&self) -> usize {
        self.expected
    }

    /// A request was found in the inbox.
    pub(crate) fn came(&mut self) {
        self.expected = self.expected.saturating_sub(1);
        if self.turns > 0 {
            self.turns = 0;
            self.came += 1;
            if self.expected == 0 {
                self.skipped = 0;
            }
        }
    }

    /// The inbox is empty: whether to give a turn away and look again.
    pub(crate) fn worth_a_turn(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.skip > 0 || self.expected == 0 {
            return false;
        }
        let now = now();
        let since = *self.since.get_or_insert_with(|| {
            self.hoped = self.expected;
            now
        });
        if self.turns < TURNS && now.saturating_duration_since(since) < MOST {
            self.turns += 1;
            return true;
        }
        self.expected = 0;
        // Most of them stayed away: others are hoped for less often.
        if self.came * 2 < self.hoped {
            self.skipped = (self.skipped * 2).clamp(1, MOST_SKIPPED);
            self.skip = self.skipped + 1;
        } else {
            self.skipped = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns given away until the group is closed.
    fn turns(crowd: &mut Crowd) -> u32 {
        (0..).find(|_| !turn(crowd)).unwrap()
    }

    fn turn(crowd: &mut Crowd) -> bool {
        crowd.worth_a_turn(start)
    }

    /// One moment for all, which never passes.
    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(|| base::Clocks::monotonic(&base::SystemClocks))
    }

    #[test]
    fn a_busy_core_does_not_keep_a_group_open() {
        let mut crowd = Crowd::default();
        crowd.answered(64, 0);
        assert!(turn(&mut crowd));
        assert!(crowd.worth_a_turn(|| start() + MOST / 2));
        crowd.came();
        assert!(!crowd.worth_a_turn(|| start() + MOST));
        assert_eq!(crowd.expected(), 0);
    }

    #[test]
    fn a_lone_caller_is_never_waited_for() {
        let mut crowd = Crowd::default();
        for _ in 0..3 {
            assert_eq!(turns(&mut crowd), 0);
            crowd.came();
            assert_eq!(turns(&mut crowd), 0);
            crowd.answered(1, 0);
        }
    }

    #[test]
    fn two_halves_become_one_group_which_closes_with_the_last_of_them() {
        let mut crowd = Crowd::default();
        crowd.answered(32, 32);
        for _ in 0..32 {
            crowd.came();
        }
        for _ in 0..32 {
            assert!(turn(&mut crowd));
            crowd.came();
        }
        assert!(!turn(&mut crowd), "all are there");
        crowd.answered(64, 0);
        assert_eq!(crowd.expected(), 64);
    }

    #[test]
    fn who_stays_away_is_waited_for_once_and_expected_no_more() {
        let mut crowd = Crowd::default();
        crowd.answered(64, 0);
        for _ in 0..60 {
            assert!(turn(&mut crowd));
            crowd.came();
        }
        assert_eq!(turns(&mut crowd), TURNS);
        assert_eq!(turns(&mut crowd), 0);
        crowd.answered(60, 0);
        assert_eq!(crowd.expected(), 60);
    }

    #[test]
    fn waiting_in_vain_soon_stops_and_is_tried_again() {
        let mut crowd = Crowd::default();
        let waited = (0..1000).filter(|_| {
            crowd.answered(2, 3);
            turns(&mut crowd) > 0
        });
        assert!((10..25).contains(&waited.count()), "seven times in the first 134 groups, then once in 65");
        for _ in 0..=MOST_SKIPPED {
            crowd.answered(2, 0);
        }
        assert!(turn(&mut crowd));
        crowd.came();
        crowd.answered(2, 0);
        assert!(turn(&mut crowd), "one who comes back is enough to wait for the next");
    }
}
