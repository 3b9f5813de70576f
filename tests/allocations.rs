//! What entries and hits allocate: the weight of an entry is the memory it takes, and a hit allocates little.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the numbers are worth reading, with `--nocapture`")]

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::{AllocationInfo, measure};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::Path,
    http::{HeaderValue, Request, Response, header},
    routing::get,
};
use axum_caching::{Backend, Cache, CacheLayer, CacheStatus, MemoryBackend, Ttl, Value};
use tower::Service;

/// What an allocator takes beside what it was asked for: a header of 8 bytes, and sizes rounded up to 16.
const PER_BLOCK: i64 = 12;

/// Tables double as they grow; measured at several sizes, how full they are averages out.
const SIZES: [usize; 4] = [1_150, 1_400, 1_700, 2_150];

/// Everything here is in memory, and so ready at the first poll: no runtime takes part in what is counted.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("everything is there already"),
    }
}

fn backend() -> MemoryBackend {
    // Bounds that are not reached, and no entry counts for more than it weighs.
    MemoryBackend::builder().max_bytes(1 << 30).max_entries(100_000_000).build()
}

fn fields() -> [(header::HeaderName, HeaderValue); 6] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_LANGUAGE, HeaderValue::from_static("en")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
        (header::ETAG, HeaderValue::from_static("\"5f0c-6419a3c1d4f80\"")),
        (header::LAST_MODIFIED, HeaderValue::from_static("Sun, 01 Nov 2026 08:00:00 GMT")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ]
}

fn page(length: usize) -> Response<Body> {
    let mut response = Response::new(Body::from(vec![b'x'; length]));
    response.headers_mut().extend(fields());
    response
}

/// A page as a handler passes it on that read it from a connection: slices of one large buffer.
fn proxied(length: usize) -> Response<Body> {
    let buffer = Bytes::from(vec![b'x'; 64 << 10]);
    let mut response = Response::new(Body::from(buffer.slice(..length)));
    for (name, value) in fields() {
        let value = buffer.slice(length..length + value.len());
        response.headers_mut().insert(name, HeaderValue::from_maybe_shared(value).unwrap());
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    response
}

fn app(cache: &Cache, page: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> Router {
    let layer = CacheLayer::new(cache).ttl(Duration::from_secs(3_600));
    Router::new().route("/items/{id}", get(async move |Path(_): Path<u32>| page()).layer(layer)).with_state(())
}

/// Sends a request and reads the answer to its end.
fn exchange(app: &mut Router, request: Request<Body>) -> Response<()> {
    let response = now(app.call(request)).unwrap();
    let (parts, mut body) = response.into_parts();
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        drop(frame.unwrap());
    }
    assert!(body.is_end_stream());
    Response::from_parts(parts, ())
}

fn request(number: usize) -> Request<Body> {
    Request::get(format!("/items/{number}")).body(Body::empty()).unwrap()
}

/// Fills a backend, and compares its weight with the memory that is taken.
fn compare(what: &str, fill: impl Fn(&MemoryBackend, usize)) {
    let (mut weight, mut taken, mut blocks, mut entries) = (0, 0, 0, 0);
    for size in SIZES {
        let backend = backend();
        let AllocationInfo { bytes_current, count_current, .. } = measure(|| fill(&backend, size));
        assert_eq!(backend.entries(), size);
        weight += i64::try_from(backend.weight()).unwrap();
        taken += bytes_current + PER_BLOCK * count_current;
        blocks += count_current;
        entries += i64::try_from(size).unwrap();
    }
    println!(
        "{what}: weight {} B an entry, memory {} B in {} blocks",
        weight / entries,
        taken / entries,
        blocks / entries
    );
    let percent = 100 * weight / taken;
    assert!((75..=125).contains(&percent), "{what}: the weight is {percent} % of the memory");
}

fn compare_pages(what: &str, page: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) {
    let page = Arc::new(page);
    compare(what, |backend, size| {
        let page = Arc::clone(&page);
        let mut app = app(&Cache::new(backend.clone()), move || page());
        for number in 0..size {
            exchange(&mut app, request(number));
        }
        // What belongs to the cache and the application is not an entry's, and small.
    });
}

#[test]
fn small_pages_weigh_what_they_take() {
    compare_pages("64 B pages", || page(64));
}

#[test]
fn pages_weigh_what_they_take() {
    compare_pages("4 KiB pages", || page(4 << 10));
}

#[test]
fn slices_of_read_buffers_weigh_what_they_take() {
    compare_pages("200 B slices of 64 KiB", || proxied(200));
}

#[test]
fn values_weigh_what_they_take() {
    for length in [8, 100, 1_000] {
        compare(&format!("values of {length} B"), |backend, size| {
            let cache = Cache::new(backend.clone());
            let value = "v".repeat(length);
            for number in 0..size {
                now(cache.set(&format!("value:{number}"), &value, Ttl::Default)).unwrap();
            }
        });
    }
}

#[test]
fn values_without_an_end_weigh_what_they_take() {
    compare("values of 100 B without an end", |backend, size| {
        let cache = Cache::new(backend.clone());
        for number in 0..size {
            now(cache.set(&format!("value:{number}"), &"v".repeat(100), Ttl::Forever)).unwrap();
        }
    });
}

#[test]
fn integers_weigh_what_they_take() {
    compare("integers", |backend, size| {
        for number in 0..size {
            now(backend.increment(&format!("counter:{number}"), 1)).unwrap();
        }
    });
}

#[test]
fn bytes_weigh_what_they_take() {
    compare("bytes", |backend, size| {
        for number in 0..size {
            let value = Value::from_bytes(vec![7; 100]);
            now(backend.set(&format!("bytes:{number}"), value, Some(Duration::from_secs(60)))).unwrap();
        }
    });
}

/// How often something allocates; it is done a few times before, so that nothing is counted that is made once.
fn allocations(mut prepare: impl FnMut() -> Request<Body>, mut run: impl FnMut(Request<Body>)) -> u64 {
    (0..4).for_each(|_| run(prepare()));
    let request = prepare();
    measure(|| run(request)).count_total
}

fn hits(name: &str, layer: impl FnOnce(CacheLayer) -> CacheLayer, uri: &'static str) -> u64 {
    let cache = Cache::new(MemoryBackend::default());
    let layer = layer(CacheLayer::new(&cache).ttl(Duration::from_secs(3_600)));
    let mut app = Router::new().route("/items/{id}", get(async || page(4 << 10)).layer(layer)).with_state(());
    let prepare = || Request::get(uri).body(Body::empty()).unwrap();
    exchange(&mut app, prepare());
    let count = allocations(prepare, |request| {
        let response = exchange(&mut app, request);
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Hit));
    });
    println!("{name}: {count} allocations");
    count
}

