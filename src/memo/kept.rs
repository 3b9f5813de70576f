//! What is kept of a value, and for how long.

use std::sync::Arc;

use super::{
    Keep, Memoizer,
    call::Settings,
    keep::{Memo, Way},
};
use crate::{
    cache::Lifetime,
    profile::{Profile, Windows},
    reason::NotStored,
    ttl::Ttl,
};

impl<T: Send + Sync + 'static, K: Keep<T>> Memoizer<T, K> {
    /// How long a value is kept, and what it is good for after that; `noted` is what the function said of it.
    pub(super) fn lifetime(
        &self,
        value: &T,
        own: Option<&Settings<'_, T>>,
        noted: Profile,
        now: u64,
    ) -> Result<Lifetime, NotStored> {
        let negative = self.negative_ttl(value);
        let keeps = || {
            self.shared.response_filter.as_ref().is_none_or(|filter| filter(value))
                && own.and_then(|own| own.filter.as_ref()).is_none_or(|filter| filter(value))
        };
        if negative.is_none() && !keeps() {
            return Err(NotStored::Filtered);
        }
        self.lifetime_of(negative, own, noted, now)
    }

    /// How long a value is kept that is negative.
    pub(super) fn negative_ttl(&self, value: &T) -> Option<Ttl> {
        self.shared.negative.as_ref().and_then(|(is_negative, ttl)| is_negative(value).then_some(*ttl))
    }

    /// As [`lifetime`](Self::lifetime), whatever the filters say.
    pub(super) fn lifetime_of(
        &self,
        negative: Option<Ttl>,
        own: Option<&Settings<'_, T>>,
        noted: Profile,
        now: u64,
    ) -> Result<Lifetime, NotStored> {
        let shared = &*self.shared;
        let (ttl, windows, sliding) = if let Some(ttl) = negative {
            (ttl, Windows::default(), None)
        } else {
            let ttl = noted.ttl.or(own.map_or(Ttl::Default, |own| own.ttl)).or(self.ttl_now());
            (ttl, noted.or(shared.profile).windows(), shared.sliding)
        };
        let fresh = ttl.or(self.cache.ttl()).lifetime().ok_or(NotStored::NoLifetime)?;
        let lifetime = Lifetime::of(now, fresh, windows, &shared.profile);
        Ok(sliding.map_or(lifetime, |idle| lifetime.sliding(idle)))
    }

    /// A value to be kept. One of which nobody knows what it weighs cannot be: its `Serialize` cannot write it for a
    /// backend that keeps bytes either.
    pub(super) fn payload(&self, value: Arc<T>) -> Result<Memo<T>, NotStored> {
        let heap = self.shared.weigh.as_ref().map(|weigh| weigh(&value));
        let core = &self.cache.core;
        let mut memo = K::keep(value, Way(Arc::clone(&core.codec)));
        match (heap, &memo.heap) {
            (Some(heap), _) => memo.heap = Ok(heap),
            (None, Err(error)) => {
                core.reporter.failed("encode", error);
                return Err(NotStored::Incomplete);
            }
            (None, Ok(_)) => {}
        }
        Ok(memo)
    }
}
