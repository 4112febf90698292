//! Whether rules may be kept. Source: Amazon S3 API Reference, PutBucketLifecycleConfiguration; Amazon S3 User Guide, "Lifecycle
//! configuration elements"; the answers of S3 that people report.

use std::collections::BTreeSet;

use base::{Fault, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::s3::{LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter, Tag};

use super::DAY_MS;
use crate::faults::{self, request};
use crate::rules::described;
use crate::state::{Id, hex};

/// Most rules of a bucket.
const RULES: usize = 1000;
/// Longest id of a rule, characters.
const ID_CHARS: usize = 255;
/// Largest size that a filter may name, bytes.
const SIZE_BYTES: i64 = 1_099_511_627_776;
/// An object stays so long before it gets a class for seldom use.
const SELDOM_DAYS: i64 = 30;

/// Checks rules, and gives each an id.
///
/// # Errors
/// MalformedXML, InvalidRequest, InvalidArgument; NotImplemented for classes whose objects must be restored before they are read.
pub(crate) fn check(mut rules: Vec<LifecycleRule>, id: impl Fn() -> Id) -> Result<Vec<LifecycleRule>, Fault> {
    match rules.len() {
        0 => return Err(request("At least one lifecycle rule must be specified.")),
        1..=RULES => {}
        _ => {
            return Err(request("The number of lifecycle rules must not exceed the allowed limit of 1000 rules."));
        }
    }
    // The first rule says which of the two forms of a configuration it is.
    let filtered = rules[0].filter.is_some();
    let mut ids = BTreeSet::new();
    for rule in &rules {
        let given = rule.id.as_deref().unwrap_or_default();
        if given.chars().count() > ID_CHARS {
            return Err(faults::argument("ID length should not exceed allowed limit of 255", "ID", given));
        }
        if !given.is_empty() && !ids.insert(given) {
            let words = "Rule ID must be unique. Found same ID for more than one rule";
            return Err(faults::argument(words, "ID", given));
        }
        check_one(rule, filtered)?;
    }
    if !filtered {
        overlapping(&rules)?;
    }
    for rule in &rules {
        let classes = rule.transitions.iter().flatten().map(|it| &it.storage_class);
        let older = rule.noncurrent_version_transitions.iter().flatten().map(|it| &it.storage_class);
        for class in classes.chain(older) {
            described::storage_class(class.clone())?;
        }
    }
    for rule in rules.iter_mut().filter(|rule| rule.id.as_deref().unwrap_or_default().is_empty()) {
        rule.id = Some(made(&id()));
    }
    Ok(rules)
}

/// An id as S3 makes one: a UUID in base64, 48 characters.
fn made(random: &Id) -> String {
    let text = hex(random);
    let uuid = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-");
    STANDARD.encode(uuid)
}

fn check_one(rule: &LifecycleRule, filtered: bool) -> Result<(), Fault> {
    match (&rule.prefix, &rule.filter) {
        (None, None) => return Err(faults::malformed()),
        (Some(_), _) if filtered => {
            return Err(request(
                "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
            ));
        }
        (_, Some(_)) if !filtered => return Err(request("Filter element can only be used in Lifecycle V2.")),
        _ => {}
    }
    let scope = Scope::of(rule.filter.as_ref())?;
    if kinds(rule).next().is_none() {
        return Err(request("At least one action needs to be specified in a rule"));
    }
    expiration(rule, &scope)?;
    transitions(rule)?;
    noncurrent(rule, filtered)?;
    if let Some(abort) = &rule.abort_incomplete_multipart_upload {
        let days = abort.days_after_initiation.ok_or_else(faults::malformed)?;
        positive(days, "DaysAfterInitiation", " for AbortIncompleteMultipartUpload action")?;
        scope.refuse("AbortIncompleteMultipartUpload")?;
    }
    Ok(())
}

/// What a rule does, in S3's words.
fn kinds(rule: &LifecycleRule) -> impl Iterator<Item = &'static str> {
    let some = |list: bool, name| list.then_some(name);
    [
        some(rule.expiration.is_some(), "Expiration"),
        some(rule.transitions.as_ref().is_some_and(|it| !it.is_empty()), "Transition"),
        some(rule.noncurrent_version_expiration.is_some(), "NoncurrentVersionExpiration"),
        some(
            rule.noncurrent_version_transitions.as_ref().is_some_and(|it| !it.is_empty()),
            "NoncurrentVersionTransition",
        ),
        some(rule.abort_incomplete_multipart_upload.is_some(), "AbortIncompleteMultipartUpload"),
    ]
    .into_iter()
    .flatten()
}

/// Where prefixes stand at the rules themselves, no two that hold the same key may do the same.
fn overlapping(rules: &[LifecycleRule]) -> Result<(), Fault> {
    for (at, rule) in rules.iter().enumerate() {
        let one = rule.prefix.as_deref().unwrap_or_default();
        for other in &rules[..at] {
            let two = other.prefix.as_deref().unwrap_or_default();
            if !(one.starts_with(two) || two.starts_with(one)) {
                continue;
            }
            if let Some(kind) = kinds(other).find(|kind| kinds(rule).any(|own| own == *kind)) {
                return Err(request(format!(
                    "Found overlapping prefixes '{two}' and '{one}' for same action type '{kind}'"
                )));
            }
        }
    }
    Ok(())
}

