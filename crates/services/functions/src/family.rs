//! A function with its versions and aliases: rows of their own that change together.
//!
//! In `Control`: `function-version/ACCOUNT/REGION/NAME/NUMBER` is a published version; `function-alias/ACCOUNT/REGION/NAME/ALIAS`
//! is an alias; `function-number/ACCOUNT/REGION/NAME` is the last number given to a version under that name, which outlives
//! the function: numbers are never used again. `function-code/SHA256/ACCOUNT/REGION/NAME:NUMBER` says that a version uses
//! that code, and `function-url/ID` names `ACCOUNT/REGION/NAME:ALIAS` where the URL is an alias's. The code signing
//! configuration of the function is read along: it says what may be deployed, and counts the functions that have it.

use std::collections::BTreeMap;

use base::Fault;
use bytes::Bytes;
use store::{Batch, Key, Range, Rows, Space};

use crate::faults;
use crate::name::{self, Address, Qualifier};
use crate::signing::{self, Signing};
use crate::state::{Home, PAGE, State, place};
use crate::types::{Alias, Function, Version};

/// Which versions and aliases a change reads besides the function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) versions: Vec<u64>,
    pub(crate) aliases: Vec<String>,
    /// The code signing configurations that the function shall have; the one it has is read along anyway.
    pub(crate) signings: Vec<String>,
}

impl Wanted {
    /// What a qualifier names.
    pub(crate) fn of(qualifier: Option<&str>) -> Self {
        let mut wanted = Self::default();
        match name::qualifier(qualifier) {
            Qualifier::Latest => {}
            Qualifier::Version(number) => wanted.versions.push(number),
            Qualifier::Alias(name) => wanted.aliases.push(name.to_owned()),
        }
        wanted
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.versions.extend(other.versions);
        self.aliases.extend(other.aliases);
        self.signings.extend(other.signings);
        self
    }
}

/// What a change of a family came to.
#[derive(Debug)]
pub(crate) enum Step<T> {
    /// It is made.
    Done(T),
    /// Nothing is made: it must run again with these read along.
    Read(Wanted),
    /// Nothing is made: it must run again with all versions and aliases read along.
    ReadAll,
}

impl<T> Step<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Done(value) => Step::Done(change(value)),
            Self::Read(wanted) => Step::Read(wanted),
            Self::ReadAll => Step::ReadAll,
        }
    }
}

/// A function and, of the versions and aliases that were wanted, those that are there. A change edits it in place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Family {
    /// None before it is made, and after it is deleted.
    pub(crate) function: Option<Function>,
    pub(crate) versions: BTreeMap<u64, Version>,
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// Code signing configurations, by id.
    pub(crate) signings: BTreeMap<String, Signing>,
    /// The last number given to a version.
    pub(crate) last_number: u64,
    /// Whether all versions and aliases are here, as after [`Step::ReadAll`].
    pub(crate) complete: bool,
    /// What was read: of these, what is not here does not exist.
    pub(crate) read: Wanted,
}

impl Family {
    /// The function, which must be there.
    ///
    /// # Errors
    /// AWS's words when it is not.
    pub(crate) fn existing(&mut self, address: &Address) -> Result<&mut Function, Fault> {
        self.function.as_mut().ok_or_else(|| faults::no_function(&address.arn()))
    }

    /// The keys to declare for it.
    pub(crate) fn keys(address: &Address, wanted: &Wanted) -> Vec<Key> {
        let versions = wanted.versions.iter().map(|number| version_key(address, *number));
        let aliases = wanted.aliases.iter().map(|name| alias_key(address, name));
        let home = Home::of(address);
        let signings = wanted.signings.iter().map(|id| home.signing(id));
        let all = versions.chain(aliases).chain(signings).chain([function_key(address), number_key(address)]);
        all.map(|key| Key::new(Space::Control, key)).collect()
    }

