//! What functions that authorize said, kept while it counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::limits;

/// A function's answer about who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// Whether it lets in.
    pub(crate) grant: Grant,
    /// Whom it named.
    pub(crate) principal: Option<String>,
    /// What the integration is to know.
    pub(crate) context: Option<Map<String, Value>>,
}

/// Whether a function lets a request in.
#[derive(Debug, Clone)]
pub(crate) enum Grant {
    /// It said yes or no.
    Said(bool),
    /// A policy says for each route: JSON.
    Policy(String),
}

/// For whom a verdict counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) stage: String,
    pub(crate) authorizer: String,
    pub(crate) identity: Vec<String>,
}

/// Those of one API. A change of the API forgets them all.
#[derive(Default)]
pub(crate) struct Verdicts {
    kept: Mutex<HashMap<Asked, (i64, Arc<Verdict>)>>,
}

impl Verdicts {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Asked, (i64, Arc<Verdict>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A verdict that still counts at a moment, milliseconds since the epoch.
    pub(crate) fn find(&self, asked: &Asked, now_ms: i64) -> Option<Arc<Verdict>> {
        let mut kept = self.lock();
        match kept.get(asked) {
            Some((until_ms, verdict)) if *until_ms > now_ms => Some(Arc::clone(verdict)),
            Some(_) => {
                kept.remove(asked);
                None
            }
            None => None,
        }
    }

    /// Keeps a verdict until a moment.
    pub(crate) fn keep(&self, asked: Asked, until_ms: i64, verdict: &Arc<Verdict>) {
        let mut kept = self.lock();
        if kept.len() >= limits::VERDICTS {
            kept.clear();
        }
        kept.insert(asked, (until_ms, Arc::clone(verdict)));
    }

    /// Forgets those of a stage.
    pub(crate) fn forget(&self, stage: &str) {
        self.lock().retain(|asked, _| asked.stage != stage);
    }
}
