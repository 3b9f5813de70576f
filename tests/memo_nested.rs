//! Memoized functions that call others: what is taken from the inner one is taken from the outer one too.
//!
//! Two advisories for Next.js in 2026 are this bug: a purge of the inner value that does not reach the outer entry.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{BypassReason, Cache, Event, Memoizer, MemoryBackend, Ttl, testing::ManualClock};
use bytewise::{bytewise, data::Data, settle};

on_both_backends! {
    whatever_takes_the_inner_result_takes_the_outer_one,
    a_result_that_is_deleted_by_its_key_takes_what_was_made_of_it,
    an_inner_result_that_was_kept_already_is_depended_on_too,
    three_levels_are_as_two,
    an_inner_call_that_failed_or_is_not_kept_is_depended_on_too,
    what_is_computed_in_one_go_depends_on_what_all_of_it_read,
    an_outer_run_that_read_what_a_delete_overtook_is_not_kept,
    what_depends_on_more_than_can_be_carried_is_not_kept,
    a_spawned_task_is_outside_unless_it_is_given_the_context,
    what_a_closure_does_before_its_future_is_a_part_of_the_fill,
    a_result_made_outside_of_the_cache_is_outside_of_fills,
    a_function_that_calls_itself_with_the_same_arguments_computes,
    a_recursive_function_keeps_each_of_its_results,
    a_computed_value_depends_on_memoized_ones,
    what_the_inner_one_does_not_keep_for_long_the_outer_one_may,
}

const PURGES: [&str; 5] = ["all", "one", "instance", "tag", "clear"];

fn inner(cache: &Cache) -> Memoizer<String> {
    cache.scoped("inner").memoizer("inner").instance(&7).unwrap()
}

async fn purge(cache: &Cache, how: &str) {
    let inner = inner(cache);
    match how {
        "all" => cache.scoped("inner").memoizer::<String>("inner").delete_memoized().await.unwrap(),
        "one" => drop(inner.delete_memoized_for(&1).await.unwrap()),
        "instance" => inner.delete_memoized().await.unwrap(),
        "tag" => cache.scoped("inner").purge_tag("tag").await.unwrap(),
        "clear" => cache.scoped("inner").clear().await.unwrap(),
        other => panic!("{other} is no purge"),
    }
}

async fn read(cache: &Cache, row: &'static str) -> String {
    inner(cache).at(&1).tags(["tag"]).call(async || row.to_owned()).await
}

/// The result of a function that is made of the inner one.
async fn outer(cache: &Cache, row: &'static str) -> String {
    let outer: Memoizer<String> = cache.memoizer("outer");
    outer.call(&1, async || format!("outer of {}", read(cache, row).await)).await
}

async fn whatever_takes_the_inner_result_takes_the_outer_one(cache: Cache, _: ManualClock) {
    for how in PURGES {
        assert_eq!(outer(&cache, "old").await, "outer of old");
        assert_eq!(outer(&cache, "new").await, "outer of old");
        purge(&cache, how).await;
        assert_eq!(outer(&cache, "new").await, "outer of new", "{how}");
        cache.clear().await.unwrap();
    }
}

async fn a_result_that_is_deleted_by_its_key_takes_what_was_made_of_it(cache: Cache, _: ManualClock) {
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    let long = "x".repeat(600);
    let call = async |arg: &str, n| outer.call(arg, async || inner.call(arg, async || n).await).await;
    for arg in ["short", &long] {
        assert_eq!(call(arg, 1).await, 1);
        let key = inner.make_cache_key(arg).unwrap();
        assert!(cache.has(&key).await.unwrap());
        assert!(!cache.add(&key, &9, Ttl::Forever).await.unwrap(), "it is there");
        assert!(cache.delete(&key).await.unwrap());
        assert_eq!(call(arg, 2).await, 2);
        assert_eq!(cache.unlink([&key, "other"]).await.unwrap(), 1);
        assert_eq!(call(arg, 3).await, 3);
        cache.set(&key, &9, Ttl::DontStore).await.unwrap();
        assert_eq!(call(arg, 4).await, 4);
    }
}

