//! Groups of responses by their fields (RFC 9875).

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, header};

use super::{CacheLayer, reference::Origin, rules::Rules};
use crate::{
    cache::{Core, Fill, Kind, Purge},
    error::{Error, ErrorKind},
    fields::strings,
    record::MAX_CARRIED,
};

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

impl CacheLayer {
    /// Whether responses say themselves which groups they are in, with `Cache-Groups`, and answers to requests that
    /// write which groups go, with `Cache-Group-Invalidation` (RFC 9875). Off by default: a hit looks its groups up.
    ///
    /// Both fields are lists of strings, `"cart", "prices"`; case counts, and parameters do not. A field that is none
    /// is as if it was not there, and the [`Observer`](crate::Observer) is told. A group belongs to the host and port
    /// that the request names in its target or its `Host`, unless the layer says
    /// [`ignore_host`](CacheLayer::ignore_host), and to the cache or its scope. It is never the same as a tag of that
    /// name.
    ///
    /// A response in more than 256 groups is not kept. Of a longer list to be purged the first 256 go, and the observer
    /// is told.
    ///
    /// Requests that write are those of [`purge_on_write`](CacheLayer::purge_on_write), which need not be set, and what
    /// is said there of clients that go away and backends that fail holds here too. Whatever status they are answered
    /// with: a handler that names groups means it. The fields stay in the responses.
    ///
    /// ```
    /// # #[cfg(all(feature = "memory", feature = "axum"))]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, body::Body, http::Request, routing::{get, post}};
    /// use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend};
    /// use tower::ServiceExt;
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let app: Router = Router::new()
    ///     .route("/prices", get(async || ([("cache-groups", r#""prices""#)], "7 EUR")))
    ///     .route("/import", post(async || ([("cache-group-invalidation", r#""prices""#)], "done")))
    ///     .layer(CacheLayer::new(&cache).cache_groups(true));
    /// let send = async |request: Request<Body>| CacheStatus::of(&app.clone().oneshot(request).await.unwrap()).unwrap();
    /// let prices = || Request::get("/prices").body(Body::empty()).unwrap();
    /// send(prices()).await;
    /// assert_eq!(send(prices()).await, CacheStatus::Hit);
    /// send(Request::post("/import").body(Body::empty()).unwrap()).await;
    /// assert_ne!(send(prices()).await, CacheStatus::Hit);
    /// # });
    /// ```
    pub fn cache_groups(self, minds: bool) -> Self {
        self.with(|rules| rules.cache_groups = minds)
    }
}

impl Rules {
    /// Notes the groups of a response with its fill.
    pub(super) fn note_groups(&self, fill: &Fill, origin: impl FnOnce() -> Origin, response: &HeaderMap) {
        if !self.cache_groups || !response.contains_key(CACHE_GROUPS) {
            return;
        }
        let groups = groups(&fill.cache().core, response, &CACHE_GROUPS);
        // One more than an entry can depend on is enough for it not to be kept.
        for name in self.named(&origin(), groups).into_iter().take(MAX_CARRIED + 1) {
            fill.context().tag_as(Kind::Group, name);
        }
    }

    /// The groups that the answer to a request that writes takes away.
    pub(super) fn with_groups(&self, purge: Purge, origin: &Origin, answer: &HeaderMap) -> Purge {
        if !self.cache_groups {
            return purge;
        }
        let core = &purge.cache().core;
        let mut names = self.named(origin, groups(core, answer, &CACHE_GROUP_INVALIDATION));
        if names.len() > MAX_CARRIED {
            let message = format!("{} groups in one field, expected {MAX_CARRIED} at most", names.len());
            core.reporter.failed("purge", &Error::message(ErrorKind::Other, message));
            names.truncate(MAX_CARRIED);
        }
        names.iter().fold(purge, |purge, name| purge.with_tag(Kind::Group, name))
    }

    /// Groups with their origin. Neither a host nor a group has a line break in it.
    fn named(&self, origin: &Origin, groups: Vec<String>) -> Vec<String> {
        let host = origin.host.as_deref().filter(|_| !self.ignore_host).unwrap_or_default();
        let mut seen = BTreeSet::new();
        let names = groups.into_iter().map(|group| format!("{host}\n{group}"));
        names.filter(|name| seen.insert(name.clone())).collect()
    }
}

fn groups(core: &Core, fields: &HeaderMap, name: &HeaderName) -> Vec<String> {
    strings(fields.get_all(name).iter().map(header::HeaderValue::as_bytes)).unwrap_or_else(|| {
        let message = format!("`{name}` is no list of strings");
        core.reporter.failed("decode", &Error::message(ErrorKind::Decode, message));
        Vec::new()
    })
}
