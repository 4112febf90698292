//! Who is to hear of a bucket's events: what a notification configuration must hold to.
//!
//! Source: Amazon S3 API Reference, `PutBucketNotificationConfiguration`, and Amazon S3 User Guide, "Configuring event
//! notifications using object key name filtering".

use std::collections::HashSet;

use base::{Arn, Fault, Region};
use model::s3;
use wire::{Kind as Shapes, Structure as _};

use super::events::{Filter, share_an_event};
use crate::faults;

/// Configurations of one bucket. Source: Amazon S3 User Guide, "Amazon S3 event notifications".
const MOST: usize = 100;
/// Bytes of a filter's value.
const FILTER_BYTES: usize = 1024;
/// Characters of an id.
const ID_LENGTH: usize = 255;

/// What hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Function,
    Queue,
    Topic,
}

impl Kind {
    /// Whose ARNs it has, and how the configuration's XML calls them.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Function => ("lambda", "CloudFunction"),
            Self::Queue => ("sqs", "Queue"),
            Self::Topic => ("sns", "Topic"),
        }
    }
}

/// One configuration.
pub(crate) struct Destination<'a> {
    pub(crate) kind: Kind,
    pub(crate) arn: &'a str,
    id: &'a mut Option<String>,
    events: &'a [String],
    filter: Option<&'a mut s3::NotificationConfigurationFilter>,
}

macro_rules! each {
    ($out:ident, $list:expr, $kind:expr, $arn:ident) => {
        for one in $list.iter_mut().flatten() {
            $out.push(Destination {
                kind: $kind,
                arn: one.$arn.as_deref().unwrap_or_default(),
                id: &mut one.id,
                events: one.events.as_deref().unwrap_or_default(),
                filter: one.filter.as_mut(),
            });
        }
    };
}

/// All of a bucket's.
pub(crate) fn of(configuration: &mut s3::NotificationConfiguration) -> Vec<Destination<'_>> {
    let mut out = Vec::new();
    each!(out, configuration.lambda_function_configurations, Kind::Function, lambda_function_arn);
    each!(out, configuration.queue_configurations, Kind::Queue, queue_arn);
    each!(out, configuration.topic_configurations, Kind::Topic, topic_arn);
    out
}

/// Checks all together, gives each without an id one that `fresh` makes, and writes filters' names as AWS does.
///
/// # Errors
/// InvalidArgument, MalformedXML, TooManyConfigurations.
pub(crate) fn check(
    all: &mut [Destination<'_>],
    region: &Region,
    mut fresh: impl FnMut() -> String,
) -> Result<(), Fault> {
    if all.len() > MOST {
        let words =
            "You are attempting to create a new configuration but have already reached the 100-configuration limit.";
        return Err(Fault::new("TooManyConfigurations", 400, words));
    }
    let mut ids = HashSet::new();
    let mut filters = Vec::new();
    for one in all.iter_mut() {
        let (service, wire) = one.kind.words();
        let parsed = one.arn.parse::<Arn>().ok().filter(|arn| arn.service == service);
        let parsed = parsed.ok_or_else(|| faults::argument("The ARN could not be parsed", wire, one.arn))?;
        if parsed.region != region.as_str() {
            let words = "The notification destination service region is not valid for the bucket location constraint";
            return Err(faults::argument(words, wire, one.arn));
        }
        if one.events.is_empty() {
            return Err(faults::malformed());
        }
        if let Some(unknown) = one.events.iter().find(|event| !is_known(event)) {
            let words = format!("The event '{unknown}' is not supported for notifications");
            return Err(faults::argument(words, "Event", unknown));
        }
        filters.push(one.filter.as_mut().map(|filter| filtered(filter)).transpose()?);
        let id = one.id.take().filter(|id| !id.is_empty()).unwrap_or_else(&mut fresh);
        if id.chars().count() > ID_LENGTH {
            let words = format!("ID length should not exceed allowed limit of {ID_LENGTH}");
            return Err(faults::argument(words, "Id", &id));
        }
        if !ids.insert(id.clone()) {
            let words = "Same ID used for multiple configurations. IDs must be unique.";
            return Err(faults::argument(words, "Id", &id));
        }
        *one.id = Some(id);
    }
    for (at, one) in all.iter().enumerate() {
        for (before, other) in all.iter().enumerate().take(at) {
            let shared = one.events.iter().find(|event| other.events.iter().any(|name| share_an_event(event, name)));
            let Some(shared) = shared else { continue };
            overlap(shared, filters[at].as_ref(), filters[before].as_ref())?;
        }
    }
    Ok(())
}

/// Whether the model knows an event of this name.
fn is_known(event: &str) -> bool {
    let configuration = s3::LambdaFunctionConfiguration::default();
    let events = configuration.shape().members().iter().find(|member| member.name == "Events");
    let Some(Shapes::List(item)) = events.map(|member| member.shape.kind) else { return false };
    item.shape.values.contains(&event)
}

/// Checks the rules of one filter, and writes their names as AWS shows them.
fn filtered(filter: &mut s3::NotificationConfigurationFilter) -> Result<Filter, Fault> {
    let rules = filter.key.as_mut().and_then(|key| key.filter_rules.as_mut());
    let mut seen = HashSet::new();
    for rule in rules.into_iter().flatten() {
        let given = rule.name.clone().unwrap_or_default();
        let name = match given.to_ascii_lowercase().as_str() {
            "prefix" => "Prefix",
            "suffix" => "Suffix",
            _ => {
                let words = "filter rule name must be either prefix or suffix";
                return Err(faults::argument(words, "FilterRule.Name", &given));
            }
        };
        if !seen.insert(name) {
            let words = format!("Cannot specify more than one {} rule in a filter.", name.to_lowercase());
            return Err(faults::argument(words, "FilterRule.Name", &given));
        }
        if rule.value.as_ref().is_some_and(|value| value.len() > FILTER_BYTES) {
            let words = format!("Size of filter rule value cannot exceed {FILTER_BYTES} bytes in UTF-8 representation");
            return Err(faults::argument(words, "FilterRule.Value", rule.value.as_deref().unwrap_or_default()));
        }
        rule.name = Some(name.into());
    }
    Ok(Filter::of(Some(filter)))
}

/// Refuses two configurations of one event which the same key might pass.
fn overlap(event: &str, one: Option<&Filter>, other: Option<&Filter>) -> Result<(), Fault> {
    let words = match (one, other) {
        (Some(one), Some(other)) if !one.overlaps(other) => return Ok(()),
        (Some(_), Some(_)) => {
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type."
        }
        _ => "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
    };
    Err(faults::argument(words, "Event", event))
}
