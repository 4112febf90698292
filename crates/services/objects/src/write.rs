//! How a key's versions change: one transaction each, with what follows from it.

use std::sync::Arc;

use base::Fault;
use door::outbox::OUTBOX_BELL;
use store::{Batch, Key, Rows, Space, transact_with};

use crate::cause::Cause;
use crate::content::{Received, give_back};
use crate::engine::Objects;
use crate::faults;
use crate::notify::About;
use crate::rules::conditions::Writing;
use crate::rules::events::Event;
use crate::rules::version_id::{self, named};
use crate::state::{self, Id};
use crate::types::{Bucket, Content, Head, Object, Version, Versioning};

/// Where a change happens.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) name: String,
    pub(crate) key: String,
}

/// What has come of a change.
pub(crate) enum Step<T> {
    Done(T),
    /// The row that holds the `null` version behind the newest was not read along: again, with this one.
    Again(u64),
}

/// A key's rows within a transaction.
pub(crate) struct Family<'a> {
    pub(crate) place: &'a Place,
    pub(crate) rows: &'a Rows,
    /// The bucket as it is now.
    pub(crate) bucket: Bucket,
    pub(crate) head: Option<Head>,
    // The version behind the newest one, if it was read along.
    next: Option<Version>,
    // The `null` version behind the newest one, by the number that was read along.
    null: Option<(u64, Option<Version>)>,
    pub(crate) batch: Batch,
    /// Something waits for the sweep.
    left: bool,
    /// When it happens; product clock.
    pub(crate) now_ms: i64,
    /// Names what is handed to the outbox, with its number.
    pub(crate) random: Id,
    /// How much was handed to the outbox.
    pub(crate) told: u32,
}

