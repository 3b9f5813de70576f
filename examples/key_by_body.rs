//! A search by POST: the body of the request is a part of the key.
//!
//! ```text
//! cargo run --example key_by_body
//! curl -i http://127.0.0.1:3000/search --json '{"text": "tea"}'      # takes a second
//! curl -i http://127.0.0.1:3000/search --json '{"text": "tea"}'      # at once, with `hit_cache: True`
//! curl -i http://127.0.0.1:3000/search --json '{"text": "coffee"}'   # takes a second: another body
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{env, io, time::Duration};

use axum::{Json, Router, http::Method, routing::post};
use axum_caching::{Cache, CacheLayer, MemoryBackend};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::sleep};

/// Requests with a larger body are not cached.
const LIMIT: usize = 64 * 1024;

#[derive(Deserialize)]
struct Search {
    text: String,
}

#[derive(Serialize)]
struct Found {
    titles: Vec<String>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/search", listener.local_addr()?);
    axum::serve(listener, app()).await
}

fn app() -> Router {
    let cache = Cache::new(MemoryBackend::default());
    let layer = CacheLayer::new(&cache)
        .ttl(Duration::from_secs(60))
        .response_hit_indication(true)
        .methods([Method::POST])
        .key_by_body(LIMIT);
    Router::new().route("/search", post(search)).layer(layer)
}

async fn search(Json(search): Json<Search>) -> Json<Found> {
    sleep(Duration::from_secs(1)).await;
    Json(Found { titles: vec![format!("all about {}", search.text)] })
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt;

    use super::*;

    async fn search(app: &Router, body: &'static str) -> (bool, Vec<u8>) {
        let request = Request::post("/search").header("content-type", "application/json").body(Body::from(body));
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        let is_hit = response.headers().contains_key("hit_cache");
        (is_hit, to_bytes(response.into_body(), LIMIT).await.unwrap().to_vec())
    }

    #[tokio::test(start_paused = true)]
    async fn equal_bodies_share_an_entry_and_others_do_not() {
        let app = app();

        assert_eq!(search(&app, r#"{"text": "tea"}"#).await, (false, br#"{"titles":["all about tea"]}"#.to_vec()));
        assert_eq!(search(&app, r#"{"text": "tea"}"#).await, (true, br#"{"titles":["all about tea"]}"#.to_vec()));
        assert!(!search(&app, r#"{"text": "coffee"}"#).await.0);
    }
}
