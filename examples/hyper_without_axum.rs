//! A hyper server with a tower service, and no axum.
//!
//! ```text
//! cargo run --example hyper_without_axum
//! curl -i http://127.0.0.1:3000/pi    # takes a second
//! curl -i http://127.0.0.1:3000/pi    # at once, with `age` and `hit_cache: True`
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{convert::Infallible, env, io, time::Duration};

use axum_caching::{Cache, CacheLayer, CachePolicy, CacheService, MemoryBackend};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, time::sleep};
use tower::{Layer, service_fn};

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/pi", listener.local_addr()?);

    // Connections are served by clones, which share the cache and its flights.
    let service = TowerToHyperService::new(cached(service_fn(origin)));
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                println!("a connection ended early: {error}");
            }
        });
    }
}

fn cached<S>(inner: S) -> CacheService<S> {
    let cache = Cache::new(MemoryBackend::default());
    CacheLayer::new(&cache).age_header(true).response_hit_indication(true).layer(inner)
}

/// Any service that answers with an `http::Response` will do.
async fn origin<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(Duration::from_secs(1)).await;
    let mut response = Response::new(Full::from(format!("made for {}\n", request.uri().path())));
    // Without axum a policy is put into the extensions.
    response.extensions_mut().insert(CachePolicy::ttl(Duration::from_secs(60)));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum_caching::CacheStatus;
    use tower::Service;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_service_without_axum_is_cached_as_well() {
        let mut service = cached(service_fn(origin));
        let request = || Request::get("/pi").body(Full::<Bytes>::default()).unwrap();

        let first = service.call(request()).await.unwrap();
        let second = service.call(request()).await.unwrap();

        assert!(matches!(CacheStatus::of(&first), Some(CacheStatus::Miss { not_stored: None, .. })));
        assert_eq!(CacheStatus::of(&second), Some(CacheStatus::Hit));
        assert!(second.headers().contains_key("age"));
    }
}
