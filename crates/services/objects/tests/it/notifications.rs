//! Who hears of what happens in a bucket, and what they are told.

use base::Fault;
use door::outbox::{Delivery, Sender};
use door::{Body, Dispatch};
use model::s3::{self, ops};
use serde_json::Value;

use crate::world::{BUCKET, FUNCTION, World, call};

fn configuration(id: Option<&str>, events: &[&str], rules: &[(&str, &str)]) -> s3::LambdaFunctionConfiguration {
    let rule =
        |(name, value): &(&str, &str)| s3::FilterRule { name: Some((*name).into()), value: Some((*value).into()) };
    let filter = (!rules.is_empty()).then(|| s3::NotificationConfigurationFilter {
        key: Some(s3::S3KeyFilter { filter_rules: Some(rules.iter().map(rule).collect()) }),
    });
    s3::LambdaFunctionConfiguration {
        id: id.map(str::to_owned),
        lambda_function_arn: Some(FUNCTION.into()),
        events: Some(events.iter().map(|event| (*event).to_owned()).collect()),
        filter,
    }
}

fn functions(all: Vec<s3::LambdaFunctionConfiguration>) -> s3::NotificationConfiguration {
    s3::NotificationConfiguration { lambda_function_configurations: Some(all), ..Default::default() }
}

fn asked(bucket: &str, wanted: s3::NotificationConfiguration) -> s3::PutBucketNotificationConfigurationRequest {
    s3::PutBucketNotificationConfigurationRequest {
        bucket: Some(bucket.into()),
        notification_configuration: Some(wanted),
        ..Default::default()
    }
}

async fn configure(world: &World, bucket: &str, wanted: s3::NotificationConfiguration) -> Result<(), Fault> {
    world.call::<ops::PutBucketNotificationConfiguration>(asked(bucket, wanted)).await.map(drop)
}

async fn shown(world: &World) -> s3::NotificationConfiguration {
    let input = s3::GetBucketNotificationConfigurationRequest { bucket: Some(BUCKET.into()), ..Default::default() };
    world.call::<ops::GetBucketNotificationConfiguration>(input).await.unwrap()
}

fn deliveries(world: &World) -> Vec<Delivery> {
    let rows = store::outbox::first(&*world.kv, 0, 1000).unwrap();
    rows.iter().map(|(_, _, value)| Delivery::read(value).unwrap()).collect()
}

/// The records in the outbox, by the time of their events.
fn records(world: &World) -> Vec<Value> {
    let mut records: Vec<Value> = deliveries(world)
        .iter()
        .map(|delivery| serde_json::from_slice::<Value>(&delivery.body).unwrap()["Records"][0].clone())
        .collect();
    records.sort_by_key(|record| record["s3"]["object"]["sequencer"].as_str().unwrap_or_default().to_owned());
    records
}

fn names(world: &World) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    records(world).iter().map(|one| (text(&one["eventName"]), text(&one["s3"]["object"]["key"]))).collect()
}

fn pair(name: &str, key: &str) -> (String, String) {
    (name.into(), key.into())
}

#[tokio::test]
async fn a_put_is_handed_to_the_function_in_its_own_transaction() {
    let world = World::new().await;
    world.put("before", "x").await;
    assert!(deliveries(&world).is_empty(), "nobody wants to hear");
    configure(&world, BUCKET, functions(vec![configuration(Some("mine"), &["s3:ObjectCreated:Put"], &[])]))
        .await
        .unwrap();
    let input =
        s3::PutObjectRequest { bucket: Some(BUCKET.into()), key: Some("a b/ü+.jpg".into()), ..Default::default() };
    let mut call = call::<ops::PutObject>(input, Body::Bytes("hello".into()));
    call.trace = Some("Root=1-x;Lineage=0:3".into());
    call.depth = 2;
    call.origin.source_ip = Some("10.1.2.3".parse().unwrap());
    let request = call.request_id;
    world.router.call(call).await.unwrap();
    let [delivery] = &deliveries(&world)[..] else { panic!("one delivery") };
    assert_eq!((delivery.service.as_str(), delivery.operation.as_str()), ("lambda", "Invoke"));
    assert_eq!(delivery.region, "us-east-1");
    assert_eq!(
        delivery.path,
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus%2Deast%2D1%3A000000000000%3Afunction%3Aresize/invocations"
    );
    assert!(delivery.headers.contains(&("x-amz-invocation-type".into(), "Event".into())));
    let sender = Sender::Service {
        name: "s3.amazonaws.com".into(),
        source_arn: format!("arn:aws:s3:::{BUCKET}"),
        account: "000000000000".into(),
    };
    assert_eq!(delivery.sender, sender);
    assert_eq!((delivery.trace.as_deref(), delivery.depth), (Some("Root=1-x;Lineage=0:3"), 3));
    let [record] = &records(&world)[..] else { panic!("one record") };
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["requestParameters"]["sourceIPAddress"], "10.1.2.3");
    assert_eq!(record["responseElements"]["x-amz-request-id"], request.to_string());
    assert_eq!(record["s3"]["configurationId"], "mine");
    let object = &record["s3"]["object"];
    assert_eq!((object["key"].as_str(), object["size"].as_u64()), (Some("a+b/%C3%BC%2B.jpg"), Some(5)));
    assert_eq!(object["eTag"], "5d41402abc4b2a76b9719d911017c592");
    assert!(object.get("versionId").is_none());
    // The row outlives the platform.
    assert_eq!(deliveries(&world.restarted().await).len(), 1);
}

