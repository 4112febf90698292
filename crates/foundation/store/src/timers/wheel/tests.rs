use std::collections::BTreeSet;
use std::ops::Bound;

use proptest::prelude::*;

use super::super::{MOST, PAGE};
use super::*;

const PLACE: Place = Place::under("test/");

fn key(due: i64, id: usize) -> Bytes {
    PLACE.key(Timestamp(due), &format!("{id:08}"))
}

/// The rows on the disk beside the wheel, as the loop keeps the two in step.
struct Disk {
    rows: BTreeSet<Bytes>,
    wheel: Wheel,
    most_held: usize,
}

impl Disk {
    fn new(most: usize) -> Self {
        Self { rows: BTreeSet::new(), wheel: Wheel { lanes: vec![Lane::new(PLACE, 1, most)] }, most_held: 0 }
    }

    fn lane(&mut self) -> &mut Lane {
        &mut self.wheel.lanes[0]
    }

    fn put(&mut self, key: Bytes) {
        self.rows.insert(key.clone());
        self.lane().insert(key);
    }

    fn take(&mut self, key: &Bytes) {
        self.rows.remove(key);
        self.lane().remove(key);
    }

    /// What is due at this moment and its end; none if nothing is. `meanwhile` is written while a page is read.
    fn next(&mut self, now: i64, page: usize, mut meanwhile: impl FnMut(&mut Self)) -> Option<Bytes> {
        loop {
            self.most_held = self.most_held.max(self.lane().held());
            match self.wheel.next(Timestamp(now), false, |_, _| None) {
                Next::Later(_) => return None,
                Next::Due { key, .. } => {
                    self.lane().ended(None, None);
                    // Taken away while it was on its way into memory.
                    if self.rows.remove(&key) {
                        return Some(key);
                    }
                }
                Next::Unknown { from, .. } => {
                    self.lane().loading = Some(Loading::default());
                    let range = (Bound::Included(from), Bound::Unbounded);
                    let rows: Vec<Bytes> = self.rows.range::<Bytes, _>(range).take(page).cloned().collect();
                    meanwhile(self);
                    let more = rows.len() == page;
                    self.lane().loaded(rows, more);
                }
            }
        }
    }
}

#[test]
fn a_million_timers_come_in_order_and_few_are_in_memory() {
    const ALL: usize = 1_000_000;
    let mut disk = Disk::new(MOST);
    // Scattered over a year, by a step that meets every number once; half of them before the first look.
    let due = |n: usize| ((n * 7_919 + 13) % ALL) as i64 * 31_536;
    for n in 0..ALL / 2 {
        disk.put(key(due(n), n));
    }
    let (mut last, mut came, mut put) = (Bytes::new(), 0, ALL / 2);
    while let Some(key) = disk.next(i64::MAX, PAGE, |_| {}) {
        came += 1;
        // What is put meanwhile for a time already past comes next; all else comes in order.
        if put < ALL {
            let due = due(put).max(PLACE.read(&key).unwrap().0.0 + 1);
            disk.put(self::key(due, put));
            put += 1;
        }
        assert!(key > last, "{key:?} after {last:?}");
        last = key;
    }
    assert_eq!((came, disk.rows.len()), (ALL, 0));
    assert!(disk.most_held <= MOST + 1, "{}", disk.most_held);
}

#[derive(Debug, Clone)]
enum Step {
    Put(i64, usize),
    Take(i64, usize),
    Next(i64, Vec<(i64, usize, bool)>),
}

fn step() -> impl Strategy<Value = Step> {
    let (due, id) = (0..20_i64, 0..4_usize);
    let meanwhile = prop::collection::vec((0..20_i64, 0..4_usize, any::<bool>()), 0..6);
    prop_oneof![
        4 => (due.clone(), id.clone()).prop_map(|(due, id)| Step::Put(due, id)),
        1 => (due.clone(), id).prop_map(|(due, id)| Step::Take(due, id)),
        3 => (due, meanwhile).prop_map(|(now, meanwhile)| Step::Next(now, meanwhile)),
    ]
}

proptest! {
    /// Whatever is put and taken away, also while a page is read: what comes is the first row there is, and in the end
    /// every row has come.
    #[test]
    fn the_first_row_comes_first_and_none_is_lost(steps in prop::collection::vec(step(), 0..60), most in 1..6_usize) {
        let mut disk = Disk::new(most);
        for step in steps {
            match step {
                Step::Put(due, id) => disk.put(key(due, id)),
                Step::Take(due, id) => disk.take(&key(due, id)),
                Step::Next(now, meanwhile) => {
                    let mut meanwhile = Some(meanwhile);
                    let came = disk.next(now, 2, |disk| {
                        for (due, id, put) in meanwhile.take().into_iter().flatten() {
                            if put { disk.put(key(due, id)) } else { disk.take(&key(due, id)) }
                        }
                    });
                    let before = disk.rows.first().cloned();
                    match came {
                        Some(came) => prop_assert!(before.is_none_or(|first| came < first)),
                        None => prop_assert!(before.is_none_or(|first| PLACE.read(&first).unwrap().0.0 > now)),
                    }
                }
            }
        }
        while disk.next(i64::MAX, 2, |_| {}).is_some() {}
        prop_assert!(disk.rows.is_empty());
        prop_assert!(disk.most_held <= most + 2 + 1);
    }
}

#[test]
fn a_slow_part_leaves_room_for_others_and_its_own_follow_in_order() {
    let mut wheel = Wheel { lanes: vec![Lane::new(PLACE, 4, 100)] };
    wheel.lanes[0].loaded(Vec::new(), false);
    for n in 0..6 {
        wheel.lanes[0].insert(PLACE.key(Timestamp(n), "slow"));
    }
    wheel.lanes[0].insert(PLACE.key(Timestamp(9), "quick"));
    let part = |_: usize, id: &str| Some((id.to_owned(), 2));
    let next = |wheel: &mut Wheel| match wheel.next(Timestamp(10), false, part) {
        Next::Due { key, .. } => Some(PLACE.read(&key).unwrap().0.0),
        _ => None,
    };
    assert_eq!(
        [next(&mut wheel), next(&mut wheel), next(&mut wheel), next(&mut wheel)],
        [Some(0), Some(1), Some(9), None]
    );
    wheel.lanes[0].ended(Some("quick"), None);
    assert_eq!(next(&mut wheel), None, "its own part is full");
    for due in 2..6 {
        wheel.lanes[0].ended(Some("slow"), None);
        assert_eq!(next(&mut wheel), Some(due));
    }
}

#[test]
fn one_owners_timers_of_a_moment_end_before_anothers_begin_where_order_counts() {
    let other = Place::under("other/");
    let mut wheel = Wheel { lanes: vec![Lane::new(PLACE, 8, 100), Lane::new(other, 8, 100)] };
    for lane in &mut wheel.lanes {
        lane.loaded(Vec::new(), false);
    }
    for id in ["a", "b"] {
        wheel.lanes[0].insert(PLACE.key(Timestamp(5), id));
        wheel.lanes[1].insert(other.key(Timestamp(5), id));
    }
    let next = |wheel: &mut Wheel| match wheel.next(Timestamp(5), true, |_, _| None) {
        Next::Due { lane, .. } => Some(lane),
        _ => None,
    };
    assert_eq!([next(&mut wheel), next(&mut wheel), next(&mut wheel)], [Some(0), Some(0), None]);
    wheel.lanes[0].ended(None, None);
    assert_eq!(next(&mut wheel), None);
    wheel.lanes[0].ended(None, None);
    assert_eq!(next(&mut wheel), Some(1));
}
