//! The layout over the store: which rows a function has, and how they change together.
//!
//! In `Control`: `function/ACCOUNT/REGION/NAME` is the function, with rows for its versions and aliases that [`Family`]
//! names; `function-code/SHA256/ACCOUNT/REGION/NAME` says that it uses that code, as its own or as a layer's;
//! `function-url/ID` names the function behind a URL; `function-reserved/ACCOUNT/REGION` holds the
//! reservations of that account, so that their sum is checked within the transaction. In `Queue`: `event/DUE/REQUEST/ACCOUNT/REGION/NAME` is
//! an asynchronous invocation of that function, in the order they fall due.

mod layers;
mod mappings;
mod signings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Account, Fault, Receipt, Region, Timestamp};
use bytes::{BufMut, Bytes, BytesMut};
use store::{Batch, Key, Kv, Range, Space};

pub(crate) use mappings::Home;

use crate::access::{Access, Remembered};
use crate::destination::Outgoing;
use crate::family::{Family, Step, Wanted, function_key};
use crate::name::{Address, Named};
use crate::rules;
use crate::types::{Function, Waiting};

/// Rows read at a time when all are read.
pub(crate) const PAGE: usize = 500;

/// Reads and changes rows.
#[derive(Clone)]
pub(crate) struct State {
    kv: Arc<dyn Kv>,
    account_concurrency: u32,
    // Every call asks for a function's policy; it changes seldom.
    access: Arc<Remembered>,
}

/// The reservations of one account in one region, by function name.
type Reserved = BTreeMap<String, u32>;

/// The key of an asynchronous invocation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EventKey {
    pub(crate) due: Timestamp,
    pub(crate) request: String,
    /// Account, region and name, as in the keys of functions.
    pub(crate) function: Arc<str>,
}

impl EventKey {
    fn bytes(&self) -> String {
        format!("event/{:016x}/{}/{}", self.due.0.max(0), self.request, self.function)
    }

    fn read(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        let mut parts = text.strip_prefix("event/")?.splitn(3, '/');
        let due = Timestamp(i64::from_str_radix(parts.next()?, 16).ok()?);
        Some(Self { due, request: parts.next()?.to_owned(), function: parts.next()?.into() })
    }
}

impl State {
    pub(crate) fn new(kv: Arc<dyn Kv>, account_concurrency: u32) -> Self {
        Self { kv, account_concurrency, access: Arc::default() }
    }

    pub(crate) fn kv(&self) -> &dyn Kv {
        &*self.kv
    }

    /// A function, if it is there.
    pub(crate) fn get(&self, address: &Address) -> Result<Option<Function>, Fault> {
        Ok(store::get_json(&*self.kv, Space::Control, function_key(address).as_bytes())?)
    }

    /// What policies must know of a function, if it is there.
    pub(crate) fn access(&self, address: &Address) -> Result<Option<Arc<Access>>, Fault> {
        self.access.get(address, || self.get(address))
    }

    /// At most `limit` functions of an account in a region, by name, after the name `after`.
    pub(crate) fn list(
        &self,
        account: Account,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Address, Function)>, Fault> {
        let prefix = format!("function/{account}/{region}/");
        let mut range = Range::prefix(prefix.clone());
        if let Some(name) = after {
            range = range.after(format!("{prefix}{name}"));
        }
        self.page(range, limit)
    }

    /// Every function of every account.
    pub(crate) fn every(&self) -> Result<Vec<(Address, Function)>, Fault> {
        let mut all: Vec<(Address, Function)> = Vec::new();
        let mut range = Range::prefix("function/");
        loop {
            let page = self.page(range.clone(), PAGE)?;
            let Some((address, _)) = page.last() else { return Ok(all) };
            range = range.after(function_key(address));
            all.extend(page);
        }
    }

    fn page(&self, range: Range, limit: usize) -> Result<Vec<(Address, Function)>, Fault> {
        let rows = self.kv.range(Space::Control, range, limit, false)?;
        let read = |(key, value): &store::Row| {
            let address = read_address(key, "function/")?;
            Some((address, serde_json::from_slice(value).ok()?))
        };
        let damaged = || Fault::internal("a function's row does not read; the data folder is damaged");
        rows.iter().map(|row| read(row).ok_or_else(damaged)).collect()
    }

    /// Which function, or which of its aliases, a URL's id belongs to.
    pub(crate) fn behind_url(&self, id: &str) -> Result<Option<Named>, Fault> {
        let row = self.kv.get(Space::Control, format!("function-url/{id}").as_bytes())?;
        Ok(row.and_then(|value| {
            let mut address = read_address(&value, "")?;
            let alias = address.name.split_once(':').map(|(name, alias)| (name.to_owned(), alias.to_owned()));
            let qualifier = alias.map(|(name, alias)| {
                address.name = name;
                alias
            });
            Some(Named { address, qualifier })
        }))
    }

