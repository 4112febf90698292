//! The ids that sandboxes run as: each has a range that no other living sandbox has, of this helper or another one.
//!
//! Root takes ranges that distributions and container managers leave alone; an ordinary user's come out of what
//! `/etc/subuid` and `/etc/subgid` give that user (see `nest`). The ranges of a host are divided into slots, and a helper
//! takes a slot by binding a name that goes with the process.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::inside::confine;

/// The first of root's ranges: above what distributions and container managers give away.
const FIRST: u32 = 0x7000_0000;
/// Ids of one range of root's. The function's user is one of them.
const RANGE: u32 = 1024;
/// Root's slots, and the ranges of one.
const SLOTS: u32 = 192;
const RANGES: u32 = 1024;
/// An ordinary user's slots. Their ranges are single ids: a sandbox has no capability that could change to another.
const NESTED_SLOTS: u32 = 16;

/// Where ids may be taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// The first id, as this process's user namespace counts.
    first: u32,
    /// The same id as its parent counts, which tells the ids of two users apart.
    outside: u32,
    /// Ids of a range.
    each: u32,
    slots: u32,
    /// Ranges of a slot.
    ranges: u32,
}

/// The ranges of this helper.
pub(super) struct Ids {
    plan: Plan,
    free: Rc<RefCell<VecDeque<u32>>>,
    slots: RefCell<Slots>,
}

#[derive(Default)]
struct Slots {
    /// How many were tried.
    tried: u32,
    /// The names that hold them.
    held: Vec<OwnedFd>,
}

/// The ids of one sandbox. Dropped when its processes and files are gone, which gives them back.
pub(super) struct Range {
    start: u32,
    each: u32,
    free: Rc<RefCell<VecDeque<u32>>>,
}

impl Drop for Range {
    fn drop(&mut self) {
        // At the end of the line: the ids longest unused come first.
        self.free.borrow_mut().push_back(self.start);
    }
}

impl Range {
    /// What to write into `uid_map` and `gid_map` of the sandbox.
    pub(super) fn maps(&self) -> (String, String) {
        if self.each == 1 {
            return (format!("{} {} 1", confine::UID, self.start), format!("{} {} 1", confine::GID, self.start));
        }
        let map = format!("0 {} {}", self.start, self.each);
        (map.clone(), map)
    }

    /// The function's user and group as the helper counts them.
    pub(super) fn user(&self) -> (u32, u32) {
        if self.each == 1 { (self.start, self.start) } else { (self.start + confine::UID, self.start + confine::GID) }
    }
}

impl Ids {
    /// The ids this process may give away. `root` says that it is in the user namespace it was born in.
    pub(super) fn find(root: bool) -> Option<Self> {
        let map = |name: &str| fs::read_to_string(format!("/proc/self/{name}_map")).unwrap_or_default();
        let plan = plan(&map("uid"), &map("gid"), root)?;
        Some(Self { plan, free: Rc::default(), slots: RefCell::default() })
    }

    /// A range that no living sandbox has. `None` when all are in use.
    pub(super) fn take(&self) -> Option<Range> {
        loop {
            if let Some(start) = self.free.borrow_mut().pop_front() {
                return Some(Range { start, each: self.plan.each, free: Rc::clone(&self.free) });
            }
            self.open_slot()?;
        }
    }

    /// Takes one more slot, the first time one chosen by pid, so that a helper does not begin where the last one died.
    fn open_slot(&self) -> Option<()> {
        let Plan { first, outside, each, slots: count, ranges } = self.plan;
        let mut slots = self.slots.borrow_mut();
        while slots.tried < count {
            let number = std::process::id().wrapping_add(slots.tried) % count;
            slots.tried += 1;
            let Some(name) = hold(&format!("lambent-ids-{outside}-{number}")) else { continue };
            slots.held.push(name);
            let start = first + number * ranges * each;
            self.free.borrow_mut().extend((0..ranges).map(|range| start + range * each));
            return Some(());
        }
        None
    }

    /// How they are shown.
    pub(super) fn describe(&self) -> String {
        let Plan { each, slots, ranges, .. } = self.plan;
        match each {
            1 => format!("one of this user's {} subordinate ids for each sandbox", slots * ranges),
            _ => format!("{each} ids for each sandbox"),
        }
    }
}

/// Binds an abstract name, which one process of a network namespace can have at a time. Nobody listens there.
fn hold(name: &str) -> Option<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).ok()?;
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).ok()?;
    rustix::net::bind(&socket, &address).ok()?;
    Some(socket)
}

