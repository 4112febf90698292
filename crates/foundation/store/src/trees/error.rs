/// Why a zip was refused. Each sentence names the entry; nothing of the zip stays behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The bytes are no zip archive, or a part of its directory is missing.
    #[error("the file is not a readable zip archive: {0}")]
    NotAZip(String),
    /// More entries than allowed.
    #[error("the zip has {entries} entries; at most {limit} are allowed")]
    TooManyEntries {
        /// Entries its directory claims.
        entries: u64,
        /// The limit.
        limit: u64,
    },
    /// The content is larger than allowed: as declared, or as it turned out while unpacking.
    #[error("the zip unpacks to more than {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: u64,
    },
    /// Entries share bytes of the file, which only bombs do.
    #[error("entries of the zip overlap one another")]
    Overlap,
    /// The entry's name leads out of the folder.
    #[error("the entry {entry} would be unpacked outside the folder")]
    Escapes {
        /// The entry.
        entry: String,
    },
    /// The entry's name is empty, too long, or holds NUL or a backslash.
    #[error("the entry {entry} has a name that cannot be used: {why}")]
    Name {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two entries have the very same name; which one, the archive's directory no longer tells.
    #[error("two entries of the zip have the same name")]
    SameName,
    /// Two entries would become the same file.
    #[error("the zip holds the entry {entry} more than once")]
    Duplicate {
        /// The entry.
        entry: String,
    },
    /// The entry lies under one that is no folder.
    #[error("the entry {entry} lies under {under}, which is not a folder")]
    UnderAFile {
        /// The entry.
        entry: String,
        /// What it lies under.
        under: String,
    },
    /// A symbolic link leads out of the folder, or may.
    #[error("the symbolic link {entry} points to {target}, which is or may be outside the folder")]
    LinkOutside {
        /// The entry.
        entry: String,
        /// Where it points.
        target: String,
    },
    /// A device, socket or pipe.
    #[error("the entry {entry} is neither a file, a folder nor a symbolic link")]
    Special {
        /// The entry.
        entry: String,
    },
    /// The entry is encrypted.
    #[error("the entry {entry} is encrypted")]
    Encrypted {
        /// The entry.
        entry: String,
    },
    /// The entry is packed in a way other than stored and deflated.
    #[error("the entry {entry} is packed with {method}; only stored and deflated entries can be read")]
    Method {
        /// The entry.
        entry: String,
        /// The method.
        method: String,
    },
    /// The entry's bytes do not unpack, or do not match their checksum.
    #[error("the entry {entry} is damaged: {why}")]
    Damaged {
        /// The entry.
        entry: String,
        /// What failed.
        why: String,
    },
}

/// An entry's name for people: escaped, and not longer than they want to read.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 200;
    let escaped: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() { format!("\"{escaped}…\"") } else { format!("\"{escaped}\"") }
}
