//! The ports lower rooms call and higher rooms answer. Wired once, in `lambent`.

use std::sync::Arc;

use crate::{Account, EnvironmentId, Principal, RequestId, Timestamp};

/// One line (or fragment) of a function's log, as the invoker hands it to `observe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The account whose log it is.
    pub account: Account,
    /// The region whose log it is.
    pub region: crate::Region,
    /// For example `/aws/lambda/hello`.
    pub group: Arc<str>,
    /// For example `2026/11/21/[$LATEST]0123…`, one per execution environment.
    pub stream: Arc<str>,
    /// Product time of the line.
    pub at: Timestamp,
    /// UTF-8 text without the final newline; at most [`crate::limits::LOG_EVENT_BYTES`].
    pub text: String,
    /// How many deliveries led to the invocation that wrote it ([`crate::TraceHeader::hops`]).
    pub hops: u16,
}

/// Where function output goes. Off the answer's path: `write` never blocks and never fails the invocation.
/// A sink that is full drops the batch and counts it, and the stream says so.
pub trait LogSink: Send + Sync {
    /// Takes lines in order of time within each stream.
    fn write(&self, lines: Vec<LogLine>);
}

/// How the execution environment of an invocation came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartKind {
    /// A new environment: sandbox and INIT were on this invocation's path.
    Cold,
    /// An existing environment.
    Warm,
}

/// Where an invocation's time went, microseconds, transport clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases {
    /// From admission to an environment being assigned, less sandbox and init.
    pub queue_us: u64,
    /// Building the walls and starting the runtime process, until its first byte or INIT's start. 0 when warm.
    pub sandbox_us: u64,
    /// The runtime's and the function's INIT. 0 when warm, and when a snapshot was restored instead.
    pub init_us: u64,
    /// Restoring a snapshot of the function after INIT, and what it has asked to run then. 0 when there was none.
    pub restore_us: u64,
    /// From the event's delivery to the response: AWS's Duration.
    pub handler_us: u64,
}

/// How many invocations were under way when one was admitted, itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Concurrency {
    /// Of the function, over all its versions.
    pub function: u32,
    /// Of the account in the region.
    pub account: u32,
    /// Of the account's functions without a reservation, as far as provisioned concurrency does not cover it; none when this one
    /// has a reservation.
    pub unreserved: Option<u32>,
    /// What of the account's concurrency nobody else could have: what is reserved or provisioned, and what else runs.
    pub claimed: u32,
}

/// How much of a version's provisioned concurrency is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProvisionedUse {
    /// Environments that were started ahead and have an invocation.
    pub in_use: u32,
    /// How many are configured, more than 0.
    pub wanted: u32,
}

/// What one finished invocation used: the row of metering and of REPORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    /// The account that pays.
    pub account: Account,
    /// Where it ran.
    pub region: crate::Region,
    /// The qualified function ARN.
    pub function_arn: Arc<str>,
    /// The ARN as the caller named it: an alias, a version, or none.
    pub invoked_arn: Arc<str>,
    /// The invocation.
    pub request: RequestId,
    /// Which environment ran it; none when INIT never began.
    pub environment: Option<EnvironmentId>,
    /// Product time at admission.
    pub at: Timestamp,
    /// Cold or warm.
    pub start: StartKind,
    /// Whether provisioned concurrency covered it: it ran in an environment that was started ahead.
    pub provisioned: bool,
    /// How much of its version's provisioned concurrency was in use when it began, itself included if it was covered; none where
    /// nothing is provisioned.
    pub ready: Option<ProvisionedUse>,
    /// Where the time went.
    pub phases: Phases,
    /// CPU time in user mode during the invocation (INIT included when cold), microseconds.
    pub cpu_user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub cpu_system_us: u64,
    /// Highest memory of the environment so far, bytes.
    pub peak_memory_bytes: u64,
    /// Configured memory, MiB.
    pub memory_mb: u32,
    /// Configured size of `/tmp`, MiB.
    pub tmp_mb: u32,
    /// Whether it ran on arm64; otherwise on x86-64.
    pub arm: bool,
    /// What else was under way.
    pub concurrency: Concurrency,
    /// What AWS bills, milliseconds (init included, as since August 2025).
    pub billed_ms: u64,
    /// Whether the function answered with an error, timed out or crashed.
    pub failed: bool,
    /// Whether its use is counted by a [`Receipt`] that whoever asked for it writes, and not by [`Meter::invoked`].
    pub by_receipt: bool,
}

