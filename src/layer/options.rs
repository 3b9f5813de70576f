//! The settings of a layer, one method each.

use std::{sync::Arc, time::Duration};

use digest::Digest;
use http::{HeaderName, Method, request, response};

use super::{
    CacheLayer,
    catalogue::{Cookies, HitHeader, KeyPrefix, Query},
    rules::Rules,
};
use crate::{cache::Cache, key::HashMethod, profile::Profile, response::StoredResponse, ttl::Ttl};

impl CacheLayer {
    /// A layer with the defaults, over a cache.
    ///
    /// Layers over one cache share its entries: two routers with the same paths need two scopes,
    /// [`cache.scoped("admin")`](Cache::scoped).
    pub fn new(cache: &Cache) -> Self {
        Self { cache: cache.clone(), rules: Arc::default() }.with(|_| {})
    }

    /// How long responses stay fresh that do not say themselves (`timeout` in Flask-Caching). Unset, that is what
    /// the response's `max-age` or `Expires` says, and else the default of the cache, 300 seconds.
    ///
    /// A response may be fresh for a shorter time by `max-age`, for a longer one only by `s-maxage` or a
    /// [`CachePolicy`](crate::CachePolicy).
    #[doc(alias = "timeout")]
    pub fn ttl(self, ttl: impl Into<Ttl>) -> Self {
        self.with(|rules| rules.own.ttl = ttl.into())
    }

    /// How entries are kept up: beside the ttl, for how long a stale one is served, time-outs and so on. What the
    /// profile does not set stays as it is, or is as the cache says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Cache, CacheLayer, NullBackend, Profile};
    ///
    /// let hour = Duration::from_secs(3600);
    /// let cache = Cache::builder(NullBackend::default()).profile(Profile::default().stale_if_error(hour)).build();
    /// let layer = CacheLayer::new(&cache).profile(Profile::ttl(hour).soft_timeout(Duration::from_millis(200)));
    /// # let _ = layer;
    /// ```
    pub fn profile(self, profile: impl Into<Profile>) -> Self {
        let profile = profile.into();
        self.with(|rules| rules.own = profile.or(rules.own))
    }

    /// For how long after its ttl a response is served at once, while one run in the background makes it anew
    /// (RFC 5861 §3). Not at all by default.
    ///
    /// The request that finds it stale is the one that is sent on: not into the task-locals of its caller, and without
    /// a client. See [`Profile::stale_while_revalidate`].
    pub fn stale_while_revalidate(self, window: Duration) -> Self {
        self.profile(Profile::default().stale_while_revalidate(window))
    }

    /// For how long after its ttl a response is served if the inner service fails (RFC 5861 §4): with an error or a
    /// status of 5xx. Not at all by default. See [`Profile::stale_if_error`].
    pub fn stale_if_error(self, window: Duration) -> Self {
        self.profile(Profile::default().stale_if_error(window))
    }

    /// How long answers of status 404, 405 and 410 are kept, whatever the filter says of them. By default they are not
    /// kept. They are never served stale.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default())).negative_ttl(Duration::from_secs(5));
    /// # let _ = layer;
    /// ```
    pub fn negative_ttl(self, ttl: impl Into<Ttl>) -> Self {
        self.with(|rules| rules.negative = Some(ttl.into()))
    }

    /// What keys begin with: a text with or without `%s` for the path, or a function. `view/%s` by default.
    pub fn key_prefix(self, prefix: impl Into<KeyPrefix>) -> Self {
        self.with(|rules| rules.key_prefix = prefix.into())
    }

