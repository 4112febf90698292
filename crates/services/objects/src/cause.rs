//! Why something changes: who asked for it, by which request, at the end of which chain of calls.

use base::{Principal, RequestId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use door::{Context, Via};

/// What those who hear of a change are told of its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Who: `AWS:<user>`, `AWS:<role>:<session>`, the customer id of an account's root, or a service's name.
    pub(crate) principal: String,
    /// From where: an address, or `AWS Internal`.
    pub(crate) source: String,
    /// `x-amz-request-id` of the answer.
    pub(crate) request: String,
    /// `x-amz-id-2` of the answer.
    pub(crate) host: String,
    /// The trace header that came along. It tells which functions led to the change.
    pub(crate) trace: Option<String>,
    /// How many calls led to it.
    pub(crate) depth: u16,
}

impl Cause {
    /// A call.
    pub(crate) fn of(context: &Context) -> Self {
        let source = match (context.origin.source_ip, context.via) {
            (Some(ip), _) => ip.to_canonical().to_string(),
            // What a sandbox is called inside says nothing outside.
            (None, Via::Sandbox | Via::Client { .. }) => "127.0.0.1".to_owned(),
            (None, Via::Room(_)) => "AWS Internal".to_owned(),
        };
        Self {
            principal: principal(&context.principal),
            source,
            trace: context.trace.clone(),
            depth: context.depth,
            ..Self::internal(context.request_id)
        }
    }

    /// This room's own doing, by a bucket's configuration: what lifecycles do.
    pub(crate) fn internal(request: RequestId) -> Self {
        let request = request.to_string();
        Self {
            principal: "s3.amazonaws.com".to_owned(),
            source: "s3.amazonaws.com".to_owned(),
            host: STANDARD.encode(&request),
            request,
            trace: None,
            depth: 0,
        }
    }
}

/// The name of who calls, in the form that AWS has for unique ids.
fn principal(who: &Principal) -> String {
    match who {
        Principal::Anonymous => "Anonymous".to_owned(),
        Principal::Root { account, .. } => customer_id(account.as_str()),
        Principal::User { name, .. } => format!("AWS:{name}"),
        Principal::Session { role, session, .. } => format!("AWS:{role}:{session}"),
        Principal::Service { name, .. } => (*name).to_owned(),
    }
}

/// The fourteen letters and digits by which events call an account, made of its twelve digits.
pub(crate) fn customer_id(account: &str) -> String {
    let digest = store::Digest::of(format!("customer {account}").as_bytes()).to_string();
    format!("A{}", digest[..13].to_uppercase())
}
