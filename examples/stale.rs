//! A handler that is slow and then dead, and pages that do not show it. A write takes its page away.
//!
//! ```text
//! cargo run --example stale
//! curl -i http://127.0.0.1:3000/weather              # takes a second: `fwd=uri-miss; stored`
//! curl -i http://127.0.0.1:3000/weather              # at once: `hit; ttl=1`
//! sleep 3; curl -i http://127.0.0.1:3000/weather     # at once: `hit; ttl=-2`, and made anew behind you
//! curl -X POST http://127.0.0.1:3000/outage          # from here on the handler fails
//! sleep 12; curl -i http://127.0.0.1:3000/weather    # 200: `hit; detail=stale-if-error`
//! curl -X PUT http://127.0.0.1:3000/weather          # a write: the page is gone, and the failure shows
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    env, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use axum_caching::{Cache, CacheLayer, Clock, MemoryBackend, Profile};
use tokio::net::TcpListener;

const SECOND: Duration = Duration::from_secs(1);

/// Fresh for two seconds, good for eight more while it is made anew, and for an hour if that fails.
const HARDY: Profile = Profile::new()
    .stale_while_revalidate(Duration::from_secs(8))
    .stale_if_error(Duration::from_secs(3600))
    .failure_backoff(Duration::from_secs(5));

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/weather", listener.local_addr()?);
    axum::serve(listener, app(&Cache::new(MemoryBackend::default()))).await
}

fn app(cache: &Cache) -> Router {
    let layer = CacheLayer::new(cache).profile(HARDY).ttl(2 * SECOND).purge_on_write(true).cache_status("example");
    Router::new()
        .route("/weather", get(weather).put(async || StatusCode::NO_CONTENT).layer(layer))
        .route("/outage", post(async |State(upstream): State<Upstream>| upstream.is_dead.store(true, Ordering::SeqCst)))
        .with_state(Upstream::default())
}

/// What the handler asks.
#[derive(Clone, Default)]
struct Upstream {
    is_dead: Arc<AtomicBool>,
}

async fn weather(State(upstream): State<Upstream>) -> Result<String, StatusCode> {
    if upstream.is_dead.load(Ordering::SeqCst) {
        return Err(StatusCode::BAD_GATEWAY);
    }
    tokio::time::sleep(SECOND).await;
    Ok(format!("made at {} ms\n", Clock::system().now()))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request, response::Response};
    use axum_caching::testing::{ManualClock, assert_hit, assert_miss, assert_stale};
    use tower::ServiceExt;

    use super::*;

    async fn send(app: &Router, method: &str, path: &str) -> Response {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_outage_does_not_show_until_something_is_written() {
        let clock = ManualClock::new();
        let backend = MemoryBackend::builder().clock(clock.clock()).build();
        let cache = Cache::builder(backend).clock(clock.clock()).build();
        let app = app(&cache);
        let page = || send(&app, "GET", "/weather");

        assert_miss!(page().await);
        assert_hit!(page().await);
        clock.advance(3 * SECOND);
        assert_stale!(page().await);
        assert!(cache.close().await, "made anew");
        assert_hit!(page().await);

        send(&app, "POST", "/outage").await;
        clock.advance(12 * SECOND);
        let response = page().await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_stale!(response);

        send(&app, "PUT", "/weather").await;
        assert_eq!(page().await.status(), StatusCode::BAD_GATEWAY);
    }
}
