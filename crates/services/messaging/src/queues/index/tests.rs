use super::*;

const MINUTE: i64 = 60_000;

fn empty(fifo: bool) -> Index {
    let mut index = Index::new(fifo, 0, 0, Vec::new(), 0);
    index.page(Vec::new(), false);
    index
}

fn send(index: &mut Index, now: i64, group: Option<&str>) -> u64 {
    let number = index.next_number(now);
    index.arrive(number, Arrival { group: group.map(Into::into), ..Arrival::default() }, now);
    number
}

fn take(index: &mut Index, now: i64, most: usize) -> Vec<u64> {
    index.advance(now);
    let want = Want { most, visible_ms: now + MINUTE, maximum: None };
    let (taken, _) = index.take(now, want, &mut || 7);
    taken
        .into_iter()
        .map(|one| {
            index.settle(one.number);
            one.number
        })
        .collect()
}

fn delete(index: &mut Index, number: u64, now: i64) {
    assert_eq!(index.remove(number, 7, now), Removal::Leaves { large: false });
    index.gone(number);
}

#[test]
fn messages_come_in_order_and_again_when_their_time_is_over() {
    let mut index = empty(false);
    let sent: Vec<_> = (0..3).map(|_| send(&mut index, 1, None)).collect();
    assert_eq!(take(&mut index, 1, 2), sent[..2]);
    assert_eq!(index.counts(), (1, 2, 0));
    assert_eq!(take(&mut index, 2, 10), sent[2..]);
    assert!(take(&mut index, MINUTE, 10).is_empty());
    assert_eq!(take(&mut index, MINUTE + 1, 10), sent[..2]);
    delete(&mut index, sent[0], MINUTE + 1);
    assert_eq!(index.remove(sent[0], 7, MINUTE + 1), Removal::Nothing);
    assert_eq!(index.counts(), (0, 2, 0));
}

