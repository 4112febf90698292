//! Code by content: kept once however many functions use it, removed when the last use has gone.
//!
//! A zip is kept as a blob and as an unpacked tree, both durable before the function's row names them. The reverse order
//! holds for removal: first no row and no live target may use the code, and nobody may be about to name it.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Fault, limits};
use bytes::Bytes;
use door::Body;
use futures_util::StreamExt;
use store::{Blobs, Derived, Digest, Limits, Tree, Trees, ZipError};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, mpsc};

use crate::state::State;
use crate::types::Code;
use crate::{bytecode, faults, sdk};

/// What keeps and removes code.
pub(crate) struct Codes {
    blobs: Blobs,
    trees: Trees,
    bytecode: Derived,
    state: State,
    // Held for reading by whoever is about to name code in a row or in a target, for writing while code is removed.
    naming: Arc<RwLock<()>>,
    uses: Arc<Uses>,
}

/// The live targets of each code, and where news goes when the last one ends.
struct Uses {
    count: Mutex<HashMap<Digest, usize>>,
    unused: mpsc::UnboundedSender<Digest>,
}

impl Uses {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Code that is kept and may now be named in a row. Once dropped, code that no row names goes again.
pub(crate) struct Kept {
    code: Code,
    unpacked_bytes: u64,
    digest: Digest,
    unused: mpsc::UnboundedSender<Digest>,
    _naming: OwnedRwLockReadGuard<()>,
}

impl Kept {
    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    /// Bytes of all its files.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The sweeper has gone only when the platform stops: the next start sweeps.
        let _ = self.unused.send(self.digest);
    }
}

/// What is inside some code.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// The paths of files, folders and links.
    pub(crate) paths: Vec<String>,
    /// Bytes of its Python sources.
    pub(crate) python_bytes: u64,
}

/// A target's claim on its code: while it lives, the tree stays.
pub(crate) struct Lease {
    digest: Digest,
    uses: Arc<Uses>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut count = self.uses.lock();
        let left = count.get_mut(&self.digest).map_or(0, |uses| {
            *uses -= 1;
            *uses
        });
        if left == 0 {
            count.remove(&self.digest);
            let _ = self.uses.unused.send(self.digest);
        }
    }
}

impl Codes {
    /// With the end of the channel on which code that may be unused is named.
    pub(crate) fn new(
        (blobs, trees, bytecode): (Blobs, Trees, Derived),
        state: State,
    ) -> (Self, mpsc::UnboundedReceiver<Digest>) {
        let (unused, news) = mpsc::unbounded_channel();
        let uses = Arc::new(Uses { count: Mutex::default(), unused });
        (Self { blobs, trees, bytecode, state, naming: Arc::default(), uses }, news)
    }

    /// Keeps a zip: checked, unpacked and durable when this answers.
    ///
    /// # Errors
    /// AWS's words for what cannot be unpacked; the store's faults.
    pub(crate) async fn keep(&self, zip: Bytes) -> Result<Kept, Fault> {
        if zip.is_empty() {
            return Err(empty());
        }
        let naming = Arc::clone(&self.naming).read_owned().await;
        let size_bytes = zip.len() as u64;
        let tree = self.trees.unpack_zip(zip.clone(), Limits::default()).await.map_err(refused)?;
        let digest = self.blobs.put(zip).await.inspect_err(|_| {
            // No row will name the tree. The sweeper has gone only when the platform stops: the next start sweeps.
            let _ = self.uses.unused.send(tree.digest);
        })?;
        debug_assert_eq!(digest, tree.digest);
        let kept = Kept {
            code: Code { sha256: digest.to_string(), size_bytes },
            unpacked_bytes: tree.size_bytes,
            digest,
            unused: self.uses.unused.clone(),
            _naming: naming,
        };
        if tree.files == 0 {
            return Err(empty());
        }
        Ok(kept)
    }

