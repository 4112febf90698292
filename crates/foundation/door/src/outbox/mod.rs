//! Outboxes: what changed in one service and must be heard of in another.
//!
//! A service writes a [`Delivery`] in the same transaction as the change itself. [`Drain`] makes the calls, each at least
//! once; what fails is tried again later and in the end parked, where people see it ([`Stuck`]), so that no row ever
//! holds up another.

mod drain;
mod stuck;

pub use drain::Drain;
pub use stuck::Stuck;

use base::{Account, BoxFuture, Fault, Principal, Region, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Rung by whoever wrote a row; the row is the truth.
pub const OUTBOX_BELL: &str = "outbox";

/// Where a row stands: rows are delivered in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Not before; product clock.
    pub due: Timestamp,
    /// Unique among all rows.
    pub id: String,
}

/// What becomes of a row after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was heard: the row goes.
    Delivered,
    /// It is due again at this time, with this value.
    Again(Timestamp, Bytes),
    /// It waits for a person, with this value.
    Parked(Bytes),
}

/// The rows, wherever they are kept. Answered over the store; every answer is durable.
pub trait Outbox: Send + Sync {
    /// The first rows in order that are due at `from` or later, whether now or in future, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    fn first(&self, from: Timestamp, limit: usize) -> Result<Vec<(Place, Bytes)>, Fault>;
    /// Ends an attempt.
    fn settle(&self, place: Place, how: Settled) -> BoxFuture<'_, Result<(), Fault>>;
    /// The parked rows by id, after one of them if it is named, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    fn parked(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Bytes)>, Fault>;
    /// Makes a parked row due again with this value; whether it was parked still.
    fn replay(&self, id: String, due: Timestamp, value: Bytes) -> BoxFuture<'_, Result<bool, Fault>>;
}

/// As whom a delivery is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sender {
    /// A service on behalf of a resource: the target's resource policy must let it in.
    Service {
        /// For example `s3.amazonaws.com`; one of [`SERVICES`].
        name: String,
        /// `aws:SourceArn`.
        source_arn: String,
        /// `aws:SourceAccount`, twelve digits.
        account: String,
    },
    /// A role session: the role's policies decide.
    Role {
        /// Twelve digits.
        account: String,
        /// The role's name.
        role: String,
        /// The session's name.
        session: String,
    },
}

/// The services that send: a principal's name is one of these.
pub const SERVICES: &[&str] = &[
    "apigateway.amazonaws.com",
    "cognito-idp.amazonaws.com",
    "events.amazonaws.com",
    "lambda.amazonaws.com",
    "logs.amazonaws.com",
    "pipes.amazonaws.com",
    "s3.amazonaws.com",
    "scheduler.amazonaws.com",
    "ses.amazonaws.com",
    "sns.amazonaws.com",
    "sqs.amazonaws.com",
    "states.amazonaws.com",
];

impl Sender {
    /// The account it acts in; none if the row does not read.
    pub fn account(&self) -> Option<Account> {
        let (Self::Service { account, .. } | Self::Role { account, .. }) = self;
        account.parse().ok()
    }

    fn principal(&self) -> Option<Principal> {
        let account = self.account()?;
        Some(match self {
            Self::Service { name, source_arn, .. } => Principal::Service {
                name: SERVICES.iter().find(|known| *known == name)?,
                source_arn: source_arn.clone(),
                source_account: account,
            },
            Self::Role { role, session, .. } => {
                Principal::Session { account, role: role.clone(), session: session.clone() }
            }
        })
    }
}

/// What a delivery that is given up counts as: the end of an asynchronous event that nobody will hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The function's ARN, as its caller named it.
    pub function_arn: String,
    /// Meant for the function's dead-letter queue; otherwise for a destination.
    pub dead_letter: bool,
}

/// One call to be made: an AWS request as a client would send it, and who sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The target's service by the model's name, for example `lambda`.
    pub service: String,
    /// The operation, for example `Invoke`.
    pub operation: String,
    /// As whom.
    pub sender: Sender,
    /// Where.
    pub region: String,
    /// The request's path, percent-encoded.
    pub path: String,
    /// The request's query.
    #[serde(default)]
    pub query: String,
    /// The request's headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// When the change happened, ms since the epoch, product clock.
    pub first_ms: i64,
    /// How many calls led to this one.
    pub depth: u16,
    /// The X-Ray trace header.
    #[serde(default)]
    pub trace: Option<String>,
    /// How often it failed.
    #[serde(default)]
    pub attempts: u32,
    /// Why it failed last: a fault's code and message.
    #[serde(default)]
    pub last_error: Option<String>,
    /// Whom the metrics tell when it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// The request's body. It follows the rest in a row.
    #[serde(skip)]
    pub body: Bytes,
}

impl Delivery {
    /// The row's value: JSON, a line feed, the body as it is.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = serde_json::to_vec(self).expect("text and numbers are JSON");
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out.into()
    }

    /// Reads a row's value; none if it is none.
    pub fn read(value: &Bytes) -> Option<Self> {
        // JSON of one line holds no line feed.
        let end = value.iter().position(|byte| *byte == b'\n')?;
        let delivery: Self = serde_json::from_slice(&value[..end]).ok()?;
        Some(Self { body: value.slice(end + 1..), ..delivery })
    }

    fn region(&self) -> Option<Region> {
        self.region.parse().ok()
    }
}

/// When a delivery is tried again after its n-th failure, ms later: four hours in all.
const AGAIN_MS: [i64; 8] = [1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000];
/// Failures after which a delivery is parked that no later try will mend: the caller's own (4xx), throttles excepted.
const OWN_FAULTS: u32 = 3;

/// When to try again after `attempts` failures, of which `fault` was the last; none to park it.
fn again_ms(attempts: u32, fault: &Fault) -> Option<i64> {
    let is_own = fault.status < 500 && fault.status != 429 && !fault.code.starts_with("Throttling");
    if is_own && attempts >= OWN_FAULTS {
        return None;
    }
    AGAIN_MS.get(usize::try_from(attempts.checked_sub(1)?).ok()?).copied()
}
