//! The nouns of this room, as they are stored.

use std::collections::BTreeMap;
use std::fmt;

use base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::LATEST;

/// A function: its row in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// What its owner configured.
    pub settings: Settings,
    /// Its code.
    pub code: Code,
    /// Changes with every change of settings or code: the `RevisionId` that callers may insist on.
    pub revision: String,
    /// When settings or code changed last: product time, ms since the epoch.
    pub modified_ms: i64,
    /// Tags, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Concurrency reserved for this function and its limit; none leaves it in the account's common pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u32>,
    /// Its URL, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// The statements of its resource policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<Statement>,
    /// How asynchronous invocations end, by qualifier: `$LATEST`, a number or an alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_invoke: BTreeMap<String, EventInvoke>,
    /// The version published last, if it is still there: the same code and settings are not published twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// Provisioned concurrency by version or alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provisioned: BTreeMap<String, Provisioned>,
    /// How its versions follow their runtime's versions, by `$LATEST` or number, where it is not `Auto`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runtime_management: BTreeMap<String, RuntimeManagement>,
    /// Whether it may be invoked in an endless loop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_loops: bool,
    /// The id of the code signing configuration it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<String>,
    /// Counts changes of its versions and aliases, so that a change which follows from all of them sees when they moved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Function {
    /// The version that can be changed.
    pub(crate) fn latest(&self) -> Edition<'_> {
        Edition {
            version: LATEST.into(),
            settings: &self.settings,
            code: &self.code,
            revision: &self.revision,
            modified: Timestamp(self.modified_ms),
            snap: None,
        }
    }

    /// The sum of its provisioned concurrency.
    pub(crate) fn provisioned_sum(&self) -> u32 {
        self.provisioned.values().fold(0, |sum, config| sum.saturating_add(config.wanted))
    }

    /// What it takes of the account's concurrency for itself alone: its reservation, or else what it has provisioned.
    pub(crate) fn claim(&self) -> Option<u32> {
        self.reserved.or(Some(self.provisioned_sum()).filter(|sum| *sum > 0))
    }

    /// All code it uses: its own, and that of its layers.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &Code> {
        codes(&self.code, &self.settings)
    }
}

fn codes<'a>(code: &'a Code, settings: &'a Settings) -> impl Iterator<Item = &'a Code> {
    std::iter::once(code).chain(settings.layers.iter().map(|layer| &layer.code))
}

/// Provisioned concurrency of a version or an alias, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    /// How many environments are kept ready.
    pub wanted: u32,
    /// When it was asked for: product time, ms since the epoch.
    pub modified_ms: i64,
}

/// How a version follows the versions of its runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeManagement {
    /// `Auto`, `FunctionUpdate` or `Manual`.
    pub update_on: String,
    /// The version that is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_arn: Option<String>,
}

/// What was published last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The version's number.
    pub number: u64,
    /// What `$LATEST` was then, as [`crate::rules::fingerprint`] tells it.
    pub fingerprint: String,
}

/// A published version: its row in the store. Its code and settings never change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// What the function's owner had configured.
    pub settings: Settings,
    /// The code of then.
    pub code: Code,
    /// What callers may insist on.
    pub revision: String,
    /// When it was published: product time, ms since the epoch.
    pub modified_ms: i64,
    /// How far its snapshot is, where it was published under SnapStart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snap: Option<Snap>,
}

/// The snapshot of a version. Its file has the version's revision for a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Snap {
    /// It is being made.
    Pending,
    /// Environments begin with it.
    On,
    /// There is none, for this reason: environments run INIT.
    Off(String),
    /// INIT failed: the version cannot be invoked.
    Failed {
        /// AWS's `StateReasonCode`.
        code: String,
        /// What happened.
        reason: String,
    },
}

impl Version {
    /// All code it uses: its own, and that of its layers.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &Code> {
        codes(&self.code, &self.settings)
    }

    /// Described under its number.
    pub(crate) fn edition(&self, number: u64) -> Edition<'_> {
        Edition {
            version: number.to_string(),
            settings: &self.settings,
            code: &self.code,
            revision: &self.revision,
            modified: Timestamp(self.modified_ms),
            snap: self.snap.as_ref(),
        }
    }
}

/// One version of a function, `$LATEST` or published, as it is described and run.
#[derive(Debug, Clone)]
pub(crate) struct Edition<'a> {
    /// `$LATEST` or a number.
    pub(crate) version: String,
    pub(crate) settings: &'a Settings,
    pub(crate) code: &'a Code,
    pub(crate) revision: &'a str,
    /// When code or settings changed last, or when it was published.
    pub(crate) modified: Timestamp,
    /// How far its snapshot is, where it shall have one.
    pub(crate) snap: Option<&'a Snap>,
}

/// An alias: its row in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// The version it points to: `$LATEST` or a number.
    pub version: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Another version that takes a part of the invocations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional: Option<Share>,
    /// What callers may insist on.
    pub revision: String,
    /// Its URL, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
}

