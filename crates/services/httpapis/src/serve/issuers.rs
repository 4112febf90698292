//! The keys of issuers, as their configuration says where: OpenID Connect Discovery 1.0.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::Clocks;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use crate::limits;
use crate::outbound::{Outbound, Request};
use crate::rules::jwt::{self, Invalid, Key};

/// What is known of all issuers.
#[derive(Default)]
pub(crate) struct Issuers {
    known: Mutex<HashMap<String, Arc<Issuer>>>,
}

/// What is known of one issuer.
#[derive(Default)]
struct Issuer {
    keys: Mutex<Keys>,
    // Held by who asks it: one at a time, and who waits finds the answer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone)]
struct Keys {
    by_id: Arc<BTreeMap<String, Key>>,
    // When they came.
    came: Option<Instant>,
    // When it was last asked, whether it answered or not.
    asked: Option<Instant>,
}

impl Issuer {
    fn keys(&self) -> Keys {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Keys {
    fn find(&self, id: &str, now: Instant) -> Option<Key> {
        let fresh = self.came.is_some_and(|came| now.duration_since(came) < Duration::from_secs(limits::KEYS_S));
        self.by_id.get(id).filter(|_| fresh).cloned()
    }
}

impl Issuers {
    fn of(&self, issuer: &str) -> Arc<Issuer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limits::ISSUERS && !known.contains_key(issuer) {
            known.clear();
        }
        Arc::clone(known.entry(issuer.to_owned()).or_default())
    }

    /// A key of an issuer, asked for where it is not known.
    ///
    /// # Errors
    /// The issuer does not answer, or has no such key.
    pub(crate) async fn key(
        &self,
        outbound: &dyn Outbound,
        clocks: &dyn Clocks,
        issuer: &str,
        id: &str,
    ) -> Result<Key, Invalid> {
        let of = self.of(issuer);
        if let Some(key) = of.keys().find(id, clocks.monotonic()) {
            return Ok(key);
        }
        let _asking = of.asking.lock().await;
        let (keys, now) = (of.keys(), clocks.monotonic());
        if let Some(key) = keys.find(id, now) {
            return Ok(key);
        }
        let again = Duration::from_secs(limits::ASK_AGAIN_S);
        if keys.asked.is_some_and(|asked| now.duration_since(asked) < again) {
            return Err(Invalid("the token's key is unknown to its issuer".into()));
        }
        let told = ask(outbound, issuer).await;
        let mut place = of.keys.lock().unwrap_or_else(PoisonError::into_inner);
        place.asked = Some(now);
        match told {
            Ok(by_id) => {
                *place = Keys { by_id: Arc::new(by_id), came: Some(now), asked: Some(now) };
                place.find(id, now).ok_or_else(|| Invalid("the token's key is unknown to its issuer".into()))
            }
            Err(why) => {
                tracing::debug!(issuer, why, "no keys");
                Err(Invalid("OIDC discovery endpoint communication error".into()))
            }
        }
    }
}

/// The keys that an issuer has now.
async fn ask(outbound: &dyn Outbound, issuer: &str) -> Result<BTreeMap<String, Key>, String> {
    #[derive(Deserialize)]
    struct Configuration {
        jwks_uri: String,
    }
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let configuration = get(outbound, url).await?;
    let configuration: Configuration =
        serde_json::from_slice(&configuration).map_err(|_| "its configuration names no keys".to_owned())?;
    let set = get(outbound, configuration.jwks_uri).await?;
    jwt::keys(&set).ok_or_else(|| "its keys are no key set".to_owned())
}

async fn get(outbound: &dyn Outbound, url: String) -> Result<Bytes, String> {
    let named = url.clone();
    let request = Request {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        most_bytes: limits::KEYS_BYTES,
    };
    let sent = tokio::time::timeout(Duration::from_millis(limits::ISSUER_MS), outbound.send(request)).await;
    match sent {
        Ok(Ok(answer)) if answer.status == 200 => Ok(answer.body),
        Ok(Ok(answer)) => Err(format!("{named} answered {}", answer.status)),
        Ok(Err(why)) => Err(why.to_string()),
        Err(_) => Err(format!("{named} did not answer in time")),
    }
}
