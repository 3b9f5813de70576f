//! Functions whose results are kept.

mod begun;
mod call;
mod flow;
mod keep;
mod kept;
mod keys;
mod many;
mod options;
mod purge;
mod question;
mod run;

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use self::{
    begun::Begun,
    call::Call,
    keep::{Encoded, Keep, Live},
};

use crate::{
    cache::{Cache, FillContext, Kind},
    key::HashMethod,
    profile::{Early, Profile},
    stamps::Stamp,
    ttl::Ttl,
};

/// A function that is run once for the same arguments (`memoize` in Flask-Caching).
///
/// [`cache.memoizer(name)`](Cache::memoizer) makes one; clones are the same. It is told of a call and how to compute
/// it: a value that is kept comes back, otherwise the closure runs, once for all who ask for it at the same time. The
/// closure may borrow. It runs in its caller; if that goes away, one of those who wait takes over with its own. The
/// cache cannot make a call fail: without its backend the closure runs.
///
/// The key is made of the data of the arguments, with serde, and reads `memo/users::by_id(7,3:ada)`. Values are kept
/// as they are in memory, and as bytes elsewhere; they come back as clones, or shared in an [`Arc`].
///
/// [`delete_memoized`](Memoizer::delete_memoized) takes all results away at once, however many there are, and wins
/// against runs under way. What other memoized functions made of them goes with them, see [`FillContext`].
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "memory")]
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use axum_caching::{Cache, MemoryBackend};
///
/// async fn load(tenant: u32, id: &str) -> Result<String, std::io::Error> {
///     Ok(format!("user {id} of tenant {tenant}"))
/// }
///
/// let cache = Cache::new(MemoryBackend::default());
/// let users = cache.memoizer("users::by_id").ttl(Duration::from_secs(60));
///
/// for _ in 0..2 {
///     let user = users.try_call(&(7, "ada"), || load(7, "ada")).await?;
///     assert_eq!(user, "user ada of tenant 7");
/// }
/// assert_eq!(cache.stats().misses, 1);
///
/// assert!(users.delete_memoized_for(&(7, "ada")).await?);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[must_use = "a memoizer does nothing until it is called"]
pub struct Memoizer<T, K = Encoded> {
    cache: Cache,
    shared: Arc<Shared<T>>,
    keep: PhantomData<fn() -> K>,
}

type Flag = Arc<dyn Fn() -> bool + Send + Sync>;
type Test<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;
type Weigh<T> = Arc<dyn Fn(&T) -> usize + Send + Sync>;

/// What is kept for a function. It does not hold the cache, which may hold it.
pub(crate) struct Shared<T> {
    name: Arc<str>,
    /// What `make_name` made of it.
    made: Option<Box<str>>,
    version: Option<Box<str>>,
    /// What keys begin with; follows from those above and from the instance.
    lead: Box<str>,
    all: Own,
    /// The text of one instance.
    instance: Option<Arc<str>>,
    hash: HashMethod,
    /// As it was set, but for its ttl.
    own: Profile,
    /// With what the cache says; follows from the one above.
    profile: Profile,
    early: Early,
    /// Shared by all clones, since it can be set.
    ttl: Arc<Mutex<Ttl>>,
    unless: Option<Flag>,
    forced_update: Option<Flag>,
    is_stale: Option<Test<T>>,
    response_filter: Option<Test<T>>,
    negative: Option<(Test<T>, Ttl)>,
    sliding: Option<Duration>,
    weigh: Option<Weigh<T>>,
}

/// What all results of a function depend on.
#[derive(Clone)]
enum Own {
    /// Where entries do not outlive this process: one atomic.
    Stamp(Stamp),
    /// The record of a tag in the backend.
    Tag(Arc<str>),
}

impl Cache {
    /// A memoized function; two functions need two names.
    ///
    /// The name is a part of the keys, so it should not change with each release: `"users::by_id"`. It is for one
    /// version of the function and one type of value; see [`version`](Memoizer::version). A few bytes are kept for each
    /// name for as long as the cache lives, so names are not data: see [`instance`](Memoizer::instance).
    #[doc(alias = "memoize")]
    pub fn memoizer<T>(&self, name: impl Into<Arc<str>>) -> Memoizer<T> {
        let name = name.into();
        let all = if self.core.backend.keeps_live() {
            Own::Stamp(self.stamp_of_function(&name))
        } else {
            Own::Tag(self.tag_key(Kind::Function, &name))
        };
        let shared = Shared {
            name,
            made: None,
            version: None,
            lead: Box::default(),
            all,
            instance: None,
            hash: HashMethod::default(),
            own: Profile::default(),
            profile: Profile::default(),
            early: Early::default(),
            ttl: Arc::default(),
            unless: None,
            forced_update: None,
            is_stale: None,
            response_filter: None,
            negative: None,
            sliding: None,
            weigh: None,
        };
        Memoizer { cache: self.clone(), shared: Arc::new(shared), keep: PhantomData }.with(|_| {})
    }
}

impl Memoizer<()> {
    /// The fill that the caller is a part of, to be taken to a task that it spawns: see [`FillContext`].
    pub fn context() -> FillContext {
        FillContext::current()
    }
}

impl<T, K> Memoizer<T, K> {
    /// The name that it was made with.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Of what is kept for a function.
    pub(crate) fn from_shared(cache: &Cache, shared: Arc<Shared<T>>) -> Self {
        Self { cache: cache.clone(), shared, keep: PhantomData }
    }

    pub(crate) fn into_shared(self) -> Arc<Shared<T>> {
        self.shared
    }

    fn ttl_now(&self) -> Ttl {
        *self.shared.ttl.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, K> Clone for Memoizer<T, K> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), shared: Arc::clone(&self.shared), keep: PhantomData }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            made: self.made.clone(),
            version: self.version.clone(),
            lead: self.lead.clone(),
            all: self.all.clone(),
            instance: self.instance.clone(),
            hash: self.hash,
            own: self.own,
            profile: self.profile,
            early: self.early,
            ttl: Arc::clone(&self.ttl),
            unless: self.unless.clone(),
            forced_update: self.forced_update.clone(),
            is_stale: self.is_stale.clone(),
            response_filter: self.response_filter.clone(),
            negative: self.negative.clone(),
            sliding: self.sliding,
            weigh: self.weigh.clone(),
        }
    }
}

impl<T, K> fmt::Debug for Memoizer<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memoizer").field("name", &self.name()).field("ttl", &self.ttl_now()).finish_non_exhaustive()
    }
}
