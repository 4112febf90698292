//! Access logs: a line for each request of a stage that has them.

use std::sync::Arc;
use std::time::Duration;

use base::{Account, LogLine, LogSink, Region, Timestamp};
use door::{Body, SiteResponse};
use serde_json::Value;

use super::Visit;
use super::authorize::Authorizer;
use super::live::{Target, To};
use crate::HttpApis;
use crate::rules::format::{self, Part};
use crate::rules::selection::Selection;
use crate::types::AccessLog;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) group: Arc<str>,
    pub(crate) stream: Arc<str>,
}

impl Place {
    /// A line of its stream.
    pub(crate) fn line(&self, at: Timestamp, text: String) -> LogLine {
        LogLine {
            account: self.account,
            region: self.region.clone(),
            group: Arc::clone(&self.group),
            stream: Arc::clone(&self.stream),
            at,
            text,
            hops: 0,
        }
    }
}

/// A stage's log.
#[derive(Debug)]
pub(crate) struct Log {
    place: Place,
    format: Vec<Part>,
}

impl Log {
    /// The log of an API's stage; none if its destination names no group.
    pub(crate) fn of(said: &AccessLog, api: &str, stage: &str) -> Option<Self> {
        let (account, region, group) = format::group_of(&said.destination)?;
        Some(Self {
            place: Place {
                account: account.parse().ok()?,
                region: region.parse().ok()?,
                group: group.into(),
                stream: format!("{api}/{stage}").into(),
            },
            format: format::parts(&said.format),
        })
    }

    /// Writes a line, each variable by what `value` says of it.
    pub(crate) fn write(&self, sink: &dyn LogSink, at: Timestamp, value: impl Fn(&str) -> Option<String>) {
        let mut text = String::new();
        for part in &self.format {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Context(name) => match value(name) {
                    // A line is one line.
                    Some(value) => text.extend(value.chars().filter(|letter| !letter.is_control())),
                    None => text.push('-'),
                },
            }
        }
        sink.write(vec![self.place.line(at, text)]);
    }
}

/// What became of a request on its way.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) authorizer: Authorizer,
    /// Why it was not let in.
    pub(super) authorizer_error: Option<String>,
    /// How long the integration took.
    pub(super) integration: Option<Duration>,
    /// What the integration itself answered.
    pub(super) integration_status: Option<u16>,
    /// Why the integration did not answer, or not well.
    pub(super) integration_error: Option<String>,
    /// The message of the API's own answer.
    pub(super) error: Option<&'static str>,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            authorizer: Authorizer::None,
            authorizer_error: None,
            integration: None,
            integration_status: None,
            integration_error: None,
            error: None,
        }
    }
}

impl Course {
    /// An answer of the API's own.
    pub(super) fn own(&mut self, response: SiteResponse, message: &'static str) -> SiteResponse {
        self.error = Some(message);
        response
    }
}

impl HttpApis {
    /// Writes the line of a request that was answered.
    pub(super) fn log(&self, visit: &Visit<'_>, course: &Course, response: &SiteResponse, took: Duration) {
        let Some(log) = &visit.stage.log else { return };
        log.write(&*self.options.logs, visit.now, |name| value(visit, course, response, took, name));
    }
}

/// A variable of `$context` when all is over.
fn value(visit: &Visit<'_>, course: &Course, response: &SiteResponse, took: Duration, name: &str) -> Option<String> {
    let ms = |took: Duration| took.as_millis().to_string();
    match name {
        "status" => Some(response.status.to_string()),
        "responseLength" => Some(match &response.body {
            Body::Bytes(bytes) => bytes.len().to_string(),
            Body::Empty | Body::Stream(_) => "0".into(),
        }),
        "responseLatency" => Some(ms(took)),
        "integrationLatency" | "integration.latency" => course.integration.map(ms),
        // Of a function it is Lambda's status, which is 200 whenever the function answered.
        "integrationStatus" | "integration.integrationStatus" => {
            course.integration_status.map(|status| match visit.route.target.as_deref() {
                Some(Target { to: To::Function(..), .. }) => "200".to_owned(),
                _ => status.to_string(),
            })
        }
        "integration.status" => course.integration_status.map(|status| status.to_string()),
        "integrationErrorMessage" | "integration.error" => course.integration_error.clone(),
        "error.message" => course.error.map(str::to_owned),
        "error.messageString" => course.error.map(|message| format!("\"{message}\"")),
        "authorizer.error" => course.authorizer_error.clone(),
        name => of_request(visit, &course.authorizer, name),
    }
}

/// A variable of `$context` that is known once a request is let in.
pub(super) fn of_request(visit: &Visit<'_>, authorizer: &Authorizer, name: &str) -> Option<String> {
    match name.strip_prefix("authorizer.") {
        Some(property) => of_authorizer(authorizer, property),
        None => of_identity(authorizer, name).or_else(|| visit.select(&Selection::Context(name.to_owned()))),
    }
}

fn of_authorizer(authorizer: &Authorizer, property: &str) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match authorizer {
        Authorizer::Token { claims, .. } => claims.get(property.strip_prefix("claims.")?).map(text),
        Authorizer::Function { principal, .. } if property == "principalId" => principal.clone(),
        Authorizer::Function { context, .. } => context.as_ref()?.get(property).map(text),
        Authorizer::None | Authorizer::Iam { .. } => None,
    }
}

fn of_identity(authorizer: &Authorizer, name: &str) -> Option<String> {
    let Authorizer::Iam { account, arn, .. } = authorizer else { return None };
    match name {
        "identity.accountId" => Some(account.to_string()),
        "identity.userArn" => Some(arn.clone()),
        _ => None,
    }
}
