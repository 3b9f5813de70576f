//! The handler says how long its own response may be kept.
//!
//! ```text
//! cargo run --example per_response_policy
//! curl -i http://127.0.0.1:3000/items/1    # twice: `cache-status: example; hit; ttl=3599`
//! curl -i http://127.0.0.1:3000/items/9    # twice: 404, and `cache-status: example; hit; ttl=9`
//! curl -i http://127.0.0.1:3000/basket     # always `cache-status: example; fwd=uri-miss; detail=no-lifetime`
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{env, io, time::Duration};

use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use axum_caching::{Cache, CacheLayer, CachePolicy, MemoryBackend};
use serde_json::json;
use tokio::net::TcpListener;

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/items/1", listener.local_addr()?);
    axum::serve(listener, app()).await
}

fn app() -> Router {
    let cache = Cache::new(MemoryBackend::default());
    Router::new()
        .route("/items/{id}", get(item))
        .route("/basket", get(basket))
        .layer(CacheLayer::new(&cache).cache_status("example"))
}

async fn item(Path(id): Path<u32>) -> Response {
    match id {
        1..=3 => (CachePolicy::ttl(HOUR), Json(json!({ "id": id }))).into_response(),
        // Without a policy a 404 is not stored. It may be an item soon, so not for long.
        _ => (StatusCode::NOT_FOUND, CachePolicy::ttl(Duration::from_secs(10)), "no such item\n").into_response(),
    }
}

async fn basket() -> impl IntoResponse {
    (CachePolicy::no_store(), "one item\n")
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use axum_caching::{CacheStatus, NotStored};
    use tower::ServiceExt;

    use super::*;

    async fn fetch(app: &Router, path: &str) -> (StatusCode, CacheStatus) {
        let response = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        (response.status(), CacheStatus::of(&response).unwrap())
    }

    #[tokio::test]
    async fn a_404_is_stored_because_its_handler_says_so() {
        let app = app();
        for (path, status) in [("/items/1", StatusCode::OK), ("/items/9", StatusCode::NOT_FOUND)] {
            fetch(&app, path).await;
            assert_eq!(fetch(&app, path).await, (status, CacheStatus::Hit));
        }
    }

    #[tokio::test]
    async fn what_may_not_be_stored_is_made_for_each_request() {
        let app = app();
        for _ in 0..2 {
            let (_, status) = fetch(&app, "/basket").await;
            assert!(matches!(status, CacheStatus::Miss { not_stored: Some(NotStored::NoLifetime), .. }), "{status:?}");
        }
    }
}
