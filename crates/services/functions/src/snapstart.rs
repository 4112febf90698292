//! SnapStart: a version that is published under it is initialized once, beside the answer, and what that made is kept; its
//! environments begin with it instead of INIT. A snapshot that is missing, or that cannot be restored any more since the host
//! has changed, is made anew when an invocation finds that out.
//!
//! Source: AWS Lambda developer guide, "Improving startup performance with Lambda SnapStart", and AWS Lambda API reference,
//! `FunctionConfiguration`.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use base::Fault;
use invoker::{InitFailure, Isolation, Refusal, Snapshotted, Target};
use model::lambda as aws;
use runtime::SnapshotWanted;
use store::Digest;
use tokio::sync::mpsc;

use crate::family::{Family, Step, Wanted};
use crate::name::{Address, LATEST, Named};
use crate::target::Plan;
use crate::types::{Edition, Function, Snap, Version};
use crate::walls::Asked;
use crate::{Functions, faults, rules};

/// How many are made at a time: each is an INIT that takes CPU from others.
pub(crate) const AT_A_TIME: usize = 2;
/// Pieces that wait to be written.
const PIECES: usize = 16;
/// What a snapshot may have besides the function's memory and its `/tmp`, MiB.
const MORE_MB: u64 = 64;
/// Versions that are read at once.
const PAGE: usize = 100;

/// A version, by the function and its number, [`OF_LATEST`] for `$LATEST`.
pub(crate) type Numbered = (Address, u64);

/// What stands for `$LATEST` where versions have numbers.
pub(crate) const OF_LATEST: u64 = 0;

/// The newest snapshot of a function's `$LATEST`. AWS has none: the tag `LAMBENT_SNAPSTART=latest` asks for it. It is made beside
/// every change, and until it is there, and where it cannot be made, environments run INIT as without it.
#[derive(Debug)]
pub(crate) struct Latest {
    /// The name of its file, which says what it was made of.
    name: String,
    /// Whether there is one. Where none could be made, it is not tried again until the function changes.
    made: bool,
    /// The one before: an environment of then may still be about to begin with it.
    before: Option<String>,
}

/// Whether a version may be invoked now.
///
/// # Errors
/// AWS's words while its snapshot is being made, and when its INIT failed.
pub(crate) fn may_be_invoked(snap: Option<&Snap>) -> Result<(), Fault> {
    match snap {
        Some(Snap::Pending) => Err(faults::not_ready()),
        Some(Snap::Failed { .. }) => Err(faults::conflict(
            "The operation cannot be performed at this time. The function is currently in the following state: Failed",
        )),
        Some(Snap::On | Snap::Off(_)) | None => Ok(()),
    }
}

/// The runtime as AWS's lines of a log name it.
pub(crate) fn runtime_words(address: &Address, runtime: &str) -> String {
    let family = runtime.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let version = runtime.strip_prefix(family).unwrap_or_default();
    let arn = crate::aws::runtime_version(address, runtime);
    format!("Runtime Version: {family}:{version}.v1\tRuntime Version ARN: {arn}")
}

