//! A backend whose troubles a test writes.

mod backend;
mod operation;
mod trouble;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use self::{operation::Operation, trouble::Trouble};

use self::trouble::{Effect, Often, Rule};
use super::watched::Watched;
use crate::{
    backend::Backend,
    error::{ErrorKind, Result},
};

/// A backend around a backend, whose calls fail, take their time, hang or get lost as a test has it.
///
/// It counts what it is asked, and hands everything on until [`on`](Chaos::on) says otherwise: a quiet one keeps every
/// rule of the [conformance suite](super::conformance) that the backend inside keeps. Clones are handles on the same
/// backend and the same troubles: one goes to the cache, the test keeps another.
///
/// Delays are of tokio's time, so that `#[tokio::test(start_paused = true)]` passes over them. Entries expire by the
/// [clock](super::ManualClock) of the backend inside, which is another.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, ErrorKind, MemoryBackend, Ttl, testing::{Chaos, Operation}};
///
/// let chaos = Chaos::new(MemoryBackend::default());
/// let cache = Cache::new(chaos.clone());
/// cache.set("answer", &42, Ttl::Default).await?;
///
/// chaos.on(Operation::Get).next(1).fail(ErrorKind::Timeout);
/// assert_eq!(cache.get::<i32>("answer").await.unwrap_err().kind(), ErrorKind::Timeout);
/// assert_eq!(cache.get::<i32>("answer").await?, Some(42));
/// assert_eq!(chaos.calls(Operation::Get), 2);
///
/// chaos.forget("answer").await?; // as if it had been evicted
/// assert_eq!(cache.get::<i32>("answer").await?, None);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Chaos(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    /// Whether values become bytes, and answers have to be waited for.
    is_remote: bool,
    rules: Mutex<Vec<Arc<Rule>>>,
    calls: [AtomicU64; Operation::ALL.len()],
}

impl Chaos {
    /// A quiet one around this backend.
    pub fn new(backend: impl Backend) -> Self {
        Self::around(Arc::new(backend), false)
    }

    /// A quiet one that does as a server would, whatever the backend inside does: it keeps values as bytes, and no
    /// answer is there at once.
    ///
    /// So a test without a server sees whether what an application caches survives the way to bytes and back.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Backend, MemoryBackend, Value, testing::Chaos};
    ///
    /// let chaos = Chaos::remote(MemoryBackend::default());
    /// assert!(!chaos.keeps_live());
    /// assert!(chaos.get("answer").into_ready().is_err(), "not there yet");
    /// # });
    /// ```
    pub fn remote(backend: impl Backend) -> Self {
        Self::around(Arc::new(backend), true)
    }

    fn around(backend: Arc<dyn Backend>, is_remote: bool) -> Self {
        Self(Arc::new(Inner { backend, is_remote, rules: Mutex::default(), calls: Default::default() }))
    }

    /// Begins a trouble of calls of this sort, or of these sorts: see [`Script`].
    pub fn on(&self, operations: impl IntoIterator<Item = Operation>) -> Script {
        Script {
            inner: Arc::clone(&self.0),
            operations: operations.into_iter().collect(),
            often: Often::Always,
            delay: Duration::ZERO,
            is_afterwards: false,
        }
    }

    /// Ends all troubles; calls that are held go on.
    pub fn calm(&self) {
        for rule in self.0.rules().drain(..) {
            Trouble(rule).end();
        }
    }

    /// How many calls of this sort, or of these sorts, there were, whatever became of them. A batch is one.
    pub fn calls(&self, operations: impl IntoIterator<Item = Operation>) -> u64 {
        let count = |operation| self.0.calls[operation as usize].load(Ordering::Relaxed);
        operations.into_iter().map(count).sum()
    }

    /// Takes a record out of the backend without a word to the cache, as an eviction does; says whether it was there.
    ///
    /// `key` is the one in the backend, as [`Event`](crate::Event) has it: `view//items/7` for a response. It is not
    /// counted, and meets no trouble.
    ///
    /// # Errors
    ///
    /// Those of the backend inside.
    pub async fn forget(&self, key: &str) -> Result<bool> {
        self.0.backend.delete(key).await
    }

    /// Takes everything out of the backend without a word to the cache, as a server does that is started anew.
    ///
    /// It is not counted, and meets no trouble.
    ///
    /// # Errors
    ///
    /// Those of the backend inside.
    pub async fn forget_everything(&self) -> Result<()> {
        self.0.backend.clear("").await
    }
}

