//! From provisioned concurrency as it is configured to environments that are ready: which version gets how many.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use base::{Fault, KeptReady};

use crate::Functions;
use crate::name::{self, Address, Qualifier, qualifier};
use crate::target::Plan;
use crate::types::{Alias, Function, Provisioned};

/// How far a configuration is, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) allocated: u32,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
}

/// The versions behind a qualifier, and how many environments each gets. An alias's are shared out by its weights: the
/// additional version gets its share rounded down, but at least one.
fn shares(qualifier: &str, wanted: u32, alias: Option<&Alias>) -> Vec<(String, u32)> {
    let Some(alias) = alias else { return vec![(qualifier.to_owned(), wanted)] };
    let Some(share) = alias.additional.as_ref().filter(|share| share.weight > 0.0 && wanted > 1) else {
        return vec![(alias.version.clone(), wanted)];
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies within 0..=wanted")]
    let additional = ((f64::from(wanted) * share.weight) as u32).clamp(1, wanted);
    let mut all = vec![(share.version.clone(), additional)];
    if additional < wanted {
        all.push((alias.version.clone(), wanted - additional));
    }
    all
}

impl Functions {
    /// Tells the meter what is kept ready of a function from now on, and sees beside the answer that its versions have as
    /// many environments ready as is configured.
    pub(crate) fn provision(self: &Arc<Self>, address: &Address) {
        let (functions, address) = (Arc::clone(self), address.clone());
        if let Err(fault) = self.bill(&address) {
            tracing::error!(%fault, function = address.name, "a change of provisioned concurrency is not billed");
        }
        tokio::spawn(async move {
            if let Err(fault) = functions.provision_now(&address).await {
                tracing::warn!(%fault, function = address.name, "provisioned concurrency could not be brought about");
            }
        });
    }

    /// As [`Functions::provision`], for all functions: at start.
    ///
    /// # Errors
    /// The store's faults.
    pub(crate) async fn provision_all(&self) -> Result<(), Fault> {
        let all = self.bill_all()?;
        for address in &all {
            self.provision_now(address).await?;
        }
        Ok(())
    }

    /// Tells the meter what is kept ready of a function from now on.
    fn bill(&self, address: &Address) -> Result<(), Fault> {
        let _last = self.billing.lock().unwrap_or_else(PoisonError::into_inner);
        self.options.meter.kept_ready(Some(&address.arn()), self.kept_ready(address)?, self.options.clocks.product());
        Ok(())
    }

    /// Tells the meter what is kept ready of all functions; answers with those of which something is.
    fn bill_all(&self) -> Result<Vec<Address>, Fault> {
        let _last = self.billing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.state.every()?.into_iter().filter(|(_, function)| !function.provisioned.is_empty());
        let all: Vec<Address> = all.map(|(address, _)| address).collect();
        let mut kept = Vec::new();
        for address in &all {
            kept.extend(self.kept_ready(address)?);
        }
        self.options.meter.kept_ready(None, kept, self.options.clocks.product());
        Ok(all)
    }

    /// How many environments each version shall have ready.
    fn wanted_by_version(&self, address: &Address) -> Result<BTreeMap<String, u32>, Fault> {
        let configs = self.state.get(address)?.map(|function| function.provisioned).unwrap_or_default();
        let mut wanted = BTreeMap::new();
        for (qualifier, config) in &configs {
            let alias = self.state.alias(address, qualifier)?;
            for (version, count) in shares(qualifier, config.wanted, alias.as_ref()) {
                *wanted.entry(version).or_insert(0) += count;
            }
        }
        Ok(wanted)
    }

    /// The same as it is paid for. A version that went meanwhile costs nothing.
    fn kept_ready(&self, address: &Address) -> Result<Vec<KeptReady>, Fault> {
        let mut kept = Vec::new();
        for (version, count) in self.wanted_by_version(address)? {
            let Qualifier::Version(number) = qualifier(Some(&version)) else { continue };
            let Some(found) = self.state.version(address, number)? else { continue };
            kept.push(KeptReady {
                function_arn: address.qualified(Some(&version)),
                memory_mb: u64::from(found.settings.memory_mb) * u64::from(count),
                arm: found.settings.architecture == "arm64",
            });
        }
        Ok(kept)
    }

    async fn provision_now(&self, address: &Address) -> Result<(), Fault> {
        // One after the other: the last to read is the last to tell.
        let mut told = self.provisioned.lock().await;
        let before = told.remove(address).unwrap_or_default();
        let wanted = self.wanted_by_version(address)?;
        for version in before.keys().filter(|version| !wanted.contains_key(*version)) {
            self.keep_ready(address, version, 0).await;
        }
        let mut failures = BTreeMap::new();
        for (version, count) in wanted {
            let failure = self.keep_ready(address, &version, count).await;
            failures.insert(version, failure);
        }
        if !failures.is_empty() {
            told.insert(address.clone(), failures);
        }
        Ok(())
    }

    /// Tells the invoker how many environments of a version to keep ready; says what stands in the way.
    async fn keep_ready(&self, address: &Address, version: &str, count: u32) -> Option<String> {
        match self.ready_version(address, version).await {
            Ok(plan) => match &*plan {
                Plan::Run { target, .. } => {
                    self.invoker.provision(target, usize::try_from(count).unwrap_or(usize::MAX));
                    None
                }
                // Its invocations say why.
                Plan::NoBootstrap { .. } => Some(invoker::INIT_FAILURE.to_owned()),
            },
            Err(fault) => {
                // A version that went while it was told of: there is no target to say 0 of any more.
                if fault.status == 404 {
                    self.invoker.evict_version(&address.arn(), version);
                }
                Some(fault.message)
            }
        }
    }

    /// How far each configuration of a function is, by its qualifier. Environments of a version that several aliases reach are
    /// shared out: what was configured first has them first.
    ///
    /// # Errors
    /// The store's faults.
    pub(crate) fn progress(&self, address: &Address, function: &Function) -> Result<BTreeMap<String, Progress>, Fault> {
        let mut configs: Vec<(&String, &Provisioned)> = function.provisioned.iter().collect();
        configs.sort_by_key(|(_, config)| config.modified_ms);
        let mut taken = BTreeMap::new();
        let mut all = BTreeMap::new();
        for (qualifier, config) in configs {
            let alias = match name::qualifier(Some(qualifier)) {
                Qualifier::Alias(alias) => self.state.alias(address, alias)?,
                _ => None,
            };
            let progress = self.progress_of(address, (qualifier, config, alias.as_ref()), &mut taken);
            all.insert(qualifier.clone(), progress);
        }
        Ok(all)
    }

    /// How far one is. `taken` are of each version the environments of those before it.
    fn progress_of(
        &self,
        address: &Address,
        (qualifier, config, alias): (&str, &Provisioned, Option<&Alias>),
        taken: &mut BTreeMap<String, u32>,
    ) -> Progress {
        let arn = address.arn();
        let (mut allocated, mut reason) = (0, None);
        for (version, count) in shares(qualifier, config.wanted, alias) {
            let ready = self.invoker.provisioned(&arn, &version);
            let of_version = ready.as_ref().map_or(0, |ready| u32::try_from(ready.allocated).unwrap_or(u32::MAX));
            let before = taken.entry(version.clone()).or_insert(0);
            allocated += of_version.saturating_sub(*before).min(count);
            *before += count;
            reason = reason.or(ready.and_then(|ready| ready.failure));
            if reason.is_none()
                && let Ok(told) = self.provisioned.try_lock()
            {
                let failure = told.get(address).and_then(|versions| versions.get(&version));
                reason = failure.cloned().flatten();
            }
        }
        let status = match &reason {
            _ if allocated == config.wanted => "READY",
            Some(_) => "FAILED",
            None => "IN_PROGRESS",
        };
        Progress { allocated, status, reason: reason.filter(|_| status == "FAILED") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::Share;

    proptest! {
        #[test]
        fn shares_add_up(wanted in 1..2000u32, weight in proptest::option::of(0.0..=1.0f64)) {
            let alias = Alias {
                version: "1".into(),
                description: String::new(),
                additional: weight.map(|weight| Share { version: "2".into(), weight }),
                revision: String::new(),
                url: None,
            };
            let all = shares("live", wanted, Some(&alias));
            prop_assert_eq!(all.iter().map(|(_, count)| count).sum::<u32>(), wanted);
            prop_assert!(all.iter().all(|(_, count)| *count > 0));
            prop_assert_eq!(shares("7", wanted, None), [("7".to_owned(), wanted)]);
        }
    }
}
