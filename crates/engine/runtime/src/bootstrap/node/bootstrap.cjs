// Runs a Node.js function: takes events from the Lambda Runtime API, calls the handler, posts what came of it.
//
// Behaves as AWS's managed runtimes for Node.js 18 to 24 do. While a handler runs, the connection does not keep the event
// loop alive: an empty loop is how Node tells that a function has nothing left to do.
//
// With the argument `ahead` it is started before its function is known: it makes itself ready, says so and waits.
"use strict";

const fs = require("fs");
const net = require("net");
const path = require("path");
const { format } = require("util");

const env = process.env;
if (process.argv[2] === "ahead") waitForFunction();
const address = env.AWS_LAMBDA_RUNTIME_API;
const JSON_LOGS = (env.AWS_LAMBDA_LOG_FORMAT || "").toUpperCase() === "JSON";
// From Node.js 24 on, handlers answer by their return value alone.
const CALLBACKS = !(Number((env.AWS_EXECUTION_ENV || "").match(/nodejs(\d+)/)?.[1]) >= 24);
const REQUEST_ID = Symbol.for("aws.lambda.runtime.requestId");
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HIGH_WATER_MARK = Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark");

/// Makes ready what every function needs, and waits for one. Its folder and its variables come on the standard input, each
/// ended by a NUL byte.
function waitForFunction() {
  process.argv.splice(2);
  new net.Socket().destroy();
  fs.writeSync(0, `${process.pid}\n`);
  const parts = [];
  for (let length = 1; length > 0; ) {
    const buffer = Buffer.allocUnsafe(65536);
    length = fs.readSync(0, buffer);
    parts.push(buffer.subarray(0, length));
  }
  const [folder, ...variables] = Buffer.concat(parts).toString().split("\0").slice(0, -1);
  // The platform has gone.
  if (folder === undefined) process.exit(0);
  // The lowest number is the one that was just closed.
  fs.closeSync(0);
  fs.openSync("/dev/null");
  for (const name of Object.keys(env)) delete env[name];
  for (const variable of variables) {
    const equals = variable.indexOf("=");
    env[variable.slice(0, equals)] = variable.slice(equals + 1);
  }
  process.chdir(folder);
}

class RuntimeError extends Error {
  constructor(type, message) {
    super(message);
    this.name = `Runtime.${type}`;
  }
}

// ---- The log ----

function write(text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      // A pipe that the function made non-blocking is full for the moment.
      if (error.code !== "EAGAIN") return;
    }
  }
}

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };

/// One event, one line: what is parted by newlines within is parted by carriage returns.
function log(level, args) {
  const time = new Date().toISOString();
  const id = globalThis[REQUEST_ID];
  const line = JSON_LOGS ? jsonLine(time, id, level, args) : `${time}\t${id}\t${level}\t${format(...args)}`;
  write(line.replace(/\n/g, "\r") + "\n");
}

function jsonLine(timestamp, requestId, level, args) {
  const line = { timestamp, level, requestId };
  if (args.length === 1) {
    line.message = args[0];
    try {
      return JSON.stringify(line, (_key, value) => (value instanceof Error ? errorFields(value) : value));
    } catch {
      line.message = format(args[0]);
      return JSON.stringify(line);
    }
  }
  line.message = format(...args);
  const error = args.find((arg) => arg instanceof Error);
  if (error) Object.assign(line, errorFields(error));
  return JSON.stringify(line);
}

function errorFields(error) {
  const stackTrace = typeof error.stack === "string" ? error.stack.split("\n") : error.stack;
  return { errorType: error.constructor?.name ?? "UnknownError", errorMessage: error.message, stackTrace, ...error };
}

function patchConsole() {
  const least = LEVELS[(env.AWS_LAMBDA_LOG_LEVEL || "").toUpperCase()] ?? LEVELS.TRACE;
  for (const [level, rank] of Object.entries(LEVELS)) {
    console[level.toLowerCase()] = rank >= least ? (...args) => log(level, args) : () => {};
  }
  console.log = console.info;
}

