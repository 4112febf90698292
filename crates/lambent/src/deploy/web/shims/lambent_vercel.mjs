// Serves a folder as Vercel has it on $PORT: functions of `api` (a default export that takes request and response, or exports by
// method or `fetch` that take a web Request), static files, and the rules of vercel.json, all by the table in lambent_vercel.json.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, IncomingMessage } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const TABLE = { redirects: [], headers: [], rewrites: [], ...JSON.parse(readFileSync(join(ROOT, "lambent_vercel.json"))) };
for (const rules of ["redirects", "headers", "rewrites", "functions"]) {
  for (const rule of TABLE[rules]) rule.source = new RegExp(rule.source);
}
const LARGEST_BODY = 256 << 20;
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const KINDS = {
  html: "text/html", css: "text/css", js: "text/javascript", mjs: "text/javascript", json: "application/json", txt: "text/plain",
  md: "text/markdown", xml: "application/xml", csv: "text/csv", svg: "image/svg+xml", png: "image/png", jpg: "image/jpeg",
  jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", avif: "image/avif", ico: "image/vnd.microsoft.icon", pdf: "application/pdf",
  woff: "font/woff", woff2: "font/woff2", ttf: "font/ttf", mp4: "video/mp4", webm: "video/webm", mp3: "audio/mpeg",
  wasm: "application/wasm", webmanifest: "application/manifest+json", map: "application/json",
};

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
const cookiesOf = (header = "") =>
  Object.fromEntries(
    header.split(";").filter((part) => part.includes("=")).map((part) => {
      const at = part.indexOf("=");
      return [part.slice(0, at).trim(), decoded(part.slice(at + 1).trim().replace(/^"(.*)"$/, "$1"))];
    }),
  );

const namesIn = (template) => [...template.matchAll(/:(\w+)|\$(\d)/g)].map((found) => found[1] ?? found[2]);
// A destination with its parameters put in; names that are none stay as they are. A path of ours never becomes another host's.
const ours = (path) => path.replace(/^\/{2,}/, "/");
const fill = (template, values) => {
  const filled = template.replace(/:(\w+)[*+?]?|\$(\d)/g, (whole, name, number) => values[name ?? number] ?? whole);
  return template.startsWith("/") && !template.startsWith("//") ? ours(filled) : filled;
};

function holds(condition, request, query) {
  const { type, key, value: wanted } = condition;
  const value = {
    header: () => request.headers[key.toLowerCase()],
    host: () => (request.headers.host ?? "").split(":")[0],
    query: () => new URLSearchParams(query).get(key) ?? undefined,
    cookie: () => cookiesOf(request.headers.cookie)[key],
  }[type]();
  return value !== undefined && (wanted === null || new RegExp(`^(?:${wanted})$`).test(value));
}

// The values of a rule's parameters, or none.
function matches(rule, request, path, query) {
  const found = rule.source.exec(path);
  if (!found || !rule.has.every((one) => holds(one, request, query)) || rule.missing.some((one) => holds(one, request, query))) return;
  const values = {};
  rule.names.forEach((name, at) => {
    values[at + 1] = found[at + 1] ?? "";
    if (name) values[name] = found[at + 1] ?? "";
  });
  return values;
}

// Where a request is sent instead, and by which status.
function moved(request, path, query) {
  const behind = query ? `?${query}` : "";
  path = ours(path);
  if (TABLE.clean) {
    let bare = path.replace(/\/index(?:\.html)?\/?$/, "/");
    if (bare === path) bare = path.replace(/\.html\/?$/, "");
    if (!TABLE.slash) bare = bare.replace(/\/+$/, "") || "/";
    if (bare.replace(/\/+$/, "") !== path.replace(/\/+$/, "")) return [bare + behind, 308];
  }
  if (TABLE.slash === false && path !== "/" && path.endsWith("/")) return [path.replace(/\/+$/, "") + behind, 308];
  if (TABLE.slash === true && !path.startsWith("/.well-known/") && /\/[^/.]+$/.test(path)) return [`${path}/${behind}`, 308];
  for (const rule of TABLE.redirects) {
    const values = matches(rule, request, path, query);
    if (!values) continue;
    const to = fill(rule.to, values);
    return [query ? `${to}${to.includes("?") ? "&" : "?"}${query}` : to, rule.status];
  }
}

