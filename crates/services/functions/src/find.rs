//! What a caller named: a function, one of its versions, or an alias and what that points to.

use base::Fault;

use crate::name::{Named, Qualifier, qualifier};
use crate::types::{Alias, Edition, Function, Version};
use crate::{Functions, faults};

/// A function and the version that a caller meant.
pub(crate) struct Found {
    pub(crate) named: Named,
    pub(crate) function: Function,
    /// The published version, unless `$LATEST` is meant.
    pub(crate) version: Option<(u64, Version)>,
    /// The alias by which it was named, if it was.
    pub(crate) alias: Option<Alias>,
}

impl Found {
    /// The version meant.
    pub(crate) fn edition(&self) -> Edition<'_> {
        match &self.version {
            Some((number, version)) => version.edition(*number),
            None => self.function.latest(),
        }
    }

    /// What a caller may insist on: an alias has a revision of its own.
    pub(crate) fn revision(&self) -> &str {
        match &self.alias {
            Some(alias) => &alias.revision,
            None => self.edition().revision,
        }
    }
}

impl Functions {
    /// Finds what a caller named. An alias is followed to the version it points to, whatever its weights.
    ///
    /// # Errors
    /// AWS's words when there is no such function, version or alias; the store's faults.
    pub(crate) fn find(&self, named: Named) -> Result<Found, Fault> {
        let missing = |named: &Named| faults::no_function(&named.address.qualified(named.qualifier.as_deref()));
        let Some(function) = self.state.get(&named.address)? else { return Err(missing(&named)) };
        let alias = match qualifier(named.qualifier.as_deref()) {
            Qualifier::Alias(name) => Some(self.state.alias(&named.address, name)?.ok_or_else(|| missing(&named))?),
            _ => None,
        };
        let pointed = alias.as_ref().map(|alias| alias.version.as_str()).or(named.qualifier.as_deref());
        let version = match qualifier(pointed) {
            Qualifier::Version(number) => {
                let version = self.state.version(&named.address, number)?.ok_or_else(|| missing(&named))?;
                Some((number, version))
            }
            _ => None,
        };
        Ok(Found { named, function, version, alias })
    }
}