/// What a filter speaks of besides prefixes.
#[derive(Default)]
struct Scope {
    tags: bool,
    sizes: bool,
}

impl Scope {
    fn of(filter: Option<&LifecycleRuleFilter>) -> Result<Self, Fault> {
        let Some(filter) = filter else { return Ok(Self::default()) };
        let (greater, less) = (filter.object_size_greater_than, filter.object_size_less_than);
        let alone = [filter.prefix.is_some(), filter.tag.is_some(), greater.is_some(), less.is_some()];
        let given = alone.iter().filter(|given| **given).count() + usize::from(filter.and.is_some());
        if given > 1 {
            return Err(faults::malformed());
        }
        if let Some(and) = &filter.and {
            return Self::all(and);
        }
        sizes(greater, less)?;
        tags(filter.tag.as_slice())?;
        Ok(Self { tags: filter.tag.is_some(), sizes: greater.is_some() || less.is_some() })
    }

    fn all(and: &LifecycleRuleAndOperator) -> Result<Self, Fault> {
        let (greater, less) = (and.object_size_greater_than, and.object_size_less_than);
        let given = and.tags.as_deref().unwrap_or_default();
        let others = [and.prefix.is_some(), greater.is_some(), less.is_some()];
        if given.len() + others.iter().filter(|given| **given).count() < 2 {
            return Err(faults::malformed());
        }
        tags(given)?;
        sizes(greater, less)?;
        Ok(Self { tags: !given.is_empty(), sizes: greater.is_some() || less.is_some() })
    }

    /// Refuses an action that is not for some objects only.
    fn refuse(&self, action: &str) -> Result<(), Fault> {
        match (self.tags, self.sizes) {
            (true, _) => Err(request(format!("{action} cannot be specified with Tags."))),
            (_, true) => Err(request(format!("{action} cannot be specified with Object Size."))),
            _ => Ok(()),
        }
    }
}

fn tags(tags: &[Tag]) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    for tag in tags {
        let name = tag.key.as_deref().filter(|name| !name.is_empty()).ok_or_else(faults::malformed)?;
        if !names.insert(name) {
            return Err(request("Duplicate Tag Keys are not allowed."));
        }
    }
    Ok(())
}

