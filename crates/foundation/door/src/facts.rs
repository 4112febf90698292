//! The condition keys that every request has.
//!
//! Source: IAM User Guide, "AWS global condition context keys". Those that follow from who calls are `identity`'s.

use base::{Principal, Region, Timestamp};
use wire::{Emit, Shape, Sink, Structure};

use crate::{ConditionKeys, Origin};

/// The keys that follow from the connection, the moment and the region.
pub(crate) fn of_request(origin: &Origin, principal: &Principal, region: &Region, now: Timestamp) -> ConditionKeys {
    let mut keys = vec![
        one("aws:CurrentTime", civil(now)),
        one("aws:EpochTime", now.0.div_euclid(1000)),
        one("aws:SecureTransport", origin.secure),
        one("aws:RequestedRegion", region),
        // Nothing here calls on a caller's behalf with the caller's own credentials.
        one("aws:ViaAWSService", false),
        one("aws:PrincipalIsAWSService", matches!(principal, Principal::Service { .. })),
    ];
    keys.extend(origin.source_ip.map(|ip| one("aws:SourceIp", ip.to_canonical())));
    keys.extend(origin.user_agent.as_ref().map(|agent| one("aws:UserAgent", agent)));
    if let Principal::Service { name, source_arn, source_account } = principal {
        keys.push(one("aws:PrincipalServiceName", name));
        keys.push(one("aws:SourceAccount", source_account));
        if !source_arn.is_empty() {
            keys.push(one("aws:SourceArn", source_arn));
        }
    }
    keys
}

/// `aws:RequestTag/…` and `aws:TagKeys` of an input that carries tags.
pub(crate) fn of_tags(input: &dyn Structure) -> ConditionKeys {
    let mut found = Found::default();
    for (index, member) in input.shape().members().iter().enumerate() {
        let list = match member.name {
            "Tags" | "tags" => &mut found,
            "TagKeys" | "tagKeys" => {
                let mut names = Names(Vec::new());
                if let Some(value) = input.get(index) {
                    value.emit(member.shape, &mut names);
                }
                found.names.extend(names.0);
                continue;
            }
            _ => continue,
        };
        if let Some(value) = input.get(index) {
            value.emit(member.shape, list);
        }
    }
    let Found { tags, mut names } = found;
    let mut keys: ConditionKeys =
        tags.iter().map(|(key, value)| one(&format!("aws:RequestTag/{key}"), value)).collect();
    names.extend(tags.into_iter().map(|(key, _)| key));
    if !names.is_empty() {
        keys.push(("aws:TagKeys".into(), names));
    }
    keys
}

fn one(key: &str, value: impl ToString) -> (String, Vec<String>) {
    (key.to_owned(), vec![value.to_string()])
}

fn civil(now: Timestamp) -> String {
    let (year, month, day, hour, minute, second, _) = now.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Tags: a map, or a list of structures with `Key` and `Value`.
#[derive(Default)]
struct Found {
    tags: Vec<(String, String)>,
    names: Vec<String>,
}

impl Sink for Found {
    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        for (key, value) in entries {
            let mut text = Names(Vec::new());
            value.emit(shape, &mut text);
            self.tags.push((key.to_owned(), text.0.pop().unwrap_or_default()));
        }
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        for item in items {
            item.emit(shape, self);
        }
    }

    fn structure(&mut self, value: &dyn Structure) {
        let text = |names: [&str; 2]| names.iter().find_map(|name| wire::text_member(value, name));
        if let Some(key) = text(["Key", "key"]) {
            self.tags.push((key, text(["Value", "value"]).unwrap_or_default()));
        }
    }
}

/// A text, or a list of texts.
struct Names(Vec<String>);

impl Sink for Names {
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.0.push(value.to_owned());
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        for item in items {
            item.emit(shape, self);
        }
    }
}
