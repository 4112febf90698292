// Runs when an object is created in an S3 bucket.

export const handler = async (event) => {
  const seen = [];
  for (const record of event.Records) {
    const bucket = record.s3.bucket.name;
    // Keys arrive encoded as in a form: a space is a plus sign.
    const key = decodeURIComponent(record.s3.object.key.replace(/\+/g, " "));
    console.log(`${record.eventName}: s3://${bucket}/${key}, ${record.s3.object.size ?? 0} bytes`);
    seen.push(key);
  }
  return { seen };
};
