//! Bytes coming in: counted, hashed, encrypted and written as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::hmac;
use base::Fault;
use bytes::Bytes;
use door::Body;
use futures_util::StreamExt;
use md5::{Digest as _, Md5};
use store::{Batch, Blobs, Digest, Space, Writing};
use tokio::sync::OwnedRwLockReadGuard;
use tokio::task::JoinHandle;
use wire::checksum::{Algorithm, Checksum};

use super::seal::{ContentKey, SEGMENT_BYTES, Seal, TAG_BYTES};
use crate::engine::Objects;
use crate::faults;
use crate::limits::INLINE_BYTES;
use crate::state::{self, Id};
use crate::types::{Content, Stored, Where};

/// Bytes that are handed to the disk's threads at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// What is wanted of bytes that come in.
pub(crate) struct Wanted {
    /// Which checksums to compute.
    pub(crate) algorithms: Vec<Algorithm>,
    /// The most there may be, bytes.
    pub(crate) limit_bytes: u64,
    /// Makes the key; none: the platform's own does, and the same bytes lie in one blob.
    pub(crate) customer: Option<Seal>,
}

/// Bytes that came in. They are durable once a transaction has taken in what [`Received::write`] adds; dropped before, they
/// go again.
pub(crate) struct Received {
    pub(crate) content: Content,
    pub(crate) id: Id,
    pub(crate) md5: [u8; 16],
    /// By algorithm, as asked.
    pub(crate) sums: Vec<(Algorithm, String)>,
    bytes: Bytes,
    blob: Option<Unsettled>,
}

/// A blob that is about to be named in a row. Dropped before it is, it goes unless others use it.
struct Unsettled {
    objects: Arc<Objects>,
    digest: Digest,
    is_named: AtomicBool,
    // No blob is removed while one that was found or made is about to be named.
    _naming: OwnedRwLockReadGuard<()>,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if !*self.is_named.get_mut() {
            self.objects.readers.doubt(self.digest);
            self.objects.left();
        }
    }
}

impl Received {
    /// Adds to a batch the rows that the bytes need in a bucket.
    pub(crate) fn write(&self, batch: &mut Batch, generation: u64) {
        match &self.content.place {
            Where::Row => drop(batch.put(Space::Object, state::data(generation, &self.id), self.bytes.clone())),
            Where::Blob { .. } => {
                if let Some(blob) = &self.blob {
                    batch.put(Space::Object, state::hold(&blob.digest, &self.id), Bytes::new());
                }
            }
            Where::Nowhere | Where::Parts => {}
        }
    }

    /// Says that a transaction has taken in what [`Received::write`] added.
    pub(crate) fn settle(&self) {
        if let Some(blob) = &self.blob {
            blob.is_named.store(true, Ordering::Relaxed);
        }
    }

    /// The checksum by an algorithm that was wanted.
    pub(crate) fn sum(&self, algorithm: Algorithm) -> Option<&str> {
        self.sums.iter().find(|(known, _)| *known == algorithm).map(|(_, value)| value.as_str())
    }
}

/// The digests of bytes that come in pieces.
struct Digests {
    md5: Md5,
    sums: Vec<(Algorithm, Checksum)>,
}

impl Digests {
    fn new(algorithms: &[Algorithm]) -> Self {
        let sums = algorithms.iter().map(|algorithm| (*algorithm, Checksum::new(*algorithm))).collect();
        Self { md5: Md5::new(), sums }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sums.iter_mut().for_each(|(_, sum)| sum.update(bytes));
    }

    fn finish(self) -> ([u8; 16], Vec<(Algorithm, String)>) {
        let sums = self.sums.into_iter().map(|(algorithm, sum)| (algorithm, sum.finish())).collect();
        (self.md5.finalize().into(), sums)
    }
}

/// A blob being written, in the hands of one thread at a time.
struct Spill {
    blobs: Blobs,
    writing: Option<Writing>,
    salt: Id,
    key: ContentKey,
    // The segment under way, and how many came before.
    segment: Vec<u8>,
    segments: u64,
    fingerprint: Option<hmac::Context>,
    digests: Digests,
}

/// A blob that is on the disk, but has no name yet.
struct Written {
    file: store::Unnamed,
    salt: Id,
    fingerprint: String,
    md5: [u8; 16],
    sums: Vec<(Algorithm, String)>,
}

