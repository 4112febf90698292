//! Temporary credentials: issued by STS and kept as rows, or a function's own, which are derived and never stored.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base::{Account, Fault, Timestamp};
use door::Credential;
use store::Batch;

use crate::engine::Identity;
use crate::rules::credential::{self, KeyKind};
use crate::state::{self, SPACE};
use crate::types::{Session, Speaker};

/// A function's credentials change every twelve hours and serve for one period more, so that an environment that got
/// them last has at least this long.
const PERIOD_MS: i64 = 12 * 3600 * 1000;
/// Ended sessions are swept at most this often.
const SWEEP_MS: i64 = 3600 * 1000;

/// Credentials in memory, and when the ended ones were last swept.
#[derive(Default)]
pub(crate) struct Sessions(RwLock<Live>);

#[derive(Default)]
struct Live {
    by_id: HashMap<String, Arc<Credential>>,
    swept_ms: i64,
}

impl Identity {
    /// The credentials of a function's role session: the same within a period, also after a restart.
    pub(crate) fn function_session(&self, account: Account, role: &str, session: &str) -> (String, String, String) {
        // Functions are configured with the role's ARN; the principal has its name.
        let role = role.rsplit('/').next().unwrap_or(role);
        let now = self.clocks.signing();
        let period = now.0.div_euclid(PERIOD_MS);
        let expires_ms = (period + 2) * PERIOD_MS;
        let speaker = Speaker::Role { role: role.to_owned(), session: session.to_owned() };
        let whose = Session { account: account.to_string(), speaker, expires_ms };
        let principal = whose.principal();
        for attempt in 0.. {
            let noise = self.deriver.session_noise(account, role, session, period, attempt);
            let id = credential::key_id(KeyKind::Temporary, account, noise);
            let known = self.remembered(&id).unwrap_or_else(|| self.remember(&id, &whose, now));
            // Two sessions may share a key id by chance: the later one takes the next.
            if known.principal == principal && known.expires == Some(whose.expires()) {
                return (id, known.secret.clone(), known.session_token.clone().unwrap_or_default());
            }
        }
        unreachable!("there are more key ids than attempts")
    }

    /// Issues credentials that outlive a restart. They may be used as soon as this returns.
    pub(crate) async fn issue(&self, whose: Session) -> Result<(String, Arc<Credential>), Fault> {
        let account = whose.account.parse().unwrap_or(Account::DEFAULT);
        let id = credential::key_id(KeyKind::Temporary, account, self.noise());
        let now = self.clocks.signing();
        let ended = self.ended_rows(now)?;
        let (row, stored) = (state::session_row(&id), whose.clone());
        self.transact(Vec::new(), move |_| {
            let mut batch = Batch::new();
            batch.put_json(SPACE, row.clone(), &stored)?;
            for ended in &ended {
                batch.delete(SPACE, ended.clone());
            }
            Ok((batch, ()))
        })
        .await?;
        let credential = self.remember(&id, &whose, now);
        Ok((id, credential))
    }

    /// The credential of a temporary key. One that ended is still found, so that its user hears that it expired.
    pub(crate) fn session_credential(&self, key_id: &str) -> Option<Credential> {
        if !key_id.starts_with("ASIA") {
            return None;
        }
        if let Some(known) = self.remembered(key_id) {
            return Some((*known).clone());
        }
        let stored = store::get_json::<Session>(&*self.kv, SPACE, &state::session_row(key_id));
        let whose = stored.unwrap_or_else(|error| {
            tracing::error!(%error, "a session cannot be read");
            None
        })?;
        Some((*self.remember(key_id, &whose, self.clocks.signing())).clone())
    }

    fn remembered(&self, key_id: &str) -> Option<Arc<Credential>> {
        self.sessions.0.read().unwrap_or_else(PoisonError::into_inner).by_id.get(key_id).cloned()
    }

    fn remember(&self, key_id: &str, whose: &Session, now: Timestamp) -> Arc<Credential> {
        let credential = Arc::new(Credential {
            principal: whose.principal(),
            secret: self.deriver.secret(key_id),
            session_token: Some(self.deriver.token(key_id, whose.expires_ms)),
            expires: Some(whose.expires()),
        });
        let mut live = self.sessions.0.write().unwrap_or_else(PoisonError::into_inner);
        if now.0 - live.swept_ms >= SWEEP_MS {
            live.by_id.retain(|_, credential| credential.expires.is_none_or(|expires| expires.plus_ms(SWEEP_MS) > now));
            live.swept_ms = now.0;
        }
        Arc::clone(live.by_id.entry(key_id.to_owned()).or_insert(credential))
    }

    /// Rows of sessions that ended over an hour ago, looked for once an hour.
    fn ended_rows(&self, now: Timestamp) -> Result<Vec<Vec<u8>>, Fault> {
        let mut ended = Vec::new();
        if now.0 - self.sessions.0.read().unwrap_or_else(PoisonError::into_inner).swept_ms >= SWEEP_MS {
            state::each::<Session>(&*self.kv, state::SESSIONS.as_bytes(), |id, session| {
                if session.expires().plus_ms(SWEEP_MS) < now {
                    ended.push(state::session_row(&id));
                }
            })?;
        }
        Ok(ended)
    }
}
