//! The audit log: who did what, when, and what was decided. Never what a request carried.

use std::sync::Arc;

use base::{Account, Clocks, Fault, LogLine, LogSink, Principal, Region, RequestId, Timestamp};
use serde_json::{Value, json};
use wire::Operation;

use crate::{Origin, Via};

/// The log group of an account's audit log.
pub const AUDIT_GROUP: &str = "/lambent/audit";

/// Operations that move data, by service. As in CloudTrail they are not recorded, unless they are denied.
/// Sources: AWS CloudTrail User Guide, "Logging data events"; Amazon S3 User Guide, "Amazon S3 CloudTrail events".
const DATA: [(&str, &[&str]); 4] = [
    ("lambda", &["Invoke", "InvokeAsync", "InvokeWithResponseStream"]),
    ("logs", &["PutLogEvents", "GetLogEvents", "FilterLogEvents"]),
    (
        "sqs",
        &[
            "SendMessage",
            "SendMessageBatch",
            "ReceiveMessage",
            "DeleteMessage",
            "DeleteMessageBatch",
            "ChangeMessageVisibility",
            "ChangeMessageVisibilityBatch",
        ],
    ),
    (
        "s3",
        &[
            "AbortMultipartUpload",
            "CompleteMultipartUpload",
            "CopyObject",
            "CreateMultipartUpload",
            "DeleteObject",
            "DeleteObjectTagging",
            "DeleteObjects",
            "GetObject",
            "GetObjectAcl",
            "GetObjectAttributes",
            "GetObjectLegalHold",
            "GetObjectRetention",
            "GetObjectTagging",
            "HeadObject",
            "ListMultipartUploads",
            "ListObjectVersions",
            "ListObjects",
            "ListObjectsV2",
            "ListParts",
            "PutObject",
            "PutObjectAcl",
            "PutObjectLegalHold",
            "PutObjectRetention",
            "PutObjectTagging",
            "UploadPart",
            "UploadPartCopy",
        ],
    ),
];

/// Whether an operation moves data.
pub(crate) fn moves_data(operation: &Operation) -> bool {
    DATA.iter().any(|(service, names)| *service == operation.service.name && names.contains(&operation.name))
}

/// Writes one line of JSON for each call into the account's log group [`AUDIT_GROUP`], a stream for each day. The log
/// sink makes it durable within a second.
pub struct Audit {
    sink: Arc<dyn LogSink>,
    clocks: Arc<dyn Clocks>,
}

/// What is recorded of a call: copied before the call goes on, since its handler consumes it.
pub(crate) struct Record {
    operation: &'static Operation,
    action: String,
    resource: String,
    principal: Principal,
    origin: Origin,
    via: Via,
    region: Region,
    request: RequestId,
    at: Timestamp,
}

/// The parts of a call that are recorded.
pub(crate) struct Recorded<'a> {
    pub(crate) operation: &'static Operation,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) principal: &'a Principal,
    pub(crate) origin: &'a Origin,
    pub(crate) via: Via,
    pub(crate) region: &'a Region,
    pub(crate) request: RequestId,
}

impl Audit {
    /// An audit log into `sink`; its times follow the signing clock, as signatures do.
    pub fn new(sink: Arc<dyn LogSink>, clocks: Arc<dyn Clocks>) -> Self {
        Self { sink, clocks }
    }

    /// What is to be recorded, once it has ended, of a call that moves no data; nothing of what one room asks of another, which
    /// is no act of anybody's.
    pub(crate) fn begin(&self, call: &Recorded<'_>) -> Option<Record> {
        (!matches!(call.via, Via::Room(_))).then(|| self.record(call))
    }

    fn record(&self, call: &Recorded<'_>) -> Record {
        Record {
            operation: call.operation,
            action: call.action.to_owned(),
            resource: call.resource.to_owned(),
            principal: call.principal.clone(),
            origin: call.origin.clone(),
            via: call.via,
            region: call.region.clone(),
            request: call.request,
            at: self.clocks.signing(),
        }
    }

    /// Records a denial, and of the grounds those that name statements.
    pub(crate) fn denied(&self, call: &Recorded<'_>, message: &str, because: &str) {
        let record = self.record(call);
        let mut line = line(&record, "Deny");
        line["errorCode"] = json!("AccessDenied");
        line["errorMessage"] = json!(message);
        line["because"] = json!(because);
        self.write(&record, &line);
    }

    /// Records how a call that was let in ended. A fault's message may tell of the request, so only its code is kept.
    pub(crate) fn ended(&self, record: &Record, outcome: Result<(), &Fault>) {
        let mut line = line(record, "Allow");
        if let Err(fault) = outcome {
            line["errorCode"] = json!(fault.code);
        }
        self.write(record, &line);
    }

    fn write(&self, record: &Record, line: &Value) {
        let (year, month, day, ..) = record.at.civil();
        self.sink.write(vec![LogLine {
            account: account(&record.principal),
            region: record.region.clone(),
            group: AUDIT_GROUP.into(),
            stream: format!("{year:04}/{month:02}/{day:02}").into(),
            at: record.at,
            text: line.to_string(),
            hops: 0,
        }]);
    }
}

fn account(principal: &Principal) -> Account {
    principal.account()
}

/// The line, with the names CloudTrail gives the same things.
fn line(record: &Record, decision: &str) -> Value {
    let (year, month, day, hour, minute, second, ms) = record.at.civil();
    let via = match record.via {
        Via::Client { .. } => "client",
        Via::Sandbox => "sandbox",
        Via::Room(room) => room,
    };
    json!({
        "eventTime": format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"),
        "eventSource": format!("{}.amazonaws.com", record.operation.service.name),
        "eventName": record.operation.name,
        "awsRegion": record.region.as_str(),
        "action": record.action,
        "resource": record.resource,
        "decision": decision,
        "userIdentity": {
            "type": kind(&record.principal),
            "arn": record.principal.arn(),
            "accountId": record.principal.account().as_str(),
            "accessKeyId": record.origin.key_id,
        },
        "sourceIPAddress": record.origin.source_ip.map(|ip| ip.to_string()),
        "userAgent": record.origin.user_agent,
        "via": via,
        "requestID": record.request.as_str(),
    })
}

fn kind(principal: &Principal) -> &'static str {
    match principal {
        Principal::Anonymous => "Anonymous",
        Principal::Root { verified: true, .. } => "Root",
        Principal::Root { verified: false, .. } => "Unverified",
        Principal::User { .. } => "IAMUser",
        Principal::Session { .. } => "AssumedRole",
        Principal::Service { .. } => "AWSService",
    }
}
