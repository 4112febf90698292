//! How far a room goes with an operation's input: the words of `docs/fidelity.md`.

use std::fmt;

/// What an input member does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// It changes what happens.
    Acts,
    /// It is checked, kept and shown again.
    Stored,
    /// It is refused by name.
    Refused,
    /// AWS's own documentation says that it does nothing any more, and it does nothing here.
    Obsolete,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acts => "acts",
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Obsolete => "obsolete",
        })
    }
}

/// The grade of one member of one operation's input. Each room has a table of them for what it registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graded {
    /// AWS's name of the operation.
    pub operation: &'static str,
    /// AWS's name of the member, nested ones with a dot.
    pub member: &'static str,
    /// What it does.
    pub grade: Grade,
    /// What a reader should know; may be empty.
    pub note: &'static str,
}

impl Graded {
    /// A row of a room's table.
    pub const fn new(operation: &'static str, member: &'static str, grade: Grade, note: &'static str) -> Self {
        Self { operation, member, grade, note }
    }
}