/// Writes an error of the handler or of INIT as the managed runtimes do: its fields, enumerable ones included, as JSON.
function logError(what, error) {
  const shown = error instanceof Error ? error : new Error(String(error));
  if (JSON_LOGS) return console.error(shown);
  const fields = (_key, value) => {
    if (!(value instanceof Error)) return value;
    const all = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
    if (typeof value.stack === "string") all.stack = value.stack.split("\n");
    return all;
  };
  let text;
  try {
    text = JSON.stringify(shown, fields);
  } catch {
    text = JSON.stringify(errorObject(error));
  }
  console.error(what, "\t" + text);
}

/// What is posted for an error.
function errorObject(error) {
  try {
    const isError = error instanceof Error || (error && typeof error.stack === "string" && typeof error.name === "string");
    if (isError) return { errorType: error.name, errorMessage: error.message, trace: String(error.stack).split("\n") };
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    const errorMessage =
      "callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack";
    return { errorType: "handled", errorMessage, trace: [] };
  }
}

// ---- The Runtime API, over one kept-alive connection ----

const NEXT = `GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: ${address}\r\n\r\n`;
const HEAD_END = Buffer.from("\r\n\r\n");

let socket;
// What has arrived of an answer that is not complete.
let parts = [];
let arrived = 0;
let wanted = 0;
// Called with each complete answer: status, headers, body.
let answered = () => {};

function connect() {
  const [host, port] = address.split(":");
  socket = net.connect({ host, port: Number(port), noDelay: true });
  // The platform has gone, and with it the reason to be.
  socket.on("error", () => process.exit(1));
  socket.on("close", () => process.exit(1));
  socket.on("data", (data) => {
    parts.push(data);
    arrived += data.length;
    if (arrived >= wanted) takeAnswers();
  });
}

function takeAnswers() {
  let bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts, arrived);
  wanted = 0;
  for (;;) {
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) break;
    const [statusLine, ...lines] = bytes.toString("utf8", 0, end).split("\r\n");
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const start = end + 4;
    const length = Number(headers["content-length"] || 0);
    if (bytes.length < start + length) {
      wanted = start + length;
      break;
    }
    const body = bytes.subarray(start, start + length);
    bytes = bytes.subarray(start + length);
    answered(Number(statusLine.slice(9, 12)), headers, body);
  }
  parts = bytes.length > 0 ? [bytes] : [];
  arrived = bytes.length;
}

function post(where, body, more, then = "") {
  const length = Buffer.byteLength(body);
  const head = `POST /2018-06-01/runtime/${where} HTTP/1.1\r\nHost: ${address}\r\nContent-Length: ${length}\r\n${more}\r\n`;
  if (typeof body === "string" && length < 65536) return socket.write(head + body + then);
  socket.cork();
  socket.write(head);
  socket.write(body);
  if (then) socket.write(then);
  process.nextTick(() => socket.uncork());
}

function postError(where, error, then) {
  const object = errorObject(error);
  const type = String(object.errorType).replace(/[^\x20-\x7e]/g, "?");
  post(where, JSON.stringify(object), `Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: ${type}\r\n`, then);
}

// ---- One event after the other ----

let handler;
// The event being handled; none while the next one is waited for.
let current;
// What to do when the event loop is empty.
let whenEmpty = () => {};

/// Ends the current event: posts `send`, and asks for the next one in the same breath.
function finish(invocation, send) {
  whenEmpty = () => {};
  current = undefined;
  socket.ref();
  send(invocation.id);
}

function succeed(invocation, result) {
  let body;
  try {
    body = JSON.stringify(result === undefined ? null : result);
    // Functions and symbols have no JSON at all.
    if (body === undefined) body = "null";
  } catch {
    return fail(invocation, new RuntimeError("JSONStringifyError", "Unable to stringify response body"));
  }
  finish(invocation, (id) => post(`invocation/${id}/response`, body, "Content-Type: application/json\r\n", NEXT));
}

function fail(invocation, error) {
  logError("Invoke Error", error);
  hint(error);
  finish(invocation, (id) => postError(`invocation/${id}/error`, error, NEXT));
}

