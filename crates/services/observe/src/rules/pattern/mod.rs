//! Filter patterns: which events a search wants.
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax". Three languages: terms (`ERROR -"not this"`), JSON
//! (`{ $.status = 404 }`) and space-delimited fields (`[ip, user, status = 4*]`).

mod expression;
mod fields;
mod json;
mod lexer;
mod terms;

use fields::Fields;
use json::Json;
use memchr::memmem::Finder;
use terms::Terms;

/// A pattern that was read.
#[derive(Debug)]
pub struct Pattern(Language);

#[derive(Debug)]
enum Language {
    Everything,
    Terms(Terms),
    Json(Json),
    Fields(Fields),
}

/// Why a pattern does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It begins with the one bracket and does not end with the other.
    Unclosed(char, char),
    /// These characters may stand between quotes only.
    Characters(String),
    /// All else: CloudWatch Logs says no more than that it is invalid. In words for our own log.
    Other(String),
}

impl Wrong {
    /// The message of CloudWatch Logs, which calls the pattern by its use: `filter`, `metric filter` or
    /// `subscription filter`.
    pub fn message(&self, what: &str) -> String {
        match self {
            Self::Unclosed(begin, end) => format!("If a filter pattern starts with '{begin}' it must end with '{end}'"),
            Self::Characters(characters) => format!("Invalid character(s) in term '{characters}'"),
            Self::Other(words) => {
                tracing::debug!(%words, "an invalid {what} pattern");
                format!("Invalid {what} pattern")
            }
        }
    }
}

impl From<String> for Wrong {
    fn from(words: String) -> Self {
        Self::Other(words)
    }
}

impl From<&str> for Wrong {
    fn from(words: &str) -> Self {
        Self::Other(words.to_owned())
    }
}

