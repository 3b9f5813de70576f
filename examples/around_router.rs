//! The cache around the whole router: a hit skips routing, and everything that is inside it.
//!
//! ```text
//! cargo run --example around_router
//! curl -i http://127.0.0.1:3000/weather    # `cache-status: example; fwd=uri-miss; stored`
//! curl -i http://127.0.0.1:3000/weather    # `cache-status: example; hit; ttl=9`: the route's own lifetime
//! curl -i http://127.0.0.1:3000/map        # twice: `cache-status: example; hit; ttl=59`
//! curl -i http://127.0.0.1:3000/nowhere    # `cache-status: example; fwd=uri-miss; detail=status`
//! ```
//!
//! `axum::serve` takes services with axum's own body type only. A router inside a plain `ServiceBuilder` has another
//! one, so this placement has a method of its own.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{env, io, time::Duration};

use axum::{Router, routing::get};
use axum_caching::{Around, Cache, CacheLayer, MemoryBackend};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/weather", listener.local_addr()?);
    axum::serve(listener, app().into_make_service()).await
}

fn app() -> Around<Router> {
    let cache = Cache::new(MemoryBackend::default());
    let layer = CacheLayer::new(&cache).cache_status("example");
    let router = Router::new()
        // A layer of the same cache further in keeps no entry of its own: its lifetime goes before the outer one.
        .route("/weather", get(async || "sunny\n").layer(layer.clone().ttl(Duration::from_secs(10))))
        .route("/map", get(async || "here be dragons\n"));
    layer.ttl(Duration::from_secs(60)).around(router)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    async fn status(app: &Around<Router>, path: &str) -> String {
        let response = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        response.headers()["cache-status"].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn an_inner_layer_says_how_long_and_the_outer_one_keeps() {
        let app = app();

        for (path, ttl) in [("/weather", ["ttl=10", "ttl=9"]), ("/map", ["ttl=60", "ttl=59"])] {
            assert_eq!(status(&app, path).await, "example; fwd=uri-miss; stored");
            let hit = status(&app, path).await;
            assert!(hit.starts_with("example; hit;") && ttl.iter().any(|ttl| hit.ends_with(ttl)), "{hit}");
        }
        assert_eq!(status(&app, "/nowhere").await, "example; fwd=uri-miss; detail=status");
    }
}