impl Inner {
    fn rules(&self) -> MutexGuard<'_, Vec<Arc<Rule>>> {
        // A list that somebody panicked over is still a list.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_quiet(&self, operation: Operation) -> bool {
        !self.rules().iter().any(|rule| rule.concerns(operation))
    }

    /// What a call meets: the first trouble that takes it.
    fn meet(&self, operation: Operation) -> Option<Arc<Rule>> {
        self.rules().iter().find(|rule| rule.meets(operation)).cloned()
    }

    fn count(&self, operation: Operation) {
        self.calls[operation as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// A trouble in the making: how many calls meet it, and what becomes of them.
///
/// A call meets one trouble at most, the oldest that takes it. So those that are made one after the other with
/// [`next`](Script::next) are met one after the other.
///
/// # Examples
///
/// A backend that flaps, and one that hangs:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::time::Duration;
/// use axum_caching::{Cache, ErrorKind, MemoryBackend, Ttl, testing::{Chaos, Operation}};
///
/// let chaos = Chaos::new(MemoryBackend::default());
/// let cache = Cache::new(chaos.clone());
///
/// chaos.on(Operation::ALL).one_in(3, 7).late(Duration::from_secs(2)).fail(ErrorKind::Timeout);
/// chaos.on(Operation::ALL).delay(Duration::from_millis(20)); // the others
/// for _ in 0..100 {
///     assert_eq!(cache.get_or_compute("answer", Ttl::Default, async || 42).await, 42);
/// }
/// assert!(cache.stats().failures > 10);
/// chaos.calm();
///
/// let hang = chaos.on(Operation::Get).hold();
/// let call = tokio::spawn({
///     let cache = cache.clone();
///     async move { cache.get::<i32>("answer").await }
/// });
/// hang.reached(1).await;
/// assert!(!call.is_finished());
/// hang.end();
/// assert_eq!(call.await.unwrap()?, Some(42));
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before `fail`, `delay`, `hold` or `lose`"]
pub struct Script {
    inner: Arc<Inner>,
    operations: Vec<Operation>,
    often: Often,
    delay: Duration,
    is_afterwards: bool,
}

impl Script {
    /// Only the next so many calls meet it. All do by default.
    pub fn next(self, calls: u64) -> Self {
        Self { often: Often::Next(calls.into()), ..self }
    }

    /// Only one in so many calls meets it, at random; 0 counts as 1. One seed gives the same calls each time.
    pub fn one_in(self, calls: u64, seed: u64) -> Self {
        Self { often: Often::OneIn { calls: calls.max(1), random: seed.into() }, ..self }
    }

    /// What is to happen happens so much later, by tokio's time.
    pub fn late(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The call does its work first, and it is the answer that is held, is late or is an error: as of a connection that
    /// breaks after the server was told.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, ErrorKind, MemoryBackend, Ttl, testing::{Chaos, Operation}};
    ///
    /// let chaos = Chaos::new(MemoryBackend::default());
    /// let cache = Cache::new(chaos.clone());
    /// chaos.on(Operation::Set).afterwards().fail(ErrorKind::Timeout);
    /// assert!(cache.set("answer", &42, Ttl::Default).await.is_err());
    /// assert_eq!(cache.get::<i32>("answer").await?, Some(42), "it was set all the same");
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub fn afterwards(self) -> Self {
        Self { is_afterwards: true, ..self }
    }

    /// The calls fail with an error of this kind.
    pub fn fail(self, kind: ErrorKind) -> Trouble {
        self.begin(Effect::Fail(kind))
    }

    /// The calls take so long, by tokio's time, and do then what they should.
    ///
    /// # Panics
    ///
    /// The calls do, outside a tokio runtime that counts the time.
    pub fn delay(self, delay: Duration) -> Trouble {
        self.late(delay).begin(Effect::Nothing)
    }

    /// The calls hang until [`Trouble::end`] or [`Chaos::calm`], and do then what they should.
    pub fn hold(self) -> Trouble {
        self.begin(Effect::Hold)
    }

    /// The calls get lost: writes are acknowledged and not done, reads find nothing, as of a
    /// [`NullBackend`](crate::NullBackend).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Ttl, testing::{Chaos, Operation}};
    ///
    /// let chaos = Chaos::new(MemoryBackend::default());
    /// let cache = Cache::new(chaos.clone());
    /// chaos.on(Operation::Set).next(1).lose();
    /// cache.set("answer", &42, Ttl::Default).await?;
    /// assert_eq!(cache.get::<i32>("answer").await?, None);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub fn lose(self) -> Trouble {
        self.begin(Effect::Lose)
    }

    fn begin(self, effect: Effect) -> Trouble {
        let Self { inner, operations, often, delay, is_afterwards } = self;
        let rule = Rule { operations, often, delay, is_afterwards, effect, progress: Watched::default() };
        let rule = Arc::new(rule);
        let mut rules = inner.rules();
        rules.retain(|rule| !rule.is_done());
        rules.push(Arc::clone(&rule));
        Trouble(rule)
    }
}
