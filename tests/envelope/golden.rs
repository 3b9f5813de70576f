//! Version 1 of the envelope: what is written today, each later version has to read. These bytes are never changed.

use axum_caching::Ttl;

use crate::common::Stage;

/// A text, stored at 2026-01-01T00:00:00Z without an end: token, mark with the flag of what is compressed, format, length,
/// and a frame of zstd.
const COMPRESSED: &[u8] = b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x01\xff\xff\xff\x01\x47\x01\0\0\
    \x28\xb5\x2f\xfd\x60\x47\0\x45\x01\0\xd8\x29\0\0\0\x80\xd0\xea\xb6\xb7\x33\xff\x01\xff\0\0\0\x9a\x02\x98\x02\
    golden \x04\0\x0e\x2a\x4a\x5b\x22\0\x0f\xbf\xc0\x0b";

#[tokio::test]
async fn a_compressed_entry_of_version_one_is_read() {
    let stage = Stage::new(|it| it);
    stage.stored.put_raw("key", COMPRESSED);
    assert_eq!(stage.cache.get("key").await.unwrap(), Some("golden ".repeat(40)));
    assert_eq!(stage.failures.take(), [""; 0]);
}

#[tokio::test]
async fn a_compressed_entry_is_written_as_version_one() {
    let stage = Stage::new(|it| it.compress_above(100));
    stage.cache.set("key", &"golden ".repeat(40), Ttl::Forever).await.unwrap();
    // What zstd writes may differ with its version.
    let (head, frame) = (22, stage.raw("key"));
    assert_eq!([&frame[..5], &COMPRESSED[5..13], &frame[13..head]].concat(), COMPRESSED[..head]);
    assert!(frame[head..].starts_with(b"\x28\xb5\x2f\xfd"), "the magic of zstd");
}

/// The same, compressed and then encrypted with the key 7, 7, .. 7: token, mark, format, number of the key, nonce, length,
/// and what is sealed.
const SEALED: &[u8] = b"\x61\x78\x63\x01\x76\x81\x80\x0b\x2c\x6a\x91\x62\x85\
    \x03\xff\xff\xff\x01\
    \x5e\x80\xb4\xa8\xaa\x7b\xd7\x55\
    \x56\xb5\x20\xa4\x24\xe4\x37\xba\x7e\x31\xae\x1c\xc7\x85\xa8\x33\x17\x1b\x45\x37\xdf\xcf\x97\xd4\
    \x47\x01\x00\x00\
    \x18\xd0\xcf\x22\x2c\x80\xbd\x94\xb7\x1d\xb5\x58\x69\xad\x3c\x91\x53\x7f\x2c\xeb\x47\xa9\x75\x4d\
    \x61\xd6\x71\xb1\x97\x28\x49\x18\xe7\xe8\x38\x50\x94\x37\x2e\xb8\x92\xb6\x23\xf0\x20\xeb\xa6\x7e\
    \x35\xea\x7a\x09\xab\xc4\xc7\xff\x94\x90\xcb\xa5\x57\xff\x8f\x43\x77\xad";

/// The integer 42, encrypted with that key: a token of the envelope's own, mark, format, number of the key, nonce, and what
/// is sealed.
const INTEGER: &[u8] = b"\x61\x78\x63\x01\x65\x2b\xf8\xaf\x29\xc2\x62\x55\xae\
    \x06\xff\xff\xff\x01\
    \x5e\x80\xb4\xa8\xaa\x7b\xd7\x55\
    \x7d\xa4\xdb\x4f\x6e\x54\x08\xb3\xf4\xfa\xca\x8f\x3f\x06\x61\xdd\x62\x7a\xdc\xc5\x8f\xdc\xd1\xa4\
    \x79\xbb\x1f\xe5\x8a\xcc\x62\x70\x2f\x47\x57\xea\xfa\xc9\xac\x82\x28\x19";

#[tokio::test]
async fn sealed_entries_of_version_one_are_read() {
    let stage = Stage::sealing();
    stage.stored.put_raw("key", SEALED);
    stage.stored.put_raw("n", INTEGER);
    assert_eq!(stage.cache.get("key").await.unwrap(), Some("golden ".repeat(40)));
    assert_eq!(stage.cache.get("n").await.unwrap(), Some(42));
    assert_eq!(stage.failures.take(), [""; 0]);
}
