//! A computed value on its way: found, stale, or to be made.

use std::{future::Future, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Cache, Fill, FillContext, Found, Lifetime, OwnedKey, Place, Question, Turn,
    refresh::{Late, Made},
};
use crate::{
    codec,
    flight::Head,
    profile::{Early, Profile},
    reason::{MissReason, NotStored},
    record::{Encoded, Payload, Record},
};

/// Every caller of a key takes every value under it, but for one that it could not read.
struct Any<'a> {
    unfit: Option<u64>,
    profile: &'a Profile,
}

impl Question for Any<'_> {
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

    fn profile(&self) -> &Profile {
        self.profile
    }

    fn early(&self) -> Early {
        self.profile.early()
    }
}

/// A value, or the task of computing it.
pub(super) enum Computed<T> {
    Value(T),
    /// It may be served, and should be made anew.
    Late {
        value: T,
        late: Late<Encoded>,
    },
    /// And what may be served if that fails.
    Missing(Fill, Option<Arc<Record<Encoded>>>),
}

/// Runs the closure, and keeps what it made.
pub(super) async fn run<T, E, F, Fut>(
    mut fill: Fill,
    fallback: Option<Arc<Record<Encoded>>>,
    profile: Profile,
    compute: F,
) -> Result<Made<T>, E>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let cache = fill.cache().clone();
    let outer = FillContext::current();
    fill.prepare().await;
    let value = fill.context().clone().run(compute).await;
    // It is as old as it is now, however long the backend takes.
    let now = cache.core.clock.now();
    fill.settle_tags().await;
    fill.hand_on(&outer);
    match value {
        Ok(value) => {
            let profile = fill.context().noted_profile().unwrap_or_default().or(profile);
            let payload = cache.payload(&fill, &value, &profile);
            cache.keep(fill, payload, &profile, now).await;
            Ok(Made::New(value))
        }
        Err(error) => {
            let stale = fallback.and_then(|record| {
                let value = cache.decoded(&record)?;
                cache.note(&record);
                Some(Made::Stale(value, Arc::clone(&fill.key.primary)))
            });
            let made = stale.ok_or(error)?;
            fill.fall_back(profile.backoff());
            Ok(made)
        }
    }
}

impl Cache {
    /// The value of a key, or what is to be done for it.
    pub(super) async fn computed<T: DeserializeOwned>(&self, mut key: OwnedKey, profile: &Profile) -> Computed<T> {
        let mut unfit = None;
        loop {
            match self.turn(key, &Any { unfit, profile }, None).await {
                Turn::Run(fill, fallback) => return Computed::Missing(fill, fallback),
                Turn::Hit(found, same) => match self.decoded(&found.record) {
                    Some(value) => return self.found(value, found, same),
                    // Of another type: once more, and whoever leads replaces it for all.
                    None if unfit.is_none() => {
                        unfit = Some(found.record.meta.nonce);
                        key = same;
                    }
                    None => return Computed::Missing(self.alone(same, MissReason::Unreadable, 0), None),
                },
                Turn::Shared(record, same) => match self.decoded(&record) {
                    Some(value) => {
                        self.note(&record);
                        return Computed::Value(value);
                    }
                    None => return Computed::Missing(self.alone(same, MissReason::NotShared, 0), None),
                },
                // Only `begin` says so; `turn` has waited.
                Turn::Wait(_, same) => key = same,
            }
        }
    }

    fn found<T>(&self, value: T, found: Found<Encoded>, key: OwnedKey) -> Computed<T> {
        self.tell_found(&key.primary, found.state);
        self.note(&found.record);
        match Late::of(found, key) {
            Some(late) => Computed::Late { value, late },
            None => Computed::Value(value),
        }
    }

    fn payload<T: Serialize>(&self, fill: &Fill, value: &T, profile: &Profile) -> Result<Encoded, NotStored> {
        // A plain integer has no room for the text behind a digest, nor for what it depends on, nor for its times.
        let is_plain = fill.key.digested.is_none() && !fill.needs_a_record() && profile.is_plain();
        if let Some(integer) = codec::to_integer(value).filter(|_| is_plain) {
            return Ok(Encoded::Integer(integer));
        }
        codec::encode(&*self.core.codec, value).map(|bytes| Encoded::Bytes(bytes.into())).map_err(|error| {
            self.core.reporter.failed("encode", &error);
            NotStored::Incomplete
        })
    }

    async fn keep(&self, fill: Fill, payload: Result<Encoded, NotStored>, profile: &Profile, now: u64) {
        let fresh = profile.ttl.lifetime().ok_or(NotStored::NoLifetime);
        match payload.and_then(|payload| Ok((payload, fresh?))) {
            Ok((payload, fresh)) => {
                let lifetime = Lifetime::of(now, fresh, profile.windows(), profile);
                self.store(fill, payload, lifetime).await;
            }
            Err(reason) => fill.decline(reason),
        }
    }

    /// Stores what a run made. A store that has been sent is seen through, also if the caller goes away meanwhile; and
    /// the caller does not wait for a backend that hangs: `None`.
    pub(crate) async fn store<P: Payload>(
        &self,
        fill: Fill,
        payload: P,
        lifetime: Lifetime,
    ) -> Option<Result<(), NotStored>> {
        let storing = self.seen_through(fill.store(payload, lifetime, |_, _, _| Place::Primary));
        self.core.bound().over(storing).await
    }

    pub(super) fn decoded<T: DeserializeOwned>(&self, record: &Record<Encoded>) -> Option<T> {
        let decoded = self.decode_payload(&record.payload);
        decoded.map_err(|error| self.core.reporter.failed("decode", &error)).ok()
    }
}
