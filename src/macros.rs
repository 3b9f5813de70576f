//! The attribute macros, with their documentation.

/// Keeps the results of an `async fn`, one for each set of arguments (`memoize` in Flask-Caching).
///
/// ```
/// # #[cfg(feature = "memory")]
/// # mod example {
/// use std::time::Duration;
/// use axum_caching::{Cache, MemoryBackend, memoize};
///
/// struct App { cache: Cache }
///
/// #[memoize(cache = app.cache, skip(app), ttl = Duration::from_secs(50))]
/// async fn big_foo(app: &App, a: u32, b: u32) -> u32 {
///     a + b // which takes a while
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # pub async fn main() -> axum_caching::Result<()> {
/// let app = App { cache: Cache::new(MemoryBackend::default()) };
/// assert_eq!(big_foo(&app, 5, 2).await, 7);
/// assert_eq!(big_foo(&app, 5, 2).await, 7); // does not run
/// assert_eq!(app.cache.stats().misses, 1);
///
/// big_foo::delete_memoized_for(&app.cache, 5, 2).await?; // this result
/// big_foo::delete_memoized(&app.cache).await?; // all results
/// # Ok(())
/// # }
/// # }
/// # #[cfg(feature = "memory")]
/// # example::main().unwrap();
/// ```
///
/// The function stays what it was to those who call it. It runs in its caller, so arguments may be borrowed; callers
/// that come while it runs wait for its result. [`Memoizer`](crate::Memoizer) says the rest: this attribute makes one
/// and calls it.
///
/// # Options
///
/// All are expressions, not strings. They are evaluated where the function begins, and name its arguments, `self`, or
/// whatever else is in scope there.
///
/// | option | default | what it does |
/// |---|---|---|
/// | `cache = app.cache` | required | the [`Cache`](crate::Cache): an argument, a part of one, `self.cache`, a static |
/// | `ttl = Duration::from_secs(60)` | that of the cache, 300 s | how long results are kept: anything that is `Into<`[`Ttl`](crate::Ttl)`>` |
/// | `profile = HARDY` | that of the cache | how results are kept up: a [`Profile`](crate::Profile) |
/// | `stale_while_revalidate = MINUTE` | not at all | how long a stale result is served while it is made anew in the background; so are `refresh_ahead = 0.8` and `soft_timeout = SECOND` |
/// | `sliding = MINUTE` | not at all | how long after it was used last a result ends, within its ttl |
/// | `stale_if_error = 60 * MINUTE` | not at all | how long a stale result is served in place of an `Err` |
/// | `background` | off | the body may run in the background: what a `profile` says of that holds |
/// | `skip(app, trace)` | none | arguments that are not in the key; also `args_to_ignore(..)` |
/// | `key = (user.id, &name)` | all arguments but the skipped | the key, anything with `Serialize` |
/// | `unless = id == 0` | `false` | this call does not touch the cache |
/// | `forced_update = refresh` | `false` | this call runs, and stores what it made |
/// | `is_stale = \|page\| page.version < least` | none is | a kept `&T` that this call does not take |
/// | `response_filter = \|page\| page.is_complete` | all are | a made `&T` that is kept |
/// | `negative(Option::is_none, Duration::from_secs(5))` | none are | a `&T` that is kept for a lifetime of its own |
/// | `tags = [format!("user:{id}")]` | none | names for [`Cache::purge_tag`](crate::Cache::purge_tag) |
/// | `name = "users::by_id"` | the path of the function | what the keys begin with; two functions need two names |
/// | `make_name = \|name\| format!("{name}-2")` | nothing | a text in the keys, made of the name |
/// | `hash_method = sha2::Sha256` | MD5 | the hash of arguments over 512 bytes of text |
/// | `version = "2"` | nothing | a part of the keys that a new release of the function changes |
/// | `source_check` | off | the version is a hash of the tokens of the function, made when it is compiled |
/// | `live` | off | values stay the objects they are, and need no serde: see [`live`](crate::Memoizer::live) |
/// | `instance = self.id` | all instances share | what tells one `self` from another |
/// | `method` | if `self` or `Self` is in the signature | the function stands in an `impl` block |
/// | `no_companions` | off | nothing is put beside a method; it needs a `name`, and is for the `impl` of a trait, whose own parameters have to be in the `key` |
///
/// What may run in the background has to own all its arguments, the skipped ones and `self` too: `cache: Cache`,
/// `app: Arc<App>`, `name: String`, `self: Arc<Self>`. A body that runs there is not in the task-locals of its caller.
///
/// `profile` may be one that a configuration names, where the cache is a static:
/// `profile = CACHE.profile("hours").expect("configured")`.
///
/// `profile` and its like, `negative`, `name`, `make_name`, `version` and `hash_method` are settled when a cache first
/// meets the function, and cannot name arguments. So is a `ttl` that names none, and
/// [`set_cache_ttl`](crate::Memoizer::set_cache_ttl) changes it; a `ttl` that does is the call's own. A closure that
/// borrows from an argument which the body takes by value does not compile: `move` a copy into it.
///
/// # What is kept
///
/// It is read from the return type, as it is written:
///
/// | return type | what is kept | what callers get |
/// |---|---|---|
/// | `T`, `Option<T>` | all of it, `None` too | clones |
/// | `Result<T, E>`, and aliases of the name `Result<T>` | the `T` of an `Ok` | clones; an error goes to the caller whose run it was |
/// | `Arc<T>`, `Result<Arc<T>, E>` | the `T` | the same `Arc`; `T` needs no `Clone` |
///
/// `T` needs `Serialize` and `Deserialize`, or the option `live`. A live function on a backend that keeps bytes panics at
/// its first call. To keep some errors, memoize the whole `Result` with a [`Memoizer`](crate::Memoizer::negative).
///
/// # Keys
///
/// `memo/my_app::big_foo(5,2)`: the path of the function, and the data of its arguments, which need `Serialize`.
/// Arguments that a pattern takes apart are in the key, and in `skip(..)`, by the names it gives, and so is a unit struct
/// in the pattern. One argument is a key by itself, as in `memoizer.call(&7, ..)`, more are a tuple. Type parameters,
/// also those of `Self` and behind `impl Trait`, are a part of the name: no two monomorphisations share a result.
///
/// The path is what [`std::any::type_name`] says, so it has the functions in it that the function stands in. To keep
/// results over a renaming, or share them between two programs, give a `name`.
///
/// # Companions
///
/// Beside a function stands a type of its name, as visible as the function. One `use` imports both. It has
///
/// | companion | |
/// |---|---|
/// | `big_foo::uncached(&app, a, b)` | the body, without the cache |
/// | `big_foo::delete_memoized(&cache)` | takes all results away |
/// | `big_foo::delete_memoized_for(&cache, a, b)` | takes one away; says whether it was there |
/// | `big_foo::make_cache_key(&cache, a, b)` | the key in the backend, of which the cache has the prefix |
/// | `big_foo::prime(&cache, a, b, value)` | stores what is known already, with its `ttl` and `tags` |
/// | `big_foo::memoizer(&cache)` | the [`Memoizer`](crate::Memoizer), for everything else |
///
/// The cache comes first, and arguments that are not in the key are left out; so there is no `prime` if `ttl` or `tags`
/// name one of those. If the function is generic so are they, with one more parameter for each `impl Trait`:
/// `big_foo::delete_memoized::<u32>(&cache)`.
///
/// # Methods
///
/// No type can be declared in an `impl` block. A method gets sisters: `add_uncached(..)`, and `add_memoizer(..)`, which
/// takes `&self` if the cache is one of `self`, and `&Cache` otherwise. `self` is not in the key. If results depend on
/// it, `instance` says by what; then `add_memoizer` is the one instance's, and `add_memoizer_of_all` is there for all.
///
/// ```
/// # #[cfg(feature = "memory")]
/// # mod example {
/// use axum_caching::{Cache, MemoryBackend, memoize};
///
/// struct Adder { id: u32, by: u32, cache: Cache }
///
/// impl Adder {
///     #[memoize(cache = self.cache, instance = self.id)]
///     async fn add(&self, number: u32) -> u32 {
///         self.by + number
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # pub async fn main() -> axum_caching::Result<()> {
/// let cache = Cache::new(MemoryBackend::default());
/// let [one, two] = [1, 2].map(|id| Adder { id, by: id * 100, cache: cache.clone() });
/// assert_eq!((one.add(5).await, two.add(5).await), (105, 205));
///
/// one.add_memoizer().delete_memoized_for(&5).await?; // one result of one instance
/// one.add_memoizer().delete_memoized().await?; // all results of one instance
/// assert_eq!((one.add(5).await, two.add(5).await, cache.stats().misses), (105, 205, 3));
///
/// one.add_memoizer_of_all().delete_memoized().await?; // those of all instances
/// assert_eq!((one.add(5).await, two.add(5).await, cache.stats().misses), (105, 205, 5));
/// # Ok(())
/// # }
/// # }
/// # #[cfg(feature = "memory")]
/// # example::main().unwrap();
/// ```
///
/// A function in an `impl` block with neither `self` nor `Self` in its signature needs the flag `method`; the compiler
/// says `struct is not supported in impl`. A method of a trait needs `no_companions`: the compiler says that its sisters
/// are not members of the trait.
///
/// # Other attributes
///
/// They stay on the function of this name. A `#[tracing::instrument]` below `#[memoize]` spans every call, one above it
/// spans the runs. `#[axum::debug_handler]` works below it. Where `#[async_trait]` has been, the function is not async
/// any more, and cannot be memoized.
///
/// # Functions that are not async
///
/// There is nothing to wait with in them. Write `async fn`, the body may stay as it is; or call the function through
/// [`cache.memoizer(..)`](crate::Cache::memoizer) in async code.
#[doc(inline)]
#[doc(alias = "memoise")]
pub use axum_caching_macros::memoize;

