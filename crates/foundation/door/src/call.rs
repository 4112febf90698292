use std::time::Instant;

use base::{Account, Principal, Region, RequestId};
use wire::{Operation, Protocol, Structure};

use crate::{Body, Origin};

/// By which way a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A client's HTTP request on a listener of the host.
    Client {
        /// Whether the listener is bound to a loopback address.
        loopback: bool,
    },
    /// A function's request from inside its sandbox.
    Sandbox,
    /// Another room, in process.
    Room(&'static str),
}

/// The operation's input.
#[derive(Debug)]
pub enum Input {
    /// A typed value: from another room, a downcast and never a codec.
    Typed(Box<dyn Structure>),
    /// Bytes of a client, with their protocol; decoded and validated at the door.
    Encoded(Protocol, wire::Request),
}

/// One call of one operation.
#[derive(Debug)]
pub struct Call {
    /// Who calls.
    pub principal: Principal,
    /// How it came.
    pub via: Via,
    /// What the connection says of the caller.
    pub origin: Origin,
    /// What is called.
    pub operation: &'static Operation,
    /// With what.
    pub input: Input,
    /// The streamed body, for operations that have one.
    pub body: Body,
    /// The region the caller addressed.
    pub region: Region,
    /// Names this request in logs and in the answer.
    pub request_id: RequestId,
    /// After which the answer is of no use; transport clock.
    pub deadline: Option<Instant>,
    /// How many calls led to this one: the recursion guard refuses past [`base::limits::CALL_DEPTH`].
    pub depth: u16,
    /// The X-Ray trace header, carried through.
    pub trace: Option<String>,
}

/// What a handler knows of its call besides the input.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who calls.
    pub principal: Principal,
    /// What the connection says of the caller. What a session was begun with hangs on the access key that signed.
    pub origin: Origin,
    /// How it came.
    pub via: Via,
    /// The account the call acts in.
    pub account: Account,
    /// The region it acts in.
    pub region: Region,
    /// Names this request.
    pub request_id: RequestId,
    /// After which the answer is of no use; transport clock.
    pub deadline: Option<Instant>,
    /// How many calls led to this one.
    pub depth: u16,
    /// The X-Ray trace header.
    pub trace: Option<String>,
    /// `Host` as the client sent it (`127.0.0.1:4566`), from which answers build URLs; none in process.
    pub host: Option<String>,
}

/// What a handler answers: its typed output, and a streamed body where the operation has one.
#[derive(Debug)]
pub struct Answer<T> {
    /// The typed output.
    pub output: T,
    /// The streamed body.
    pub body: Body,
}

impl<T> From<T> for Answer<T> {
    fn from(output: T) -> Self {
        Self { output, body: Body::Empty }
    }
}

/// The answer to a [`Call`].
#[derive(Debug)]
pub struct Reply {
    /// The typed output; a caller in process downcasts it (`Box<dyn Structure>` upcasts to `Box<dyn Any>`).
    pub output: Box<dyn Structure>,
    /// The streamed body.
    pub body: Body,
}

impl Reply {
    /// The output as the type the operation's row says it is.
    pub fn typed<T: Structure>(self) -> Option<T> {
        let any: Box<dyn std::any::Any> = self.output;
        any.downcast().ok().map(|boxed| *boxed)
    }
}
