//! The table of what every input member does.

use std::collections::BTreeSet;

use messaging::queues;

use crate::world::World;

#[tokio::test]
async fn every_member_of_every_registered_operation_has_one_grade() {
    let world = World::new();
    let mut members = BTreeSet::new();
    for operation in world.router.registered() {
        members.extend(operation.input_shape.members().iter().map(|member| (operation.name, member.name)));
    }
    let rows: Vec<_> = queues::GRADES.iter().map(|row| (row.operation, row.member)).collect();
    let graded: BTreeSet<_> = rows.iter().copied().collect();
    assert_eq!(graded.len(), rows.len(), "no member is graded twice");
    let missing: Vec<_> = members.difference(&graded).collect();
    let unknown: Vec<_> = graded.difference(&members).filter(|(_, member)| !member.contains('.')).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}
