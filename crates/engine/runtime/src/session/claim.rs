//! Who is answering what: rights that are given back when an answer does not arrive whole.

use super::answer::{self, Fault};
use super::exchange::{Exchange, Refused};
use super::http::Head;
use super::{Outcome, Sink};

/// The right to answer an event, given back when the answer does not arrive whole.
pub(super) struct Claim<'a> {
    exchange: &'a Exchange,
    id: base::RequestId,
}

impl<'a> Claim<'a> {
    /// With the event's sink, if it has one.
    pub(super) fn begin(
        exchange: &'a Exchange,
        id: Option<base::RequestId>,
        error: bool,
    ) -> Result<(Self, Option<Sink>), Fault> {
        let id = id.ok_or_else(Fault::invalid_request_id)?;
        let sink = exchange.begin_answer(id, error).map_err(Fault::unwanted)?;
        Ok((Self { exchange, id }, sink))
    }

    pub(super) fn answer(self, outcome: Outcome) {
        self.exchange.answer(self.id, outcome);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // After an answer there is nothing left to give back.
        self.exchange.abandon(&self.id);
    }
}

/// The right to report that INIT failed, given back when the report does not arrive whole.
pub(super) struct InitClaim<'a>(&'a Exchange);

impl<'a> InitClaim<'a> {
    pub(super) fn begin(exchange: &'a Exchange) -> Result<Self, Refused> {
        exchange.begin_init_error().map(|()| Self(exchange))
    }

    pub(super) fn failed(self) -> Result<(), Refused> {
        self.0.init_failed()
    }
}

impl Drop for InitClaim<'_> {
    fn drop(&mut self) {
        self.0.end_init_error();
    }
}

pub(super) fn failure(error_type: &str, message: &str) -> Outcome {
    Outcome::Error {
        error_type: error_type.to_owned(),
        payload: answer::error_object(error_type, message).into_bytes().into(),
    }
}

/// The type the client gave its error. Without one Lambda says `Function.Unknown`.
pub(super) fn error_type(head: &Head) -> String {
    head.error_type.clone().filter(|given| !given.is_empty()).unwrap_or_else(|| "Function.Unknown".to_owned())
}
