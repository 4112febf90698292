//! What the policies must know of buckets: whose they are, their own policies and access control lists, and what a request says of itself.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

mod bypass;
mod keys;

use std::sync::Arc;

use base::{Account, Principal};
use door::{About, Ask, AuthContext, Context, Need, Subject};
use model::s3::AccessControlPolicy;
use store::Space;

use crate::aws::canonical_id;
use crate::rules::acl::{self, Of};
use crate::rules::{bucket_policy, version_id};
use crate::settled::Ownership;
use crate::types::{Bucket, Head, Object, Version};
use crate::{Objects, state};

impl AuthContext for Objects {
    fn about(&self, subject: &Subject<'_>) -> About {
        let mut about = About { action: action(subject), keys: keys::of_input(subject), ..About::default() };
        // Each key is asked for by itself, where it is deleted.
        if subject.operation.name == "DeleteObjects" {
            about.free = true;
            return about;
        }
        let Some(name) = subject.text("Bucket") else { return about };
        about.also.extend(also(subject, &name));
        about.also.extend(self.copied(subject));
        let Ok(Some(bucket)) = self.find(&name) else { return about };
        about.also.extend(self.bypass(subject, &name, &bucket));
        let settled = bucket.settled();
        // Root is bound by the bucket's policy alone.
        let by_policy = settled.policy.as_ref().is_some_and(|policy| policy.contains("ExistingObjectTag"));
        let tags = keys::looks_at_tags(subject.operation)
            && (by_policy || !matches!(subject.principal, Principal::Root { .. }));
        let key = subject.text("Key").filter(|_| tags || settled.ownership != Ownership::Enforced);
        let object = key.and_then(|key| self.object(&bucket, &key, subject.text("VersionId").as_deref()));
        about.keys.extend(keys::of_resource(&bucket, object.as_ref().filter(|_| tags)));
        about.owner = Some(bucket.account());
        about.policy = match subject.operation.name {
            // Nobody may lock themselves out: the root of the account can always see and change the policy.
            "GetBucketPolicy" | "PutBucketPolicy" | "DeleteBucketPolicy" if is_root_of(subject.principal, &bucket) => {
                None
            }
            _ => policy(&bucket, subject.principal, &Place::of(&name, subject.text("Key"), object.as_ref())),
        };
        for need in about.also.iter_mut().filter(|need| need.owner.is_none() && need.policy.is_none()) {
            need.owner = about.owner;
            need.policy.clone_from(&about.policy);
            need.keys.clone_from(&about.keys);
        }
        about
    }
}

/// The action of an operation on a version that is named, where it is another than that on the newest.
fn action(subject: &Subject<'_>) -> Option<&'static str> {
    subject.text("VersionId")?;
    Some(match subject.operation.name {
        "GetObject" | "HeadObject" => "s3:GetObjectVersion",
        "DeleteObject" => "s3:DeleteObjectVersion",
        "GetObjectTagging" => "s3:GetObjectVersionTagging",
        "PutObjectTagging" => "s3:PutObjectVersionTagging",
        "DeleteObjectTagging" => "s3:DeleteObjectVersionTagging",
        "GetObjectAcl" => "s3:GetObjectVersionAcl",
        "PutObjectAcl" => "s3:PutObjectVersionAcl",
        "GetObjectAttributes" => "s3:GetObjectVersionAttributes",
        _ => return None,
    })
}

/// What must be allowed besides, for what a request says besides.
fn also(subject: &Subject<'_>, bucket: &str) -> Vec<Need> {
    let says = |members: &[&str]| members.iter().any(|member| subject.text(member).is_some());
    let list = || says(&["ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP"]);
    let actions = match subject.operation.name {
        "PutObject" | "CopyObject" | "CreateMultipartUpload" => {
            vec![("s3:PutObjectTagging", says(&["Tagging"])), ("s3:PutObjectAcl", list())]
        }
        "CreateBucket" => {
            vec![("s3:PutBucketAcl", list()), ("s3:PutBucketOwnershipControls", says(&["ObjectOwnership"]))]
        }
        _ => vec![],
    };
    let resource = match subject.text("Key") {
        Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
        None => format!("arn:aws:s3:::{bucket}"),
    };
    let asked = actions.into_iter().filter(|(_, asked)| *asked);
    asked.map(|(action, _)| Need { action, resource: resource.clone(), ..Need::default() }).collect()
}

fn is_root_of(principal: &Principal, bucket: &Bucket) -> bool {
    matches!(principal, Principal::Root { account, .. } if *account == bucket.account())
}

/// What a call is about.
struct Place<'a> {
    /// The ARN of the bucket.
    bucket: String,
    /// The ARN of the object.
    key: Option<String>,
    object: Option<&'a Version>,
}

impl<'a> Place<'a> {
    fn of(name: &str, key: Option<String>, object: Option<&'a Version>) -> Self {
        let bucket = format!("arn:aws:s3:::{name}");
        let key = key.map(|key| format!("{bucket}/{key}"));
        Self { bucket, key, object }
    }
}

