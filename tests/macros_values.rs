//! `#[memoize]`: what functions return, methods, and what else is written on a function.
#![cfg(all(feature = "memory", feature = "macros"))]

mod bytewise;
mod support;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum_caching::{Cache, memoize};
use support::Runs;

#[derive(Clone)]
struct App {
    cache: Cache,
    runs: Runs,
}

fn app() -> App {
    App { cache: support::cache().0, runs: Runs::default() }
}

#[tokio::test]
async fn only_ok_is_kept_and_a_body_may_use_the_question_mark() {
    #[memoize(cache = app.cache, skip(app))]
    async fn parse(app: &App, text: &str) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        app.runs.next();
        let number: u32 = text.parse()?;
        if number == 0 {
            return Err("zero".into());
        }
        Ok(number)
    }
    #[memoize(cache = app.cache, skip(app))]
    async fn read(app: &App) -> std::io::Result<String> {
        app.runs.next();
        let text = String::from_utf8(b"text".to_vec()).map_err(std::io::Error::other)?;
        Ok(text)
    }

    let app = app();
    assert!(parse(&app, "x").await.is_err() && parse(&app, "x").await.is_err());
    assert!(parse(&app, "0").await.is_err());
    assert_eq!(app.runs.count(), 3);
    assert_eq!((parse(&app, "7").await.unwrap(), parse(&app, "7").await.unwrap(), app.runs.count()), (7, 7, 4));
    assert_eq!(
        (read(&app).await.unwrap(), read(&app).await.unwrap(), app.runs.count()),
        ("text".into(), "text".into(), 5)
    );
    parse::prime(&app.cache, "x", 9).await.unwrap();
    assert_eq!(parse(&app, "x").await.unwrap(), 9, "what is primed is the value in the `Ok`");
}

#[tokio::test]
async fn none_is_a_value() {
    #[memoize(cache = app.cache, skip(app))]
    async fn find(app: &App, id: u32) -> Option<u32> {
        app.runs.next();
        id.checked_sub(1)
    }

    let app = app();
    assert_eq!((find(&app, 0).await, find(&app, 0).await, find(&app, 3).await), (None, None, Some(2)));
    assert_eq!(app.runs.count(), 2);
}

#[tokio::test]
async fn what_is_returned_in_an_arc_is_shared_and_may_be_without_clone_or_serde() {
    struct Template(u32);

    #[memoize(cache = cache, skip(cache), live)]
    async fn template(cache: &Cache, id: u32) -> Arc<Template> {
        let made = Arc::new(Template(id));
        KEPT.lock().unwrap().push(Arc::<Template>::clone(&made) as _);
        made
    }
    #[memoize(cache = cache, skip(cache), live)]
    async fn try_template(cache: &Cache, id: u32) -> Result<Arc<Template>, ()> {
        Ok(Arc::new(Template(id)))
    }
    static KEPT: std::sync::Mutex<Vec<Arc<dyn std::any::Any + Send + Sync>>> = std::sync::Mutex::new(Vec::new());

    let (cache, _) = support::cache();
    let (one, again) = (template(&cache, 1).await, template(&cache, 1).await);
    assert!(Arc::ptr_eq(&one, &again) && one.0 == 1);
    assert!(Arc::ptr_eq(&try_template(&cache, 2).await.unwrap(), &try_template(&cache, 2).await.unwrap()));
    template::prime(&cache, 1, Arc::new(Template(5))).await.unwrap();
    assert_eq!(template(&cache, 1).await.0, 5);
}

#[tokio::test]
#[should_panic(expected = "use a MemoryBackend for it, or leave `live` out")]
async fn a_live_function_on_a_backend_that_keeps_bytes_panics_with_the_way_out() {
    #[memoize(cache = cache, skip(cache), live)]
    async fn number(cache: &Cache) -> u32 {
        1
    }
    let cache = Cache::new(bytewise::Bytewise::new(axum_caching::Clock::default()));
    number(&cache).await;
}

#[tokio::test]
async fn results_come_back_from_bytes() {
    #[memoize(cache = app.cache, skip(app), tags = ["all"])]
    async fn words(app: &App, text: String) -> Vec<String> {
        app.runs.next();
        text.split(' ').map(str::to_owned).collect()
    }

    let cache = Cache::new(bytewise::Bytewise::new(axum_caching::Clock::default()));
    let app = App { cache, runs: Runs::default() };
    assert_eq!(words(&app, "a b".into()).await, ["a", "b"]);
    assert_eq!((words(&app, "a b".into()).await.len(), app.runs.count()), (2, 1));
    app.cache.purge_tag("all").await.unwrap();
    assert_eq!((words(&app, "a b".into()).await.len(), app.runs.count()), (2, 2));
    words::delete_memoized(&app.cache).await.unwrap();
    assert_eq!((words(&app, "a b".into()).await.len(), app.runs.count()), (2, 3));
}

struct Adder {
    id: u32,
    by: u32,
    cache: Cache,
    runs: Runs,
}

impl Adder {
    #[memoize(cache = self.cache, instance = self.id)]
    async fn add(&self, number: u32) -> u32 {
        self.runs.next();
        self.by + number
    }

    #[memoize(cache = cache, skip(cache), instance = &self.id)]
    async fn add_with(&mut self, cache: &Cache, mut number: u32) -> u32 {
        self.runs.next();
        number += self.by;
        number
    }

    #[memoize(cache = self.cache)]
    async fn double(self: Arc<Self>, number: u32) -> u32 {
        self.runs.next();
        number * 2
    }

    #[memoize(cache = cache, skip(cache), method)]
    async fn zero(cache: &Cache) -> u32 {
        0
    }
}

