//! Limits that more than one room keeps. AWS's numbers are from the Lambda quotas page.

/// Largest request and response of a synchronous invocation, bytes (6 MB as AWS counts it: 6,291,556 with envelope).
pub const SYNC_PAYLOAD_BYTES: usize = 6_291_556;
/// Largest event of an asynchronous invocation, bytes (1 MB since October 2025).
pub const ASYNC_PAYLOAD_BYTES: usize = 1_048_576;
/// Largest deployment package sent inline, zipped, bytes.
pub const ZIP_BYTES: usize = 52_428_800;
/// Largest deployment package unpacked, layers included, bytes.
pub const UNZIPPED_BYTES: u64 = 262_144_000;
/// Most files in one deployment package: ours, against inode bombs.
pub const ZIP_ENTRIES: usize = 100_000;
/// Largest HTTP request body at the front door for control-plane calls, bytes: 50 MB of zip as base64 in JSON, and room.
pub const REQUEST_BODY_BYTES: usize = 72 * 1024 * 1024;
/// Largest sum of environment variables, bytes.
pub const ENVIRONMENT_BYTES: usize = 4096;
/// Bytes of the log that `LogType=Tail` returns.
pub const LOG_TAIL_BYTES: usize = 4096;
/// Largest single log event, bytes (CloudWatch Logs).
pub const LOG_EVENT_BYTES: usize = 1_048_576;
/// Environments that a function may start in ten seconds (Lambda's concurrency scaling rate).
pub const ENVIRONMENT_BURST: u32 = 1000;
/// Concurrent executions of an account unless told otherwise.
pub const ACCOUNT_CONCURRENCY: u32 = 1000;
/// Concurrency that reservations must leave unreserved.
pub const MIN_UNRESERVED_CONCURRENCY: u32 = 100;
/// Time INIT may take on demand, ms.
pub const INIT_TIMEOUT_MS: u64 = 10_000;
/// Calls a chain of in-process calls may be deep.
pub const CALL_DEPTH: u16 = 16;
