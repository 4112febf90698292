//! What the policies must know of REST APIs.

use door::{About, AuthContext, Subject};

use super::RestApis;
use super::aws::KIND;
use crate::access::{Names, about};

impl AuthContext for RestApis {
    fn about(&self, subject: &Subject<'_>) -> About {
        let names = Names { kind: KIND, arn: "resourceArn", api: "restApiId", stage: "stageName" };
        about(subject, &names, |tagged| {
            let api = &self.api(subject.account(), subject.region, Some(&tagged.api)).ok()?.api;
            let stage = tagged.stage.as_ref().and_then(|stage| api.stages.get(stage));
            Some(stage.map_or(&api.tags, |stage| &stage.tags).clone())
        })
    }
}
