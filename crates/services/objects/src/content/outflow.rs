//! Bytes going out: read, decrypted and handed on as the reader takes them.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use base::Fault;
use bytes::Bytes;
use door::Body;
use futures_util::stream;
use store::{Blobs, Digest, Snapshot, Space};
use tokio::task::JoinHandle;

use super::seal::{SEGMENT_BYTES, Seal, TAG_BYTES};
use crate::engine::Objects;
use crate::state;
use crate::types::{Content, Part, Where};

/// Segments that are read at once.
const SEGMENTS: u64 = 8;

/// A stretch of an object: from a byte on, so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) bytes: u64,
}

/// A stretch of one content, still to be read.
enum Piece {
    /// All in memory, decrypted.
    Held(Bytes),
    /// Still on the disk.
    Blob { blob: Arc<Blob>, span: Span },
}

/// A blob that is being read.
struct Blob {
    blobs: Blobs,
    digest: Digest,
    file: OnceLock<File>,
    seal: Seal,
    salt: state::Id,
    content_bytes: u64,
}

/// The blobs that are being read now: they stay, although nothing may name them any more.
#[derive(Default)]
pub(crate) struct Readers {
    blobs: Mutex<HashMap<Digest, Reading>>,
}

#[derive(Default)]
struct Reading {
    readers: usize,
    /// It was to be removed meanwhile.
    unwanted: bool,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Reading>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody reads a blob that is to be removed; its last reader is then heard of.
    pub(crate) fn keeps(&self, digest: &Digest) -> bool {
        let mut blobs = self.lock();
        blobs.get_mut(digest).map(|reading| reading.unwanted = true).is_some()
    }

    /// Notes that nobody may have named this blob: the sweep shall look.
    pub(crate) fn doubt(&self, digest: Digest) {
        self.lock().entry(digest).or_default().unwanted = true;
    }

    /// The blobs that were to be removed and have no reader any more.
    pub(crate) fn left(&self) -> Vec<Digest> {
        let mut blobs = self.lock();
        let left: Vec<_> =
            blobs.iter().filter(|(_, reading)| reading.readers == 0).map(|(digest, _)| *digest).collect();
        for digest in &left {
            blobs.remove(digest);
        }
        left
    }
}

/// Keeps the blobs of one answer while it goes out.
struct Lease {
    objects: Arc<Objects>,
    digests: Vec<Digest>,
}

impl Lease {
    fn new(objects: &Arc<Objects>, digests: Vec<Digest>) -> Self {
        let mut blobs = objects.readers.lock();
        digests.iter().for_each(|digest| blobs.entry(*digest).or_default().readers += 1);
        drop(blobs);
        Self { objects: Arc::clone(objects), digests }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut unwanted = false;
        let mut blobs = self.objects.readers.lock();
        for digest in &self.digests {
            let Some(reading) = blobs.get_mut(digest) else { continue };
            reading.readers -= 1;
            if reading.readers == 0 && !reading.unwanted {
                blobs.remove(digest);
            } else {
                unwanted |= reading.readers == 0;
            }
        }
        drop(blobs);
        if unwanted {
            self.objects.left();
        }
    }
}

/// A stretch of an object, ready to go out.
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    lease: Option<Lease>,
}

impl Outgoing {
    /// Whether some of it lies in blobs. They stay from now on, but may have gone before: whoever asks for the object once
    /// more and finds the same content may rely on them.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.lease.is_some()
    }

    /// As a body. Its first bytes are read before this answers, so that what cannot be read is an error and not a broken
    /// answer.
    ///
    /// # Errors
    /// `InternalFailure` for damage.
    pub(crate) async fn body(self) -> Result<Body, Fault> {
        let mut flow = Flow { pieces: self.pieces, ahead: None, _lease: self.lease };
        let Some(first) = flow.next().await? else { return Ok(Body::Empty) };
        if flow.pieces.is_empty() && flow.ahead.is_none() {
            return Ok(Body::Bytes(first));
        }
        let rest = stream::unfold((Some(first), Some(flow)), |(first, flow)| async move {
            let mut flow = flow?;
            if let Some(first) = first {
                return Some((Ok(first), (None, Some(flow))));
            }
            match flow.next().await.transpose()? {
                Ok(bytes) => Some((Ok(bytes), (None, Some(flow)))),
                // Nothing comes after an error.
                Err(fault) => Some((Err(fault), (None, None))),
            }
        });
        Ok(Body::Stream(Box::pin(rest)))
    }
}

impl Objects {
    /// The bytes of `span` of a content of a bucket.
    ///
    /// # Errors
    /// `InternalFailure` for damage; the store's.
    pub(crate) fn outgoing(
        self: &Arc<Self>,
        view: &dyn Snapshot,
        generation: u64,
        content: &Content,
        span: Span,
        seal: &Seal,
    ) -> Result<Outgoing, Fault> {
        let (mut pieces, mut digests) = (VecDeque::new(), Vec::new());
        for (content, span) in spans(view, content, span)? {
            let piece = self.piece(view, generation, &content, span, seal)?;
            if let Piece::Blob { blob, .. } = &piece {
                digests.push(blob.digest);
            }
            pieces.push_back(piece);
        }
        let lease = (!digests.is_empty()).then(|| Lease::new(self, digests));
        Ok(Outgoing { pieces, lease })
    }

