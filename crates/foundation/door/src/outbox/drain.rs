use std::collections::HashSet;
use std::sync::Arc;

use base::{Bell, BoxFuture, Clocks, EventNews, Fault, Meter, RequestId, Rng, Timestamp, Turn};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{self, Either};
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderName, HeaderValue};
use wire::{Operation, Service};

use super::{Delivery, OUTBOX_BELL, Outbox, Place, Settled, again_ms};
use crate::{Body, Call, Dispatch, Input, Origin, Via};

/// Deliveries under way at once.
const AT_ONCE: usize = 64;
/// A row may be written so much later than it is due, ms: its transaction waited.
const LATE_MS: i64 = 60_000;
/// And once in so many turns all rows are looked for, however late.
const LOOK_BACK_TURNS: u64 = 1024;
/// How long a row rests whose end could not be written, ms.
const REST_MS: i64 = 1_000;

/// Delivers what the outbox holds.
pub struct Drain {
    /// The rows.
    pub outbox: Arc<dyn Outbox>,
    /// Who carries out the calls.
    pub dispatch: Arc<dyn Dispatch>,
    /// The services that rows may name.
    pub services: &'static [&'static Service],
    /// Retries follow the product clock.
    pub clocks: Arc<dyn Clocks>,
    /// Rung at [`OUTBOX_BELL`] when a row was written.
    pub bell: Arc<dyn Bell>,
    /// Request ids.
    pub rng: Arc<dyn Rng>,
    /// Told of events whose end nobody will hear of.
    pub meter: Arc<dyn Meter>,
}

impl Drain {
    /// Runs until it is dropped. A delivery that is cut off stays in the outbox, and is made again after the next start.
    pub async fn run(self) {
        let mut busy: HashSet<Place> = HashSet::new();
        let mut under_way: FuturesUnordered<BoxFuture<'_, (Place, Turn)>> = FuturesUnordered::new();
        // Where the head of the outbox was last seen: what went before it need not be passed again.
        let (mut head, mut turns) = (Timestamp(0), 0u64);
        // Held until the next moment is known: rows that are due now are then under way, each with a turn of its own.
        let mut turn = self.clocks.turn();
        loop {
            let rung = self.bell.news(OUTBOX_BELL);
            let now = self.clocks.product();
            let mut next_due = None;
            // Rows under way are still there; so many are read that they hide no other.
            let from = if turns.is_multiple_of(LOOK_BACK_TURNS) { Timestamp(0) } else { head };
            turns += 1;
            match self.outbox.first(from, AT_ONCE + busy.len() + 1) {
                Ok(rows) => {
                    let first = rows.first().map_or(now, |(place, _)| place.due.min(now));
                    head = first.plus_ms(-LATE_MS);
                    for (place, value) in rows {
                        if place.due > now {
                            next_due = Some(place.due);
                            break;
                        }
                        if busy.len() >= AT_ONCE {
                            break;
                        }
                        if busy.insert(place.clone()) {
                            let turn = self.clocks.turn().called("a delivery of the outbox");
                            under_way.push(Box::pin(self.attempt(place, value, turn)));
                        }
                    }
                }
                Err(fault) => {
                    tracing::error!(%fault, "the outbox cannot be read");
                    next_due = Some(now.plus_ms(REST_MS));
                }
            }
            let reached = next_due.map(|due| self.clocks.product_reaches(due));
            drop(turn);
            let due = async {
                match reached {
                    Some(reached) => reached.await,
                    None => future::pending().await,
                }
            };
            let ended = async {
                match under_way.next().await {
                    Some(ended) => ended,
                    None => future::pending().await,
                }
            };
            let (ended, due) = (std::pin::pin!(ended), std::pin::pin!(due));
            turn = match future::select(ended, future::select(rung, due)).await {
                Either::Left(((place, turn), _)) => {
                    busy.remove(&place);
                    turn
                }
                Either::Right((woken, _)) => woken.factor_first().0,
            };
        }
    }

    /// One attempt at one row, to its settlement.
    async fn attempt(&self, place: Place, value: Bytes, mut turn: Turn) -> (Place, Turn) {
        let how = match Delivery::read(&value) {
            None => {
                tracing::error!(row = %place.id, "a row of the outbox does not read; it is parked");
                Settled::Parked(value)
            }
            Some(delivery) => self.carry_out(&place, delivery).await,
        };
        if let Err(fault) = self.outbox.settle(place.clone(), how).await {
            tracing::error!(%fault, row = %place.id, "the end of a delivery cannot be written; it will be made again");
            let rested = self.clocks.product_reaches(self.clocks.product().plus_ms(REST_MS));
            drop(turn);
            turn = rested.await;
        }
        (place, turn)
    }

    async fn carry_out(&self, place: &Place, mut delivery: Delivery) -> Settled {
        let answer = match self.call(&delivery) {
            Ok(call) => self.dispatch.call(call).await.map(drop),
            Err(fault) => Err(fault),
        };
        let Err(fault) = answer else { return Settled::Delivered };
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.last_error = Some(fault.to_string());
        let target = format!("{}:{}", delivery.service, delivery.operation);
        match again_ms(delivery.attempts, &fault) {
            Some(ms) => {
                tracing::debug!(row = %place.id, %target, attempts = delivery.attempts, %fault, "a delivery failed");
                Settled::Again(self.clocks.product().plus_ms(ms), delivery.to_bytes())
            }
            None => {
                tracing::warn!(
                    row = %place.id, %target, attempts = delivery.attempts, %fault,
                    "a delivery failed too often and is parked: see `lambent events stuck`"
                );
                self.tell(&delivery);
                Settled::Parked(delivery.to_bytes())
            }
        }
    }

    /// Counts a delivery that is given up.
    fn tell(&self, delivery: &Delivery) {
        if let (Some(failing), Some(account)) = (&delivery.failing, delivery.sender.account()) {
            let news = if failing.dead_letter { EventNews::DeadLetterFailed } else { EventNews::DestinationFailed };
            self.meter.event(account, &failing.function_arn, news);
        }
    }

    /// The call of a delivery.
    fn call(&self, delivery: &Delivery) -> Result<Call, Fault> {
        let unknown = |what: &str| Fault::internal(format_args!("a row of the outbox names no {what}"));
        let operation = self.operation(delivery).ok_or_else(|| unknown("operation"))?;
        let protocol = *operation.service.protocols.first().ok_or_else(|| unknown("protocol"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &delivery.headers {
            let name: HeaderName = name.parse().map_err(|_| unknown("header"))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| unknown("header"))?);
        }
        let request = wire::Request {
            method: operation.method.parse().map_err(|_| unknown("method"))?,
            path: delivery.path.clone(),
            query: delivery.query.clone(),
            headers,
            body: delivery.body.clone(),
        };
        Ok(Call {
            principal: delivery.sender.principal().ok_or_else(|| unknown("sender"))?,
            via: Via::Room("outbox"),
            origin: Origin { secure: true, ..Origin::default() },
            operation,
            input: Input::Encoded(protocol, request),
            body: Body::Empty,
            region: delivery.region().ok_or_else(|| unknown("region"))?,
            request_id: RequestId::new(&*self.rng),
            deadline: None,
            depth: delivery.depth,
            trace: delivery.trace.clone(),
        })
    }

    fn operation(&self, delivery: &Delivery) -> Option<&'static Operation> {
        let service = self.services.iter().find(|service| service.name == delivery.service)?;
        service.operations.iter().copied().find(|operation| operation.name == delivery.operation)
    }
}
