//! A purge as a value: what is to go is collected first, and taken away at once, or after a commit.

use std::{collections::HashSet, fmt, future::Future};

use super::{Cache, Receipt, tags::Kind};
use crate::error::{Error, ErrorKind, Result};

/// What is to be purged: collected first, and taken away with [`run`](Purge::run), or [`after`](Purge::after) a commit.
///
/// It begins with [`Cache::purge`], and does nothing until one of the two is called. Its parts are taken away one after
/// the other; one that fails does not keep the others from it, and the [`Receipt`] names it. A clone is a second purge
/// of the same things.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "memory")]
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, MemoryBackend, Ttl};
///
/// let cache = Cache::new(MemoryBackend::default());
/// cache.set("user:7", "Ada", Ttl::Default).await?;
/// let rename = async { Ok::<_, std::io::Error>("the row that was written") };
///
/// let (row, receipt) = cache.purge().key("user:7").tags(["users", "names"]).after(rename).await.unwrap();
/// assert_eq!(row, "the row that was written");
/// assert!(receipt.is_complete());
/// assert_eq!(cache.get::<String>("user:7").await?, None);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a purge does nothing until it is run"]
pub struct Purge {
    cache: Cache,
    parts: Vec<Part>,
    marks: bool,
}

/// One thing of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Key(Box<str>),
    Tag(Kind, Box<str>),
    /// What cannot be one, and why.
    Wrong(Box<str>, Box<str>),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key `{key}`"),
            Self::Tag(kind, name) => write!(f, "{} `{name}`", kind.name()),
            Self::Wrong(name, _) => write!(f, "`{name}`"),
        }
    }
}

impl Cache {
    /// A purge of nothing yet, to be told of what: see [`Purge`].
    #[doc(alias = "invalidate")]
    pub fn purge(&self) -> Purge {
        Purge { cache: self.clone(), parts: Vec::new(), marks: false }
    }
}

impl Purge {
    /// The entry of this key, as [`Cache::delete`]; of a response, all its variants.
    ///
    /// [`CacheLayer::key_for`](crate::CacheLayer::key_for) gives the key of a page.
    pub fn key(self, key: impl Into<String>) -> Self {
        self.with(Part::Key(key.into().into()))
    }

    /// As [`key`](Purge::key), for several.
    pub fn keys(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        keys.into_iter().fold(self, Self::key)
    }

    /// All entries with this tag, as [`Cache::purge_tag`].
    pub fn tag(self, tag: impl AsRef<str>) -> Self {
        self.with_tag(Kind::Named, tag.as_ref())
    }

    /// As [`tag`](Purge::tag), for several.
    pub fn tags(self, tags: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        tags.into_iter().fold(self, Self::tag)
    }

    /// Marks stale what would be taken away: it may be served once more while it is made anew, or if that fails, for as
    /// long as its windows say. See [`Cache::mark_stale_tag`] and [`Cache::mark_stale`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, NullBackend};
    /// # let cache = Cache::new(NullBackend::default());
    /// assert!(cache.purge().tags(["news", "sport"]).mark_stale().run().await.is_complete());
    /// # });
    /// ```
    pub fn mark_stale(self) -> Self {
        Self { marks: true, ..self }
    }

    pub(crate) fn with_tag(self, kind: Kind, name: &str) -> Self {
        self.with(Part::Tag(kind, name.into()))
    }

    /// Something that cannot be purged, which the receipt is to say.
    pub(crate) fn with_wrong(self, name: &str, error: &Error) -> Self {
        self.with(Part::Wrong(name.into(), error.text().into()))
    }

