//! The weak mode: a plain process of this user, for hosts on which no wall can be built. Loopback only, marked everywhere.

use crate::walls::{Environment, Error, Spec};

/// Starts the program without walls.
pub(crate) fn launch(spec: Spec) -> Result<Environment, Error> {
    Err(Error::Spec(spec.tenant))
}
