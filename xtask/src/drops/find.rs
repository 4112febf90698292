//! Looks for a test that misses a member.

use std::collections::{BTreeMap, BTreeSet};

use super::Member;
use super::world::{Rooms, each};

/// For each member a test that passes as it is and fails without it, if there is one.
///
/// Which tests come into question is found by dropping the operation's whole input first: most call few operations.
pub(crate) fn find(rooms: &Rooms, missing: &[Member]) -> Vec<(Member, Option<String>)> {
    let concerned: BTreeSet<_> = missing.iter().map(|member| member.room.as_str()).collect();
    let concerned: Vec<_> = concerned.into_iter().collect();
    let passing: BTreeMap<&str, BTreeSet<String>> =
        concerned.iter().copied().zip(each(&concerned, |room| rooms.run(room, &[], None).passed)).collect();
    let operations: BTreeSet<_> = missing.iter().map(|member| (member.room.as_str(), member.operation())).collect();
    let operations: Vec<_> = operations.into_iter().collect();
    let candidates: BTreeMap<_, _> = operations
        .iter()
        .copied()
        .zip(each(&operations, |(room, operation)| missed(rooms, room, &[], operation, &passing[room])))
        .collect();
    let found = each(missing, |member| {
        let tests = &candidates[&(member.room.as_str(), member.operation())];
        let tests: Vec<_> = tests.iter().map(|(name, _)| name.as_str()).collect();
        if tests.is_empty() {
            return Vec::new();
        }
        missed(rooms, &member.room, &tests, &member.name, &passing[member.room.as_str()])
    });
    // How many members each test misses: one that misses few says more.
    let mut breadth: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (member, tests) in missing.iter().zip(&found) {
        tests.iter().for_each(|(name, _)| *breadth.entry((&member.room, name)).or_default() += 1);
    }
    let choose = |(member, tests): (&Member, &Vec<(String, bool)>)| {
        let best = tests.iter().min_by_key(|(name, hung)| {
            (*hung, usize::MAX - likeness(&member.name, name), breadth[&(&*member.room, &**name)], name.clone())
        });
        (member.clone(), best.map(|(name, _)| name.clone()))
    };
    missing.iter().zip(&found).map(choose).collect()
}

/// The tests that fail or hang with that dropped, and whether they hang.
fn missed(rooms: &Rooms, room: &str, tests: &[&str], dropped: &str, passing: &BTreeSet<String>) -> Vec<(String, bool)> {
    let outcome = rooms.run(room, tests, Some(dropped));
    let asked = passing.iter().filter(|name| tests.is_empty() || tests.contains(&name.as_str()));
    let missed = asked.filter_map(|name| match (outcome.failed.contains(name), outcome.passed.contains(name)) {
        (true, _) => Some((name.clone(), false)),
        (false, true) => None,
        (false, false) => outcome.hung.then(|| (name.clone(), true)),
    });
    missed.collect()
}

/// How many words of a member's name a test's name holds.
fn likeness(member: &str, test: &str) -> usize {
    let mut words: Vec<String> = Vec::new();
    for letter in member.chars() {
        match words.last_mut() {
            Some(word) if letter.is_ascii_lowercase() => word.push(letter),
            _ => words.push(letter.to_ascii_lowercase().to_string()),
        }
    }
    let test = test.to_ascii_lowercase();
    words.retain(|word| word.len() > 3 && test.contains(word.trim_end_matches('s')));
    words.sort();
    words.dedup();
    words.len()
}
