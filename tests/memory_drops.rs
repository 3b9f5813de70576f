//! What the backend in memory lets go is dropped where no lock is held: values are a user's.
#![cfg(feature = "memory")]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use axum_caching::{Backend, Cache, MemoryBackend, Ttl, Value};

fn bytes(length: usize) -> Value {
    Value::from_bytes(vec![7; length])
}

/// A value that asks the backend when it is dropped.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Asks(u32);

static ASKED: OnceLock<MemoryBackend> = OnceLock::new();
static DROPS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Asks {
    fn drop(&mut self) {
        let backend = ASKED.get().unwrap();
        for number in 0..64 {
            assert!(backend.get_now(&format!("page {number}")).is_some());
        }
        DROPS.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_value_may_ask_the_backend_when_it_is_dropped() {
    const HOW: [&str; 5] = ["clear", "clear a part", "evict", "delete", "set over"];
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let backend = ASKED.get_or_init(|| MemoryBackend::builder().max_bytes(1 << 20).build());
        let (cache, other) = (Cache::new(backend.clone()), Cache::builder(backend.clone()).key_prefix("other").build());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for how in HOW {
                let names = other.memoizer::<Asks>("names");
                for number in 0..8 {
                    names.call(&number, async || Asks(number)).await;
                }
                let before = DROPS.load(Ordering::Relaxed);
                match how {
                    "clear" => backend.clear("").await.unwrap(),
                    "clear a part" => other.clear().await.unwrap(),
                    "evict" => {
                        // So many at once as one that is large needs.
                        for number in 0..10 {
                            backend.set(&format!("fill {number}"), bytes(100_000), None).await.unwrap();
                        }
                        backend.set("large", bytes(1_000_000), None).await.unwrap();
                    }
                    "delete" => drop(names.delete_memoized_for(&7).await.unwrap()),
                    _ => other.set(&names.make_cache_key(&7).unwrap(), "text", Ttl::Default).await.unwrap(),
                }
                assert!(DROPS.load(Ordering::Relaxed) > before, "{how}");
                done.send(how).unwrap();
                drop(cache.clear().await);
            }
        });
    });
    for how in HOW {
        assert_eq!(is_done.recv_timeout(Duration::from_secs(20)), Ok(how), "{how}");
    }
}
