//! An event as those who hear of it read it.
//!
//! Source: Amazon S3 User Guide, "Event message structure".

use base::Timestamp;
use bytes::Bytes;
use serde::Serialize;

use super::events::{Event, encoded};
use crate::cause::{Cause, customer_id};

/// Since version 2.4 all events have the same.
const VERSION: &str = "2.5";
/// What a delete marker has as its tag: the MD5 of nothing.
const MARKER_TAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// What happened, and to what.
pub(crate) struct Happened<'a> {
    pub(crate) event: Event,
    pub(crate) at: Timestamp,
    pub(crate) cause: &'a Cause,
    pub(crate) region: &'a str,
    pub(crate) bucket: &'a str,
    /// Twelve digits.
    pub(crate) owner: &'a str,
    pub(crate) key: &'a str,
    /// The bytes and the tag that are there now; none when they have gone.
    pub(crate) object: Option<(u64, &'a str)>,
    /// None: the bucket knows no versions.
    pub(crate) version_id: Option<&'a str>,
    /// Later ones of the same key have greater numbers.
    pub(crate) seq: u64,
}

#[derive(Serialize)]
struct Records<'a> {
    #[serde(rename = "Records")]
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'static str,
    event_source: &'static str,
    aws_region: &'a str,
    event_time: String,
    event_name: &'static str,
    user_identity: Identity<'a>,
    request_parameters: Parameters<'a>,
    response_elements: Elements<'a>,
    s3: Inner<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    principal_id: &'a str,
}

#[derive(Serialize)]
struct Parameters<'a> {
    #[serde(rename = "sourceIPAddress")]
    source: &'a str,
}

#[derive(Serialize)]
struct Elements<'a> {
    #[serde(rename = "x-amz-request-id")]
    request: &'a str,
    #[serde(rename = "x-amz-id-2")]
    host: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inner<'a> {
    s3_schema_version: &'static str,
    configuration_id: &'a str,
    bucket: Bucket<'a>,
    object: Object<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket<'a> {
    name: &'a str,
    owner_identity: Identity<'a>,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(rename = "eTag", skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequencer: Option<String>,
}

impl Happened<'_> {
    /// The event for who hears of it by the configuration with this id.
    pub(crate) fn record(&self, configuration: &str) -> Bytes {
        let owner = customer_id(self.owner);
        let marker = matches!(self.event, Event::DeleteMarkerCreated | Event::ExpirationDeleteMarkerCreated);
        let record = Record {
            event_version: VERSION,
            event_source: "aws:s3",
            aws_region: self.region,
            event_time: date(self.at),
            event_name: self.event.name(),
            user_identity: Identity { principal_id: &self.cause.principal },
            request_parameters: Parameters { source: &self.cause.source },
            response_elements: Elements { request: &self.cause.request, host: &self.cause.host },
            s3: Inner {
                s3_schema_version: "1.0",
                configuration_id: configuration,
                bucket: Bucket {
                    name: self.bucket,
                    owner_identity: Identity { principal_id: &owner },
                    arn: format!("arn:aws:s3:::{}", self.bucket),
                },
                object: Object {
                    key: encoded(self.key),
                    size: self.object.filter(|_| self.event.creates()).map(|(bytes, _)| bytes),
                    etag: self.object.map(|(_, etag)| etag).or(marker.then_some(MARKER_TAG)),
                    version_id: self.version_id,
                    sequencer: self.event.is_ordered().then(|| format!("{:018X}", self.seq)),
                },
            },
        };
        serde_json::to_vec(&Records { records: [record] }).expect("text and numbers are JSON").into()
    }
}

/// `2026-11-21T05:20:00.007Z`
pub(crate) fn date(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, ms) = at.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened<'a>(cause: &'a Cause, event: Event) -> Happened<'a> {
        Happened {
            event,
            at: Timestamp::from_civil(2026, 11, 21, 5, 20, 0, 7),
            cause,
            region: "eu-west-1",
            bucket: "b",
            owner: "000000000000",
            key: "a b.jpg",
            object: event.creates().then_some((3, "tag")),
            version_id: Some("v"),
            seq: 0xabc,
        }
    }

    #[test]
    fn an_event_is_written_as_aws_writes_it() {
        let cause = Cause {
            principal: "AWS:role:f".into(),
            source: "127.0.0.1".into(),
            request: "r".into(),
            host: "h".into(),
            trace: None,
            depth: 0,
        };
        let owner = customer_id("000000000000");
        assert_eq!((owner.len(), &owner[..1]), (14, "A"));
        let written = format!(
            r#"{{"Records":[{{"eventVersion":"2.5","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-11-21T05:20:00.007Z","eventName":"ObjectCreated:Put","userIdentity":{{"principalId":"AWS:role:f"}},"requestParameters":{{"sourceIPAddress":"127.0.0.1"}},"responseElements":{{"x-amz-request-id":"r","x-amz-id-2":"h"}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"id","bucket":{{"name":"b","ownerIdentity":{{"principalId":"{owner}"}},"arn":"arn:aws:s3:::b"}},"object":{{"key":"a+b.jpg","size":3,"eTag":"tag","versionId":"v","sequencer":"000000000000000ABC"}}}}}}]}}"#
        );
        assert_eq!(happened(&cause, Event::Put).record("id"), written);
        let object = |event| {
            let record: serde_json::Value = serde_json::from_slice(&happened(&cause, event).record("id")).unwrap();
            record["Records"][0]["s3"]["object"].clone()
        };
        let gone = serde_json::json!({"key": "a+b.jpg", "versionId": "v", "sequencer": "000000000000000ABC"});
        assert_eq!(object(Event::Delete), gone);
        assert_eq!(object(Event::DeleteMarkerCreated)["eTag"], MARKER_TAG);
        assert_eq!(object(Event::TaggingPut), serde_json::json!({"key": "a+b.jpg", "versionId": "v"}));
    }
}