async fn an_inner_result_that_was_kept_already_is_depended_on_too(cache: Cache, _: ManualClock) {
    for how in PURGES {
        assert_eq!(read(&cache, "old").await, "old");
        assert_eq!(outer(&cache, "new").await, "outer of old", "the inner call is a hit");
        purge(&cache, how).await;
        assert_eq!(outer(&cache, "new").await, "outer of new", "{how}");
        cache.clear().await.unwrap();
    }
}

async fn three_levels_are_as_two(cache: Cache, _: ManualClock) {
    let outermost: Memoizer<String> = cache.memoizer("outermost");
    let call = async |row| outermost.call(&(), async || outer(&cache, row).await).await;
    for how in PURGES {
        assert_eq!(outer(&cache, "old").await, "outer of old");
        assert_eq!(call("new").await, "outer of old");
        purge(&cache, how).await;
        assert_eq!(call("new").await, "outer of new", "{how}");
        cache.clear().await.unwrap();
    }
}

async fn an_inner_call_that_failed_or_is_not_kept_is_depended_on_too(cache: Cache, _: ManualClock) {
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    let failing =
        async |n| outer.call(&1, async || inner.try_call(&1, async || Err::<u32, _>(n)).await.unwrap_err()).await;
    assert_eq!((failing(1).await, failing(2).await), (1, 1));
    inner.delete_memoized().await.unwrap();
    assert_eq!(failing(3).await, 3);

    let unkept = async |n| outer.call(&2, async || inner.at(&2).ttl(Ttl::DontStore).call(async || n).await).await;
    assert_eq!((unkept(1).await, unkept(2).await), (1, 1));
    inner.delete_memoized_for(&2).await.unwrap();
    assert_eq!(unkept(3).await, 3);
}

async fn what_is_computed_in_one_go_depends_on_what_all_of_it_read(cache: Cache, _: ManualClock) {
    let pages: Memoizer<String> = cache.memoizer("pages");
    let both = async |row| {
        let show = async |ids: &[&i32]| {
            let read = read(&cache, row).await;
            ids.iter().map(|id| format!("{id} of {read}")).collect()
        };
        pages.call_many(&[1, 2], show).await
    };
    assert_eq!(both("old").await, ["1 of old", "2 of old"]);
    assert_eq!(both("new").await, ["1 of old", "2 of old"]);
    purge(&cache, "one").await;
    assert_eq!(both("new").await, ["1 of new", "2 of new"]);

    let all: Memoizer<Vec<String>> = cache.memoizer("all");
    let many = async |row: &'static str| all.call(&(), async || both(row).await).await;
    assert_eq!(many("newer").await, ["1 of new", "2 of new"], "found together");
    pages.delete_memoized_for(&2).await.unwrap();
    assert_eq!(many("newer").await, ["1 of new", "2 of new"], "and made of what is kept");
    assert_eq!(cache.stats().misses, 9, "all, and the second page");
    all.delete_memoized().await.unwrap();
    many("newer").await;
    purge(&cache, "one").await;
    assert_eq!(many("newer").await, ["1 of newer", "2 of newer"], "what was found depends on what it was made of");
}

async fn an_outer_run_that_read_what_a_delete_overtook_is_not_kept(cache: Cache, _: ManualClock) {
    let (outer, inner): (Memoizer<String>, Memoizer<String>) = (cache.memoizer("outer"), cache.memoizer("inner"));
    for is_by_key in [false, true] {
        let data = Data::new("old");
        let caller = tokio::spawn({
            let (outer, inner, data) = (outer.clone(), inner.clone(), data.clone());
            async move { outer.call(&1, async || inner.call(&1, async || data.read().await).await).await }
        });
        settle().await;
        data.commit("new");
        if is_by_key {
            // Nothing that the outer run has noted tells of this one, but that the inner one was refused.
            cache.set(&inner.make_cache_key(&1).unwrap(), "set", Ttl::Forever).await.unwrap();
        } else {
            inner.delete_memoized_for(&1).await.unwrap();
        }
        data.end_oldest();
        assert_eq!(caller.await.unwrap(), "old", "it asked before");
        assert_eq!(outer.call(&1, async || "computed".to_owned()).await, "computed");
        cache.clear().await.unwrap();
    }
}

