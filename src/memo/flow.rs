//! One call on its way: is its result kept, is somebody computing it, or is it this caller's to compute?

use std::{borrow::Cow, future::Future, pin::Pin, slice, sync::Arc};

use serde::Serialize;

use super::{Keep, Memoizer, Own, call::Settings, keep::Memo, question::Ask};
use crate::{
    cache::{Fill, FillContext, Found, Kind, Late, Made, OwnedKey, Seen, State as Use, Turn},
    flight::Follower,
    key::Key,
    observe::Event,
    reason::{BypassReason, MissReason, NotStored},
    record::{Carried, Record},
};

/// Where a call is.
pub(super) enum State<T> {
    Ready(Arc<T>),
    /// The cache is not touched.
    Bypass,
    /// Boxed, since it is hits that have to be handed on at once.
    Later(Box<Later<T>>),
}

/// What is left to do where nothing was found at once.
pub(super) enum Later<T> {
    Forced(OwnedKey),
    /// The caller is a part of the run for this key, and to wait for it would be to wait for itself.
    Recursion(OwnedKey),
    Turn(Turn<Memo<T>>),
    /// The backend does not answer at once, or the fill around this call has to be told first.
    Ask(OwnedKey),
}

/// What there is to do then.
pub(super) enum Next<T> {
    Value(Arc<T>),
    /// It may be served, and should be made anew.
    Late(Arc<T>, Late<Memo<T>>),
    /// And what may be served if that fails.
    Run(Fill, Option<Arc<Record<Memo<T>>>>),
    /// Compute, and keep nothing.
    Uncached,
}

impl<T> State<T> {
    fn later(later: Later<T>) -> Self {
        Self::Later(Box::new(later))
    }

    /// Whether something was looked up, and the fill around this call was not told.
    #[inline]
    pub(super) fn has_seen(&self) -> bool {
        match self {
            Self::Ready(_) => true,
            Self::Bypass => false,
            Self::Later(later) => matches!(**later, Later::Turn(_)),
        }
    }
}