    /// Whether some function uses this code.
    pub(crate) fn uses_code(&self, sha256: &str) -> Result<bool, Fault> {
        let prefix = format!("function-code/{sha256}/");
        Ok(!self.kv.range(Space::Control, Range::prefix(prefix), 1, false)?.is_empty())
    }

    /// Changes one function, with all rows that follow from it: `change` takes it as it stands and gives it as it shall
    /// be, or none to delete it, and what the caller wants to know. It may run more than once.
    pub(crate) async fn alter<T, F>(&self, address: &Address, mut change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(Option<Function>) -> Result<(Option<Function>, T), Fault> + Send + 'static,
    {
        self.alter_family(address, Wanted::default(), move |family| {
            let (function, value) = change(family.function.take())?;
            family.function = function;
            Ok(Step::Done(value))
        })
        .await
    }

    /// Changes a function together with those of its versions and aliases that are `wanted`, and all rows that follow from
    /// them, in one transaction. `change` edits the family in place; where it finds that it must see more, it says so and
    /// runs again. It may run more than once anyway.
    pub(crate) async fn alter_family<T, F>(&self, address: &Address, wanted: Wanted, change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Family) -> Result<Step<T>, Fault> + Send + 'static,
    {
        let (change, mut wanted, mut listed) = (Arc::new(Mutex::new(change)), wanted, None);
        loop {
            match self.attempt(address, wanted.clone(), listed, Arc::clone(&change)).await? {
                Step::Done(value) => {
                    self.access.forget(address);
                    return Ok(value);
                }
                Step::Read(more) => wanted = wanted.and(more),
                Step::ReadAll => {
                    // Read before the lists: what moves meanwhile is seen by its count.
                    listed = self.get(address)?.map(|function| function.changes);
                    wanted = self.all_of(address)?;
                }
            }
        }
    }

    async fn attempt<T, F>(
        &self,
        address: &Address,
        wanted: Wanted,
        listed: Option<u64>,
        change: Arc<Mutex<F>>,
    ) -> Result<Step<T>, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Family) -> Result<Step<T>, Fault> + Send + 'static,
    {
        let reserved_key = reserved_key(address);
        let mut keys = Family::keys(address, &wanted);
        keys.push(Key::new(Space::Control, reserved_key.clone()));
        let limit = self.account_concurrency;
        let address = address.clone();
        let run = move |rows: &store::Rows| {
            let before = Family::read(rows, &address, &wanted)?;
            if let Some(more) = before.unread_signing() {
                return Ok((Batch::new(), Step::Read(more)));
            }
            let mut family = before.clone();
            family.complete = listed.is_some() && listed == before.function.as_ref().map(|function| function.changes);
            let step = change.lock().unwrap_or_else(PoisonError::into_inner)(&mut family)?;
            let mut batch = Batch::new();
            if !matches!(step, Step::Done(_)) {
                return Ok((batch, step));
            }
            family.count_signed(&address, &before)?;
            family.write(&mut batch, &address, &before)?;
            let claim = |family: &Family| family.function.as_ref().and_then(Function::claim);
            if claim(&before) != claim(&family) {
                let mut all: Reserved = rows.json(Space::Control, reserved_key.as_bytes())?.unwrap_or_default();
                all.remove(&address.name);
                if let Some((function, wanted)) = family.function.as_ref().zip(claim(&family)) {
                    rules::claim(function, all.values().copied(), limit)?;
                    all.insert(address.name.clone(), wanted);
                }
                batch.put_json(Space::Control, reserved_key.clone(), &all)?;
            }
            Ok((batch, step))
        };
        Ok(store::transact_with(&*self.kv, keys, run).await?)
    }

    /// The sum of what an account's functions claim for themselves: reserved and provisioned concurrency.
    pub(crate) fn reserved(&self, account: Account, region: &Region) -> Result<u32, Fault> {
        let key = format!("function-reserved/{account}/{region}");
        let all: Option<Reserved> = store::get_json(&*self.kv, Space::Control, key.as_bytes())?;
        Ok(all.unwrap_or_default().values().sum())
    }

