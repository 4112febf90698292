//! The model's constraints, checked over a typed input, in AWS's words.
//!
//! Every violation is collected: `2 validation errors detected: …; …`. Paths name members as AWS prints them, with a
//! small first letter and lists counted from one: `tags.1.member.key`.

mod exceptions;
mod pattern;
mod show;

use base::{Fault, Timestamp};
use bytes::Bytes;

use crate::value::{Emit, Sink, Structure};
use crate::{Kind, Location, Operation, Protocol, Shape};

pub use pattern::pattern_compiles;
use show::show;

/// Violations reported at most: a huge list of wrong items must not make a huge answer.
const REPORTED: usize = 64;

/// Checks the model's constraints: required, length, range, pattern, enumeration.
///
/// Faults, all 400, with ValidationException; with ValidationError where the service speaks the query protocol, with
/// InvalidParameterException or InvalidInput where the operation declares that for it, and as EC2 and S3 do in theirs.
pub fn validate(operation: &'static Operation, input: &dyn Structure) -> Result<(), Fault> {
    let mut check = Check { operation, path: String::new(), violations: Vec::new(), fault: None };
    check.structure(input);
    if let Some(fault) = check.fault {
        return Err(fault);
    }
    if check.violations.is_empty() {
        return Ok(());
    }
    if operation.service.bare_errors {
        return Err(bare(input));
    }
    if let Some(missing) = missing(operation, input) {
        return Err(missing);
    }
    let count = check.violations.len();
    let errors = if count == 1 { "error" } else { "errors" };
    let message = format!("{count} validation {errors} detected: {}", check.violations.join("; "));
    Err(Fault::new(code(operation), 400, message))
}

