//! What the policies must know of buckets: whose they are, and their own policies.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

use door::{About, AuthContext, Need, Subject};

use crate::Objects;

impl AuthContext for Objects {
    fn about(&self, subject: &Subject<'_>) -> About {
        let mut about = About::default();
        let Some(name) = subject.text("Bucket") else { return about };
        if let Some(bucket) = self.find(&name).ok().flatten() {
            about.owner = Some(bucket.account());
            about.policy = bucket.settings.get("policy").map(|policy| policy.as_str().into());
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
            policy: bucket.and_then(|bucket| Some(bucket.settings.get("policy")?.as_str().into())),
            trust: false,
        })
    }
}
