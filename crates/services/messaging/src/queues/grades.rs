//! What every input member does, as data: `docs/fidelity.md` is made from it.

use door::Grade::{self, Acts};
use door::Graded;

const fn row(operation: &'static str, member: &'static str, grade: Grade, note: &'static str) -> Graded {
    Graded::new(operation, member, grade, note)
}

/// Every input member of every operation that this room carries out.
pub const GRADES: &[Graded] = &[
    row(
        "CreateQueue",
        "Attributes",
        Acts,
        "KmsMasterKeyId is refused: there is no KMS yet; SqsManagedSseEnabled, KmsDataKeyReusePeriodSeconds and \
         FifoThroughputLimit are stored and shown; no queue is slowed down",
    ),
    row("CreateQueue", "QueueName", Acts, "of a queue deleted less than 60 seconds ago: QueueDeletedRecently"),
    row("CreateQueue", "tags", Acts, "by policies on `aws:RequestTag` and `aws:ResourceTag` too"),
    row("DeleteQueue", "QueueUrl", Acts, "at once"),
    row("PurgeQueue", "QueueUrl", Acts, "at once; again after 60 seconds"),
    row("GetQueueUrl", "QueueName", Acts, ""),
    row("GetQueueUrl", "QueueOwnerAWSAccountId", Acts, ""),
    row("ListQueues", "MaxResults", Acts, ""),
    row("ListQueues", "NextToken", Acts, ""),
    row("ListQueues", "QueueNamePrefix", Acts, ""),
    row("ListDeadLetterSourceQueues", "MaxResults", Acts, ""),
    row("ListDeadLetterSourceQueues", "NextToken", Acts, ""),
    row("ListDeadLetterSourceQueues", "QueueUrl", Acts, ""),
    row("GetQueueAttributes", "AttributeNames", Acts, "the numbers of messages are exact"),
    row("GetQueueAttributes", "QueueUrl", Acts, "whatever its host: the last two parts of its path count"),
    row("SetQueueAttributes", "Attributes", Acts, "as of CreateQueue, at once"),
    row("SetQueueAttributes", "QueueUrl", Acts, ""),
    row("ListQueueTags", "QueueUrl", Acts, ""),
    row("TagQueue", "QueueUrl", Acts, ""),
    row("TagQueue", "Tags", Acts, ""),
    row("UntagQueue", "QueueUrl", Acts, ""),
    row("UntagQueue", "TagKeys", Acts, ""),
    row("SendMessage", "DelaySeconds", Acts, ""),
    row("SendMessage", "MessageAttributes", Acts, "lists of values are refused, as on AWS"),
    row("SendMessage", "MessageBody", Acts, "up to 1 MiB with its attributes"),
    row("SendMessage", "MessageDeduplicationId", Acts, ""),
    row(
        "SendMessage",
        "MessageGroupId",
        Acts,
        "in standard queues it is shown; no group is preferred there, since none is slowed down",
    ),
    row("SendMessage", "MessageSystemAttributes", Acts, "AWSTraceHeader; the header X-Amzn-Trace-Id gives it too"),
    row("SendMessage", "QueueUrl", Acts, ""),
    row("SendMessageBatch", "Entries", Acts, "each as a message of SendMessage"),
    row("SendMessageBatch", "QueueUrl", Acts, ""),
    row("ReceiveMessage", "AttributeNames", Acts, "SenderId has names where AWS has ids"),
    row("ReceiveMessage", "MaxNumberOfMessages", Acts, ""),
    row("ReceiveMessage", "MessageAttributeNames", Acts, ""),
    row("ReceiveMessage", "MessageSystemAttributeNames", Acts, ""),
    row("ReceiveMessage", "QueueUrl", Acts, ""),
    row("ReceiveMessage", "ReceiveRequestAttemptId", Acts, "until the next start"),
    row("ReceiveMessage", "VisibilityTimeout", Acts, ""),
    row("ReceiveMessage", "WaitTimeSeconds", Acts, "a client that goes away receives nothing"),
    row("DeleteMessage", "QueueUrl", Acts, ""),
    row("DeleteMessage", "ReceiptHandle", Acts, "only the last one deletes; earlier ones do nothing"),
    row("DeleteMessageBatch", "Entries", Acts, ""),
    row("DeleteMessageBatch", "QueueUrl", Acts, ""),
    row("ChangeMessageVisibility", "QueueUrl", Acts, ""),
    row("ChangeMessageVisibility", "ReceiptHandle", Acts, ""),
    row("ChangeMessageVisibility", "VisibilityTimeout", Acts, ""),
    row("ChangeMessageVisibilityBatch", "Entries", Acts, ""),
    row("ChangeMessageVisibilityBatch", "QueueUrl", Acts, ""),
];
