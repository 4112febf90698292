//! Which function an integration means.
//! Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs".

use std::borrow::Cow;

/// Where the longer form has the function's ARN.
const PATH: &str = ":lambda:path/2015-03-31/functions/";

/// The ARN of the function that a URI means: itself, or the part of
/// `arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/ARN/invocations`. None if it means none.
pub(crate) fn arn_of(uri: &str) -> Option<Cow<'_, str>> {
    let arn = match uri.strip_prefix("arn:aws:apigateway:").and_then(|rest| rest.split_once(PATH)) {
        Some((_, rest)) => rest.strip_suffix("/invocations")?,
        None => uri,
    };
    let arn = percent_encoding::percent_decode_str(arn).decode_utf8().ok()?;
    (region_of(&arn).is_some()).then_some(arn)
}

/// The region in a function's ARN; none if it is none.
pub(crate) fn region_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    match parts.as_slice() {
        ["arn", "aws", "lambda", region, account, "function", name]
            if !region.is_empty() && account.len() == 12 && !name.is_empty() =>
        {
            Some(region)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_a_function() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:live";
        assert_eq!(arn_of(arn).unwrap(), arn);
        let long = format!("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations");
        assert_eq!(arn_of(&long).unwrap(), arn);
        for wrong in ["", "f", "https://example.com", "arn:aws:lambda:us-east-1:1:function:f", "arn:aws:sqs:a:b:c"] {
            assert_eq!(arn_of(wrong), None, "{wrong}");
        }
    }
}
