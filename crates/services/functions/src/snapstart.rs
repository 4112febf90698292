//! SnapStart: a version that is published under it is initialized once, beside the answer, and what that made is kept; its
//! environments begin with it instead of INIT. A snapshot that is missing, or that cannot be restored any more since the host
//! has changed, is made anew when an invocation finds that out.
//!
//! Source: AWS Lambda developer guide, "Improving startup performance with Lambda SnapStart", and AWS Lambda API reference,
//! `FunctionConfiguration`.

use std::sync::{Arc, PoisonError};

use base::Fault;
use invoker::{InitFailure, Isolation, Refusal, Snapshotted, Target};
use model::lambda as aws;
use runtime::SnapshotWanted;
use tokio::sync::mpsc;

use crate::family::{Family, Step, Wanted};
use crate::name::{Address, Named};
use crate::target::Plan;
use crate::types::{Snap, Version};
use crate::{Functions, faults};

/// How many are made at a time: each is an INIT that takes CPU from others.
pub(crate) const AT_A_TIME: usize = 2;
/// Pieces that wait to be written.
const PIECES: usize = 16;
/// What a snapshot may have besides the function's memory and its `/tmp`, MiB.
const MORE_MB: u64 = 64;
/// Versions that are read at once.
const PAGE: usize = 100;

/// A version, by the function and its number.
pub(crate) type Numbered = (Address, u64);

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
                if let Err(fault) = functions.make_snapshot(&address, number).await {
                    tracing::warn!(%fault, function = address.name, number, "no snapshot could be made");
                }
                let mut snapping = functions.snapping.lock().unwrap_or_else(PoisonError::into_inner);
                snapping.remove(&(address, number));
            });
        }
    }

    async fn make_snapshot(&self, address: &Address, number: u64) -> Result<(), Fault> {
        let _turn = self.snap_turns.acquire().await;
        // Held before the row is read: the code that the row names stays until the target has its claim.
        let held = self.code.hold().await;
        let named = Named { address: address.clone(), qualifier: Some(number.to_string()) };
        let found = match self.find(named) {
            Err(fault) if fault.status == 404 => return Ok(()),
            found => found?,
        };
        let plan = self.make(address, &found.edition(), &found.function).await;
        drop(held);
        let revision = found.edition().revision.to_owned();
        let snap = match &plan {
            Ok(Plan::Run { unfit: Some(why), .. }) => Snap::Off((*why).to_owned()),
            Ok(Plan::Run { target, .. }) => match self.snapshot(target, &revision).await? {
                Some(snap) => snap,
                // The platform stops; the next start begins anew.
                None => return Ok(()),
            },
            Ok(Plan::NoBootstrap { why, .. }) => failed("FunctionError.InvalidEntryPoint", why),
            Err(fault) => failed("InvalidRuntime", &fault.message),
        };
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
        Ok(())
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
        let (snapshots, revision) = (self.snapshots.clone(), version.revision.clone());
        tokio::spawn(async move {
            if let Err(error) = snapshots.remove(&revision).await {
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
