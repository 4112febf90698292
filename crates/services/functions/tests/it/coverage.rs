//! Every input member of every registered operation has a grade, and every grade belongs to one.

use std::collections::BTreeSet;

use door::{Gate, RouterBuilder};
use functions::GRADES;

use crate::world::World;

#[tokio::test]
async fn every_member_is_graded() {
    let world = World::new();
    let router = functions::register(RouterBuilder::default(), &world.functions).build(Gate::off());
    let graded: BTreeSet<(&str, &str)> =
        GRADES.iter().map(|row| (row.operation, row.member.split('.').next().unwrap_or(row.member))).collect();
    let members: BTreeSet<(&str, &str)> = router
        .registered()
        .iter()
        .flat_map(|operation| operation.input_shape.members().iter().map(|member| (operation.name, member.name)))
        .collect();
    let missing: Vec<_> = members.difference(&graded).collect();
    assert!(missing.is_empty(), "without a grade: {missing:?}");
    let unknown: Vec<_> = graded.difference(&members).collect();
    assert!(unknown.is_empty(), "graded, but no member: {unknown:?}");
}
