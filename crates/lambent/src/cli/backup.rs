//! `lambent backup`, `restore` and `check`. A platform that runs is asked over the socket in its data folder; a folder that
//! nobody uses is opened.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use store::{Blobs, Folder, Trees, Use};

use crate::serve::{admin, default_data};

/// The data folder to work on, which must be one already.
fn existing(data: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let data = data.map_or_else(default_data, Ok)?;
    if !data.join("format").exists() {
        bail!("{} is no data folder; name one with --data", data.display());
    }
    Ok(data)
}

/// The folder, opened, unless a platform is using it.
fn unused(data: &Path) -> anyhow::Result<Option<Folder>> {
    match Folder::open(data, Use::Keep) {
        Ok(folder) => Ok(Some(folder)),
        Err(store::Error::InUse { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes a backup to `file`. It stands there whole, checked and on the disk, or not at all.
pub(super) async fn backup(file: PathBuf, data: Option<PathBuf>) -> anyhow::Result<()> {
    let data = existing(data)?;
    if file.exists() {
        bail!("{} exists already; name another file", file.display());
    }
    let contents = tokio::task::spawn_blocking({
        let file = file.clone();
        move || write(&file, &data)
    });
    let store::Contents { rows, blobs, blob_bytes } = contents.await.context("the backup broke")??;
    let size_bytes = file.metadata()?.len();
    println!("{} holds {rows} rows and {blobs} blobs of {blob_bytes} bytes, in {size_bytes} bytes", file.display());
    println!("it holds every secret of the platform too: keep it as you keep those");
    Ok(())
}

fn write(file: &Path, data: &Path) -> anyhow::Result<store::Contents> {
    let name = file.file_name().context("a backup needs the name of a file")?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = parent.join(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
    let contents = fill(&partial, data).and_then(|contents| {
        std::fs::rename(&partial, file)?;
        File::open(parent)?.sync_all()?;
        Ok(contents)
    });
    contents.inspect_err(|_| {
        // The failure is what matters; what is left over says by its name that it is nothing.
        drop(std::fs::remove_file(&partial));
    })
}

fn fill(partial: &Path, data: &Path) -> anyhow::Result<store::Contents> {
    let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(partial);
    let made = made.with_context(|| format!("making {}", partial.display()))?;
    let mut to = BufWriter::new(&made);
    match unused(data)? {
        None => admin::ask(data, "backup", &mut to)?,
        Some(folder) => {
            let kv = store::open(&folder.kv())?;
            store::backup(&folder, kv.as_ref(), &Blobs::at(&folder), &mut to)?;
            tokio::runtime::Handle::current().block_on(kv.close())?;
        }
    }
    to.flush()?;
    drop(to);
    made.sync_all()?;
    // Read back: what counts is what stands there.
    Ok(store::verify(BufReader::new(File::open(partial)?))?)
}

/// Restores `file` into the folder `data`.
pub(super) async fn restore(file: PathBuf, data: PathBuf) -> anyhow::Result<()> {
    let opened = File::open(&file).with_context(|| format!("opening {}", file.display()))?;
    let target = data.clone();
    let restored = tokio::task::spawn_blocking(move || store::restore(BufReader::new(opened), &target));
    let store::Contents { rows, blobs, blob_bytes } = restored.await.context("the restore broke")??;
    println!("{} holds {rows} rows and {blobs} blobs of {blob_bytes} bytes, all checked", data.display());
    println!("start it with `lambent serve --data {}`", data.display());
    Ok(())
}

/// Reads everything in a data folder and says what is wrong.
pub(super) async fn check(data: Option<PathBuf>) -> anyhow::Result<()> {
    let data = existing(data)?;
    if let Some(folder) = unused(&data)? {
        let kv = store::open(&folder.kv())?;
        let checked = store::check(kv.as_ref(), &Blobs::at(&folder), &Trees::at(&folder)).await?;
        kv.close().await?;
        print!("{}", admin::report(&checked));
        return admin::sound(&checked).map_err(anyhow::Error::msg);
    }
    tokio::task::spawn_blocking(move || admin::ask(&data, "check", &mut std::io::stdout()))
        .await
        .context("the check broke")?
}
