//! A purge wins: what was read before it is neither stored nor handed to who comes after it.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum_caching::{
    Cache, Memoizer, MemoryBackend, Ttl,
    testing::{Chaos, ManualClock, Operation},
};
use bytewise::{
    data::{Data, PURGES, found, purge},
    settle,
};

on_both_backends! {
    a_purge_refuses_a_fill_under_way,
    who_comes_after_a_purge_does_not_join_the_fill_before_it,
    who_joined_before_a_purge_looks_again,
    a_purge_that_stores_is_what_is_found_afterwards,
    a_purge_of_another_key_or_scope_leaves_a_fill_alone,
    a_fill_that_goes_alone_is_refused_too,
    a_purged_fill_that_fails_leaves_the_newer_one_alone,
    two_purges_refuse_two_generations_of_fills,
    an_acknowledged_purge_is_never_overtaken,
    a_value_whose_tag_is_purged_is_read_by_no_call,
    what_is_made_of_a_value_that_was_read_goes_with_its_tag,
}

async fn a_purge_refuses_a_fill_under_way(cache: Cache, _: ManualClock) {
    for how in PURGES {
        let data = Data::new("old");
        let leader = data.call(&cache).await;
        data.commit("new");
        purge(&cache, how).await;
        let before = found(&cache).await;
        data.end_oldest();

        assert_eq!(leader.await.unwrap(), "old", "the one who asked before has its answer");
        assert_eq!(found(&cache).await, before, "after {how} nothing old is stored");
        assert_ne!(before.as_deref(), Some("old"));
        cache.clear().await.unwrap();
    }
}

async fn who_comes_after_a_purge_does_not_join_the_fill_before_it(cache: Cache, _: ManualClock) {
    for how in &PURGES[..6] {
        let data = Data::new("old");
        let old = data.call(&cache).await;
        data.commit("new");
        purge(&cache, how).await;
        let new = data.call(&cache).await;
        assert_eq!(data.running(), 2, "{how}: who comes after it has a run of its own");
        data.end_oldest();
        assert_eq!(old.await.unwrap(), "old");
        settle().await;
        assert!(!new.is_finished(), "{how}");
        data.end_oldest();
        assert_eq!(new.await.unwrap(), "new", "{how}");
        assert_eq!(found(&cache).await.as_deref(), Some("new"), "{how}");
        cache.clear().await.unwrap();
    }
}

async fn who_joined_before_a_purge_looks_again(cache: Cache, _: ManualClock) {
    for how in &PURGES[..6] {
        let data = Data::new("old");
        let leader = data.call(&cache).await;
        let followers = [data.call(&cache).await, data.call(&cache).await];
        data.commit("new");
        purge(&cache, how).await;
        settle().await;
        assert_eq!(data.running(), 2, "{how}: one of the followers runs anew, the other waits for it");
        data.end_oldest();
        data.end_oldest();
        assert_eq!(leader.await.unwrap(), "old");
        for follower in followers {
            assert_eq!(follower.await.unwrap(), "new", "{how}");
        }
        cache.clear().await.unwrap();
    }
}

async fn a_purge_that_stores_is_what_is_found_afterwards(cache: Cache, _: ManualClock) {
    for how in ["set", "set_many"] {
        let data = Data::new("old");
        let leader = data.call(&cache).await;
        let follower = data.call(&cache).await;
        purge(&cache, how).await;
        assert_eq!(follower.await.unwrap(), "set", "who waited need not run any more");
        assert_eq!(data.call(&cache).await.await.unwrap(), "set");
        data.end_oldest();
        assert_eq!(leader.await.unwrap(), "old");
        assert_eq!(found(&cache).await.as_deref(), Some("set"));
        cache.clear().await.unwrap();
    }

    // `add` stores where nothing is, so it came first.
    let data = Data::new("old");
    let leader = data.call(&cache).await;
    assert!(cache.scoped("inner").add("key", "added", Ttl::Forever).await.unwrap());
    data.end_oldest();
    leader.await.unwrap();
    assert_eq!(found(&cache).await.as_deref(), Some("added"));
}

async fn a_purge_of_another_key_or_scope_leaves_a_fill_alone(cache: Cache, _: ManualClock) {
    let data = Data::new("row");
    let leader = data.call(&cache).await;
    let follower = data.call(&cache).await;
    cache.delete("key").await.unwrap();
    cache.scoped("inner").delete("key2").await.unwrap();
    cache.scoped("inner2").clear().await.unwrap();
    cache.scoped("inner").scoped("deeper").clear().await.unwrap();
    cache.scoped("inner").delete_many(["k", "ke", "key/"]).await.unwrap();
    settle().await;
    assert_eq!(data.running(), 1);
    data.end_oldest();
    assert_eq!((leader.await.unwrap(), follower.await.unwrap()), ("row".to_owned(), "row".to_owned()));
    assert_eq!(found(&cache).await.as_deref(), Some("row"));
}

async fn a_fill_that_goes_alone_is_refused_too(cache: Cache, _: ManualClock) {
    for how in PURGES {
        // An entry of another type is replaced by a run that nobody joins.
        let data = Data::new("old");
        cache.scoped("inner").set("key", &[0.5, 0.5], Ttl::Forever).await.unwrap();
        let alone = data.call(&cache).await;
        assert_eq!(data.running(), 1);
        data.commit("new");
        purge(&cache, how).await;
        let before = found(&cache).await;
        data.end_oldest();
        alone.await.unwrap();
        assert_eq!(found(&cache).await, before, "{how}");
        cache.clear().await.unwrap();
    }
}

