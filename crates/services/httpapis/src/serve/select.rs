//! What selection expressions select in a request.
//! Source: API Gateway Developer Guide, "Customize HTTP API access logs", for the variables of `$context`.

use super::{Visit, event};
use crate::rules::selection::Selection;

impl Visit<'_> {
    /// The value an expression selects; none if there is none. Answers are not known yet.
    pub(super) fn select(&self, selection: &Selection) -> Option<String> {
        match selection {
            Selection::Header(name) => {
                let all = self.request.headers.get_all(name.as_str()).iter();
                let all: Vec<_> = all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
                (!all.is_empty()).then(|| all.join(","))
            }
            Selection::Query(name) => {
                let all = form_urlencoded::parse(self.request.query.as_bytes());
                let all: Vec<_> =
                    all.filter(|(named, _)| *named == **name).map(|(_, value)| value.into_owned()).collect();
                (!all.is_empty()).then(|| all.join(","))
            }
            Selection::Path => Some(self.behind()),
            Selection::PathVariable(name) => {
                self.variables().into_iter().find(|(named, _)| named == name).map(|(_, value)| value)
            }
            Selection::Context(name) => self.context(name),
            Selection::Stage(name) => self.stage.variables.get(name).cloned(),
            Selection::Body(_) | Selection::AnswerHeader(_) | Selection::AnswerBody(_) => None,
        }
    }

    /// A variable of `$context` that is known before an integration is called.
    fn context(&self, name: &str) -> Option<String> {
        let (api, request) = (&self.live.api, self.request);
        let text = |text: &str| Some(text.to_owned());
        match name {
            "accountId" => text(&api.account),
            "apiId" => text(&api.id),
            "domainName" => Some(event::domain(self)),
            "domainPrefix" => text(&api.id),
            "extendedRequestId" | "requestId" => text(self.id),
            "httpMethod" => text(request.method.as_str()),
            "identity.sourceIp" => Some(request.peer.to_string()),
            "identity.userAgent" => {
                request.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).and_then(text)
            }
            "path" => text(self.path),
            "protocol" => text("HTTP/1.1"),
            "requestTime" => Some(door::proxy::time(self.now)),
            "requestTimeEpoch" => Some(self.now.0.to_string()),
            "routeKey" => text(&self.route.key),
            "stage" => text(&self.stage.name),
            _ => None,
        }
    }
}
