//! The rows of event source mappings. In `Control`: `event-source/ACCOUNT/REGION/UUID` is a mapping;
//! `event-source-of/ACCOUNT/REGION/DIGEST` names the one mapping of a source and a function, by a digest of both.

use base::{Account, Fault, Region};
use store::{Batch, Digest, Key, Range, Space};

use super::State;
use crate::source::Mapping;

/// Where mappings lie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Home {
    pub(crate) account: Account,
    pub(crate) region: Region,
}

impl Home {
    fn key(&self, uuid: &str) -> String {
        format!("event-source/{}/{}/{uuid}", self.account, self.region)
    }

    fn pair(&self, mapping: &Mapping) -> String {
        let digest = Digest::of(format!("{} {}", mapping.source, mapping.function).as_bytes());
        format!("event-source-of/{}/{}/{digest}", self.account, self.region)
    }
}

fn damaged() -> Fault {
    Fault::internal("an event source mapping's row does not read; the data folder is damaged")
}

impl State {
    /// A mapping, if it is there.
    pub(crate) fn mapping(&self, home: &Home, uuid: &str) -> Result<Option<Mapping>, Fault> {
        Ok(store::get_json(&*self.kv, Space::Control, home.key(uuid).as_bytes())?)
    }

    /// Writes a mapping, changes it from what it was (`before`), or deletes it: whoever comes too late fails.
    ///
    /// # Errors
    /// What `taken` makes of the UUID of another mapping of the same source and function; `moved` when the mapping is no
    /// longer what it was.
    pub(crate) async fn put_mapping(
        &self,
        home: &Home,
        uuid: &str,
        (before, after): (Option<Mapping>, Option<Mapping>),
        taken: impl Fn(&str) -> Fault + Send + 'static,
        moved: Fault,
    ) -> Result<(), Fault> {
        let (key, uuid) = (home.key(uuid), uuid.to_owned());
        let old_pair = before.as_ref().map(|mapping| home.pair(mapping));
        let new_pair = after.as_ref().map(|mapping| home.pair(mapping));
        let mut keys = vec![Key::new(Space::Control, key.clone())];
        keys.extend(old_pair.iter().chain(&new_pair).map(|pair| Key::new(Space::Control, pair.clone())));
        let run = move |rows: &store::Rows| {
            let found: Option<Mapping> = rows.json(Space::Control, key.as_bytes())?;
            if found != before {
                return Err(moved.clone());
            }
            let mut batch = Batch::new();
            if let Some(pair) = &old_pair {
                batch.delete(Space::Control, pair.clone());
            }
            if let Some(pair) = &new_pair {
                let other: Option<String> = rows.json(Space::Control, pair.as_bytes())?;
                if let Some(other) = other.filter(|other| *other != uuid) {
                    return Err(taken(&other));
                }
                batch.put_json(Space::Control, pair.clone(), &uuid)?;
            }
            match &after {
                Some(mapping) => drop(batch.put_json(Space::Control, key.clone(), mapping)?),
                None => drop(batch.delete(Space::Control, key.clone())),
            }
            Ok((batch, ()))
        };
        Ok(store::transact_with(&*self.kv, keys, run).await?)
    }

    /// Every mapping of every account.
    pub(crate) fn every_mapping(&self) -> Result<Vec<(Home, String, Mapping)>, Fault> {
        let (mut all, mut range) = (Vec::new(), Range::prefix("event-source/"));
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), super::PAGE, false)?;
            let Some((last, _)) = rows.last() else { return Ok(all) };
            range = range.after(last.clone());
            for (key, value) in &rows {
                let read = || {
                    let mut parts = std::str::from_utf8(key).ok()?.strip_prefix("event-source/")?.splitn(3, '/');
                    let home = Home { account: parts.next()?.parse().ok()?, region: parts.next()?.parse().ok()? };
                    Some((home, parts.next()?.to_owned(), serde_json::from_slice(value).ok()?))
                };
                all.push(read().ok_or_else(damaged)?);
            }
        }
    }

    /// At most `limit` mappings that match, by UUID, after one of them.
    pub(crate) fn mappings(
        &self,
        home: &Home,
        after: Option<&str>,
        limit: usize,
        matches: impl Fn(&Mapping) -> bool,
    ) -> Result<Vec<(String, Mapping)>, Fault> {
        let prefix = home.key("");
        let mut range = Range::prefix(prefix.clone());
        if let Some(uuid) = after {
            range = range.after(home.key(uuid));
        }
        let mut found = Vec::new();
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), super::PAGE, false)?;
            let Some((last, _)) = rows.last() else { return Ok(found) };
            range = range.after(last.clone());
            for (key, value) in &rows {
                let uuid = std::str::from_utf8(&key[prefix.len()..]).map_err(|_| damaged())?;
                let mapping: Mapping = serde_json::from_slice(value).map_err(|_| damaged())?;
                if matches(&mapping) {
                    found.push((uuid.to_owned(), mapping));
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
    }
}
