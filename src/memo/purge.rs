//! Taking results away, and putting them there.

use std::sync::Arc;

use serde::Serialize;

use super::{Keep, Memoizer, Own, call::Settings};
use crate::{
    cache::Kind,
    error::{Error, ErrorKind, Result},
    key::{Text, write_canonical},
    profile::Profile,
    reason::{MissReason, NotStored},
};

impl<T, K> Memoizer<T, K> {
    /// Takes all results away, and those of all instances; of an [`instance`](Memoizer::instance), its own.
    ///
    /// It costs the same however many there are. No run that began before it stores what it made, and what other
    /// memoized functions made of the results goes with them. The memory is given back as entries expire or are
    /// evicted.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let sums = cache.memoizer("sum");
    /// assert_eq!(sums.call(&(1, 2), async || 3).await, 3);
    /// sums.delete_memoized().await?;
    /// assert_eq!(sums.call(&(1, 2), async || 4).await, 4);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the backend says. It is then not known what was taken away; the call can be repeated.
    pub async fn delete_memoized(&self) -> Result<()> {
        match (&self.shared.instance, &self.shared.all) {
            (Some(_), _) => self.cache.purge_tag_key(&self.tag_of_instance()).await,
            (None, Own::Stamp(stamp)) => {
                stamp.replace();
                Ok(())
            }
            (None, Own::Tag(key)) => self.cache.purge_tag_key(key).await,
        }
    }

    /// The same as [`delete_memoized`](Memoizer::delete_memoized): there is no version of the function that could be
    /// deleted apart from its results.
    ///
    /// # Errors
    ///
    /// As [`delete_memoized`](Memoizer::delete_memoized).
    pub async fn delete_memoized_verhash(&self) -> Result<()> {
        self.delete_memoized().await
    }

    /// Takes one result away; says whether it was there. What other memoized functions made of it goes with it.
    ///
    /// No run that began before stores what it made, as with [`Cache::delete`](crate::Cache::delete).
    ///
    /// # Errors
    ///
    /// As [`make_cache_key`](Memoizer::make_cache_key), and what the backend says.
    pub async fn delete_memoized_for<A: Serialize + ?Sized>(&self, args: &A) -> Result<bool> {
        let key = self.owned_key(args)?;
        let tag = self.tag_of_result(&key);
        let deleted = self.cache.delete_result(&key).await;
        let deleted = deleted.inspect_err(|_| self.cache.not_purged([Arc::clone(&tag)]))?;
        // After the result: whoever reads the tag anew from here on finds no old result.
        self.cache.purge_tag_key(&tag).await?;
        Ok(deleted)
    }

    /// The results of one instance: a memoizer with keys of its own, all of which can be deleted at once.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Memoizer};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let add: Memoizer<u32> = cache.memoizer("Adder::add");
    /// let (one, two) = (add.instance(&1)?, add.instance(&2)?);
    /// assert_eq!((one.call(&5, async || 6).await, two.call(&5, async || 7).await), (6, 7));
    ///
    /// one.delete_memoized().await?;
    /// assert_eq!((one.call(&5, async || 0).await, two.call(&5, async || 0).await), (0, 7));
    /// add.delete_memoized().await?;
    /// assert_eq!(two.call(&5, async || 0).await, 0, "all of them");
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`make_cache_key`](Memoizer::make_cache_key).
    #[doc(alias = "__caching_id__")]
    pub fn instance<I: Serialize + ?Sized>(&self, id: &I) -> Result<Self> {
        let mut text = Text::default();
        write_canonical(id, &mut text)?;
        let text = Arc::from(text.as_str());
        Ok(self.clone().with(|shared| shared.instance = Some(text)))
    }

    pub(super) fn tag_of_instance(&self) -> Arc<str> {
        self.cache.tag_key(Kind::Instance, &self.shared.lead)
    }
}

impl<T, K: Keep<T>> Memoizer<T, K> {
    /// Stores a result that is known already, in place of what is there.
    ///
    /// Runs under way do not overwrite it; one that begins while it is stored may. It is stored whatever the filter says.
    /// [`negative`](Memoizer::negative) and [`sliding`](Memoizer::sliding) hold for it.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let sums = Cache::new(MemoryBackend::default()).memoizer("sum");
    /// sums.prime(&(1, 2), 3).await?;
    /// assert_eq!(sums.call(&(1, 2), async || unreachable!()).await, 3);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`make_cache_key`](Memoizer::make_cache_key); [`ErrorKind::Other`] if the store was refused, for a purge
    /// that came at the same time or because the backend failed; [`ErrorKind::Timeout`] if the backend does not answer
    /// within [`backend_timeout`](crate::CacheBuilder::backend_timeout).
    pub async fn prime<A: Serialize + ?Sized>(&self, args: &A, value: T) -> Result<()>
    where
        T: Send + Sync + 'static,
    {
        self.prime_with(args, None, Arc::new(value)).await
    }

    pub(super) async fn prime_with<A: Serialize + ?Sized>(
        &self,
        args: &A,
        own: Option<&Settings<'_, T>>,
        value: Arc<T>,
    ) -> Result<()>
    where
        T: Send + Sync + 'static,
    {
        let key = self.owned_key(args)?;
        let early = self.early(own.map_or(&[], |own| &own.tags)).await;
        self.delete_memoized_for(args).await?;
        let mut fill = self.cache.alone(key, MissReason::Forced, 0);
        // What slides is stored again later, which has to be sure that no purge came elsewhere.
        if self.shared.sliding.is_some() {
            fill.prepare().await;
        }
        fill.depends_on(early.as_deref().unwrap_or(&[]));
        let now = self.cache.core.clock.now();
        let Ok(lifetime) = self.lifetime_of(self.negative_ttl(&value), own, Profile::default(), now) else {
            return Ok(());
        };
        let stored = match self.payload(value) {
            _ if early.is_err() => Some(Err(NotStored::Backend)),
            Ok(payload) => self.cache.store(fill, payload, lifetime).await,
            Err(reason) => Some(Err(reason)),
        };
        match stored {
            Some(Ok(())) => Ok(()),
            None => Err(Error::message(ErrorKind::Timeout, "the value may be stored later")),
            Some(Err(reason)) => {
                Err(Error::message(ErrorKind::Other, format!("the value was not stored: {}", reason.as_str())))
            }
        }
    }
}
