// Reads a Kinesis stream in batches. At the first record that fails the batch ends there and comes again from it: the
// event source mapping must have `ReportBatchItemFailures` among its function response types.

export const handler = async (event) => {
  for (const record of event.Records) {
    const number = record.kinesis.sequenceNumber;
    try {
      await work(JSON.parse(Buffer.from(record.kinesis.data, "base64").toString()));
    } catch (error) {
      console.log(`record ${number} failed: ${error.message}`);
      return { batchItemFailures: [{ itemIdentifier: number }] };
    }
  }
  return { batchItemFailures: [] };
};

// Records keep their order within a partition key, and may come more than once.
const work = async (reading) => {
  console.log(`${reading.sensor}: ${reading.value}`);
};
