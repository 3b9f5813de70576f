//! Keys that change.

use axum_caching::{Cache, ErrorKind, KeyRing, Ttl};

use crate::common::{Stage, contains};

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

async fn compute(cache: &Cache, text: &'static str) -> String {
    cache.get_or_compute("key", Ttl::Default, async || text.to_owned()).await
}

#[tokio::test]
async fn the_first_key_writes_and_all_read() {
    let old = Stage::new(|it| it.keys(KeyRing::new(OLD)));
    assert_eq!(compute(&old.cache, "old").await, "old");

    let both = old.again(|it| it.keys(KeyRing::new(NEW).also_read(OLD)));
    assert_eq!(compute(&both.cache, "new").await, "old");
    both.cache.set("other", "new", Ttl::Default).await.unwrap();

    let new = old.again(|it| it.keys(KeyRing::new(NEW)));
    assert_eq!(new.cache.get("other").await.unwrap(), Some("new".to_owned()));
    assert_eq!(old.cache.get::<String>("other").await.unwrap(), None, "written with the new one alone");
    assert!(old.failures.take()[0].contains("it is sealed with a key that is not in the key ring"));

    assert_eq!(compute(&new.cache, "new").await, "new", "its key is gone: filled again");
    assert_eq!(compute(&both.cache, "newer").await, "new");
}

#[test]
fn nothing_shows_a_key() {
    let text = "hunter2 hunter2 hunter2 hunter2!";
    let key: [u8; 32] = text.as_bytes().try_into().unwrap();
    let stage = Stage::new(|it| it.keys(KeyRing::new(key)));
    for shown in [format!("{:?}", KeyRing::new(key)), format!("{:#?}", stage.cache)] {
        assert!(shown.contains("KeyRing("), "{shown}");
        for secret in ["hunter2", "104, 117", "68756e74", "aHVudGVyM"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_text_that_is_no_key_is_an_error_that_does_not_repeat_it() {
    let hexadecimal = "6162636465666768696a6b6c6d6e6f707172737475767778797a303132333435";
    let base64 = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=";
    let same = format!("{:?}", KeyRing::new(*b"abcdefghijklmnopqrstuvwxyz012345"));
    for text in [hexadecimal, &hexadecimal.to_uppercase(), base64, &base64[..43], &format!(" {base64}\n")] {
        assert_eq!(format!("{:?}", KeyRing::parse([text]).unwrap()), same, "{text:?}");
    }
    // The letters that the two alphabets of base64 do not share.
    let (plain, url) = ("+".repeat(43) + "=", "-".repeat(43) + "=");
    let last = |text: String| text.replace("+=", "8=").replace("-=", "8=");
    let ids = [last(plain), last(url)].map(|text| format!("{:?}", KeyRing::parse([text]).unwrap()));
    assert_eq!(ids[0], ids[1]);

    for text in
        ["", "secret", &hexadecimal[..63], &base64[..42], &hexadecimal.replace('6', "g"), &base64.replace('Y', "!")]
    {
        let error = KeyRing::parse([base64, text]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("key 2 of the key ring is none: expected 32 random bytes as base64"), "{shown}");
        assert!(text.len() < 6 || !contains(shown.as_bytes(), &text.as_bytes()[..6]), "{shown}");
    }
    assert!(KeyRing::parse([""; 0]).unwrap_err().to_string().contains("the key ring is empty"));
}
