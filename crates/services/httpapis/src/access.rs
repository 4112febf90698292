//! What the policies must know of APIs.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon API Gateway Management V2".

use door::{About, AuthContext, Need, Subject};

use crate::HttpApis;
use crate::aws::Tagged;
use crate::serve::PRINCIPAL;

impl AuthContext for HttpApis {
    fn about(&self, subject: &Subject<'_>) -> About {
        // These ARNs name no account: what is there is the caller's own.
        let mut about = About { owner: Some(subject.account()), ..About::default() };
        about.also.extend(passed_role(subject));
        let named = match subject.text("ResourceArn") {
            Some(arn) => Tagged::parse(&arn, subject.region),
            None => subject.text("ApiId").map(|api| Tagged { api, stage: subject.text("StageName") }),
        };
        let Some(Tagged { api, stage }) = named else { return about };
        let Ok(live) = self.api(subject.account(), subject.region, Some(&api)) else { return about };
        let tags = match stage.and_then(|stage| live.api.stages.get(&stage)) {
            Some(stage) => &stage.tags,
            None => &live.api.tags,
        };
        about.keys = tags.iter().map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value.clone()])).collect();
        about
    }
}

/// Who gives an API a role must be allowed to pass it on.
fn passed_role(subject: &Subject<'_>) -> Option<Need> {
    let resource = subject.text("CredentialsArn").or_else(|| subject.text("AuthorizerCredentialsArn"))?;
    let keys = vec![("iam:PassedToService".to_owned(), vec![PRINCIPAL.to_owned()])];
    Some(Need { action: "iam:PassRole", resource, keys, owner: None, policy: None, trust: false })
}
