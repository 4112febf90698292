// A life of buckets and objects through aws-sdk-js v3: `node store.mjs CLIENTS/package.json BUCKET`. Prints "stored" at its end.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const [, , anchor, bucket] = process.argv;
const require = createRequire(anchor);
const s3sdk = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");
const { S3Client, CreateBucketCommand, PutObjectCommand, GetObjectCommand, HeadObjectCommand, CopyObjectCommand } = s3sdk;

const endpoint = process.env.AWS_ENDPOINT_URL;
const s3 = new S3Client({ endpoint, forcePathStyle: true, maxAttempts: 1 });
const send = (command) => s3.send(command);
const bytes = async (answer) => Buffer.from(await answer.Body.transformToByteArray());
const fails = (command, name, status) =>
  assert.rejects(send(command), (error) => {
    assert.equal(error.name, name);
    assert.equal(error.$metadata.httpStatusCode, status);
    return true;
  });

await send(new CreateBucketCommand({ Bucket: bucket }));
await s3sdk.waitUntilBucketExists({ client: s3, maxWaitTime: 10 }, { Bucket: bucket });

// A CRC32 goes along by itself, and what is read is checked against it.
const put = await send(new PutObjectCommand({ Bucket: bucket, Key: "a b/ü+%?#&=😀", Body: "hello", ContentType: "text/plain", Metadata: { who: "js" } }));
assert.equal(put.ETag, '"5d41402abc4b2a76b9719d911017c592"');
assert.equal(put.ChecksumCRC32, "NhCmhg==");
const got = await send(new GetObjectCommand({ Bucket: bucket, Key: "a b/ü+%?#&=😀" }));
assert.equal(await got.Body.transformToString(), "hello");
assert.deepEqual([got.ContentType, got.Metadata], ["text/plain", { who: "js" }]);
for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
  const data = randomBytes(100_000);
  const sent = await send(new PutObjectCommand({ Bucket: bucket, Key: algorithm, Body: data, ChecksumAlgorithm: algorithm }));
  const head = await send(new HeadObjectCommand({ Bucket: bucket, Key: algorithm, ChecksumMode: "ENABLED" }));
  assert.equal(sent[`Checksum${algorithm}`], head[`Checksum${algorithm}`]);
  assert.deepEqual(await bytes(await send(new GetObjectCommand({ Bucket: bucket, Key: algorithm, ChecksumMode: "ENABLED" }))), data);
}

// A stream of known length goes in chunks with its checksum behind them.
const streamed = randomBytes(300_000);
const slices = [streamed.subarray(0, 10_000), streamed.subarray(10_000, 200_000), streamed.subarray(200_000)];
await send(new PutObjectCommand({ Bucket: bucket, Key: "stream", Body: Readable.from(slices), ContentLength: streamed.length }));
assert.deepEqual(await bytes(await send(new GetObjectCommand({ Bucket: bucket, Key: "stream" }))), streamed);
// Chunks below 8 KiB are refused there and here, and the SDK says what to do.
const tiny = Readable.from([streamed.subarray(0, 1000), streamed.subarray(1000)]);
await fails(new PutObjectCommand({ Bucket: bucket, Key: "tiny", Body: tiny, ContentLength: streamed.length }), "InvalidChunkSizeError", 400);
const range = await send(new GetObjectCommand({ Bucket: bucket, Key: "stream", Range: "bytes=10-19" }));
assert.deepEqual([await bytes(range), range.ContentRange], [streamed.subarray(10, 20), "bytes 10-19/300000"]);

await fails(new GetObjectCommand({ Bucket: bucket, Key: "none" }), "NoSuchKey", 404);
await fails(new HeadObjectCommand({ Bucket: bucket, Key: "none" }), "NotFound", 404);
await fails(new GetObjectCommand({ Bucket: `${bucket}-none`, Key: "none" }), "NoSuchBucket", 404);
await fails(new PutObjectCommand({ Bucket: bucket, Key: "stream", Body: "x", IfNoneMatch: "*" }), "PreconditionFailed", 412);

// Parts, as lib-storage sends them.
const large = randomBytes(11 * 1024 * 1024);
const upload = new Upload({ client: s3, params: { Bucket: bucket, Key: "large", Body: Readable.from([large]) }, queueSize: 3, partSize: 5 * 1024 * 1024 });
const done = await upload.done();
assert.match(done.ETag, /-3"$/);
assert.deepEqual(await bytes(await send(new GetObjectCommand({ Bucket: bucket, Key: "large" }))), large);
await send(new CopyObjectCommand({ Bucket: bucket, Key: "copy", CopySource: `${bucket}/large` }));

// URLs for others.
const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket: bucket, Key: "a b/ü+%?#&=😀" }), { expiresIn: 60 });
assert.equal(await (await fetch(url)).text(), "hello");
const target = await getSignedUrl(s3, new PutObjectCommand({ Bucket: bucket, Key: "by url" }), { expiresIn: 60 });
assert.equal((await fetch(target, { method: "PUT", body: "by url" })).status, 200);
assert.equal((await fetch(url.replace("X-Amz-Signature=", "X-Amz-Signature=0"))).status, 403);

const keys = [];
for await (const page of s3sdk.paginateListObjectsV2({ client: s3, pageSize: 3 }, { Bucket: bucket })) {
  keys.push(...(page.Contents ?? []).map((one) => one.Key));
}
assert.deepEqual(keys, ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "a b/ü+%?#&=😀", "by url", "copy", "large", "stream"]);
const gone = await send(new s3sdk.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
assert.equal(gone.Deleted.length, keys.length);
await send(new s3sdk.DeleteBucketCommand({ Bucket: bucket }));
await fails(new s3sdk.HeadBucketCommand({ Bucket: bucket }), "NotFound", 404);
console.log("stored");
