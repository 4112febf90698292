//! What a bucket's configurations mean for every request: read from their texts once.

use std::sync::{Arc, OnceLock};

use model::s3::{AccessControlPolicy, CORSConfiguration, CORSRule, OwnershipControls, PublicAccessBlockConfiguration};

use crate::aws::canonical_id;
use crate::rules::{acl, bucket_policy};
use crate::types::Bucket;

/// The names under which configurations are kept in a bucket's settings.
pub(crate) const ACL: &str = "acl";
/// As above.
pub(crate) const CORS: &str = "cors";
/// As above: the policy's text itself.
pub(crate) const POLICY: &str = "policy";
/// As above.
pub(crate) const OWNERSHIP: &str = "ownership";
/// As above.
pub(crate) const PUBLIC_ACCESS: &str = "public-access";
/// As above.
pub(crate) const WEBSITE: &str = "website";

/// Who owns what others put into a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ownership {
    /// Its writer.
    #[default]
    Writer,
    /// The bucket's owner, if the writer gives it full control; else the writer.
    Preferred,
    /// The bucket's owner; access control lists mean nothing.
    Enforced,
}

impl Ownership {
    /// By AWS's word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "BucketOwnerEnforced" => Some(Self::Enforced),
            "BucketOwnerPreferred" => Some(Self::Preferred),
            "ObjectWriter" => Some(Self::Writer),
            _ => None,
        }
    }
}

/// What the configurations of one bucket mean.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The bucket's policy.
    pub(crate) policy: Option<Arc<str>>,
    /// The policy lets in everyone.
    pub(crate) is_public: bool,
    /// What of the policy holds for those whom a public policy does not let in.
    pub(crate) denials: Option<Arc<str>>,
    pub(crate) block: PublicAccessBlockConfiguration,
    pub(crate) ownership: Ownership,
    /// The bucket's own access control list; none for the one every bucket has.
    pub(crate) acl: Option<AccessControlPolicy>,
    pub(crate) cors: Option<Vec<CORSRule>>,
}

/// [`Settled`], once it was asked for. A bucket that changes is read anew, so this never grows old.
#[derive(Debug, Clone, Default)]
pub(crate) struct Once(OnceLock<Arc<Settled>>);

// It follows from the rest of the bucket.
impl PartialEq for Once {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Once {}

impl Bucket {
    /// What its configurations mean.
    pub(crate) fn settled(&self) -> &Settled {
        self.settled.0.get_or_init(|| Arc::new(self.settle()))
    }

    fn settle(&self) -> Settled {
        fn recall<T: wire::Structure + Default>(bucket: &Bucket, name: &str) -> Option<T> {
            bucket.settings.get(name).and_then(|text| wire::recall(text).ok())
        }
        let policy = self.settings.get(POLICY).map(String::as_str);
        let controls: Option<OwnershipControls> = recall(self, OWNERSHIP);
        let rule = controls.and_then(|controls| controls.rules?.into_iter().next()?.object_ownership);
        Settled {
            policy: policy.map(Into::into),
            is_public: policy.is_some_and(bucket_policy::is_public),
            denials: policy.and_then(bucket_policy::only_denials).map(Into::into),
            block: recall(self, PUBLIC_ACCESS).unwrap_or_default(),
            ownership: rule.and_then(|word| Ownership::of(&word)).unwrap_or_default(),
            acl: recall(self, ACL),
            cors: recall::<CORSConfiguration>(self, CORS).and_then(|configuration| configuration.cors_rules),
        }
    }

    /// Whose an object is that an account puts into the bucket with some access control list, and which list it then has.
    pub(crate) fn owner_of(&self, writer: &str, acl: Option<&str>) -> (String, Option<String>) {
        let ours = match self.settled().ownership {
            Ownership::Enforced => true,
            Ownership::Preferred => acl.is_some_and(|text| {
                let owner = canonical_id(&self.owner);
                wire::recall::<AccessControlPolicy>(text).is_ok_and(|list| acl::gives_all(&list, &owner))
            }),
            Ownership::Writer => false,
        };
        match ours {
            true if writer != self.owner => (self.owner.clone(), None),
            _ => (writer.to_owned(), acl.map(str::to_owned)),
        }
    }
}
