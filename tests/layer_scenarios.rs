//! Longer stories: what went wrong elsewhere, told from end to end.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails where a helper of it panics")]

mod support;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, routing::get as on_get};
use axum_caching::{
    Backend, BackendFuture, Breaker, Cache, CacheLayer, CacheStatus, Error, ErrorKind, MemoryBackend, NullBackend,
    Value, testing::ManualClock,
};
use http::{HeaderValue, Method, Request, StatusCode, header};
use support::*;
use tower::{ServiceBuilder, ServiceExt, util::MapResponseLayer};

const HIT: CacheStatus = CacheStatus::Hit;

#[tokio::test]
async fn a_forwarded_host_does_not_poison_the_page_of_the_real_one() {
    // ocache #2208; `axum_extra::extract::Host` believes these fields before `Host`.
    for (field, value) in [("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache), move |request, _| match seen(&request, field).as_str() {
            "-" => format!("https://{}/login", seen(&request, "host")),
            _ => "https://evil.example/login".to_owned(),
        });

        fetch_request(&app, get_with("/", &[("host", "shop.example"), (field, value)])).await;
        let victim = fetch_request(&app, get_with("/", &[("host", "shop.example")])).await.1;

        assert_eq!((victim.as_str(), runs.count()), ("https://shop.example/login", 2), "{field}");
    }
}

#[tokio::test]
async fn what_an_inner_layer_varies_by_selects_in_the_outer_one_too() {
    // One cache, one entry: the outer layer stores what the inner one would have.
    let (cache, _) = cache();
    let inner = layer(&cache).vary_by([header::ACCEPT_LANGUAGE]);
    let page = on_get(async |request: Request<Body>| seen(&request, "accept-language"));
    let app = Router::new().route("/", page.layer(inner)).layer(layer(&cache));

    for language in ["de", "fr", "de", "fr"] {
        assert_eq!(fetch_request(&app, get_with("/", &[("accept-language", language)])).await.1, language);
    }
}

#[tokio::test]
async fn what_an_inner_layer_keys_by_is_not_lost_in_the_outer_one() {
    let (cache, _) = cache();
    let inner = layer(&cache).make_cache_key(|request| {
        let tenant = request.headers.get("x-tenant")?.to_str().ok()?;
        Some(format!("tenant:{tenant}"))
    });
    let page = on_get(async |request: Request<Body>| seen(&request, "x-tenant"));
    let app = Router::new().route("/", page.layer(inner)).layer(layer(&cache));

    for tenant in ["acme", "umbrella"] {
        assert_eq!(fetch_request(&app, get_with("/", &[("x-tenant", tenant)])).await.1, tenant);
    }
}

#[tokio::test]
async fn what_an_inner_layer_does_not_cache_the_outer_one_does_not_either() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let inner = layer(&cache).unless(|request| request.headers.contains_key("x-preview"));
    let counted = runs.clone();
    let page = on_get(async move || format!("run {}", counted.next()));
    let app = Router::new().route("/", page.layer(inner)).layer(layer(&cache));

    for run in ["run 1", "run 2"] {
        assert_eq!(fetch_request(&app, get_with("/", &[("x-preview", "1")])).await.1, run);
    }
    assert_eq!(fetch(&app, "/").await.1, "run 3");
    assert_eq!(fetch(&app, "/").await, (HIT, "run 3".into()));
}

#[tokio::test]
async fn a_preview_that_is_under_way_is_shared_with_nobody() {
    // Next.js CVE-2026-94544: an anonymous visitor was handed the fill of an editor.
    let handler = async |request: Request<Body>| {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        format!("{} {}", seen(&request, "x-preview"), seen(&request, "cookie"))
    };
    let (cache, _) = cache();
    let preview = layer(&cache).unless(|request| request.headers.contains_key("x-preview"));
    let app = Router::new().fallback(handler).layer(preview);
    let editor = || fetch_request(&app, get_with("/", &[("x-preview", "draft")]));
    let user = || fetch_request(&app, get_with("/", &[("cookie", "alice")]));

    let (before, draft, anonymous, own, after) = tokio::join!(user(), editor(), fetch(&app, "/"), user(), editor());

    assert_eq!([before.1, own.1], ["- alice", "- alice"]);
    assert_eq!([draft.1, after.1], ["draft -", "draft -"]);
    assert_eq!(anonymous.1, "- -");
    assert_eq!(fetch(&app, "/").await, (HIT, "- -".into()));
}

