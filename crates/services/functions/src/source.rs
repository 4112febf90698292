//! Event sources: which kinds there are, and what may be configured for each.
//!
//! Source: AWS Lambda API reference, `CreateEventSourceMapping`; AWS Lambda Developer Guide, "Lambda event filtering".

use std::collections::BTreeMap;

use base::Fault;
use door::pattern::{Operators, Pattern};
use serde::{Deserialize, Serialize};

use crate::faults;

/// Most filters of one mapping. Source: AWS Lambda quotas.
const FILTERS: usize = 5;
/// A batch larger than this waits for a window, and a FIFO queue gives none.
pub(crate) const QUEUE_BATCH: i64 = 10;
/// The shortest age a record may be let go at, seconds; -1 is never.
const RECORD_AGE_S: i64 = 60;

/// What an ARN leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Queue,
    FifoQueue,
    /// Kinesis.
    Stream,
    /// DynamoDB.
    TableStream,
}

impl Kind {
    /// The kind of an event source.
    ///
    /// # Errors
    /// `NotImplemented` for services without a room, AWS's words for what is none.
    pub(crate) fn of(arn: &str) -> Result<Self, Fault> {
        let missing = |service| Err(Fault::not_implemented(format_args!("event source mappings from {service}")));
        match arn.split(':').nth(2).unwrap_or_default() {
            "sqs" if arn.ends_with(".fifo") => Ok(Self::FifoQueue),
            "sqs" => Ok(Self::Queue),
            "kinesis" => Ok(Self::Stream),
            "dynamodb" => Ok(Self::TableStream),
            "kafka" => missing("Amazon MSK"),
            "mq" => missing("Amazon MQ"),
            "rds" => missing("Amazon DocumentDB"),
            _ => Err(faults::invalid("Unrecognized event source.")),
        }
    }

    pub(crate) fn is_queue(self) -> bool {
        matches!(self, Self::Queue | Self::FifoQueue)
    }

    /// As AWS's messages call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Queue | Self::FifoQueue => "SQS",
            Self::Stream => "Kinesis",
            Self::TableStream => "DynamoDB",
        }
    }

    /// Why a mapping is in its state, as AWS's answers say it.
    pub(crate) fn reason(self) -> &'static str {
        if self.is_queue() { "USER_INITIATED" } else { "User action" }
    }

    /// What AWS says when there is no such source.
    pub(crate) fn missing(self, arn: &str) -> Fault {
        faults::invalid(if self.is_queue() {
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
             Message: The specified queue does not exist."
                .to_owned()
        } else {
            format!("Stream not found: {arn}")
        })
    }

    /// What a function's role must be allowed.
    pub(crate) fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Queue | Self::FifoQueue => &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            Self::Stream => &["kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream"],
            Self::TableStream => &["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"],
        }
    }

    /// What AWS says when the role may not.
    pub(crate) fn forbidden(self, action: &str, arn: &str) -> Fault {
        let name = action.split_once(':').map_or(action, |(_, name)| name);
        faults::invalid(if self.is_queue() {
            format!("The provided execution role does not have permissions to call {name} on SQS")
        } else {
            format!(
                "Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, \
                 DescribeStream, and ListStreams Actions on your stream in IAM."
            )
        })
    }
}

/// An event source mapping: its row in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mapping {
    /// The queue's or stream's ARN.
    pub(crate) source: String,
    /// The function's ARN, with the qualifier that was named.
    pub(crate) function: String,
    /// Whether it delivers.
    pub(crate) enabled: bool,
    pub(crate) batch_size: i64,
    pub(crate) window_s: i64,
    /// Patterns, JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) response_types: Vec<String>,
    /// For queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_concurrency: Option<i64>,
    /// For streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<Reading>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// Product time, ms since the epoch.
    pub(crate) modified_ms: i64,
    /// It goes as soon as the batches under way have ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleting: bool,
}

impl Mapping {
    /// Whether messages of a queue shall be delivered by it.
    pub(crate) fn reads_queue(&self) -> bool {
        self.enabled && !self.deleting && Kind::of(&self.source).is_ok_and(Kind::is_queue)
    }

    /// Whether the function tells which messages it could not do.
    pub(crate) fn hears_items(&self) -> bool {
        self.response_types.iter().any(|one| one == "ReportBatchItemFailures")
    }
}

/// How a stream is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) position: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) position_ms: Option<i64>,
    pub(crate) parallelization: i64,
    pub(crate) record_age_s: i64,
    pub(crate) bisect: bool,
    pub(crate) retries: i64,
    pub(crate) tumbling_s: i64,
}

/// What a request names of a mapping.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) enabled: Option<bool>,
    pub(crate) batch_size: Option<i64>,
    pub(crate) window_s: Option<i64>,
    pub(crate) filters: Option<Vec<String>>,
    pub(crate) response_types: Option<Vec<String>>,
    /// Given without a number, there is no limit any more.
    pub(crate) max_concurrency: Option<Option<i64>>,
    pub(crate) position: Option<String>,
    pub(crate) position_ms: Option<i64>,
    pub(crate) parallelization: Option<i64>,
    pub(crate) record_age_s: Option<i64>,
    pub(crate) bisect: Option<bool>,
    pub(crate) retries: Option<i64>,
    pub(crate) tumbling_s: Option<i64>,
}