    /// [`Codes::keep`] of a zip that comes in pieces, which are written as they come.
    ///
    /// # Errors
    /// As there; what the pieces end with; AWS's words for more than a package may have.
    pub(crate) async fn keep_stream(&self, body: Body) -> Result<Kept, Fault> {
        let naming = Arc::clone(&self.naming).read_owned().await;
        let blobs = self.blobs.clone();
        let mut writing = apart(move || Ok(blobs.begin_now()?)).await?;
        let mut pieces = body.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if writing.size_bytes() + piece.len() as u64 > limits::UNZIPPED_BYTES {
                return Err(too_large());
            }
            writing = apart(move || {
                writing.write(&piece)?;
                Ok(writing)
            })
            .await?;
        }
        if writing.size_bytes() == 0 {
            return Err(empty());
        }
        let (trees, unused) = (self.trees.clone(), self.uses.unused.clone());
        let kept = apart(move || {
            let size_bytes = writing.size_bytes();
            let zip = writing.sync()?;
            let tree = trees.unpack_unnamed_now(&zip, &Limits::default()).map_err(refused)?;
            let digest = zip.name().inspect_err(|_| {
                // As in `keep`: no row will name the tree.
                let _ = unused.send(tree.digest);
            })?;
            let code = Code { sha256: digest.to_string(), size_bytes };
            Ok((Kept { code, unpacked_bytes: tree.size_bytes, digest, unused, _naming: naming }, tree.files))
        });
        match kept.await? {
            (_, 0) => Err(empty()),
            (kept, _) => Ok(kept),
        }
    }

    /// Nobody names or removes code while this is held.
    pub(crate) async fn hold(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.naming).read_owned().await
    }

    /// The unpacked tree of some code, with a claim on it, and what is inside. Call it under [`Codes::hold`].
    ///
    /// # Errors
    /// The store's faults; `InternalFailure` when the code is gone, which a row that names it forbids.
    pub(crate) async fn open(&self, code: &Code) -> Result<(Tree, Lease, Contents), Fault> {
        let tree = self.tree(code).await?;
        let contents = self.contents(code).await?;
        *self.uses.lock().entry(tree.digest).or_default() += 1;
        let lease = Lease { digest: tree.digest, uses: Arc::clone(&self.uses) };
        Ok((tree, lease, contents))
    }

    /// The unpacked tree of some code that a row names. Call it under [`Codes::hold`] or while some is [`Kept`].
    ///
    /// # Errors
    /// As [`Codes::open`].
    pub(crate) async fn tree(&self, code: &Code) -> Result<Tree, Fault> {
        let digest: Digest = code.sha256.parse().map_err(|_| gone())?;
        match self.trees.get(&digest).await? {
            Some(tree) => Ok(tree),
            None => self.trees.unpack_blob(&self.blobs, &digest, Limits::default()).await?.ok_or_else(gone),
        }
    }

    /// What is inside some code that a row names. Call it as [`Codes::tree`].
    ///
    /// # Errors
    /// As [`Codes::open`].
    pub(crate) async fn contents(&self, code: &Code) -> Result<Contents, Fault> {
        let digest: Digest = code.sha256.parse().map_err(|_| gone())?;
        let (file, _) = self.blobs.file(&digest).await?.ok_or_else(gone)?;
        tokio::task::spawn_blocking(move || contents(file)).await.map_err(|_| gone())?.ok_or_else(gone)
    }

    /// Whether the Python sources of some code that a row names import boto3. Call it as [`Codes::tree`].
    ///
    /// # Errors
    /// As [`Codes::open`].
    pub(crate) async fn imports_sdk(&self, code: &Code) -> Result<bool, Fault> {
        let digest: Digest = code.sha256.parse().map_err(|_| gone())?;
        let (file, _) = self.blobs.file(&digest).await?.ok_or_else(gone)?;
        tokio::task::spawn_blocking(move || sdk::is_imported(file)).await.map_err(Fault::internal)
    }

    /// The zip of some code.
    ///
    /// # Errors
    /// The store's faults.
    pub(crate) async fn zip(&self, digest: &Digest) -> Result<Option<Bytes>, Fault> {
        Ok(self.blobs.read(digest).await?)
    }

    /// Says that a row which named this code has gone.
    pub(crate) fn maybe_unused(&self, sha256: &str) {
        if let Ok(digest) = sha256.parse() {
            let _ = self.uses.unused.send(digest);
        }
    }

    /// Removes some code unless a row or a live target uses it.
    pub(crate) async fn sweep(&self, digest: Digest) -> Result<(), Fault> {
        let _nobody_names = self.naming.write().await;
        if self.uses.lock().contains_key(&digest) || self.state.uses_code(&digest.to_string())? {
            return Ok(());
        }
        bytecode::remove(&self.bytecode, &digest).await?;
        // The tree goes last: while it is listed, the next start finds what an interrupted removal left.
        self.blobs.remove(&digest).await?;
        self.trees.remove(&digest).await?;
        Ok(())
    }

    /// All code that is unpacked here.
    pub(crate) async fn all(&self) -> Result<Vec<Digest>, Fault> {
        Ok(self.trees.list().await?)
    }
}

/// Work that waits for the disk, on a thread of its own.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}

fn empty() -> Fault {
    faults::invalid("Uploaded file must be a non-empty zip")
}

fn too_large() -> Fault {
    faults::invalid(format!("Unzipped size must be smaller than {} bytes", limits::UNZIPPED_BYTES))
}

fn gone() -> Fault {
    Fault::internal("a function's code is missing in the data folder")
}

/// What is in a zip that was unpacked before.
fn contents(zip: File) -> Option<Contents> {
    let mut archive = zip::ZipArchive::new(BufReader::new(zip)).ok()?;
    let mut contents = Contents::default();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).ok()?;
        let path = String::from_utf8_lossy(entry.name_raw());
        if path.ends_with(".py") {
            contents.python_bytes += entry.size();
        }
        contents.paths.push(path.strip_prefix("./").unwrap_or(&path).to_owned());
    }
    Some(contents)
}

/// Why a zip was refused, in AWS's words. Which entry it was stays in the log.
fn refused(error: store::Error) -> Fault {
    match error {
        store::Error::Zip(ZipError::TooLarge { .. }) => too_large(),
        store::Error::Zip(why) => {
            tracing::info!(%why, "a deployment package was refused");
            faults::invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
        }
        other => other.into(),
    }
}