    pub(crate) fn read(rows: &Rows, address: &Address, wanted: &Wanted) -> Result<Self, Fault> {
        let mut family = Self {
            function: rows.json(Space::Control, function_key(address).as_bytes())?,
            last_number: rows.json(Space::Control, number_key(address).as_bytes())?.unwrap_or_default(),
            read: wanted.clone(),
            ..Self::default()
        };
        for number in &wanted.versions {
            if let Some(version) = rows.json(Space::Control, version_key(address, *number).as_bytes())? {
                family.versions.insert(*number, version);
            }
        }
        for name in &wanted.aliases {
            if let Some(alias) = rows.json(Space::Control, alias_key(address, name).as_bytes())? {
                family.aliases.insert(name.clone(), alias);
            }
        }
        let home = Home::of(address);
        for id in &wanted.signings {
            if let Some(signing) = rows.json(Space::Control, home.signing(id).as_bytes())? {
                family.signings.insert(id.clone(), signing);
            }
        }
        Ok(family)
    }

    fn signing_id(&self) -> Option<&String> {
        self.function.as_ref()?.signing.as_ref()
    }

    /// The function's code signing configuration, where it was not read along.
    pub(crate) fn unread_signing(&self) -> Option<Wanted> {
        let id = self.signing_id().filter(|id| !self.read.signings.contains(id))?;
        Some(Wanted { signings: vec![id.clone()], ..Wanted::default() })
    }

    /// Whether the function may be given an artifact; where a configuration would rather have it signed and lets it through,
    /// true.
    ///
    /// # Errors
    /// AWS's words where it may not; `artifact` is what they name.
    pub(crate) fn admit(&self, address: &Address, artifact: &str) -> Result<bool, Fault> {
        let Some(id) = self.signing_id() else { return Ok(false) };
        self.signings.get(id).ok_or_else(|| no_signing(address, id))?.admits(artifact)?;
        Ok(true)
    }

    /// Keeps the numbers of functions that have the configurations right.
    ///
    /// # Errors
    /// AWS's words where the function was given a configuration that is not there, or that was not read along.
    pub(crate) fn count_signed(&mut self, address: &Address, before: &Self) -> Result<(), Fault> {
        let (old, new) = (before.signing_id(), self.signing_id().cloned());
        if old == new.as_ref() {
            return Ok(());
        }
        if let Some(signing) = old.and_then(|id| self.signings.get_mut(id)) {
            signing.functions = signing.functions.saturating_sub(1);
        }
        if let Some(id) = new {
            self.signings.get_mut(&id).ok_or_else(|| no_signing(address, &id))?.functions += 1;
        }
        Ok(())
    }

    /// Writes what differs from `before`, with all rows that follow from it.
    pub(crate) fn write(&mut self, batch: &mut Batch, address: &Address, before: &Self) -> Result<(), Fault> {
        if let Some(function) = &mut self.function
            && (self.versions != before.versions || self.aliases != before.aliases)
        {
            function.changes += 1;
        }
        let space = Space::Control;
        match &self.function {
            Some(function) if before.function.as_ref() == Some(function) => {}
            Some(function) => drop(batch.put_json(space, function_key(address), function)?),
            None => drop(batch.delete(space, function_key(address))),
        }
        if self.last_number != before.last_number {
            batch.put_json(space, number_key(address), &self.last_number)?;
        }
        for (number, version) in &self.versions {
            if before.versions.get(number) != Some(version) {
                batch.put_json(space, version_key(address, *number), version)?;
            }
        }
        for number in before.versions.keys().filter(|number| !self.versions.contains_key(number)) {
            batch.delete(space, version_key(address, *number));
        }
        for (name, alias) in &self.aliases {
            if before.aliases.get(name) != Some(alias) {
                batch.put_json(space, alias_key(address, name), alias)?;
            }
        }
        for name in before.aliases.keys().filter(|name| !self.aliases.contains_key(*name)) {
            batch.delete(space, alias_key(address, name));
        }
        for (id, signing) in &self.signings {
            if before.signings.get(id) != Some(signing) {
                batch.put_json(space, Home::of(address).signing(id), signing)?;
            }
        }
        let (old, new) = (before.followers(address), self.followers(address));
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            batch.delete(space, key.clone());
        }
        for (key, value) in new {
            if old.get(&key) != Some(&value) {
                batch.put(space, key, value);
            }
        }
        Ok(())
    }

    /// The rows that follow from these.
    fn followers(&self, address: &Address) -> BTreeMap<String, Bytes> {
        let place = place(address);
        let mut rows = BTreeMap::new();
        if let Some(function) = &self.function {
            for code in function.codes() {
                rows.insert(format!("function-code/{}/{place}", code.sha256), Bytes::new());
            }
            if let Some(url) = &function.url {
                rows.insert(format!("function-url/{}", url.id), place.clone().into());
            }
            if let Some(id) = &function.signing {
                rows.insert(Home::of(address).signed(id, &address.name), Bytes::new());
            }
        }
        for (number, version) in &self.versions {
            for code in version.codes() {
                rows.insert(format!("function-code/{}/{place}:{number}", code.sha256), Bytes::new());
            }
        }
        for (name, alias) in &self.aliases {
            if let Some(url) = &alias.url {
                rows.insert(format!("function-url/{}", url.id), format!("{place}:{name}").into());
            }
        }
        rows
    }
}

