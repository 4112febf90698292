//! Rules as the loop follows them, made of the configuration that is kept.

use base::Timestamp;
use model::s3::{GetBucketLifecycleConfigurationOutput, LifecycleRule, LifecycleRuleFilter, Tag};

use super::{DAY_MS, midnight_after};
use crate::types::{Bucket, Version};

/// The name of a bucket's configuration, kept as what GetBucketLifecycleConfiguration answers.
pub(crate) const SETTING: &str = "lifecycle";

/// One rule that is enabled.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) scope: Scope,
    /// When the newest version of an object goes.
    pub(super) expiration: Option<When>,
    /// A delete marker with nothing behind it goes at once.
    pub(super) markers: bool,
    /// When the newest version changes its storage class, and to which.
    pub(super) transitions: Vec<(When, String)>,
    /// When an older version goes.
    pub(super) noncurrent: Option<Older>,
    pub(super) noncurrent_transitions: Vec<(Older, String)>,
    /// After how many days an upload is aborted.
    pub(super) abort_days: Option<i64>,
}

/// A moment: so many days after something began, or a date.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Days(i64),
    Date(Timestamp),
}

impl When {
    /// The moment for what began at `since_ms`.
    pub(super) fn due_ms(self, since_ms: i64) -> i64 {
        match self {
            Self::Days(days) => midnight_after(since_ms.saturating_add(days.saturating_mul(DAY_MS))),
            Self::Date(date) => date.0,
        }
    }

    fn of(date: Option<Timestamp>, days: Option<i64>) -> Option<Self> {
        date.map(Self::Date).or(days.map(Self::Days))
    }
}

/// When a rule is for an older version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Older {
    /// Days since it was replaced.
    pub(super) days: i64,
    /// So many older versions must be newer than it.
    pub(super) newer: usize,
}

impl Older {
    fn of(days: Option<i64>, newer: Option<i64>) -> Self {
        Self { days: days.unwrap_or(0), newer: newer.and_then(|newer| usize::try_from(newer).ok()).unwrap_or(0) }
    }
}

/// Which objects a rule is for.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) prefix: String,
    tags: Vec<(String, String)>,
    greater: Option<i64>,
    less: Option<i64>,
}

impl Scope {
    fn of(prefix: Option<String>, filter: Option<LifecycleRuleFilter>) -> Self {
        let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        let filter = filter.unwrap_or_default();
        let and = filter.and.unwrap_or_default();
        let tags = filter.tag.into_iter().chain(and.tags.unwrap_or_default());
        Self {
            prefix: prefix.or(filter.prefix).or(and.prefix).unwrap_or_default(),
            tags: tags.map(pair).collect(),
            greater: filter.object_size_greater_than.or(and.object_size_greater_than),
            less: filter.object_size_less_than.or(and.object_size_less_than),
        }
    }

    /// Whether a version of a key is meant. A delete marker has no tags and no bytes.
    pub(super) fn holds(&self, key: &str, version: &Version) -> bool {
        let object = version.object.as_ref();
        let size = object.map_or(0, |object| i64::try_from(object.content.size_bytes).unwrap_or(i64::MAX));
        let tagged =
            |(name, value): &(String, String)| object.is_some_and(|object| object.tags.get(name) == Some(value));
        key.starts_with(&self.prefix)
            && self.tags.iter().all(tagged)
            && self.greater.is_none_or(|greater| size > greater)
            && self.less.is_none_or(|less| size < less)
    }

    /// Whether it says itself how large an object must be.
    pub(super) fn sizes(&self) -> bool {
        self.greater.is_some() || self.less.is_some()
    }
}

impl From<LifecycleRule> for Rule {
    fn from(rule: LifecycleRule) -> Self {
        let expiration = rule.expiration.unwrap_or_default();
        let transitions = rule.transitions.unwrap_or_default().into_iter();
        let noncurrent = rule.noncurrent_version_transitions.unwrap_or_default().into_iter();
        Self {
            id: rule.id.unwrap_or_default(),
            scope: Scope::of(rule.prefix, rule.filter),
            expiration: When::of(expiration.date, expiration.days),
            markers: expiration.expired_object_delete_marker == Some(true),
            transitions: transitions.filter_map(|it| Some((When::of(it.date, it.days)?, it.storage_class?))).collect(),
            noncurrent: rule
                .noncurrent_version_expiration
                .map(|it| Older::of(it.noncurrent_days, it.newer_noncurrent_versions)),
            noncurrent_transitions: noncurrent
                .filter_map(|it| Some((Older::of(it.noncurrent_days, it.newer_noncurrent_versions), it.storage_class?)))
                .collect(),
            abort_days: rule.abort_incomplete_multipart_upload.and_then(|it| it.days_after_initiation),
        }
    }
}

/// The rules of a bucket that are enabled, in their order.
pub(super) fn of(bucket: &Bucket) -> Vec<Rule> {
    let kept = bucket.settings.get(SETTING).and_then(|kept| wire::recall(kept).ok());
    let kept: GetBucketLifecycleConfigurationOutput = kept.unwrap_or_default();
    let enabled = |rule: &LifecycleRule| rule.status.as_deref() == Some("Enabled");
    kept.rules.unwrap_or_default().into_iter().filter(enabled).map(Rule::from).collect()
}

/// When the newest version of a key goes, and by which rule, as the header `x-amz-expiration` has it.
pub(crate) fn expiration(bucket: &Bucket, key: &str, version: &Version) -> Option<String> {
    version.object.as_ref()?;
    let rules = of(bucket);
    let due = rules.iter().filter(|rule| rule.scope.holds(key, version));
    let due = due.filter_map(|rule| Some((rule.expiration?.due_ms(version.modified_ms), &rule.id)));
    // Of several at one moment the first.
    let (due_ms, id) = due.min_by_key(|(due_ms, _)| *due_ms)?;
    Some(format!("expiry-date=\"{}\", rule-id=\"{}\"", wire::http_date(Timestamp(due_ms)), shown(id)))
}

/// When an upload that began now would be aborted, and by which rule.
pub(crate) fn abort(bucket: &Bucket, key: &str, initiated_ms: i64) -> Option<(Timestamp, String)> {
    let rules = of(bucket);
    let due = rules.iter().filter(|rule| key.starts_with(&rule.scope.prefix));
    let due = due.filter_map(|rule| Some((When::Days(rule.abort_days?).due_ms(initiated_ms), &rule.id)));
    due.min_by_key(|(due_ms, _)| *due_ms).map(|(due_ms, id)| (Timestamp(due_ms), shown(id)))
}

/// A rule's id as headers have it: as it is, but for what no header carries.
fn shown(id: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const ESCAPED: &AsciiSet = &CONTROLS.add(b'"');
    utf8_percent_encode(id, ESCAPED).to_string()
}
