use std::sync::Arc;

use base::{Account, Bell, BoxFuture, Clocks, Fault, Principal};
use serde_json::{Value, json};

use super::{Delivery, OUTBOX_BELL, Outbox};
use crate::{Site, SiteRequest, SiteResponse};

const LIST: &str = "/_lambent/events/stuck";
const REPLAY: &str = "/_lambent/events/replay";
/// Rows shown at once.
const SHOWN: usize = 1_000;

/// Shows an account's parked deliveries to its root, and makes them due again:
/// `GET /_lambent/events/stuck`, `POST /_lambent/events/replay` with `{"id": …}` or `{"all": true}`.
pub struct Stuck {
    /// The rows.
    pub outbox: Arc<dyn Outbox>,
    /// A replayed row is due at once.
    pub clocks: Arc<dyn Clocks>,
    /// Rung after a replay.
    pub bell: Arc<dyn Bell>,
}

impl Stuck {
    /// The parked deliveries of an account, with their ids, at most [`SHOWN`].
    fn of(&self, account: Account) -> Result<Vec<(String, Delivery)>, Fault> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.outbox.parked(after.as_deref(), SHOWN)?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(last.clone());
            for (id, value) in page {
                // One that does not read belongs to nobody that could be told.
                let delivery = Delivery::read(&value).filter(|one| one.sender.account() == Some(account));
                found.extend(delivery.map(|delivery| (id, delivery)));
                if found.len() == SHOWN {
                    return Ok(found);
                }
            }
        }
    }

    async fn answer(&self, request: &SiteRequest) -> Result<Value, Fault> {
        let Principal::Root { account, .. } = request.principal else {
            return Err(Fault::denied("parked events are the account's root's business"));
        };
        let stuck = self.of(account)?;
        if request.path == LIST {
            return Ok(json!({"events": stuck.iter().map(shown).collect::<Vec<_>>()}));
        }
        if request.method != http::Method::POST {
            return Err(Fault::new("MethodNotAllowed", 405, "replays are asked for by POST"));
        }
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (all, wanted) = (asked["all"] == true, asked["id"].as_str());
        if !all && wanted.is_none() {
            return Err(Fault::validation("expected {\"id\": …} or {\"all\": true}"));
        }
        let mut replayed = Vec::new();
        for (id, mut delivery) in stuck.into_iter().filter(|(id, _)| all || Some(id.as_str()) == wanted) {
            delivery.attempts = 0;
            if self.outbox.replay(id.clone(), self.clocks.product(), delivery.to_bytes()).await? {
                replayed.push(id);
            }
        }
        self.bell.ring(OUTBOX_BELL);
        if let (Some(id), true) = (wanted, replayed.is_empty()) {
            return Err(Fault::new("ResourceNotFoundException", 404, format!("no parked event has the id {id}")));
        }
        Ok(json!({"replayed": replayed}))
    }
}

/// What people see of one: never what it carries.
fn shown((id, delivery): &(String, Delivery)) -> Value {
    json!({
        "id": id,
        "target": format!("{}:{}", delivery.service, delivery.operation),
        "path": delivery.path,
        "region": delivery.region,
        "sender": delivery.sender,
        "firstMs": delivery.first_ms,
        "attempts": delivery.attempts,
        "lastError": delivery.last_error,
        "bytes": delivery.body.len(),
    })
}

impl Site for Stuck {
    fn claims(&self, _: &str, path: &str) -> bool {
        path == LIST || path == REPLAY
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(async move { SiteResponse::of_json(self.answer(&request).await) })
    }
}
