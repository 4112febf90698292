//! Content-addressed files.

use std::fs;
use std::io::{self, Read};

use bytes::Bytes;
use store::{Blobs, Digest, Error, Folder};

#[tokio::test]
async fn a_blob_is_named_by_its_content() {
    let folder = Folder::ephemeral().unwrap();
    let blobs = Blobs::at(&folder);
    let digest = blobs.put(Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(digest, Digest::of(b"hello"));
    assert_eq!(blobs.put(Bytes::from_static(b"hello")).await.unwrap(), digest);
    assert_eq!(blobs.read(&digest).await.unwrap(), Some(Bytes::from_static(b"hello")));
    assert_eq!(blobs.size(&digest).await.unwrap(), Some(5));
    assert_eq!(blobs.list().await.unwrap(), [(digest, 5)]);
    let (mut file, _) = blobs.file(&digest).await.unwrap().unwrap();
    assert!(blobs.remove(&digest).await.unwrap());
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello", "whoever has it open reads on");
    assert!(!blobs.remove(&digest).await.unwrap());
    assert!(!blobs.exists(&digest).await.unwrap());
    assert_eq!(blobs.read(&digest).await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_is_stored_up_to_its_limit() {
    let folder = Folder::ephemeral().unwrap();
    let blobs = Blobs::at(&folder);
    let stored = blobs.put_reader(io::repeat(7).take(300_000), 300_000).await.unwrap();
    assert_eq!(stored, (Digest::of(&[7; 300_000]), 300_000));
    let over = blobs.put_reader(io::repeat(8).take(300_001), 300_000).await.unwrap_err();
    assert!(matches!(over, Error::TooLarge { what: "blob", .. }), "{over}");
    assert_eq!(blobs.list().await.unwrap(), [stored]);
    assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0, "nothing half-written stays");
}

#[tokio::test]
async fn a_changed_blob_is_noticed() {
    let folder = Folder::ephemeral().unwrap();
    let blobs = Blobs::at(&folder);
    let digest = blobs.put(Bytes::from_static(b"hello")).await.unwrap();
    let name = digest.to_string();
    fs::write(folder.blobs().join(&name[..2]).join(&name[2..]), "hallo").unwrap();
    assert!(matches!(blobs.read(&digest).await, Err(Error::Corrupt(_))));
}

#[tokio::test]
async fn many_puts_of_the_same_bytes_meet() {
    let folder = Folder::ephemeral().unwrap();
    let blobs = Blobs::at(&folder);
    let puts: Vec<_> = (0..16)
        .map(|_| {
            let blobs = blobs.clone();
            tokio::spawn(async move { blobs.put(Bytes::from(vec![1; 100_000])).await })
        })
        .collect();
    for put in puts {
        put.await.unwrap().unwrap();
    }
    assert_eq!(blobs.list().await.unwrap().len(), 1);
}
