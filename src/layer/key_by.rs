//! How a request becomes a key. The grammar is in `key`.

use std::{borrow::Cow, ptr};

use http::{Extensions, Method, Request, Uri, request, uri::PathAndQuery};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use super::{
    CacheLayer,
    catalogue::{Kept, Prefix},
    rules::Rules,
};
use crate::{
    error::{Error, ErrorKind, Result},
    key::{HashMethod, Key, MAX_KEY, MAX_TEXT, Scope, canonical_query, canonical_whole},
    reason::BypassReason,
};

/// What a request's body adds to its key; put into the extensions by the service that read it.
#[derive(Clone, Debug)]
pub(super) enum BodyKey {
    /// A digest, and the text behind it.
    Read {
        digest: String,
        text: String,
    },
    Unread(BypassReason),
}

/// The target as the client wrote it; nested routers strip a part of theirs.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) uri: &'a Uri,
    path: &'a str,
    query: Option<&'a str>,
    /// Whether something has given the handler another target than the client's, and not only stripped a prefix.
    is_rewritten: bool,
}

impl<'a> Target<'a> {
    #[inline]
    pub(super) fn of(parts: &'a request::Parts) -> Self {
        let Some(uri) = original(&parts.extensions) else {
            return Self { uri: &parts.uri, path: parts.uri.path(), query: parts.uri.query(), is_rewritten: false };
        };
        let text = |uri: &'a Uri| uri.path_and_query().map(PathAndQuery::as_str);
        // Mostly a copy of the same text.
        let is_same = text(uri).zip(text(&parts.uri)).is_some_and(|(one, other)| ptr::eq(one, other));
        Self { uri, path: uri.path(), query: uri.query(), is_rewritten: !is_same && is_rewritten(parts, uri) }
    }

    pub(super) fn path(self) -> &'a str {
        self.path
    }

    /// A key function sees the request as the client wrote it, in a nested router too.
    fn as_written(self, parts: &request::Parts) -> Cow<'_, request::Parts> {
        if *self.uri == parts.uri {
            return Cow::Borrowed(parts);
        }
        let mut parts = parts.clone();
        parts.uri = self.uri.clone();
        Cow::Owned(parts)
    }
}

#[cfg(feature = "axum")]
#[inline]
fn original(extensions: &Extensions) -> Option<&Uri> {
    crate::axum::original_uri(extensions)
}

#[cfg(not(feature = "axum"))]
fn original(_: &Extensions) -> Option<&Uri> {
    None
}

#[cold]
fn is_rewritten(parts: &request::Parts, original: &Uri) -> bool {
    let (path, written) = (parts.uri.path(), original.path());
    let is_stripped = is_nested(&parts.extensions) && (written.ends_with(path) || path == "/");
    (path != written && !is_stripped) || parts.uri.query() != original.query()
}

#[cfg(feature = "axum")]
fn is_nested(extensions: &Extensions) -> bool {
    crate::axum::is_nested(extensions)
}

#[cfg(not(feature = "axum"))]
fn is_nested(_: &Extensions) -> bool {
    false
}

