//! Why something was not served from the cache, or not kept in it: the typed reasons.

/// Why a request did not touch the cache.
///
/// # Examples
///
/// ```
/// use axum_caching::BypassReason;
///
/// assert_eq!(BypassReason::Cookie.as_str(), "cookie");
/// assert!(BypassReason::Cookie.hint().unwrap().contains("ignore_cookies"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BypassReason {
    /// The layer is not told to cache this method.
    Method,
    /// The method has a body, and nothing put that into the key.
    BodyNotInKey,
    /// A GET or HEAD with a body.
    UnexpectedBody,
    /// The body is larger than the layer reads to make a key of it.
    BodyTooLarge,
    /// The request asks for another protocol.
    Upgrade,
    /// The target is not a path, or it names another host than the `Host` field.
    Target,
    /// `unless` said so.
    Unless,
    /// The request carries an `Authorization` field.
    Authorization,
    /// The request carries a `Cookie` field.
    Cookie,
    /// `make_cache_key` gave no key.
    NoKey,
    /// The path or the query is longer than a key may be.
    KeyTooLong,
    /// A HEAD that no stored response answers.
    Head,
    /// A conditional or partial request that no stored response answers.
    Conditional,
    /// The request says `Cache-Control: no-store`, and no stored response answers it.
    NoStore,
    /// A layer of the same cache and scope further out let it pass for what it carries. A scope of its own would cache it.
    Nested,
    /// A memoized function called itself with the same arguments: to wait for the result would be to wait for itself.
    Recursion,
}

impl BypassReason {
    /// A short name, as `Cache-Status` and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::BodyNotInKey => "body-not-in-key",
            Self::UnexpectedBody => "unexpected-body",
            Self::BodyTooLarge => "body-too-large",
            Self::Upgrade => "upgrade",
            Self::Target => "target",
            Self::Unless => "unless",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::NoKey => "no-key",
            Self::KeyTooLong => "key-too-long",
            Self::Head => "head",
            Self::Conditional => "conditional",
            Self::NoStore => "no-store",
            Self::Nested => "nested",
            Self::Recursion => "recursion",
        }
    }

    /// What to write if such requests are to be cached.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Authorization => Some(
                "name the field in the key with `CacheLayer::vary_by([AUTHORIZATION])`, \
                 or say that it does not matter with `CacheLayer::ignore_authorization()`",
            ),
            Self::Cookie => Some(
                "name the cookies that matter with `CacheLayer::cookies(Cookies::only([..]))`, all others do not matter then, \
                 or say that none does with `CacheLayer::ignore_cookies()`",
            ),
            Self::BodyNotInKey => Some("put the body into the key with `CacheLayer::key_by_body(limit)`"),
            _ => None,
        }
    }
}

/// Why the origin had to run.
///
/// # Examples
///
/// ```
/// use axum_caching::MissReason;
///
/// assert_eq!(MissReason::Expired.as_str(), "expired");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissReason {
    /// There is no entry.
    Absent,
    /// There is an entry for this key, and none for what this request selects.
    Variant,
    /// The entry is no longer fresh.
    Expired,
    /// The namespace was cleared.
    Cleared,
    /// Something that the entry was made of was purged.
    Purged,
    /// The entry is from the future: a clock was wrong.
    Skewed,
    /// The entry belongs to another key with the same digest.
    Collision,
    /// What is stored is not an entry of this kind.
    Unreadable,
    /// The backend failed.
    Backend,
    /// `is_stale` said so.
    IsStale,
    /// `forced_update` said so, or the request where that is allowed.
    Forced,
    /// Another caller's run was waited for, and gave nothing to share.
    NotShared,
    /// Another caller's run took too long.
    WaitedTooLong,
    /// The entry is made anew in the background.
    Refresh,
}

impl MissReason {
    /// A short name, as `Cache-Status` and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Variant => "variant",
            Self::Expired => "expired",
            Self::Cleared => "cleared",
            Self::Purged => "purged",
            Self::Skewed => "skewed",
            Self::Collision => "collision",
            Self::Unreadable => "unreadable",
            Self::Backend => "backend",
            Self::IsStale => "is-stale",
            Self::Forced => "forced",
            Self::NotShared => "not-shared",
            Self::WaitedTooLong => "waited-too-long",
            Self::Refresh => "refresh",
        }
    }

    /// Whether there was an entry that the run was to replace.
    pub(crate) fn leaves_an_entry(self) -> bool {
        matches!(self, Self::Expired | Self::Purged | Self::Skewed | Self::IsStale | Self::Forced | Self::Refresh)
    }

    /// Whether there may be something stale to serve if the run fails.
    pub(crate) fn may_fall_back(self) -> bool {
        matches!(self, Self::Expired | Self::NotShared | Self::WaitedTooLong | Self::Refresh)
    }
}

