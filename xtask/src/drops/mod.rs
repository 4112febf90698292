//! Sees that no member is said to act which nobody would miss: each has a test that fails when the door drops it.
//!
//! `lambent fidelity --acts` says which members act. Beside each room lies `tests/drops.txt`, whose lines name a test for
//! each: `lambda:CreateFunction.Timeout invoke::a_function_that_takes_too_long_is_stopped`, or, for what only the whole
//! platform shows, `e2e tests/e2e/test_x.py::test_name`. The tests' worlds read the member from `LAMBENT_DROP`.

mod find;
mod list;
mod verify;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail, ensure};

use list::Lists;
use world::{Rooms, Test};

pub(crate) const USAGE: &str = "cargo xtask drops [--find] [--e2e] [--room NAME]";

/// What to do.
#[derive(Debug, Default)]
struct Options {
    // Look for tests of members that have none yet.
    find: bool,
    // Also run the tests of the whole platform.
    e2e: bool,
    // Only this room.
    room: Option<String>,
}

impl Options {
    fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--find" => options.find = true,
                "--e2e" => options.e2e = true,
                "--room" => options.room = Some((*words.next().context("--room wants a name")?).to_owned()),
                _ => bail!("usage: {USAGE}"),
            }
        }
        Ok(options)
    }
}

/// A member that acts, as `LAMBENT_DROP` names it, with its room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) room: String,
    /// `service:Operation.Member`
    pub(crate) name: String,
}

impl Member {
    /// `service:Operation`, which drops every member.
    pub(crate) fn operation(&self) -> &str {
        self.name.split_once('.').map_or(&*self.name, |(operation, _)| operation)
    }
}

/// Verifies the lists, after completing them with `--find`. Prints every finding before it fails.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let options = Options::parse(words)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let mut members = world::members(root)?;
    members.retain(|member| options.room.as_ref().is_none_or(|room| *room == member.room));
    ensure!(!members.is_empty(), "no member acts: is the room's name right?");
    let rooms = Rooms::build(root, members.iter().map(|member| &*member.room).collect::<BTreeSet<_>>())?;
    let mut lists = Lists::read(root, rooms.names())?;
    let mut findings = Vec::new();

    let unmet = verify::verify(root, &rooms, &lists.of(&members), options.e2e);
    let strays = lists.strays(&members);
    if options.find {
        for (member, _) in &unmet {
            lists.forget(member);
        }
        strays.iter().for_each(|member| lists.forget(member));
        let missing: Vec<_> = members.iter().filter(|member| !lists.has(member)).cloned().collect();
        println!("drops: {} of {} members act without a test that is known", missing.len(), members.len());
        for (member, test) in find::find(&rooms, &missing) {
            match test {
                Some(test) => lists.set(&member, test),
                None => findings.push(format!("{}: no test fails without it", member.name)),
            }
        }
        lists.write(root, &members)?;
    } else {
        findings.extend(unmet.iter().map(|(member, why)| format!("{}: {why}", member.name)));
        findings.extend(strays.iter().map(|member| {
            format!(
                "{}: stands in crates/services/{}/tests/drops.txt, and is not graded Acts",
                member.name, member.room
            )
        }));
        let missing = members.iter().filter(|member| !lists.has(member));
        findings.extend(missing.map(|member| format!("{}: acts, and no test is named for it", member.name)));
    }
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    if !findings.is_empty() {
        bail!(
            "drops: {} findings; `cargo xtask drops --find` looks for tests of members that have none",
            findings.len()
        );
    }
    println!("drops: {} members act, and each is missed by its test", members.len());
    Ok(())
}

/// Members by test, so that each test is run once as it is.
pub(crate) type Named = BTreeMap<Test, Vec<Member>>;