impl<T: Send + Sync + 'static, K: Keep<T>> Memoizer<T, K> {
    /// A call without options pays for none: where it is known that there are none, nobody asks for them.
    #[inline]
    pub(super) fn look<A: Serialize + ?Sized>(
        &self,
        args: &A,
        forced: bool,
        own: Option<&Settings<'_, T>>,
    ) -> State<T> {
        let shared = &*self.shared;
        let core = &self.cache.core;
        if shared.unless.as_ref().is_some_and(|unless| unless()) {
            return self.bypass(BypassReason::Unless);
        }
        let mut key = Key::default();
        if let Err(error) = shared.write_key(&self.cache.space.scope, args, &mut key) {
            core.reporter.failed("key", &error);
            return self.bypass(BypassReason::NoKey);
        }
        if forced || shared.forced_update.as_ref().is_some_and(|forced| forced()) {
            return State::later(Later::Forced(OwnedKey::from(&key)));
        }
        if FillContext::is_current() {
            if FillContext::current().is_filling(&self.cache, key.backend.as_str()) {
                core.reporter.tell(&Event::Bypass { reason: BypassReason::Recursion });
                return State::later(Later::Recursion(OwnedKey::from(&key)));
            }
            return State::later(Later::Ask(OwnedKey::from(&key)));
        }
        let ask = self.ask(own, None);
        let found = match self.cache.glance(&key, &ask) {
            Ok(found) => found,
            Err(seen) => match self.look_further(seen, &key, &ask) {
                Ok(found) => found,
                Err(state) => return state,
            },
        };
        self.at_hand(&found, &key, &ask)
    }

    /// An entry that is fresh all the same, or what is to be done.
    #[inline(never)]
    fn look_further(&self, seen: Seen<Memo<T>>, key: &Key, ask: &Ask<'_, T>) -> Result<Found<Memo<T>>, State<T>> {
        match self.cache.look_further(seen, key, ask) {
            Some(Ok(found)) if found.state == Use::Fresh => Ok(found),
            Some(Err(missed)) => Err(State::later(Later::Turn(self.cache.begin(OwnedKey::from(key), ask, &missed)))),
            Some(Ok(_)) | None => Err(State::later(Later::Ask(OwnedKey::from(key)))),
        }
    }

    #[inline]
    fn at_hand(&self, found: &Found<Memo<T>>, key: &Key, ask: &Ask<'_, T>) -> State<T> {
        match found.record.payload.at_hand() {
            // A live one was judged when it was found.
            Some(value) if found.record.payload.live().is_some() || ask.is_taken(value) => {
                self.cache.core.reporter.tell_hit(key.backend.as_str());
                // What is taken here is fresh.
                if let Some(idle) = self.shared.sliding {
                    self.cache.slide(key.backend.as_str(), found, idle);
                }
                State::Ready(Arc::clone(value))
            }
            _ => State::later(Later::Ask(OwnedKey::from(key))),
        }
    }

    /// Keeps what is used, if results slide.
    #[inline]
    pub(super) fn slide(&self, primary: &str, found: &Found<Memo<T>>) {
        if let Some(idle) = self.shared.sliding.filter(|_| found.state == Use::Fresh) {
            self.cache.slide(primary, found, idle);
        }
    }

    pub(super) fn bypass(&self, reason: BypassReason) -> State<T> {
        self.cache.core.reporter.tell(&Event::Bypass { reason });
        State::Bypass
    }

    /// What there is to do where nothing was found at once.
    pub(super) async fn next(&self, later: Later<T>, own: Option<&Settings<'_, T>>) -> Next<T> {
        match later {
            Later::Forced(key) => {
                self.note_results(slice::from_ref(&key), &FillContext::current()).await;
                Next::Run(self.cache.alone(key, MissReason::Forced, 0), None)
            }
            Later::Recursion(key) => {
                let tags = own.map_or(&[][..], |own| &own.tags);
                self.note_recursion(&[key], tags, &FillContext::current()).await;
                Next::Uncached
            }
            Later::Turn(turn) => self.turns(Err(turn), own).await,
            Later::Ask(key) => self.turns(Ok(key), own).await,
        }
    }

    /// The value, or the task of computing it.
    async fn turns(&self, begin: Result<OwnedKey, Turn<Memo<T>>>, own: Option<&Settings<'_, T>>) -> Next<T> {
        let cache = &self.cache;
        let outer = FillContext::current();
        let mut unfit = None;
        let mut next = begin;
        // Before the result is looked at: what deletes the result deletes this after it.
        if let Ok(key) = &next {
            self.note_results(slice::from_ref(key), &outer).await;
        }
        let mut waiting: Option<Follower> = None;
        loop {
            let turn = match next {
                Ok(key) => cache.turn(key, &self.ask(own, unfit), waiting.take()).await,
                Err(turn) => turn,
            };
            match turn {
                Turn::Run(fill, fallback) => return Next::Run(fill, fallback),
                Turn::Wait(follower, same) => (next, waiting) = (Ok(same), Some(follower)),
                Turn::Hit(found, same) => match self.value(&found.record, own) {
                    Some(value) => {
                        cache.tell_found(&same.primary, found.state);
                        self.slide(&same.primary, &found);
                        outer.note(&found.record.meta.carried, &cache.core.backend);
                        return match Late::of(found, same) {
                            Some(late) => Next::Late(value, late),
                            None => Next::Value(value),
                        };
                    }
                    None if unfit.is_none() => (next, unfit) = (Ok(same), Some(found.record.meta.nonce)),
                    None => return Next::Run(cache.alone(same, MissReason::Unreadable, 0), None),
                },
                Turn::Shared(record, same) => match self.value(&record, own) {
                    Some(value) => {
                        outer.note(&record.meta.carried, &cache.core.backend);
                        return Next::Value(value);
                    }
                    None => return Next::Run(cache.alone(same, MissReason::NotShared, 0), None),
                },
            }
        }
    }

    /// Runs the closure, and keeps what it made; `fallback` is served if it fails.
    pub(super) async fn compute<V, E, F, Fut>(
        &self,
        mut fill: Fill,
        own: Option<&Settings<'_, T>>,
        fallback: Option<Arc<Record<Memo<T>>>>,
        compute: F,
    ) -> Result<Made<Arc<T>>, E>
    where
        V: Into<Arc<T>>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        let outer = FillContext::current();
        // Made elsewhere: without optimization each has its room on the stack of all calls within this one.
        boxed(|| self.prepare(&mut fill, own)).await;
        let result = fill.context().clone().run(compute).await;
        // It is as old as it is now, however long the backend takes.
        let now = self.cache.core.clock.now();
        fill.settle_tags().await;
        fill.hand_on(&outer);
        match result {
            Ok(value) => Ok(Made::New(boxed(|| self.keep(fill, own, &outer, value.into(), now)).await)),
            Err(error) => {
                let stale = |record: Arc<_>| {
                    let value = self.value(&record, own)?;
                    self.cache.note(&record);
                    Some(Made::Stale(value, Arc::clone(&fill.key.primary)))
                };
                let made = fallback.and_then(stale).ok_or(error)?;
                fill.fall_back(self.shared.profile.backoff());
                Ok(made)
            }
        }
    }

    /// Reads what has to be read before the closure runs.
    async fn prepare(&self, fill: &mut Fill, own: Option<&Settings<'_, T>>) {
        fill.prepare().await;
        if fill.context().is_refused() {
            return;
        }
        match self.early(own.map_or(&[], |own| &own.tags)).await {
            Ok(early) => fill.depends_on(&early),
            Err(why) => fill.context().refuse(why),
        }
    }

    /// Keeps what the closure made.
    async fn keep(
        &self,
        fill: Fill,
        own: Option<&Settings<'_, T>>,
        outer: &FillContext,
        value: Arc<T>,
        now: u64,
    ) -> Arc<T> {
        let kept = self.lifetime(&value, own, fill.context().noted_profile().unwrap_or_default(), now);
        match kept.and_then(|lifetime| Ok((lifetime, self.payload(Arc::clone(&value))?))) {
            Err(reason) => fill.decline(reason),
            Ok((lifetime, payload)) => {
                let stored = self.cache.store(fill, payload, lifetime).await;
                if let Some(Err(NotStored::Refused)) = stored {
                    outer.refuse(NotStored::Refused);
                }
            }
        }
        value
    }

    /// Tells the fill around this call of the results that it is about to read.
    pub(super) async fn note_results(&self, keys: &[OwnedKey], outer: &FillContext) {
        if outer.is_empty() {
            return;
        }
        let cache = &self.cache;
        for key in keys {
            match cache.read_tag(&self.tag_of_result(key)).await {
                Ok(tag) => outer.note(&[tag], &cache.core.backend),
                Err(why) => outer.refuse(why),
            }
        }
    }

    /// Tells the fill around this call of results that are computed without a fill of their own.
    pub(super) async fn note_recursion(&self, keys: &[OwnedKey], tags: &[Cow<'_, str>], outer: &FillContext) {
        self.note_results(keys, outer).await;
        match self.early(tags).await {
            Ok(early) => outer.note(&early, &self.cache.core.backend),
            Err(why) => outer.refuse(why),
        }
    }

    /// What a result depends on before it is computed; an error says why it may not be stored.
    pub(super) async fn early(&self, tags: &[Cow<'_, str>]) -> Result<Vec<Carried>, NotStored> {
        let cache = &self.cache;
        let (mut early, mut keys) = (Vec::new(), Vec::new());
        match &self.shared.all {
            Own::Stamp(stamp) => early.push(Carried::Own { stamp: stamp.clone(), was: stamp.now() }),
            Own::Tag(key) => keys.push(Arc::clone(key)),
        }
        keys.extend(self.shared.instance.iter().map(|_| self.tag_of_instance()));
        keys.extend(tags.iter().map(|tag| cache.tag_key(Kind::Named, tag)));
        for key in &keys {
            early.push(cache.read_tag(key).await?);
        }
        Ok(early)
    }

    pub(super) fn ask<'a>(&'a self, own: Option<&'a Settings<'_, T>>, unfit: Option<u64>) -> Ask<'a, T> {
        Ask { of_all: &self.shared, of_call: own, unfit }
    }

    /// The value in a record, if this call takes it.
    pub(super) fn value(&self, record: &Record<Memo<T>>, own: Option<&Settings<'_, T>>) -> Option<Arc<T>> {
        let core = &self.cache.core;
        match record.payload.value::<K>(&core.codec) {
            // A live one was judged when it was found.
            Ok(value) if record.payload.live().is_some() || self.ask(own, None).is_taken(&value) => Some(value),
            Ok(_) => None,
            Err(error) => {
                core.reporter.failed("decode", &error);
                None
            }
        }
    }
}

#[inline(never)]
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}
