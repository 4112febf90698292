//! What has tags, by its ARN.

use base::{Fault, Region};

use crate::faults;

/// An API, or a stage of one: `arn:aws:apigateway:REGION::/KIND/ID[/stages/NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub(crate) api: String,
    pub(crate) stage: Option<String>,
}

impl Tagged {
    /// `kind` is `apis` or `restapis`. None if the ARN names nothing of the region that has tags here.
    pub(crate) fn parse(kind: &str, arn: &str, region: &Region) -> Option<Self> {
        let path = arn.strip_prefix("arn:aws:apigateway:")?.strip_prefix(region.as_str())?.strip_prefix("::/")?;
        let parts: Vec<&str> = path.split('/').collect();
        let (of, api, stage) = match *parts {
            [of, api] => (of, api, None),
            [of, api, "stages", stage] => (of, api, Some(stage.to_owned())),
            _ => return None,
        };
        (of == kind).then(|| Self { api: api.to_owned(), stage })
    }

    /// # Errors
    /// BadRequestException.
    pub(crate) fn of(kind: &str, arn: Option<&str>, region: &Region) -> Result<Self, Fault> {
        let arn = arn.unwrap_or_default();
        Self::parse(kind, arn, region).ok_or_else(|| faults::bad(format!("Invalid resource ARN specified: {arn}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_name_apis_and_stages() {
        let region = Region::default_region();
        let parse = |arn: &str| Tagged::parse("apis", arn, &region);
        let of = |stage: Option<&str>| Some(Tagged { api: "abc".into(), stage: stage.map(str::to_owned) });
        assert_eq!(parse("arn:aws:apigateway:us-east-1::/apis/abc"), of(None));
        assert_eq!(parse("arn:aws:apigateway:us-east-1::/apis/abc/stages/$default"), of(Some("$default")));
        for wrong in [
            "",
            "arn:aws:apigateway:eu-west-1::/apis/abc",
            "arn:aws:apigateway:us-east-1::/restapis/abc",
            "arn:aws:apigateway:us-east-1::/apis/abc/stages/a/b",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(Tagged::parse("restapis", "arn:aws:apigateway:us-east-1::/restapis/abc", &region).is_some());
    }
}
