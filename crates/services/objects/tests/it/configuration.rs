//! Configurations of a bucket come back as they were put, and those that nobody made are reported by AWS's names.

use model::s3::{self, ops};

use crate::world::{BUCKET, World};

/// An operation's input that names [`BUCKET`].
macro_rules! on_bucket {
    ($input:ident { $($member:ident: $value:expr),* $(,)? }) => {
        s3::$input { bucket: Some(BUCKET.into()), $($member: Some($value),)* ..Default::default() }
    };
}
pub(crate) use on_bucket;

/// What the answer to an operation on [`BUCKET`] is refused with.
macro_rules! refusal {
    ($world:expr, $operation:ident, $input:ident { $($member:ident: $value:expr),* $(,)? }) => {{
        let fault = $world.call::<ops::$operation>(on_bucket!($input { $($member: $value),* })).await.unwrap_err();
        (fault.code.to_string(), fault.status)
    }};
}
pub(crate) use refusal;

fn code(name: &str, status: u16) -> (String, u16) {
    (name.to_owned(), status)
}

#[tokio::test]
async fn what_nobody_configured_has_a_code_of_its_own() {
    let world = World::new().await;
    assert_eq!(refusal!(world, GetBucketTagging, GetBucketTaggingRequest {}), code("NoSuchTagSet", 404));
    assert_eq!(
        refusal!(world, GetBucketReplication, GetBucketReplicationRequest {}),
        code("ReplicationConfigurationNotFoundError", 404)
    );
    assert_eq!(
        refusal!(world, GetBucketMetricsConfiguration, GetBucketMetricsConfigurationRequest { id: "i".into() }),
        code("NoSuchConfiguration", 404)
    );
    assert_eq!(
        refusal!(
            world,
            DeleteBucketInventoryConfiguration,
            DeleteBucketInventoryConfigurationRequest { id: "i".into() }
        ),
        code("NoSuchConfiguration", 404)
    );
    let empty = on_bucket!(ListBucketMetricsConfigurationsRequest {});
    let listed = world.call::<ops::ListBucketMetricsConfigurations>(empty).await.unwrap();
    assert_eq!((listed.is_truncated, listed.metrics_configuration_list), (Some(false), None));
    let empty = on_bucket!(ListBucketInventoryConfigurationsRequest {});
    let listed = world.call::<ops::ListBucketInventoryConfigurations>(empty).await.unwrap();
    assert_eq!((listed.is_truncated, listed.inventory_configuration_list), (Some(false), None));
    let logging = world.call::<ops::GetBucketLogging>(on_bucket!(GetBucketLoggingRequest {})).await.unwrap();
    assert_eq!(logging.logging_enabled, None);
    let versioning = world.call::<ops::GetBucketVersioning>(on_bucket!(GetBucketVersioningRequest {})).await.unwrap();
    assert_eq!(versioning.status, None);
    let payment =
        world.call::<ops::GetBucketRequestPayment>(on_bucket!(GetBucketRequestPaymentRequest {})).await.unwrap();
    assert_eq!(payment.payer.as_deref(), Some("BucketOwner"));
    let input = on_bucket!(GetBucketAccelerateConfigurationRequest {});
    assert_eq!(world.call::<ops::GetBucketAccelerateConfiguration>(input).await.unwrap().status, None);
    world.call::<ops::DeleteBucketReplication>(on_bucket!(DeleteBucketReplicationRequest {})).await.unwrap();
}

#[tokio::test]
async fn what_would_be_delivered_elsewhere_is_refused_by_name() {
    let world = World::new().await;
    let logging = s3::BucketLoggingStatus {
        logging_enabled: Some(s3::LoggingEnabled {
            target_bucket: Some(BUCKET.into()),
            target_prefix: Some("logs/".into()),
            ..Default::default()
        }),
    };
    let refused = code("NotImplemented", 501);
    assert_eq!(refusal!(world, PutBucketLogging, PutBucketLoggingRequest { bucket_logging_status: logging }), refused);
    let none = s3::BucketLoggingStatus::default();
    world
        .call::<ops::PutBucketLogging>(on_bucket!(PutBucketLoggingRequest { bucket_logging_status: none }))
        .await
        .unwrap();
    assert_eq!(
        refusal!(
            world,
            PutBucketReplication,
            PutBucketReplicationRequest {
                replication_configuration: s3::ReplicationConfiguration {
                    role: Some("arn:aws:iam::000000000000:role/r".into()),
                    rules: Some(Vec::new())
                }
            }
        ),
        refused
    );
    assert_eq!(
        refusal!(
            world,
            PutBucketMetricsConfiguration,
            PutBucketMetricsConfigurationRequest {
                id: "i".into(),
                metrics_configuration: s3::MetricsConfiguration { id: Some("i".into()), ..Default::default() }
            }
        ),
        refused
    );
}

