//! Web functions: programs that listen on a port and serve many requests at a time.
//!
//! The requests of one environment are a crowd ([`crate::crowd`]). An environment with requests is one concurrent execution,
//! however many they are: it takes one permit, and its time is billed once. Each request that ends is given the time since the
//! one that ended before it, so that the rows of all sum up to the time the environment was in use.

mod body;
mod hall;
mod member;
mod wire;

use std::sync::Arc;

use base::RequestId;
use runtime::web;

pub use body::{WebBody, WebBroken};
use hall::Hall;
use member::{Called, Member};
pub use wire::WebWire;

use crate::engine::{Engine, Running};
use crate::{Done, Refusal, Target};

/// One request to a web function.
#[derive(Debug)]
pub struct WebCall {
    /// Its id, in REPORT.
    pub request_id: RequestId,
    /// The `X-Amzn-Trace-Id` it belongs to: how many calls led to it is said in it.
    pub trace: Option<String>,
    /// The ARN as the caller named it, with qualifier.
    pub invoked_arn: Arc<str>,
    /// Whether [`Done::tail`] is wanted: it then holds the platform's lines alone, since requests share their output.
    pub want_tail: bool,
    /// Whether whoever asks counts its use by a [`base::Receipt`].
    pub by_receipt: bool,
    /// The least status that is a failure of the function; none where every answer is as good as another.
    pub fails_from: Option<u16>,
    /// The protocol to which the connection is to switch, if any.
    pub switch: Option<&'static str>,
    /// What the program is asked.
    pub request: web::Request,
}

/// What came of a request.
#[derive(Debug)]
pub enum Answered {
    /// The program answers.
    Answer {
        /// Status and headers, without those about the connection.
        head: http::response::Parts,
        /// The rest.
        body: Box<WebBody>,
    },
    /// It has switched to the protocol it was asked for.
    Switched {
        /// Status and headers, without those about the connection.
        head: http::response::Parts,
        /// The rest.
        wire: Box<WebWire>,
    },
    /// It does not: [`Done::result`] says why.
    Failed(Box<Done>),
}

/// What a crowd has, or why it has nothing.
pub(crate) type Opened = Result<Arc<Hall>, Shut>;

/// Why there is no environment.
#[derive(Debug, Clone)]
pub(crate) enum Shut {
    Refused(Refusal),
    /// The function failed before it could serve; `of` is the request of which that is, and which has been metered.
    Failed {
        of: RequestId,
        done: Arc<Done>,
    },
}

/// Hands one request to the program of its function.
pub(crate) async fn run(engine: Arc<Engine>, target: Arc<Target>, call: WebCall) -> Result<Answered, Refusal> {
    let running = Running::begin(Arc::clone(&engine))?;
    let Some(places) = target.web.as_ref().map(|web| web.concurrency) else {
        return Err(Refusal::Walls { message: "the function serves no port".to_owned(), fix: None });
    };
    let clocks = &*engine.options.clocks;
    let (admitted, at) = (clocks.monotonic(), clocks.product());
    let pool = engine.pool(&target);
    let WebCall { request_id, trace, invoked_arn, want_tail, by_receipt, fails_from, switch, request } = call;
    let line = format!("{} {}", request.method(), request.uri().path());
    let (mut crowd, mut opens) = pool.crowds.join(places);
    let mut member = Member {
        target: Arc::clone(&target),
        pool: Arc::clone(&pool),
        crowd: Arc::clone(&crowd),
        hall: None,
        birth: None,
        call: Called { request_id, invoked_arn, want_tail, by_receipt, fails_from, line },
        admitted,
        at,
        begun: admitted,
        first_byte_us: None,
        status: None,
        inside: true,
        _running: running,
        engine: Arc::clone(&engine),
    };
    loop {
        if opens {
            member.open(trace.clone());
        }
        let opened = match crowd.now() {
            Some(opened) => opened,
            None => crowd.opened().await,
        };
        let hall = match opened {
            Ok(hall) => hall,
            Err(Shut::Refused(refusal)) => return Err(refusal),
            Err(Shut::Failed { of, done }) => return Ok(Answered::Failed(Box::new(member.shut_out(of, &done)))),
        };
        let ended = hall.has_ended();
        member.hall = Some(hall);
        if !ended {
            break;
        }
        // Its program has gone meanwhile: another takes its place.
        pool.crowds.close(&crowd);
        member.leave();
        (crowd, opens) = pool.crowds.join(places);
        (member.crowd, member.hall, member.inside) = (Arc::clone(&crowd), None, true);
    }
    Ok(member.ask(request, switch).await)
}
