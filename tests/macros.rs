//! `#[memoize]` and `#[cached]` on functions: what is kept, under which key, for how long.
#![cfg(all(feature = "memory", feature = "macros"))]

mod support;

use std::{
    borrow::Cow,
    fmt::Display,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum_caching::{Cache, MemoryBackend, cached, memoize};
use support::Runs;

/// What an application has, and its functions take.
struct App {
    cache: Cache,
    clock: axum_caching::testing::ManualClock,
    runs: Runs,
}

fn app() -> App {
    let (cache, clock) = support::cache();
    App { cache, clock, runs: Runs::default() }
}

#[tokio::test]
async fn a_second_call_with_the_same_arguments_does_not_run() {
    #[memoize(cache = app.cache, skip(app))]
    async fn add(app: &App, a: usize, b: usize) -> usize {
        app.runs.next();
        a + b
    }

    let app = app();
    assert_eq!((add(&app, 1, 2).await, add(&app, 1, 2).await, app.runs.count()), (3, 3, 1));
    assert_eq!((add(&app, 2, 1).await, app.runs.count()), (3, 2));
}

#[tokio::test]
async fn what_is_skipped_is_not_in_the_key_by_either_word() {
    #[memoize(cache = app.cache, args_to_ignore(app, verbose))]
    async fn square(app: &App, number: usize, verbose: bool) -> usize {
        app.runs.next();
        number * number + usize::from(verbose)
    }

    let app = app();
    assert_eq!((square(&app, 3, true).await, square(&app, 3, false).await), (10, 10));
    assert_eq!(square::make_cache_key(&app.cache, 3).unwrap().split_once('(').unwrap().1, "3)");
}

#[tokio::test]
#[expect(non_snake_case, reason = "as physicists write it")]
async fn an_argument_whose_name_begins_with_a_capital_is_in_the_key() {
    #[memoize(cache = cache, skip(cache))]
    async fn energy(cache: &Cache, T: u32) -> u32 {
        T * 10
    }

    let app = app();
    assert_eq!((energy(&app.cache, 1).await, energy(&app.cache, 2).await), (10, 20));
}

#[tokio::test]
async fn a_unit_struct_in_a_pattern_can_be_skipped() {
    #[derive(Clone, Copy)]
    struct Unit;
    #[memoize(cache = cache, skip(cache, Unit))]
    async fn double(cache: &Cache, (number, Unit): (u32, Unit)) -> u32 {
        number * 2
    }

    let app = app();
    assert_eq!((double(&app.cache, (1, Unit)).await, double(&app.cache, (2, Unit)).await), (2, 4));
}

#[tokio::test]
async fn a_key_can_be_an_expression_of_the_arguments() {
    struct User {
        id: u32,
        name: String,
    }
    #[memoize(cache = app.cache, key = (user.id, verbose))]
    async fn greet(app: &App, user: &User, verbose: bool) -> String {
        app.runs.next();
        format!("{} {verbose}", user.name)
    }

    let app = app();
    let (ada, bob) = (User { id: 1, name: "Ada".into() }, User { id: 1, name: "Bob".into() });
    assert_eq!(greet(&app, &ada, true).await, "Ada true");
    assert_eq!(greet(&app, &bob, true).await, "Ada true");
    assert_eq!(greet(&app, &bob, false).await, "Bob false");
    assert!(greet::delete_memoized_for(&app.cache, &bob, true).await.unwrap(), "without `app`, which the key has not");
}

#[tokio::test]
async fn what_a_key_is_made_of_is_evaluated_once_a_call() {
    struct Shop {
        app: App,
        evaluated: Runs,
    }
    impl Shop {
        fn id(&self) -> usize {
            self.evaluated.next()
        }

        #[memoize(cache = self.app.cache, key = { self.evaluated.next(); number }, instance = { self.id(); 1 })]
        async fn price(&self, number: usize) -> usize {
            number
        }
    }

    let shop = Shop { app: app(), evaluated: Runs::default() };
    assert_eq!((shop.price(7).await, shop.evaluated.count()), (7, 2));
    assert_eq!((shop.price(7).await, shop.evaluated.count()), (7, 4));
}

#[tokio::test]
async fn unless_and_forced_update_see_the_arguments() {
    #[memoize(cache = app.cache, skip(app, refresh), unless = number > 3, forced_update = refresh)]
    async fn run(app: &App, number: usize, refresh: bool) -> usize {
        app.runs.next()
    }

    let app = app();
    assert_eq!((run(&app, 4, false).await, run(&app, 4, false).await), (1, 2), "unless");
    assert_eq!((run(&app, 1, false).await, run(&app, 1, false).await), (3, 3));
    assert_eq!((run(&app, 1, true).await, run(&app, 1, false).await), (4, 4), "forced");
}

#[tokio::test]
async fn a_value_can_be_stale_for_one_caller() {
    #[memoize(cache = app.cache, skip(app, least), is_stale = |run| *run < least)]
    async fn run(app: &App, least: usize) -> usize {
        app.runs.next()
    }

    let app = app();
    assert_eq!((run(&app, 0).await, run(&app, 1).await, run(&app, 2).await, run(&app, 1).await), (1, 1, 2, 2));
}

#[tokio::test]
async fn a_filter_says_what_is_kept_and_the_negative_is_kept_for_a_time_of_its_own() {
    #[memoize(cache = app.cache, skip(app), ttl = Duration::from_secs(60), response_filter = |found| found != &Some(1),
              negative(|found: &Option<usize>| found.is_none(), Duration::from_secs(5)))]
    async fn find(app: &App, exists: bool) -> Option<usize> {
        let run = app.runs.next();
        exists.then_some(run)
    }

    let app = app();
    assert_eq!((find(&app, true).await, find(&app, true).await, find(&app, true).await), (Some(1), Some(2), Some(2)));
    assert_eq!((find(&app, false).await, find(&app, false).await, app.runs.count()), (None, None, 3));
    app.clock.advance(Duration::from_secs(6));
    assert_eq!((find(&app, false).await, find(&app, true).await, app.runs.count()), (None, Some(2), 4));
}

