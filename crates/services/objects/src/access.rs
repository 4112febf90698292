//! What the policies must know of buckets: whose they are, and their own policies.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

use door::{About, AuthContext, Subject};

use crate::Objects;

impl AuthContext for Objects {
    fn about(&self, subject: &Subject<'_>) -> About {
        let mut about = About::default();
        let Some(name) = subject.text("Bucket") else { return about };
        if let Some(bucket) = self.find(&name).ok().flatten() {
            about.owner = Some(bucket.account());
            about.policy = bucket.settings.get("policy").map(|policy| policy.as_str().into());
        }
        about
    }
}
