use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use base::Fault;

use crate::{Space, ZipError};

/// What can go wrong in the store. Every message is fit for a log; none holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The transaction's own decision: what `f` returned. Nothing was written.
    #[error(transparent)]
    Fault(Fault),
    /// A write or its sync failed earlier: what is on the disk is no longer known, so the process must end and start again.
    #[error("the store stopped after a failed write to the disk; restart the platform, and check the disk: {0}")]
    Poisoned(Arc<str>),
    /// A file could not be read or written.
    #[error("{what}: {cause}")]
    Io {
        /// What was attempted, with the path.
        what: Arc<str>,
        /// The system's words.
        cause: Arc<str>,
    },
    /// Too little space is left on the disk. Nothing was written; the call may be made again when space was freed.
    #[error("the disk of the data folder is full; nothing was written: free some space and try again")]
    Full,
    /// A zip was refused.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// Another process holds the data folder.
    #[error("the data folder {path} is in use by {}", holder(*pid))]
    InUse {
        /// The folder.
        path: String,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },
    /// The data folder was written by a newer version. It was left untouched.
    #[error(
        "the data folder {path} has format {found}, this version knows formats up to {ours}; use the newer version that wrote it, or another folder"
    )]
    Newer {
        /// The folder.
        path: String,
        /// The format found.
        found: u32,
        /// The newest format known.
        ours: u32,
    },
    /// The folder has other things in it. It was left untouched.
    #[error("the folder {0} is not empty and is no data folder; name an empty or a new folder")]
    Foreign(String),
    /// Test controls were asked for on a folder with real data.
    #[error(
        "the data folder {0} was not made for tests; test controls need a folder that was made with them, or an ephemeral one"
    )]
    NotForTests(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A transaction asked for a row that it had not declared: a mistake in the program, not in the data.
    #[error("a transaction read the undeclared row {space:?} {key}")]
    Undeclared {
        /// The row's space.
        space: Space,
        /// The row's key, escaped for reading.
        key: String,
    },
    /// A key, value or batch is larger than the store takes.
    #[error("a {what} of {size_bytes} bytes is larger than the store takes ({limit_bytes})")]
    TooLarge {
        /// `key`, `value`, `batch`, `blob`.
        what: &'static str,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A row or file does not read as what it should be.
    #[error("{0} does not read as what it should be; the data folder is damaged or was written by another program")]
    Corrupt(String),
    /// A file is no backup, or not a whole and unchanged one. Nothing was restored from it.
    #[error("the backup cannot be used: {0}")]
    Backup(String),
    /// A backup was to be restored over something.
    #[error("the folder {0} is not empty; a backup is restored into an empty or a new folder only")]
    NotEmpty(String),
    /// A transaction's function panicked. Nothing of it was written.
    #[error("a transaction panicked; nothing of it was written")]
    Panicked,
}

impl Error {
    /// An [`Error::Io`] about `path`, or [`Error::Full`] if that was the reason.
    pub(crate) fn io(what: &str, path: &Path, cause: &std::io::Error) -> Self {
        if matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return Self::Full;
        }
        Self::Io { what: format!("cannot {what} {}", path.display()).into(), cause: cause.to_string().into() }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a client sees: the transaction's own fault as it is, and of everything else only that it failed here.
///
/// A full disk is `ServiceException` 500, which SDKs retry; the rest is `InternalFailure` 500. Paths stay in the log.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Fault(fault) => fault,
            Error::Full => Self::new("ServiceException", 500, "The disk of the data folder is full."),
            other => {
                tracing::error!(error = %other, "a store call failed");
                Self::internal("The store could not serve the request; the platform's log has the reason.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_passes_through_and_paths_do_not() {
        let fault = Fault::new("ResourceConflictException", 409, "exists");
        assert_eq!(Fault::from(Error::from(fault.clone())), fault);
        let io = Error::io("open", Path::new("/secret/place"), &std::io::Error::other("no"));
        let seen = Fault::from(io);
        assert_eq!((seen.code.as_ref(), seen.status), ("InternalFailure", 500));
        assert!(!seen.message.contains("secret"), "{}", seen.message);
    }
}