    /// Makes an asynchronous invocation durable.
    pub(crate) async fn enqueue(&self, key: &EventKey, waiting: &Waiting, payload: &Bytes) -> Result<(), Fault> {
        let (key, value) = (key.bytes(), event_value(waiting, payload)?);
        let run = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.put(Space::Queue, key.clone(), value.clone());
            Ok(batch)
        };
        Ok(self.kv.transact(Vec::new(), Box::new(run)).await?)
    }

    /// The waiting invocation at a key, with its payload.
    pub(crate) fn event(&self, key: &EventKey) -> Result<Option<(Waiting, Bytes)>, Fault> {
        let row = self.kv.get(Space::Queue, key.bytes().as_bytes())?;
        Ok(row.and_then(|value| read_event(&value)))
    }

    /// The keys of all waiting invocations, in the order they fall due.
    pub(crate) fn events(&self) -> Result<Vec<EventKey>, Fault> {
        let mut all = Vec::new();
        let mut range = Range::prefix("event/");
        loop {
            let rows = self.kv.range(Space::Queue, range.clone(), PAGE, false)?;
            let Some((last, _)) = rows.last() else { return Ok(all) };
            range = range.after(last.clone());
            all.extend(rows.iter().filter_map(|(key, _)| EventKey::read(key)));
        }
    }

    /// Ends a waiting invocation, and in the same transaction reports it and keeps the receipt of what it used, if it ran.
    pub(crate) async fn end(
        &self,
        key: &EventKey,
        reports: Vec<Outgoing>,
        receipt: Option<Receipt>,
    ) -> Result<(), Fault> {
        let key = key.bytes();
        let run = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.delete(Space::Queue, key.clone());
            for (due_ms, id, value) in &reports {
                store::outbox::put(&mut batch, *due_ms, id, value.clone());
            }
            keep(&mut batch, receipt.as_ref());
            Ok(batch)
        };
        Ok(self.kv.transact(Vec::new(), Box::new(run)).await?)
    }

    /// Sets a waiting invocation to a later time, with what changed about it; and keeps the receipt of what it used, if it
    /// ran.
    pub(crate) async fn put_off(
        &self,
        key: &EventKey,
        (later, waiting, payload): (&EventKey, &Waiting, &Bytes),
        receipt: Option<Receipt>,
    ) -> Result<(), Fault> {
        let (old, new, value) = (key.bytes(), later.bytes(), event_value(waiting, payload)?);
        let run = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.delete(Space::Queue, old.clone());
            batch.put(Space::Queue, new.clone(), value.clone());
            keep(&mut batch, receipt.as_ref());
            Ok(batch)
        };
        Ok(self.kv.transact(Vec::new(), Box::new(run)).await?)
    }
}

/// Puts a receipt where the meter finds it.
fn keep(batch: &mut Batch, receipt: Option<&Receipt>) {
    if let Some(Receipt { key, value }) = receipt {
        batch.put(Space::Usage, key.clone(), value.clone());
    }
}

/// A function's part of a key.
pub(crate) fn place(address: &Address) -> String {
    format!("{}/{}/{}", address.account, address.region, address.name)
}

fn reserved_key(address: &Address) -> String {
    format!("function-reserved/{}/{}", address.account, address.region)
}

fn read_address(key: &[u8], prefix: &str) -> Option<Address> {
    let mut parts = std::str::from_utf8(key).ok()?.strip_prefix(prefix)?.splitn(3, '/');
    let (account, region, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Address { account: account.parse().ok()?, region: region.parse().ok()?, name: name.to_owned() })
}

/// A row of the queue: the head as one line of JSON, then the payload as it came.
fn event_value(waiting: &Waiting, payload: &Bytes) -> Result<Bytes, Fault> {
    let head = serde_json::to_vec(waiting).map_err(|_| Fault::internal("an event's row has no JSON form"))?;
    let mut value = BytesMut::with_capacity(head.len() + 1 + payload.len());
    value.put(&head[..]);
    value.put_u8(b'\n');
    value.put(&payload[..]);
    Ok(value.freeze())
}

fn read_event(value: &Bytes) -> Option<(Waiting, Bytes)> {
    let end = value.iter().position(|&byte| byte == b'\n')?;
    Some((serde_json::from_slice(&value[..end]).ok()?, value.slice(end + 1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_keys_sort_by_due_time_and_read_back() {
        let key = |due, request: &str| EventKey {
            due: Timestamp(due),
            request: request.into(),
            function: "000000000000/us-east-1/f".into(),
        };
        assert!(key(9, "b").bytes() < key(10, "a").bytes());
        assert_eq!(EventKey::read(key(1_763_683_200_123, "r").bytes().as_bytes()), Some(key(1_763_683_200_123, "r")));
        assert_eq!(EventKey::read(b"event/zz/r/f"), None);
        assert_eq!(EventKey::read(b"event/00/r"), None);
    }

    #[test]
    fn an_event_reads_back_with_its_payload_untouched() {
        let waiting = Waiting {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            name: "f".into(),
            qualifier: None,
            request: "r".into(),
            since_ms: 1,
            failures: 0,
            refusals: 2,
            last: Some((200, "why".into())),
            trace: None,
            client_context: None,
            depth: 1,
        };
        let payload = Bytes::from_static(b"{\n\"a\": 1}\n");
        let value = event_value(&waiting, &payload).unwrap();
        assert_eq!(read_event(&value), Some((waiting, payload)));
    }
}
