//! Tags: records in the backend that many entries depend on, so that deleting one of them reaches all those.
//!
//! An entry carries the stamp that the record had before its data was read. A record that is gone differs from every
//! stamp, so it may be evicted or expire: that costs a fill, and leaves nothing behind.

use std::{sync::Arc, time::Duration};

use super::{Cache, FillContext};
use crate::{
    backend::Reads,
    error::Result,
    key::HashMethod,
    reason::NotStored,
    record::{Carried, Hold, Home, Record, TagStamps},
    stamps::Stamp,
};

/// How long the record of a tag is kept. Entries that are asked for after that are filled again once. It cannot be
/// prolonged: a purge that comes between the look and the write would be undone.
pub(super) const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// There are as many of these as there are results that others depend on.
const LIFETIME_OF_RESULT: Duration = Duration::from_secs(6 * 3600);

/// There are as many of these as clients ask for, also of paths that are never stored.
const LIFETIME_OF_PATH: Duration = Duration::from_secs(24 * 3600);

/// What a tag stands for; two of a different kind are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// All results of a function. There are only so many functions, so these have no end.
    Function,
    Instance,
    /// One result.
    Result,
    /// A name that the user chose.
    Named,
    /// A path, with all its queries.
    Path,
    /// The pattern of a route.
    Route,
    /// A group, of one origin, that responses name themselves.
    Group,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Function => "@t/fn",
            Self::Instance => "@t/of",
            Self::Result => "@t/key",
            Self::Named => "@t/tag",
            Self::Path => "@t/path",
            Self::Route => "@t/route",
            Self::Group => "@t/group",
        }
    }

    /// What it is to a user.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Instance => "instance",
            Self::Result => "result",
            Self::Named => "tag",
            Self::Path => "path",
            Self::Route => "route",
            Self::Group => "group",
        }
    }
}

/// Names over this many bytes are digested.
const MAX_NAME: usize = 400;

impl Cache {
    /// The key of a tag's record, which no key of a user's and no scope begins with.
    pub(crate) fn tag_key(&self, kind: Kind, name: &str) -> Arc<str> {
        let (subtree, kind) = (self.space.scope.subtree(), kind.prefix());
        if name.len() > MAX_NAME {
            return format!("{subtree}{kind}#{}", HashMethod::default().hex(name.as_bytes())).into();
        }
        format!("{subtree}{kind}:{name}").into()
    }

    /// The stamp of a function, where entries do not outlive this process. It is kept beside those of the namespaces,
    /// so that clearing one of them replaces it.
    pub(crate) fn stamp_of_function(&self, name: &str) -> Stamp {
        self.core.stamps.of(&format!("{}memo/{name}", self.space.scope.prefix()))
    }

    /// The stamp of a tag, to be carried by what is read from now on; a new one if there is none. An error says why
    /// what is read may not be stored.
    pub(crate) async fn read_tag(&self, key: &Arc<str>) -> Result<Carried, NotStored> {
        let stamp = self.stamp_of_tag(key).await.map_err(|error| {
            self.core.reporter.failed("tag", &error);
            NotStored::Backend
        });
        let was = stamp?.ok_or(NotStored::Refused)?;
        Ok(Carried::Tag { key: Arc::clone(key), was, home: Home::Here })
    }

    async fn stamp_of_tag(&self, key: &str) -> Result<Option<TagStamps>> {
        let backend = &self.core.backend;
        if let Some(stamps) = backend.get_through(key).await?.as_ref().and_then(TagStamps::of) {
            return Ok(Some(stamps));
        }
        let (core, own, lifetime) = (Arc::clone(&self.core), key.to_owned(), self.lifetime_of_tag(key));
        let add = async move { core.backend.add(&own, TagStamps::fresh().to_value(), lifetime).await };
        self.send(&mut self.core.bound(), add).await?;
        // Whoever loses takes the stamp of the winner; and a backend that keeps nothing keeps none.
        Ok(backend.get_through(key).await?.as_ref().and_then(TagStamps::of))
    }

