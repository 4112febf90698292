//! The archive a kernel unpacks as its first file system: cpio in the "newc" form (the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::io::{self, Write};

/// Writes an archive.
pub(super) struct Archive<W: Write> {
    to: W,
    number: u32,
}

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
/// What entries and their contents are padded to.
const ALIGN: usize = 4;

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, number: 0 }
    }

    /// Adds a folder. Its parent must be there before.
    pub(super) fn folder(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, FOLDER, &[])
    }

    /// Adds a file that may be executed.
    pub(super) fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.entry(name, PROGRAM, bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.number += 1;
        let size = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let name_size = name.len() as u32 + 1;
        // Magic, inode, mode, uid, gid, links, time, size, four device numbers, length of the name, checksum.
        let fields = [self.number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let mut head = String::from("070701");
        for field in fields {
            head.push_str(&format!("{field:08x}"));
        }
        let length = head.len() + name_size as usize;
        self.to.write_all(head.as_bytes())?;
        self.to.write_all(name.as_bytes())?;
        self.to.write_all(&[0])?;
        self.pad(length)?;
        self.to.write_all(bytes)?;
        self.pad(bytes.len())
    }

    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.to.write_all(&[0; ALIGN][..length.next_multiple_of(ALIGN) - length])
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.to.flush()?;
        Ok(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_the_form_the_kernel_reads() {
        let mut archive = Archive::new(Vec::new());
        archive.folder("a").unwrap();
        archive.file("a/b", b"hello").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % ALIGN, 0);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("07070100000001000041ed"), "{text}");
        // A head of 110 bytes, the name and its NUL, padded; then the next.
        assert_eq!(&bytes[112..118], b"070701");
        assert!(text.contains("a/b\u{0}\u{0}\u{0}hello\u{0}\u{0}\u{0}070701"), "{text}");
        assert!(text.contains("TRAILER!!!\0"), "{text}");
    }
}
