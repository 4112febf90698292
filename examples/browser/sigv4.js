// AWS's Signature Version 4 with what every browser has: WebCrypto. No library, nothing from another host.

const bytes = (text) => new TextEncoder().encode(text);
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const sha256 = async (text) => hex(await crypto.subtle.digest("SHA-256", bytes(text)));

async function hmac(key, text) {
  const usable = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", usable, bytes(text));
}

// Signed are path segments as they stand in the request, escaped once more, as every service but S3 wants it.
const escape = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

/** The headers that make a request a signed one. `keys` are `{ id, secret, token }`; a token belongs to temporary keys. */
export async function signed(method, url, body, region, service, keys, now = new Date()) {
  const { host, pathname, searchParams } = new URL(url);
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const headers = { "x-amz-date": time };
  if (keys.token) headers["x-amz-security-token"] = keys.token;

  // The browser sets Host itself, from the URL.
  const all = { host, ...headers };
  const names = Object.keys(all).sort();
  const query = [...searchParams].map(([name, value]) => `${escape(name)}=${escape(value)}`).sort();
  const canonical = [
    method,
    pathname.split("/").map(escape).join("/"),
    query.join("&"),
    ...names.map((name) => `${name}:${all[name]}`),
    "",
    names.join(";"),
    await sha256(body),
  ].join("\n");

  const toSign = ["AWS4-HMAC-SHA256", time, scope, await sha256(canonical)].join("\n");
  let key = bytes(`AWS4${keys.secret}`);
  for (const part of [day, region, service, "aws4_request"]) key = await hmac(key, part);
  const signature = hex(await hmac(key, toSign));
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${keys.id}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return headers;
}