impl Functions {
    /// Why a function cannot be snapshotted here; none when it can.
    pub(crate) fn unfit(&self, launch: &runtime::Launch, isolation: Isolation) -> Option<&'static str> {
        if !launch.takes_snapshots() {
            return Some(
                "it is started by a command or a script of its own (LAMBENT_WEB_COMMAND, AWS_LAMBDA_EXEC_WRAPPER)",
            );
        }
        if isolation == Isolation::MicroVm {
            return Some("it runs in a machine of its own (LAMBENT_ISOLATION)");
        }
        if self.options.egress.is_none() {
            return Some("it runs without walls (--walls=weak)");
        }
        (std::env::consts::ARCH != "x86_64").then_some("snapshots are made on x86-64 only")
    }

    /// Has the snapshot made of a version that was published just now.
    pub(crate) fn begin_snapshot(&self, address: &Address, told: &aws::FunctionConfiguration) {
        let number = told.version.as_deref().and_then(|version| version.parse().ok());
        if let Some(number) = number.filter(|_| told.snap_start.as_ref().is_some_and(is_on)) {
            self.want_snapshot(address, number);
        }
    }

    /// The name of the snapshot that `$LATEST` shall have; none where that is not asked for, and of published versions.
    pub(crate) fn latest_snapshot(
        &self,
        address: &Address,
        edition: &Edition<'_>,
        function: &Function,
    ) -> Option<String> {
        let walls = Asked::of(&function.tags, self.options.egress);
        let wanted = walls.latest && edition.settings.snap_start && edition.version == LATEST;
        wanted.then(|| {
            let made_of = rules::fingerprint(edition.settings, edition.code);
            Digest::of(format!("{} {made_of} {}", address.arn(), walls.word()).as_bytes()).to_string()
        })
    }

    /// Whether a snapshot of `$LATEST` may be made, which could not be made of the same before.
    pub(crate) fn may_make_latest(&self, address: &Address, name: &str) -> bool {
        let latest = self.latest();
        latest.get(address).is_none_or(|latest| latest.made || latest.name != name)
    }

    /// The same, as the function is now.
    fn latest_name(&self, address: &Address) -> Result<Option<String>, Fault> {
        let function = self.state.get(address)?;
        Ok(function.and_then(|function| self.latest_snapshot(address, &function.latest(), &function)))
    }

    /// Has the snapshot of `$LATEST` made, where the function asks for one that is not there.
    pub(crate) fn want_latest(&self, address: &Address) {
        // What the store cannot tell is found out by the first invocation.
        let Ok(name) = self.latest_name(address) else { return };
        match name {
            Some(name) if self.may_make_latest(address, &name) && self.snapshots.find(&name).is_none() => {
                self.want_snapshot(address, OF_LATEST);
            }
            Some(_) => {}
            None => self.forget_latest(address),
        }
    }

    fn latest(&self) -> MutexGuard<'_, HashMap<Address, Latest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what came of making the snapshot `name` of `$LATEST`, and removes the last but one.
    async fn settle_latest(&self, address: &Address, name: String, made: bool) -> Result<(), Fault> {
        if self.latest_name(address)?.is_some_and(|now| now != name) {
            // It changed meanwhile, and the change has one made of itself.
            return Ok(self.snapshots.remove(&name).await?);
        }
        let failed = name.clone();
        let gone = {
            let mut latest = self.latest();
            let (before, gone) = match latest.remove(address) {
                Some(old) if old.name == name => (old.before, None),
                Some(old) => (Some(old.name), old.before),
                None => (None, None),
            };
            latest.insert(address.clone(), Latest { name, made, before });
            gone
        };
        self.targets.forget(address);
        if let Some(gone) = gone {
            self.snapshots.remove(&gone).await?;
        }
        if !made {
            // One that could not be restored any more.
            self.snapshots.remove(&failed).await?;
        }
        if self.latest_name(address)?.is_none() {
            // It was deleted meanwhile, or wants none any more.
            self.forget_latest(address);
        }
        Ok(())
    }

    /// Removes the snapshot of `$LATEST` of a function that is gone.
    pub(crate) fn forget_latest(&self, address: &Address) {
        let before = self.latest().remove(address);
        for name in before.into_iter().flat_map(|latest| [Some(latest.name), latest.before]).flatten() {
            self.remove_snapshot(name);
        }
    }

    /// Has a snapshot made beside the answer, unless that is under way.
    pub(crate) fn want_snapshot(&self, address: &Address, number: u64) {
        let wanted = (address.clone(), number);
        if self.snapping.lock().unwrap_or_else(PoisonError::into_inner).insert(wanted.clone()) {
            // Nobody makes snapshots any more when the platform stops: the next start finds what is missing.
            let _ = self.snap_wanted.send(wanted);
        }
    }

    /// Has those made that an earlier run left, and removes what belongs to no version.
    ///
    /// # Errors
    /// The store's faults.
    pub(crate) async fn snapshot_all(&self) -> Result<(), Fault> {
        let mut left: std::collections::HashSet<String> = self.snapshots.list().await?.into_iter().collect();
        for (address, function) in self.state.every()? {
            if let Some(name) = self.latest_snapshot(&address, &function.latest(), &function)
                && left.remove(&name)
            {
                self.latest().insert(address.clone(), Latest { name, made: true, before: None });
            }
            let mut after = if function.changes > 0 { Some(0) } else { None };
            while let Some(from) = after.take() {
                let page = self.state.versions(&address, from, PAGE)?;
                for (number, version) in &page {
                    left.remove(&version.revision);
                    if version.snap == Some(Snap::Pending) {
                        self.want_snapshot(&address, *number);
                    }
                }
                after = page.last().filter(|_| page.len() == PAGE).map(|(number, _)| *number);
            }
        }
        for name in left {
            self.snapshots.remove(&name).await?;
        }
        Ok(())
    }

    /// Makes those that are wanted, for ever.
    pub(crate) async fn make_snapshots(self: &Arc<Self>, mut wanted: mpsc::UnboundedReceiver<Numbered>) {
        while let Some((address, number)) = wanted.recv().await {
            let functions = Arc::clone(self);
            tokio::spawn(async move {
                let tried = functions.make_snapshot(&address, number).await;
                if let Err(fault) = &tried {
                    tracing::warn!(%fault, function = address.name, number, "no snapshot could be made");
                }
                functions.snapping.lock().unwrap_or_else(PoisonError::into_inner).remove(&(address.clone(), number));
                // A change that came while one was made was not heard.
                let now = functions.latest_name(&address);
                if let (Ok(Some(tried)), Ok(Some(now))) = (tried, now)
                    && tried != now
                {
                    functions.want_latest(&address);
                }
            });
        }
    }

    /// Makes one; of `$LATEST` it gives the name of what was tried.
    async fn make_snapshot(&self, address: &Address, number: u64) -> Result<Option<String>, Fault> {
        let _turn = self.snap_turns.acquire().await;
        // Held before the row is read: the code that the row names stays until the target has its claim.
        let held = self.code.hold().await;
        let qualifier = (number != OF_LATEST).then(|| number.to_string());
        let named = Named { address: address.clone(), qualifier };
        let found = match self.find(named) {
            Err(fault) if fault.status == 404 => return Ok(None),
            found => found?,
        };
        let plan = self.make(address, &found.edition(), &found.function).await;
        drop(held);
        let revision = if number == OF_LATEST {
            // An invocation that began before may have asked once more for what could not be made.
            let name = self.latest_snapshot(address, &found.edition(), &found.function);
            let Some(name) = name.filter(|name| self.may_make_latest(address, name)) else { return Ok(None) };
            name
        } else {
            found.edition().revision.to_owned()
        };
        let snap = match &plan {
            Ok(Plan::Run { unfit: Some(why), .. }) => Snap::Off((*why).to_owned()),
            Ok(Plan::Run { target, .. }) => match self.snapshot(target, &revision).await? {
                Some(snap) => snap,
                // The platform stops; the next start begins anew.
                None => return Ok(None),
            },
            Ok(Plan::NoBootstrap { why, .. }) => failed("FunctionError.InvalidEntryPoint", why),
            Err(fault) => failed("InvalidRuntime", &fault.message),
        };
        if number == OF_LATEST {
            if let Snap::Off(why) | Snap::Failed { reason: why, .. } = &snap {
                tracing::warn!(function = address.name, why, "$LATEST runs INIT: it has no snapshot");
            }
            self.settle_latest(address, revision.clone(), snap == Snap::On).await?;
            return Ok(Some(revision));
        }
        let settle = move |family: &mut Family| {
            let there = family.versions.get_mut(&number).filter(|version| version.revision == revision);
            let there = there.map(|version| version.snap = Some(snap.clone())).is_some();
            Ok(Step::Done(there))
        };
        let wanted = Wanted { versions: vec![number], ..Wanted::default() };
        if !self.state.alter_family(address, wanted, settle).await? {
            // It was deleted meanwhile.
            self.snapshots.remove(found.edition().revision).await?;
        }
        self.targets.forget(address);
        Ok(None)
    }

    /// Runs INIT, keeps what it made, and tries it. None when the platform stops.
    async fn snapshot(&self, target: &Target, revision: &str) -> Result<Option<Snap>, Fault> {
        let (sender, receiver) = mpsc::channel(PIECES);
        let most_bytes = (u64::from(target.memory_mb) + u64::from(target.tmp_mb) + MORE_MB) << 20;
        let wanted = SnapshotWanted { pieces: sender, most_bytes };
        let limit = invoker::init_limit(target.timeout_ms);
        let (taken, written) =
            tokio::join!(self.invoker.snapshot(target, wanted, limit), self.snapshots.write(receiver));
        let written = match (taken, written) {
            (Err(refusal), _) => return Ok(not_begun(&refusal)),
            (Ok(Snapshotted::Failed(failure)), _) => return Ok(Some(init_failed(&failure))),
            (Ok(Snapshotted::Unfit { why }), _) => return Ok(Some(Snap::Off(why))),
            (Ok(Snapshotted::Taken), written) => written?,
        };
        let mut tried = target.clone();
        tried.image.snapshot = Some(written.path().to_owned());
        match self.invoker.try_restore(&tried).await {
            Err(refusal) => Ok(not_begun(&refusal)),
            Ok(false) => Ok(Some(Snap::Off("its snapshot could not be restored on this host".into()))),
            Ok(true) => {
                written.keep(revision).await?;
                Ok(Some(Snap::On))
            }
        }
    }

    /// Removes the snapshot of a version that is gone.
    pub(crate) fn forget_snapshot(&self, version: &Version) {
        if version.snap.is_none() {
            return;
        }
        self.remove_snapshot(version.revision.clone());
    }

    fn remove_snapshot(&self, name: String) {
        let snapshots = self.snapshots.clone();
        tokio::spawn(async move {
            if let Err(error) = snapshots.remove(&name).await {
                tracing::warn!(%error, "the snapshot of a version that is gone could not be removed");
            }
        });
    }
}