/// What holds of a bucket's policy for a caller, with what its access control lists and the object's grant.
fn policy(bucket: &Bucket, principal: &Principal, place: &Place<'_>) -> Option<Arc<str>> {
    let settled = bucket.settled();
    let account = match principal {
        Principal::Anonymous => None,
        principal => Some(principal.account()),
    };
    let is_own = account == Some(bucket.account());
    let restricted = settled.block.restrict_public_buckets == Some(true) && !is_own;
    let own = match principal {
        // Services are let in by a public policy even then.
        Principal::Service { .. } => &settled.policy,
        _ if restricted && settled.is_public => &settled.denials,
        _ => &settled.policy,
    };
    if settled.ownership == Ownership::Enforced || matches!(principal, Principal::Service { .. }) {
        return own.clone();
    }
    let granted = granted(bucket, account, place, settled.block.ignore_public_acls == Some(true) || restricted);
    if granted.is_empty() {
        return own.clone();
    }
    bucket_policy::with(own.as_deref(), &granted).map(Into::into)
}

/// What lists grant an account, or nobody.
fn granted(
    bucket: &Bucket,
    account: Option<Account>,
    place: &Place<'_>,
    without_public: bool,
) -> Vec<serde_json::Value> {
    let id = account.map(|account| canonical_id(account.as_str()));
    let asker = account.zip(id.as_deref());
    let mut out = Vec::new();
    if let Some(list) = &bucket.settled().acl {
        out.extend(acl::statements(list, Of::Bucket, &place.bucket, asker, without_public));
    }
    let text = place.object.and_then(|version| version.object.as_ref()?.acl.as_deref());
    if let (Some(text), Some(key)) = (text, &place.key)
        && let Ok(list) = wire::recall::<AccessControlPolicy>(text)
    {
        out.extend(acl::statements(&list, Of::Object, key, asker, without_public));
    }
    out
}

impl Objects {
    /// The version of an object that a call is about, if it is there.
    fn object(&self, bucket: &Bucket, key: &str, id: Option<&str>) -> Option<Version> {
        let head: Head = store::get_json(&*self.kv, Space::Object, &state::head(bucket.generation, key)).ok()??;
        let Some(id) = id.filter(|id| *id != head.current.shown_id()) else { return Some(head.current) };
        let seq = version_id::seq(id).or(head.null)?;
        store::get_json(&*self.kv, Space::Object, &state::older(bucket.generation, key, seq)).ok()?
    }

    /// Who copies an object must be allowed to read it.
    fn copied(&self, subject: &Subject<'_>) -> Option<Need> {
        let (name, key, version_id) = crate::aws::copied_from(&subject.text("CopySource")?)?;
        let mut need = Need {
            action: if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" },
            resource: format!("arn:aws:s3:::{name}/{key}"),
            ..Need::default()
        };
        if let Some(bucket) = self.find(&name).ok().flatten() {
            let object = self.object(&bucket, &key, version_id.as_deref());
            need.owner = Some(bucket.account());
            need.keys = keys::of_resource(&bucket, object.as_ref());
            need.policy = policy(&bucket, subject.principal, &Place::of(&name, Some(key), object.as_ref()));
        }
        Some(need)
    }

    /// Whether a caller may do something besides what its operation is, with an object or with the bucket. Nobody's
    /// denial is always one; that of others follows what the platform was told to do with them.
    pub(crate) fn may(
        &self,
        context: &Context,
        action: &str,
        name: &str,
        bucket: &Bucket,
        key: Option<(&str, Option<&str>)>,
    ) -> Result<(), door::Denial> {
        let object = key.and_then(|(key, id)| self.object(bucket, key, id));
        let place = Place::of(name, key.map(|(key, _)| key.to_owned()), object.as_ref());
        let policy = policy(bucket, &context.principal, &place);
        let common = || self.gate.keys(&context.origin, &context.principal, &context.region);
        let keys = || [common(), keys::of_resource(bucket, object.as_ref())].concat();
        let ask = Ask {
            principal: &context.principal,
            key_id: context.origin.key_id.as_deref(),
            action,
            resource: place.key.as_deref().unwrap_or(&place.bucket),
            owner: Some(bucket.account()),
            policy: policy.as_deref(),
            trust: false,
            keys: &keys,
        };
        self.gate.decide(&ask, context.request_id, context.principal == Principal::Anonymous)
    }

    /// Whether anybody may read an object: by the bucket's policy, or by a list.
    pub(crate) fn is_readable(&self, visit: &door::Visit<'_>, name: &str, bucket: &Bucket, key: &str) -> bool {
        let anonymous = Principal::Anonymous;
        let object = self.object(bucket, key, None);
        let place = Place::of(name, Some(key.to_owned()), object.as_ref());
        let policy = policy(bucket, &anonymous, &place);
        let common = || self.gate.keys(visit.origin, &anonymous, visit.region);
        let keys = || [common(), keys::of_resource(bucket, object.as_ref())].concat();
        let ask = Ask {
            principal: &anonymous,
            key_id: None,
            action: "s3:GetObject",
            resource: place.key.as_deref().unwrap_or_default(),
            owner: Some(bucket.account()),
            policy: policy.as_deref(),
            trust: false,
            keys: &keys,
        };
        self.gate.decide(&ask, visit.request, self.gate.mode() != door::Mode::Off).is_ok()
    }
}

/// The tags of an object.
fn tags(object: &Version) -> impl Iterator<Item = (&String, &String)> {
    object.object.iter().flat_map(|object: &Object| &object.tags)
}