/// A text that is looked for before anything is parsed.
#[derive(Debug)]
struct Needle(Box<Finder<'static>>);

impl Needle {
    fn new(text: &str) -> Self {
        Self(Box::new(Finder::new(text).into_owned()))
    }

    fn stands_in(&self, bytes: &[u8]) -> bool {
        self.0.find(bytes).is_some()
    }
}

impl Pattern {
    /// Reads a pattern; an empty one wants everything.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let text = text.trim();
        let language = if text.is_empty() {
            Language::Everything
        } else if let Some(inner) = text.strip_prefix('{') {
            Language::Json(json::parse(inner.strip_suffix('}').ok_or(Wrong::Unclosed('{', '}'))?)?)
        } else if let Some(inner) = text.strip_prefix('[') {
            Language::Fields(fields::parse(inner.strip_suffix(']').ok_or(Wrong::Unclosed('[', ']'))?)?)
        } else {
            Language::Terms(terms::parse(text)?)
        };
        Ok(Self(language))
    }

    /// Whether an event's message is wanted.
    pub fn matches(&self, message: &[u8]) -> bool {
        match &self.0 {
            Language::Everything => true,
            Language::Terms(terms) => terms.matches(message),
            Language::Json(json) => json.matches(message),
            Language::Fields(fields) => fields.matches(message),
        }
    }

    /// Whether one of many messages may be wanted, given bytes in which all of them stand. Much cheaper than to ask for
    /// each; true when in doubt.
    pub fn may_match(&self, messages: &[u8]) -> bool {
        match &self.0 {
            Language::Everything => true,
            Language::Terms(terms) => terms.may_match(messages),
            Language::Json(json) => json.may_match(messages),
            Language::Fields(fields) => fields.may_match(messages),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wants(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).unwrap_or_else(|wrong| panic!("{pattern}: {wrong:?}")).matches(message.as_bytes())
    }

    #[test]
    fn terms_are_all_wanted_and_in_any_order() {
        assert!(wants("ERROR", "[ERROR 400] BAD REQUEST"));
        assert!(!wants("error", "[ERROR 400] BAD REQUEST"), "case matters");
        assert!(wants("REQUEST ERROR", "[ERROR 400] BAD REQUEST"));
        assert!(!wants("ERROR GONE", "[ERROR 400] BAD REQUEST"));
        assert!(wants("\"BAD REQUEST\"", "[ERROR 400] BAD REQUEST"));
        assert!(!wants("\"REQUEST BAD\"", "[ERROR 400] BAD REQUEST"));
        assert!(wants("\"say \\\"hi\\\"\"", "they say \"hi\""));
        assert!(wants("", "anything"));
        assert!(wants(" ", "anything"));
    }

    #[test]
    fn some_terms_are_optional_and_some_unwanted() {
        assert!(wants("?ERROR ?WARN", "[WARN] slow"));
        assert!(wants("?ERROR ?WARN", "[ERROR] gone"));
        assert!(!wants("?ERROR ?WARN", "[INFO] fine"));
        assert!(wants("ERROR -EXITING", "[ERROR] gone"));
        assert!(!wants("ERROR -EXITING", "[ERROR] EXITING"));
        assert!(!wants("ERROR -\"NOT THIS\"", "[ERROR] NOT THIS"));
        assert!(wants("?ERROR REQUEST", "[INFO] REQUEST"), "beside a wanted term optional ones do not count");
        assert!(wants("%4[0-9]{2}%", "status 404"));
        assert!(!wants("%4[0-9]{2}%", "status 200"));
    }

    #[test]
    fn json_fields_are_compared() {
        let event = r#"{"ip":"111.111.111.111","eventType":"UpdateTrail","n":12.5,"ok":true,"no":null,"a":[{"id":"x"},{"id":"yz"}],"u":{"na me":"Ann"}}"#;
        for wanted in [
            r#"{ $.eventType = "UpdateTrail" }"#,
            r#"{$.eventType="UpdateTrail"}"#,
            r#"{ $.eventType = UpdateTrail }"#,
            r#"{ $.eventType = "Update*" }"#,
            r#"{ $.eventType != "Other" }"#,
            r#"{ $.eventType = %^Update% }"#,
            "{ $.n = 12.5 }",
            "{ $.n = 1.25e1 }",
            "{ $.n > 12 && $.n <= 12.5 }",
            "{ ($.n < 1) || ($.ok IS TRUE) }",
            "{ $.no IS NULL }",
            "{ $.missing NOT EXISTS }",
            r#"{ $.a[0].id = "x" }"#,
            r#"{ $.a[*].id = "yz" }"#,
            r#"{ $.u.['na me'] = "Ann" }"#,
            r#"{ $.u["na me"] = "Ann" }"#,
            r#"{ $.eventType = "*" }"#,
            r#"{ $.eventType = *Trail }"#,
            r#"{ $.eventType = "*dateTr*" }"#,
            "{ $.ip != 123.123.* }",
            "{ $.ip = 111.111.* }",
            "{ $.n > +1e1 }",
            "{ $.['eventType'] = UpdateTrail }",
            "{ $.a[*].id = \"x\" && $.u.* = Ann }",
        ] {
            assert!(wants(wanted, event), "{wanted}");
        }
        for unwanted in [
            r#"{ $.eventType = "updateTrail" }"#,
            r#"{ $.eventType != "UpdateTrail" }"#,
            "{ $.n = 12 }",
            "{ $.n > 12.5 }",
            "{ $.ok IS FALSE }",
            "{ $.eventType NOT EXISTS }",
            "{ $.eventType IS NULL }",
            r#"{ $.missing = "*" }"#,
            r#"{ $.missing != "x" }"#,
            r#"{ $.a[2].id = "x" }"#,
            r#"{ $.eventType = "Up*il" }"#,
            "{ $.a = 1 }",
            "{ $.a != 1 }",
            "{ $.u != 1 }",
            "{ $.ok IS TRUE && $.n < 1 }",
        ] {
            assert!(!wants(unwanted, event), "{unwanted}");
        }
        assert!(!wants("{ $.x = 1 }", "not json"));
        assert!(wants("{ $.x = abc }", "{\"x\":\"\\u0061bc\"}"), "also where it is written with escapes");
    }

    #[test]
    fn fields_are_compared_by_their_place() {
        let line = r#"127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;
        for wanted in [
            "[ip, server, username, timestamp, request, status_code, bytes]",
            "[ip, server, username, timestamp, request, status_code = 4*, bytes]",
            "[ip, server, username, timestamp, request = \"*.html*\", status_code = 404 || status_code = 410, bytes > 1000]",
            "[..., status_code = 404, bytes]",
            "[ip = 127.0.0.1, ...]",
            "[ip, ..., bytes >= 1534 && bytes < 2000]",
            "[ip, server, username=%^f.*k$%, ...]",
            "[..., request = *html*, status_code = 4* && status_code != 403, bytes]",
            "[..., status_code=4*,]",
            "[,,,,,,]",
        ] {
            assert!(wants(wanted, line), "{wanted}");
        }
        for unwanted in [
            "[ip, server, username, timestamp, request, status_code]",
            "[ip, server, username, timestamp, request, status_code = 5*, bytes]",
            "[..., bytes > 1534]",
            "[ip != 127.0.0.1, ...]",
        ] {
            assert!(!wants(unwanted, line), "{unwanted}");
        }
        assert!(wants("[w1=ERROR||w1=WARN, w2]", "WARN disk"));
        assert!(wants("[w1=!ERROR && w1=!INFO, w2]", "WARN disk"));
        assert!(wants("[w1=\"ERROR\" && w1!=\"x\", w2]", "ERROR disk"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_the_services_words() {
        let words = |bad: &str| Pattern::parse(bad).map(drop).expect_err(bad).message("filter");
        for bad in [
            "{ $.x = }",
            "{ x = 1 }",
            "{ $.x = 1 && }",
            "[a, ..., b, ...]",
            "[a = ]",
            "[ip, status = 4* && bytes > 1000]",
            "\"open",
            "\"a\":",
            "%(x)%",
            "%open",
            "{ $.x = \"a\" nonsense }",
            "{ ($.x = 1 }",
            "{}",
            "-",
            "?",
            "{ $.a[*].b[*] = 1 }",
            "{ $.a[*] = 1 || $.b[*] = 1 || $.c[*] = 1 || $.d[*] = 1 }",
            "{ $.a = %a% || $.b = %b% || $.c = %c% }",
            "[a = %a%, b = %b%, c = %c%]",
            "{ $.x < text }",
        ] {
            assert_eq!(words(bad), "Invalid filter pattern", "{bad}");
        }
        let deep = format!("{{ {}$.x = 1{} }}", "(".repeat(500), ")".repeat(500));
        assert_eq!(words(&deep), "Invalid filter pattern");
        for (bad, characters) in [
            ("?Status: timeout", ":"),
            ("a(b", "("),
            ("a*", "*"),
            ("{ $.\"a-b\" = 1 }", "$.\""),
            ("{ $.x = er,ror }", ","),
        ] {
            assert_eq!(words(bad), format!("Invalid character(s) in term '{characters}'"));
        }
        assert_eq!(words("{ $.x"), "If a filter pattern starts with '{' it must end with '}'");
        assert_eq!(words("{ $.x = 1 &&"), "If a filter pattern starts with '{' it must end with '}'");
        assert_eq!(words("[a"), "If a filter pattern starts with '[' it must end with ']'");
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_message_panics(
            pattern in r#"[\[{]?[a$.=!<>&|"%?*\- ,()0-9TRUENOIS\[\]]{0,40}[\]}]?"#,
            message in "\\PC{0,60}",
        ) {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let matches = pattern.matches(message.as_bytes());
                let many = format!("before {message} after");
                prop_assert!(!matches || pattern.may_match(many.as_bytes()));
            }
        }

        #[test]
        fn a_quoted_phrase_is_found_exactly_where_it_stands(phrase in "[a-z\"\\\\ :]{1,6}", message in "[a-z\"\\\\ :]{0,20}") {
            let quoted = format!("\"{}\"", phrase.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(wants(&quoted, &message), message.contains(&phrase));
            let without = format!("-{quoted}");
            prop_assert_eq!(wants(&without, &message), !message.contains(&phrase));
        }

        #[test]
        fn numbers_compare_as_numbers(a in -1000i32..1000, b in -1000i32..1000) {
            let event = format!("{{\"n\":{a}}}");
            prop_assert_eq!(wants(&format!("{{ $.n < {b} }}"), &event), a < b);
            prop_assert_eq!(wants(&format!("{{ $.n >= {b} }}"), &event), a >= b);
            prop_assert_eq!(wants(&format!("{{ $.n = {b} }}"), &event), a == b);
            prop_assert_eq!(wants(&format!("{{ $.n != {b} }}"), &event), a != b);
        }
    }
}