/// One line of a map: first id inside, the same outside, how many.
fn lines(map: &str) -> impl Iterator<Item = (u32, u32, u32)> {
    map.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u32>().ok());
        Some((fields.next()??, fields.next()??, fields.next()??))
    })
}

fn plan(uids: &str, gids: &str, root: bool) -> Option<Plan> {
    if root {
        let end = u64::from(FIRST) + u64::from(SLOTS * RANGES) * u64::from(RANGE);
        let covers = |map: &str| {
            lines(map).any(|(start, _, count)| start <= FIRST && u64::from(start) + u64::from(count) >= end)
        };
        let plan = Plan { first: FIRST, outside: FIRST, each: RANGE, slots: SLOTS, ranges: RANGES };
        return (covers(uids) && covers(gids)).then_some(plan);
    }
    // `nest` maps this user to 0 and the subordinate ids behind it.
    let given = |map: &str| lines(map).find(|(start, _, _)| *start == 1);
    let ((first, outside, uids), (_, _, gids)) = (given(uids)?, given(gids)?);
    let ranges = uids.min(gids) / NESTED_SLOTS;
    (ranges > 0).then_some(Plan { first, outside, each: 1, slots: NESTED_SLOTS, ranges })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: &str = "         0          0 4294967295\n";
    const NESTED: &str = "         0       1000          1\n         1     100000      65536\n";

    fn ids(plan: Plan) -> Ids {
        Ids { plan, free: Rc::default(), slots: RefCell::default() }
    }

    #[test]
    fn only_maps_that_hold_all_ranges_make_a_plan() {
        assert!(plan(ALL, ALL, true).is_some());
        assert!(plan(ALL, "0 0 65536\n", true).is_none());
        assert!(plan("0 1000 1\n", ALL, true).is_none());
        assert!(plan("", "", true).is_none());
        assert!(plan("0 1000 1\n", "0 1000 1\n", false).is_none());
        assert!(plan(NESTED, "0 1000 1\n", false).is_none());
        let nested = plan(NESTED, "0 1000 1\n1 200000 32768\n", false).unwrap();
        assert_eq!(nested, Plan { first: 1, outside: 100_000, each: 1, slots: 16, ranges: 2048 });
    }

    #[test]
    fn ranges_stay_below_the_reserved_ids() {
        let root = plan(ALL, ALL, true).unwrap();
        assert!(u64::from(root.first) + u64::from(root.slots * root.ranges) * u64::from(root.each) <= 0x8000_0000);
    }

    #[test]
    fn no_two_living_sandboxes_have_an_id_in_common_and_the_end_is_told() {
        // An `outside` of this test's own, so that nobody else holds the names.
        let outside = 4_000_000_000 + std::process::id() % 1_000_000;
        let mine = ids(Plan { first: 1, outside, each: 4, slots: 4, ranges: 2 });
        let other = ids(Plan { first: 1, outside, each: 4, slots: 4, ranges: 2 });
        let mut taken: Vec<Range> = (0..3).map(|_| mine.take().unwrap()).collect();
        taken.extend((0..4).map(|_| other.take().unwrap()));
        // The last of a slot of mine.
        taken.push(mine.take().unwrap());
        let starts: BTreeSet<u32> = taken.iter().map(|range| range.start).collect();
        assert_eq!((starts.len(), starts.iter().all(|start| (start - 1) % 4 == 0)), (8, true));
        assert!(mine.take().is_none() && other.take().is_none());
        let back = taken.remove(0).start;
        assert_eq!(mine.take().map(|range| range.start), Some(back));
    }

    #[test]
    fn what_was_used_last_is_used_again_last() {
        let outside = 4_100_000_000 + std::process::id() % 1_000_000;
        let ids = ids(Plan { first: 1, outside, each: 1, slots: 1, ranges: 3 });
        let starts: Vec<u32> = (0..6).map(|_| ids.take().unwrap().start).collect();
        assert_eq!(starts, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn maps_name_the_function_s_user() {
        let free: Rc<RefCell<VecDeque<u32>>> = Rc::default();
        let root = Range { start: 0x7000_0000, each: 1024, free: Rc::clone(&free) };
        assert_eq!(root.maps().0, "0 1879048192 1024");
        assert_eq!(root.user(), (0x7000_0000 + 993, 0x7000_0000 + 990));
        let nested = Range { start: 7, each: 1, free };
        assert_eq!(nested.maps(), ("993 7 1".to_owned(), "990 7 1".to_owned()));
        assert_eq!(nested.user(), (7, 7));
    }
}