    pub(super) fn lifetime_of_tag(&self, key: &str) -> Option<Duration> {
        let own = key.strip_prefix(self.space.scope.subtree()).unwrap_or(key);
        match own {
            own if own.starts_with(Kind::Function.prefix()) => None,
            // Those of which entries themselves depend on theirs are kept longer.
            own if own.starts_with(Kind::Result.prefix()) && !self.has_guards() => Some(LIFETIME_OF_RESULT),
            own if own.starts_with(Kind::Path.prefix()) => Some(LIFETIME_OF_PATH),
            _ => Some(LIFETIME),
        }
    }

    /// Takes away what was made of memoized results, of which these may be some, after they were deleted: whoever reads
    /// the tag anew from here on finds no old result.
    pub(super) async fn purge_results(&self, keys: impl IntoIterator<Item = &str>) -> Result<()> {
        let mut tags = self.tags_of_results(keys).into_iter();
        while let Some(tag) = tags.next() {
            if let Err(error) = self.purge_tag_key(&tag).await {
                self.not_purged(tags);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What was made of results that could not be deleted is not taken away either; a backend that makes up for the one
    /// makes up for the other.
    pub(super) fn not_purged_results<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        self.not_purged(self.tags_of_results(keys));
    }

    fn tags_of_results<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Vec<Arc<str>> {
        let scope = self.space.scope.prefix();
        let is_memoized = |own: &str| own.starts_with("memo/") || own.starts_with("#long=");
        let is_read = |key: &&str| self.has_guards() || key.strip_prefix(scope).is_some_and(is_memoized);
        keys.into_iter().filter(is_read).map(|key| self.tag_key(Kind::Result, key)).collect()
    }

    pub(crate) fn not_purged(&self, tags: impl IntoIterator<Item = Arc<str>>) {
        tags.into_iter().for_each(|tag| self.core.backend.not_purged(&[&tag]));
    }

    /// Tells the fill that the caller is a part of what a record that it was given depends on.
    #[inline]
    pub(crate) fn note<P>(&self, record: &Record<P>) {
        if !record.meta.carried.is_empty() {
            FillContext::current().note(&record.meta.carried, &self.core.backend);
        }
    }

    /// Whether everything that a record depends on is as it was; `None` if the backend has to be waited for.
    #[inline]
    pub(super) fn holds_now<P>(&self, record: &Record<P>) -> Option<Hold> {
        let mut hold = Hold::Holds;
        for carried in &record.meta.carried {
            hold = hold.max(carried.holds_now(&*self.core.backend)?);
        }
        Some(hold)
    }

    /// Whether all of it is known at once to be as it was.
    #[inline]
    pub(super) fn holds_plainly<P>(&self, record: &Record<P>) -> bool {
        record.meta.carried.iter().all(|carried| carried.holds_now(&*self.core.backend) == Some(Hold::Holds))
    }

    pub(super) async fn holds(&self, carried: &[Carried], reads: Reads) -> Hold {
        let mut hold = Hold::Holds;
        for one in carried {
            hold = hold.max(one.holds(&*self.core.backend, reads).await);
        }
        hold
    }

    /// As [`holds`](Cache::holds) for many records at once, of which copies may say that they hold: each tag is asked for once.
    pub(super) async fn hold<P>(&self, records: &[&Record<P>]) -> Vec<Hold> {
        let mut known: Vec<(Carried, Hold)> = Vec::new();
        let mut all = Vec::with_capacity(records.len());
        for record in records {
            let mut hold = Hold::Holds;
            for carried in &record.meta.carried {
                let before = known.iter().find(|(other, _)| other.is_of(carried)).map(|(_, hold)| *hold);
                hold = hold.max(match before {
                    Some(hold) => hold,
                    None => {
                        let now = carried.holds(&*self.core.backend, Reads::Copies).await;
                        known.push((carried.clone(), now));
                        now
                    }
                });
            }
            all.push(hold);
        }
        all
    }
}