#[test]
fn a_group_waits_while_one_of_it_is_out() {
    let mut index = empty(true);
    let a: Vec<_> = (0..3).map(|_| send(&mut index, 1, Some("a"))).collect();
    let b = send(&mut index, 1, Some("b"));
    assert_eq!(take(&mut index, 1, 2), a[..2]);
    assert_eq!(take(&mut index, 1, 10), [b]);
    delete(&mut index, a[0], 2);
    assert!(take(&mut index, 2, 10).is_empty(), "one of the group is still out");
    delete(&mut index, a[1], 2);
    assert_eq!(take(&mut index, 2, 10), [a[2]]);
    assert_eq!(
        take(&mut index, 2 + MINUTE, 10),
        [b, a[2]].into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    assert_eq!(index.remove(b, 7, 3 * MINUTE), Removal::Expired);
}

#[test]
fn nothing_is_received_before_what_was_sent_earlier_is_durable() {
    let mut index = empty(true);
    let first = index.next_number(1);
    let second = send(&mut index, 1, Some("a"));
    assert!(take(&mut index, 1, 10).is_empty());
    index.arrive(first, Arrival { group: Some("a".into()), ..Arrival::default() }, 1);
    assert_eq!(take(&mut index, 1, 10), [first, second]);
}

#[test]
fn what_does_not_fit_is_read_in_pages_and_nothing_comes_twice() {
    for fifo in [false, true] {
        let mut index = empty(fifo);
        let group = fifo.then_some("a");
        let late = index.next_number(1);
        let window = if fifo { FIFO_WINDOW } else { WINDOW };
        let sent: Vec<_> = (0..window + 10).map(|_| send(&mut index, 1, group)).collect();
        // It is smaller than what is in memory already.
        index.arrive(late, Arrival { group: group.map(Into::into), ..Arrival::default() }, 1);
        let mut seen = Vec::new();
        loop {
            if let Some(from) = index.wants_page(10) {
                let rows: Vec<_> = sent.iter().copied().filter(|number| *number >= from).take(7).collect();
                let more = rows.len() == 7;
                let group: Option<Arc<str>> = group.map(Into::into);
                index.page(rows.into_iter().map(|number| (number, Bytes::new(), group.clone(), false)).collect(), more);
            }
            let got = take(&mut index, 1, 10);
            if got.is_empty() {
                break;
            }
            for number in &got {
                delete(&mut index, *number, 1);
            }
            seen.extend(got);
        }
        let all: Vec<_> = std::iter::once(late).chain(sent).collect();
        assert!(seen == all, "{} of {}", seen.len(), all.len());
        assert_eq!(index.counts(), (0, 0, 0));
        assert_eq!(index.head(), index.last + 1);
        assert_eq!(index.held_bytes, 0);
        assert!(index.groups.is_empty() && index.heads.is_empty());
    }
}

#[test]
fn what_is_given_back_is_as_it_was() {
    for fifo in [false, true] {
        let mut index = empty(fifo);
        let number = send(&mut index, 1, fifo.then_some("a"));
        for _ in 0..2 {
            let want = Want { most: 1, visible_ms: MINUTE, maximum: None };
            let (taken, _) = index.take(1, want, &mut || 7);
            assert_eq!(taken[0].before, None);
            index.give_back(taken.into_iter().next().unwrap(), 1);
            assert_eq!(index.counts(), (1, 0, 0));
        }
        assert_eq!(take(&mut index, 1, 1), [number]);
        index.advance(2 * MINUTE);
        let want = Want { most: 1, visible_ms: 3 * MINUTE, maximum: None };
        let (taken, _) = index.take(2 * MINUTE, want, &mut || 8);
        assert_eq!(taken[0].state.receives, 2);
        index.give_back(taken.into_iter().next().unwrap(), 2 * MINUTE);
        assert_eq!(index.known[&number].state.receives, 1);
        assert!(index.is_available());
    }
}

#[test]
fn a_dead_letter_is_set_aside_and_its_group_waits_for_it() {
    let mut index = empty(true);
    let (first, second) = (send(&mut index, 1, Some("a")), send(&mut index, 1, Some("a")));
    assert_eq!(take(&mut index, 1, 1), [first]);
    let now = 2 * MINUTE;
    index.advance(now);
    let want = Want { most: 10, visible_ms: now + MINUTE, maximum: Some(1) };
    let (taken, dead) = index.take(now, want, &mut || 8);
    assert!(taken.is_empty());
    assert_eq!(dead.iter().map(|one| one.number).collect::<Vec<_>>(), [first]);
    assert!(take(&mut index, now, 10).is_empty());
    index.gone(first);
    assert_eq!(take(&mut index, now, 10), [second]);
}

#[test]
fn what_is_too_old_leaves_wherever_it_stands() {
    let mut index = empty(false);
    let old = send(&mut index, 10, None);
    let held = send(&mut index, 10, None);
    let moved = index.next_number(MINUTE);
    let state = State { sent_ms: 5, receives: 0, ..State::default() };
    index.arrive(moved, Arrival { state: Some(state), ..Arrival::default() }, MINUTE);
    let young = send(&mut index, MINUTE, None);
    assert_eq!(index.oldest_ms(), Some(5));
    let leaving: Vec<_> = index.expire(10, 100).into_iter().map(|(number, _)| number).collect();
    assert_eq!(leaving, [old, held, moved]);
    assert!(index.expire(10, 100).is_empty(), "each leaves once");
    for number in leaving {
        index.gone(number);
    }
    assert_eq!((index.counts(), index.head()), ((1, 0, 0), young));
    assert_eq!(take(&mut index, MINUTE, 10), [young]);
}

#[test]
fn numbers_grow_whatever_the_clock_does() {
    let mut index = empty(false);
    let mut last = 0;
    for now in [5, 5, 4, -1, 6, 0] {
        let number = index.next_number(now);
        assert!(number > last);
        last = number;
    }
    assert_eq!(given_ms(last), 6);
}

#[test]
fn what_ripens_is_told_once_whoever_saw_it_first() {
    let mut index = empty(false);
    send(&mut index, 1, None);
    take(&mut index, 1, 1);
    assert!(!index.has_ripened());
    // Somebody looks who tells nobody.
    index.advance(1 + MINUTE);
    assert!(index.has_ripened());
    assert!(!index.has_ripened());
}

#[test]
fn a_group_waits_for_what_of_it_is_on_the_disk_alone() {
    let late = State { visible_ms: 5, sent_ms: 1, ..State::default() };
    let mut index = Index::new(true, 2, 0, vec![(9, late, Some("a".into()))], 10);
    assert_eq!(index.wants_page(1), Some(0));
    assert!(take(&mut index, 10, 1).is_empty(), "another of its group may stand before it");
    index.page(vec![(8, Bytes::new(), Some("a".into()), false), (9, Bytes::new(), Some("a".into()), false)], false);
    assert_eq!(take(&mut index, 10, 10), [8, 9]);
}
