//! What a bucket says of pages of other origins, for whoever holds the sockets.

use base::Fault;
use door::{Buckets, CrossOrigin};
use http::HeaderMap;

use crate::rules::cors;
use crate::{Objects, faults};

impl Buckets for Objects {
    fn exists(&self, name: &str) -> bool {
        self.find(name).ok().flatten().is_some()
    }

    fn share(&self, bucket: &str, page: &CrossOrigin<'_>) -> Result<HeaderMap, Fault> {
        let found = self.find(bucket)?.ok_or_else(|| faults::no_bucket(bucket))?;
        let Some(rules) = &found.settled().cors else {
            return Err(refused("CORSResponse: CORS is not enabled for this bucket.", page.method, "BUCKET"));
        };
        cors::answer(rules, page).ok_or_else(|| {
            let words = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
            refused(words, page.method, "OBJECT")
        })
    }
}

fn refused(words: &str, method: &str, kind: &str) -> Fault {
    Fault::new("AccessForbidden", 403, words).with("Method", method).with("ResourceType", kind)
}
