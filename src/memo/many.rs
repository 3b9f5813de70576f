//! Many calls at once: one look at the backend, one computation of what is missing.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use serde::Serialize;

use super::{Keep, Memoizer, keep::Memo};
use crate::{
    cache::{Fill, FillContext, OwnedKey, State},
    reason::{BypassReason, MissReason, NotStored},
    record::Record,
};

/// So many leases are taken, or results stored, at the same time.
const AT_A_TIME: usize = 32;

impl<T: Clone + Send + Sync + 'static, K: Keep<T>> Memoizer<T, K> {
    /// The results for many arguments, in their order. All keys are looked up in one call of the backend, and what is
    /// missing is computed in one call of `compute`, each argument once.
    ///
    /// Inside of a fill, the tags of the results are read before, one by one. `compute` is given the missing arguments and
    /// returns their results, in the same order. Unlike
    /// [`call`](Memoizer::call), callers that come at the same time do not wait for each other. What is made is stored with
    /// one call of the backend each, 32 of them at a time.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let names = Cache::new(MemoryBackend::default()).memoizer("names");
    /// names.prime(&2, "two".to_owned()).await?;
    ///
    /// let found = names
    ///     .call_many(&[1, 2, 3, 1], async |missing: &[&i32]| {
    ///         assert_eq!(missing, [&1, &3]);
    ///         missing.iter().map(|id| format!("no. {id}")).collect()
    ///     })
    ///     .await;
    /// assert_eq!(found, ["no. 1", "two", "no. 3", "no. 1"]);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// If `compute` does not return as many results as it was given arguments.
    pub async fn call_many<A, F>(&self, args: &[A], compute: F) -> Vec<T>
    where
        A: Serialize,
        F: AsyncFnOnce(&[&A]) -> Vec<T>,
    {
        match self.try_call_many(args, async |missing: &[&A]| Ok::<_, Infallible>(compute(missing).await)).await {
            Ok(values) => values,
            Err(never) => match never {},
        }
    }

    /// As [`call_many`](Memoizer::call_many); of an error nothing is kept. If there is a stale result for each that is missing,
    /// which is still good if the function fails, those are returned in its place.
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    ///
    /// # Panics
    ///
    /// As [`call_many`](Memoizer::call_many).
    pub async fn try_call_many<A, E, F>(&self, args: &[A], compute: F) -> Result<Vec<T>, E>
    where
        A: Serialize,
        F: AsyncFnOnce(&[&A]) -> Result<Vec<T>, E>,
    {
        let mut batch = Batch::of(self, args);
        self.look_up(&mut batch).await;
        let missing: Vec<&A> = batch.missing().map(|index| &args[index]).collect();
        if !missing.is_empty() {
            let (mut fills, context) = self.begin_all(&batch).await;
            prepare_all(&mut fills).await;
            let made = context.run(|| compute(&missing)).await;
            let now = self.cache.core.clock.now();
            let outer = FillContext::current();
            if let Some(first) = fills.iter().flatten().next() {
                first.settle_tags().await;
            }
            fills.iter().flatten().for_each(|fill| fill.hand_on(&outer));
            let made = match made {
                Ok(made) => {
                    assert_eq!(made.len(), missing.len(), "results of `{}` for so many arguments", self.name());
                    self.keep_all(fills, &made, &outer, now).await;
                    made
                }
                Err(error) => {
                    let made = self.stale_ones(&batch).ok_or(error)?;
                    let backoff = self.shared.profile.backoff();
                    fills.into_iter().flatten().for_each(|fill| fill.fall_back(backoff));
                    made
                }
            };
            batch.fill_in(made);
        }
        Ok(batch.into_values())
    }

    /// What is served in place of the results that are missing, if there is something for each.
    fn stale_ones(&self, batch: &Batch<T>) -> Option<Vec<T>> {
        let stale = |entry: &Entry<T>| {
            let record = Arc::clone(entry.stale.as_ref()?);
            Some((entry.key.clone()?, self.value(&record, None)?, record))
        };
        let stale: Option<Vec<_>> = batch.entries.iter().filter(|entry| entry.value.is_none()).map(stale).collect();
        let serve = |(key, value, record): (OwnedKey, Arc<T>, Arc<Record<_>>)| {
            self.cache.serve_stale(&key, &record, |_| Some(value)).map(Arc::unwrap_or_clone)
        };
        stale?.into_iter().map(serve).collect()
    }

    async fn look_up(&self, batch: &mut Batch<T>) {
        let shared = &*self.shared;
        let outer = FillContext::current();
        let is_off = shared.unless.as_ref().is_some_and(|unless| unless());
        let is_forced = shared.forced_update.as_ref().is_some_and(|forced| forced());
        let (mut keys, mut recursive) = (Vec::new(), Vec::new());
        for entry in &mut batch.entries {
            let reason = match &entry.key {
                None => BypassReason::NoKey,
                Some(_) if is_off => BypassReason::Unless,
                Some(key) if outer.is_filling(&self.cache, &key.primary) => BypassReason::Recursion,
                Some(key) => {
                    keys.push(key.clone());
                    continue;
                }
            };
            self.bypass(reason);
            recursive.extend(entry.key.take().filter(|_| reason == BypassReason::Recursion));
        }
        self.note_results(&keys, &outer).await;
        if !recursive.is_empty() {
            self.note_recursion(&recursive, &[], &outer).await;
        }
        if is_forced {
            return;
        }
        let found = self.cache.look_many(&keys, &self.ask(None, None)).await;
        for (entry, found) in batch.entries.iter_mut().filter(|entry| entry.key.is_some()).zip(found) {
            // One that is stale is made anew with those that are missing.
            let found = match found {
                Ok(found) if found.state != State::Stale => Some(found),
                Ok(found) => {
                    entry.stale = Some(found.record);
                    None
                }
                Err(missed) => {
                    entry.stale = missed.into_fallback();
                    None
                }
            };
            let value = found.and_then(|found| Some((self.value(&found.record, None)?, found)));
            if let (Some((value, found)), Some(key)) = (value, &entry.key) {
                self.cache.tell_found(&key.primary, found.state);
                self.slide(&key.primary, &found);
                outer.note(&found.record.meta.carried, &self.cache.core.backend);
                entry.value = Some(Arc::unwrap_or_clone(value));
            }
        }
    }

    /// A fill for each result that is missing, and the context that all of them are computed in.
    async fn begin_all(&self, batch: &Batch<T>) -> (Vec<Option<Fill>>, FillContext) {
        let cache = &self.cache;
        let begin = |entry: &Entry<T>| entry.key.clone().map(|key| cache.alone(key, MissReason::Absent, 0));
        let mut fills: Vec<_> = batch.entries.iter().filter(|entry| entry.value.is_none()).map(begin).collect();
        match self.early(&[]).await {
            Ok(early) => fills.iter().flatten().for_each(|fill| fill.depends_on(&early)),
            Err(why) => {
                FillContext::current().refuse(why);
                fills.iter_mut().filter_map(Option::take).for_each(|fill| fill.decline(why));
            }
        }
        let context = fills.iter().flatten().next().map(|fill| fill.context().clone());
        (fills, context.unwrap_or_else(FillContext::current))
    }

    async fn keep_all(&self, fills: Vec<Option<Fill>>, made: &[T], outer: &FillContext, now: u64) {
        // What one depends on all do: they were made together.
        let together = fills.iter().flatten().next().map(|fill| fill.context().clone()).unwrap_or_default();
        let mut stores = Vec::new();
        for (fill, value) in fills.into_iter().zip(made) {
            let Some(fill) = fill else { continue };
            match together.carried() {
                Ok(carried) => fill.depends_on(&carried),
                Err(why) => fill.context().refuse(why),
            }
            let kept = self.lifetime(value, None, together.noted_profile().unwrap_or_default(), now);
            match kept.and_then(|lifetime| Ok((lifetime, self.payload(Arc::new(value.clone()))?))) {
                Ok((lifetime, payload)) => stores.push(Box::pin(self.cache.store(fill, payload, lifetime))),
                Err(reason) => fill.decline(reason),
            }
        }
        for stored in all(stores).await {
            if let Some(Err(NotStored::Refused)) = stored {
                outer.refuse(NotStored::Refused);
            }
        }
    }
}