#[tokio::test]
async fn a_page_that_is_made_of_a_cached_one_is_no_hit() {
    // Flask-Caching Q-46: the flag of an inner call was told of the outer page.
    let (cache, _) = cache();
    let (inner, _) = app(layer(&cache).response_hit_indication(true), |_, run| format!("part {run}"));
    fetch(&inner, "/part").await;
    let outer = Router::new().fallback(async move || {
        let part = inner.oneshot(get("/part")).await.unwrap();
        format!("page of {}", text(part).await)
    });

    let page = send(&outer, get("/page")).await;

    assert!(!page.headers().contains_key("hit_cache"));
    assert_eq!(CacheStatus::of(&page), None);
    assert_eq!(text(page).await, "page of part 1");
}

#[tokio::test]
async fn a_page_of_a_cached_part_can_be_cached_beside_it() {
    let (cache, _) = cache();
    let (part, parts) = app(layer(&cache), |_, run| format!("part {run}"));
    let handler = async move || {
        let part = part.clone().oneshot(get("/part")).await.unwrap();
        format!("page of {}", text(part).await)
    };
    let page = Router::new().route("/page", on_get(handler)).layer(layer(&cache));

    assert_eq!(twice(&page, || get("/page")).await[1], HIT);
    assert!(cache.delete_cached("/page").await.unwrap());
    assert_eq!(fetch(&page, "/page").await.1, "page of part 1");
    assert_eq!(parts.count(), 1);
}

#[tokio::test]
async fn a_session_layer_outside_gives_each_client_its_own_cookie_on_hits_too() {
    // Django CVE-2026-35192 is the other order.
    let (cache, _) = cache();
    let sessions = Runs::default();
    let given = sessions.clone();
    let with_session = MapResponseLayer::new(move |mut response: axum::response::Response| {
        let cookie = format!("session={}", given.next());
        response.headers_mut().insert(header::SET_COOKIE, HeaderValue::try_from(cookie).unwrap());
        response
    });
    let runs = Runs::default();
    let counted = runs.clone();
    let page = on_get(async move || format!("run {}", counted.next()));
    let outside = Router::new().route("/", page.clone()).layer(layer(&cache)).layer(with_session.clone());
    let inside = Router::new().route("/in", page).layer(with_session).layer(layer(&cache));

    let cookies = [send(&outside, get("/")).await, send(&outside, get("/")).await].map(|it| lines(&it, "set-cookie"));
    let inner = [send(&inside, get("/in")).await, send(&inside, get("/in")).await].map(|it| lines(&it, "set-cookie"));

    assert_eq!(cookies, [["session=1"], ["session=2"]]);
    assert_eq!(inner, [["session=3"], ["session=4"]]);
    assert_eq!(runs.count(), 3, "the first page ran once, the second is not stored");
}

/// Keeps bytes, answers late, counts, and fails on demand, as a server does.
#[derive(Clone, Debug)]
struct Server {
    memory: MemoryBackend,
    calls: Arc<Mutex<Vec<&'static str>>>,
    is_down: Arc<Mutex<bool>>,
}

impl Server {
    fn new(clock: &ManualClock) -> Self {
        let memory = MemoryBackend::builder().clock(clock.clock()).build();
        Self { memory, calls: Arc::default(), is_down: Arc::default() }
    }

    fn call<'a, T: Send>(
        &'a self,
        name: &'static str,
        inner: impl Future<Output = Result<T, Error>> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        BackendFuture::new(async move {
            self.calls.lock().unwrap().push(name);
            tokio::task::yield_now().await;
            if *self.is_down.lock().unwrap() {
                return Err(Error::new(ErrorKind::Other, std::io::Error::other("down")));
            }
            inner.await
        })
    }

    fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl Backend for Server {
    // Of this process alone; what guards cost on one that is shared is said in `purge_nodes`.
    fn is_shared(&self) -> bool {
        false
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.call("get", self.memory.get(key))
    }
    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.call("set", async move {
            let bytes = Value::from_bytes(value.to_bytes()?);
            self.memory.set(key, bytes, ttl).await
        })
    }
    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.call("add", self.memory.add(key, value, ttl))
    }
    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.call("delete", self.memory.delete(key))
    }
    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.call("increment", self.memory.increment(key, by))
    }
    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.call("clear", self.memory.clear(prefix))
    }
}

fn served() -> (Cache, Server, ManualClock) {
    let clock = ManualClock::new();
    let server = Server::new(&clock);
    (Cache::builder(server.clone()).clock(clock.clock()).breaker(Breaker::off()).build(), server, clock)
}

