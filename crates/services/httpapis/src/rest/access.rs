//! What the policies must know of REST APIs.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon API Gateway Management".

use door::{About, AuthContext, Subject};

use super::RestApis;
use super::aws::Tagged;

impl AuthContext for RestApis {
    fn about(&self, subject: &Subject<'_>) -> About {
        // These ARNs name no account: what is there is the caller's own.
        let mut about = About { owner: Some(subject.account()), ..About::default() };
        let named = match subject.text("resourceArn") {
            Some(arn) => Tagged::parse(&arn, subject.region),
            None => subject.text("restApiId").map(|api| Tagged { api, stage: subject.text("stageName") }),
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