/// Why a response, or a value, is not kept.
///
/// # Examples
///
/// ```
/// use axum_caching::NotStored;
///
/// assert_eq!(NotStored::SetCookie.as_str(), "set-cookie");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotStored {
    /// The lifetime is nothing: `Ttl::DontStore`, `CachePolicy::no_store`, `max-age=0`, an `Expires` in the past.
    NoLifetime,
    /// `Cache-Control: no-store`.
    NoStore,
    /// `Cache-Control: private`.
    Private,
    /// `Cache-Control: no-cache`.
    NoCache,
    /// The response sets a cookie.
    SetCookie,
    /// `Vary: *`.
    VaryAny,
    /// `Vary` names a credential that the key does not have.
    VaryCredentials,
    /// More than 8 fields select the variant, or one of them is over 4 KiB.
    TooManySelectors,
    /// The status is none that is kept by default, and no `response_filter` lets it in.
    Status,
    /// A status that can never be kept: 1xx, 206, 304.
    Partial,
    /// `response_filter` said no to a status that is kept by default.
    Filtered,
    /// An endless or framed kind of body: `text/event-stream`, `multipart/*`.
    Streaming,
    /// The body is larger than `max_body_size`, or the entry than the backend takes.
    TooLarge,
    /// The body ended in an error, with trailers, or not at its `Content-Length`.
    Incomplete,
    /// A streamed body has to be collected in the background, and there is no tokio runtime.
    NoRuntime,
    /// A purge or a `set` came after the fill began.
    Refused,
    /// It was made of a stale answer of a cache further in.
    Stale,
    /// The run took longer than `hard_timeout`; what comes late is stored all the same.
    TimedOut,
    /// It was made of more memoized values than an entry can depend on.
    TooManyDependencies,
    /// The backend failed.
    Backend,
}

impl NotStored {
    /// A short name, as `Cache-Status` and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoLifetime => "no-lifetime",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::SetCookie => "set-cookie",
            Self::VaryAny => "vary-any",
            Self::VaryCredentials => "vary-credentials",
            Self::TooManySelectors => "too-many-selectors",
            Self::Status => "status",
            Self::Partial => "partial",
            Self::Filtered => "filtered",
            Self::Streaming => "streaming",
            Self::TooLarge => "too-large",
            Self::Incomplete => "incomplete",
            Self::NoRuntime => "no-runtime",
            Self::Refused => "refused",
            Self::Stale => "stale",
            Self::TimedOut => "timed-out",
            Self::TooManyDependencies => "too-many-dependencies",
            Self::Backend => "backend",
        }
    }

    /// What to write if such responses are to be kept.
    ///
    /// ```
    /// use axum_caching::NotStored;
    ///
    /// assert!(NotStored::SetCookie.hint().unwrap().contains("strip_set_cookie"));
    /// assert_eq!(NotStored::Refused.hint(), None);
    /// ```
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::NoLifetime => {
                Some("give it one, with `CachePolicy::ttl(..)` from the handler or `CacheLayer::ttl(..)`")
            }
            Self::NoStore | Self::Private | Self::NoCache => {
                Some("take the field out of the response, or pass over it with `CacheLayer::override_cache_control()`")
            }
            Self::SetCookie => Some(
                "let only those set a cookie who have to, or keep the response without it with \
                 `CacheLayer::strip_set_cookie()`",
            ),
            Self::Status => Some(
                "say so from the handler with `CachePolicy::ttl(..)`, or with `CacheLayer::response_filter(..)`; \
                 404 and its like for a while with `CacheLayer::negative_ttl(..)`",
            ),
            Self::VaryCredentials => {
                Some("name the field with `CacheLayer::vary_by(..)`, or the cookies with `CacheLayer::cookies(..)`")
            }
            Self::TooLarge => {
                Some("raise `CacheLayer::max_body_size(bytes)`, and see what one entry of the backend may take")
            }
            _ => None,
        }
    }

    /// Whether the next response of this key will most likely not be kept either, so that nobody should wait for it.
    pub(crate) fn holds_for_the_key(self) -> bool {
        matches!(
            self,
            Self::NoLifetime
                | Self::NoStore
                | Self::Private
                | Self::NoCache
                | Self::SetCookie
                | Self::VaryAny
                | Self::VaryCredentials
                | Self::Filtered
                | Self::Streaming
                | Self::TooLarge
                | Self::NoRuntime
                | Self::TooManyDependencies
        )
    }
}