#[tokio::test]
async fn versioning_is_switched_on_and_suspended_but_not_under_locks() {
    let world = World::new().await;
    let set = |status: &str| s3::VersioningConfiguration { status: Some(status.into()), ..Default::default() };
    let status = async || {
        world.call::<ops::GetBucketVersioning>(on_bucket!(GetBucketVersioningRequest {})).await.unwrap().status
    };
    for wanted in ["Enabled", "Suspended"] {
        let input = on_bucket!(PutBucketVersioningRequest { versioning_configuration: set(wanted) });
        world.call::<ops::PutBucketVersioning>(input).await.unwrap();
        assert_eq!(status().await.as_deref(), Some(wanted));
    }
    let none = s3::VersioningConfiguration::default();
    assert_eq!(
        refusal!(world, PutBucketVersioning, PutBucketVersioningRequest { versioning_configuration: none }),
        code("IllegalVersioningConfigurationException", 400)
    );
    let mfa = s3::VersioningConfiguration { mfa_delete: Some("Enabled".into()), ..set("Enabled") };
    assert_eq!(
        refusal!(world, PutBucketVersioning, PutBucketVersioningRequest { versioning_configuration: mfa }),
        code("NotImplemented", 501)
    );
    assert_eq!(
        refusal!(
            world,
            PutBucketVersioning,
            PutBucketVersioningRequest { versioning_configuration: set("Enabled"), mfa: "serial 123456".into() }
        ),
        code("NotImplemented", 501)
    );
    let locked = s3::CreateBucketRequest {
        bucket: Some("locked".into()),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(locked).await.unwrap();
    let input = s3::PutBucketVersioningRequest {
        bucket: Some("locked".into()),
        versioning_configuration: Some(set("Suspended")),
        ..Default::default()
    };
    let fault = world.call::<ops::PutBucketVersioning>(input).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("InvalidBucketState", 409));
}

#[tokio::test]
async fn encryption_is_there_by_default_and_kms_is_refused() {
    let world = World::new().await;
    let algorithm = async || {
        let got = world.call::<ops::GetBucketEncryption>(on_bucket!(GetBucketEncryptionRequest {})).await.unwrap();
        let rules = got.server_side_encryption_configuration.unwrap().rules.unwrap();
        let default = rules[0].apply_server_side_encryption_by_default.clone().unwrap();
        (default.sse_algorithm.unwrap(), rules[0].bucket_key_enabled)
    };
    assert_eq!(algorithm().await, ("AES256".into(), Some(false)));
    let with = |name: &str, key: Option<&str>| s3::ServerSideEncryptionConfiguration {
        rules: Some(vec![s3::ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(s3::ServerSideEncryptionByDefault {
                sse_algorithm: Some(name.into()),
                kms_master_key_id: key.map(str::to_owned),
            }),
            bucket_key_enabled: Some(true),
            ..Default::default()
        }]),
    };
    let put =
        |configuration| on_bucket!(PutBucketEncryptionRequest { server_side_encryption_configuration: configuration });
    world.call::<ops::PutBucketEncryption>(put(with("AES256", None))).await.unwrap();
    assert_eq!(algorithm().await, ("AES256".into(), Some(true)), "as it was put");
    for (configuration, expected) in [
        (with("aws:kms", None), "NotImplemented"),
        (with("AES256", Some("key")), "InvalidArgument"),
        (s3::ServerSideEncryptionConfiguration { rules: Some(Vec::new()) }, "MalformedXML"),
    ] {
        let fault = world.call::<ops::PutBucketEncryption>(put(configuration)).await.unwrap_err();
        assert_eq!(fault.code, expected);
    }
    world.call::<ops::DeleteBucketEncryption>(on_bucket!(DeleteBucketEncryptionRequest {})).await.unwrap();
    assert_eq!(algorithm().await, ("AES256".into(), Some(false)));
}

#[tokio::test]
async fn acceleration_and_the_payer_are_kept() {
    let world = World::new().await;
    let on = s3::AccelerateConfiguration { status: Some("Enabled".into()) };
    let input = on_bucket!(PutBucketAccelerateConfigurationRequest { accelerate_configuration: on.clone() });
    world.call::<ops::PutBucketAccelerateConfiguration>(input).await.unwrap();
    let input = on_bucket!(GetBucketAccelerateConfigurationRequest {});
    let got = world.call::<ops::GetBucketAccelerateConfiguration>(input).await.unwrap();
    assert_eq!(got.status.as_deref(), Some("Enabled"));
    let dotted = s3::CreateBucketRequest { bucket: Some("a.b".into()), ..Default::default() };
    world.call::<ops::CreateBucket>(dotted).await.unwrap();
    let input = s3::PutBucketAccelerateConfigurationRequest {
        bucket: Some("a.b".into()),
        accelerate_configuration: Some(on),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::PutBucketAccelerateConfiguration>(input).await.unwrap_err().code, "InvalidRequest");
    let payer = |who: &str| s3::RequestPaymentConfiguration { payer: Some(who.into()) };
    let input = on_bucket!(PutBucketRequestPaymentRequest { request_payment_configuration: payer("Requester") });
    world.call::<ops::PutBucketRequestPayment>(input).await.unwrap();
    let got = world.call::<ops::GetBucketRequestPayment>(on_bucket!(GetBucketRequestPaymentRequest {})).await.unwrap();
    assert_eq!(got.payer.as_deref(), Some("Requester"));
}

