//! Temporary credentials: issued by STS and kept as rows, or a function's own, which are derived and never stored.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base::{Account, Fault, Timestamp};
use door::{Credential, Temporary};
use store::Batch;

use crate::engine::Identity;
use crate::rules::credential::{self, KeyKind};
use crate::state::{self, Kind, SPACE};
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
    by_id: HashMap<String, Issued>,
    swept_ms: i64,
}

/// What was issued, and for whom.
#[derive(Clone)]
struct Issued {
    credential: Arc<Credential>,
    session: Arc<Session>,
}

impl Identity {
    /// The credentials of a function's role session: the same within a period, also after a restart.
    pub(crate) fn function_session(&self, account: Account, role: &str, session: &str) -> Temporary {
        // Functions are configured with the role's ARN; the principal has its name.
        let role = role.rsplit('/').next().unwrap_or(role);
        let now = self.clocks.signing();
        let period = now.0.div_euclid(PERIOD_MS);
        let expires_ms = (period + 2) * PERIOD_MS;
        let speaker = Speaker::Role { role: role.to_owned(), session: session.to_owned() };
        let holder = self.holder_of(account, &speaker);
        let mut whose = Session::new(account, speaker, expires_ms - 2 * PERIOD_MS, expires_ms);
        whose.holder = holder;
        // A role made anew under the name gets other credentials.
        let role = format!("{role}\0{}", whose.holder.as_deref().unwrap_or_default());
        for attempt in 0.. {
            let noise = self.deriver.session_noise(account, &role, session, period, attempt);
            let id = credential::key_id(KeyKind::Temporary, account, noise);
            let known = self.remembered(&id).unwrap_or_else(|| self.remember(&id, &whose, now));
            // Two sessions may share a key id by chance: the later one takes the next.
            if *known.session == whose {
                let (secret, token) = (known.credential.secret.clone(), known.credential.session_token.clone());
                return Temporary { key_id: id, secret, token: token.unwrap_or_default(), expires: whose.expires() };
            }
        }
        unreachable!("there are more key ids than attempts")
    }

    /// Issues credentials that outlive a restart. They may be used as soon as this returns.
    pub(crate) async fn issue(&self, whose: Session) -> Result<(String, Arc<Credential>), Fault> {
        let account = whose.account();
        let id = credential::key_id(KeyKind::Temporary, account, self.noise());
        let now = self.clocks.signing();
        let ended = self.ended_rows(now)?;
        let (row, stored) = (state::session_row(&id), whose.clone());
        // No policy rests on this row, so nothing that is compiled is forgotten.
        store::transact_with(&*self.kv, Vec::new(), move |_: &store::Rows| -> Result<_, Fault> {
            let mut batch = Batch::new();
            batch.put_json(SPACE, row.clone(), &stored)?;
            for ended in &ended {
                batch.delete(SPACE, ended.clone());
            }
            Ok((batch, ()))
        })
        .await?;
        let issued = self.remember(&id, &whose, now);
        Ok((id, issued.credential))
    }

    /// The credential of a temporary key. One that ended is still found, so that its user hears that it expired.
    pub(crate) fn session_credential(&self, key_id: &str) -> Option<Credential> {
        let Issued { credential, session } = self.issued(key_id)?;
        Some(Credential { void: self.has_ended(&session), ..(*credential).clone() })
    }

    /// Whether a session ended before its time: whom it names is gone, or who began it proved nothing where only proven
    /// callers count by now.
    fn has_ended(&self, session: &Session) -> bool {
        let account = session.account();
        if session.unproven && (!self.loopback || self.is_claimed(account)) {
            return true;
        }
        session.holder.is_some() && session.holder != self.holder_of(account, &session.speaker)
    }

    /// The unique id of the role or user that a session speaks for, if somebody made it.
    pub(crate) fn holder_of(&self, account: Account, speaker: &Speaker) -> Option<String> {
        let (kind, name) = match speaker {
            Speaker::Root => return None,
            Speaker::User(name) => (Kind::User, name),
            Speaker::Role { role, .. } => (Kind::Role, role),
        };
        self.entity(account, kind, name).map(|entity| entity.id.clone())
    }

    /// The session of a temporary key: its policies, tags and times.
    pub(crate) fn session_of(&self, key_id: &str) -> Option<Arc<Session>> {
        self.issued(key_id).map(|issued| issued.session)
    }

    fn issued(&self, key_id: &str) -> Option<Issued> {
        if !key_id.starts_with("ASIA") {
            return None;
        }
        if let Some(known) = self.remembered(key_id) {
            return Some(known);
        }
        let stored = store::get_json::<Session>(&*self.kv, SPACE, &state::session_row(key_id));
        let whose = stored.unwrap_or_else(|error| {
            tracing::error!(%error, "a session cannot be read");
            None
        })?;
        Some(self.remember(key_id, &whose, self.clocks.signing()))
    }

    fn remembered(&self, key_id: &str) -> Option<Issued> {
        self.sessions.0.read().unwrap_or_else(PoisonError::into_inner).by_id.get(key_id).cloned()
    }

    fn remember(&self, key_id: &str, whose: &Session, now: Timestamp) -> Issued {
        let credential = Arc::new(Credential {
            principal: whose.principal(),
            secret: self.deriver.secret(key_id),
            session_token: Some(self.deriver.token(key_id, whose.expires_ms)),
            expires: Some(whose.expires()),
            void: false,
        });
        let issued = Issued { credential, session: Arc::new(whose.clone()) };
        let mut live = self.sessions.0.write().unwrap_or_else(PoisonError::into_inner);
        if now.0 - live.swept_ms >= SWEEP_MS {
            live.by_id.retain(|_, one| one.session.expires().plus_ms(SWEEP_MS) > now);
            live.swept_ms = now.0;
        }
        live.by_id.entry(key_id.to_owned()).or_insert(issued).clone()
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
