//! Purges of sets of entries, by their tags: they cost the same however many there are.

use std::sync::Arc;

use super::Cache;
use crate::{
    error::{ErrorKind, Result},
    record::TagStamps,
    stamps,
};

/// How often marking a tag stale is tried against others who write it.
const ATTEMPTS: usize = 16;

impl Cache {
    /// Takes away every entry with this tag, and what was made of those; it costs the same however many there are.
    ///
    /// Responses have tags from their layer ([`CacheLayer::tags`](crate::CacheLayer::tags)) or their handler
    /// ([`CachePolicy::tags`](crate::CachePolicy::tags)), values from their call ([`Call::tags`](crate::Call::tags)) or
    /// their function ([`FillContext::tag`](crate::FillContext::tag)). No run that began before the purge stores what it
    /// made.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let users = cache.memoizer("users");
    /// let call = |age: u32| users.at(&"ada").tags(["user:7"]).call(async move || age);
    ///
    /// assert_eq!((call(35).await, call(36).await), (35, 35));
    /// cache.purge_tag("user:7").await?;
    /// assert_eq!(call(36).await, 36);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the backend says. It is then not known whether the tag was purged; the call can be repeated.
    pub async fn purge_tag(&self, tag: impl AsRef<str>) -> Result<()> {
        self.purge_tags([tag]).await
    }

    /// As [`purge_tag`](Cache::purge_tag), for several: entries with any of them.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// let pages = cache.memoizer("pages");
    /// let call = |version: u32| pages.at(&7).tags(["shop"]).call(async move || version);
    /// call(1).await;
    /// cache.purge_tags(["user:7", "shop"]).await?;
    /// assert_eq!(call(2).await, 2);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`purge_tag`](Cache::purge_tag).
    pub async fn purge_tags(&self, tags: impl IntoIterator<Item = impl AsRef<str>>) -> Result<()> {
        self.purge().tags(tags).run().await.into_result()
    }

    /// Marks every entry with this tag stale: it may be served once more while it is made anew, or if that fails, for
    /// as long as its windows say ([`Profile::stale_while_revalidate`](crate::Profile::stale_while_revalidate)). One
    /// without such a window is gone.
    ///
    /// On a backend that cannot compare and set it is a purge.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// let pages = cache.memoizer("pages");
    /// let call = |version: u32| pages.at(&7).tags(["shop"]).call(async move || version);
    /// call(1).await;
    /// cache.mark_stale_tag("shop").await?;
    /// assert_eq!(call(2).await, 2, "without a window");
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`purge_tag`](Cache::purge_tag).
    #[doc(alias = "soft_purge")]
    pub async fn mark_stale_tag(&self, tag: impl AsRef<str>) -> Result<()> {
        self.mark_stale_tags([tag]).await
    }

    /// As [`mark_stale_tag`](Cache::mark_stale_tag), for several: entries with any of them.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, NullBackend};
    /// # let cache = Cache::new(NullBackend::default());
    /// cache.mark_stale_tags(["user:7", "shop"]).await?;
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`purge_tag`](Cache::purge_tag).
    pub async fn mark_stale_tags(&self, tags: impl IntoIterator<Item = impl AsRef<str>>) -> Result<()> {
        self.purge().tags(tags).mark_stale().run().await.into_result()
    }

    /// Makes every entry unreachable that carries the stamp of a tag, or will.
    pub(crate) async fn purge_tag_key(&self, key: &str) -> Result<()> {
        self.core.lanes.count();
        if self.core.guard.is_none() {
            return self.core.backend.delete(key).await.map(drop);
        }
        let (core, own) = (Arc::clone(&self.core), key.to_owned());
        let delete = async move { core.backend.delete(&own).await.map(drop) };
        self.send_purge(&mut self.core.bound(), &[key], delete).await
    }

    /// Replaces the soft stamp of a tag, by comparing and setting: a purge that comes between is not undone.
    pub(super) async fn mark_tag_key(&self, key: &str) -> Result<()> {
        let backend = &self.core.backend;
        for _ in 0..ATTEMPTS {
            // A tag that is not there has no entry that could be served; but others may see one that is not seen here, as of
            // what is to be cleared still.
            let Some(was) = backend.get_through(key).await?.as_ref().and_then(TagStamps::of) else { break };
            let token = was.to_value().to_bytes()?;
            let marked = TagStamps { soft: stamps::fresh(), ..was };
            let (core, own, lifetime) = (Arc::clone(&self.core), key.to_owned(), self.lifetime_of_tag(key));
            let mark = async move { core.backend.compare_and_set(&own, &token, marked.to_value(), lifetime).await };
            match self.send(&mut self.core.bound(), mark).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Unsupported => break,
                Err(error) => return Err(error),
            }
        }
        self.purge_tag_key(key).await
    }
}
