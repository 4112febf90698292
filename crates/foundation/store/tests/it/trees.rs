//! Unpacking zips: what a sandbox will see, and what is refused with nothing left behind.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use store::{Blobs, Digest, Error, Folder, Limits, Tree, Trees, ZipError};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default().unix_permissions(mode)
}

fn zip(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().unwrap().into_inner()
}

fn one_file(name: &str, content: &[u8]) -> Vec<u8> {
    zip(|zip| {
        zip.start_file(name, options(0o644)).unwrap();
        zip.write_all(content).unwrap();
    })
}

/// Replaces every occurrence of `from` by `to`, of the same length: what a writer would not write.
fn forge(mut zip: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for at in 0..=zip.len() - from.len() {
        if &zip[at..at + from.len()] == from {
            zip[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0, "nothing to forge");
    zip
}

async fn unpack(zip: Vec<u8>) -> Result<(Folder, Tree), Error> {
    let folder = Folder::ephemeral()?;
    let unpacked = Trees::at(&folder).unpack_zip(Bytes::from(zip), Limits::default()).await;
    assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0, "scratch is gone on every way out");
    if unpacked.is_err() {
        assert_eq!(fs::read_dir(folder.trees()).unwrap().count(), 0, "nothing half-made stays");
    }
    Ok((folder, unpacked?))
}

async fn refused(zip: Vec<u8>) -> ZipError {
    match unpack(zip).await {
        Err(Error::Zip(refused)) => refused,
        other => panic!("not refused as a zip: {:?}", other.map(|(_, tree)| tree)),
    }
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_package_becomes_a_readable_tree() {
    let package = zip(|zip| {
        zip.start_file("bootstrap", options(0o4711)).unwrap();
        zip.write_all(b"#!/bin/sh\n").unwrap();
        zip.add_directory("lib/", options(0o700)).unwrap();
        zip.start_file("lib/deep/secret.py", options(0o600)).unwrap();
        zip.write_all(&[b'x'; 100_000]).unwrap();
        zip.add_symlink("lib/alias.py", "deep/secret.py", options(0o777)).unwrap();
        zip.add_symlink("lib/deep/up", "../../bootstrap", options(0o777)).unwrap();
    });
    let (_folder, tree) = unpack(package.clone()).await.unwrap();
    assert_eq!((tree.digest, tree.files), (Digest::of(&package), 2));
    assert_eq!(tree.size_bytes, 10 + 100_000 + 14 + 15);
    assert_eq!(mode(&tree.path), 0o755);
    assert_eq!(mode(&tree.path.join("bootstrap")), 0o755, "executable, and never set-user-id");
    assert_eq!(mode(&tree.path.join("lib")), 0o755);
    assert_eq!(mode(&tree.path.join("lib/deep")), 0o755);
    assert_eq!(mode(&tree.path.join("lib/deep/secret.py")), 0o644);
    assert_eq!(fs::read(tree.path.join("lib/alias.py")).unwrap().len(), 100_000);
    assert_eq!(fs::read(tree.path.join("lib/deep/up")).unwrap(), b"#!/bin/sh\n");
}

#[tokio::test]
async fn a_tree_is_made_once_and_found_again() {
    let folder = Folder::ephemeral().unwrap();
    let (blobs, trees) = (Blobs::at(&folder), Trees::at(&folder));
    let digest = blobs.put(one_file("a.py", b"x").into()).await.unwrap();
    assert_eq!(trees.get(&digest).await.unwrap(), None);
    let both = tokio::join!(
        trees.unpack_blob(&blobs, &digest, Limits::default()),
        trees.unpack_blob(&blobs, &digest, Limits::default())
    );
    let tree = both.0.unwrap().unwrap();
    assert_eq!(both.1.unwrap().unwrap(), tree);
    assert_eq!(trees.get(&digest).await.unwrap(), Some(tree.clone()));
    assert_eq!(trees.list().await.unwrap(), [digest]);
    let narrow = Limits { unzipped_bytes: 0, entries: 10 };
    let over = trees.unpack_blob(&blobs, &digest, narrow).await;
    assert!(matches!(over, Err(Error::Zip(ZipError::TooLarge { limit: 0 }))));
    assert!(trees.remove(&digest).await.unwrap());
    assert!(!trees.remove(&digest).await.unwrap());
    assert!(!tree.path.exists());
    assert_eq!(trees.unpack_blob(&blobs, &Digest::of(b"none"), Limits::default()).await.unwrap(), None);
}

/// A restart of the machine: the kernel under which the tree was made is another.
fn forget_the_boot(folder: &Folder, digest: Digest) {
    let file = folder.trees().join(digest.to_string()).join("count.json");
    let count = fs::read_to_string(&file).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write(file, count.replace(boot.trim(), "another")).unwrap();
}

#[tokio::test]
async fn a_tree_that_was_not_synced_is_made_again_after_a_restart_of_the_machine() {
    let folder = Folder::ephemeral().unwrap();
    let (blobs, trees) = (Blobs::at(&folder), Trees::at(&folder));
    let digest = blobs.put(one_file("a.py", b"x").into()).await.unwrap();
    let tree = trees.unpack_blob(&blobs, &digest, Limits::default()).await.unwrap().unwrap();
    fs::write(tree.path.join("a.py"), "").unwrap();
    forget_the_boot(&folder, digest);
    assert_eq!(trees.list().await.unwrap(), [digest]);
    assert_eq!(trees.get(&digest).await.unwrap(), None);
    assert_eq!(trees.list().await.unwrap(), []);
    trees.unpack_blob(&blobs, &digest, Limits::default()).await.unwrap();
    assert_eq!(fs::read(tree.path.join("a.py")).unwrap(), b"x");
    // What power loss makes of a small file that was never synced.
    fs::write(folder.trees().join(digest.to_string()).join("count.json"), "").unwrap();
    assert_eq!(trees.get(&digest).await.unwrap(), None);

    trees.unpack_blob(&blobs, &digest, Limits::default()).await.unwrap();
    trees.settle().await.unwrap();
    forget_the_boot(&folder, digest);
    assert_eq!(trees.get(&digest).await.unwrap(), Some(tree));
}

#[tokio::test]
async fn times_are_kept() {
    let at = zip::DateTime::from_date_and_time(2020, 5, 17, 12, 30, 58).unwrap();
    let package = zip(|zip| zip.start_file("a.py", options(0o644).last_modified_time(at)).unwrap());
    let (_folder, tree) = unpack(package).await.unwrap();
    let modified = tree.path.join("a.py").metadata().unwrap().modified().unwrap();
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(seconds, 1_589_718_658);
}

#[tokio::test]
async fn names_that_lead_out_are_refused() {
    for name in ["../evil.py", "/tmp/evil.py", "a/../../evil", "a/.."] {
        let found =
            refused(forge(one_file(&"n".repeat(name.len()), b"x"), "n".repeat(name.len()).as_bytes(), name.as_bytes()))
                .await;
        assert_eq!(found, ZipError::Escapes { entry: format!("{name:?}") });
    }
    let backslash = refused(forge(one_file("a_b", b"x"), b"a_b", b"a\\b")).await;
    assert!(matches!(backslash, ZipError::Name { .. }), "{backslash}");
    let nul = refused(forge(one_file("a_b", b"x"), b"a_b", b"a\0b")).await;
    assert!(matches!(nul, ZipError::Name { .. }), "{nul}");
}

#[tokio::test]
async fn links_that_lead_out_are_refused() {
    for target in ["/etc/passwd", "../x", "a/../../x", "a/.."] {
        let found = refused(zip(|zip| zip.add_symlink("link", target, options(0o777)).unwrap())).await;
        assert_eq!(found, ZipError::LinkOutside { entry: "\"link\"".into(), target: format!("{target:?}") });
    }
    let through = zip(|zip| {
        zip.add_symlink("dir", ".", options(0o777)).unwrap();
        zip.start_file("dir/file", options(0o644)).unwrap();
    });
    assert!(matches!(refused(through).await, ZipError::UnderAFile { .. }));
}

#[tokio::test]
async fn devices_duplicates_and_conflicts_are_refused() {
    let twice = zip(|zip| {
        zip.start_file("aa", options(0o644)).unwrap();
        zip.start_file("ab", options(0o644)).unwrap();
    });
    assert_eq!(refused(forge(twice, b"ab", b"aa")).await, ZipError::SameName);
    let alias = zip(|zip| {
        zip.start_file("aa", options(0o644)).unwrap();
        zip.start_file("./aa", options(0o644)).unwrap();
    });
    assert_eq!(refused(alias).await, ZipError::Duplicate { entry: "\"./aa\"".into() });
    let under = zip(|zip| {
        zip.start_file("a", options(0o644)).unwrap();
        zip.start_file("a/b", options(0o644)).unwrap();
    });
    assert!(matches!(refused(under).await, ZipError::UnderAFile { .. }));
    // The mode stands in the upper half of the external attributes: 0100644 becomes 0020644, a character device.
    let device =
        forge(one_file("dev", b""), &(0o100_644_u32 << 16).to_le_bytes(), &(0o020_644_u32 << 16).to_le_bytes());
    assert_eq!(refused(device).await, ZipError::Special { entry: "\"dev\"".into() });
}

#[tokio::test]
async fn bombs_are_refused() {
    const MIB: u64 = 1024 * 1024;
    // Declared honestly: refused before anything is written.
    let honest = zip(|zip| {
        zip.start_file("zeros", options(0o644)).unwrap();
        let block = vec![0; 1 << 20];
        for _ in 0..251 {
            zip.write_all(&block).unwrap();
        }
    });
    assert!(honest.len() < 1 << 20);
    assert_eq!(refused(honest).await, ZipError::TooLarge { limit: base::limits::UNZIPPED_BYTES });
    // Declared as 1 MiB and giving more: stopped at what was declared.
    let liar = one_file("zeros", &vec![0; 8 << 20]);
    let liar = forge(liar, &(8 * MIB as u32).to_le_bytes(), &(MIB as u32).to_le_bytes());
    let found = refused(liar).await;
    assert!(matches!(&found, ZipError::Damaged { entry, .. } if entry == "\"zeros\""), "{found}");
    // Too many entries, as the end record claims; refused before the directory is read.
    let folder = Folder::ephemeral().unwrap();
    let three = zip(|zip| (0..3).for_each(|n| zip.start_file(format!("f{n}"), options(0o644)).unwrap()));
    let few = Limits { entries: 2, ..Limits::default() };
    let many = Trees::at(&folder).unpack_zip(three.into(), few).await;
    assert_eq!(many, Err(Error::Zip(ZipError::TooManyEntries { entries: 3, limit: 2 })));
}

#[tokio::test]
async fn entries_that_share_bytes_are_refused() {
    // Both central entries point at the first local header.
    let mut zip = zip(|zip| {
        for name in ["a", "b"] {
            zip.start_file(name, options(0o644).compression_method(CompressionMethod::Stored)).unwrap();
            zip.write_all(b"same").unwrap();
        }
    });
    let second = zip.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    zip[second + 42..second + 46].fill(0);
    assert!(matches!(refused(zip).await, ZipError::Overlap | ZipError::Damaged { .. }));
}

#[tokio::test]
async fn encrypted_and_strangely_packed_entries_are_refused() {
    // Bit 0 of the flags, in the local header (offset 6) and in the central one (offset 8).
    let mut locked = one_file("locked", b"secret");
    locked[6] |= 1;
    let central = locked.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    locked[central + 8] |= 1;
    assert_eq!(refused(locked).await, ZipError::Encrypted { entry: "\"locked\"".into() });
    let mut packed = one_file("packed", b"x");
    let central = packed.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    packed[8] = 12;
    packed[central + 10] = 12;
    assert!(matches!(refused(packed).await, ZipError::Method { .. }));
}

#[tokio::test]
async fn damaged_zips_are_refused() {
    let mut wrong = zip(|zip| {
        zip.start_file("file", options(0o644).compression_method(CompressionMethod::Stored)).unwrap();
        zip.write_all(b"content").unwrap();
    });
    let at = wrong.windows(7).position(|window| window == b"content").unwrap();
    wrong[at] = b'k';
    let found = refused(wrong).await;
    assert!(matches!(&found, ZipError::Damaged { entry, .. } if entry == "\"file\""), "{found}");
    for broken in [&b""[..], b"PK", b"not a zip at all", &one_file("a", b"x")[..40]] {
        let found = refused(broken.to_vec()).await;
        assert!(matches!(found, ZipError::NotAZip(_)), "{found}");
    }
}

#[tokio::test]
async fn no_flipped_byte_harms() {
    let package = zip(|zip| {
        zip.start_file("dir/file.py", options(0o644)).unwrap();
        zip.write_all(b"print('hello hello hello')").unwrap();
        zip.add_symlink("link", "dir/file.py", options(0o777)).unwrap();
    });
    let folder = Folder::ephemeral().unwrap();
    let trees = Trees::at(&folder);
    for at in 0..package.len() {
        let mut flipped = package.clone();
        flipped[at] ^= 1 << (at % 8);
        match trees.unpack_zip(flipped.into(), Limits::default()).await {
            Ok(_) | Err(Error::Zip(_)) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
        assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0);
    }
}