async fn what_depends_on_more_than_can_be_carried_is_not_kept(cache: Cache, _: ManualClock) {
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    let outermost: Memoizer<u32> = cache.memoizer("outermost");
    let sum = async |count: u32, more: u32| {
        let add = async || {
            let mut sum = more;
            for n in 0..count {
                sum += inner.call(&n, async || 1).await;
            }
            sum
        };
        outermost.call(&count, async || outer.call(&count, add).await).await
    };
    assert_eq!((sum(100, 0).await, sum(100, 1).await), (100, 100));
    assert_eq!((sum(300, 0).await, sum(300, 1).await), (300, 301));
}

async fn a_spawned_task_is_outside_unless_it_is_given_the_context(cache: Cache, _: ManualClock) {
    let outer: Memoizer<String> = cache.memoizer("outer");
    let outside = async |row: &'static str| {
        let task = cache.clone();
        outer.call(&1, async || tokio::spawn(async move { read(&task, row).await }).await.unwrap()).await
    };
    let inside = async |row: &'static str| {
        let task = cache.clone();
        let with = async || {
            let context = Memoizer::context();
            tokio::spawn(context.scope(async move { read(&task, row).await })).await.unwrap()
        };
        outer.call(&2, with).await
    };
    assert_eq!((outside("old").await, inside("old").await), ("old".into(), "old".into()));
    purge(&cache, "one").await;
    assert_eq!((outside("new").await, inside("new").await), ("old".into(), "new".into()));
}

async fn what_a_closure_does_before_its_future_is_a_part_of_the_fill(cache: Cache, _: ManualClock) {
    let functions: Memoizer<u32> = cache.memoizer("f");
    let call = async |how: &str, value: u32| {
        let compute = move || {
            Memoizer::context().tag("posts");
            async move { Ok::<_, ()>(value) }
        };
        let all = move |missing: &[&&str]| {
            Memoizer::context().tag("posts");
            let values = vec![value; missing.len()];
            async move { Ok::<_, ()>(values) }
        };
        match how {
            "call" => functions.try_call(how, compute).await,
            "owned call" => functions.try_call_owned(how, compute).await,
            "call of many" => functions.try_call_many(&[how], all).await.map(|values| values[0]),
            "value" => cache.try_get_or_compute(how, Ttl::Default, compute).await,
            _ => cache.try_get_or_compute_owned(how, Ttl::Default, compute).await,
        }
    };
    // On a backend that keeps bytes the first two who name a tag late are not kept.
    for first in ["first", "second"] {
        assert_eq!(call(first, 0).await, Ok(0));
    }
    for how in ["call", "owned call", "call of many", "value", "owned value"] {
        assert_eq!((call(how, 1).await, call(how, 2).await), (Ok(1), Ok(1)), "{how}");
        cache.purge_tag("posts").await.unwrap();
        assert_eq!(call(how, 3).await, Ok(3), "{how}");
    }
}

async fn a_result_made_outside_of_the_cache_is_outside_of_fills(cache: Cache, _: ManualClock) {
    let (outer, inner): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("outer"), cache.memoizer("inner"));
    let call = async |value: u32| {
        let uncached = || {
            Memoizer::context().tag("posts");
            async move { value }
        };
        outer.call(&1, async || inner.uncached(uncached).await).await
    };
    assert_eq!(call(1).await, 1);
    cache.purge_tag("posts").await.unwrap();
    assert_eq!(call(2).await, 1, "it is not depended on");
}

async fn a_function_that_calls_itself_with_the_same_arguments_computes(cache: Cache, _: ManualClock) {
    let f: Memoizer<u32> = cache.memoizer("f");
    let depth = AtomicUsize::new(0);
    let value = f.call(&1, async || {
        let inner = f.call(&1, async || {
            depth.fetch_add(1, Ordering::SeqCst);
            1
        });
        Box::pin(inner).await + 1
    });
    assert_eq!(value.await, 2);
    assert_eq!(depth.load(Ordering::SeqCst), 1);
    assert_eq!(f.call(&1, async || 0).await, 2);
    assert_eq!(cache.stats().bypasses, 1);
}