    fn piece(
        &self,
        view: &dyn Snapshot,
        generation: u64,
        content: &Content,
        span: Span,
        seal: &Seal,
    ) -> Result<Piece, Fault> {
        let damaged = || Fault::internal("what is said of an object does not read; the data folder is damaged");
        let id = state::id_of(&content.id).ok_or_else(damaged)?;
        match &content.place {
            Where::Nowhere | Where::Parts => Ok(Piece::Held(Bytes::new())),
            Where::Row => {
                let row = view.get(Space::Object, &state::data(generation, &id))?.ok_or_else(damaged)?;
                let mut bytes = row.to_vec();
                let plain = seal.key(&id)?.open(0, &mut bytes)?;
                bytes.truncate(plain);
                let (from, to) = (span.from as usize, (span.from + span.bytes) as usize);
                let bytes = Bytes::from(bytes);
                if to > bytes.len() {
                    return Err(damaged());
                }
                Ok(Piece::Held(bytes.slice(from..to)))
            }
            Where::Blob { sha256, salt } => {
                let blob = Blob {
                    blobs: self.blobs.clone(),
                    digest: sha256.parse().map_err(|_| damaged())?,
                    file: OnceLock::new(),
                    seal: seal.clone(),
                    salt: state::id_of(salt).ok_or_else(damaged)?,
                    content_bytes: content.size_bytes,
                };
                Ok(Piece::Blob { blob: Arc::new(blob), span })
            }
        }
    }
}

/// The contents that a stretch of a content lies in, each with the stretch of its own.
fn spans(view: &dyn Snapshot, content: &Content, span: Span) -> Result<Vec<(Content, Span)>, Fault> {
    if content.place != Where::Parts {
        return Ok(vec![(content.clone(), span)]);
    }
    let parts = parts_of(view, content)?;
    let (mut out, mut start) = (Vec::new(), 0u64);
    let end = span.from + span.bytes;
    for part in parts {
        let (first, last) = (start.max(span.from), (start + part.content.size_bytes).min(end));
        if first < last {
            out.push((part.content.clone(), Span { from: first - start, bytes: last - first }));
        }
        start += part.content.size_bytes;
    }
    Ok(out)
}

/// The parts of a content that lies in several.
pub(crate) fn parts_of(view: &dyn Snapshot, content: &Content) -> Result<Vec<Part>, Fault> {
    let damaged = || Fault::internal("the parts of an object do not read; the data folder is damaged");
    let id = state::id_of(&content.id).ok_or_else(damaged)?;
    let row = state::parts(&id);
    let value = view.get(Space::Object, &row)?.ok_or_else(damaged)?;
    state::parse(&row, &value)
}

type Ahead = JoinHandle<Result<Bytes, Fault>>;

/// What is still to come, with what is being read already.
struct Flow {
    pieces: VecDeque<Piece>,
    ahead: Option<Ahead>,
    _lease: Option<Lease>,
}

impl Flow {
    /// The next bytes; none at the end. While they go out, those after them are read.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let next = match self.ahead.take().map(Begun::Reading).or_else(|| self.begin()) {
            Some(Begun::Held(bytes)) => Some(bytes),
            Some(Begun::Reading(ahead)) => Some(ahead.await.map_err(Fault::internal)??),
            None => None,
        };
        if matches!(self.pieces.front(), Some(Piece::Blob { .. }))
            && let Some(Begun::Reading(ahead)) = self.begin()
        {
            self.ahead = Some(ahead);
        }
        Ok(next)
    }

    /// Takes the next stretch off the pieces.
    fn begin(&mut self) -> Option<Begun> {
        match self.pieces.pop_front()? {
            Piece::Held(bytes) => Some(Begun::Held(bytes)),
            Piece::Blob { blob, span } => {
                // Up to the end of the last of so many segments.
                let end = (span.from / SEGMENT_BYTES as u64 + SEGMENTS) * SEGMENT_BYTES as u64;
                let now = Span { from: span.from, bytes: span.bytes.min(end - span.from) };
                let left = Span { from: span.from + now.bytes, bytes: span.bytes - now.bytes };
                if left.bytes > 0 {
                    self.pieces.push_front(Piece::Blob { blob: Arc::clone(&blob), span: left });
                }
                Some(Begun::Reading(tokio::task::spawn_blocking(move || blob.read(now))))
            }
        }
    }
}

enum Begun {
    Held(Bytes),
    Reading(Ahead),
}

impl Blob {
    /// Reads and decrypts the segments that a stretch lies in.
    fn read(&self, span: Span) -> Result<Bytes, Fault> {
        const SEALED: u64 = (SEGMENT_BYTES + TAG_BYTES) as u64;
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let (file, _) = self
                    .blobs
                    .file_now(&self.digest)?
                    .ok_or_else(|| Fault::internal(format_args!("the blob {} of an object is missing", self.digest)))?;
                self.file.get_or_init(|| file)
            }
        };
        let key = self.seal.key(&self.salt)?;
        let first = span.from / SEGMENT_BYTES as u64;
        let last = (span.from + span.bytes).div_ceil(SEGMENT_BYTES as u64);
        let plain_end = (last * SEGMENT_BYTES as u64).min(self.content_bytes);
        let sealed_bytes = (plain_end - first * SEGMENT_BYTES as u64) + (last - first) * TAG_BYTES as u64;
        let mut bytes = vec![0; sealed_bytes as usize];
        let damaged =
            |cause: std::io::Error| Fault::internal(format_args!("the bytes of an object cannot be read: {cause}"));
        file.read_exact_at(&mut bytes, first * SEALED).map_err(damaged)?;
        // Each segment moves to where the tags before it were.
        let (mut to, mut from) = (0, 0);
        for segment in first..last {
            let end = (from + SEALED as usize).min(bytes.len());
            let plain = key.open(segment, &mut bytes[from..end])?;
            bytes.copy_within(from..from + plain, to);
            to += plain;
            from = end;
        }
        bytes.truncate(to);
        let skip = (span.from - first * SEGMENT_BYTES as u64) as usize;
        Ok(Bytes::from(bytes).slice(skip..skip + span.bytes as usize))
    }
}