/// The parts of the context, and the callback, with which handlers before Node.js 24 may answer. The first one counts.
function callbacks(invocation) {
  let waits = true;
  const once = (end) => (...args) => {
    if (invocation.answered) return;
    invocation.answered = true;
    end(...args);
  };
  const done = (error, result) => (error === undefined || error === null ? succeed(invocation, result) : fail(invocation, error));
  const callback = once((error, result) => {
    if (error !== undefined && error !== null) return fail(invocation, error);
    if (!waits) return succeed(invocation, result);
    whenEmpty = () => setImmediate(() => succeed(invocation, result));
  });
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: once((result) => done(null, result)),
    fail: once((error) => done(error ?? "handled")),
    done: once(done),
  };
  return { callback, context };
}

function contextOf(headers, own) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const json = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return Object.assign(own, {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: json("lambda-runtime-client-context"),
    identity: json("lambda-runtime-cognito-identity"),
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    tenantId: headers["lambda-runtime-aws-tenant-id"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  });
}

function handle(headers, body) {
  const id = headers["lambda-runtime-aws-request-id"];
  const invocation = { id, answered: false };
  current = invocation;
  globalThis[REQUEST_ID] = id;
  const trace = headers["lambda-runtime-trace-id"];
  if (trace) env._X_AMZN_TRACE_ID = trace;
  else delete env._X_AMZN_TRACE_ID;
  if (handler[STREAMING]) return void handleStreamed(invocation, headers, body);
  whenEmpty = () => {
    if (invocation.answered) return;
    invocation.answered = true;
    if (CALLBACKS && handler.constructor?.name !== "AsyncFunction") succeed(invocation, null);
    else fail(invocation, neverSettled());
  };
  socket.unref();
  const { callback, context } = callbacks(invocation);
  try {
    const whole = contextOf(headers, CALLBACKS ? context : {});
    const event = JSON.parse(body);
    const result = CALLBACKS ? handler(event, whole, callback) : handler(event, whole);
    if (typeof result?.then === "function") result.then(context.succeed, context.fail);
    else if (!CALLBACKS) context.succeed(result);
  } catch (error) {
    callback(error);
  }
}

function neverSettled() {
  return new RuntimeError(
    "NodeJsExit",
    "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that " +
      "was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes",
  );
}

// ---- Responses that go out as they are written ----

const { Writable } = require("stream");
const PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response";
const ERROR_TYPE = "Lambda-Runtime-Function-Error-Type";
const ERROR_BODY = "Lambda-Runtime-Function-Error-Body";

/// What a streaming handler writes to. The request that carries the response begins with the first write, or with the end.
class ResponseStream extends Writable {
  #id;
  #begun = false;
  #complete = false;
  #type = "application/octet-stream";

  constructor(id, highWaterMark) {
    super({ highWaterMark });
    this.#id = id;
  }

  get begun() {
    return this.#begun;
  }

  /// Whether its end has been sent.
  get complete() {
    return this.#complete;
  }

  setContentType(type) {
    if (this.#begun) {
      const error = new Error("Cannot set content-type, too late.");
      error.name = "InvalidStreamingOperation";
      throw error;
    }
    this.#type = type;
  }

  write(chunk, ...more) {
    return super.write(this.#bytes(chunk), ...more);
  }

  end(chunk, ...more) {
    if (chunk === undefined || chunk === null || typeof chunk === "function") return super.end(chunk, ...more);
    return super.end(this.#bytes(chunk), ...more);
  }

  /// What is neither text nor bytes goes out as JSON.
  #bytes(chunk) {
    return typeof chunk === "string" || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk);
  }

  _write(chunk, _encoding, callback) {
    this.#send([chunk], "", callback);
  }

  _writev(chunks, callback) {
    this.#send(chunks.map(({ chunk }) => chunk), "", callback);
  }

  _final(callback) {
    this.#complete = true;
    this.#send([], "0\r\n\r\n", callback);
  }

  /// Ends the response with an error, which stands in trailers behind what has been written.
  fail(error) {
    this.#complete = true;
    const object = errorObject(error);
    const type = String(object.errorType).replace(/[^\x20-\x7e]/g, "?");
    const body = Buffer.from(JSON.stringify(object)).toString("base64");
    this.#send([], `0\r\n${ERROR_TYPE}: ${type}\r\n${ERROR_BODY}: ${body}\r\n\r\n`);
    // What is written from now on has nowhere to go.
    this.destroy();
  }

