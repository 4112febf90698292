//! For whoever owns the data folder: a socket inside it, over which `lambent backup` and `lambent check` ask a running
//! platform.
//!
//! Not on the HTTP port, because a backup holds every secret: no web page can open a socket in a folder, no function sees
//! the folder, and nobody else may enter it (mode 0700). Whoever can connect could read the files themselves.
//!
//! A request is one line. The answer is frames, each its length (4 bytes, little-endian) and its bytes, and after the empty
//! one a line: `ok`, or what went wrong.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use base::BoxFuture;
use tokio::net::UnixListener;
use tokio::runtime::Handle;

/// How long one side waits for the other.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest request, bytes.
const REQUEST_BYTES: u64 = 64;
/// Bytes of one frame.
const FRAME_BYTES: usize = 128 * 1024;
/// Longest path of a socket that every kernel takes, bytes.
const SOCKET_PATH_BYTES: usize = 100;

/// What answers.
pub(crate) struct Admin {
    pub(crate) folder: Arc<store::Folder>,
    pub(crate) kv: Arc<dyn store::Kv>,
    pub(crate) blobs: store::Blobs,
    pub(crate) trees: store::Trees,
}

/// The socket in a data folder, under a name short enough. The file must stay open while the name is used.
fn socket(data: &Path) -> anyhow::Result<(std::fs::File, PathBuf)> {
    let run = data.join("run");
    let folder = std::fs::File::open(&run).with_context(|| format!("opening {}", run.display()))?;
    let path = run.join("admin.sock");
    if path.as_os_str().len() <= SOCKET_PATH_BYTES {
        return Ok((folder, path));
    }
    let short = format!("/proc/self/fd/{}/admin.sock", std::os::fd::AsRawFd::as_raw_fd(&folder));
    Ok((folder, short.into()))
}

/// Listens in the data folder.
pub(crate) fn listen(folder: &store::Folder) -> anyhow::Result<UnixListener> {
    let (_open, path) = socket(folder.path())?;
    let listener = UnixListener::bind(&path).with_context(|| format!("listening at {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Admin {
    /// Answers, one caller at a time, until `stop`.
    pub(crate) async fn serve(self: Arc<Self>, listener: UnixListener, mut stop: BoxFuture<'static, ()>) {
        let stopping = Arc::new(AtomicBool::new(false));
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "the socket in the data folder takes no callers any more");
                        return stop.await;
                    }
                },
                () = &mut stop => return,
            };
            let (admin, stops) = (Arc::clone(&self), Arc::clone(&stopping));
            let answered = tokio::task::spawn_blocking(move || admin.answer(stream, &stops));
            tokio::select! {
                answered = answered => match answered {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "a caller at the socket in the data folder got no answer"),
                    Err(error) => tracing::error!(%error, "an answer at the socket in the data folder broke"),
                },
                () = &mut stop => return stopping.store(true, Ordering::Relaxed),
            }
        }
    }

    fn answer(&self, stream: tokio::net::UnixStream, stopping: &AtomicBool) -> anyhow::Result<()> {
        let caller = stream.peer_cred()?.uid();
        let owner = std::fs::metadata(self.folder.path())?.uid();
        anyhow::ensure!(caller == owner || caller == 0, "user {caller} does not own the data folder");
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut request = String::new();
        BufReader::new((&stream).take(REQUEST_BYTES)).read_line(&mut request)?;
        let mut frames = Frames { stream: &stream, frame: Vec::new(), stopping };
        let outcome = match request.trim() {
            "backup" => {
                let made = store::backup(&self.folder, self.kv.as_ref(), &self.blobs, &mut frames);
                made.map(drop).map_err(|error| error.to_string())
            }
            "check" => self.check(&mut frames),
            other => Err(format!("nobody here knows what {other:?} is; is `lambent` of the same version?")),
        };
        frames.end(outcome.as_ref().map_or_else(String::as_str, |()| "ok"))?;
        Ok(())
    }

    fn check(&self, frames: &mut Frames<'_>) -> Result<(), String> {
        let checked = Handle::current().block_on(store::check(self.kv.as_ref(), &self.blobs, &self.trees));
        let checked = checked.map_err(|error| error.to_string())?;
        frames.write_all(report(&checked).as_bytes()).map_err(|error| error.to_string())?;
        sound(&checked)
    }
}

/// What a check has found, for people.
pub(crate) fn report(checked: &store::Checked) -> String {
    let store::Checked { rows, blobs, blob_bytes, trees, unused, faults } = checked;
    let mut text = format!("{rows} rows, {blobs} blobs of {blob_bytes} bytes, {trees} unpacked trees\n");
    if !unused.is_empty() {
        text += &format!("{} blobs are named by no row; they only take room\n", unused.len());
    }
    for fault in faults {
        text += &format!("fault: {fault}\n");
    }
    text
}

/// An error if a check has found faults.
pub(crate) fn sound(checked: &store::Checked) -> Result<(), String> {
    match checked.faults.len() {
        0 => Ok(()),
        count => Err(format!("{count} faults in the data folder")),
    }
}

/// What is written, in frames.
struct Frames<'a> {
    stream: &'a UnixStream,
    frame: Vec<u8>,
    /// Set when the platform stops: the caller finds no end then, and knows that there is no backup.
    stopping: &'a AtomicBool,
}

impl Frames<'_> {
    fn end(&mut self, outcome: &str) -> io::Result<()> {
        self.flush()?;
        self.stream.write_all(&0_u32.to_le_bytes())?;
        self.stream.write_all(outcome.as_bytes())
    }
}

impl Write for Frames<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        if self.frame.len() >= FRAME_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        if self.stopping.load(Ordering::Relaxed) {
            return Err(io::Error::other("the platform stops"));
        }
        let length = u32::try_from(self.frame.len()).map_err(io::Error::other)?;
        self.stream.write_all(&length.to_le_bytes())?;
        self.stream.write_all(&self.frame)?;
        self.frame.clear();
        Ok(())
    }
}

/// Asks the platform that runs over the data folder at `data`; what it answers goes to `to`. Blocks.
pub(crate) fn ask(data: &Path, request: &str, to: &mut dyn Write) -> anyhow::Result<()> {
    let (_open, path) = socket(data)?;
    let mut stream = UnixStream::connect(&path).with_context(|| {
        format!("the platform that uses {} does not answer in it; is it of the same version?", data.display())
    })?;
    writeln!(stream, "{request}")?;
    let mut stream = BufReader::with_capacity(FRAME_BYTES, stream);
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).context("the platform broke off")?;
        let length = u64::from(u32::from_le_bytes(length));
        if length == 0 {
            break;
        }
        let copied = io::copy(&mut (&mut stream).take(length), to)?;
        anyhow::ensure!(copied == length, "the platform broke off");
    }
    let mut outcome = String::new();
    stream.read_to_string(&mut outcome).context("the platform broke off")?;
    anyhow::ensure!(outcome == "ok", "{outcome}");
    Ok(())
}
