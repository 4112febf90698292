//! Each named test passes as it is, and fails when its member is dropped.

use std::collections::BTreeSet;
use std::path::Path;

use super::world::{Rooms, Test, each, platform};
use super::{Member, Named};

/// The members whose test does not do its work, and why. Tests of the whole platform are run with `e2e` only.
pub(crate) fn verify(root: &Path, rooms: &Rooms, named: &Named, e2e: bool) -> Vec<(Member, String)> {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for (test, members) in named {
        match test {
            Test::Room { room, name } => own.push((room, name, members)),
            Test::Platform(path) => others.push((path, members)),
        }
    }
    // As they are, all tests of a room run at once; with a member dropped each has a process of its own.
    let names: Vec<_> = rooms.names().collect();
    let passing: BTreeSet<(&str, String)> = each(&names, |room| {
        let tests: Vec<_> = own.iter().filter(|(of, ..)| of == room).map(|(_, name, _)| name.as_str()).collect();
        let outcome = if tests.is_empty() { Default::default() } else { rooms.run(room, &tests, None) };
        outcome.passed.into_iter().map(|test| (*room, test)).collect::<Vec<_>>()
    })
    .into_iter()
    .flatten()
    .collect();
    let pairs: Vec<_> =
        own.iter().flat_map(|(room, name, members)| members.iter().map(move |one| (room, name, one))).collect();
    let found = each(&pairs, |(room, name, member)| {
        if !passing.contains(&(room.as_str(), (*name).to_string())) {
            return Some(((*member).clone(), format!("its test {name} does not pass")));
        }
        let outcome = rooms.run(room, &[name], Some(&member.name));
        let unnoticed = outcome.passed.contains(name.as_str());
        unnoticed.then(|| ((*member).clone(), format!("its test {name} passes without it")))
    });
    let mut unmet: Vec<_> = found.into_iter().flatten().collect();
    for (path, members) in others.into_iter().filter(|_| e2e) {
        let passes = platform(root, path, None);
        for member in members {
            if !passes {
                unmet.push((member.clone(), format!("its test {path} does not pass")));
            } else if platform(root, path, Some(&member.name)) {
                unmet.push((member.clone(), format!("its test {path} passes without it")));
            }
        }
    }
    unmet
}
