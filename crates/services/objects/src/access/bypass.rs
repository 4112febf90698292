//! Who bypasses governance.

use std::sync::Arc;

use door::{Need, Subject};

use crate::Objects;
use crate::aws::readable;
use crate::rules::locks;
use crate::types::Bucket;
use crate::write::Place;

impl Objects {
    /// Whoever bypasses governance must be allowed to, where there is governance to bypass.
    pub(super) fn bypass(&self, subject: &Subject<'_>, name: &str, bucket: &Arc<Bucket>) -> Option<Need> {
        if !bucket.object_lock || !wire::true_member(subject.input, "BypassGovernanceRetention") {
            return None;
        }
        let (key, version) = (subject.text("Key"), subject.text("VersionId"));
        let place = Place { bucket: Arc::clone(bucket), name: name.to_owned(), key: key.unwrap_or_default() };
        let found = self.kv.snapshot().ok().and_then(|view| readable(&*view, &place, version.as_deref()).ok());
        let governed = found
            .and_then(|version| version.object)
            .is_some_and(|object| locks::governed(&object, self.clocks.product()));
        let resource = subject.resource.to_owned();
        governed.then(|| Need { action: "s3:BypassGovernanceRetention", resource, ..Need::default() })
    }
}