fn is_on(response: &aws::SnapStartResponse) -> bool {
    response.optimization_status.as_deref() == Some("On")
}

fn failed(code: &str, reason: impl ToString) -> Snap {
    Snap::Failed { code: code.to_owned(), reason: reason.to_string() }
}

fn not_begun(refusal: &Refusal) -> Option<Snap> {
    (*refusal != Refusal::Draining).then(|| Snap::Off(refusal.to_string()))
}

/// The codes are AWS's, the words ours: AWS does not document its own.
fn init_failed(failure: &InitFailure) -> Snap {
    match failure {
        InitFailure::Error(error_type) => {
            failed("FunctionError.RuntimeInitError", format!("The function failed to initialize: {error_type}"))
        }
        InitFailure::Exit => {
            failed("FunctionError", "The function failed to initialize: its process ended (Runtime.ExitError)")
        }
        InitFailure::OutOfMemory => {
            failed("FunctionError.InitResourceExhausted", "The function failed to initialize: it ran out of memory")
        }
        InitFailure::Timeout => {
            failed("FunctionError.InitTimeout", "The function failed to initialize within the time limit")
        }
        InitFailure::Program(why) => failed("FunctionError.InvalidEntryPoint", why),
    }
}

#[cfg(test)]
mod tests {
    use base::{Account, Region};

    use super::*;

    #[test]
    fn the_runtime_is_named_as_aws_names_it() {
        let address = Address { account: Account::DEFAULT, region: Region::default_region(), name: "f".into() };
        let words = runtime_words(&address, "python3.12");
        assert!(
            words.starts_with(
                "Runtime Version: python:3.12.v1\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:"
            )
        );
    }
}
