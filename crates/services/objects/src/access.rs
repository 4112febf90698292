//! What the policies must know of buckets: whose they are, their own policies, and whether governance is to be bypassed.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

use std::any::Any;
use std::sync::Arc;

use door::{About, AuthContext, Need, Subject};
use model::s3;

use crate::Objects;
use crate::aws::readable;
use crate::rules::locks;
use crate::types::Bucket;
use crate::write::Place;

impl AuthContext for Objects {
    fn about(&self, subject: &Subject<'_>) -> About {
        let mut about = About::default();
        let Some(name) = subject.text("Bucket") else { return about };
        if let Some(bucket) = self.find(&name).ok().flatten() {
            about.owner = Some(bucket.account());
            about.also.extend(self.bypass(subject, &name, &bucket));
            about.policy = bucket_policy(&bucket);
        }
        about.also.extend(self.copied(subject));
        about
    }
}

impl Objects {
    /// Who copies an object must be allowed to read it.
    fn copied(&self, subject: &Subject<'_>) -> Option<Need> {
        let (name, key, version_id) = crate::aws::copied_from(&subject.text("CopySource")?)?;
        let bucket = self.find(&name).ok().flatten();
        Some(Need {
            action: if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" },
            resource: format!("arn:aws:s3:::{name}/{key}"),
            keys: Vec::new(),
            policy: bucket.and_then(|bucket| bucket_policy(&bucket)),
            trust: false,
        })
    }

    /// Whoever bypasses governance must be allowed to, where there is governance to bypass.
    fn bypass(&self, subject: &Subject<'_>, name: &str, bucket: &Arc<Bucket>) -> Option<Need> {
        if !bucket.object_lock || !wire::true_member(subject.input, "BypassGovernanceRetention") {
            return None;
        }
        let governed = |key: Option<&str>, version: Option<&str>| {
            let place =
                Place { bucket: Arc::clone(bucket), name: name.to_owned(), key: key.unwrap_or_default().into() };
            let found = self.kv.snapshot().ok().and_then(|view| readable(&*view, &place, version).ok());
            let object = found.and_then(|version| version.object);
            object.is_some_and(|object| locks::governed(&object, self.clocks.product()))
        };
        let input: &dyn Any = subject.input;
        let (resource, needed) = match input.downcast_ref::<s3::DeleteObjectsRequest>() {
            Some(input) => {
                let objects = input.delete.as_ref().and_then(|delete| delete.objects.as_ref());
                let needed = objects.into_iter().flatten().any(|object| {
                    object.version_id.is_some() && governed(object.key.as_deref(), object.version_id.as_deref())
                });
                (format!("arn:aws:s3:::{name}/*"), needed)
            }
            None => {
                let (key, version) = (subject.text("Key"), subject.text("VersionId"));
                (subject.resource.to_owned(), governed(key.as_deref(), version.as_deref()))
            }
        };
        let action = "s3:BypassGovernanceRetention";
        needed.then(|| Need { action, resource, keys: Vec::new(), policy: bucket_policy(bucket), trust: false })
    }
}

fn bucket_policy(bucket: &Bucket) -> Option<Arc<str>> {
    bucket.settings.get("policy").map(|policy| policy.as_str().into())
}
