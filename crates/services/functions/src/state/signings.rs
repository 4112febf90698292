//! The rows of code signing configurations. In `Control`: `code-signing/ACCOUNT/REGION/ID` is a configuration, with the number
//! of functions that have it; `code-signing-function/ACCOUNT/REGION/ID/NAME` says that this function is one of them, and
//! follows from the function's row ([`crate::family`]).

use base::Fault;
use store::{Batch, Key, Range, Space};

use super::{Home, State};
use crate::name::Address;
use crate::signing::Signing;

impl Home {
    pub(crate) fn of(address: &Address) -> Self {
        Self { account: address.account, region: address.region.clone() }
    }

    /// The key of a configuration.
    pub(crate) fn signing(&self, id: &str) -> String {
        format!("code-signing/{}/{}/{id}", self.account, self.region)
    }

    /// The key that says of a function that it has a configuration.
    pub(crate) fn signed(&self, id: &str, function: &str) -> String {
        format!("code-signing-function/{}/{}/{id}/{function}", self.account, self.region)
    }
}

impl State {
    /// A configuration, if it is there.
    pub(crate) fn signing(&self, home: &Home, id: &str) -> Result<Option<Signing>, Fault> {
        Ok(store::get_json(&*self.kv, Space::Control, home.signing(id).as_bytes())?)
    }

    /// Makes, changes or deletes a configuration: `change` takes it as it stands and gives it as it shall be, and what the
    /// caller wants to know. It may run more than once.
    pub(crate) async fn alter_signing<T, F>(&self, home: &Home, id: &str, mut change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(Option<Signing>) -> Result<(Option<Signing>, T), Fault> + Send + 'static,
    {
        let key = home.signing(id);
        let keys = vec![Key::new(Space::Control, key.clone())];
        let run = move |rows: &store::Rows| {
            let (after, value) = change(rows.json(Space::Control, key.as_bytes())?)?;
            let mut batch = Batch::new();
            match after {
                Some(after) => drop(batch.put_json(Space::Control, key.clone(), &after)?),
                None => drop(batch.delete(Space::Control, key.clone())),
            }
            Ok((batch, value))
        };
        Ok(store::transact_with(&*self.kv, keys, run).await?)
    }

    /// At most `limit` configurations by id, after the id `after`.
    pub(crate) fn signings(
        &self,
        home: &Home,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Signing)>, Fault> {
        let rows = self.below(home.signing(""), after, limit)?;
        let read = |(id, value): (String, bytes::Bytes)| {
            let signing = serde_json::from_slice(&value).map_err(|_| damaged())?;
            Ok((id, signing))
        };
        rows.into_iter().map(read).collect()
    }

    /// At most `limit` names of functions that have a configuration, after the name `after`.
    pub(crate) fn signed(
        &self,
        home: &Home,
        id: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, Fault> {
        let rows = self.below(home.signed(id, ""), after, limit)?;
        Ok(rows.into_iter().map(|(name, _)| name).collect())
    }

    /// At most `limit` rows whose keys begin with `prefix`, after the one that ends in `after`, by what follows the prefix.
    fn below(&self, prefix: String, after: Option<&str>, limit: usize) -> Result<Vec<(String, bytes::Bytes)>, Fault> {
        let mut range = Range::prefix(prefix.clone());
        if let Some(after) = after {
            range = range.after(format!("{prefix}{after}"));
        }
        let rows = self.kv.range(Space::Control, range, limit, false)?;
        let read = |(key, value): store::Row| {
            let rest = std::str::from_utf8(&key[prefix.len()..]).map_err(|_| damaged())?;
            Ok((rest.to_owned(), value))
        };
        rows.into_iter().map(read).collect()
    }
}

fn damaged() -> Fault {
    Fault::internal("a code signing configuration's row does not read; the data folder is damaged")
}
