//! What a caller who is denied reads, in AWS's words.
//!
//! Source: IAM User Guide, "Troubleshoot access denied error messages".

use super::evaluate::{Layer, Outcome};

/// The sentence of AccessDenied; none if the outcome is an allow.
pub fn refusal(who: &str, action: &str, resource: &str, outcome: Outcome) -> Option<String> {
    let sentence = format!("User: {who} is not authorized to perform: {action} on resource: {resource}");
    match outcome {
        Outcome::Allowed(_) | Outcome::Root => None,
        // Who is not let in does not learn what a trust policy says.
        Outcome::Denied(Layer::Trust) | Outcome::Missing(Layer::Trust) => Some(sentence),
        Outcome::Denied(layer) => {
            let article = if layer == Layer::Identity { "an" } else { "a" };
            Some(format!("{sentence} with an explicit deny in {article} {}", layer.word()))
        }
        Outcome::Missing(layer) => Some(format!("{sentence} because no {} allows the {action} action", layer.word())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_in_awss_words() {
        let say = |outcome| refusal("arn:aws:iam::111122223333:user/ann", "s3:GetObject", "arn:aws:s3:::b/k", outcome);
        let begin = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: s3:GetObject on resource: \
                     arn:aws:s3:::b/k";
        for (outcome, end) in [
            (Outcome::Missing(Layer::Identity), " because no identity-based policy allows the s3:GetObject action"),
            (Outcome::Missing(Layer::Resource), " because no resource-based policy allows the s3:GetObject action"),
            (Outcome::Missing(Layer::Boundary), " because no permissions boundary allows the s3:GetObject action"),
            (Outcome::Missing(Layer::Session), " because no session policy allows the s3:GetObject action"),
            (Outcome::Missing(Layer::Trust), ""),
            (Outcome::Denied(Layer::Identity), " with an explicit deny in an identity-based policy"),
            (Outcome::Denied(Layer::Resource), " with an explicit deny in a resource-based policy"),
            (Outcome::Denied(Layer::Boundary), " with an explicit deny in a permissions boundary"),
            (Outcome::Denied(Layer::Session), " with an explicit deny in a session policy"),
        ] {
            assert_eq!(say(outcome), Some(format!("{begin}{end}")));
        }
        assert_eq!(say(Outcome::Root), None);
    }
}
