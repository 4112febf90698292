//! What S3 would report or copy elsewhere by itself: metrics, inventories, replicas. None of it is here, so none can be asked for, and whoever
//! looks learns that nothing is configured.

use model::s3::{
    GetBucketInventoryConfigurationOutput, GetBucketMetricsConfigurationOutput, GetBucketReplicationOutput,
    ListBucketInventoryConfigurationsOutput, ListBucketMetricsConfigurationsOutput,
};
use wire::Unit;

use super::{none, operation};
use crate::aws::refuse;

/// An operation that finds nothing.
macro_rules! absent {
    ($name:ident: $input:ident => $output:ty, $fault:expr) => {
        operation!($name: $input => $output, |room, _, input| {
            room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
            let fault: fn(Option<&str>) -> base::Fault = $fault;
            Err(fault(input.bucket.as_deref()))
        });
    };
}

/// An operation that asks for what is not here.
macro_rules! refused {
    ($name:ident: $input:ident, $what:literal) => {
        operation!($name: $input => Unit, |room, _, input| {
            room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
            refuse(&[($what, true)])?;
            Ok(Unit)
        });
    };
}

/// An operation that lists nothing.
macro_rules! empty {
    ($name:ident: $input:ident => $output:ident) => {
        operation!($name: $input => $output, |room, _, input| {
            room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
            Ok($output { is_truncated: Some(false), ..$output::default() })
        });
    };
}

absent!(GetBucketMetricsConfiguration: GetBucketMetricsConfigurationRequest => GetBucketMetricsConfigurationOutput, no_configuration);
absent!(DeleteBucketMetricsConfiguration: DeleteBucketMetricsConfigurationRequest => Unit, no_configuration);
empty!(ListBucketMetricsConfigurations: ListBucketMetricsConfigurationsRequest => ListBucketMetricsConfigurationsOutput);
refused!(PutBucketMetricsConfiguration: PutBucketMetricsConfigurationRequest, "PutBucketMetricsConfiguration");
absent!(GetBucketInventoryConfiguration: GetBucketInventoryConfigurationRequest => GetBucketInventoryConfigurationOutput, no_configuration);
absent!(DeleteBucketInventoryConfiguration: DeleteBucketInventoryConfigurationRequest => Unit, no_configuration);
empty!(ListBucketInventoryConfigurations: ListBucketInventoryConfigurationsRequest => ListBucketInventoryConfigurationsOutput);
refused!(PutBucketInventoryConfiguration: PutBucketInventoryConfigurationRequest, "PutBucketInventoryConfiguration");
absent!(GetBucketReplication: GetBucketReplicationRequest => GetBucketReplicationOutput, |bucket| {
    none("ReplicationConfigurationNotFoundError", "The replication configuration was not found", bucket)
});
refused!(PutBucketReplication: PutBucketReplicationRequest, "PutBucketReplication");

operation!(DeleteBucketReplication: DeleteBucketReplicationRequest => Unit, |room, _, input| {
    room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    Ok(Unit)
});

fn no_configuration(bucket: Option<&str>) -> base::Fault {
    none("NoSuchConfiguration", "The specified configuration does not exist.", bucket)
}