#[tokio::test]
async fn a_response_comes_back_whole_from_a_backend_that_keeps_bytes() {
    // Flask-Caching Q-16: a tuple came back as JSON with status 200.
    let (cache, ..) = served();
    let all = layer(&cache).response_hit_indication(true).age_header(true).cache_status("c");
    let (app, runs) = app(all, |request, run| {
        let mut response = answer(&[("link", "</a>"), ("link", "</b>"), ("vary", "x-a"), ("etag", "\"1\"")], {
            [format!("{} {run} ", seen(&request, "x-a")).as_bytes(), b"\0\xff"].concat()
        });
        *response.status_mut() = StatusCode::NON_AUTHORITATIVE_INFORMATION;
        response.headers_mut().insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        response
    });

    for (index, a) in ["1", "2"].into_iter().enumerate() {
        for round in 0..2 {
            let response = send(&app, get_with("/", &[("x-a", a)])).await;
            assert_eq!(CacheStatus::of(&response) == Some(HIT), round == 1);
            assert_eq!(response.status(), StatusCode::NON_AUTHORITATIVE_INFORMATION);
            assert_eq!(lines(&response, "link"), ["</a>", "</b>"]);
            assert_eq!(response.headers()["x-name"].as_bytes(), b"caf\xe9");
            assert_eq!(lines(&response, "age").len(), round);
            let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
            assert_eq!(body, [format!("{a} {} ", index + 1).as_bytes(), b"\0\xff"].concat());
            assert!(cache.close().await, "what is stored in the background is stored");
        }
    }
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_variant_does_not_go_with_the_one_that_came_first() {
    let (cache, _, clock) = served();
    let (app, runs) = answering(layer(&cache), &[("vary", "x-a")]);
    fetch_request(&app, get_with("/", &[("x-a", "rare")])).await;
    assert!(cache.close().await);
    for pause in [50, 50, 15] {
        clock.advance(Duration::from_secs(pause));
        fetch_request(&app, get_with("/", &[("x-a", "common")])).await;
        assert!(cache.close().await);
    }
    assert_eq!(runs.count(), 3, "the second variant was made anew after its 60 seconds");

    // The first one is gone for good by now, and the second is 10 seconds old.
    clock.advance(Duration::from_secs(10));

    assert_eq!(fetch_request(&app, get_with("/", &[("x-a", "common")])).await.0, HIT);
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_hit_asks_the_backend_once() {
    // Flask-Caching Q-53: two operations for a hit, six for a miss.
    let (cache, server, _) = served();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));

    fetch(&app, "/").await;
    assert!(cache.close().await);
    let miss = server.take_calls();
    assert_eq!(fetch(&app, "/").await.0, HIT);

    assert_eq!(server.take_calls(), ["get"]);
    assert!(miss.len() <= 3 && miss.contains(&"set"), "{miss:?}");
}

#[tokio::test]
async fn a_backend_that_is_down_harms_no_request() {
    // Flask-Caching; FusionCache and others answered 500.
    let (cache, server, _) = served();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/").await;
    assert!(cache.close().await);
    *server.is_down.lock().unwrap() = true;

    for run in ["run 2", "run 3"] {
        let response = send(&app, get("/")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, run);
    }
    let head = send(&app, request(Method::HEAD, "/")).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert!(cache.close().await);
    *server.is_down.lock().unwrap() = false;

    assert_eq!(fetch(&app, "/").await, (HIT, "run 1".into()));
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn the_null_backend_switches_caching_off() {
    // Flask-Caching Q-59
    let cache = Cache::new(NullBackend::default());
    let (app, runs) = app(CacheLayer::new(&cache), |_, run| format!("run {run}"));

    for run in ["run 1", "run 2", "run 3"] {
        assert_eq!(fetch(&app, "/").await.1, run);
    }
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_handler_that_fails_is_asked_again() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let counted = runs.clone();
    let service = ServiceBuilder::new().layer(layer(&cache)).service_fn(move |_: Request<Body>| {
        let run = counted.next();
        async move { if run == 1 { Err("broken") } else { Ok(answer(&[], "fine")) } }
    });

    assert_eq!(service.clone().oneshot(get("/")).await.map(drop), Err("broken"));
    assert!(service.clone().oneshot(get("/")).await.is_ok());
    assert!(service.oneshot(get("/")).await.is_ok());
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_response_with_as_many_fields_as_a_map_holds_passes() {
    let (cache, _) = cache();
    let service = ServiceBuilder::new().layer(layer(&cache).age_header(true).cache_status("c")).service_fn(
        async |_: Request<Body>| {
            let mut response = answer(&[], "body");
            for n in 0..24_576 {
                let name = header::HeaderName::try_from(format!("x-{n}")).unwrap();
                if response.headers_mut().try_insert(name, HeaderValue::from_static("1")).is_err() {
                    break;
                }
            }
            Ok::<_, Infallible>(response)
        },
    );

    for _ in 0..2 {
        let response = service.clone().oneshot(get("/")).await.unwrap();
        assert!(response.headers().len() > 24_000);
    }
}
