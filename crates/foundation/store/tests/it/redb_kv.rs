//! The differential oracle: the same interface over redb, an engine with nothing in common with fjall (a copy-on-write
//! B-tree, not a log-structured merge tree).

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use base::BoxFuture;
use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use store::{Error, Key, Kv, Range, Row, Rows, Snapshot, Space, Transaction};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

pub(crate) struct Redb(Database);

pub(crate) fn open(path: &Path) -> Arc<dyn Kv> {
    let db = Database::create(path.join("oracle.redb")).unwrap();
    let write = db.begin_write().unwrap();
    write.open_table(ROWS).unwrap();
    write.commit().unwrap();
    Arc::new(Redb(db))
}

struct View(redb::ReadOnlyTable<&'static [u8], &'static [u8]>);

fn tagged(space: Space, key: &[u8]) -> Vec<u8> {
    [&[space.tag()], key].concat()
}

fn read(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    space: Space,
    range: Range,
    limit: usize,
    reverse: bool,
) -> Vec<Row> {
    if range.is_empty() {
        return Vec::new();
    }
    let bound = |bound: &Bound<Bytes>, open: Bound<Vec<u8>>| match bound {
        Bound::Included(key) => Bound::Included(tagged(space, key)),
        Bound::Excluded(key) => Bound::Excluded(tagged(space, key)),
        Bound::Unbounded => open,
    };
    let start = bound(&range.start, Bound::Included(vec![space.tag()]));
    let end = bound(&range.end, Bound::Excluded(vec![space.tag() + 1]));
    let bounds = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
    let found = table.range::<&[u8]>(bounds).unwrap().map(|row| {
        let (key, value) = row.unwrap();
        (Bytes::copy_from_slice(&key.value()[1..]), Bytes::copy_from_slice(value.value()))
    });
    if reverse { found.rev().take(limit).collect() } else { found.take(limit).collect() }
}

impl Snapshot for View {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let found = self.0.get(tagged(space, key).as_slice()).unwrap();
        Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        Ok(read(&self.0, space, range, limit, reverse))
    }
}

impl Redb {
    fn view(&self) -> View {
        View(self.0.begin_read().unwrap().open_table(ROWS).unwrap())
    }

    fn run(&self, keys: &[Key], mut f: Transaction) -> Result<(), Error> {
        // redb admits one writer at a time, which makes transactions serial; what is published cannot change meanwhile.
        let write = self.0.begin_write().unwrap();
        let rows = Rows::load(keys, &self.view())?;
        let decided = f(&rows);
        rows.declared_all()?;
        let batch = decided?;
        batch.check()?;
        {
            let mut table = write.open_table(ROWS).unwrap();
            for one in batch.writes() {
                let key = tagged(one.space, &one.key);
                match &one.value {
                    Some(value) => table.insert(key.as_slice(), &value[..]).unwrap(),
                    None => table.remove(key.as_slice()).unwrap(),
                };
            }
            for (space, prefix) in batch.dropped() {
                for (key, _) in read(&table, *space, Range::prefix(prefix.clone()), usize::MAX, false) {
                    table.remove(tagged(*space, &key).as_slice()).unwrap();
                }
            }
        }
        write.commit().unwrap();
        Ok(())
    }
}

impl Kv for Redb {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.view().get(space, key)
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        self.view().range(space, range, limit, reverse)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(self.view()))
    }

    fn transact(&self, keys: Vec<Key>, f: Transaction) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.run(&keys, f) })
    }

    fn follow(&self, _: Space, _: Bytes, _: store::Told) {
        panic!("nobody follows the oracle")
    }

    fn failed(&self) -> BoxFuture<'static, Error> {
        Box::pin(std::future::pending())
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}
