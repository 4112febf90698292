// Takes messages from an SQS queue in batches. Only what failed comes again: the event source mapping must have
// `ReportBatchItemFailures` among its function response types.

export const handler = async (event) => {
  const batchItemFailures = [];
  for (const record of event.Records) {
    try {
      await work(JSON.parse(record.body));
    } catch (error) {
      console.log(`message ${record.messageId} failed: ${error.message}`);
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
};

// A message may come more than once: doing it again must do no harm.
const work = async (order) => {
  console.log(`order ${order.order} over ${order.amount}`);
};
