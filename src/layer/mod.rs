//! Response caching as a Tower layer.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "memory"))]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use axum_caching::{Cache, CacheLayer, MemoryBackend};
//! use tower::ServiceExt;
//!
//! let cache = Cache::new(MemoryBackend::default());
//! let app: Router = Router::new()
//!     .route("/items/{id}", get(async || "an item that takes long to make"))
//!     .layer(CacheLayer::new(&cache).ttl(Duration::from_secs(60)).response_hit_indication(true));
//!
//! let request = || Request::get("/items/7").body(Body::empty()).unwrap();
//! let first = app.clone().oneshot(request()).await.unwrap();
//! assert!(!first.headers().contains_key("hit_cache"));
//! let second = app.oneshot(request()).await.unwrap();
//! assert_eq!(second.headers()["hit_cache"], "True");
//! # });
//! ```

mod age;
mod answer;
#[cfg(feature = "axum")]
mod around;
mod body;
mod catalogue;
mod collect;
mod date;
mod future;
mod groups;
mod keeping;
mod key_by;
mod key_by_body;
mod late;
mod look;
mod narrow;
mod nested;
mod options;
mod origin;
mod pipe;
mod purging;
mod question;
mod reference;
mod revalidate;
mod rules;
mod serve;
mod service;
mod sets;
mod status;
mod validation;
mod writes;

use std::{fmt, sync::Arc};

use tower_layer::Layer;

#[cfg(feature = "axum")]
pub use self::around::{Around, AroundFuture, IntoMakeService};
pub use self::{
    body::{BodyError, CacheBody},
    catalogue::{Cookies, HitHeader, KeyPrefix, Query},
    future::ResponseFuture,
    key_by_body::{BodyKeyedLayer, BodyKeyedService, BufferedBody},
    revalidate::ConditionalRefresh,
    service::CacheService,
    status::CacheStatus,
};

use self::rules::Rules;
use crate::cache::Cache;

/// Caches the responses of a service (`cached` in Flask-Caching).
///
/// The layer is its own builder. Without any setting it answers GET and HEAD from the cache for 300 seconds, or for
/// what the response says, and is careful: requests with `Authorization` or `Cookie`, responses with `Set-Cookie`,
/// `Cache-Control: no-store`, `private` or `no-cache`, errors and streams are left alone, `Vary` and the host select
/// variants, and a thousand requests for a missing page run the handler once.
///
/// A handler goes before the layer with a [`CachePolicy`](crate::CachePolicy) in its response.
///
/// What a handler *reads* has to be in the key. That is so for the path, the query and the host; name other fields
/// with [`vary_by`](CacheLayer::vary_by), or have the handler say `Vary`. Authentication belongs outside the cache:
/// what is inside does not run on a hit.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use axum_caching::{Cache, CacheLayer, NullBackend};
///
/// let cache = Cache::new(NullBackend::default());
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(CacheLayer::new(&cache).ttl(Duration::from_secs(60)));
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
#[doc(alias = "cached")]
pub struct CacheLayer {
    cache: Cache,
    rules: Arc<Rules>,
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, self)
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer").field("cache", &self.cache).field("rules", &self.rules).finish()
    }
}
