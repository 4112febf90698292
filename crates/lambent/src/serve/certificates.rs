//! The certificates that the listener shows: the operator's own files, or the local authority's, kept in the data folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use base::{Clocks, Timestamp};
use gateway::{Authority, Pair, Tls};

use crate::cli::ServeArguments;

/// In the data folder: the authority's certificate and key. Not in backups.
const FOLDER: &str = "tls";
const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";

/// What the listener shows.
pub(super) fn tls(arguments: &ServeArguments, data: &Path, clocks: &Arc<dyn Clocks>) -> anyhow::Result<Tls> {
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        let read = |path: &PathBuf| fs::read(path).with_context(|| format!("reading {}", path.display()));
        let own = Tls::own(&read(certificate)?, &read(key)?);
        return own.with_context(|| format!("using {} and {}", certificate.display(), key.display()));
    }
    let (data, at) = (data.to_owned(), Arc::clone(clocks));
    let open = move || {
        let pair = read_or_make(&data, at.signing());
        Authority::read(pair.map_err(|error| gateway::Error::Authority(format!("{error:#}")))?)
    };
    Ok(Tls::local(Box::new(open), Vec::new(), Arc::clone(clocks)))
}

/// Where the authority's certificate is, in a data folder that has one.
pub(crate) fn certificate(data: &Path) -> PathBuf {
    data.join(FOLDER).join(CERTIFICATE)
}

/// The authority of a data folder, which is made when there is none. Whoever makes it first, it is the same for all.
pub(crate) fn read_or_make(data: &Path, now: Timestamp) -> anyhow::Result<Pair> {
    let folder = data.join(FOLDER);
    if let Some(pair) = read(&folder)? {
        return Ok(pair);
    }
    let new = data.join("tmp").join(format!("{FOLDER}-{}", std::process::id()));
    let made = make(&new, now).and_then(|()| Ok(fs::rename(&new, &folder)?));
    if let Err(error) = made {
        // What is left over is emptied at the next start.
        drop(fs::remove_dir_all(&new));
        // Another process may have come first.
        return read(&folder)?.ok_or(error.context(format!("making {}", folder.display())));
    }
    sync(data)?;
    read(&folder)?.with_context(|| format!("{} went away", folder.display()))
}

/// None if there is no authority yet.
fn read(folder: &Path) -> anyhow::Result<Option<Pair>> {
    let part = |name: &str| {
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    };
    match (part(CERTIFICATE)?, part(KEY)?) {
        (Some(certificate), Some(key)) => Ok(Some(Pair { certificate, key })),
        (None, None) => Ok(None),
        _ => bail!(
            "{} holds half an authority: put back what is missing of {CERTIFICATE} and {KEY}, or remove both",
            folder.display()
        ),
    }
}

fn make(folder: &Path, now: Timestamp) -> anyhow::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    let pair = Pair::make(now)?;
    for (name, text) in [(CERTIFICATE, &pair.certificate), (KEY, &pair.key)] {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    sync(folder)
}

fn sync(folder: &Path) -> anyhow::Result<()> {
    Ok(File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn data() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join("tmp")).unwrap();
        data
    }

    #[test]
    fn an_authority_is_made_once_and_for_its_owner() {
        let data = data();
        let made = read_or_make(data.path(), NOW).unwrap();
        let again = read_or_make(data.path(), NOW.plus_ms(1)).unwrap();
        assert_eq!((&made.certificate, &made.key), (&again.certificate, &again.key));
        assert_eq!(fs::read_to_string(certificate(data.path())).unwrap(), made.certificate);
        for name in [CERTIFICATE, KEY] {
            let mode = fs::metadata(data.path().join(FOLDER).join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(fs::read_dir(data.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn half_an_authority_is_not_made_whole_in_silence() {
        let data = data();
        read_or_make(data.path(), NOW).unwrap();
        fs::remove_file(data.path().join(FOLDER).join(KEY)).unwrap();
        assert!(read_or_make(data.path(), NOW).err().unwrap().to_string().contains("half an authority"));
    }
}