    fn with(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    pub(super) fn of(cache: Cache, parts: Vec<Part>, marks: bool) -> Self {
        Self { cache, parts, marks }
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Takes everything away. The receipt says what could not be.
    ///
    /// No run of an origin that began before stores what it read of what was taken away; that is said at [`Cache`] for
    /// keys, and at [`Cache::purge_tag`] for tags.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is polled, it does nothing. After that it goes on in the background, on the tokio runtime that
    /// it began on, and [`Cache::close`] waits for it. Without a runtime it ends where it was.
    pub async fn run(self) -> Receipt {
        let cache = self.cache.clone();
        cache.seen_through(self.carry_out()).await
    }

    /// Commits first, and takes everything away if that gave `Ok`: what is purged before a commit can be read, and
    /// kept, as it was before it. Gives what the commit gave, and the receipt of the purge.
    ///
    /// After `Err` nothing is purged. If such an error leaves open whether there was a commit, as one of a connection
    /// that broke may, run a [`clone`](Clone) of the purge.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// cache.set("total", &5, Ttl::Default).await?;
    /// let refused = cache.purge().key("total").after(async { Err::<(), _>("constraint") }).await;
    /// assert_eq!(refused.unwrap_err(), "constraint");
    /// assert_eq!(cache.get("total").await?, Some(5));
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is polled, it does nothing, and the commit is not begun. After that neither the commit nor the
    /// purge is given up: the commit is polled where this is, and if this is dropped, both go on in the background, on
    /// the tokio runtime that it began on, without a limit of time. A commit that was dropped half-way would have an
    /// outcome that nobody knows. [`Cache::close`] waits for both. What the commit returns is dropped there.
    ///
    /// Without a runtime a drop ends both. A process that dies between the two leaves what is stored to the end of its
    /// ttl; where that is too long, purge from an outbox that the commit writes too.
    ///
    /// # Panics
    ///
    /// If the commit does; nothing is purged then.
    pub async fn after<T, E, F>(self, commit: F) -> Result<(T, Receipt), E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let cache = self.cache.clone();
        let both = async move {
            let committed = commit.await?;
            Ok((committed, self.carry_out().await))
        };
        cache.seen_through(both).await
    }

    /// Tells fills under way of all tags before any is purged: they compare in the other order.
    async fn carry_out(self) -> Receipt {
        let Self { cache, mut parts, marks } = self;
        let mut seen = HashSet::with_capacity(parts.len());
        parts.retain(|part| seen.insert(part.clone()));
        let mut failed = Vec::new();
        let mut announced = Vec::with_capacity(parts.len());
        for part in parts {
            match cache.announce(&part).await {
                Ok(()) => announced.push(part),
                Err(error) => {
                    cache.not_announced(&part, marks);
                    failed.push((part, error));
                }
            }
        }
        for part in announced {
            if let Err(error) = cache.purge_part(&part, marks).await {
                failed.push((part, error));
            }
        }
        Receipt::new(cache, marks, failed)
    }
}

impl Cache {
    async fn announce(&self, part: &Part) -> Result<()> {
        match part {
            Part::Tag(kind, name) => self.write_lane(&self.tag_key(*kind, name)).await,
            Part::Key(_) | Part::Wrong(..) => Ok(()),
        }
    }

    /// What was not announced is not purged.
    fn not_announced(&self, part: &Part, marks: bool) {
        if let (Part::Tag(kind, name), false) = (part, marks) {
            self.not_purged([self.tag_key(*kind, name)]);
        }
    }

    async fn purge_part(&self, part: &Part, marks: bool) -> Result<()> {
        match part {
            Part::Key(key) if marks => self.mark_stale(key).await.map(drop),
            Part::Key(key) => self.delete(key).await.map(drop),
            Part::Tag(kind, name) if marks => self.mark_tag_key(&self.tag_key(*kind, name)).await,
            Part::Tag(kind, name) => self.purge_tag_key(&self.tag_key(*kind, name)).await,
            Part::Wrong(_, why) => Err(Error::message(ErrorKind::Key, why.to_string())),
        }
    }
}

impl fmt::Debug for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purge").field("parts", &self.parts).field("marks", &self.marks).finish_non_exhaustive()
    }
}
