//! Selection expressions: `$request.header.name`, `$context.requestId`, `$stageVariables.name`.
//! Source: API Gateway Developer Guide, "Transform API requests and responses for HTTP APIs".

/// What an expression selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// A header of the request, in lower case.
    Header(String),
    /// A parameter of the request's query.
    Query(String),
    /// The body, or a place in it.
    Body(Option<String>),
    /// The path behind the stage.
    Path,
    /// A variable of the route's path.
    PathVariable(String),
    /// Something about the request.
    Context(String),
    /// A variable of the stage.
    Stage(String),
    /// A header of the answer, in lower case.
    AnswerHeader(String),
    /// The answer's body, or a place in it.
    AnswerBody(Option<String>),
}

impl Selection {
    /// None if the text is no expression.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('$')?;
        let named = |prefix: &str| rest.strip_prefix(prefix).filter(|name| !name.is_empty()).map(str::to_owned);
        match rest {
            "request.path" => return Some(Self::Path),
            "request.body" => return Some(Self::Body(None)),
            "response.body" => return Some(Self::AnswerBody(None)),
            _ => {}
        }
        named("request.header.")
            .map(|name| Self::Header(name.to_ascii_lowercase()))
            .or_else(|| named("request.querystring.").map(Self::Query))
            .or_else(|| named("request.body.").map(|place| Self::Body(Some(place))))
            .or_else(|| named("request.path.").map(Self::PathVariable))
            .or_else(|| named("response.header.").map(|name| Self::AnswerHeader(name.to_ascii_lowercase())))
            .or_else(|| named("response.body.").map(|place| Self::AnswerBody(Some(place))))
            .or_else(|| named("context.").map(Self::Context))
            .or_else(|| named("stageVariables.").map(Self::Stage))
    }

    /// Whether it may say who sends a request to an authorizer's function.
    pub(crate) fn identifies(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Query(_) | Self::Context(_) | Self::Stage(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_told_from_texts() {
        let parse = Selection::parse;
        assert_eq!(parse("$request.header.Auth"), Some(Selection::Header("auth".into())));
        assert_eq!(parse("$request.querystring.Name"), Some(Selection::Query("Name".into())));
        assert_eq!(parse("$request.path"), Some(Selection::Path));
        assert_eq!(parse("$request.path.id"), Some(Selection::PathVariable("id".into())));
        assert_eq!(parse("$request.body.a.b"), Some(Selection::Body(Some("a.b".into()))));
        assert_eq!(parse("$context.routeKey"), Some(Selection::Context("routeKey".into())));
        assert_eq!(parse("$stageVariables.x"), Some(Selection::Stage("x".into())));
        for wrong in ["", "x", "$x", "$request.header.", "request.header.a", "$response.body."] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