impl Alias {
    /// Whether some of its invocations go to a version.
    pub(crate) fn reaches(&self, version: &str) -> bool {
        self.version == version || self.additional.as_ref().is_some_and(|share| share.version == version)
    }
}

/// A version's share of an alias's invocations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// A number.
    pub version: String,
    /// How large: 0.0..=1.0.
    pub weight: f64,
}

/// What a function's owner configured.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// AWS's identifier, for example `python3.12`.
    pub runtime: String,
    /// The role's ARN.
    pub role: String,
    /// Where the runtime finds the code's entry.
    pub handler: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Longest an invocation may take, seconds (1..=900).
    pub timeout_s: u32,
    /// Memory, MiB (128..=10240).
    pub memory_mb: u32,
    /// Size of `/tmp`, MiB (512..=10240).
    pub tmp_mb: u32,
    /// Environment variables; none when the owner never gave any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<BTreeMap<String, String>>,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// The container image it is made of; none for an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Whether invocations that begin a trace are sampled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub active_tracing: bool,
    /// The log group, when it is not the one of the function's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// Whether its published versions are snapshotted after INIT.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snap_start: bool,
    /// The ARN of the queue to which events go that failed for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// Its layers in order: a later one wins over an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerUse>,
}

impl fmt::Debug for Settings {
    // The values of environment variables are never logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("runtime", &self.runtime)
            .field("handler", &self.handler)
            .field("timeout_s", &self.timeout_s)
            .field("memory_mb", &self.memory_mb)
            .finish_non_exhaustive()
    }
}

/// A container image as a function's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it is.
    pub uri: String,
    /// What the function says instead of the image.
    #[serde(default)]
    pub config: ImageConfig,
}

/// What a function says instead of its image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// The program and its first arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entry_point: Vec<String>,
    /// The arguments after those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
}

/// A function's code, by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// SHA-256 of the zip archive, hexadecimal.
    pub sha256: String,
    /// Size of the zip archive, bytes.
    pub size_bytes: u64,
}

/// A layer version as a function uses it: with its code, so that it serves the function when it is deleted itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerUse {
    /// The version's ARN.
    pub arn: String,
    /// Its code.
    pub code: Code,
}

/// A function URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    /// The first label of its host: 32 lower-case letters and digits.
    pub id: String,
    /// Who may call it.
    pub auth: UrlAuth,
    /// What browsers of other origins may do, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Whether answers go out as the function writes them (InvokeMode RESPONSE_STREAM).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streams: bool,
    /// Product time, ms since the epoch.
    pub created_ms: i64,
    /// Product time, ms since the epoch.
    pub modified_ms: i64,
}

/// Who may call a function URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UrlAuth {
    /// Everybody.
    #[serde(rename = "NONE")]
    None,
    /// Principals that sign.
    #[serde(rename = "AWS_IAM")]
    Iam,
}

impl UrlAuth {
    /// AWS's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Iam => "AWS_IAM",
        }
    }
}

/// The CORS rules of a function URL. Source: AWS Lambda API reference, `Cors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// Whether cookies may come along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    /// Request headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_headers: Option<Vec<String>>,
    /// Methods, or `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_methods: Option<Vec<String>>,
    /// Origins, or `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_origins: Option<Vec<String>>,
    /// Response headers that scripts may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose_headers: Option<Vec<String>>,
    /// Seconds a browser may remember a preflight's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<i64>,
}

/// One statement of a resource policy: its id and its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// `Sid`, unique within the policy.
    pub id: String,
    /// The qualifier it speaks of, if any: each qualifier has a policy of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// The statement as JSON.
    pub json: String,
}

/// How asynchronous invocations of one qualifier end. Source: AWS Lambda API reference, `PutFunctionEventInvokeConfig`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInvoke {
    /// How often the function is tried again (0..=2); none: twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Oldest an event may become, seconds (60..=21600); none: six hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u32>,
    /// The ARN of the function or queue that hears of successes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// The ARN of the function or queue that hears of failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// Product time, ms since the epoch.
    pub modified_ms: i64,
}

/// An asynchronous invocation that waits: the head of its row; the payload follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The function's account.
    pub(crate) account: String,
    /// The function's region.
    pub(crate) region: String,
    /// The function's name.
    pub(crate) name: String,
    /// The qualifier the caller gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) qualifier: Option<String>,
    /// The request id: the same at every attempt.
    pub(crate) request: String,
    /// Product time of the call, ms since the epoch: the event's age counts from here.
    pub(crate) since_ms: i64,
    /// How often the function has failed with it.
    #[serde(default)]
    pub(crate) failures: u32,
    /// How often it could not begin since the last failure of the function.
    #[serde(default)]
    pub(crate) refusals: u32,
    /// Why it failed last: an HTTP status, 200 where the function ran, and a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<(u16, String)>,
    /// The trace header to hand on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
    /// The client context, JSON, decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_context: Option<String>,
    /// How many calls led to it.
    #[serde(default)]
    pub(crate) depth: u16,
}
