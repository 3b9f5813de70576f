//! Values that are computed once: a lookup, a flight and a store around a closure.

use std::{convert::Infallible, future::Future, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{Cache, Fill, FillContext, Lifetime, OwnedKey, Place, Question, Turn};
use crate::{
    codec,
    flight::Head,
    observe::Event,
    reason::{BypassReason, MissReason, NotStored},
    record::{Encoded, Payload, Record},
    ttl::Ttl,
};

/// Every caller of a key takes every value under it, but for one that it could not read.
struct Any {
    unfit: Option<u64>,
}

impl Question for Any {
    type Payload = Encoded;

    fn is_answered_by(&self, _: &Encoded) -> bool {
        true
    }

    fn variant_key(&self, primary: &str, _: &Record<Encoded>) -> String {
        primary.to_owned()
    }

    fn id(&self, _: Option<&Encoded>) -> u64 {
        0
    }

    fn leaves(&self, _: &Head) -> Option<u64> {
        None
    }

    fn takes(&self, record: &Record<Encoded>) -> bool {
        self.unfit != Some(record.meta.nonce)
    }
}

/// A value, or the task of computing it.
enum Value<T> {
    Found(T),
    Missing(Fill),
}

impl Cache {
    /// The value of a key, or what `compute` makes of it, which is then stored.
    ///
    /// A thousand callers of a missing key run `compute` once; the others wait and decode what the first one made.
    /// The cache cannot make this call fail: when the backend does, `compute` runs.
    ///
    /// `compute` may borrow: it runs in its caller. If that goes away, one of the others takes over with its own.
    /// An entry that is not a `T` is replaced.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// for _ in 0..2 {
    ///     let sum = cache.get_or_compute("sum", Duration::from_secs(60), async || 1 + 2).await;
    ///     assert_eq!(sum, 3);
    /// }
    /// assert_eq!(cache.stats().misses, 1);
    /// # });
    /// ```
    pub async fn get_or_compute<T, F, Fut>(&self, key: &str, ttl: impl Into<Ttl>, compute: F) -> T
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let computed = self.try_get_or_compute(key, ttl, async || Ok::<_, Infallible>(compute().await));
        match computed.await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value of a key, or what `compute` makes of it, which is stored if it is `Ok`.
    ///
    /// An error goes to the caller whose `compute` it came from, and to nobody else; the others try for themselves.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Ttl};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let failed = cache.try_get_or_compute("n", Ttl::Default, async || "seven".parse::<u32>()).await;
    /// assert!(failed.is_err());
    /// let found = cache.try_get_or_compute("n", Ttl::Default, async || "7".parse::<u32>()).await;
    /// assert_eq!(found, Ok(7));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    pub async fn try_get_or_compute<T, E, F, Fut>(&self, key: &str, ttl: impl Into<Ttl>, compute: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let key = match self.key(key) {
            Ok(key) => OwnedKey::from(&key),
            Err(error) => {
                self.core.reporter.failed("key", &error);
                return compute().await;
            }
        };
        if FillContext::current().is_filling(self, &key.primary) {
            self.core.reporter.tell(&Event::Bypass { reason: BypassReason::Recursion });
            return compute().await;
        }
        match self.value_or_fill(key).await {
            Value::Found(value) => Ok(value),
            Value::Missing(fill) => {
                let value = fill.context().clone().scope(compute()).await;
                fill.hand_on(&FillContext::current());
                let value = value?;
                self.keep(fill, &value, ttl.into()).await;
                Ok(value)
            }
        }
    }

    async fn value_or_fill<T: DeserializeOwned>(&self, mut key: OwnedKey) -> Value<T> {
        let mut unfit = None;
        loop {
            match self.turn(key, &Any { unfit }, None).await {
                Turn::Run(fill) => return Value::Missing(fill),
                Turn::Hit(found, same) => match self.decoded(&found.record.payload) {
                    Some(value) => {
                        self.core.reporter.tell(&Event::Hit { key: &same.primary });
                        FillContext::current().note(&found.record.meta.carried, &self.core.backend);
                        return Value::Found(value);
                    }
                    // Of another type: once more, and whoever leads replaces it for all.
                    None if unfit.is_none() => {
                        unfit = Some(found.record.meta.nonce);
                        key = same;
                    }
                    None => return Value::Missing(self.alone(same, MissReason::Unreadable, 0)),
                },
                Turn::Shared(record, same) => match self.decoded(&record.payload) {
                    Some(value) => {
                        FillContext::current().note(&record.meta.carried, &self.core.backend);
                        return Value::Found(value);
                    }
                    None => return Value::Missing(self.alone(same, MissReason::NotShared, 0)),
                },
                // Only `begin` says so; `turn` has waited.
                Turn::Wait(_, same) => key = same,
            }
        }
    }

    async fn keep<T: Serialize>(&self, fill: Fill, value: &T, ttl: Ttl) {
        // A plain integer has no room for the text behind a digest, nor for what it depends on.
        let is_plain = fill.key.digested.is_none() && fill.context().carried().is_ok_and(|carried| carried.is_empty());
        let payload = match codec::to_integer(value).filter(|_| is_plain) {
            Some(integer) => Ok(Encoded::Integer(integer)),
            None => codec::encode(&*self.core.codec, value).map(|bytes| Encoded::Bytes(bytes.into())),
        };
        match (payload, ttl.or(self.core.ttl).lifetime()) {
            (Ok(payload), Some(fresh)) => {
                self.store(fill, payload, fresh).await;
            }
            (Ok(_), None) => fill.decline(NotStored::NoLifetime),
            (Err(error), _) => {
                self.core.reporter.failed("encode", &error);
                fill.decline(NotStored::Incomplete);
            }
        }
    }

    /// Stores what a run made. A store that has been sent is seen through, also if the caller goes away meanwhile; and
    /// the caller does not wait for a backend that hangs: `None`.
    pub(crate) async fn store<P: Payload>(
        &self,
        fill: Fill,
        payload: P,
        fresh: Option<Duration>,
    ) -> Option<Result<(), NotStored>> {
        let lifetime = Lifetime { now: self.core.clock.now(), age: Duration::ZERO, fresh };
        let storing = self.seen_through(fill.store(payload, lifetime, |_, _, _| Place::Primary));
        self.core.bound().over(storing).await
    }

    fn decoded<T: DeserializeOwned>(&self, payload: &Encoded) -> Option<T> {
        let decoded = self.decode_payload(payload);
        decoded.map_err(|error| self.core.reporter.failed("decode", &error)).ok()
    }
}