impl State {
    /// A published version, if it is there.
    pub(crate) fn version(&self, address: &Address, number: u64) -> Result<Option<Version>, Fault> {
        Ok(store::get_json(self.kv(), Space::Control, version_key(address, number).as_bytes())?)
    }

    /// An alias, if it is there.
    pub(crate) fn alias(&self, address: &Address, name: &str) -> Result<Option<Alias>, Fault> {
        Ok(store::get_json(self.kv(), Space::Control, alias_key(address, name).as_bytes())?)
    }

    /// At most `limit` published versions by number, after the number `after`.
    pub(crate) fn versions(&self, address: &Address, after: u64, limit: usize) -> Result<Vec<(u64, Version)>, Fault> {
        let prefix = format!("function-version/{}/", place(address));
        let range = Range::prefix(prefix.clone()).after(version_key(address, after));
        self.children(range, limit, |key| key.strip_prefix(&prefix)?.parse().ok())
    }

    /// At most `limit` aliases by name, after the name `after`.
    pub(crate) fn aliases(
        &self,
        address: &Address,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Alias)>, Fault> {
        let prefix = format!("function-alias/{}/", place(address));
        let mut range = Range::prefix(prefix.clone());
        if let Some(name) = after {
            range = range.after(alias_key(address, name));
        }
        self.children(range, limit, |key| key.strip_prefix(&prefix).map(str::to_owned))
    }

    /// All versions and aliases of a function, to be read along in a change.
    pub(crate) fn all_of(&self, address: &Address) -> Result<Wanted, Fault> {
        let mut wanted = Wanted::default();
        loop {
            let page = self.versions(address, wanted.versions.last().copied().unwrap_or_default(), PAGE)?;
            wanted.versions.extend(page.iter().map(|(number, _)| *number));
            if page.len() < PAGE {
                break;
            }
        }
        loop {
            let page = self.aliases(address, wanted.aliases.last().map(String::as_str), PAGE)?;
            let full = page.len() == PAGE;
            wanted.aliases.extend(page.into_iter().map(|(name, _)| name));
            if !full {
                return Ok(wanted);
            }
        }
    }

    fn children<N, T: serde::de::DeserializeOwned>(
        &self,
        range: Range,
        limit: usize,
        name: impl Fn(&str) -> Option<N>,
    ) -> Result<Vec<(N, T)>, Fault> {
        let rows = self.kv().range(Space::Control, range, limit, false)?;
        let read = |(key, value): &store::Row| {
            Some((name(std::str::from_utf8(key).ok()?)?, serde_json::from_slice(value).ok()?))
        };
        let damaged =
            || Fault::internal("a row of a function's version or alias does not read; the data folder is damaged");
        rows.iter().map(|row| read(row).ok_or_else(damaged)).collect()
    }
}

fn no_signing(address: &Address, id: &str) -> Fault {
    faults::no_signing_to_have(&signing::arn(address.account, &address.region, id))
}

pub(crate) fn function_key(address: &Address) -> String {
    format!("function/{}", place(address))
}

fn number_key(address: &Address) -> String {
    format!("function-number/{}", place(address))
}

// Padded, so that keys sort as numbers do.
fn version_key(address: &Address, number: u64) -> String {
    format!("function-version/{}/{number:020}", place(address))
}

fn alias_key(address: &Address, name: &str) -> String {
    format!("function-alias/{}/{name}", place(address))
}
