//! What every input member does, as data: `docs/fidelity.md` is made from it.

/// What an input member does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// It changes what happens.
    Acts,
    /// It is kept and shown again.
    Stored,
    /// It is refused by name.
    Refused,
}

/// The grade of one member of one operation's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graded {
    /// AWS's name of the operation.
    pub operation: &'static str,
    /// AWS's name of the member.
    pub member: &'static str,
    /// What it does.
    pub grade: Grade,
    /// What a reader should know; may be empty.
    pub note: &'static str,
}

const fn row(operation: &'static str, member: &'static str, grade: Grade, note: &'static str) -> Graded {
    Graded { operation, member, grade, note }
}

use Grade::{Acts, Refused, Stored};

/// Every input member of every operation that this room carries out.
pub const GRADES: &[Graded] = &[
    row("CreateLogGroup", "logGroupName", Acts, ""),
    row("CreateLogGroup", "kmsKeyId", Refused, ""),
    row("CreateLogGroup", "tags", Stored, ""),
    row("CreateLogGroup", "logGroupClass", Acts, "STANDARD; the others are refused"),
    row("CreateLogGroup", "deletionProtectionEnabled", Acts, ""),
    row("DeleteLogGroup", "logGroupName", Acts, ""),
    row("DescribeLogGroups", "accountIdentifiers", Acts, "no account is linked to another"),
    row("DescribeLogGroups", "logGroupNamePrefix", Acts, ""),
    row("DescribeLogGroups", "logGroupNamePattern", Acts, ""),
    row("DescribeLogGroups", "nextToken", Acts, ""),
    row("DescribeLogGroups", "limit", Acts, ""),
    row("DescribeLogGroups", "includeLinkedAccounts", Acts, "no account is linked to another"),
    row("DescribeLogGroups", "logGroupClass", Acts, ""),
    row("DescribeLogGroups", "logGroupIdentifiers", Acts, ""),
    row("PutRetentionPolicy", "logGroupName", Acts, ""),
    row("PutRetentionPolicy", "retentionInDays", Acts, ""),
    row("DeleteRetentionPolicy", "logGroupName", Acts, ""),
    row("CreateLogStream", "logGroupName", Acts, ""),
    row("CreateLogStream", "logStreamName", Acts, ""),
    row("DeleteLogStream", "logGroupName", Acts, ""),
    row("DeleteLogStream", "logStreamName", Acts, ""),
    row("DescribeLogStreams", "logGroupName", Acts, ""),
    row("DescribeLogStreams", "logGroupIdentifier", Acts, ""),
    row("DescribeLogStreams", "logStreamNamePrefix", Acts, ""),
    row("DescribeLogStreams", "orderBy", Acts, ""),
    row("DescribeLogStreams", "descending", Acts, ""),
    row("DescribeLogStreams", "nextToken", Acts, ""),
    row("DescribeLogStreams", "limit", Acts, ""),
    row("PutLogEvents", "logGroupName", Acts, ""),
    row("PutLogEvents", "logStreamName", Acts, ""),
    row("PutLogEvents", "logEvents", Acts, ""),
    row("PutLogEvents", "sequenceToken", Acts, "any is accepted, as on AWS"),
    row("PutLogEvents", "entity", Refused, "the answer says so in rejectedEntityInfo"),
    row("GetLogEvents", "logGroupName", Acts, ""),
    row("GetLogEvents", "logGroupIdentifier", Acts, ""),
    row("GetLogEvents", "logStreamName", Acts, ""),
    row("GetLogEvents", "startTime", Acts, ""),
    row("GetLogEvents", "endTime", Acts, ""),
    row("GetLogEvents", "nextToken", Acts, ""),
    row("GetLogEvents", "limit", Acts, ""),
    row("GetLogEvents", "startFromHead", Acts, ""),
    row("GetLogEvents", "unmask", Acts, "nothing is ever masked"),
    row("FilterLogEvents", "logGroupName", Acts, ""),
    row("FilterLogEvents", "logGroupIdentifier", Acts, ""),
    row("FilterLogEvents", "logStreamNames", Acts, ""),
    row("FilterLogEvents", "logStreamNamePrefix", Acts, ""),
    row("FilterLogEvents", "startTime", Acts, ""),
    row("FilterLogEvents", "endTime", Acts, ""),
    row("FilterLogEvents", "filterPattern", Acts, ""),
    row("FilterLogEvents", "nextToken", Acts, ""),
    row("FilterLogEvents", "limit", Acts, ""),
    row("FilterLogEvents", "startFromHead", Acts, ""),
    row("FilterLogEvents", "interleaved", Acts, "always true, as on AWS"),
    row("FilterLogEvents", "unmask", Acts, "nothing is ever masked"),
    row("TagResource", "resourceArn", Acts, ""),
    row("TagResource", "tags", Stored, ""),
    row("UntagResource", "resourceArn", Acts, ""),
    row("UntagResource", "tagKeys", Acts, ""),
    row("ListTagsForResource", "resourceArn", Acts, ""),
    row("ListTagsLogGroup", "logGroupName", Acts, ""),
];
