//! What every input member does, as data: `docs/fidelity.md` is made from it.

use door::Grade::{self, Acts};
use door::Graded;

const fn row(operation: &'static str, member: &'static str, grade: Grade, note: &'static str) -> Graded {
    Graded::new(operation, member, grade, note)
}

/// Every input member of every operation that this room carries out.
pub const GRADES: &[Graded] = &[
    // Buckets.

    // Configurations of buckets.

    // Locks and lifecycles.

    // Notifications.

    // Objects.
    row("GetObject", "Bucket", Acts, ""),
    // Uploads.
];