/// A row that says what one invocation used. Whoever holds an invocation's end durably (the row of an asynchronous event)
/// puts it into the store's space of usage in the same transaction: then its use is neither lost nor counted twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The same for the same invocation.
    pub key: Vec<u8>,
    /// For the meter alone to read.
    pub value: Vec<u8>,
}

/// What became of an asynchronous event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventNews {
    /// It was accepted.
    Received,
    /// It is handed to the function, so long after it was accepted, ms.
    Begins(u64),
    /// It is given up without having succeeded.
    Dropped,
    /// It came at the end of a chain of calls that led back to its function too often, and was given up.
    Recursive,
    /// It could not be sent to its dead-letter queue.
    DeadLetterFailed,
    /// Its end could not be reported to a destination.
    DestinationFailed,
}

/// The environments of one function version that are kept ready: provisioned concurrency, as it is paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReady {
    /// The qualified function ARN.
    pub function_arn: String,
    /// Configured memory of all of them together, MiB.
    pub memory_mb: u64,
    /// Whether they run on arm64; otherwise on x86-64.
    pub arm: bool,
}

/// Where usage goes. Off the answer's path.
pub trait Meter: Send + Sync {
    /// Counts one finished invocation: into metrics, and into usage unless it is counted by receipt.
    fn invoked(&self, row: &Invoked);
    /// Counts one refused for want of concurrency: by the qualified function ARN, and by the ARN as the caller named it.
    fn throttled(&self, account: Account, function_arn: &str, invoked_arn: &str);
    /// Counts what became of an asynchronous event for a function, named by ARN as its caller did.
    fn event(&self, account: Account, invoked_arn: &str, news: EventNews);
    /// Counts code or a layer that a function was given though no publisher it trusts has signed it, by its ARN.
    fn unsigned(&self, account: Account, function_arn: &str);
    /// From `at` on (product time) `all` that is kept ready of a function is this: named by its ARN without qualifier, or of
    /// all functions where none is named.
    fn kept_ready(&self, function_arn: Option<&str>, all: Vec<KeptReady>, at: Timestamp);
    /// The receipt for one finished invocation; none where no account is kept.
    fn receipt(&self, row: &Invoked) -> Option<Receipt>;
    /// Receipts have become durable: they may be counted.
    fn receipted(&self);
}

/// Serves the platform's own endpoint inside a sandbox: the sandbox's listener, tagged with who speaks there.
pub trait SandboxNet: Send + Sync {
    /// Serves `listener`, which lives in the sandbox's network namespace, until the returned guard is dropped.
    fn serve(&self, listener: std::net::TcpListener, principal: Principal) -> Box<dyn Send + Sync>;
}

/// Which addresses a function may reach. The platform's own endpoint is always reachable; loopback, link-local, metadata
/// and host addresses and other sandboxes never are. Ordered by how much is allowed: the smaller of two rules wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Egress {
    /// Nothing but the platform's endpoint.
    None,
    /// Public addresses.
    Public,
    /// Public addresses and the private ranges (10/8, 172.16/12, 192.168/16, 100.64/10).
    All,
}

/// The sockets inside one sandbox at which everything that leaves it arrives. They live in its network namespace; the
/// descriptors are the server's. Non-blocking.
#[derive(Debug)]
pub struct Uplink {
    /// Every TCP connection to an address that is not loopback arrives here, its destination as `SO_ORIGINAL_DST`.
    /// `None` where the host cannot redirect: nothing but loopback can then be reached inside.
    pub tcp: Option<std::net::TcpListener>,
    /// Name queries over UDP, 127.0.0.1 port 53.
    pub dns_udp: std::net::UdpSocket,
    /// Name queries over TCP, 127.0.0.1 port 53.
    pub dns_tcp: std::net::TcpListener,
}

/// Carries what leaves a sandbox.
pub trait Outward: Send + Sync {
    /// Serves `uplink` by `rule` until the returned guard is dropped. `tell` takes lines for the function's log: what could
    /// not be reached, and why. It must not block.
    fn connect(&self, uplink: Uplink, rule: Egress, tell: Box<dyn Fn(String) + Send + Sync>) -> Box<dyn Send + Sync>;
}
