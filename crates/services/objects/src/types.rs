//! Buckets, objects and what belongs to them, as rows keep them.

use std::collections::BTreeMap;

use base::{Account, Region};
use serde::{Deserialize, Serialize};

/// What becomes of an object that is overwritten or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Versioning {
    /// It stays, as a version.
    Enabled,
    /// It goes; versions made before stay.
    Suspended,
}

impl Versioning {
    /// AWS's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Suspended => "Suspended",
        }
    }
}

/// One bucket. Its name is its row's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// Twelve digits.
    pub(crate) owner: String,
    pub(crate) region: String,
    /// The prefix of its objects' rows: a bucket of the same name that is made later has another.
    pub(crate) generation: u64,
    pub(crate) created_ms: i64,
    /// None: it was never asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) versioning: Option<Versioning>,
    /// Objects may be locked.
    #[serde(default)]
    pub(crate) object_lock: bool,
    /// Its configurations by name, each the JSON of the model's structure (`wire::keep`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) settings: BTreeMap<String, String>,
    /// What they mean, once somebody asked.
    #[serde(skip)]
    pub(crate) settled: crate::settled::Once,
}

impl Bucket {
    /// Whose it is.
    pub(crate) fn account(&self) -> Account {
        self.owner.parse().unwrap_or(Account::DEFAULT)
    }

    /// Where it is.
    pub(crate) fn region(&self) -> Region {
        self.region.parse().unwrap_or_else(|()| Region::default_region())
    }
}

/// The newest version of a key, and what there is besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) current: Version,
    /// Other versions may stand behind it.
    #[serde(default)]
    pub(crate) older: bool,
    /// Which of those behind it is the `null` version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) null: Option<u64>,
}

/// One version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Its place among the versions of its key: newer ones have greater numbers.
    pub(crate) seq: u64,
    /// None: `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) modified_ms: i64,
    /// Twelve digits.
    pub(crate) owner: String,
    /// None: a delete marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<Object>,
}

impl Version {
    /// The id as clients see it.
    pub(crate) fn shown_id(&self) -> &str {
        self.id.as_deref().unwrap_or("null")
    }

    pub(crate) fn is_marker(&self) -> bool {
        self.object.is_none()
    }
}

/// An object's bytes and what is said of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) content: Content,
    /// Of how many parts it was made; none: it came in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Sum>,
    #[serde(default, skip_serializing_if = "Described::is_empty")]
    pub(crate) described: Described,
    /// The user's own, by name in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// None: STANDARD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    /// By whose key it is encrypted; none: by the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) customer_key: Option<CustomerKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    /// None: nobody ever said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) legal_hold: Option<bool>,
    /// The JSON of its access control list, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acl: Option<String>,
}

/// The headers that come back as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirect: Option<String>,
}

impl Described {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where bytes are. `id` names their own rows, 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) id: String,
    pub(crate) size_bytes: u64,
    pub(crate) place: Where,
}

/// See [`Content`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Where {
    /// There are none.
    Nowhere,
    /// In a row.
    Row,
    /// In a blob, encrypted with the key that `salt` gives.
    Blob { sha256: String, salt: String },
    /// In several: a row lists them.
    Parts,
}

/// One part of an object or of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) number: u32,
    /// Without quotes: the MD5 in hexadecimal.
    pub(crate) etag: String,
    pub(crate) modified_ms: i64,
    pub(crate) content: Content,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Sum>,
}

/// A checksum that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    /// AWS's name: `CRC64NVME`.
    pub(crate) algorithm: String,
    /// Base64; of several parts' checksums, with `-N` behind it.
    pub(crate) value: String,
    /// It is of the parts' checksums, not of the bytes.
    #[serde(default)]
    pub(crate) composite: bool,
}

/// What is kept of a customer's key: never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CustomerKey {
    /// Base64 of the key's MD5, which the client sent along.
    pub(crate) md5: String,
    /// 32 hexadecimal digits.
    pub(crate) salt: String,
    /// Base64 of an HMAC over the salt, by which the key is known again.
    pub(crate) proof: String,
}

/// Until when a version may not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub(crate) mode: String,
    pub(crate) until_ms: i64,
}

/// A multipart upload under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) initiated_ms: i64,
    /// Twelve digits.
    pub(crate) owner: String,
    /// The ARN of who began it.
    pub(crate) initiator: String,
    /// What the object will be; its bytes are still nowhere.
    pub(crate) object: Object,
    /// The algorithm of its checksum; none: the client asked for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) algorithm: Option<String>,
    /// The checksum will be of the parts' checksums.
    #[serde(default)]
    pub(crate) composite: bool,
    /// How many parts have come, those that were replaced included.
    #[serde(default)]
    pub(crate) writes: u64,
}

/// What nothing names any more, until its bytes are given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Garbage {
    pub(crate) generation: u64,
    pub(crate) content: Content,
}

/// What is known of a blob of this room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Its SHA-256. Not called so: it may not be there, and no object names it by this row.
    pub(crate) blob: String,
    pub(crate) salt: String,
    /// 64 hexadecimal digits: a keyed digest of the bytes before they were encrypted.
    pub(crate) fingerprint: String,
}