async function route(request, response) {
  const [path, query = ""] = split(request.url);
  const elsewhere = moved(request, path, query);
  if (elsewhere) return reply(response, elsewhere[1], "", { location: elsewhere[0] });
  for (const rule of TABLE.headers) {
    const values = matches(rule, request, path, query);
    if (values) for (const [key, value] of rule.headers) response.setHeader(fill(key, values), fill(value, values));
  }
  if (await serve(request, response, path, [])) return;
  const parameters = [];
  let now = path;
  for (const rule of TABLE.rewrites) {
    const values = matches(rule, request, now, query);
    if (!values) continue;
    const [to, more = ""] = split(rule.to);
    const used = namesIn(to).some((name) => name in values);
    const plain = Object.entries(values).map(([name, value]) => [name, decoded(value)]);
    for (const [key, value] of new URLSearchParams(more)) parameters.push([key, fill(value, Object.fromEntries(plain))]);
    // What the path does not use goes along as parameters.
    if (!used) parameters.push(...plain.filter(([name]) => !/^\d+$/.test(name)));
    now = fill(to, values);
    if (await serve(request, response, now, parameters)) return;
  }
  if (TABLE.static["/404.html"]) return file(request, response, TABLE.static["/404.html"], 404);
  reply(response, 404, "The page could not be found\n\nNOT_FOUND\n", { "content-type": "text/plain; charset=utf-8" });
}

function split(url) {
  const at = url.indexOf("?");
  return at < 0 ? [url] : [url.slice(0, at), url.slice(at + 1)];
}

// Whether a file or a function has this path, and answered.
async function serve(request, response, path, parameters) {
  const plain = decoded(path);
  const bare = plain.replace(/\/+$/, "");
  for (const name of [plain, `${bare}/index.html`, TABLE.clean ? `${bare}.html` : ""]) {
    if (Object.hasOwn(TABLE.static, name)) {
      await file(request, response, TABLE.static[name], 200);
      return true;
    }
  }
  for (const { source, names, file: name } of TABLE.functions) {
    const found = source.exec(path);
    if (!found) continue;
    const own = names.map((key, at) => [key, decoded(found[at + 1])]);
    await call(request, response, name, [...own, ...parameters.filter(([key]) => !names.includes(key))]);
    return true;
  }
  return false;
}

async function file(request, response, name, status) {
  if (request.method !== "GET" && request.method !== "HEAD") return reply(response, 405, "", { allow: "GET, HEAD" });
  const body = await readFile(join(ROOT, name));
  let kind = KINDS[name.slice(name.lastIndexOf(".") + 1).toLowerCase()] ?? "application/octet-stream";
  if (kind.startsWith("text/") || kind.endsWith("json")) kind += "; charset=utf-8";
  const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`;
  const headers = { etag, "cache-control": "public, max-age=0, must-revalidate" };
  if (status === 200 && (request.headers["if-none-match"] ?? "").includes(etag)) return reply(response, 304, "", headers);
  reply(response, status, body, { "content-type": kind, ...headers });
}

function reply(response, status, body, headers) {
  // What a rule says of a path wins over what is said of a file.
  for (const [name, value] of Object.entries(headers)) if (!response.hasHeader(name)) response.setHeader(name, value);
  response.statusCode = status;
  if (status !== 304) response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}

async function call(request, response, name, parameters) {
  if (parameters.length) request.url += (request.url.includes("?") ? "&" : "?") + new URLSearchParams(parameters);
  let module = await import(pathToFileURL(join(ROOT, name)));
  // CommonJS, and what compilers make of a default export.
  const exported = [module, module.default, module.default?.default].filter(Boolean);
  const byMethod = exported.find((one) => METHODS.some((method) => typeof one[method] === "function"));
  const byFetch = exported.find((one) => typeof one !== "function" && typeof one.fetch === "function");
  const plain = exported.findLast((one) => typeof one === "function");
  const isEdge = exported.some((one) => ["edge", "experimental-edge"].includes(one.config?.runtime));
  if (byMethod) {
    const method = byMethod[request.method] ?? (request.method === "HEAD" ? byMethod.GET : undefined);
    if (!method) return reply(response, 405, "", {});
    return web(request, response, method);
  }
  if (byFetch) return web(request, response, byFetch.fetch.bind(byFetch));
  if (!plain) throw new Error(`${name} exports nothing that can be called`);
  return isEdge ? web(request, response, plain) : helped(request, response, plain);
}

// A function of a web Request.
async function web(request, response, handler) {
  const headers = new Headers();
  for (let at = 0; at < request.rawHeaders.length; at += 2) headers.append(request.rawHeaders[at], request.rawHeaders[at + 1]);
  const host = request.headers["x-forwarded-host"] ?? request.headers.host ?? "localhost";
  const url = new URL(request.url, `${request.headers["x-forwarded-proto"] ?? "http"}://${host}`);
  const over = new AbortController();
  response.on("close", () => over.abort());
  const bodyless = request.method === "GET" || request.method === "HEAD";
  const asked = new Request(url, { method: request.method, headers, signal: over.signal, ...(bodyless ? {} : { body: Readable.toWeb(request), duplex: "half" }) });
  const waitUntil = (promise) => void Promise.resolve(promise).catch(console.error);
  const answer = await handler(asked, { waitUntil });
  if (!(answer instanceof Response)) throw new TypeError("the function must return a Response");
  response.statusCode = answer.status;
  if (answer.statusText) response.statusMessage = answer.statusText;
  for (const [name, value] of answer.headers) if (name !== "set-cookie") response.setHeader(name, value);
  const cookies = answer.headers.getSetCookie();
  if (cookies.length) response.setHeader("set-cookie", cookies);
  if (!answer.body || request.method === "HEAD") return response.end();
  for await (const piece of answer.body) {
    if (!response.write(piece)) await new Promise((go) => response.once("drain", go).once("close", go));
  }
  response.end();
}