/// Each argument once, with its result as far as it is known.
struct Batch<T> {
    entries: Vec<Entry<T>>,
    /// Which entry each argument has.
    places: Vec<usize>,
}

struct Entry<T> {
    /// The first argument that it is for.
    index: usize,
    /// `None`: it does not touch the cache.
    key: Option<OwnedKey>,
    value: Option<T>,
    /// What is served if the function fails.
    stale: Option<Arc<Record<Memo<T>>>>,
}

impl<T: Clone> Batch<T> {
    fn of<A: Serialize, K>(memoizer: &Memoizer<T, K>, args: &[A]) -> Self {
        let (mut entries, mut places) = (Vec::<Entry<T>>::new(), Vec::with_capacity(args.len()));
        let mut known = HashMap::new();
        for (index, arg) in args.iter().enumerate() {
            let key = memoizer.owned_key(arg);
            let key = key.map_err(|error| memoizer.cache.core.reporter.failed("key", &error)).ok();
            let name = key.as_ref().map(|key| (Arc::clone(&key.primary), key.digested.clone()));
            let new = entries.len();
            let place = name.map_or(new, |name| *known.entry(name).or_insert(new));
            if place == new {
                entries.push(Entry { index, key, value: None, stale: None });
            }
            places.push(place);
        }
        Self { entries, places }
    }

    fn missing(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().filter(|entry| entry.value.is_none()).map(|entry| entry.index)
    }

    fn fill_in(&mut self, made: Vec<T>) {
        let missing = self.entries.iter_mut().filter(|entry| entry.value.is_none());
        missing.zip(made).for_each(|(entry, value)| entry.value = Some(value));
    }

    fn into_values(self) -> Vec<T> {
        debug_assert_eq!(self.missing().count(), 0);
        self.places.iter().filter_map(|place| self.entries[*place].value.clone()).collect()
    }
}

/// The place of each, so that a purge elsewhere wins against it; the lanes of late tags once, since the first fill
/// settles the tags of all.
async fn prepare_all(fills: &mut [Option<Fill>]) {
    let mut fills = fills.iter_mut().flatten();
    if let Some(first) = fills.next() {
        first.prepare().await;
    }
    all(fills.filter(|fill| fill.has_others()).map(|fill| Box::pin(fill.take_place())).collect()).await;
}

/// Waits for all of them, of which so many are under way at a time: a backend behind a network would not answer all of a
/// large batch in the time that each has.
async fn all<F: Future + Unpin>(futures: Vec<F>) -> Vec<F::Output> {
    let mut done = Vec::with_capacity(futures.len());
    let mut next = futures.into_iter();
    let mut going: Vec<F> = next.by_ref().take(AT_A_TIME).collect();
    poll_fn(|context| {
        let mut index = 0;
        while let Some(future) = going.get_mut(index) {
            match Pin::new(future).poll(context) {
                Poll::Pending => index += 1,
                Poll::Ready(output) => {
                    done.push(output);
                    going.swap_remove(index);
                    // Polled in this round, as it comes last.
                    going.extend(next.next());
                }
            }
        }
        if going.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done
}