impl Wanted {
    /// The members that only streams have, and whether they were given.
    fn for_streams(&self) -> [(&'static str, bool); 7] {
        [
            ("StartingPosition", self.position.is_some()),
            ("StartingPositionTimestamp", self.position_ms.is_some()),
            ("ParallelizationFactor", self.parallelization.is_some()),
            ("MaximumRecordAgeInSeconds", self.record_age_s.is_some()),
            ("BisectBatchOnFunctionError", self.bisect.is_some()),
            ("MaximumRetryAttempts", self.retries.is_some()),
            ("TumblingWindowInSeconds", self.tumbling_s.is_some()),
        ]
    }
}

/// A new mapping with AWS's defaults for its kind.
///
/// # Errors
/// As [`change`], and AWS's words for a stream without a position to start from.
pub(crate) fn create(kind: Kind, source: &str, function: String, wanted: &Wanted) -> Result<Mapping, Fault> {
    let stream = if kind.is_queue() { None } else { Some(reading(kind, source, wanted)?) };
    let fresh = Mapping {
        source: source.to_owned(),
        function,
        enabled: true,
        batch_size: if kind.is_queue() { QUEUE_BATCH } else { 100 },
        window_s: 0,
        filters: Vec::new(),
        response_types: Vec::new(),
        max_concurrency: None,
        stream,
        tags: BTreeMap::new(),
        modified_ms: 0,
        deleting: false,
    };
    change(kind, &fresh, wanted)
}

fn reading(kind: Kind, source: &str, wanted: &Wanted) -> Result<Reading, Fault> {
    let position = wanted.position.clone().ok_or_else(|| {
        faults::invalid(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not \
             be null.",
        )
    })?;
    let at = position == "AT_TIMESTAMP";
    if at && kind == Kind::TableStream {
        return Err(faults::invalid(format!("Unsupported starting position for arn type: {source}")));
    }
    if at != wanted.position_ms.is_some() {
        return Err(faults::invalid("StartingPositionTimestamp goes with the StartingPosition AT_TIMESTAMP."));
    }
    Ok(Reading {
        position,
        position_ms: wanted.position_ms,
        parallelization: 1,
        record_age_s: -1,
        bisect: false,
        retries: -1,
        tumbling_s: 0,
    })
}

/// What AWS says of a member that a kind of source does not have.
pub(crate) fn unsupported(member: &str) -> Fault {
    faults::invalid(format!("Unsupported {member} parameter for given event source mapping type."))
}

/// A mapping after a change.
///
/// # Errors
/// AWS's words for what its kind does not have, and for what does not go together.
pub(crate) fn change(kind: Kind, before: &Mapping, wanted: &Wanted) -> Result<Mapping, Fault> {
    if kind.is_queue() {
        if let Some((member, _)) = wanted.for_streams().into_iter().find(|(_, given)| *given) {
            return Err(unsupported(member));
        }
    } else if wanted.max_concurrency.is_some() {
        return Err(unsupported("ScalingConfig"));
    }
    let mut next = before.clone();
    next.enabled = wanted.enabled.unwrap_or(next.enabled);
    next.batch_size = wanted.batch_size.unwrap_or(next.batch_size);
    next.window_s = wanted.window_s.unwrap_or(next.window_s);
    if let Some(filters) = &wanted.filters {
        check_filters(filters)?;
        next.filters.clone_from(filters);
    }
    if let Some(types) = &wanted.response_types {
        next.response_types.clone_from(types);
    }
    next.max_concurrency = wanted.max_concurrency.unwrap_or(next.max_concurrency);
    if let Some(stream) = &mut next.stream {
        stream.parallelization = wanted.parallelization.unwrap_or(stream.parallelization);
        stream.record_age_s = wanted.record_age_s.unwrap_or(stream.record_age_s);
        stream.bisect = wanted.bisect.unwrap_or(stream.bisect);
        stream.retries = wanted.retries.unwrap_or(stream.retries);
        stream.tumbling_s = wanted.tumbling_s.unwrap_or(stream.tumbling_s);
        if (0..RECORD_AGE_S).contains(&stream.record_age_s) {
            return Err(faults::invalid(format!("MaximumRecordAgeInSeconds must be -1 or at least {RECORD_AGE_S}.")));
        }
    }
    batch(kind, &next)?;
    Ok(next)
}

fn batch(kind: Kind, mapping: &Mapping) -> Result<(), Fault> {
    if kind == Kind::FifoQueue && mapping.window_s > 0 {
        return Err(faults::invalid("Batching window is not supported for FIFO queues"));
    }
    if kind == Kind::FifoQueue && mapping.batch_size > QUEUE_BATCH {
        return Err(faults::invalid(format!("BatchSize of a FIFO queue is at most {QUEUE_BATCH}.")));
    }
    if kind == Kind::Queue && mapping.batch_size > QUEUE_BATCH && mapping.window_s == 0 {
        return Err(faults::invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ));
    }
    Ok(())
}