fn adders() -> [Adder; 2] {
    let app = app();
    [1, 2].map(|id| Adder { id, by: id * 100, cache: app.cache.clone(), runs: app.runs.clone() })
}

#[tokio::test]
async fn results_of_one_instance_go_alone_or_with_all_others() {
    let [one, two] = adders();
    assert_eq!((one.add(5).await, two.add(5).await, one.add(5).await, one.runs.count()), (105, 205, 105, 2));

    one.add_memoizer().delete_memoized().await.unwrap();
    assert_eq!((one.add(5).await, two.add(5).await, one.runs.count()), (105, 205, 3));

    one.add_memoizer_of_all().delete_memoized().await.unwrap();
    assert_eq!((one.add(5).await, two.add(5).await, one.runs.count()), (105, 205, 5));
    assert_eq!((one.add_uncached(5).await, one.runs.count()), (105, 6));
    assert!(two.add_memoizer().delete_memoized_for(&5).await.unwrap());
}

#[tokio::test]
async fn an_instance_that_does_not_know_the_cache_is_told() {
    let [mut one, mut two] = adders();
    let cache = one.cache.clone();
    assert_eq!((one.add_with(&cache, 5).await, two.add_with(&cache, 5).await), (105, 205));
    one.add_with_memoizer(&cache).delete_memoized().await.unwrap();
    assert_eq!((one.add_with(&cache, 5).await, two.add_with(&cache, 5).await, one.runs.count()), (105, 205, 3));
    Adder::add_with_memoizer_of_all(&cache).delete_memoized().await.unwrap();
    assert_eq!((one.add_with(&cache, 5).await, two.add_with(&cache, 5).await, one.runs.count()), (105, 205, 5));
}

#[tokio::test]
async fn without_an_instance_all_of_them_share() {
    let [one, two] = adders().map(Arc::new);
    assert_eq!((Arc::clone(&one).double(2).await, Arc::clone(&two).double(2).await, one.runs.count()), (4, 4, 1));
    one.double_memoizer().delete_memoized().await.unwrap();
    assert_eq!((Arc::clone(&two).double(2).await, one.runs.count()), (4, 2));
    assert_eq!(Adder::zero(&one.cache).await, 0);
    assert!(Adder::zero_memoizer(&one.cache).name().ends_with("::Adder::zero"));
}

#[tokio::test]
async fn methods_of_generic_types_do_not_share() {
    struct Sizes<T>(Cache, T);
    impl<T> Sizes<T> {
        #[memoize(cache = self.0, name = "sizes")]
        async fn size(&self) -> usize {
            size_of::<T>()
        }
    }
    let (cache, _) = support::cache();
    assert_eq!((Sizes(cache.clone(), 1_u8).size().await, Sizes(cache, 1_u16).size().await), (1, 2));
}

trait Greet {
    async fn greet(&self, name: &str) -> Result<String, std::num::ParseIntError>;
}

impl Greet for App {
    #[memoize(cache = self.cache, name = "App as Greet", no_companions)]
    async fn greet(&self, mut name: &str) -> Result<String, std::num::ParseIntError> {
        name = name.trim();
        let number: u8 = name.parse()?;
        Ok(format!("{number} {}", self.runs.next()))
    }
}

#[tokio::test]
async fn methods_of_a_trait_are_memoized_without_companions() {
    let app = app();
    assert_eq!((app.greet("7").await.unwrap(), app.greet("7").await.unwrap()), ("7 1".into(), "7 1".into()));
    assert!(app.greet("x").await.is_err());
}

#[memoize(cache = state.cache, key = id)]
#[axum::debug_handler]
async fn item(State(state): State<App>, Path(id): Path<u32>) -> String {
    format!("{id} {}", state.runs.next())
}

#[tokio::test]
async fn a_handler_can_be_memoized() {
    let app = app();
    let router = axum::Router::new().route("/{id}", axum::routing::get(item)).with_state(app.clone());
    for _ in 0..2 {
        let response = support::send(&router, support::get("/7")).await;
        assert_eq!(support::text(response).await, "7 1");
    }
}

#[memoize(cache = app.cache, skip(app))]
#[tracing::instrument(skip(app), fields(double = b * 2))]
async fn instrumented(app: &App, (a, b): (u32, u32)) -> u32 {
    app.runs.next();
    a + b
}

#[tracing::instrument(skip_all, err)]
#[memoize(cache = app.cache, skip(app))]
async fn instrumented_first(app: &App, a: u32) -> Result<u32, String> {
    app.runs.next();
    a.checked_add(1).ok_or_else(|| "too much".to_owned())
}

#[tokio::test]
async fn a_function_can_be_instrumented() {
    let app = app();
    assert_eq!((instrumented(&app, (1, 2)).await, instrumented(&app, (1, 2)).await, app.runs.count()), (3, 3, 1));
    assert_eq!((instrumented_first(&app, 1).await, instrumented_first(&app, 1).await), (Ok(2), Ok(2)));
    assert_eq!(app.runs.count(), 2);
}

#[memoize(cache = app.cache, skip(app))]
async fn fib(app: App, n: u64) -> u64 {
    app.runs.next();
    match n {
        0 | 1 => n,
        _ => Box::pin(fib(app.clone(), n - 1)).await + Box::pin(fib(app, n - 2)).await,
    }
}

#[tokio::test]
async fn a_function_may_call_itself_and_be_spawned() {
    let app = app();
    assert_eq!(tokio::spawn(fib(app.clone(), 30)).await.unwrap(), 832_040);
    assert_eq!(app.runs.count(), 31);
}
