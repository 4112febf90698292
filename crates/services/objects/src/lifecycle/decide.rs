//! What a bucket's rules want done with one version now. Source: Amazon S3 User Guide, "Lifecycle configuration elements", "Expiring
//! objects", "Transitioning objects" and "How Amazon S3 handles conflicts in lifecycle configurations".

use base::Timestamp;

use super::rules::{Rule, When};
use crate::types::{Object, Version, Versioning};

/// Smaller objects change no storage class, unless a rule says itself how large they must be.
const SMALLEST: u64 = 128 * 1024;

/// One thing to be done; a version has one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// The newest version goes, as it does when it is deleted.
    Expire,
    /// The version goes for good.
    Remove,
    /// It gets another storage class.
    Move(String),
}

/// For the newest version of a key. `alone`: there is no other.
pub(super) fn current(
    rules: &[Rule],
    key: &str,
    version: &Version,
    alone: bool,
    versioning: Option<Versioning>,
    now: Timestamp,
) -> Option<Action> {
    let meant = || rules.iter().filter(|rule| rule.scope.holds(key, version));
    let due = |when: When| when.due_ms(version.modified_ms) <= now.0;
    let expires = |rule: &Rule| rule.expiration.is_some_and(due);
    let Some(object) = &version.object else {
        let goes = alone && meant().any(|rule| rule.markers || expires(rule));
        return goes.then_some(Action::Remove);
    };
    let expire = meant().any(expires).then_some(Action::Expire);
    // What goes for good goes first; what only gets a delete marker changes its class before.
    if expire.is_some() && versioning.is_none() {
        return expire;
    }
    let moves = meant().filter(|rule| large(rule, object)).flat_map(|rule| &rule.transitions);
    let classes = moves.filter(|(when, _)| due(*when)).map(|(_, class)| class.as_str());
    best(object, classes).map(Action::Move).or(expire)
}

/// For an older version: `newer` other older ones are newer, and it was replaced at `since_ms`.
pub(super) fn older(
    rules: &[Rule],
    key: &str,
    version: &Version,
    (newer, since_ms): (usize, i64),
    now: Timestamp,
) -> Option<Action> {
    let meant = || rules.iter().filter(|rule| rule.scope.holds(key, version));
    let due = |older: super::rules::Older| newer >= older.newer && When::Days(older.days).due_ms(since_ms) <= now.0;
    if meant().any(|rule| rule.noncurrent.is_some_and(due)) {
        return Some(Action::Remove);
    }
    let object = version.object.as_ref()?;
    let moves = meant().filter(|rule| large(rule, object)).flat_map(|rule| &rule.noncurrent_transitions);
    let classes = moves.filter(|(older, _)| due(*older)).map(|(_, class)| class.as_str());
    best(object, classes).map(Action::Move)
}

fn large(rule: &Rule, object: &Object) -> bool {
    rule.scope.sizes() || object.content.size_bytes >= SMALLEST
}

/// The class that an object gets of those it may have now: the cheapest, but INTELLIGENT_TIERING before all.
fn best<'c>(object: &Object, classes: impl Iterator<Item = &'c str>) -> Option<String> {
    let now = object.storage_class.as_deref().unwrap_or("STANDARD");
    let rank = |class: &str| match class {
        "STANDARD_IA" => 1,
        "ONEZONE_IA" => 2,
        "GLACIER_IR" => 3,
        "INTELLIGENT_TIERING" => 4,
        _ => 0,
    };
    // The waterfall: no class is left for one that stands before it.
    let allowed = |class: &str| match now {
        "STANDARD_IA" => matches!(class, "INTELLIGENT_TIERING" | "ONEZONE_IA" | "GLACIER_IR"),
        "INTELLIGENT_TIERING" => matches!(class, "ONEZONE_IA" | "GLACIER_IR"),
        "ONEZONE_IA" | "GLACIER_IR" => false,
        _ => rank(class) > 0,
    };
    classes.filter(|class| allowed(class)).max_by_key(|class| rank(class)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use model::s3::{LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, Transition};

    use super::*;
    use crate::lifecycle::DAY_MS;
    use crate::types::{Content, Described, Where};

    fn version(size_bytes: u64, class: Option<&str>) -> Version {
        let object = Object {
            etag: String::new(),
            content: Content { id: String::new(), size_bytes, place: Where::Nowhere },
            parts: None,
            checksum: None,
            described: Described::default(),
            metadata: Default::default(),
            tags: Default::default(),
            storage_class: class.map(Into::into),
            customer_key: None,
            retention: None,
            legal_hold: None,
            acl: None,
        };
        Version { seq: 1, id: None, modified_ms: 0, owner: String::new(), object: Some(object) }
    }

    fn moving(classes: &[(i64, &str)], filter: LifecycleRuleFilter) -> Vec<Rule> {
        let transitions = classes.iter().map(|(days, class)| Transition {
            days: Some(*days),
            storage_class: Some((*class).into()),
            ..Default::default()
        });
        let expiration = LifecycleExpiration { days: Some(365), ..Default::default() };
        let rule = LifecycleRule {
            transitions: Some(transitions.collect()),
            expiration: Some(expiration),
            filter: Some(filter),
            ..Default::default()
        };
        vec![rule.into()]
    }

    fn at(rules: &[Rule], version: &Version, days: i64, versioning: Option<Versioning>) -> Option<Action> {
        current(rules, "k", version, true, versioning, Timestamp(days * DAY_MS))
    }

    #[test]
    fn classes_go_down_the_waterfall_one_at_a_time() {
        let rules = moving(&[(30, "STANDARD_IA"), (90, "GLACIER_IR")], LifecycleRuleFilter::default());
        let large = |class| version(SMALLEST, class);
        let to = |class: &str| Some(Action::Move(class.into()));
        assert_eq!(at(&rules, &large(None), 30, None), None);
        assert_eq!(at(&rules, &large(None), 31, None), to("STANDARD_IA"));
        assert_eq!(at(&rules, &large(Some("STANDARD_IA")), 31, None), None);
        assert_eq!(at(&rules, &large(None), 91, None), to("GLACIER_IR"));
        assert_eq!(at(&rules, &large(Some("GLACIER_IR")), 91, None), None);
        assert_eq!(at(&rules, &large(Some("ONEZONE_IA")), 91, None), None);
        // To go for good comes before a change of class, and that before a delete marker.
        assert_eq!(at(&rules, &large(None), 366, None), Some(Action::Expire));
        assert_eq!(at(&rules, &large(None), 366, Some(Versioning::Enabled)), to("GLACIER_IR"));
        assert_eq!(at(&rules, &large(Some("GLACIER_IR")), 366, Some(Versioning::Enabled)), Some(Action::Expire));
        let tiered = moving(&[(0, "GLACIER_IR"), (0, "INTELLIGENT_TIERING")], LifecycleRuleFilter::default());
        assert_eq!(at(&tiered, &large(None), 1, None), to("INTELLIGENT_TIERING"));
    }

    #[test]
    fn small_objects_keep_their_class_unless_the_rule_speaks_of_sizes() {
        let small = version(SMALLEST - 1, None);
        let rules = moving(&[(30, "STANDARD_IA")], LifecycleRuleFilter::default());
        assert_eq!(at(&rules, &small, 31, None), None);
        let sizes = LifecycleRuleFilter { object_size_greater_than: Some(10), ..Default::default() };
        let rules = moving(&[(30, "STANDARD_IA")], sizes);
        assert_eq!(at(&rules, &small, 31, None), Some(Action::Move("STANDARD_IA".into())));
        assert_eq!(at(&rules, &version(10, None), 31, None), None, "it is not greater");
    }
}