    /// A function that gives the whole key; for `None` the request does not touch the cache.
    ///
    /// The host and `Vary` still select variants. [`key_for`](CacheLayer::key_for) calls the same function with a
    /// request that has nothing but a method and a target.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()))
    ///     .make_cache_key(|request| Some(format!("page:{}", request.uri.path().trim_end_matches('/'))));
    /// assert_eq!(layer.key_for("/a/")?, "page:/a");
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    pub fn make_cache_key(self, key: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.make_cache_key = Some(Arc::new(key)))
    }

    /// Which parameters of the query are in the key: all by default.
    pub fn query_string(self, query: impl Into<Query>) -> Self {
        self.with(|rules| rules.query = query.into())
    }

    /// The hash that stands for a query or a body in a key. MD5 by default; any [`Digest`] will do.
    ///
    /// What was hashed is kept and compared, so a collision is a miss.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default())).hash_method::<sha2::Sha256>();
    /// assert_eq!(layer.key_for("/a?x=1")?.len(), "view//a?".len() + 64);
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    pub fn hash_method<D: Digest>(self) -> Self {
        self.with(|rules| rules.hash = HashMethod::of::<D>())
    }

    /// A part of every key that a new release changes, so that it does not see the pages of the one before
    /// (the counterpart of `source_check` in Flask-Caching).
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default())).version(env!("CARGO_PKG_VERSION"));
    /// assert!(layer.key_for("/a")?.starts_with("view//a#version="));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    #[doc(alias = "source_check")]
    pub fn version(self, version: impl Into<String>) -> Self {
        self.with(|rules| rules.version = Some(version.into()))
    }

    /// Names that every response of this layer goes by: [`Cache::purge_tag`] takes away all entries with one of them.
    /// They add to those that were set before.
    ///
    /// A hit with a tag looks the tag up too. A handler adds its own with
    /// [`CachePolicy::tags`](crate::CachePolicy::tags).
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default())).tags(["news"]);
    /// # let _ = layer;
    /// ```
    #[doc(alias = "surrogate_key")]
    pub fn tags(self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(|rules| rules.tags.extend(tags.into_iter().map(Into::into)))
    }

    /// As [`tags`](CacheLayer::tags), for names that follow from the request. They are read before the handler runs, so
    /// a purge that comes while it does is never missed and never mistaken.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// let layer = CacheLayer::new(&cache).tags_by(|request| {
    ///     request.uri.path().strip_prefix("/users/").map(|id| format!("user:{id}")).into_iter().collect()
    /// });
    /// # let _ = layer;
    /// ```
    pub fn tags_by(self, tags: impl Fn(&request::Parts) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.tags_by = Some(Arc::new(tags)))
    }

    /// Methods that are cached beside GET and HEAD; none by default.
    ///
    /// Their key has to cover what they ask: with [`key_by_body`](CacheLayer::key_by_body), or else
    /// [`make_cache_key`](CacheLayer::make_cache_key). Entries of two methods are never shared.
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(|rules| rules.methods = methods.into_iter().collect())
    }

    /// Requests that do not touch the cache: nothing is looked up, nothing is stored.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// let layer = CacheLayer::new(&cache).unless(|request| request.headers.contains_key("x-preview"));
    /// # let _ = layer;
    /// ```
    pub fn unless(self, unless: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.unless = Some(Arc::new(unless)))
    }

    /// Requests that run the handler and store what it answers, whatever is stored.
    ///
    /// Whoever can send such a request can make the handler run: let it depend on a secret or an address.
    pub fn forced_update(self, forced: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.forced_update = Some(Arc::new(forced)))
    }

    /// Stored responses that this request does not take: the handler runs, and its answer replaces them.
    ///
    /// It may be asked more than once for one request: once more if the handler has failed, or is late, and there is
    /// something stale to serve.
    pub fn is_stale(self, is_stale: impl Fn(&request::Parts, &StoredResponse) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.is_stale = Some(Arc::new(is_stale)))
    }

    /// Responses that are stored, in place of the default: status 200, 203, 204, 301, 308.
    ///
    /// It is asked after what is never stored, and before the body is read. A page that it refuses takes what was
    /// stored before with it. A status that is not stored by default does not, unless it is 404, 405 or 410, which say
    /// that there is nothing.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    /// use http::StatusCode;
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// let with_404 = CacheLayer::new(&cache)
    ///     .response_filter(|response| response.status.is_success() || response.status == StatusCode::NOT_FOUND);
    /// # let _ = with_404;
    /// ```
    pub fn response_filter(self, filter: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.response_filter = Some(Arc::new(filter)))
    }

    /// Fields of the request that select a variant, beside those that the response names in `Vary`.
    ///
    /// To name `Authorization` or `Cookie` here allows such requests: each value has its own variant. The response
    /// is not given a `Vary`; if another cache is further out, the handler has to say it.
    pub fn vary_by(self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.with(|rules| rules.vary_by = fields.into_iter().collect())
    }

    /// What to do with the cookies of a request; by default such requests do not touch the cache.
    pub fn cookies(self, cookies: Cookies) -> Self {
        self.with(|rules| rules.cookies = cookies)
    }

    /// No cookie matters: the handler reads none. Short for [`Cookies::ignore`].
    pub fn ignore_cookies(self) -> Self {
        self.cookies(Cookies::ignore())
    }

    /// `Authorization` does not matter to the response: everybody who may see it sees the same.
    ///
    /// Who may see it has to be checked outside the cache.
    pub fn ignore_authorization(self) -> Self {
        self.with(|rules| rules.ignore_authorization = true)
    }

    /// The host does not matter to the response. By default each host has its own variant.
    pub fn ignore_host(self) -> Self {
        self.with(|rules| rules.ignore_host = true)
    }

    /// `Cache-Control` and `Expires` of the response do not count: what is stored, and how long, is this layer's and
    /// the handler's [`CachePolicy`](crate::CachePolicy).
    pub fn override_cache_control(self) -> Self {
        self.with(|rules| rules.obey_response = false)
    }

    /// `Cache-Control: no-cache` or `max-age=0` of a request runs the handler, as `forced_update` does.
    ///
    /// Off by default: it lets everybody run the handler at will.
    pub fn obey_request_cache_control(self) -> Self {
        self.with(|rules| rules.obey_request = true)
    }

    /// Responses with `Set-Cookie` are stored, without it. By default they are not stored.
    ///
    /// The client whose request ran the handler gets the cookie, and nobody else ever does.
    pub fn strip_set_cookie(self) -> Self {
        self.with(|rules| rules.strip_set_cookie = true)
    }

    /// Whether a hit says so, in `hit_cache: True` or a field of another name. Off by default.
    pub fn response_hit_indication(self, header: impl Into<HitHeader>) -> Self {
        self.with(|rules| rules.hit_header = header.into().0)
    }

    /// Whether a hit has an `Age` (RFC 9111 §5.1). Off by default.
    ///
    /// It counts, as the lifetime does, from when the head of the response came. One that came with an `Age` itself is
    /// of another server: then it is that `Age`, and counts from when the handler was called (§4.2.3).
    pub fn age_header(self, age: bool) -> Self {
        self.with(|rules| rules.age_header = age)
    }

    /// Adds this cache to `Cache-Status` (RFC 9211), under a name. Off by default.
    ///
    /// What is not a token (RFC 9110 §5.6.2) in the name is left out.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// let layer = CacheLayer::new(&cache).cache_status("shop");
    /// # let _ = layer;
    /// ```
    pub fn cache_status(self, name: impl AsRef<str>) -> Self {
        let name: String =
            name.as_ref().chars().filter(|c| c.is_ascii_alphanumeric() || "-._:/".contains(*c)).collect();
        // A token begins with a letter (RFC 9651 §3.3.4).
        let name =
            if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("cache{name}") };
        self.with(|rules| rules.cache_status = Some(name))
    }

    /// Larger bodies are passed on and not stored. 1 MiB by default.
    pub fn max_body_size(self, bytes: usize) -> Self {
        self.with(|rules| rules.max_body_size = bytes)
    }

    /// How long others wait for the rest of a streamed body whose length is not known. 1 second by default.
    pub fn body_wait(self, wait: Duration) -> Self {
        self.with(|rules| rules.body_wait = wait)
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        change(rules);
        // A layer that is made of another one has its own to say.
        rules.hinted = Arc::default();
        rules.settle(&self.cache.core.profile);
        self
    }
}
