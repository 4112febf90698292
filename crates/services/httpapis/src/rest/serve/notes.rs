//! What is told of a request on its way: to who tests a method, or into a stage's execution log.
//! Source: API Gateway Developer Guide, "Set up CloudWatch logging for REST APIs in API Gateway".

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Clocks, LogSink, Timestamp};
use door::{Body, SiteResponse};
use http::header::HeaderMap;

use super::{Failure, Visit, event};
use crate::rest::types::{Api, Settings};
use crate::serve::Place;

/// How much must be wanted for a line to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// What goes wrong.
    Error,
    /// What happens.
    Info,
    /// What is sent and answered.
    Data,
}

impl Weight {
    /// What settings want: those of a method go before those of all.
    pub(super) fn of(own: Option<&Settings>, all: Option<&Settings>) -> Option<Self> {
        let one = own.filter(|own| own.level.is_some()).or(all)?;
        match one.level.as_deref() {
            Some("ERROR") => Some(Self::Error),
            Some("INFO") if one.trace => Some(Self::Data),
            Some("INFO") => Some(Self::Info),
            _ => None,
        }
    }
}

/// Where a stage's execution log goes.
pub(super) struct Executions(Place);

/// The longest line of an execution log, bytes; what is longer is cut.
const LINE_BYTES: usize = 1024;

impl Executions {
    /// None of an API that is nobody's.
    pub(super) fn of(api: &Api, stage: &str, deployment: &str) -> Option<Self> {
        Some(Self(Place {
            account: api.account.parse().ok()?,
            region: api.region.parse().ok()?,
            group: format!("API-Gateway-Execution-Logs_{}/{stage}", api.id).into(),
            stream: deployment.into(),
        }))
    }

    /// Writes the lines of a request that are wanted.
    pub(super) fn write(&self, sink: &dyn LogSink, id: &str, notes: &Notes, most: Weight) {
        let line = |(at, text): (Timestamp, String)| {
            let mut text = format!("({id}) {text}");
            if text.len() > LINE_BYTES {
                let end = (0..=LINE_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
                text.truncate(end);
                text.push_str(" [TRUNCATED]");
            }
            self.0.line(at, text)
        };
        sink.write(notes.lines(most).into_iter().map(line).collect());
    }
}

/// The lines so far.
pub(super) struct Notes {
    clocks: Arc<dyn Clocks>,
    // Of a test, not of a visitor's request.
    pub(super) trial: bool,
    // What is not told at all.
    most: Weight,
    lines: Mutex<Vec<(Timestamp, Weight, String)>>,
}

impl Notes {
    pub(super) fn new(clocks: &Arc<dyn Clocks>, trial: bool, most: Weight) -> Self {
        Self { clocks: Arc::clone(clocks), trial, most, lines: Mutex::default() }
    }

    pub(super) fn add(&self, weight: Weight, line: impl FnOnce() -> String) {
        if weight > self.most {
            return;
        }
        let line = (self.clocks.product(), weight, line());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn lines(&self, most: Weight) -> Vec<(Timestamp, String)> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|(_, weight, _)| *weight <= most).map(|(at, _, line)| (*at, line.clone())).collect()
    }

    /// All as one text, each line with its moment.
    pub(super) fn text(&self, id: &str) -> String {
        let mut text = format!("Execution log for request {id}\n");
        for (at, line) in self.lines(Weight::Data) {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{} : {line}", moment(at));
        }
        text
    }
}

impl Visit<'_> {
    /// Tells that a request was let in, and what it is.
    pub(super) fn tell_begin(&self) {
        let request = self.request;
        self.note(Weight::Info, || format!("Starting execution for request: {}", self.id));
        self.note(Weight::Info, || format!("HTTP Method: {}, Resource Path: {}", request.method, self.behind));
        self.note(Weight::Data, || format!("Method request path: {}", braces(self.variables().into_iter())));
        self.note(Weight::Data, || {
            let query: Vec<_> = form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
            format!("Method request query string: {}", braces(query.iter().map(|(key, one)| (&**key, one))))
        });
        self.note(Weight::Data, || format!("Method request headers: {}", headers(&request.headers)));
        self.note(Weight::Data, || format!("Method request body before transformations: {}", text(&request.body)));
    }

    /// Tells what became of it.
    pub(super) fn tell_end(&self, response: &SiteResponse, failure: Option<&Failure>) {
        match failure {
            None => {
                self.note(Weight::Data, || format!("Method response body after transformations: {}", body(response)));
                self.note(Weight::Data, || format!("Method response headers: {}", headers(&response.headers)));
                self.note(Weight::Info, || "Successfully completed execution".to_owned());
            }
            Some(failure) => {
                self.note(Weight::Error, || failure.told(response.status));
            }
        }
        self.note(Weight::Info, || format!("Method completed with status: {}", response.status));
    }
}

/// `{a=1, b=2}`
fn braces<V: std::fmt::Display>(pairs: impl Iterator<Item = (impl std::fmt::Display, V)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn headers(all: &HeaderMap) -> String {
    braces(all.iter().map(|(name, value)| {
        let value = text(value.as_bytes()).into_owned();
        // Who sends it is not told whole.
        let secret = matches!(name.as_str(), "authorization" | "x-api-key" | "x-amz-security-token");
        (event::written(name.as_str()), if secret { masked(&value) } else { value })
    }))
}

/// A text of which only the last letters are told.
pub(super) fn masked(text: &str) -> String {
    let count = text.chars().count();
    let shown = (count / 4).min(6);
    format!("{}{}", "*".repeat(count - shown), text.chars().skip(count - shown).collect::<String>())
}

pub(super) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn body(response: &SiteResponse) -> String {
    match &response.body {
        Body::Bytes(bytes) => text(bytes).into_owned(),
        Body::Empty | Body::Stream(_) => String::new(),
    }
}

/// `Thu Apr 20 15:51:32 UTC 2023`
fn moment(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // The epoch began on a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (year, month, day, hour, minute, second, _) = at.civil();
    let weekday = DAYS[at.0.div_euclid(86_400_000).rem_euclid(7) as usize];
    let month = MONTHS[(month as usize - 1) % 12];
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year:04}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn moments_are_as_java_writes_them() {
        assert_eq!(super::moment(base::Timestamp(1_682_005_892_000)), "Thu Apr 20 15:51:32 UTC 2023");
        assert_eq!(super::moment(base::Timestamp(0)), "Thu Jan 01 00:00:00 UTC 1970");
    }

    #[test]
    fn secrets_are_not_told_whole() {
        assert_eq!(super::masked("secret-words"), "*********rds");
        assert_eq!((super::masked("abc"), super::masked("")), ("***".to_owned(), String::new()));
    }
}