#[tokio::test]
async fn a_lifetime_can_be_of_the_function_or_of_the_call() {
    #[memoize(cache = app.cache, skip(app), ttl = Duration::from_secs(60))]
    async fn of_function(app: &App) -> usize {
        app.runs.next()
    }
    #[memoize(cache = app.cache, skip(app), ttl = Duration::from_secs(seconds))]
    async fn of_call(app: &App, seconds: u64) -> usize {
        app.runs.next()
    }

    let app = app();
    assert_eq!((of_function(&app).await, of_call(&app, 5).await, of_call(&app, 50).await), (1, 2, 3));
    app.clock.advance(Duration::from_secs(6));
    assert_eq!((of_function(&app).await, of_call(&app, 5).await, of_call(&app, 50).await), (1, 4, 3));

    let memoizer = of_function::memoizer(&app.cache);
    assert_eq!(memoizer.cache_ttl(), Duration::from_secs(60).into());
    memoizer.set_cache_ttl(Duration::from_secs(1));
    of_function::delete_memoized(&app.cache).await.unwrap();
    assert_eq!(of_function(&app).await, 5);
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(of_function(&app).await, 6, "what was set holds for later calls");
}

#[tokio::test]
async fn a_tag_takes_results_away_and_those_that_were_primed() {
    #[memoize(cache = app.cache, skip(app), tags = [format!("user:{id}")])]
    async fn user(app: &App, id: u32, part: String) -> usize {
        let _ = part;
        app.runs.next()
    }

    let app = app();
    let call = |id| user(&app, id, "name".into());
    user::prime(&app.cache, 9, "name".into(), 90).await.unwrap();
    assert_eq!((call(7).await, call(8).await, call(9).await), (1, 2, 90));
    app.cache.purge_tag("user:7").await.unwrap();
    app.cache.purge_tag("user:9").await.unwrap();
    assert_eq!((call(7).await, call(8).await, call(9).await), (3, 2, 4));
}

#[tokio::test]
async fn two_bodies_under_one_name_do_not_share_if_their_source_is_checked() {
    mod before {
        #[axum_caching::memoize(cache = cache, skip(cache), name = "f", source_check)]
        pub(super) async fn f(cache: &axum_caching::Cache, a: u32) -> u32 {
            a + 1
        }
    }
    mod after {
        #[axum_caching::memoize(cache = cache, skip(cache), name = "f", source_check)]
        pub(super) async fn f(cache: &axum_caching::Cache, a: u32) -> u32 {
            a + 2
        }
    }

    let [before, after] = [(); 2].map(|()| Cache::new(MemoryBackend::default()));
    assert_eq!((before::f(&before, 1).await, after::f(&after, 1).await), (2, 3));
    let keys = [before::f::make_cache_key(&before, 1).unwrap(), after::f::make_cache_key(&after, 1).unwrap()];
    assert!(keys[0] != keys[1] && keys.iter().all(|key| key.starts_with("memo/f")), "{keys:?}");
    assert_eq!(keys[0], before::f::make_cache_key(&before, 1).unwrap());
}

#[tokio::test]
async fn name_made_name_version_and_hash_are_in_the_key() {
    #[memoize(cache = cache, skip(cache), name = "users", make_name = |name| format!("{name}-2"), version = "7",
              hash_method = sha2::Sha256)]
    async fn users(cache: &Cache, text: &str) -> usize {
        text.len()
    }

    let (cache, _) = support::cache();
    let key = users::make_cache_key(&cache, "ada").unwrap();
    assert!(key.starts_with("memo/users") && key.contains("users-2") && key.contains('7'), "{key}");
    assert_ne!(users(&cache, &"x".repeat(600)).await, users(&cache, &"y".repeat(601)).await);
}

#[tokio::test]
async fn a_function_has_the_name_of_its_place() {
    let (cache, _) = support::cache();
    assert_eq!(outermost::memoizer(&cache).name(), concat!(module_path!(), "::outermost"));
    assert_eq!((outermost(&cache).await, one(&cache).await, two(&cache).await), (0, 1, 2));
}

