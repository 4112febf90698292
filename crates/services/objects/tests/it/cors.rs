//! Which pages a bucket lets in.

use door::{Buckets, CrossOrigin};
use model::s3::{self, ops};

use crate::configuration::{on_bucket, refusal};
use crate::world::{BUCKET, World};

#[tokio::test]
async fn rules_come_back_act_and_go() {
    let world = World::new().await;
    let ask = |bucket: &str, origin| {
        let page = CrossOrigin { origin, method: "PUT", headers: Some("content-type") };
        world.objects.share(bucket, &page)
    };
    let words = |fault: base::Fault| (fault.code.to_string(), fault.status, fault.message);
    assert!(words(ask(BUCKET, "http://a.example").unwrap_err()).2.contains("CORS is not enabled for this bucket"));
    assert_eq!(ask("unmade", "http://a.example").unwrap_err().code, "NoSuchBucket");
    let absent = refusal!(world, GetBucketCors, GetBucketCorsRequest {});
    assert_eq!(absent, ("NoSuchCORSConfiguration".to_owned(), 404));
    let rules = vec![s3::CORSRule {
        id: Some("one".into()),
        allowed_origins: Some(vec!["http://a.example".into()]),
        allowed_methods: Some(vec!["PUT".into()]),
        allowed_headers: Some(vec!["*".into()]),
        ..Default::default()
    }];
    let put = |rules: Vec<s3::CORSRule>| {
        on_bucket!(PutBucketCorsRequest { cors_configuration: s3::CORSConfiguration { cors_rules: Some(rules) } })
    };
    world.call::<ops::PutBucketCors>(put(rules.clone())).await.unwrap();
    let got = world.call::<ops::GetBucketCors>(on_bucket!(GetBucketCorsRequest {})).await.unwrap();
    assert_eq!(got.cors_rules, Some(rules));
    assert_eq!(ask(BUCKET, "http://a.example").unwrap()["access-control-allow-origin"], "http://a.example");
    let (code, status, message) = words(ask(BUCKET, "http://b.example").unwrap_err());
    assert_eq!((code.as_str(), status), ("AccessForbidden", 403));
    assert!(message.starts_with("CORSResponse: This CORS request is not allowed."), "{message}");
    assert_eq!(world.call::<ops::PutBucketCors>(put(Vec::new())).await.unwrap_err().code, "MalformedXML");
    world.call::<ops::DeleteBucketCors>(on_bucket!(DeleteBucketCorsRequest {})).await.unwrap();
    assert!(ask(BUCKET, "http://a.example").is_err());
    assert!(world.objects.exists(BUCKET) && !world.objects.exists("unmade"));
}