// A function of Node's request and response, with what is added to them.
async function helped(request, response, handler) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > LARGEST_BODY) return reply(response, 413, "", {});
    pieces.push(piece);
  }
  const body = Buffer.concat(pieces);
  // The body can be read both ways: parsed, and as a stream.
  const given = new IncomingMessage(request.socket);
  for (const key of ["method", "url", "headers", "rawHeaders", "httpVersion", "httpVersionMajor", "httpVersionMinor"]) given[key] = request[key];
  given.push(body);
  given.push(null);
  const query = {};
  for (const [key, value] of new URLSearchParams(split(given.url)[1] ?? "")) {
    query[key] = Object.hasOwn(query, key) ? [query[key], value].flat() : value;
  }
  lazily(given, "query", () => query);
  lazily(given, "cookies", () => cookiesOf(given.headers.cookie));
  lazily(given, "body", () => parsed(body, given.headers["content-type"]));
  Object.assign(response, {
    status: (code) => Object.assign(response, { statusCode: code }),
    json: (value) => {
      if (!response.hasHeader("content-type")) response.setHeader("content-type", "application/json; charset=utf-8");
      return response.send(JSON.stringify(value));
    },
    send: (value) => {
      if (value !== null && typeof value === "object" && !Buffer.isBuffer(value)) return response.json(value);
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value === null || value === undefined ? "" : String(value));
      if (!response.hasHeader("content-type")) {
        response.setHeader("content-type", Buffer.isBuffer(value) ? "application/octet-stream" : "text/html; charset=utf-8");
      }
      response.setHeader("content-length", bytes.length);
      response.end(request.method === "HEAD" ? undefined : bytes);
      return response;
    },
    redirect: (status, url) => {
      const [code, to] = typeof status === "string" ? [307, status] : [status, url];
      response.writeHead(code, { location: to }).end();
      return response;
    },
  });
  await handler(given, response);
}

function lazily(object, name, make) {
  let made;
  Object.defineProperty(object, name, {
    configurable: true,
    enumerable: true,
    get: () => (made ??= { value: make() }).value,
    set: (value) => (made = { value }),
  });
}

function parsed(body, header) {
  if (!header) return undefined;
  const kind = header.split(";")[0].trim().toLowerCase();
  if (kind === "application/octet-stream") return body;
  if (kind === "text/plain") return body.toString();
  if (kind === "application/x-www-form-urlencoded") {
    const form = {};
    for (const [key, value] of new URLSearchParams(body.toString())) form[key] = Object.hasOwn(form, key) ? [form[key], value].flat() : value;
    return form;
  }
  if (kind !== "application/json") return undefined;
  try {
    return body.length ? JSON.parse(body.toString()) : {};
  } catch {
    throw Object.assign(new Error("Invalid JSON"), { status: 400 });
  }
}

createServer((request, response) => {
  route(request, response).catch((error) => {
    if (error?.status !== 400) console.error(error);
    if (response.headersSent) return response.destroy();
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    const said = error?.status === 400 ? error.message : "A server error has occurred\n\nFUNCTION_INVOCATION_FAILED\n";
    reply(response, error?.status ?? 500, said, { "content-type": "text/plain; charset=utf-8" });
  });
}).listen(Number(process.env.PORT), "0.0.0.0");