#[memoize(cache = cache, skip(cache))]
async fn outermost(cache: &Cache) -> u8 {
    0
}

async fn one(cache: &Cache) -> u8 {
    #[memoize(cache = cache, skip(cache))]
    async fn inner(cache: &Cache) -> u8 {
        1
    }
    inner(cache).await
}

async fn two(cache: &Cache) -> u8 {
    #[memoize(cache = cache, skip(cache))]
    async fn inner(cache: &Cache) -> u8 {
        2
    }
    inner(cache).await
}

#[tokio::test]
async fn monomorphisations_do_not_share() {
    #[memoize(cache = cache, skip(cache))]
    async fn size<T, const N: usize>(cache: &Cache, text: &str) -> usize {
        size_of::<T>() * N + text.len()
    }
    #[memoize(cache = cache, skip(cache))]
    async fn show(
        cache: &Cache,
        what: impl Display + serde::Serialize,
        how: Option<impl Into<Cow<'_, str>> + serde::Serialize>,
    ) -> String
    where
        Cache: Sized,
    {
        format!("{what} {} {}", how.map(Into::into).unwrap_or_default(), std::any::type_name_of_val(&what))
    }

    let (cache, _) = support::cache();
    let sizes = (size::<u8, 1>(&cache, "").await, size::<u8, 2>(&cache, "").await, size::<u16, 2>(&cache, "").await);
    assert_eq!(sizes, (1, 2, 4));
    assert_eq!(size::make_cache_key::<u8, 1>(&cache, "a").unwrap().split_once('<').unwrap().1, "u8,1>(1:a)");
    size::delete_memoized::<u8, 1>(&cache).await.unwrap();

    assert_eq!(
        (show(&cache, 1_u8, Some("a")).await, show(&cache, 1_u16, Some("a")).await),
        ("1 a u8".into(), "1 a u16".into())
    );
    assert!(show::delete_memoized_for(&cache, 1_u8, Some("a")).await.unwrap());
    assert!(!show::delete_memoized_for(&cache, 1_u32, Some("a")).await.unwrap());
    show::delete_memoized::<u16, &str>(&cache).await.unwrap();
}

#[tokio::test]
async fn patterns_are_taken_apart_and_bodies_may_change_what_they_take() {
    #[derive(serde::Serialize)]
    struct Point {
        x: u32,
        y: u32,
    }
    #[memoize(cache = cache, skip(cache, d))]
    async fn sum(
        cache: &Cache,
        mut a: u32,
        (b, ref d): (u32, String),
        Point { x, mut y }: Point,
        _: bool,
        &z: &u32,
    ) -> u32 {
        a += b;
        y += x;
        a + y + z + u32::try_from(d.len()).unwrap()
    }

    let (cache, _) = support::cache();
    let point = || Point { x: 30, y: 400 };
    assert_eq!(sum(&cache, 1, (2, "1234".into()), point(), true, &5000).await, 5437);
    assert_eq!(sum(&cache, 1, (2, "12".into()), point(), false, &5000).await, 5437);
    assert_eq!(sum::uncached(&cache, 1, (2, "12".into()), point(), false, &5000).await, 5435);
    assert!(sum::delete_memoized_for(&cache, 1, (2, String::new()), point(), &5000).await.unwrap());
}

#[tokio::test]
async fn more_than_sixteen_arguments_make_a_key() {
    #[memoize(cache = z, skip(z))]
    #[expect(clippy::too_many_arguments, clippy::many_single_char_names, reason = "that is what it is about")]
    #[rustfmt::skip]
    async fn all(
        z: &Cache, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8,
        j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8, q: u8,
    ) -> u8 {
        a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q
    }

    let (cache, _) = support::cache();
    assert_eq!(all(&cache, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1).await, 17);
    assert_eq!(all(&cache, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2).await, 18);
}

static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::new(MemoryBackend::default()));

#[tokio::test]
async fn one_result_of_a_function_is_kept_under_a_key_of_its_own() {
    #[cached(cache = CACHE, key = "MyCachedList")]
    async fn list() -> Arc<Vec<u8>> {
        Arc::new(vec![1, 2])
    }
    #[cached(cache = app.cache, ttl = Duration::from_secs(5))]
    async fn page(app: &App) -> usize {
        app.runs.next()
    }

    assert!(Arc::ptr_eq(&list().await, &list().await));
    assert_eq!(list::make_cache_key(&CACHE).unwrap(), "memo/MyCachedList()");
    assert!(list::delete_memoized_for(&CACHE).await.unwrap());
    list::prime(&CACHE, Arc::new(vec![3])).await.unwrap();
    assert_eq!((list().await, list::uncached().await), (Arc::new(vec![3]), Arc::new(vec![1, 2])));

    let app = app();
    assert_eq!((page(&app).await, page(&app).await), (1, 1));
    app.clock.advance(Duration::from_secs(6));
    assert_eq!(page(&app).await, 2);
}
