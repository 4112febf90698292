//! Mapping templates: the part of Velocity that answers of browsers' preflights are written in.
//!
//! What: text, `#set`, `#if` … `#elseif` … `#else` … `#end`, comments, references to `$input.params`, `$context`,
//! `$stageVariables` and variables of the template's own, comparisons, and `$context.responseOverride`. Why: frameworks
//! write the answers of `OPTIONS` with it. Never: a template that needs more is refused when it is put, and never rendered
//! in part. Source: API Gateway Developer Guide, "Mapping template transformations for REST APIs"; Velocity User Guide.

mod parse;
mod run;

#[cfg(test)]
use run::Rendered;
pub(crate) use run::{Known, Place};

use regex::Regex;

/// A template, ready to be rendered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

/// Why a template is not understood: what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown(pub(crate) String);

impl Template {
    /// # Errors
    /// What of it is not understood here.
    pub(crate) fn parse(text: &str) -> Result<Self, Unknown> {
        Ok(Self { nodes: parse::template(text)? })
    }
}

#[derive(Debug, Clone)]
enum Node {
    Text(String),
    // A reference, with how it is written: what is nothing stays as it stands.
    Out(Expression, String),
    Set(Target, Expression),
    // The first branch whose condition holds.
    If(Vec<(Expression, Vec<Node>)>, Vec<Node>),
}

#[derive(Debug, Clone)]
enum Target {
    Variable(String),
    Header(String),
    Status,
}

#[derive(Debug, Clone)]
enum Expression {
    // A text in quotes, with what is written into it.
    Text(Vec<Node>),
    Number(i64),
    Truth(bool),
    // `$input.params("x")`: of the path, the query or the headers, the first that has it.
    Parameter(String),
    // `$input.params().header.get("x")`
    Of(Place, String),
    Context(String),
    StageVariable(String),
    Variable(String),
    Matches(Box<Expression>, Regex),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Equal(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
}

/// How two texts are compared.
#[derive(Debug, Clone, Copy)]
enum Comparison {
    Contains,
    Begins,
    Ends,
    Equals,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Facts(BTreeMap<&'static str, &'static str>);

    impl Known for Facts {
        fn parameter(&self, place: Place, name: &str) -> Option<String> {
            (place == Place::Header)
                .then(|| self.0.get(&*name.to_ascii_lowercase()).map(|value| (*value).to_owned()))?
        }

        fn context(&self, name: &str) -> Option<String> {
            (name == "stage").then(|| "dev".to_owned())
        }

        fn variable(&self, name: &str) -> Option<String> {
            (name == "a").then(|| "b".to_owned())
        }
    }

    fn run(text: &str, origin: &'static str) -> Rendered {
        Template::parse(text).unwrap().render(&Facts(BTreeMap::from([("origin", origin)])))
    }

    fn origin(text: &str, sent: &'static str) -> Option<String> {
        run(text, sent)
            .headers
            .into_iter()
            .find(|(name, _)| name == "Access-Control-Allow-Origin")
            .map(|(_, value)| value)
    }

    /// As the Serverless Framework writes it for origins of its own.
    const SERVERLESS: &str = "#set($origin = $input.params(\"Origin\"))\n#if($origin == \"\") #set($origin = \
        $input.params(\"origin\")) #end\n#if($origin.matches(\"https://a\\.example\") || \
        $origin.matches(\"https://.+\\.b\\.example\")) #set($context.responseOverride.header.Access-Control-Allow-Origin = \
        $origin) #end";

    /// As the CDK writes it for several.
    const CDK: &str = "#set($origin = $input.params().header.get(\"Origin\"))\n#if($origin == \"\")\n  #set($origin = \
        $input.params().header.get(\"origin\"))\n#end\n#if($origin == \"https://a.example\" || $origin == \"https://c.example\")\n  \
        #set($context.responseOverride.header.Access-Control-Allow-Origin = $origin)\n#end";

    #[test]
    fn preflights_of_frameworks_are_answered() {
        for text in [SERVERLESS, CDK] {
            assert_eq!(origin(text, "https://a.example").as_deref(), Some("https://a.example"), "{text}");
            assert_eq!(origin(text, "https://evil.example"), None, "{text}");
        }
        assert_eq!(origin(SERVERLESS, "https://x.b.example").as_deref(), Some("https://x.b.example"));
        assert_eq!(origin(SERVERLESS, "https://a.example.evil"), None, "a pattern matches the whole");
    }

    #[test]
    fn text_and_references_are_written() {
        assert_eq!(run("{\"statusCode\": 200}", "").body, "{\"statusCode\": 200}");
        assert_eq!(
            run("$context.stage ${stageVariables.a}. $5 #1 $input.params('origin')!", "o").body,
            "dev b. $5 #1 o!"
        );
        assert_eq!(run("#set($x = \"<$context.stage>\")\n$x ## unseen\n$y", "").body, "<dev> $y");
        let many = "#if(!true)1#elseif($context.stage == 'dev' && ($stageVariables.a != 'c'))2#else 3#end";
        assert_eq!(run(many, "").body, "2");
        assert_eq!(run("#set($context.responseOverride.status = 204)", "").status, Some(204));
        assert_eq!(run("#if($input.params('origin').contains('x'))y#{else}n#end", "axb").body, "y");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "#foreach($x in $y)#end",
            "$input.json('$')",
            "$input.body",
            "$util.escapeJavaScript($x)",
            "#set($x = [1])",
            "#if(true)",
            "#set($x = 1 + 2)",
            "#set($context.stage = 'x')",
            "$x.foo()",
            "#if($x.matches(\"(?=a)\"))#end",
            "#end",
            "#else",
            "#set($x = \"a)",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        let deep = format!("#if({}true{})x#end", "(".repeat(10_000), ")".repeat(10_000));
        assert!(Template::parse(&deep).is_err());
        assert!(Template::parse(&"#if(true)".repeat(10_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_template_makes_it_panic(text in "[#$a-c(){}\"'=!|&. ]{0,24}|#(set|if|else|end)\\(?[$a-z.\"=ä ]{0,16}\\)?(#end)?") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.render(&Facts(BTreeMap::new()));
            }
        }
    }
}