fn bare() -> u64 {
    let mut app = Router::new().route("/items/{id}", get(async || page(4 << 10))).with_state(());
    let prepare = || Request::get("/items/7").body(Body::empty()).unwrap();
    let count = allocations(prepare, |request| drop(exchange(&mut app, request)));
    println!("without a cache: {count} allocations");
    count
}

#[test]
fn a_hit_on_a_route_allocates_no_more_than_the_route_without_a_cache() {
    let hit = hits("hit", |layer| layer, "/items/7");
    assert!(hit <= 15, "{hit}");
    assert!(hit <= bare(), "{hit}");
}

#[test]
fn what_a_hit_can_tell_costs_few_allocations() {
    let plain = hits("hit", |layer| layer, "/items/7");
    let told = hits(
        "hit that says so, with its age",
        |layer| layer.response_hit_indication(true).age_header(true),
        "/items/7",
    );
    assert!(told <= plain + 2, "{told}, {plain} without");
    let query = hits("hit with a query", |layer| layer, "/items/7?page=2&sort=name");
    assert!(query <= plain + 4, "{query}, {plain} without");
}

#[test]
fn a_hit_around_the_router_allocates_four_times() {
    let cache = Cache::new(MemoryBackend::default());
    let router = Router::new().route("/items/{id}", get(async || page(4 << 10))).with_state(());
    let mut app = CacheLayer::new(&cache).ttl(Duration::from_secs(3_600)).around(router);
    let mut count = |extension: bool| {
        let prepare = || {
            let mut request = request(7);
            if extension {
                // As the server does, that puts the address of the client there.
                request.extensions_mut().insert("somebody");
            }
            request
        };
        allocations(prepare, |request| drop(now(app.call(request)).unwrap()))
    };
    let (with, without) = (count(true), count(false));
    println!("hit around the router: {with} allocations; {without} if the request brings no extensions");
    assert!(with <= 4, "{with}");
    assert!(without <= with + 3, "{without}");
}

#[test]
fn a_hit_on_a_computed_value_does_not_allocate_but_for_its_key() {
    let cache = Cache::new(MemoryBackend::default());
    let run = || {
        let [value] = now(cache.get_or_compute("key", Ttl::Default, async || [1.5]));
        assert!(value > 1.0);
    };
    (0..4).for_each(|_| run());
    let count = measure(run).count_total;
    println!("hit on a computed value: {count} allocations");
    assert!(count <= 1, "{count}");

    now(cache.set("key", &[1.5], Ttl::Default)).unwrap();
    let count = measure(|| assert!(now(cache.get::<[f64; 1]>("key")).unwrap().is_some())).count_total;
    println!("get: {count} allocations");
    assert!(count <= 1, "{count}");
}
