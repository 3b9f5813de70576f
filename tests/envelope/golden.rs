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
