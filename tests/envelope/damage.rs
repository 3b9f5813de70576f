//! Bytes that were changed.

use axum_caching::Ttl;
use proptest::{collection::vec, prelude::*};

use crate::common::{Stage, keys, long_text};

/// A stage with an entry, sealed, or compressed and sealed.
async fn stored(text: &str) -> Stage {
    let stage = Stage::new(|it| it.compress_above(1_000).keys(keys()));
    stage.cache.set("key", text, Ttl::Default).await.unwrap();
    stage
}

#[tokio::test]
async fn no_bit_can_be_changed() {
    for text in ["text".to_owned(), long_text()] {
        let stage = stored(&text).await;
        let raw = stage.raw("key");
        for bit in 0..raw.len() * 8 {
            let mut changed = raw.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            stage.stored.put_raw("key", changed);
            assert_eq!(stage.cache.get::<String>("key").await.unwrap(), None, "bit {bit} of {}", raw.len() * 8);
        }
        stage.stored.put_raw("key", raw);
        assert_eq!(stage.cache.get("key").await.unwrap(), Some(text));
    }
}

#[tokio::test]
async fn nothing_can_be_cut_off_or_added() {
    for text in ["text".to_owned(), long_text()] {
        let stage = stored(&text).await;
        let raw = stage.raw("key");
        for length in 0..raw.len() {
            stage.stored.put_raw("key", raw[..length].to_vec());
            assert_eq!(stage.cache.get::<String>("key").await.unwrap(), None, "{length} of {}", raw.len());
        }
        stage.stored.put_raw("key", [&raw[..], b"\0"].concat());
        assert_eq!(stage.cache.get::<String>("key").await.unwrap(), None);
    }
}

#[tokio::test]
async fn each_refusal_says_why() {
    let stage = stored("text").await;
    let raw = stage.raw("key");
    // Behind the token: mark, format, key id, nonce.
    for (at, why) in [
        (13, "it was changed"),
        (17, "has a format that is not known here"),
        (18, "is sealed with a key that is not in the key ring"),
        (26, "it was changed"),
        (raw.len() - 1, "it was changed"),
    ] {
        let mut changed = raw.clone();
        changed[at] ^= 4;
        stage.stored.put_raw("key", changed);
        assert_eq!(stage.cache.get::<String>("key").await.unwrap(), None);
        let failures = stage.failures.take();
        assert!(failures[0].contains(why), "{at}: {failures:?}");
    }
    stage.stored.put_raw("key", raw[..60].to_vec());
    assert_eq!(stage.cache.get::<String>("key").await.unwrap(), None);
    assert!(stage.failures.take()[0].contains("its envelope is damaged"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_an_entry_and_none_make_it_panic(
        start in prop_oneof![Just(0), 13..60_usize],
        kind in any::<u8>(),
        flags in any::<u8>(),
        rest in vec(any::<u8>(), 0..200),
    ) {
        let token = [b'a', b'x', b'c', 1, kind, 1, 2, 3, 4, 5, 6, 7, 8, flags, 0xff, 0xff, 0xff, 1];
        let begin = [&token[..], &[9; 50]].concat();
        let bytes = [&begin[..start.min(begin.len())], &rest].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::sealing();
            for key in ["key", "@t/tag:key"] {
                stage.stored.put_raw(key, bytes.clone());
                prop_assert_eq!(stage.cache.get::<String>(key).await.unwrap(), None);
                prop_assert_eq!(stage.cache.get::<i64>(key).await.unwrap(), None);
                prop_assert!(!stage.cache.has(key).await.unwrap());
            }
            Ok(())
        })?;
    }
}
