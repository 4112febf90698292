//! What an API answers by itself.
//! Source: API Gateway Developer Guide, "Gateway responses for REST APIs in API Gateway".

use bytes::Bytes;
use door::{Body, SiteResponse};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{Visit, put, values};
use crate::rest::rules::{media, responses};

/// Why a request does not reach an integration, or is not answered by one.
#[derive(Debug)]
pub(super) struct Failure {
    // Of which type it is, as gateway responses name it.
    of: &'static str,
    status: u16,
    // None where AWS has none to say.
    message: Option<String>,
    // What `x-amzn-errortype` says.
    error: &'static str,
    // What a validator found wrong.
    wrong: Option<String>,
}

const INTERNAL: &str = "InternalServerErrorException";

impl Failure {
    fn new(of: &'static str, status: u16, message: impl Into<String>, error: &'static str) -> Self {
        Self { of, status, message: Some(message.into()), error, wrong: None }
    }

    /// No method has that path, or nobody signed where somebody must.
    pub(super) fn missing_token() -> Self {
        let (message, error) = ("Missing Authentication Token", "MissingAuthenticationTokenException");
        Self::new("MISSING_AUTHENTICATION_TOKEN", 403, message, error)
    }

    /// No stage has that name.
    pub(super) fn forbidden() -> Self {
        Self::new("DEFAULT_4XX", 403, "Forbidden", "ForbiddenException")
    }

    /// Signed for another service.
    pub(super) fn signed_for_another() -> Self {
        let message = "Credential should be scoped to correct service: 'execute-api'. ";
        Self::new("INVALID_SIGNATURE", 403, message, "InvalidSignatureException")
    }

    /// Policies do not let in who signed.
    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new("ACCESS_DENIED", 403, message, "AccessDeniedException")
    }

    /// It does not say who sends it, or an authorizer says so.
    pub(super) fn unauthorized() -> Self {
        Self::new("UNAUTHORIZED", 401, "Unauthorized", "UnauthorizedException")
    }

    /// What decides about it does not work.
    pub(super) fn no_verdict() -> Self {
        let (of, error) = ("AUTHORIZER_CONFIGURATION_ERROR", "AuthorizerConfigurationException");
        Self { message: None, ..Self::new(of, 500, "", error) }
    }

    /// Parameters that must be sent are not.
    pub(super) fn missing_parameters(names: &[&str]) -> Self {
        let message = format!("Missing required request parameters: [{}]", names.join(", "));
        let wrong = Some(message.clone());
        Self { wrong, ..Self::new("BAD_REQUEST_PARAMETERS", 400, message, "BadRequestException") }
    }

    /// The body is not as its model says.
    pub(super) fn wrong_body(wrong: &[String]) -> Self {
        let wrong = Some(format!("[{}]", wrong.join(", ")));
        Self { wrong, ..Self::new("BAD_REQUEST_BODY", 400, "Invalid request body", "BadRequestException") }
    }

    /// The API is not made so that it could answer.
    pub(super) fn internal() -> Self {
        Self::new("API_CONFIGURATION_ERROR", 500, "Internal server error", INTERNAL)
    }

    /// A function was called and gave no answer that could be passed on.
    pub(super) fn malformed() -> Self {
        Self::new("DEFAULT_5XX", 502, "Internal server error", INTERNAL)
    }

    /// What is called did not answer in time.
    pub(super) fn timed_out() -> Self {
        Self::new("INTEGRATION_TIMEOUT", 504, "Endpoint request timed out", INTERNAL)
    }

    /// What is called was not reached.
    pub(super) fn unreached() -> Self {
        Self::new("INTEGRATION_FAILURE", 504, "Network error communicating with endpoint", INTERNAL)
    }

    pub(super) fn too_large() -> Self {
        Self::new("REQUEST_TOO_LARGE", 413, "Request Too Long", "RequestTooLargeException")
    }

    /// The method is called too often.
    pub(super) fn too_many() -> Self {
        Self::new("THROTTLED", 429, "Too Many Requests", "TooManyRequestsException")
    }

    pub(super) fn head_too_large() -> Self {
        Self::new("DEFAULT_4XX", 431, "Request Header Fields Too Large", "BadRequestException")
    }

    /// No template is for what was sent.
    pub(super) fn unsupported() -> Self {
        Self::new("UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type", "BadRequestException")
    }

    /// As AWS says it where nobody changed that.
    pub(super) fn plain(&self) -> SiteResponse {
        let message = Value::from(self.message.clone());
        let body = match (self.of, self.status) {
            ("AUTHORIZER_CONFIGURATION_ERROR", _) => format!("{{\"message\":{message}}}"),
            ("ACCESS_DENIED", _) => format!("{{\"Message\":{message}}}"),
            (_, 500..) => format!("{{\"message\": {message}}}"),
            _ => format!("{{\"message\":{message}}}"),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        put(&mut headers, "x-amzn-errortype", self.error);
        SiteResponse { status: self.status, headers, body: Body::Bytes(Bytes::from(body)) }
    }

    /// What an execution log says of it, and of the status that it had.
    pub(super) fn told(&self, status: u16) -> String {
        let why = match self.of {
            "BAD_REQUEST_PARAMETERS" => "Execution failed due to request validation: ",
            _ if self.status >= 500 => "Execution failed due to configuration error: ",
            _ => "Execution failed: ",
        };
        let words = self.message.as_deref().unwrap_or_default();
        format!("{why}{words}. Gateway response type: {} with status code: {status}", self.of)
    }

    /// Its status where no setting changes that.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// What `$context.error` has of this name.
    pub(super) fn part(&self, name: &str) -> Option<String> {
        match name {
            "message" => self.message.clone(),
            "messageString" => Some(Value::from(self.message.clone()).to_string()),
            "responseType" => Some(self.of.to_owned()),
            // Templates have it in quotes.
            "validationErrorString" => self.wrong.as_deref().map(unquoted),
            _ => None,
        }
    }

    /// As the API's own settings say it.
    pub(super) fn answer(&self, visit: &Visit<'_>) -> SiteResponse {
        let mut plain = self.plain();
        let all = &visit.stage.content.responses;
        let class = if self.status < 500 { "DEFAULT_4XX" } else { "DEFAULT_5XX" };
        if !all.contains_key(self.of) && !all.contains_key(class) {
            return plain;
        }
        let of = if all.contains_key(self.of) { self.of } else { class };
        let (one, _) = responses::find(all, of);
        if let Some(status) = one.status.and_then(|status| status.parse().ok()).filter(|status| *status >= 200) {
            plain.status = status;
        }
        let known = |name: &str| match name.strip_prefix("context.error.") {
            Some(part) => self.part(part),
            None => values::of(visit, name),
        };
        for (key, source) in &one.parameters {
            let name = key.strip_prefix("gatewayresponse.header.").and_then(|name| name.parse::<HeaderName>().ok());
            let of_error = source.starts_with("context.error.");
            let value = if of_error { known(source) } else { values::of(visit, source) };
            if let (Some(name), Some(Ok(value))) = (name, value.map(|value| HeaderValue::from_str(&value))) {
                plain.headers.insert(name, value);
            }
        }
        if let Some((content_type, template)) = media::accepted(&one.templates, visit.accept()) {
            put(&mut plain.headers, "content-type", content_type);
            plain.body = Body::Bytes(responses::rendered(template, known).into());
        }
        plain
    }
}

/// A text as JSON has it between its quotes.
fn unquoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}
