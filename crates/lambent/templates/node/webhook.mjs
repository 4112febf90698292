// Takes webhooks that are signed with HMAC-SHA256 in `x-hub-signature-256`, as GitHub's are.
//
// The secret is in the environment as WEBHOOK_SECRET.

import { createHmac, timingSafeEqual } from "node:crypto";

export const handler = async (event) => {
  const secret = process.env.WEBHOOK_SECRET;
  if (!secret) {
    console.log("WEBHOOK_SECRET is not set, so that nothing can be trusted");
    return { statusCode: 500, body: "not configured" };
  }
  // What was signed are the bytes as they were sent.
  const body = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  if (!isSigned(secret, body, event.headers["x-hub-signature-256"] ?? "")) {
    return { statusCode: 401, body: "the signature is wrong" };
  }
  let payload;
  try {
    payload = JSON.parse(body.toString());
  } catch {
    return { statusCode: 400, body: "the body must be JSON" };
  }
  console.log(`${event.headers["x-github-event"] ?? "event"}: ${payload.action}`);
  return { statusCode: 204 };
};

const isSigned = (secret, body, given) => {
  const wanted = Buffer.from(`sha256=${createHmac("sha256", secret).update(body).digest("hex")}`);
  const other = Buffer.from(given);
  // Takes the same time wherever they differ: else the signature could be guessed byte by byte.
  return wanted.length === other.length && timingSafeEqual(wanted, other);
};