impl Spill {
    fn take(mut self, pieces: &[Bytes]) -> Result<Self, Fault> {
        for piece in pieces {
            self.digests.update(piece);
            if let Some(fingerprint) = &mut self.fingerprint {
                fingerprint.update(piece);
            }
            let mut rest = &piece[..];
            while !rest.is_empty() {
                let take = rest.len().min(SEGMENT_BYTES - self.segment.len());
                self.segment.extend_from_slice(&rest[..take]);
                rest = &rest[take..];
                if self.segment.len() == SEGMENT_BYTES {
                    self.flush()?;
                }
            }
        }
        Ok(self)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let writing = match &mut self.writing {
            Some(writing) => writing,
            none => none.insert(self.blobs.begin_now()?),
        };
        self.key.seal(self.segments, &mut self.segment)?;
        self.segments += 1;
        writing.write(&self.segment)?;
        self.segment.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Written, Fault> {
        if !self.segment.is_empty() {
            self.flush()?;
        }
        let writing = self.writing.ok_or_else(|| Fault::internal("an empty object needs no blob"))?;
        let (md5, sums) = self.digests.finish();
        let fingerprint = self.fingerprint.map_or_else(String::new, |context| state::hex(context.sign().as_ref()));
        Ok(Written { file: writing.sync()?, salt: self.salt, fingerprint, md5, sums })
    }
}

impl Objects {
    /// Takes a body in.
    ///
    /// # Errors
    /// EntityTooLarge beyond the limit, what the body's own end says (a wrong hash, a broken connection), the store's. Nothing
    /// stays behind.
    pub(crate) async fn receive(self: &Arc<Self>, body: Body, wanted: Wanted) -> Result<Received, Fault> {
        let (mut held, mut held_bytes, mut size_bytes) = (Vec::<Bytes>::new(), 0, 0u64);
        // While one thread writes a batch, the next one comes in.
        let mut job: Option<JoinHandle<Result<Spill, Fault>>> = None;
        let mut body = body.into_stream();
        while let Some(piece) = body.next().await {
            let piece = piece?;
            size_bytes += piece.len() as u64;
            if size_bytes > wanted.limit_bytes {
                return Err(faults::too_large(size_bytes, wanted.limit_bytes));
            }
            held_bytes += piece.len();
            held.push(piece);
            if held_bytes >= BATCH_BYTES {
                let spill = self.ready(job, &wanted).await?;
                let batch = std::mem::take(&mut held);
                held_bytes = 0;
                job = Some(tokio::task::spawn_blocking(move || spill.take(&batch)));
            }
        }
        if job.is_none() && held_bytes <= INLINE_BYTES {
            return self.inline(&held, &wanted);
        }
        let spill = self.ready(job, &wanted).await?;
        let written = tokio::task::spawn_blocking(move || spill.take(&held)?.finish());
        self.name(written.await.map_err(Fault::internal)??, size_bytes).await
    }

    /// The blob that is being written, once what was handed over before is written; a new one at first.
    async fn ready(&self, job: Option<JoinHandle<Result<Spill, Fault>>>, wanted: &Wanted) -> Result<Spill, Fault> {
        if let Some(job) = job {
            return job.await.map_err(Fault::internal)?;
        }
        let salt = self.id();
        Ok(Spill {
            blobs: self.blobs.clone(),
            writing: None,
            salt,
            key: wanted.customer.as_ref().unwrap_or(&self.seal).key(&salt)?,
            segment: Vec::with_capacity(SEGMENT_BYTES + TAG_BYTES),
            segments: 0,
            fingerprint: wanted.customer.is_none().then(|| self.seal.fingerprint()),
            digests: Digests::new(&wanted.algorithms),
        })
    }

    /// A small body: encrypted in memory, to be written with the rows that name it.
    fn inline(&self, pieces: &[Bytes], wanted: &Wanted) -> Result<Received, Fault> {
        let (id, mut digests, mut bytes) = (self.id(), Digests::new(&wanted.algorithms), Vec::new());
        for piece in pieces {
            digests.update(piece);
            bytes.extend_from_slice(piece);
        }
        let size_bytes = bytes.len() as u64;
        let place = if bytes.is_empty() { Where::Nowhere } else { Where::Row };
        if !bytes.is_empty() {
            wanted.customer.as_ref().unwrap_or(&self.seal).key(&id)?.seal(0, &mut bytes)?;
        }
        let (md5, sums) = digests.finish();
        let content = Content { id: state::hex(&id), size_bytes, place };
        Ok(Received { content, id, md5, sums, bytes: bytes.into(), blob: None })
    }

    /// Gives a written blob its name, or finds the one that holds the same bytes.
    async fn name(self: &Arc<Self>, written: Written, size_bytes: u64) -> Result<Received, Fault> {
        let Written { file, salt, fingerprint, md5, sums } = written;
        let naming = Arc::clone(&self.naming).read_owned().await;
        let unsettled =
            |digest| Unsettled { objects: Arc::clone(self), digest, is_named: AtomicBool::new(false), _naming: naming };
        let (blob, salt) = match self.same(&fingerprint).await? {
            Some((digest, salt)) => (unsettled(digest), salt),
            None => {
                let (blob, salt) = (unsettled(file.digest()), state::hex(&salt));
                let stored = Stored { blob: blob.digest.to_string(), salt: salt.clone(), fingerprint };
                // The row comes first: should the platform end now, the next start finds by it what nobody names.
                self.announce(blob.digest, stored).await?;
                tokio::task::spawn_blocking(move || file.name()).await.map_err(Fault::internal)??;
                (blob, salt)
            }
        };
        let id = self.id();
        let place = Where::Blob { sha256: blob.digest.to_string(), salt };
        let content = Content { id: state::hex(&id), size_bytes, place };
        Ok(Received { content, id, md5, sums, bytes: Bytes::new(), blob: Some(blob) })
    }

    /// The blob that holds bytes with this fingerprint, if it is there, and what its key is made of.
    async fn same(&self, fingerprint: &str) -> Result<Option<(Digest, String)>, Fault> {
        if fingerprint.is_empty() {
            return Ok(None);
        }
        let known: Option<Stored> = store::get_json(&*self.kv, Space::Object, &state::same(fingerprint))?;
        let Some(stored) = known else { return Ok(None) };
        let digest: Option<Digest> = stored.blob.parse().ok();
        match digest {
            Some(digest) if self.blobs.exists(&digest).await? => Ok(Some((digest, stored.salt))),
            _ => Ok(None),
        }
    }

    async fn announce(&self, digest: Digest, stored: Stored) -> Result<(), Fault> {
        let write = move |_: &store::Rows| {
            let mut batch = Batch::new();
            batch.put_json(Space::Object, state::blob(&digest), &stored)?;
            if !stored.fingerprint.is_empty() {
                batch.put_json(Space::Object, state::same(&stored.fingerprint), &stored)?;
            }
            Ok(batch)
        };
        Ok(self.kv.transact(Vec::new(), Box::new(write)).await?)
    }
}