impl Rules {
    /// Writes the key of a request.
    #[inline]
    pub(super) fn key(
        &self,
        scope: &Scope,
        parts: &request::Parts,
        target: Target<'_>,
        key: &mut Key,
    ) -> Result<(), BypassReason> {
        if target.path.len() + target.query.map_or(0, str::len) > MAX_TEXT {
            return Err(BypassReason::KeyTooLong);
        }
        match &self.make_cache_key {
            Some(make) => {
                let text = make(&target.as_written(parts)).ok_or(BypassReason::NoKey)?;
                self.begin_with(scope, &text, parts, key);
            }
            None => {
                self.begin(scope, parts, target, key);
                if let Some(query) = target.query {
                    self.add_query(query, key);
                }
            }
        }
        if target.is_rewritten || self.version.is_some() || !matches!(parts.method, Method::GET | Method::HEAD) {
            self.add_parts(parts, target, key);
        }
        match key.backend.as_str().len() {
            length if length > MAX_TEXT => return Err(BypassReason::KeyTooLong),
            length if length > MAX_KEY => key.bound(scope, HashMethod::default()),
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn begin(&self, scope: &Scope, parts: &request::Parts, target: Target<'_>, key: &mut Key) {
        match &self.key_prefix.0 {
            Prefix::AroundPath(before, after) => {
                scope.begin(before, key);
                // Raw, byte for byte: axum routes on the raw path, so `/%69tems` is not `/items`.
                key.backend.push(target.path);
                key.backend.push(after);
            }
            Prefix::Literal(text) => scope.begin(text, key),
            Prefix::Custom(text) => self.begin_with(scope, &text(&target.as_written(parts)), parts, key),
        }
    }

    fn add_parts(&self, parts: &request::Parts, target: Target<'_>, key: &mut Key) {
        if target.is_rewritten {
            key.part("as", parts.uri.path_and_query().map_or("", |target| target.as_str()));
        }
        if let Some(version) = &self.version {
            key.part("version", version);
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            key.part("method", parts.method.as_str());
        }
        if let (Some(_), Some(BodyKey::Read { digest, text })) = (self.key_by_body, parts.extensions.get()) {
            key.part("body", digest);
            key.note(text);
        }
    }

    /// Begins with a text that a function made, maybe of what a client sent. Where it could be taken for more than a
    /// text, or parts follow it, its length says where it ends.
    fn begin_with(&self, scope: &Scope, text: &str, parts: &request::Parts, key: &mut Key) {
        scope.begin(text, key);
        let is_plain = matches!(parts.method, Method::GET | Method::HEAD) && self.version.is_none();
        if !is_plain || text.contains(['#', '?']) {
            key.backend.push("#key=");
            key.backend.push_number(text.len());
        }
    }

    fn add_query(&self, query: &str, key: &mut Key) {
        // Nothing was digested before: the query is written where it is compared on hits.
        let text = &mut key.digested;
        let kept = match &self.query.0 {
            Kept::None => false,
            // Also if nothing is in it: `/foo?` is not `/foo`, absent is not empty.
            Kept::All => {
                canonical_whole(query, text);
                true
            }
            Kept::Only(names) => canonical_query(query, |name| names.iter().any(|other| other == name), text),
            Kept::Except(names) => canonical_query(query, |name| names.iter().all(|other| other != name), text),
        };
        if kept {
            key.backend.push("?");
            key.digest_noted(self.hash);
        }
    }
}

impl CacheLayer {
    /// The key of `GET target`, as [`Cache::delete`](crate::Cache::delete) takes it.
    ///
    /// `target` is a path, with or without a query, as it is on the wire.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()));
    /// assert_eq!(layer.key_for("/foo")?, "view//foo");
    /// assert_eq!(layer.key_for("/foo?b=2&a=1")?, layer.key_for("/foo?a=1&b=2")?);
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] if it is no path, or too long, or `make_cache_key` gives no key for it.
    pub fn key_for(&self, target: &str) -> Result<String> {
        let uri: Uri = target.parse().map_err(|error| Error::new(ErrorKind::Key, error))?;
        if !uri.path().starts_with('/') {
            return Err(Error::message(ErrorKind::Key, format!("`{target}`, expected a path that begins with `/`")));
        }
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        self.key_for_parts(&request.into_parts().0)
    }

    /// The key of a request, also of another method or one that a key function looks at.
    ///
    /// The host and other things that select a variant are not in it: the key stands for all variants.
    ///
    /// # Errors
    ///
    /// As [`key_for`](CacheLayer::key_for).
    pub fn key_for_parts(&self, parts: &request::Parts) -> Result<String> {
        let mut key = Key::default();
        self.rules
            .key(&Scope::none(), parts, Target::of(parts), &mut key)
            .map_err(|reason| Error::message(ErrorKind::Key, format!("this request has none: {}", reason.as_str())))?;
        Ok(key.backend.as_str().to_owned())
    }

    /// Deletes what is stored for `GET target`, with all its variants; says whether anything was
    /// (`delete_cached` in Flask-Caching).
    ///
    /// `target` is a path as on the wire, with or without a query, in any order of parameters; a path that was
    /// written unescaped is also tried in its percent-encoded form.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()));
    /// assert!(!layer.delete_cached("/never seen?page=1").await?);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`key_for`](CacheLayer::key_for), and what the backend says.
    pub async fn delete_cached(&self, target: &str) -> Result<bool> {
        let mut deleted = false;
        for key in self.keys_for(target)? {
            deleted |= self.cache.delete(&key).await?;
        }
        Ok(deleted)
    }

    /// The keys of `GET target` as it is escaped on the wire, and as it is written.
    pub(super) fn keys_for(&self, target: &str) -> Result<Vec<String>> {
        let encoded = percent_encoded(target);
        let mut keys = vec![self.key_for(&encoded)?];
        if encoded != target {
            keys.extend(self.key_for(target));
        }
        Ok(keys)
    }

    /// Deletes what is stored for `GET path` with this query: anything that serialises as pairs.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()));
    /// assert!(!layer.delete_cached_query("/items", &[("page", "1"), ("sort", "asc")]).await?);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if it does not serialise as a query, and as [`delete_cached`](CacheLayer::delete_cached).
    pub async fn delete_cached_query<Q: Serialize + ?Sized>(&self, path: &str, query: &Q) -> Result<bool> {
        let query = serde_urlencoded::to_string(query).map_err(|error| Error::new(ErrorKind::Encode, error))?;
        if query.is_empty() {
            return self.delete_cached(path).await;
        }
        self.delete_cached(&format!("{path}?{query}")).await
    }
}

impl crate::Cache {
    /// Deletes what a layer with the default keys has stored for `GET target`, with all its variants; says whether
    /// anything was.
    ///
    /// That is a layer for which `key_prefix`, `query_string`, `hash_method`, `version` and `make_cache_key` are as
    /// they were. For another one, call [`CacheLayer::delete_cached`] on the layer itself.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Ttl};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// cache.set("view//foo", "as if a layer had", Ttl::Default).await?;
    /// assert!(cache.delete_cached("/foo").await?);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] if `target` is no path, and what the backend says.
    pub async fn delete_cached(&self, target: &str) -> Result<bool> {
        CacheLayer::new(self).delete_cached(target).await
    }
}

/// What browsers escape in a path or a query. What is escaped already stays as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(super) fn percent_encoded(target: &str) -> String {
    utf8_percent_encode(target, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_escaped_as_a_browser_does_it() {
        assert_eq!(percent_encoded("/ä b?x=ü&y=%20"), "/%C3%A4%20b?x=%C3%BC&y=%20");
    }
}