  #send(pieces, after, callback) {
    socket.cork();
    if (!this.#begun) {
      this.#begun = true;
      socket.write(
        `POST /2018-06-01/runtime/invocation/${this.#id}/response HTTP/1.1\r\nHost: ${address}\r\n` +
          `Content-Type: ${this.#type}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n` +
          `Transfer-Encoding: chunked\r\nTrailer: ${ERROR_TYPE}, ${ERROR_BODY}\r\n\r\n`,
      );
      if (pieces.length > 0 || callback) this._onBeforeFirstWrite?.((bytes) => this.#chunk([Buffer.from(bytes)]));
    }
    this.#chunk(pieces);
    // Nothing to write is written too: its callback comes when all before it has gone out.
    socket.write(after, callback);
    process.nextTick(() => socket.uncork());
  }

  #chunk(pieces) {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length === 0) return;
    socket.write(length.toString(16) + "\r\n");
    for (const piece of pieces) socket.write(piece);
    socket.write("\r\n");
  }
}

class HttpResponseStream {
  static from(stream, metadata) {
    stream.setContentType(PRELUDE_TYPE);
    stream._onBeforeFirstWrite = (write) => {
      write(JSON.stringify(metadata));
      write(new Uint8Array(8));
    };
    return stream;
  }
}

/// Runs a handler that writes its response. The event is over when the response is, and the next one is asked for when the
/// event loop is empty.
async function handleStreamed(invocation, headers, body) {
  const response = (invocation.stream = new ResponseStream(invocation.id, handler[HIGH_WATER_MARK]));
  let waits = true;
  const own = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
  };
  // What the handler does once the next event has been asked for is too late.
  const next = () => {
    if (current === invocation) finish(invocation, () => socket.write(NEXT));
  };
  const over = () => {
    if (current !== invocation) return;
    if (waits) whenEmpty = next;
    else next();
  };
  const fails = (error) => {
    if (invocation.answered) return;
    invocation.answered = true;
    logError("Invoke Error", error);
    hint(error);
    // A response that the handler has ended stays what it is.
    if (response.writableEnded && !response.destroyed) {
      if (response.writableFinished) over();
      else response.once("finish", over);
      return;
    }
    if (!response.complete) response.fail(error);
    over();
  };
  const finished = new Promise((ok, no) => response.once("finish", ok).once("error", no));
  finished.catch(fails);
  whenEmpty = () => {
    if (!response.complete) {
      const error = new Error("Response stream is not finished.");
      if (!invocation.answered) logError("Invoke Error", error);
      response.fail(error);
    }
    invocation.answered = true;
    next();
  };
  socket.unref();
  try {
    const result = handler(JSON.parse(body), response, contextOf(headers, own));
    if (typeof result?.then !== "function") throw new Error("Streaming does not support non-async handlers.");
    if ((await result) !== undefined) console.warn("Streaming handlers ignore return values.");
    await finished;
    invocation.answered = true;
    over();
  } catch (error) {
    fails(error);
  }
}

// ---- The function's code ----

function splitHandler(name) {
  if (name.includes("..")) {
    const why = "is not a valid handler name. Use absolute paths when specifying root directories in handler names.";
    throw new RuntimeError("MalformedHandlerName", `'${name}' ${why}`);
  }
  const base = path.basename(name);
  const dot = base.indexOf(".");
  if (dot < 0) throw new RuntimeError("MalformedHandlerName", "Bad handler");
  return { folder: name.slice(0, name.indexOf(base)), module: base.slice(0, dot), names: base.slice(dot + 1) };
}

