use std::cell::RefCell;
use std::collections::BTreeMap;

use base::Fault;
use bytes::Bytes;

use crate::{Error, Key, Range, Row, Snapshot, Space};

/// The rows a transaction declared, as they stand when its function runs.
#[derive(Debug)]
pub struct Rows {
    exact: BTreeMap<(Space, Bytes), Option<Bytes>>,
    first: BTreeMap<(Space, Bytes), Option<Row>>,
    /// The first undeclared row the function asked for. `get` cannot return an error without burdening every caller,
    /// so the engine asks for it afterwards and refuses the transaction.
    undeclared: RefCell<Option<(Space, Bytes)>>,
}

impl Rows {
    /// Reads the declared rows from one point in time.
    ///
    /// # Errors
    /// What the snapshot returns.
    pub fn load(keys: &[Key], from: &dyn Snapshot) -> Result<Self, Error> {
        let mut rows = Self { exact: BTreeMap::new(), first: BTreeMap::new(), undeclared: RefCell::new(None) };
        for key in keys {
            match key {
                Key::Exact(space, key) => {
                    rows.exact.insert((*space, key.clone()), from.get(*space, key)?);
                }
                Key::First(space, prefix) => {
                    let head = from.range(*space, Range::prefix(prefix.clone()), 1, false)?.pop();
                    rows.first.insert((*space, prefix.clone()), head);
                }
            }
        }
        Ok(rows)
    }

    /// The value of a declared row, none if there is no such row.
    ///
    /// Asking for a row that was not declared gives none, and the transaction fails with [`Error::Undeclared`] whatever
    /// its function returns.
    pub fn get(&self, space: Space, key: &[u8]) -> Option<Bytes> {
        let key = Bytes::copy_from_slice(key);
        match self.exact.get(&(space, key.clone())) {
            Some(value) => value.clone(),
            None => self.not_declared(space, key),
        }
    }

    /// The first row under a prefix declared with [`Key::first`], none if the prefix is empty.
    pub fn first(&self, space: Space, prefix: &[u8]) -> Option<Row> {
        let prefix = Bytes::copy_from_slice(prefix);
        match self.first.get(&(space, prefix.clone())) {
            Some(row) => row.clone(),
            None => self.not_declared(space, prefix),
        }
    }

    /// The value of a declared row, read as JSON.
    ///
    /// # Errors
    /// `InternalFailure` if the bytes do not read as a `T`.
    pub fn json<T: serde::de::DeserializeOwned>(&self, space: Space, key: &[u8]) -> Result<Option<T>, Fault> {
        self.get(space, key).map(|bytes| from_json(space, key, &bytes)).transpose().map_err(Fault::from)
    }

    /// The mistake the function made, if it read what it had not declared. Engines ask after each run.
    ///
    /// # Errors
    /// [`Error::Undeclared`].
    pub fn declared_all(&self) -> Result<(), Error> {
        match self.undeclared.borrow().as_ref() {
            None => Ok(()),
            Some((space, key)) => Err(Error::Undeclared { space: *space, key: readable(key) }),
        }
    }

    fn not_declared<T>(&self, space: Space, key: Bytes) -> Option<T> {
        self.undeclared.borrow_mut().get_or_insert((space, key));
        None
    }
}

/// Reads a row's value as JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(space: Space, key: &[u8], value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|_| Error::Corrupt(format!("the row {space:?} {}", readable(key))))
}

/// A key for people to read.
pub(crate) fn readable(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}
