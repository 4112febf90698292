//! Multipart uploads.

use std::sync::Arc;

use base::Fault;
use door::RouterBuilder;

use crate::Objects;
use crate::types::Bucket;

/// Registers the operations on uploads.
pub(super) fn register(builder: RouterBuilder, _objects: &Arc<Objects>) -> RouterBuilder {
    builder
}

impl Objects {
    /// Aborts every upload of a bucket.
    pub(super) async fn abort_all(&self, _bucket: &Bucket) -> Result<(), Fault> {
        Ok(())
    }
}
