//! The options that have a catalogue of answers: what the key is made of.

use std::{fmt, sync::Arc};

use http::{HeaderName, request};

/// What keys begin with (`key_prefix` in Flask-Caching).
///
/// A text with `%s` in it has the path put there. A text without it stands for every path, so that all pages the
/// layer sees share an entry. A function gives the text itself. What else is in a key comes after it in each case:
/// the query, if there is one, the version, the method and the body where they are in the key at all.
///
/// # Examples
///
/// ```
/// use axum_caching::{Cache, CacheLayer, KeyPrefix, NullBackend};
///
/// let cache = Cache::new(NullBackend::default());
/// assert_eq!(CacheLayer::new(&cache).key_for("/foo")?, "view//foo");
/// assert_eq!(CacheLayer::new(&cache).key_prefix("shop:%s").key_for("/foo")?, "shop:/foo");
/// assert_eq!(CacheLayer::new(&cache).key_prefix("front-page").key_for("/foo")?, "front-page");
///
/// let by_method = KeyPrefix::custom(|request| format!("{}:{}", request.method, request.uri.path()));
/// assert_eq!(CacheLayer::new(&cache).key_prefix(by_method).key_for("/foo")?, "GET:/foo");
/// # Ok::<(), axum_caching::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyPrefix(pub(super) Prefix);

#[derive(Clone)]
pub(super) enum Prefix {
    AroundPath(Box<str>, Box<str>),
    Literal(Box<str>),
    Custom(Arc<dyn Fn(&request::Parts) -> String + Send + Sync>),
}

impl KeyPrefix {
    /// A function of the request gives the text. It has to be different for what may not share an entry.
    pub fn custom(key: impl Fn(&request::Parts) -> String + Send + Sync + 'static) -> Self {
        Self(Prefix::Custom(Arc::new(key)))
    }
}

impl Default for KeyPrefix {
    /// `view/%s`
    fn default() -> Self {
        Self::from("view/%s")
    }
}

impl From<&str> for KeyPrefix {
    fn from(text: &str) -> Self {
        Self(match text.split_once("%s") {
            Some((before, after)) => Prefix::AroundPath(before.into(), after.into()),
            None => Prefix::Literal(text.into()),
        })
    }
}

impl From<String> for KeyPrefix {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Prefix::AroundPath(before, after) => write!(f, "{before}%s{after}"),
            Prefix::Literal(text) => f.write_str(text),
            Prefix::Custom(_) => f.write_str("custom"),
        }
    }
}

/// Which parameters of the query are in the key.
///
/// Parameters are sorted by name, and the order of those with one name is kept. Names are compared as axum's `Query`
/// reads them, so `%70age` is `page`.
///
/// # Examples
///
/// ```
/// use axum_caching::{Cache, CacheLayer, NullBackend, Query};
///
/// let cache = Cache::new(NullBackend::default());
/// let layer = CacheLayer::new(&cache).query_string(Query::except(["utm_source"]));
/// assert_eq!(layer.key_for("/a?x=1&utm_source=mail")?, layer.key_for("/a?x=1")?);
/// assert_ne!(layer.key_for("/a?x=1")?, layer.key_for("/a?x=2")?);
/// # Ok::<(), axum_caching::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Query(pub(super) Kept);

#[derive(Clone, Debug, Default)]
pub(super) enum Kept {
    #[default]
    All,
    None,
    Only(Arc<[String]>),
    Except(Arc<[String]>),
}

impl Query {
    /// Every parameter; the default.
    pub fn all() -> Self {
        Self(Kept::All)
    }

    /// No parameter: pages that differ in the query share an entry (`query_string=False` in Flask-Caching).
    pub fn none() -> Self {
        Self(Kept::None)
    }

    /// These parameters. An attacker cannot fill the cache with others.
    pub fn only<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(Kept::Only(names.into_iter().map(Into::into).collect()))
    }

    /// All parameters but these.
    pub fn except<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(Kept::Except(names.into_iter().map(Into::into).collect()))
    }
}

impl From<bool> for Query {
    /// As `query_string=True` and `False` of Flask-Caching.
    fn from(all: bool) -> Self {
        if all { Self::all() } else { Self::none() }
    }
}

/// What to do with the cookies of a request.
///
/// # Examples
///
/// ```
/// use axum_caching::{Cache, CacheLayer, Cookies, NullBackend};
///
/// let cache = Cache::new(NullBackend::default());
/// let by_language = CacheLayer::new(&cache).cookies(Cookies::only(["lang"]));
/// # let _ = by_language;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cookies(pub(super) Minded);

#[derive(Clone, Debug, Default)]
pub(super) enum Minded {
    #[default]
    Bypass,
    Ignore,
    Only(Arc<[String]>),
}

impl Cookies {
    /// A request with cookies does not touch the cache; the default.
    pub fn bypass() -> Self {
        Self(Minded::Bypass)
    }

    /// These cookies select the variant, and no other cookie matters: the handler does not read any other.
    ///
    /// The response is not given a `Vary`; if another cache is further out, let the handler say `Vary: Cookie`.
    pub fn only<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(Minded::Only(names.into_iter().map(Into::into).collect()))
    }

    /// No cookie matters: the handler reads none.
    pub fn ignore() -> Self {
        Self(Minded::Ignore)
    }
}

/// The field that tells a hit: `hit_cache: True`, unless it has another name.
///
/// # Examples
///
/// ```
/// use axum_caching::{Cache, CacheLayer, NullBackend};
/// use http::HeaderName;
///
/// let cache = Cache::new(NullBackend::default());
/// let named_as_the_anchor_does = CacheLayer::new(&cache).response_hit_indication(true);
/// let renamed = CacheLayer::new(&cache).response_hit_indication(HeaderName::from_static("x-cache-hit"));
/// # let _ = (named_as_the_anchor_does, renamed);
/// ```
#[derive(Clone, Debug, Default)]
pub struct HitHeader(pub(super) Option<HeaderName>);

impl From<bool> for HitHeader {
    fn from(indicate: bool) -> Self {
        Self(indicate.then(|| HeaderName::from_static("hit_cache")))
    }
}

impl From<HeaderName> for HitHeader {
    fn from(name: HeaderName) -> Self {
        Self(Some(name))
    }
}
