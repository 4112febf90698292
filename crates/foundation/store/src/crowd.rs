/// Turns given away in a row without anybody coming, after which the group is closed: some ten microseconds on a machine
/// with nothing else to do, a fraction of a sync.
const TURNS: u32 = 64;
/// Most groups in a row that are closed at once because waiting was in vain.
const MOST_SKIPPED: u32 = 64;

/// Who will ask in a moment: a caller that was just answered often asks again.
///
/// Without it such callers fall into two halves: one half comes back while the group of the other is being synced, and
/// each caller waits for two syncs. So a group is kept open while it has fewer requests than were just answered or had
/// come by then, and the thread gives its turn away to those who make them. No clock is asked, a caller that is alone is
/// never waited for, and where those who were answered do not come back the waiting soon stops.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// Requests that the group under way still expects.
    expected: usize,
    /// Turns given away since the last of them came.
    turns: u32,
    /// Whether any of them came in a turn given away.
    came_back: bool,
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
        self.turns = 0;
        self.came_back = false;
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
            self.came_back = true;
            self.skipped = 0;
        }
    }

    /// The inbox is empty: whether to give a turn away and look again.
    pub(crate) fn worth_a_turn(&mut self) -> bool {
        if self.skip > 0 || self.expected == 0 {
            return false;
        }
        if self.turns < TURNS {
            self.turns += 1;
            return true;
        }
        self.expected = 0;
        if !self.came_back {
            self.skipped = (self.skipped * 2).clamp(1, MOST_SKIPPED);
            self.skip = self.skipped + 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns given away until the group is closed.
    fn turns(crowd: &mut Crowd) -> u32 {
        (0..).find(|_| !crowd.worth_a_turn()).unwrap()
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
            assert!(crowd.worth_a_turn());
            crowd.came();
        }
        assert!(!crowd.worth_a_turn(), "all are there");
        crowd.answered(64, 0);
        assert_eq!(crowd.expected(), 64);
    }

    #[test]
    fn who_stays_away_is_waited_for_once_and_expected_no_more() {
        let mut crowd = Crowd::default();
        crowd.answered(64, 0);
        for _ in 0..60 {
            assert!(crowd.worth_a_turn());
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
        assert!(crowd.worth_a_turn());
        crowd.came();
        crowd.answered(2, 0);
        assert!(crowd.worth_a_turn(), "one who comes back is enough to wait for the next");
    }
}