fn check_filters(filters: &[String]) -> Result<(), Fault> {
    if filters.len() > FILTERS {
        return Err(faults::invalid(format!("FilterCriteria holds at most {FILTERS} filters.")));
    }
    let sound = |filter: &String| Pattern::parse(filter, Operators::Lambda).is_some();
    if filters.iter().all(sound) { Ok(()) } else { Err(faults::invalid("Invalid filter pattern definition.")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
    const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026";

    fn made(arn: &str, wanted: &Wanted) -> Result<Mapping, String> {
        let kind = Kind::of(arn).map_err(|fault| fault.message)?;
        create(kind, arn, "f".into(), wanted).map_err(|fault| fault.message)
    }

    fn latest() -> Wanted {
        Wanted { position: Some("LATEST".into()), ..Wanted::default() }
    }

    #[test]
    fn defaults_are_those_of_the_kind() {
        let queue = made(QUEUE, &Wanted::default()).unwrap();
        assert_eq!((queue.batch_size, queue.window_s, queue.enabled, queue.stream), (10, 0, true, None));
        let stream = made(STREAM, &latest()).unwrap();
        let reading = stream.stream.unwrap();
        assert_eq!((stream.batch_size, reading.parallelization, reading.retries), (100, 1, -1));
        assert_eq!((reading.record_age_s, reading.bisect, reading.tumbling_s), (-1, false, 0));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let refused = |arn: &str, wanted: Wanted| made(arn, &wanted).unwrap_err();
        let window = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
        assert_eq!(refused(QUEUE, Wanted { batch_size: Some(11), ..Wanted::default() }), window);
        assert!(made(QUEUE, &Wanted { batch_size: Some(11), window_s: Some(1), ..Wanted::default() }).is_ok());
        let fifo = format!("{QUEUE}.fifo");
        assert_eq!(
            refused(&fifo, Wanted { window_s: Some(1), ..Wanted::default() }),
            "Batching window is not supported for FIFO queues"
        );
        assert!(refused(&fifo, Wanted { batch_size: Some(11), ..Wanted::default() }).contains("at most 10"));
        assert_eq!(
            refused(QUEUE, Wanted { bisect: Some(true), ..Wanted::default() }),
            "Unsupported BisectBatchOnFunctionError parameter for given event source mapping type."
        );
        assert!(refused(STREAM, Wanted { max_concurrency: Some(Some(2)), ..latest() }).contains("ScalingConfig"));
        assert!(refused(STREAM, Wanted::default()).contains("Value null at 'startingPosition'"));
        assert!(refused(STREAM, Wanted { record_age_s: Some(59), ..latest() }).contains("at least 60"));
        let at = Wanted { position: Some("AT_TIMESTAMP".into()), position_ms: Some(1), ..Wanted::default() };
        assert_eq!(refused(TABLE, at.clone()), format!("Unsupported starting position for arn type: {TABLE}"));
        assert!(made(STREAM, &at).is_ok());
        assert!(refused(STREAM, Wanted { position_ms: None, ..at }).contains("StartingPositionTimestamp"));
        assert_eq!(refused("arn:aws:s3:::bucket", Wanted::default()), "Unrecognized event source.");
        assert!(refused("arn:aws:kafka:us-east-1:000000000000:cluster/c/1", Wanted::default()).contains("Amazon MSK"));
    }

    #[test]
    fn patterns_are_told_from_what_is_none() {
        for sound in [
            r#"{"body":{"n":[1,null,true,"x"]}}"#,
            r#"{"a":[{"prefix":"x"},{"numeric":[">",0,"<=",5]},{"exists":false}]}"#,
            r#"{"a":[{"anything-but":["x",1]},{"anything-but":{"prefix":"x"}},{"equals-ignore-case":"x"}]}"#,
            r#"{"$or":[{"a":[1]},{"b":[2]}]}"#,
            "{}",
        ] {
            assert_eq!(check_filters(&[sound.to_owned()]), Ok(()), "{sound}");
        }
        for wrong in
            ["", "[]", r#"{"a":1}"#, r#"{"a":[]}"#, r#"{"a":[{"prefix":1}]}"#, r#"{"a":[{"x":"y"}]}"#, r#"{"a":[[1]]}"#]
        {
            assert_eq!(check_filters(&[wrong.to_owned()]).unwrap_err().message, "Invalid filter pattern definition.");
        }
        assert!(check_filters(&vec!["{}".to_owned(); 6]).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_refused(text in ".{0,200}") {
            let _ = check_filters(&[text]);
        }

        #[test]
        fn a_change_that_names_nothing_changes_nothing(batch_size in 1..=10i64, window_s in 0..300i64, enabled: bool) {
            let wanted = Wanted { batch_size: Some(batch_size), window_s: Some(window_s), enabled: Some(enabled), ..Wanted::default() };
            let mapping = made(QUEUE, &wanted).unwrap();
            prop_assert_eq!(change(Kind::Queue, &mapping, &Wanted::default()).unwrap(), mapping);
        }
    }
}