/// Whether the nearest package.json makes `.js` files ECMAScript modules.
function isModuleFolder(folder) {
  if (folder.endsWith("/node_modules")) return false;
  const file = path.join(folder, "package.json");
  if (fs.existsSync(file)) {
    try {
      return JSON.parse(fs.readFileSync(file)).type === "module";
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return folder !== "/" && isModuleFolder(path.dirname(folder));
}

async function loadModule(root, { folder, module }) {
  const file = path.resolve(root, folder, module);
  const isModule = isModuleFolder(path.dirname(file));
  const typescript = Number(process.versions.node.split(".")[0]) >= 24;
  const candidates = [["", false], [".js", isModule], [".mjs", true], [".cjs", false]];
  if (typescript) candidates.push([".ts", isModule], [".mts", true], [".cts", false]);
  for (const [extension, asModule] of candidates) {
    const name = file + extension;
    if (fs.statSync(name, { throwIfNoEntry: false })?.isFile()) return asModule ? await import(name) : require(name);
  }
  // A folder with an index.js.
  if (fs.existsSync(file)) return require(file);
  return require(require.resolve(module, { paths: [root, path.join(root, folder)] }));
}

async function load(root, name) {
  const parts = splitHandler(name);
  let module;
  try {
    module = await loadModule(root, parts);
  } catch (error) {
    if (error instanceof SyntaxError) {
      const fault = new RuntimeError("UserCodeSyntaxError", String(error));
      fault.stack = error.stack;
      throw fault;
    }
    if (error?.code === "MODULE_NOT_FOUND") {
      hint(error);
      throw new RuntimeError("ImportModuleError", String(error));
    }
    if (error?.code === "ERR_MODULE_NOT_FOUND") hint(error);
    throw error;
  }
  const find = (from) => parts.names.split(".").reduce((found, key) => found?.[key], from);
  const found = find(module) ?? find(module?.default);
  if (!found) throw new RuntimeError("HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof found !== "function") throw new RuntimeError("HandlerNotFound", `${name} is not a function`);
  if (!CALLBACKS && found.length >= 3 && !found[STREAMING]) {
    throw new RuntimeError(
      "CallbackHandlerDeprecated",
      "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to " +
        "modify this function to use a supported handler signature to use Node.js 24 or later. For more information see " +
        "https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.",
    );
  }
  return found;
}

/// Says how to get what the managed runtime would have brought.
function hint(error) {
  const missing = /Cannot find (?:module|package) '(aws-sdk|@aws-sdk\/[^'/]+|@smithy\/[^'/]+)/.exec(String(error?.message))?.[1];
  if (!missing || error.hinted) return;
  Object.defineProperty(error, "hinted", { value: true });
  write(
    `Lambent: ${missing} is part of AWS's managed runtime and not of this interpreter: ` +
      `add it to package.json; lambent deploy installs it\n`,
  );
}

// ---- The process ----

/// An error that nothing in the function caught: it is posted, and the process ends.
function die(what, error, code) {
  logError(what, error);
  // What is cut off says that it failed.
  if (current?.stream?.begun) process.exit(code);
  const where = current ? `invocation/${current.id}/error` : handler ? undefined : "init/error";
  if (!where) process.exit(code);
  // This is the event's answer, and the last one: neither the handler nor an empty loop may give another, behind which the
  // platform's receipt would wait for an event that this process must not take.
  if (current) current.answered = true;
  whenEmpty = () => {};
  answered = () => process.exit(code);
  socket.ref();
  postError(where, error);
}

async function main() {
  patchConsole();
  const off = ["1", "true"].includes(env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA);
  if (!off) {
    globalThis.awslambda = {
      streamifyResponse(handler, options) {
        handler[STREAMING] = "response";
        if (typeof options?.highWaterMark === "number") handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
        return handler;
      },
      HttpResponseStream,
    };
  }
  // Before the function's code: it may change the environment.
  connect();
  process.on("uncaughtException", (error) => die("Uncaught Exception", error, 129));
  process.on("unhandledRejection", (reason, promise) => {
    const error = new RuntimeError("UnhandledPromiseRejection", String(reason));
    Object.assign(error, { reason, promise });
    die("Unhandled Promise Rejection", error, 128);
  });
  process.on("beforeExit", () => whenEmpty());
  try {
    handler = await load(env.LAMBDA_TASK_ROOT, env._HANDLER);
  } catch (error) {
    return die("Uncaught Exception", error, 129);
  }
  answered = (status, headers, body) => {
    if (status === 200) handle(headers, body);
    else if (status >= 300) write(`The answer was refused: ${body}\n`);
  };
  socket.write(NEXT);
}

main();