/// The code of a violated constraint, as the service's own errors show it.
fn code(operation: &'static Operation) -> &'static str {
    let declares = |name: &str| operation.errors.iter().any(|error| error.name == name);
    match operation.service.protocols.first() {
        Some(Protocol::Query) => "ValidationError",
        // CloudWatch, which has spoken the query protocol first and keeps its codes.
        Some(Protocol::Cbor) if operation.service.protocols.contains(&Protocol::Query) => "ValidationError",
        Some(Protocol::Ec2Query) => "InvalidParameterValue",
        Some(Protocol::RestXml) if declares("InvalidInput") => "InvalidInput",
        Some(Protocol::RestXml) if declares("InvalidArgument") => "InvalidArgument",
        // CloudWatch Logs' own code for it, unless the operation knows the general one.
        _ if declares("InvalidParameterException") && !declares("ValidationException") => "InvalidParameterException",
        _ => "ValidationException",
    }
}

/// EC2 and SQS name the first parameter that is missing, before all else that is wrong.
fn missing(operation: &'static Operation, input: &dyn Structure) -> Option<Fault> {
    let end = exceptions::names_the_missing(operation)?;
    let mut members = input.shape().members().iter().enumerate();
    let (_, member) = members.find(|(index, member)| member.required && input.get(*index).is_none())?;
    let words = format!("The request must contain the parameter {}{end}", member.name);
    Some(Fault::new("MissingParameter", 400, words))
}

/// S3 does not list what is wrong: it names the first argument outside the body, and calls every body malformed.
fn bare(input: &dyn Structure) -> Fault {
    for (index, member) in input.shape().members().iter().enumerate() {
        let value = input.get(index);
        let broken = match value {
            Some(value) => breaks(member.shape, value),
            None => member.required,
        };
        if broken
            && value.is_some()
            && let Some(fault) = exceptions::of_s3(member.shape)
        {
            return fault;
        }
        match member.location {
            _ if !broken => {}
            Location::Payload if value.is_none() => {
                return Fault::new("MissingRequestBodyError", 400, "Request Body is empty");
            }
            Location::Body | Location::Payload => {}
            _ => {
                let shown = value.map_or_else(String::new, |value| show(member.shape, value));
                let words = format!("The value provided for {} is not valid", member.wire);
                let fault = Fault::new("InvalidArgument", 400, words);
                return fault.with("ArgumentName", member.wire).with("ArgumentValue", shown);
            }
        }
    }
    // Nothing else is broken, so the body is.
    let payload = input.shape().members().iter().find(|member| member.location == Location::Payload);
    let own = payload.and_then(|member| exceptions::of_s3(member.shape));
    own.unwrap_or_else(|| Fault::new("MalformedXML", 400, crate::rest::MALFORMED_XML))
}

/// The walk over one input.
struct Check {
    operation: &'static Operation,
    // Where it stands: `environment.variables`.
    path: String,
    violations: Vec<String>,
    // Set by a service's own rule, whose answer replaces the list.
    fault: Option<Fault>,
}

impl Check {
    /// Notes that the value here breaks `constraint`; `value` is none for null.
    fn violated(&mut self, shape: &'static Shape, value: Option<&dyn Emit>, constraint: &str) {
        if self.violations.len() == REPORTED {
            return;
        }
        let value = match value {
            None => " null".to_owned(),
            // AWS leaves a secret's value out.
            Some(_) if hides(shape) => String::new(),
            Some(value) => format!(" '{}'", show(shape, value)),
        };
        self.violations.push(format!("Value{value} at '{}' failed to satisfy constraint: {constraint}", self.path));
    }

    /// Checks one value's own constraints.
    fn own(&mut self, shape: &'static Shape, value: &dyn Emit, broken: Vec<String>) {
        for constraint in broken {
            self.violated(shape, Some(value), &constraint);
        }
    }

    fn within(&mut self, name: &str, walk: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        // AWS prints the name as a Java field: `functionName`, `kMSKeyArn`.
        let mut chars = name.chars();
        self.path.extend(chars.next().map(|first| first.to_ascii_lowercase()));
        self.path.push_str(chars.as_str());
        walk(self);
        self.path.truncate(length);
    }
}

/// Whether the value must not be shown: it or what it holds is secret.
fn hides(shape: &'static Shape) -> bool {
    shape.sensitive
        || match shape.kind {
            Kind::List(item) => item.shape.sensitive,
            Kind::Map(key, value) => key.shape.sensitive || value.shape.sensitive,
            _ => false,
        }
}

/// The constraints of text that `value` breaks, in AWS's order.
fn text_breaks(shape: &'static Shape, value: &str) -> Vec<String> {
    let mut broken = size_breaks(shape, "length", value.chars().count() as i64);
    if shape.pattern.is_some_and(|pattern| !pattern::matches(pattern, value)) {
        broken.extend(pattern_words(shape));
    }
    if !shape.values.is_empty() && !shape.values.contains(&value) {
        broken.extend(enum_words(shape));
    }
    broken
}

fn size_breaks(shape: &'static Shape, what: &str, size: i64) -> Vec<String> {
    let above =
        shape.max.filter(|max| size > *max).map(|max| format!("Member must have {what} less than or equal to {max}"));
    let below = shape
        .min
        .filter(|min| size < *min)
        .map(|min| format!("Member must have {what} greater than or equal to {min}"));
    above.into_iter().chain(below).collect()
}

fn pattern_words(shape: &'static Shape) -> Option<String> {
    shape.pattern.map(|pattern| format!("Member must satisfy regular expression pattern: {pattern}"))
}

fn enum_words(shape: &'static Shape) -> Option<String> {
    (!shape.values.is_empty()).then(|| format!("Member must satisfy enum value set: [{}]", shape.values.join(", ")))
}

/// Every constraint of an item, as AWS lists them when one is broken.
fn all_words(shape: &'static Shape) -> String {
    let what = if matches!(shape.kind, Kind::Text | Kind::Blob) { "length" } else { "value" };
    let max = shape.max.map(|max| format!("Member must have {what} less than or equal to {max}"));
    let min = shape.min.map(|min| format!("Member must have {what} greater than or equal to {min}"));
    let words = [max, min, pattern_words(shape), enum_words(shape)];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Whether a scalar breaks its own constraints, or one of a list's scalars does.
fn breaks(shape: &'static Shape, value: &dyn Emit) -> bool {
    struct Scalar(bool);
    impl Sink for Scalar {
        fn integer(&mut self, shape: &'static Shape, value: i64) {
            self.0 = !size_breaks(shape, "value", value).is_empty();
        }
        fn double(&mut self, shape: &'static Shape, value: f64) {
            self.0 = out_of_range(shape, value);
        }
        fn text(&mut self, shape: &'static Shape, value: &str) {
            self.0 = !text_breaks(shape, value).is_empty();
        }
        fn blob(&mut self, shape: &'static Shape, value: &Bytes) {
            self.0 = !size_breaks(shape, "length", value.len() as i64).is_empty();
        }
        fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
            if let Kind::List(item) = shape.kind {
                for value in items {
                    self.0 |= breaks(item.shape, value);
                }
            }
        }
    }
    let mut scalar = Scalar(false);
    value.emit(shape, &mut scalar);
    scalar.0
}

fn out_of_range(shape: &'static Shape, value: f64) -> bool {
    shape.max.is_some_and(|max| value > max as f64) || shape.min.is_some_and(|min| value < min as f64)
}

/// Whether AWS checks the shape as a value of its own, with a path of its own.
fn nested(shape: &'static Shape) -> bool {
    matches!(shape.kind, Kind::Structure(_) | Kind::Union(_) | Kind::List(_) | Kind::Map(..))
}

impl Sink for Check {
    fn boolean(&mut self, _: &'static Shape, _: bool) {}

    fn integer(&mut self, shape: &'static Shape, value: i64) {
        self.own(shape, &value, size_breaks(shape, "value", value));
    }

    fn double(&mut self, shape: &'static Shape, value: f64) {
        let broken =
            if value > 0.0 { shape.max.map(|max| ("less", max)) } else { shape.min.map(|min| ("greater", min)) };
        if let Some((than, bound)) = broken.filter(|_| out_of_range(shape, value)) {
            self.violated(shape, Some(&value), &format!("Member must have value {than} than or equal to {bound}"));
        }
    }

    fn text(&mut self, shape: &'static Shape, value: &str) {
        let broken = text_breaks(shape, value);
        if broken.is_empty() || exceptions::is_left_to_the_room(self.operation, shape) {
            return;
        }
        if let Some(fault) = exceptions::find(self.operation, shape, value, &self.path) {
            self.fault.get_or_insert(fault);
            return;
        }
        self.own(shape, &value.to_owned(), broken);
    }

    fn blob(&mut self, shape: &'static Shape, value: &Bytes) {
        self.own(shape, value, size_breaks(shape, "length", value.len() as i64));
    }

    fn timestamp(&mut self, _: &'static Shape, _: Timestamp) {}

    fn structure(&mut self, value: &dyn Structure) {
        for (index, member) in value.shape().members().iter().enumerate() {
            match value.get(index) {
                Some(field) => self.within(member.name, |check| field.emit(member.shape, check)),
                None if member.required && !exceptions::may_be_missing(self.operation, member) => {
                    self.within(member.name, |check| check.violated(member.shape, None, "Member must not be null"));
                }
                None => {}
            }
        }
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        let items: Vec<&dyn Emit> = items.collect();
        let whole = show::Items(&items);
        self.own(shape, &whole, size_breaks(shape, "length", items.len() as i64));
        let Kind::List(item) = shape.kind else { return };
        if nested(item.shape) {
            for (index, value) in items.iter().enumerate() {
                self.within(&format!("{}.member", index + 1), |check| value.emit(item.shape, check));
            }
        } else if !exceptions::is_left_to_the_room(self.operation, item.shape)
            && items.iter().any(|value| breaks(item.shape, *value))
        {
            let words = format!("Member must satisfy constraint: [{}, Member must not be null]", all_words(item.shape));
            self.violated(shape, Some(&whole), &words);
        }
    }

    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        let entries: Vec<(&str, &dyn Emit)> = entries.collect();
        let whole = show::Entries(&entries);
        self.own(shape, &whole, size_breaks(shape, "length", entries.len() as i64));
        let Kind::Map(key, item) = shape.kind else { return };
        let known = exceptions::is_left_to_the_room(self.operation, key.shape);
        if !known && entries.iter().any(|(name, _)| !text_breaks(key.shape, name).is_empty()) {
            let words = format!("Map keys must satisfy constraint: [{}]", all_words(key.shape));
            self.violated(shape, Some(&whole), &words);
        }
        if nested(item.shape) {
            for (name, value) in &entries {
                let path = format!("{}.member", name);
                // A key is the user's own text: its case stays.
                let length = self.path.len();
                self.path.push('.');
                self.path.push_str(&path);
                value.emit(item.shape, self);
                self.path.truncate(length);
            }
        } else if entries.iter().any(|(_, value)| breaks(item.shape, *value)) {
            let words = format!("Map value must satisfy constraint: [{}]", all_words(item.shape));
            self.violated(shape, Some(&whole), &words);
        }
    }
}
