//! Whether a call may pass: asks the policies, and does what the platform was told to do with their answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::{Clocks, Fault, Principal, Region, RequestId, SystemClocks};
use wire::{Operation, Protocol, Service};

use crate::audit::Recorded;
use crate::{Ask, Audit, ConditionKeys, Decision, Denial, Origin, Policies, Via, facts};

/// What becomes of a denial: `--iam`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Policies are not asked.
    Off,
    /// A denial is logged, and the call passes.
    Warn,
    /// A denial is the answer.
    Enforce,
}

/// The same warning is repeated at most this often.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Warnings remembered at once; beyond it all are forgotten.
const WARNINGS: usize = 1024;

/// A request that was no [`crate::Call`], for the audit log.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// What the connection says.
    pub origin: &'a Origin,
    /// Where.
    pub region: &'a Region,
    /// Names it.
    pub request: RequestId,
}

/// Authorises.
pub struct Gate {
    policies: Arc<dyn Policies>,
    mode: Mode,
    clocks: Arc<dyn Clocks>,
    pub(crate) audit: Option<Audit>,
    // Who was last warned of what, and when: a program in a loop must not flood the log.
    warned: Mutex<HashMap<(String, String), Instant>>,
}

impl Gate {
    /// A gate that keeps no audit log.
    pub fn new(policies: Arc<dyn Policies>, mode: Mode, clocks: Arc<dyn Clocks>) -> Self {
        Self { policies, mode, clocks, audit: None, warned: Mutex::default() }
    }

    /// A gate that lets everything pass, for the door's tests and tables.
    pub fn off() -> Arc<Self> {
        Arc::new(Self::new(Arc::new(Nobody), Mode::Off, Arc::new(SystemClocks)))
    }

    /// The gate with an audit log.
    #[must_use]
    pub fn audited(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// What becomes of a denial.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn clocks(&self) -> Arc<dyn Clocks> {
        Arc::clone(&self.clocks)
    }

    /// The condition keys that follow from a request's connection, caller and region.
    pub fn keys(&self, origin: &Origin, principal: &Principal, region: &Region) -> ConditionKeys {
        facts::of_request(origin, principal, region, self.clocks.signing())
    }

    /// Decides one permission.
    ///
    /// # Errors
    /// The denial, if it is to be the answer.
    pub fn authorise(&self, ask: &Ask<'_>, request: RequestId) -> Result<(), Denial> {
        self.decide(ask, request, false)
    }

    /// As [`Gate::authorise`]. If `strict`, a denial is the answer whatever the platform was told to do with denials.
    ///
    /// # Errors
    /// The denial, if it is to be the answer.
    pub fn decide(&self, ask: &Ask<'_>, request: RequestId, strict: bool) -> Result<(), Denial> {
        if self.mode == Mode::Off && !ask.trust && !strict {
            return Ok(());
        }
        match self.policies.decide(ask) {
            Decision::Allowed(by) => {
                tracing::debug!(%request, action = ask.action, resource = ask.resource, %by, "allowed");
                Ok(())
            }
            Decision::Denied(denial) if self.mode == Mode::Enforce || denial.always || strict => {
                tracing::info!(%request, message = %denial.message, because = %denial.because, "denied");
                Err(denial)
            }
            Decision::Denied(denial) => {
                if self.mode == Mode::Warn && self.is_news(ask) {
                    tracing::warn!(
                        %request, "--iam=enforce would deny this: {} ({})", denial.message, denial.because
                    );
                }
                Ok(())
            }
        }
    }

    /// Whether a service may act as a role. A role that nobody made stands for one with every trust, unless denials are
    /// the answer: scripts for local clouds name roles without making them. One that exists is held to its word always.
    ///
    /// # Errors
    /// The denial.
    pub fn assume(&self, role: &str, service: &Principal, region: &Region, request: RequestId) -> Result<(), Denial> {
        if let Some(trust) = self.policies.trust_of(role) {
            let keys = || self.keys(&Origin::default(), service, region);
            return self.authorise(&assuming(role, service, Some(&trust), &keys), request);
        }
        let because = format!("there is no role {role}");
        match self.mode {
            Mode::Off => Ok(()),
            Mode::Warn => {
                if self.is_news(&assuming(role, service, None, &ConditionKeys::new)) {
                    tracing::warn!(%request, "--iam=enforce would refuse this: {because} for {}", service.arn());
                }
                Ok(())
            }
            Mode::Enforce => Err(Denial { message: because.clone(), because, always: false }),
        }
    }

    /// Records a denial of a request that was no [`crate::Call`], such as a visit of a function URL; `operation` is what
    /// it would have done.
    pub fn record(&self, operation: &'static Operation, ask: &Ask<'_>, visit: &Visit<'_>, denial: &Denial) {
        if let Some(audit) = &self.audit {
            let recorded = Recorded {
                operation,
                action: ask.action,
                resource: ask.resource,
                principal: ask.principal,
                origin: visit.origin,
                via: Via::Room("url"),
                region: visit.region,
                request: visit.request,
            };
            audit.denied(&recorded, &denial.message, &denial.because);
        }
    }

    fn is_news(&self, ask: &Ask<'_>) -> bool {
        let now = self.clocks.monotonic();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() >= WARNINGS {
            warned.clear();
        }
        let about = (ask.principal.arn(), ask.action.to_owned());
        match warned.get(&about) {
            Some(last) if now.duration_since(*last) < WARN_EVERY => false,
            _ => {
                warned.insert(about, now);
                true
            }
        }
    }
}

/// What a service asks that wants to act as a role.
fn assuming<'a>(
    role: &'a str,
    service: &'a Principal,
    policy: Option<&'a str>,
    keys: &'a dyn Fn() -> ConditionKeys,
) -> Ask<'a> {
    let action = "sts:AssumeRole";
    Ask { principal: service, key_id: None, action, resource: role, owner: None, policy, trust: true, keys }
}

/// Has no policies.
struct Nobody;

impl Policies for Nobody {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let message = format!("nobody may perform {}", ask.action);
        Decision::Denied(Denial { message, because: "there are no policies".into(), always: false })
    }
}

/// A denial as the service's clients expect it: JSON 1.x services answer 400, query and XML services drop "Exception".
pub(crate) fn fault(service: &Service, mut denial: Denial, is_nobody: bool) -> Fault {
    // A store of objects does not tell strangers what is missing.
    if is_nobody && service.bare_errors {
        "Access Denied".clone_into(&mut denial.message);
    }
    match service.protocols.first() {
        // It keeps the code that it has in the query protocol.
        Some(Protocol::Json10 | Protocol::Json11) if service.query_compatible => {
            Fault::new("AccessDenied", 403, denial.message)
        }
        Some(Protocol::Json10 | Protocol::Json11 | Protocol::Cbor) => {
            Fault::new("AccessDeniedException", 400, denial.message)
        }
        Some(Protocol::Query | Protocol::Ec2Query | Protocol::RestXml) => {
            Fault::new("AccessDenied", 403, denial.message)
        }
        Some(Protocol::RestJson) | None => Fault::denied(denial.message),
    }
}
