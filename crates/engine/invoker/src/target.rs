//! What is asked of this room: a function version that can run, and one event for it.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use base::{Account, Egress, Principal, Region, RequestId, Timestamp};
use bytes::Bytes;
use runtime::Sink;
use sandbox::{Ahead, Image, Isolation};

/// Names one function version as it is configured now.
///
/// Environments are made for exactly one key. When an invocation comes with another `revision` of the same function and
/// version, environments of the earlier one are retired: idle ones end now, running ones when they have answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetKey {
    /// The function's ARN without qualifier. Reserved concurrency counts over all versions of it.
    pub function: Arc<str>,
    /// `$LATEST` or a number.
    pub version: Arc<str>,
    /// Changes with every change of code or configuration.
    pub revision: Arc<str>,
}

/// The role's temporary credentials, fresh at each call.
pub type Credentials = Arc<dyn Fn() -> Granted + Send + Sync>;

/// What one environment is given.
#[derive(Clone)]
pub struct Granted {
    /// As environment variables.
    pub variables: Vec<(String, String)>,
    /// As a document that a program asks for (see [`runtime::Credentials`]), for environments whose memory is older than they
    /// are.
    pub document: Bytes,
    /// When they end, signing clock: no invocation begins that might outlast them.
    pub ends: Timestamp,
}

/// Everything needed to run one function version. Built once per revision and shared by its invocations.
#[derive(Clone)]
pub struct Target {
    /// Which environments serve it.
    pub key: TargetKey,
    /// The account that owns the function: whose concurrency counts, and the tenant of the walls.
    pub account: Account,
    /// Where it is: concurrency is counted per account and region.
    pub region: Region,
    /// The qualified ARN, for metering.
    pub function_arn: Arc<str>,
    /// The function's name.
    pub function_name: Arc<str>,
    /// Memory, MiB (128..=10240); decides the CPU share: 1,769 MiB are one CPU.
    pub memory_mb: u32,
    /// The function's timeout, ms (1,000..=900,000).
    pub timeout_ms: u64,
    /// Size of `/tmp`, MiB (512..=10240).
    pub tmp_mb: u32,
    /// The environment variables that all environments of this revision share. The invoker adds those that differ:
    /// `AWS_LAMBDA_RUNTIME_API`, `AWS_LAMBDA_LOG_STREAM_NAME`, the credentials, and `AWS_ENDPOINT_URL` unless it is here.
    /// Those under SnapStart have no log stream's name, and the address of the credentials instead of them.
    pub env: Vec<(String, String)>,
    /// How RESTORE_START names the runtime: its version and that version's ARN, as AWS prints them.
    pub runtime: Arc<str>,
    /// Gives credentials to a new environment. `None` leaves them out.
    pub credentials: Option<Credentials>,
    /// The program and its arguments, as seen inside.
    pub argv: Vec<OsString>,
    /// How the program may be started before it is known for whom.
    pub ahead: Option<Ahead>,
    /// The file system. Its bytecode is left to `bytecode`.
    pub image: Image,
    /// What was or will be compiled of code and layers: what is there by then, a new environment finds.
    pub bytecode: Vec<Bytecode>,
    /// How it serves, where the program listens on a port instead of asking for events.
    pub web: Option<Web>,
    /// The port of this host's loopback at which debuggers of it connect; none for what is not debugged.
    pub debug: Option<u16>,
    /// What keeps its environments apart from the host.
    pub isolation: Isolation,
    /// Which addresses it may reach.
    pub egress: Egress,
    /// For example `/aws/lambda/hello`.
    pub log_group: Arc<str>,
    /// Who the function is when it calls the platform's own endpoint; none for what finds no endpoint.
    pub principal: Option<Principal>,
    /// Said in the log of every new environment and in every answer, for example which interpreter stands in.
    pub notes: Vec<String>,
}

/// Bytecode that may come to be there later.
#[derive(Debug, Clone)]
pub struct Bytecode {
    /// The host's file, once it is there.
    pub file: Arc<OnceLock<PathBuf>>,
    /// Where it appears: a name in [`sandbox::BYTECODE`].
    pub name: String,
}

/// A program that listens on [`runtime::web::PORT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Requests at a time in one environment, 1 or more.
    pub concurrency: u32,
    /// What must answer below 500 before the first request goes in; none where it is enough that the port is listened on.
    pub ready: Option<http::uri::PathAndQuery>,
}

impl fmt::Debug for Target {
    // Environment variables are never logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("key", &self.key).field("memory_mb", &self.memory_mb).finish_non_exhaustive()
    }
}

/// One event for a target.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its id, in START, END, REPORT and the Runtime API.
    pub request_id: RequestId,
    /// The event's bytes, never parsed.
    pub payload: Bytes,
    /// The `X-Amzn-Trace-Id` to hand on.
    pub trace: Option<String>,
    /// The client context, JSON, decoded.
    pub client_context: Option<String>,
    /// The ARN as the caller named it, with qualifier.
    pub invoked_arn: Arc<str>,
    /// Whether [`crate::Done::tail`] is wanted.
    pub want_tail: bool,
    /// Whether whoever asks counts its use by a [`base::Receipt`].
    pub by_receipt: bool,
    /// Where the response goes as it is written. [`crate::Handle::stream`] sets it; without one [`crate::Done`] holds it whole.
    pub sink: Option<Sink>,
}