fn fibonacci(f: Memoizer<u64>, n: u64) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        f.call(&n, async || match n {
            0 | 1 => n,
            _ => fibonacci(f.clone(), n - 1).await + fibonacci(f.clone(), n - 2).await,
        })
        .await
    })
}

async fn a_recursive_function_keeps_each_of_its_results(cache: Cache, _: ManualClock) {
    let f = cache.memoizer("fibonacci");
    assert_eq!(fibonacci(f.clone(), 40).await, 102_334_155);
    assert_eq!(cache.stats().misses, 41);
    f.delete_memoized_for(&39).await.unwrap();
    assert_eq!(fibonacci(f, 40).await, 102_334_155);
    assert_eq!(cache.stats().misses, 43, "40 was made of 39");
}

async fn a_computed_value_depends_on_memoized_ones(cache: Cache, _: ManualClock) {
    let compute = async |row| cache.get_or_compute("value", Ttl::Default, async || read(&cache, row).await).await;
    assert_eq!((compute("old").await, compute("new").await), ("old".into(), "old".into()));
    purge(&cache, "one").await;
    assert_eq!(compute("new").await, "new");

    let around: Memoizer<String> = cache.memoizer("around");
    let outer = async |row| around.call(&(), async || compute(row).await).await;
    assert_eq!(outer("newer").await, "new");
    purge(&cache, "all").await;
    assert_eq!(outer("newer").await, "newer", "also when the value was computed on the way");
    purge(&cache, "all").await;
    assert_eq!(outer("newest").await, "newest");
}

async fn what_the_inner_one_does_not_keep_for_long_the_outer_one_may(cache: Cache, clock: ManualClock) {
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    let inner = inner.ttl(Duration::from_secs(1));
    let call = async |n| outer.call(&(), async || inner.call(&(), async || n).await).await;
    assert_eq!(call(1).await, 1);
    clock.advance(Duration::from_secs(100));
    assert_eq!(call(2).await, 1, "its own lifetime counts");
}

#[tokio::test]
async fn a_value_of_another_cache_is_depended_on_too() {
    let (here, there) = (Cache::new(MemoryBackend::default()), Cache::new(MemoryBackend::default()));
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (there.memoizer("f"), here.memoizer("f"));
    let inner = inner.instance(&1).unwrap();
    let call = async |n| outer.call(&1, async || inner.call(&1, async || n).await).await;
    assert_eq!((call(1).await, call(2).await), (1, 1));
    assert_eq!((here.stats().misses, here.stats().hits), (1, 1), "and what is there is looked for there");
    inner.delete_memoized_for(&1).await.unwrap();
    assert_eq!(call(3).await, 3);
    inner.delete_memoized().await.unwrap();
    assert_eq!(call(4).await, 4);
}

#[tokio::test]
async fn what_depends_on_this_process_is_not_written_to_where_others_read_it() {
    let (bytes, _, _) = bytewise();
    let memory = Cache::new(MemoryBackend::default());
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (memory.memoizer("inner"), bytes.memoizer("outer"));
    let call = async |n| outer.call(&1, async || inner.call(&1, async || n).await).await;
    assert_eq!((call(1).await, bytes.stats().stored), (1, 0));
    inner.delete_memoized().await.unwrap();
    assert_eq!(call(2).await, 2);
}

#[tokio::test]
async fn a_recursion_is_told_with_its_reason() {
    let told = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&told);
    let observer = move |event: &Event<'_>| {
        if let Event::Bypass { reason: BypassReason::Recursion } = event {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    };
    let cache = Cache::builder(MemoryBackend::default()).observer(observer).build();
    let f: Memoizer<u32> = cache.memoizer("f");
    f.call(&1, async || Box::pin(f.call(&1, async || 1)).await).await;
    assert_eq!(told.load(Ordering::SeqCst), 1);
}