#[tokio::test]
async fn filters_choose_by_the_beginning_and_the_end_of_keys() {
    let world = World::new().await;
    let rules = [("PREFIX", "in/"), ("suffix", ".jpg")];
    let wanted = vec![
        configuration(Some("jpg"), &["s3:ObjectCreated:*"], &rules),
        configuration(Some("png"), &["s3:ObjectCreated:*"], &[("prefix", "in/"), ("suffix", ".png")]),
    ];
    configure(&world, BUCKET, functions(wanted)).await.unwrap();
    for key in ["in/a.jpg", "in/b.png", "in/c.gif", "out/d.jpg", "in.jpg"] {
        world.put(key, "x").await;
    }
    let heard: Vec<_> =
        records(&world).iter().map(|one| one["s3"]["configurationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(heard.len(), 2);
    assert!(names(&world).contains(&pair("ObjectCreated:Put", "in/a.jpg")), "{:?}", names(&world));
    assert!(names(&world).contains(&pair("ObjectCreated:Put", "in/b.png")), "{:?}", names(&world));
}

#[tokio::test]
async fn what_goes_is_told_as_on_aws() {
    let world = World::new().await;
    configure(&world, BUCKET, functions(vec![configuration(None, &["s3:ObjectRemoved:*"], &[])])).await.unwrap();
    world.put("a", "x").await;
    let delete = |key: &str| s3::DeleteObjectRequest {
        bucket: Some(BUCKET.into()),
        key: Some(key.into()),
        ..Default::default()
    };
    world.call::<ops::DeleteObject>(delete("a")).await.unwrap();
    world.call::<ops::DeleteObject>(delete("a")).await.unwrap();
    assert_eq!(names(&world), [pair("ObjectRemoved:Delete", "a")], "what was not there did not go");
    let object = &records(&world)[0]["s3"]["object"];
    assert!(object.get("size").is_none() && object.get("eTag").is_none(), "{object}");
    let named = s3::ObjectIdentifier { key: Some("nobody".into()), ..Default::default() };
    let input = s3::DeleteObjectsRequest {
        bucket: Some(BUCKET.into()),
        delete: Some(s3::Delete { objects: Some(vec![named]), ..Default::default() }),
        ..Default::default()
    };
    world.call::<ops::DeleteObjects>(input).await.unwrap();
    assert!(names(&world).contains(&pair("ObjectRemoved:Delete", "nobody")), "{:?}", names(&world));
}

#[tokio::test]
async fn in_a_versioned_bucket_markers_and_versions_are_told_apart() {
    let world = World::new().await;
    let input = s3::CreateBucketRequest {
        bucket: Some("versioned".into()),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(input).await.unwrap();
    let wanted = configuration(None, &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], &[]);
    configure(&world, "versioned", functions(vec![wanted])).await.unwrap();
    let input = s3::PutObjectRequest { bucket: Some("versioned".into()), key: Some("k".into()), ..Default::default() };
    let put = world.call::<ops::PutObject>(input).await.unwrap().version_id;
    let delete = |version_id: Option<String>| s3::DeleteObjectRequest {
        bucket: Some("versioned".into()),
        key: Some("k".into()),
        version_id,
        ..Default::default()
    };
    let marker = world.call::<ops::DeleteObject>(delete(None)).await.unwrap().version_id;
    world.call::<ops::DeleteObject>(delete(put.clone())).await.unwrap();
    let told: Vec<_> = records(&world)
        .iter()
        .map(|one| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            (text(&one["eventName"]).unwrap(), text(&one["s3"]["object"]["versionId"]))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("ObjectCreated:Put".to_owned(), put.clone()),
            ("ObjectRemoved:DeleteMarkerCreated".to_owned(), marker),
            ("ObjectRemoved:Delete".to_owned(), put),
        ]
    );
}

#[tokio::test]
async fn copies_and_uploads_are_told_by_their_own_names() {
    let world = World::new().await;
    configure(&world, BUCKET, functions(vec![configuration(None, &["s3:ObjectCreated:*"], &[])])).await.unwrap();
    world.put("one", "x").await;
    let input = s3::CopyObjectRequest {
        bucket: Some(BUCKET.into()),
        key: Some("two".into()),
        copy_source: Some(format!("{BUCKET}/one")),
        ..Default::default()
    };
    world.call::<ops::CopyObject>(input).await.unwrap();
    let (bucket, key) = (Some(BUCKET.to_owned()), Some("three".to_owned()));
    let begin = s3::CreateMultipartUploadRequest { bucket: bucket.clone(), key: key.clone(), ..Default::default() };
    let upload_id = world.call::<ops::CreateMultipartUpload>(begin).await.unwrap().upload_id;
    let part = s3::UploadPartRequest {
        bucket: bucket.clone(),
        key: key.clone(),
        upload_id: upload_id.clone(),
        part_number: Some(1),
        ..Default::default()
    };
    let (part, _) = world.send::<ops::UploadPart>(part, Body::Bytes("x".into())).await.unwrap();
    let parts = vec![s3::CompletedPart { part_number: Some(1), e_tag: part.e_tag, ..Default::default() }];
    let complete = s3::CompleteMultipartUploadRequest {
        bucket,
        key,
        upload_id,
        multipart_upload: Some(s3::CompletedMultipartUpload { parts: Some(parts) }),
        ..Default::default()
    };
    world.call::<ops::CompleteMultipartUpload>(complete).await.unwrap();
    let mut told = names(&world);
    told.sort();
    let expected = [
        pair("ObjectCreated:CompleteMultipartUpload", "three"),
        pair("ObjectCreated:Copy", "two"),
        pair("ObjectCreated:Put", "one"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn tags_lists_and_forms_are_told_by_their_own_names() {
    let world = World::new().await;
    let all = ["s3:ObjectCreated:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"];
    configure(&world, BUCKET, functions(vec![configuration(None, &all, &[])])).await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let input = s3::PutObjectRequest { bucket: some(BUCKET), key: some("a"), ..Default::default() };
    let mut form = call::<ops::PutObject>(input, Body::Bytes("x".into()));
    form.origin.form = true;
    world.router.call(form).await.unwrap();
    let tag = s3::Tag { key: some("k"), value: some("v") };
    let tagging = Some(s3::Tagging { tag_set: Some(vec![tag]) });
    let input = s3::PutObjectTaggingRequest { bucket: some(BUCKET), key: some("a"), tagging, ..Default::default() };
    world.call::<ops::PutObjectTagging>(input).await.unwrap();
    let input = s3::DeleteObjectTaggingRequest { bucket: some(BUCKET), key: some("a"), ..Default::default() };
    world.call::<ops::DeleteObjectTagging>(input).await.unwrap();
    let rule = s3::OwnershipControlsRule { object_ownership: some("ObjectWriter") };
    let input = s3::PutBucketOwnershipControlsRequest {
        bucket: some(BUCKET),
        ownership_controls: Some(s3::OwnershipControls { rules: Some(vec![rule]) }),
        ..Default::default()
    };
    world.call::<ops::PutBucketOwnershipControls>(input).await.unwrap();
    let input =
        s3::PutObjectAclRequest { bucket: some(BUCKET), key: some("a"), acl: some("private"), ..Default::default() };
    world.call::<ops::PutObjectAcl>(input).await.unwrap();
    let mut told: Vec<_> = names(&world).into_iter().map(|(name, _)| name).collect();
    told.sort();
    assert_eq!(told, ["ObjectAcl:Put", "ObjectCreated:Post", "ObjectTagging:Delete", "ObjectTagging:Put"]);
}

#[tokio::test]
async fn what_does_not_happen_is_not_told() {
    let world = World::new().await;
    configure(&world, BUCKET, functions(vec![configuration(None, &["s3:ObjectCreated:*"], &[])])).await.unwrap();
    world.put("k", "x").await;
    let input = s3::PutObjectRequest {
        bucket: Some(BUCKET.into()),
        key: Some("k".into()),
        if_none_match: Some("*".into()),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::PutObject>(input).await.unwrap_err().code, "PreconditionFailed");
    assert_eq!(deliveries(&world).len(), 1);
    // Nobody hears any more.
    configure(&world, BUCKET, s3::NotificationConfiguration::default()).await.unwrap();
    assert_eq!(shown(&world).await, s3::NotificationConfiguration::default());
    world.put("k", "y").await;
    assert_eq!(deliveries(&world).len(), 1);
}

#[tokio::test]
async fn a_configuration_is_shown_as_aws_shows_it() {
    let world = World::new().await;
    assert_eq!(shown(&world).await, s3::NotificationConfiguration::default());
    let wanted = configuration(None, &["s3:ObjectCreated:*"], &[("prefix", "a"), ("SUFFIX", "z")]);
    configure(&world, BUCKET, functions(vec![wanted])).await.unwrap();
    let [one] = &shown(&world).await.lambda_function_configurations.unwrap()[..] else { panic!("one") };
    assert_eq!(one.id.as_ref().map(String::len), Some(48), "{:?}", one.id);
    let rules = one.filter.clone().unwrap().key.unwrap().filter_rules.unwrap();
    let told: Vec<_> =
        rules.iter().map(|rule| (rule.name.as_deref().unwrap(), rule.value.as_deref().unwrap())).collect();
    assert_eq!(told, [("Prefix", "a"), ("Suffix", "z")]);
    // Neither is another's bucket changed nor shown.
    let stranger = Some("111111111111".to_owned());
    let put = s3::PutBucketNotificationConfigurationRequest {
        expected_bucket_owner: stranger.clone(),
        ..asked(BUCKET, s3::NotificationConfiguration::default())
    };
    assert_eq!(world.call::<ops::PutBucketNotificationConfiguration>(put).await.unwrap_err().code, "AccessDenied");
    let get =
        s3::GetBucketNotificationConfigurationRequest { bucket: Some(BUCKET.into()), expected_bucket_owner: stranger };
    assert_eq!(world.call::<ops::GetBucketNotificationConfiguration>(get).await.unwrap_err().code, "AccessDenied");
    let nowhere = configure(&world, "nowhere", s3::NotificationConfiguration::default()).await.unwrap_err();
    assert_eq!(nowhere.code, "NoSuchBucket");
}

fn told(fault: &Fault) -> (String, Vec<(&'static str, String)>) {
    assert_eq!((fault.code.as_ref(), fault.status), ("InvalidArgument", 400), "{fault}");
    (fault.message.clone(), fault.fields.clone())
}

#[tokio::test]
async fn what_would_not_arrive_is_refused() {
    let world = World::new().await;
    let other = "arn:aws:lambda:us-east-1:000000000000:function:stranger";
    let stranger = s3::LambdaFunctionConfiguration {
        lambda_function_arn: Some(other.into()),
        ..configuration(None, &["s3:ObjectCreated:*"], &[])
    };
    let refused = configure(&world, BUCKET, functions(vec![stranger.clone()])).await.unwrap_err();
    let fields = vec![
        ("ArgumentName1", format!("{other}, null")),
        ("ArgumentValue1", format!("Not authorized to invoke function [{other}]")),
    ];
    let words = "Unable to validate the following destination configurations".to_owned();
    assert_eq!(told(&refused), (words.clone(), fields));
    let skipped = s3::PutBucketNotificationConfigurationRequest {
        skip_destination_validation: Some(true),
        ..asked(BUCKET, functions(vec![stranger]))
    };
    world.call::<ops::PutBucketNotificationConfiguration>(skipped).await.unwrap();
    let queue = |name: &str, event: &str| s3::QueueConfiguration {
        queue_arn: Some(format!("arn:aws:sqs:us-east-1:000000000000:{name}")),
        events: Some(vec![event.into()]),
        ..Default::default()
    };
    let queues = vec![
        queue("gone", "s3:ObjectCreated:*"),
        queue("closed", "s3:ObjectTagging:*"),
        queue("q.fifo", "s3:ObjectAcl:Put"),
    ];
    let topic = s3::TopicConfiguration {
        topic_arn: Some("arn:aws:sns:us-east-1:000000000000:t".into()),
        events: Some(vec!["s3:ObjectRemoved:*".into()]),
        ..Default::default()
    };
    let both = s3::NotificationConfiguration {
        queue_configurations: Some(queues),
        topic_configurations: Some(vec![topic]),
        ..Default::default()
    };
    let fields = vec![
        ("ArgumentName1", "arn:aws:sqs:us-east-1:000000000000:gone".to_owned()),
        ("ArgumentValue1", "The destination queue does not exist".to_owned()),
        ("ArgumentName2", "arn:aws:sqs:us-east-1:000000000000:closed".to_owned()),
        (
            "ArgumentValue2",
            "Permissions on the destination queue do not allow S3 to publish notifications from this bucket".to_owned(),
        ),
        ("ArgumentName3", "arn:aws:sqs:us-east-1:000000000000:q.fifo".to_owned()),
        ("ArgumentValue3", "FIFO queues are not supported as a destination".to_owned()),
        ("ArgumentName4", "arn:aws:sns:us-east-1:000000000000:t".to_owned()),
        ("ArgumentValue4", "The destination topic does not exist".to_owned()),
    ];
    assert_eq!(told(&configure(&world, BUCKET, both.clone()).await.unwrap_err()), (words, fields));
    let skipped = s3::PutBucketNotificationConfigurationRequest {
        skip_destination_validation: Some(true),
        ..asked(BUCKET, both)
    };
    let skipped = world.call::<ops::PutBucketNotificationConfiguration>(skipped).await.unwrap_err();
    assert_eq!(skipped.code, "NotImplemented");
    let bridge = s3::NotificationConfiguration {
        event_bridge_configuration: Some(s3::EventBridgeConfiguration::default()),
        ..Default::default()
    };
    assert_eq!(configure(&world, BUCKET, bridge).await.unwrap_err().code, "NotImplemented");
}

#[tokio::test]
async fn a_queue_is_told_first_that_it_will_be_and_then_of_what_happens() {
    let world = World::new().await;
    let queue = s3::QueueConfiguration {
        id: Some("to-queue".into()),
        queue_arn: Some("arn:aws:sqs:us-east-1:000000000000:q".into()),
        events: Some(vec!["s3:ObjectCreated:*".into()]),
        filter: configuration(None, &[], &[("suffix", ".jpg")]).filter,
    };
    let wanted = s3::NotificationConfiguration { queue_configurations: Some(vec![queue]), ..Default::default() };
    configure(&world, BUCKET, wanted.clone()).await.unwrap();
    let (url, test) = world.sent.lock().unwrap().remove(0);
    assert_eq!(url, "https://sqs.us-east-1.amazonaws.com/000000000000/q");
    let test: Value = serde_json::from_str(&test).unwrap();
    assert_eq!((&test["Service"], &test["Event"]), (&"Amazon S3".into(), &"s3:TestEvent".into()));
    assert_eq!(test["Bucket"], BUCKET);
    assert!(
        test["Time"].as_str().unwrap().ends_with('Z') && test["RequestId"].is_string() && test["HostId"].is_string()
    );
    world.put("a.jpg", "jpg").await;
    world.put("a.txt", "txt").await;
    let sent = deliveries(&world);
    assert_eq!(sent.len(), 1);
    let delivery = &sent[0];
    assert_eq!((delivery.service.as_str(), delivery.operation.as_str()), ("sqs", "SendMessage"));
    assert!(matches!(&delivery.sender, Sender::Service { name, .. } if name == "s3.amazonaws.com"));
    let row = <model::sqs::ops::SendMessage as wire::Op>::ROW;
    let request = wire::Request {
        method: http::Method::POST,
        path: delivery.path.clone(),
        query: String::new(),
        headers: http::HeaderMap::new(),
        body: delivery.body.clone(),
    };
    let input: Box<dyn std::any::Any> = wire::decode(row.service.protocols[0], row, request).unwrap();
    let message = input.downcast::<model::sqs::SendMessageRequest>().unwrap();
    assert_eq!(message.queue_url, Some(url));
    let record: Value = serde_json::from_str(message.message_body.as_deref().unwrap()).unwrap();
    let told = &record["Records"][0]["s3"];
    assert_eq!((&told["configurationId"], &told["object"]["key"]), (&"to-queue".into(), &"a.jpg".into()));
    // Unproved, nothing is sent.
    let skipped = s3::PutBucketNotificationConfigurationRequest {
        skip_destination_validation: Some(true),
        ..asked(BUCKET, wanted)
    };
    world.call::<ops::PutBucketNotificationConfiguration>(skipped).await.unwrap();
    assert!(world.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wrong_in_itself_is_refused_in_words() {
    let world = World::new().await;
    let one = || configuration(None, &["s3:ObjectCreated:*"], &[]);
    let arn = |arn: &str| s3::LambdaFunctionConfiguration { lambda_function_arn: Some(arn.into()), ..one() };
    let filtered = |rules: &[(&str, &str)]| configuration(None, &["s3:ObjectCreated:Put"], rules);
    let elsewhere = "arn:aws:lambda:eu-west-1:000000000000:function:resize";
    let long = "x".repeat(1025);
    let ambiguous = "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.";
    let overlap = "Configurations overlap. Configurations on the same bucket cannot share a common event type.";
    let cases = [
        (vec![arn("invalid")], "The ARN could not be parsed", "CloudFunction", "invalid"),
        (
            vec![arn("arn:aws:sqs:us-east-1:0:q")],
            "The ARN could not be parsed",
            "CloudFunction",
            "arn:aws:sqs:us-east-1:0:q",
        ),
        (
            vec![arn(elsewhere)],
            "The notification destination service region is not valid for the bucket location constraint",
            "CloudFunction",
            elsewhere,
        ),
        (
            vec![filtered(&[("middle", "x")])],
            "filter rule name must be either prefix or suffix",
            "FilterRule.Name",
            "middle",
        ),
        (
            vec![filtered(&[("prefix", "x"), ("Prefix", "y")])],
            "Cannot specify more than one prefix rule in a filter.",
            "FilterRule.Name",
            "Prefix",
        ),
        (
            vec![filtered(&[("prefix", &long)])],
            "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
            "FilterRule.Value",
            &long,
        ),
        (
            vec![configuration(None, &["s3:ObjectCreated:Guess"], &[])],
            "The event 's3:ObjectCreated:Guess' is not supported for notifications",
            "Event",
            "s3:ObjectCreated:Guess",
        ),
        (vec![one(), one()], overlap, "Event", "s3:ObjectCreated:*"),
        (vec![one(), filtered(&[("prefix", "a")])], overlap, "Event", "s3:ObjectCreated:Put"),
        (
            vec![filtered(&[("prefix", "ab")]), filtered(&[("prefix", "a"), ("suffix", "z")])],
            ambiguous,
            "Event",
            "s3:ObjectCreated:Put",
        ),
        (
            vec![
                configuration(Some("a"), &["s3:ObjectCreated:*"], &[]),
                configuration(Some("a"), &["s3:ObjectRemoved:*"], &[]),
            ],
            "Same ID used for multiple configurations. IDs must be unique.",
            "Id",
            "a",
        ),
    ];
    for (wanted, words, name, value) in cases {
        let refused = configure(&world, BUCKET, functions(wanted)).await.unwrap_err();
        let fields = vec![("ArgumentName", name.to_owned()), ("ArgumentValue", value.to_owned())];
        assert_eq!(told(&refused), (words.to_owned(), fields));
    }
    let many = (0..101).map(|n| filtered(&[("prefix", &format!("{n:03}"))])).collect();
    assert_eq!(configure(&world, BUCKET, functions(many)).await.unwrap_err().code, "TooManyConfigurations");
    // Those that no key can pass together stand beside each other.
    let apart = vec![filtered(&[("prefix", "a"), ("suffix", "x")]), filtered(&[("prefix", "a"), ("suffix", "y")])];
    configure(&world, BUCKET, functions(apart)).await.unwrap();
}
