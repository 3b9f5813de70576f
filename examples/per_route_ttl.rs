//! A lifetime for each route, over one cache.
//!
//! ```text
//! cargo run --example per_route_ttl
//! curl -i http://127.0.0.1:3000/news       # `cache-status: example; fwd=uri-miss; stored`
//! curl -i http://127.0.0.1:3000/news       # `cache-status: example; hit; ttl=4`, for five seconds
//! curl -i http://127.0.0.1:3000/archive    # the same, for a day
//! curl -i http://127.0.0.1:3000/now        # no `cache-status`: there is no layer on this route
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{env, io, time::Duration};

use axum::{Router, routing::get};
use axum_caching::{Cache, CacheLayer, Clock, MemoryBackend};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/news", listener.local_addr()?);
    axum::serve(listener, app(&Cache::new(MemoryBackend::default()))).await
}

fn app(cache: &Cache) -> Router {
    let cached = |seconds| CacheLayer::new(cache).ttl(Duration::from_secs(seconds)).cache_status("example");
    Router::new()
        .route("/news", get(made).layer(cached(5)))
        .route("/archive", get(made).layer(cached(24 * 60 * 60)))
        .route("/now", get(made))
}

async fn made() -> String {
    format!("made at {} ms\n", Clock::system().now())
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use axum_caching::{CacheStatus, testing::ManualClock};
    use tower::ServiceExt;

    use super::*;

    async fn status(app: &Router, path: &str) -> Option<CacheStatus> {
        let request = Request::get(path).body(Body::empty()).unwrap();
        CacheStatus::of(&app.clone().oneshot(request).await.unwrap())
    }

    #[tokio::test]
    async fn each_route_has_its_own_lifetime() {
        let clock = ManualClock::new();
        let backend = MemoryBackend::builder().clock(clock.clock()).build();
        let app = app(&Cache::builder(backend).clock(clock.clock()).build());
        for path in ["/news", "/archive"] {
            status(&app, path).await;
            assert_eq!(status(&app, path).await, Some(CacheStatus::Hit));
        }

        clock.advance(Duration::from_secs(5));

        assert!(matches!(status(&app, "/news").await, Some(CacheStatus::Miss { .. })));
        assert_eq!(status(&app, "/archive").await, Some(CacheStatus::Hit));
        assert_eq!(status(&app, "/now").await, None);
    }
}
