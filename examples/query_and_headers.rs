//! What a page depends on: two parameters of the query, one header field and one cookie.
//!
//! ```text
//! cargo run --example query_and_headers
//! curl -i 'http://127.0.0.1:3000/tea?page=2'                            # `fwd=uri-miss; stored`
//! curl -i 'http://127.0.0.1:3000/tea?utm_source=mail&page=2'            # `hit`: no other parameter counts
//! curl -i 'http://127.0.0.1:3000/tea?page=2' -H 'Accept-Language: de'   # `fwd=vary-miss; stored`
//! curl -i 'http://127.0.0.1:3000/tea?page=2' -b 'session=1'             # `hit`: no other cookie counts
//! curl -i 'http://127.0.0.1:3000/tea?page=2' -b 'session=1; currency=EUR'   # `fwd=vary-miss; stored`
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{collections::HashMap, env, io};

use axum::{
    Router,
    extract::Query,
    http::{HeaderMap, header},
    routing::get,
};
use axum_caching::{Cache, CacheLayer, Cookies, MemoryBackend};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/tea?page=2", listener.local_addr()?);
    axum::serve(listener, app()).await
}

fn app() -> Router {
    let cache = Cache::new(MemoryBackend::default());
    let layer = CacheLayer::new(&cache)
        .query_string(axum_caching::Query::only(["page", "sort"]))
        .vary_by([header::ACCEPT_LANGUAGE])
        .cookies(Cookies::only(["currency"]))
        .cache_status("example");
    Router::new().route("/tea", get(tea)).layer(layer)
}

/// Everything that is read here is named above.
async fn tea(Query(query): Query<HashMap<String, String>>, headers: HeaderMap) -> String {
    let parameter = |name| query.get(name).map_or("-", String::as_str);
    let field = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
    let mut cookies = field(header::COOKIE).split("; ");
    let currency = cookies.find_map(|cookie| cookie.strip_prefix("currency=")).unwrap_or("-");
    let language = field(header::ACCEPT_LANGUAGE);
    format!("page {}, sorted by {}, in {language}, for {currency}\n", parameter("page"), parameter("sort"))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use axum_caching::{CacheStatus, MissReason};
    use tower::ServiceExt;

    use super::*;

    const VARIANT: CacheStatus = CacheStatus::Miss { reason: MissReason::Variant, not_stored: None };

    async fn status(app: &Router, target: &str, field: (&str, &str)) -> CacheStatus {
        let request = Request::get(target).header(field.0, field.1).body(Body::empty()).unwrap();
        CacheStatus::of(&app.clone().oneshot(request).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn what_is_named_selects_and_nothing_else_does() {
        let app = app();
        let nothing = ("x-nothing", "1");
        status(&app, "/tea?page=2", nothing).await;

        assert_eq!(status(&app, "/tea?utm_source=mail&page=2", nothing).await, CacheStatus::Hit);
        assert_ne!(status(&app, "/tea?page=3", nothing).await, CacheStatus::Hit);
        assert_eq!(status(&app, "/tea?page=2", ("accept-language", "de")).await, VARIANT);
        assert_eq!(status(&app, "/tea?page=2", ("accept-language", "de")).await, CacheStatus::Hit);
        assert_eq!(status(&app, "/tea?page=2", ("cookie", "session=1")).await, CacheStatus::Hit);
        assert_eq!(status(&app, "/tea?page=2", ("cookie", "session=1; currency=EUR")).await, VARIANT);
    }
}