impl Family<'_> {
    /// The newest version.
    pub(crate) fn current(&self) -> Option<&Version> {
        self.head.as_ref().map(|head| &head.current)
    }

    fn generation(&self) -> u64 {
        self.place.bucket.generation
    }

    /// Gives a version's bytes back.
    fn give_back(&mut self, version: &Version) -> Result<(), Fault> {
        version.object.as_ref().map_or(Ok(()), |object| self.give_back_content(&object.content))
    }

    /// Gives bytes back that the change takes out of every row.
    pub(crate) fn give_back_content(&mut self, content: &Content) -> Result<(), Fault> {
        self.left |= give_back(&mut self.batch, self.place.bucket.generation, content)?;
        Ok(())
    }

    /// Writes the head.
    fn set(&mut self, head: Head) -> Result<(), Fault> {
        self.batch.put_json(Space::Object, state::head(self.generation(), &self.place.key), &head)?;
        self.head = Some(head);
        Ok(())
    }

    /// Takes the `null` version out from behind the newest.
    fn drop_null(&mut self) -> Result<Step<()>, Fault> {
        let Some(seq) = self.head.as_ref().and_then(|head| head.null) else { return Ok(Step::Done(())) };
        match self.null.take() {
            Some((read, version)) if read == seq => {
                if let Some(version) = version {
                    self.give_back(&version)?;
                }
                self.batch.delete(Space::Object, state::older(self.generation(), &self.place.key, seq));
                if let Some(head) = &mut self.head {
                    head.null = None;
                }
                Ok(Step::Done(()))
            }
            _ => Ok(Step::Again(seq)),
        }
    }

    /// Puts a version in front. What becomes of the one that was there, the bucket's versioning says.
    pub(crate) fn push(&mut self, new: Version) -> Result<Step<()>, Fault> {
        let versioned = self.bucket.versioning == Some(Versioning::Enabled);
        if !versioned && let again @ Step::Again(_) = self.drop_null()? {
            return Ok(again);
        }
        let Some(old) = self.head.take() else {
            self.set(Head { current: new, older: false, null: None })?;
            return Ok(Step::Done(()));
        };
        let replaced = !versioned && old.current.id.is_none();
        if replaced {
            self.give_back(&old.current)?;
            self.set(Head { current: new, older: old.older, null: old.null })?;
            return Ok(Step::Done(()));
        }
        let row = state::older(self.generation(), &self.place.key, old.current.seq);
        self.batch.put_json(Space::Object, row, &old.current)?;
        let null = if old.current.id.is_none() { Some(old.current.seq) } else { old.null };
        self.set(Head { current: new, older: true, null })?;
        Ok(Step::Done(()))
    }

    /// Takes the newest version away; the next one takes its place.
    pub(crate) fn pop(&mut self) -> Result<(), Fault> {
        let Some(head) = self.head.take() else { return Ok(()) };
        self.give_back(&head.current)?;
        match self.next.take() {
            Some(next) => {
                self.batch.delete(Space::Object, state::older(self.generation(), &self.place.key, next.seq));
                let null = head.null.filter(|seq| *seq != next.seq);
                self.set(Head { current: next, older: head.older, null })
            }
            None => {
                self.batch.delete(Space::Object, state::head(self.generation(), &self.place.key));
                Ok(())
            }
        }
    }

    /// Takes an older version away.
    pub(crate) fn remove(&mut self, version: &Version) -> Result<(), Fault> {
        self.give_back(version)?;
        self.batch.delete(Space::Object, state::older(self.generation(), &self.place.key, version.seq));
        if let Some(mut head) = self.head.take() {
            head.null = head.null.filter(|seq| *seq != version.seq);
            self.set(head)?;
        }
        Ok(())
    }

    /// Writes an older version anew.
    pub(crate) fn amend(&mut self, version: &Version) -> Result<(), Fault> {
        let is_current = self.current().is_some_and(|current| current.seq == version.seq);
        if is_current && let Some(head) = self.head.take() {
            return self.set(Head { current: version.clone(), ..head });
        }
        let row = state::older(self.generation(), &self.place.key, version.seq);
        self.batch.put_json(Space::Object, row, version)?;
        Ok(())
    }

    /// The version with an id, if there is one. `read` is the older one that was read along.
    pub(crate) fn version(&self, id: &str, older: Option<u64>) -> Result<Option<Version>, Fault> {
        if let Some(current) = self.current().filter(|current| current.shown_id() == id) {
            return Ok(Some(current.clone()));
        }
        let Some(seq) = older else { return Ok(None) };
        let found: Option<Version> =
            self.rows.json(Space::Object, &state::older(self.generation(), &self.place.key, seq))?;
        Ok(found.filter(|version| version.shown_id() == id))
    }

    /// Faults if the version with this id may have moved behind another one since the row of `older` was named: only `null` can.
    ///
    /// # Errors
    /// OperationAborted.
    pub(crate) fn moved(&self, id: &str, older: Option<u64>) -> Result<(), Fault> {
        match self.head.as_ref().and_then(|head| head.null).filter(|_| id == "null") {
            moved @ Some(_) if moved != older => {
                let words = "A conflicting conditional operation is currently in progress against this resource. Please try again.";
                Err(Fault::new("OperationAborted", 409, words))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is but the newest version.
    pub(crate) fn is_alone(&self) -> bool {
        self.next.is_none()
    }

    /// A version that is to come first.
    pub(crate) fn new_version(&self, owner: String, object: Option<Object>) -> Version {
        let seq = self.next_seq();
        let versioned = self.bucket.versioning == Some(Versioning::Enabled);
        let id = versioned.then(|| version_id::print(seq, &self.random));
        Version { seq, id, modified_ms: self.now_ms, owner, object }
    }

    /// The same of an object that somebody writes: whose it is then, the bucket's ownership says.
    pub(crate) fn new_object(&self, writer: &str, object: &Object) -> Version {
        let (owner, acl) = self.bucket.owner_of(writer, object.acl.as_deref());
        self.new_version(owner, Some(Object { acl, ..object.clone() }))
    }

    /// The number a new version gets.
    pub(crate) fn next_seq(&self) -> u64 {
        let by_time = self.now_ms.unsigned_abs() << 16;
        self.current().map_or(by_time, |current| by_time.max(current.seq + 1))
    }
}

impl Objects {
    /// Runs a change of one key. `older` is the number of an older version that is read along.
    ///
    /// # Errors
    /// NoSuchBucket if the bucket is not the one that was found any more; what `change` decides; the store's.
    pub(crate) async fn change<T, F>(&self, place: &Place, older: Option<u64>, change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Family<'_>) -> Result<Step<T>, Fault> + Send + Sync + 'static,
    {
        self.change_with(place, older, Vec::new(), change).await
    }

    /// The same, with further rows read along.
    pub(crate) async fn change_with<T, F>(
        &self,
        place: &Place,
        older: Option<u64>,
        also: Vec<Key>,
        change: F,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Family<'_>) -> Result<Step<T>, Fault> + Send + Sync + 'static,
    {
        let change = Arc::new(change);
        let generation = place.bucket.generation;
        let (now_ms, random) = (self.clocks.product().0, self.id());
        let mut null = None;
        loop {
            let mut keys = vec![
                Key::new(Space::Control, state::bucket_row(&place.name)),
                Key::new(Space::Object, state::head(generation, &place.key)),
                Key::first(Space::Object, state::older_of(generation, &place.key)),
            ];
            keys.extend(also.iter().cloned());
            for seq in [older, null].into_iter().flatten() {
                keys.push(Key::new(Space::Object, state::older(generation, &place.key, seq)));
            }
            let (here, change) = (place.clone(), Arc::clone(&change));
            let step = transact_with(&*self.kv, keys, move |rows| {
                let bucket: Option<Bucket> = rows.json(Space::Control, state::bucket_row(&here.name).as_bytes())?;
                let bucket = bucket.filter(|bucket| bucket.generation == generation);
                let bucket = bucket.ok_or_else(|| faults::no_bucket(&here.name))?;
                let next = rows.first(Space::Object, &state::older_of(generation, &here.key));
                let next = next.map(|(row, value)| state::parse(&row, &value)).transpose()?;
                let read = |seq: u64| rows.json(Space::Object, &state::older(generation, &here.key, seq));
                let mut family = Family {
                    place: &here,
                    rows,
                    bucket,
                    head: rows.json(Space::Object, &state::head(generation, &here.key))?,
                    next,
                    null: null.map(|seq| Ok::<_, Fault>((seq, read(seq)?))).transpose()?,
                    batch: Batch::new(),
                    left: false,
                    now_ms,
                    random,
                    told: 0,
                };
                match change(&mut family)? {
                    Step::Done(done) => Ok((family.batch, Step::Done((done, family.left, family.told)))),
                    Step::Again(seq) => Ok((Batch::new(), Step::Again(seq))),
                }
            })
            .await?;
            match step {
                Step::Done((done, left, told)) => {
                    if left {
                        self.left();
                    }
                    if told > 0 {
                        self.bell.ring(OUTBOX_BELL);
                    }
                    return Ok(done);
                }
                Step::Again(seq) => null = Some(seq),
            }
        }
    }

    /// The number of the row of an older version with this id, if it is one: what is to be read along for it.
    ///
    /// # Errors
    /// InvalidArgument for an id that is none.
    pub(crate) fn behind(&self, place: &Place, id: Option<&str>) -> Result<Option<u64>, Fault> {
        let Some(id) = id else { return Ok(None) };
        let seq = named(id)?;
        if seq.is_some() {
            return Ok(seq);
        }
        // The `null` version has no number in its id: it is the newest, or the row that the head names.
        let head: Option<Head> =
            store::get_json(&*self.kv, Space::Object, &state::head(place.bucket.generation, &place.key))?;
        Ok(head.and_then(|head| head.null))
    }

    /// Puts an object in front of its key's versions, with bytes that came in, and tells of it.
    ///
    /// # Errors
    /// PreconditionFailed and what else [`Objects::change`] has.
    pub(crate) async fn put(&self, place: &Place, fresh: Fresh, conditions: Writing) -> Result<Version, Fault> {
        let key = place.key.clone();
        let Fresh { owner, object, received, event, cause } = fresh;
        let received = Arc::new(received);
        let written = Arc::clone(&received);
        let generation = place.bucket.generation;
        let version = self.change(place, None, move |family| {
            conditions.check(&key, family.current())?;
            let version = family.new_object(&owner, &object);
            written.write(&mut family.batch, generation);
            match family.push(version.clone())? {
                Step::Done(()) => {
                    family.tell(event, About::made(&version), &cause)?;
                    Ok(Step::Done(version))
                }
                Step::Again(seq) => Ok(Step::Again(seq)),
            }
        });
        let version = version.await?;
        received.settle();
        Ok(version)
    }
}

/// An object to be put.
pub(crate) struct Fresh {
    /// Twelve digits.
    pub(crate) owner: String,
    pub(crate) object: Object,
    /// Its bytes.
    pub(crate) received: Received,
    /// How it comes.
    pub(crate) event: Event,
    /// And why.
    pub(crate) cause: Cause,
}