#[tokio::test]
async fn a_configuration_survives_a_restart() {
    let world = World::new().await;
    let tagging = s3::Tagging { tag_set: Some(vec![tag("team", "blue")]) };
    world
        .call::<ops::PutBucketTagging>(on_bucket!(PutBucketTaggingRequest { tagging: tagging.clone() }))
        .await
        .unwrap();
    let world = world.restarted().await;
    let got = world.call::<ops::GetBucketTagging>(on_bucket!(GetBucketTaggingRequest {})).await.unwrap();
    assert_eq!(got.tag_set, tagging.tag_set);
}

pub(crate) fn tag(key: &str, value: &str) -> s3::Tag {
    s3::Tag { key: Some(key.into()), value: Some(value.into()) }
}

#[tokio::test]
async fn another_accounts_bucket_is_not_the_one_that_was_expected() {
    let world = World::new().await;
    let other = || "111111111111".to_owned();
    let denied = code("AccessDenied", 403);
    macro_rules! each {
        ($($operation:ident: $input:ident { $($member:ident: $value:expr),* }),* $(,)?) => {
            $(
                assert_eq!(
                    refusal!(world, $operation, $input { expected_bucket_owner: other(), $($member: $value),* }),
                    denied,
                    stringify!($operation)
                );
            )*
        };
    }
    let key = || "k".to_owned();
    let id = || "i".to_owned();
    let tagging = || s3::Tagging { tag_set: Some(Vec::new()) };
    let versioning = || s3::VersioningConfiguration { status: Some("Enabled".into()), ..Default::default() };
    each! {
        GetBucketVersioning: GetBucketVersioningRequest {},
        PutBucketVersioning: PutBucketVersioningRequest { versioning_configuration: versioning() },
        GetBucketTagging: GetBucketTaggingRequest {},
        PutBucketTagging: PutBucketTaggingRequest { tagging: tagging() },
        DeleteBucketTagging: DeleteBucketTaggingRequest {},
        GetObjectTagging: GetObjectTaggingRequest { key: key() },
        PutObjectTagging: PutObjectTaggingRequest { key: key(), tagging: tagging() },
        DeleteObjectTagging: DeleteObjectTaggingRequest { key: key() },
        GetBucketEncryption: GetBucketEncryptionRequest {},
        DeleteBucketEncryption: DeleteBucketEncryptionRequest {},
        GetBucketAccelerateConfiguration: GetBucketAccelerateConfigurationRequest {},
        GetBucketRequestPayment: GetBucketRequestPaymentRequest {},
        GetBucketLogging: GetBucketLoggingRequest {},
        GetBucketMetricsConfiguration: GetBucketMetricsConfigurationRequest { id: id() },
        ListBucketMetricsConfigurations: ListBucketMetricsConfigurationsRequest {},
        DeleteBucketMetricsConfiguration: DeleteBucketMetricsConfigurationRequest { id: id() },
        GetBucketInventoryConfiguration: GetBucketInventoryConfigurationRequest { id: id() },
        ListBucketInventoryConfigurations: ListBucketInventoryConfigurationsRequest {},
        DeleteBucketInventoryConfiguration: DeleteBucketInventoryConfigurationRequest { id: id() },
        GetBucketReplication: GetBucketReplicationRequest {},
        DeleteBucketReplication: DeleteBucketReplicationRequest {},
    }
    assert_eq!(
        refusal!(
            world,
            PutBucketEncryption,
            PutBucketEncryptionRequest {
                expected_bucket_owner: other(),
                server_side_encryption_configuration: s3::ServerSideEncryptionConfiguration {
                    rules: Some(vec![s3::ServerSideEncryptionRule {
                        apply_server_side_encryption_by_default: Some(s3::ServerSideEncryptionByDefault {
                            sse_algorithm: Some("AES256".into()),
                            kms_master_key_id: None
                        }),
                        ..Default::default()
                    }])
                }
            }
        ),
        denied
    );
    assert_eq!(
        refusal!(
            world,
            PutBucketAccelerateConfiguration,
            PutBucketAccelerateConfigurationRequest {
                expected_bucket_owner: other(),
                accelerate_configuration: s3::AccelerateConfiguration { status: Some("Enabled".into()) }
            }
        ),
        denied
    );
    assert_eq!(
        refusal!(
            world,
            PutBucketRequestPayment,
            PutBucketRequestPaymentRequest {
                expected_bucket_owner: other(),
                request_payment_configuration: s3::RequestPaymentConfiguration { payer: Some("Requester".into()) }
            }
        ),
        denied
    );
    assert_eq!(
        refusal!(
            world,
            PutBucketLogging,
            PutBucketLoggingRequest {
                expected_bucket_owner: other(),
                bucket_logging_status: s3::BucketLoggingStatus::default()
            }
        ),
        denied
    );
}
