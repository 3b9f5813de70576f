//! The first program: a router behind a cache.
//!
//! ```text
//! cargo run --example hello
//! curl -i http://127.0.0.1:3000/hello/Ada    # takes a second
//! curl -i http://127.0.0.1:3000/hello/Ada    # at once, with `hit_cache: True`
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{env, io, time::Duration};

use axum::{Router, extract::Path, routing::get};
use axum_caching::{Cache, CacheLayer, MemoryBackend};
use tokio::{net::TcpListener, time::sleep};

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/hello/Ada", listener.local_addr()?);
    axum::serve(listener, app()).await
}

fn app() -> Router {
    let cache = Cache::new(MemoryBackend::default());
    Router::new()
        .route("/hello/{name}", get(hello))
        .layer(CacheLayer::new(&cache).ttl(Duration::from_secs(60)).response_hit_indication(true))
}

async fn hello(Path(name): Path<String>) -> String {
    sleep(Duration::from_secs(1)).await;
    format!("hello, {name}\n")
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request, response::Response};
    use tower::ServiceExt;

    use super::*;

    async fn fetch(app: &Router, path: &str) -> Response {
        app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_request_is_a_hit_and_another_name_is_not() {
        let app = app();

        let (first, second) = (fetch(&app, "/hello/Ada").await, fetch(&app, "/hello/Ada").await);
        let other = fetch(&app, "/hello/Grace").await;

        assert!(!first.headers().contains_key("hit_cache"));
        assert_eq!(second.headers()["hit_cache"], "True");
        assert!(!other.headers().contains_key("hit_cache"));
    }
}