async fn a_purged_fill_that_fails_leaves_the_newer_one_alone(cache: Cache, _: ManualClock) {
    let data = Data::new("old");
    let old = data.call(&cache).await;
    purge(&cache, "delete").await;
    data.commit("new");
    let new = data.call(&cache).await;
    let follower = data.call(&cache).await;
    assert_eq!(data.running(), 2);
    old.abort();
    assert!(old.await.unwrap_err().is_cancelled());
    data.runs.lock().unwrap().pop_front();
    settle().await;
    assert_eq!(data.running(), 1, "nobody takes over from a run that a purge has ended");
    data.end_oldest();
    assert_eq!((new.await.unwrap(), follower.await.unwrap()), ("new".to_owned(), "new".to_owned()));
}

async fn two_purges_refuse_two_generations_of_fills(cache: Cache, _: ManualClock) {
    let data = Data::new("1st");
    let first = data.call(&cache).await;
    data.commit("2nd");
    purge(&cache, "delete").await;
    let second = data.call(&cache).await;
    data.commit("3rd");
    purge(&cache, "clear").await;
    let third = data.call(&cache).await;
    assert_eq!(data.running(), 3);
    for (caller, read) in [(first, "1st"), (second, "2nd"), (third, "3rd")] {
        data.end_oldest();
        assert_eq!(caller.await.unwrap(), read);
    }
    assert_eq!(found(&cache).await.as_deref(), Some("3rd"));
}

/// No schedule is forced here: readers and a writer, as fast as they can.
async fn an_acknowledged_purge_is_never_overtaken(cache: Cache, _: ManualClock) {
    let (row, purged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let reader = |yields: usize| {
        let (cache, row, purged) = (cache.scoped("inner"), Arc::clone(&row), Arc::clone(&purged));
        async move {
            for _ in 0..300 {
                let at_least = purged.load(Ordering::SeqCst);
                let compute = async || {
                    let read = row.load(Ordering::SeqCst);
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                    }
                    [read]
                };
                let [read] = cache.get_or_compute("key", Ttl::Forever, compute).await;
                assert!(read >= at_least, "{read} was read after the purge of {at_least}");
                tokio::task::yield_now().await;
            }
        }
    };
    let writer = {
        let (cache, row, purged) = (cache.clone(), Arc::clone(&row), Arc::clone(&purged));
        async move {
            for version in 1..=200 {
                row.store(version, Ordering::SeqCst);
                let how = ["delete", "clear", "clear around", "delete_many"][usize::try_from(version % 4).unwrap()];
                purge(&cache, how).await;
                purged.store(version, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    };
    // On threads of their own: the runtime of the test has one.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let tasks: Vec<_> = (0..8).map(|number| runtime.spawn(reader(number % 4))).chain([runtime.spawn(writer)]).collect();
    for task in tasks {
        task.await.unwrap();
    }
    runtime.shutdown_background();
}

/// A value with a tag that is found in the data.
async fn tagged(cache: &Cache) {
    // Late tags are not stored at first where tags are shared with other processes.
    for _ in 0..3 {
        let compute = async || {
            Memoizer::context().tag("user:7");
            "by user 7".to_owned()
        };
        cache.get_or_compute("post", Ttl::Default, compute).await;
    }
}

async fn a_value_whose_tag_is_purged_is_read_by_no_call(cache: Cache, _: ManualClock) {
    for marks in [false, true] {
        tagged(&cache).await;
        assert_eq!(cache.get("post").await.unwrap(), Some("by user 7".to_owned()));

        let purge = cache.purge().tag("user:7");
        let purge = if marks { purge.mark_stale() } else { purge };
        assert!(purge.run().await.is_complete());

        assert_eq!(cache.get::<String>("post").await.unwrap(), None);
        assert_eq!(cache.get_many::<String>(["post", "none"]).await.unwrap(), [None, None]);
        assert!(!cache.has("post").await.unwrap());
        assert!(cache.add("post", "another", Ttl::Default).await.unwrap(), "nothing is there");
        assert_eq!(cache.get("post").await.unwrap(), Some("another".to_owned()));
        cache.delete("post").await.unwrap();
    }
}

async fn what_is_made_of_a_value_that_was_read_goes_with_its_tag(cache: Cache, _: ManualClock) {
    let page: Memoizer<String> = cache.memoizer("page");
    let show = |many: bool| {
        let (page, cache) = (page.clone(), cache.clone());
        async move {
            let read = async || {
                let read = if many {
                    cache.get_many::<String>(["post"]).await.unwrap()[0].clone()
                } else {
                    cache.get::<String>("post").await.unwrap()
                };
                read.unwrap_or_default()
            };
            page.call(&many, read).await
        }
    };
    for many in [false, true] {
        tagged(&cache).await;
        assert_eq!(show(many).await, "by user 7");
        cache.purge_tag("user:7").await.unwrap();
        assert_eq!(show(many).await, "", "{many}");
    }
}

#[tokio::test]
async fn a_purge_of_many_keys_is_collected_quickly_and_of_those_said_twice_made_once() {
    let backend = Chaos::new(MemoryBackend::default());
    let cache = Cache::new(backend.clone());
    let deletes = backend.calls([Operation::Delete]);
    let twice = ["b", "a", "b", "a"];
    assert!(cache.purge().keys(twice).tags(twice).run().await.is_complete());
    assert_eq!(backend.calls([Operation::Delete]) - deletes, 4);

    // Minutes, if each was compared with all before it.
    let purge = cache.purge().keys((0..300_000).map(|user| format!("user:{user}")));
    drop(purge);
}
