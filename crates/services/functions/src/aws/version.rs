//! PublishVersion, and what a deletion of a version or of a whole function takes along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use super::change::insist_on;
use super::describe::{Detail, base64_of_hex, configuration};
use super::{new_revision, refuse, required};
use crate::family::{Family, Step, Wanted};
use crate::name::{self, Address, LATEST, Named, Qualifier, qualifier};
use crate::types::{Function, Published, Snap, Version};
use crate::{Functions, faults, rules};

/// Publishes within a change: what it will write is settled before.
pub(super) struct Publisher {
    description: Option<String>,
    revision: String,
    now_ms: i64,
}

impl Publisher {
    /// Makes `$LATEST` a version, unless it is the one published last: then that is answered again.
    pub(super) fn publish(
        &self,
        family: &mut Family,
        address: &Address,
    ) -> Result<Step<aws::FunctionConfiguration>, Fault> {
        let Family { function, versions, last_number, .. } = family;
        let function = function.as_mut().ok_or_else(|| faults::no_function(&address.arn()))?;
        let fingerprint = rules::fingerprint(&function.settings, &function.code);
        let told = |number: u64, version: &Version| {
            let edition = version.edition(number);
            Step::Done(configuration(address, Some(&edition.version), &edition, Detail::Whole))
        };
        if let Some(published) = function.published.as_ref().filter(|last| last.fingerprint == fingerprint) {
            // It is there: with a version goes the mark that it was published last.
            return Ok(match versions.get(&published.number) {
                Some(version) => told(published.number, version),
                None => Step::Read(Wanted { versions: vec![published.number], ..Wanted::default() }),
            });
        }
        let number = *last_number + 1;
        let mut settings = function.settings.clone();
        if let Some(description) = &self.description {
            settings.description.clone_from(description);
        }
        let version = Version {
            snap: settings.snap_start.then_some(Snap::Pending),
            settings,
            code: function.code.clone(),
            revision: self.revision.clone(),
            modified_ms: self.now_ms,
        };
        let answer = told(number, &version);
        versions.insert(number, version);
        *last_number = number;
        function.published = Some(Published { number, fingerprint });
        if let Some(management) = function.runtime_management.get(LATEST).cloned() {
            function.runtime_management.insert(number.to_string(), management);
        }
        Ok(answer)
    }
}

impl Functions {
    /// With a version's description; without one it has the function's.
    pub(super) fn publisher(&self, description: Option<String>) -> Publisher {
        Publisher { description, revision: new_revision(self), now_ms: self.options.clocks.product().0 }
    }
}

impl Handle<ops::PublishVersion> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PublishVersionRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionConfiguration>, Fault> {
        refuse("PublishVersion", &[("PublishTo", input.publish_to.is_some())])?;
        let text = required(input.function_name, "FunctionName")?;
        let address = name::resolve_whole(context.account, &context.region, &text)?;
        let (publisher, told) = (self.publisher(input.description), address.clone());
        let (insisted, code) = (input.revision_id, input.code_sha256.filter(|code| !code.is_empty()));
        let publish = move |family: &mut Family| {
            let function = family.existing(&told)?;
            insist_on(&function.revision, insisted.as_deref())?;
            let current = base64_of_hex(&function.code.sha256).unwrap_or_default();
            if let Some(code) = code.as_ref().filter(|code| **code != current) {
                return Err(faults::invalid(format!(
                    "CodeSHA256 ({code}) is different from current CodeSHA256 in $LATEST ({current}). Please try again with \
                     the CodeSHA256 in $LATEST."
                )));
            }
            publisher.publish(family, &told)
        };
        let published = self.state.alter_family(&address, Wanted::default(), publish).await?;
        self.begin_snapshot(&address, &published);
        Ok(published.into())
    }
}

/// Forgets what hangs on a version or an alias besides its row.
pub(super) fn bereave(function: &mut Function, qualifier: &str) {
    function.policy.retain(|statement| statement.qualifier.as_deref() != Some(qualifier));
    function.event_invoke.remove(qualifier);
    function.provisioned.remove(qualifier);
    function.runtime_management.remove(qualifier);
}

impl Functions {
    /// Deletes one version. One that is not there is no mistake, as on AWS.
    async fn delete_version(self: &Arc<Self>, address: &Address, number: u64) -> Result<(), Fault> {
        let told = address.clone();
        let delete = move |family: &mut Family| {
            family.existing(&told)?;
            if !family.complete {
                return Ok(Step::ReadAll);
            }
            let text = number.to_string();
            let pointing = family.aliases.iter().filter(|(_, alias)| alias.reaches(&text));
            let pointing: Vec<&str> = pointing.map(|(name, _)| name.as_str()).collect();
            if !pointing.is_empty() {
                return Err(faults::conflict(format!(
                    "Unable to delete version because the following aliases reference it: [{}]",
                    pointing.join(", ")
                )));
            }
            let gone = family.versions.remove(&number);
            let function = family.existing(&told)?;
            bereave(function, &text);
            function.published.take_if(|published| published.number == number);
            Ok(Step::Done(gone))
        };
        let gone = self.state.alter_family(address, Wanted::default(), delete).await?;
        if let Some(version) = gone {
            self.targets.forget(address);
            self.invoker.evict_version(&address.arn(), &number.to_string());
            self.provision(address);
            self.forget_snapshot(&version);
            for code in version.codes() {
                self.code.maybe_unused(&code.sha256);
            }
        }
        Ok(())
    }

    /// Deletes a function with its versions and aliases.
    async fn delete_whole(self: &Arc<Self>, address: &Address) -> Result<(), Fault> {
        let told = address.clone();
        let delete = move |family: &mut Family| {
            family.existing(&told)?;
            if !family.complete {
                return Ok(Step::ReadAll);
            }
            let of_latest = family.function.iter().flat_map(Function::codes);
            let codes = of_latest.chain(family.versions.values().flat_map(Version::codes));
            let codes: BTreeSet<String> = codes.map(|code| code.sha256.clone()).collect();
            let versions = std::mem::take(&mut family.versions);
            (family.function, family.aliases) = (None, BTreeMap::new());
            Ok(Step::Done((codes, versions)))
        };
        let (codes, versions) = self.state.alter_family(address, Wanted::default(), delete).await?;
        self.changed_in_all_versions(address);
        for code in codes {
            self.code.maybe_unused(&code);
        }
        versions.values().for_each(|version| self.forget_snapshot(version));
        self.forget_latest(address);
        self.reserve(address, None);
        self.provision(address);
        Ok(())
    }
}

impl Handle<ops::DeleteFunction> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteFunctionRequest,
        _: Body,
    ) -> Result<Answer<aws::DeleteFunctionResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let named = name::resolve(context.account, &context.region, &text, input.qualifier.as_deref())?;
        let Named { address, qualifier: named } = named;
        match (named.as_deref(), qualifier(named.as_deref())) {
            (None, _) => self.delete_whole(&address).await?,
            (_, Qualifier::Version(number)) => self.delete_version(&address, number).await?,
            (_, Qualifier::Latest) => {
                return Err(faults::invalid("$LATEST version cannot be deleted without deleting the function."));
            }
            (_, Qualifier::Alias(_)) => return Err(faults::invalid("Deletion of aliases is not currently supported.")),
        }
        Ok(aws::DeleteFunctionResponse { status_code: Some(204) }.into())
    }
}