/// Keeps the one result of an `async fn` (`cached` on a function in Flask-Caching).
///
/// ```
/// # #[cfg(feature = "memory")]
/// # mod example {
/// use std::{sync::LazyLock, time::Duration};
/// use axum_caching::{Cache, MemoryBackend, cached};
///
/// static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::new(MemoryBackend::default()));
///
/// #[cached(cache = CACHE, key = "MyCachedList", ttl = Duration::from_secs(50))]
/// async fn list() -> Vec<u32> {
///     (1..=3).collect() // which takes a while
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # pub async fn main() -> axum_caching::Result<()> {
/// assert_eq!(list().await, [1, 2, 3]);
/// assert_eq!(list().await, [1, 2, 3]); // does not run
/// assert_eq!(list::make_cache_key(&CACHE)?, "memo/MyCachedList()");
///
/// list::prime(&CACHE, vec![4]).await?;
/// assert_eq!((list().await, list::uncached().await), (vec![4], vec![1, 2, 3]));
/// # Ok(())
/// # }
/// # }
/// # #[cfg(feature = "memory")]
/// # example::main().unwrap();
/// ```
///
/// It is [`memoize`] for a function whose result depends on no argument. An argument that `cache` names is not in the
/// key; any other has to be in `skip(..)`.
///
/// | option | default | what it does |
/// |---|---|---|
/// | `key = "MyCachedList"` | the path of the function | what the result is kept under: the name of the [`Memoizer`](crate::Memoizer) |
///
/// The other options are those of [`memoize`], without `name`, `make_name` and `hash_method`; so are the companions, which
/// take the cache alone.
#[doc(inline)]
pub use axum_caching_macros::cached;
