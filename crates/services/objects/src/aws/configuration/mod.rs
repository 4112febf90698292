//! What a bucket is told to do: its configurations, each kept as the model's structure ([`crate::types::Bucket`]'s `settings`).

use std::sync::Arc;

use door::RouterBuilder;

use crate::Objects;

/// Registers the operations on configurations.
pub(super) fn register(builder: RouterBuilder, _objects: &Arc<Objects>) -> RouterBuilder {
    builder
}
