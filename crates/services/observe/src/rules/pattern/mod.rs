//! Filter patterns: which events a search wants.
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax". Three languages: terms (`ERROR -"not this"`), JSON
//! (`{ $.status = 404 }`) and space-delimited fields (`[ip, user, status = 4*]`).

mod expression;
mod fields;
mod json;
mod lexer;
mod terms;

use expression::Expression;
use fields::Fields;
use json::Selector;
use terms::Terms;

/// A pattern that was read.
#[derive(Debug)]
pub struct Pattern(Language);

#[derive(Debug)]
enum Language {
    Everything,
    Terms(Terms),
    Json(Expression<Selector>),
    Fields(Fields),
}

impl Pattern {
    /// Reads a pattern; an empty one wants everything.
    ///
    /// # Errors
    /// What is wrong with it, in words for its author.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let language = if text.is_empty() {
            Language::Everything
        } else if let Some(inner) = text.strip_prefix('{') {
            let inner = inner.strip_suffix('}').ok_or("a JSON pattern must end with '}'")?;
            Language::Json(json::parse(inner)?)
        } else if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or("a space-delimited pattern must end with ']'")?;
            Language::Fields(fields::parse(inner)?)
        } else {
            Language::Terms(terms::parse(text)?)
        };
        Ok(Self(language))
    }

    /// Whether an event's message is wanted.
    pub fn matches(&self, message: &str) -> bool {
        match &self.0 {
            Language::Everything => true,
            Language::Terms(terms) => terms.matches(message),
            Language::Json(expression) => json::matches(expression, message),
            Language::Fields(fields) => fields.matches(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wants(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).unwrap_or_else(|words| panic!("{pattern}: {words}")).matches(message)
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
        let event = r#"{"eventType":"UpdateTrail","n":12.5,"ok":true,"no":null,"a":[{"id":"x"},{"id":"yz"}],"u":{"na me":"Ann"}}"#;
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
            "{ $.ok IS TRUE && $.n < 1 }",
        ] {
            assert!(!wants(unwanted, event), "{unwanted}");
        }
        assert!(!wants("{ $.x = 1 }", "not json"));
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
        assert!(wants("[w1=\"ERROR\" && w1!=\"x\", w2]", "ERROR disk"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_words() {
        for bad in [
            "{ $.x = }",
            "{ $.x",
            "{ x = 1 }",
            "{ $.x = 1 &&",
            "{ $.x = 1 && }",
            "[a, ..., b, ...]",
            "[a = ]",
            "\"open",
            "a:b",
            "%(x)%",
            "%open",
            "{ $.x = \"a\" nonsense }",
            "{ ($.x = 1 }",
            "{}",
            "-",
            "?",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        let deep = format!("{{ {}$.x = 1{} }}", "(".repeat(500), ")".repeat(500));
        assert!(Pattern::parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_message_panics(
            pattern in r#"[\[{]?[a$.=!<>&|"%?*\- ,()0-9TRUENOIS\[\]]{0,40}[\]}]?"#,
            message in "\\PC{0,60}",
        ) {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&message);
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