fn sizes(greater: Option<i64>, less: Option<i64>) -> Result<(), Fault> {
    let range = |name: &str, from: i64| request(format!("'{name}' should be between {from} and {SIZE_BYTES}."));
    if greater.is_some_and(|greater| !(0..=SIZE_BYTES).contains(&greater)) {
        return Err(range("ObjectSizeGreaterThan", 0));
    }
    if less.is_some_and(|less| !(1..=SIZE_BYTES).contains(&less)) {
        return Err(range("ObjectSizeLessThan", 1));
    }
    match (greater, less) {
        (Some(greater), Some(less)) if less <= greater => {
            Err(request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."))
        }
        _ => Ok(()),
    }
}

fn expiration(rule: &LifecycleRule, scope: &Scope) -> Result<(), Fault> {
    let Some(expiration) = &rule.expiration else { return Ok(()) };
    match (expiration.date, expiration.days, expiration.expired_object_delete_marker) {
        (Some(date), None, None) => midnight(date),
        (None, Some(days), None) => positive(days, "Days", " for Expiration action"),
        (None, None, Some(_)) => scope.refuse("ExpiredObjectDeleteMarker"),
        _ => Err(faults::malformed()),
    }
}

fn transitions(rule: &LifecycleRule) -> Result<(), Fault> {
    let list = rule.transitions.as_deref().unwrap_or_default();
    let mut classes = Vec::new();
    let (mut by_date, mut by_days) = (false, false);
    for transition in list {
        let class = transition.storage_class.as_deref().ok_or_else(faults::malformed)?;
        let moment = match (transition.date, transition.days) {
            (Some(date), None) => {
                by_date = true;
                midnight(date)?;
                date.0
            }
            (None, Some(days)) => {
                by_days = true;
                waits(days, "Days", "Transition", class)?;
                days
            }
            _ => return Err(faults::malformed()),
        };
        classes.push((class, moment));
    }
    let filter = shown(rule);
    let mixed =
        |of: &str| request(format!("Found mixed 'Date' and 'Days' based {of} in lifecycle rule for filter '{filter}'"));
    if by_date && by_days {
        return Err(mixed("Transition actions"));
    }
    let word = if by_date { "Date" } else { "Days" };
    waterfall(&mut classes, word, "Transition", &filter)?;
    let Some(expiration) = &rule.expiration else { return Ok(()) };
    if (by_date && expiration.days.is_some()) || (by_days && expiration.date.is_some()) {
        return Err(mixed("Expiration and Transition actions"));
    }
    let end = expiration.date.map(|date| date.0).or(expiration.days);
    if classes.iter().any(|(_, moment)| end.is_some_and(|end| end <= *moment)) {
        let words = format!(
            "'{word}' in the Expiration action for filter '{filter}' must be greater than '{word}' in the Transition action"
        );
        return Err(faults::argument(words, word, &end.unwrap_or_default().to_string()));
    }
    Ok(())
}

fn noncurrent(rule: &LifecycleRule, filtered: bool) -> Result<(), Fault> {
    let newer = |given: Option<i64>| match given {
        Some(_) if !filtered => Err(request("NewerNoncurrentVersions element can only be used in Lifecycle V2.")),
        Some(given) => positive(given, "NewerNoncurrentVersions", ""),
        None => Ok(()),
    };
    let (name, action) = ("NoncurrentDays", "NoncurrentVersionTransition");
    let mut classes = Vec::new();
    for transition in rule.noncurrent_version_transitions.iter().flatten() {
        let class = transition.storage_class.as_deref().ok_or_else(faults::malformed)?;
        let days = transition.noncurrent_days.ok_or_else(faults::malformed)?;
        waits(days, name, action, class)?;
        newer(transition.newer_noncurrent_versions)?;
        classes.push((class, days));
    }
    let filter = shown(rule);
    waterfall(&mut classes, name, action, &filter)?;
    let Some(expiration) = &rule.noncurrent_version_expiration else { return Ok(()) };
    let days = expiration.noncurrent_days.ok_or_else(faults::malformed)?;
    positive(days, name, " for NoncurrentVersionExpiration action")?;
    newer(expiration.newer_noncurrent_versions)?;
    if classes.iter().any(|(_, moment)| days <= *moment) {
        let words = format!(
            "'{name}' in the NoncurrentVersionExpiration action for filter '{filter}' must be greater than '{name}' in the {action} action"
        );
        return Err(faults::argument(words, name, &days.to_string()));
    }
    Ok(())
}

/// Whether a transition's days are as many as its class wants.
fn waits(days: i64, name: &str, action: &str, class: &str) -> Result<(), Fault> {
    if days < 0 {
        let words = format!("'{name}' in {action} action must be nonnegative");
        return Err(faults::argument(words, name, &days.to_string()));
    }
    if days < SELDOM_DAYS && matches!(class, "STANDARD_IA" | "ONEZONE_IA") {
        let words = format!(
            "'{name}' in {action} action must be greater than or equal to {SELDOM_DAYS} for storageClass '{class}'"
        );
        return Err(faults::argument(words, name, &days.to_string()));
    }
    Ok(())
}

/// Whether each class comes once, and a cheaper one later.
fn waterfall(classes: &mut [(&str, i64)], word: &str, action: &str, filter: &str) -> Result<(), Fault> {
    const ORDER: [&str; 6] =
        ["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"];
    classes.sort_by_key(|(class, _)| ORDER.iter().position(|known| known == class));
    for pair in classes.windows(2) {
        let [(before, earlier), (class, later)] = pair else { continue };
        if before == class {
            return Err(request(format!(
                "'StorageClass' must be different for '{action}' actions in same 'Rule' with filter '{filter}'"
            )));
        }
        if later <= earlier {
            let words = format!(
                "'{word}' in the {action} action for StorageClass '{class}' for filter '{filter}' must be greater than '{word}' in the {action} action for StorageClass '{before}' for filter '{filter}'"
            );
            return Err(faults::argument(words, word, &later.to_string()));
        }
    }
    Ok(())
}

/// A rule's filter as faults show it.
fn shown(rule: &LifecycleRule) -> String {
    let filter = rule.filter.clone().unwrap_or_default();
    let and = filter.and.unwrap_or_default();
    let prefix = rule.prefix.clone().or(filter.prefix).or(and.prefix);
    let tags = filter.tag.into_iter().chain(and.tags.unwrap_or_default());
    let greater = filter.object_size_greater_than.or(and.object_size_greater_than);
    let less = filter.object_size_less_than.or(and.object_size_less_than);
    let mut parts: Vec<String> = prefix.map(|prefix| format!("prefix={prefix}")).into_iter().collect();
    parts.extend(
        tags.map(|tag| format!("tag={{key={}, value={}}}", tag.key.unwrap_or_default(), tag.value.unwrap_or_default())),
    );
    parts.extend(greater.map(|greater| format!("objectsizegreaterthan={greater}")));
    parts.extend(less.map(|less| format!("objectsizelessthan={less}")));
    if parts.is_empty() { "(prefix=)".to_owned() } else { format!("({})", parts.join(" and ")) }
}

fn midnight(date: Timestamp) -> Result<(), Fault> {
    if date.0.rem_euclid(DAY_MS) == 0 {
        return Ok(());
    }
    Err(faults::argument("'Date' must be at midnight GMT", "Date", &wire::http_date(date)))
}

/// `of`: the action, as the fault says it.
fn positive(given: i64, name: &str, of: &str) -> Result<(), Fault> {
    if given > 0 {
        return Ok(());
    }
    Err(faults::argument(format!("'{name}'{of} must be a positive integer"), name, &given.to_string()))
}
