//! What the attribute macros call. Not a part of the API: it may change in any release.

use std::{
    any::{TypeId, type_name},
    borrow::Cow,
    convert::Infallible,
    future::Future,
    sync::Arc,
};

use serde::Serialize;

use crate::{
    cache::Cache,
    error::{Error, ErrorKind, Result},
    key::Text,
    memo::{Begun, Call, Keep, Live, Memoizer, Shared},
};

/// The memoizer of a function. `settle` is asked once in the life of a cache.
pub fn memoizer<T: Send + Sync + 'static>(
    cache: &Cache,
    name: &Name,
    settle: impl FnOnce(Memoizer<T>) -> Memoizer<T>,
) -> Memoizer<T> {
    let new = || settle(cache.memoizer(name.as_str())).into_shared();
    match name.is_fit().then(|| cache.function(name.as_str(), name.owner, new)).flatten() {
        Some(shared) => Memoizer::from_shared(cache, shared),
        None => none(cache, name),
    }
}

/// The memoizer of a function whose values are kept live.
///
/// # Panics
///
/// If the backend keeps bytes.
pub fn live_memoizer<T: Send + Sync + 'static>(
    cache: &Cache,
    name: &Name,
    settle: impl FnOnce(Memoizer<T>) -> Memoizer<T>,
) -> Memoizer<T, Live> {
    let live = |memoizer: Memoizer<T>| memoizer.live().unwrap_or_else(|error| panic!("{error}"));
    let new = || Arc::new(Checked(live(settle(cache.memoizer(name.as_str()))).into_shared()));
    match name.is_fit().then(|| cache.function(name.as_str(), name.owner, new)).flatten() {
        Some(shared) => Memoizer::from_shared(cache, Arc::clone(&shared.0)),
        None => live(none(cache, name)),
    }
}

/// Of a function whose backend was found to keep values live; not to be taken for one that was not checked.
struct Checked<T>(Arc<Shared<T>>);

/// Two functions must not share results: one that cannot be told from another is not memoized.
#[cold]
fn none<T>(cache: &Cache, name: &Name) -> Memoizer<T> {
    let message = format!(
        "`{}` is also the name of another function or type, or of a closure, and is not memoized; give it a `name`",
        name.as_str()
    );
    cache.core.reporter.failed("key", &Error::message(ErrorKind::Key, message));
    cache.memoizer(name.as_str()).unless(|| true)
}

/// The name of a function: no two have the same, and no two sets of type parameters.
#[derive(Debug)]
pub struct Name {
    form: Form,
    owner: Option<TypeId>,
}

#[derive(Debug)]
enum Form {
    Known(&'static str),
    Made(Box<Text>),
}

impl Name {
    /// The type is one that has the name of the function.
    #[inline]
    pub fn of_type<F: 'static>() -> Self {
        Self { form: Form::Known(type_name::<F>()), owner: Some(TypeId::of::<F>()) }
    }

    pub fn of_method<S: ?Sized>(function: &str) -> Self {
        let name = Self::given(type_name::<S>());
        name.and("::").and(function)
    }

    pub fn given(name: impl AsRef<str>) -> Self {
        Self { form: Form::Made(Box::new(Text::from(name.as_ref()))), owner: None }
    }

    /// A name that was given to a method.
    pub fn given_to_method<S: ?Sized>(name: impl AsRef<str>) -> Self {
        Self::given(name).with(&[type_name::<S>()])
    }

    /// Whether it tells the function from others: all closures of a function have one name.
    fn is_fit(&self) -> bool {
        let parameters = self.as_str().split_once('<').map_or("", |(_, parameters)| parameters);
        !parameters.contains("{{")
    }

    /// With what tells monomorphisations apart.
    #[must_use]
    pub fn with(self, parameters: &[&str]) -> Self {
        let mut name = self;
        for (index, parameter) in parameters.iter().enumerate() {
            name = name.and(if index == 0 { "<" } else { "," }).and(parameter);
        }
        name.and(">")
    }

    fn and(self, piece: &str) -> Self {
        let mut text = match self.form {
            Form::Known(known) => Box::new(Text::from(known)),
            Form::Made(text) => text,
        };
        text.push(piece);
        Self { form: Form::Made(text), owner: self.owner }
    }

    #[inline]
    fn as_str(&self) -> &str {
        match &self.form {
            Form::Known(name) => name,
            Form::Made(text) => text.as_str(),
        }
    }
}

/// Of one instance. Where that cannot be written down, nothing is kept.
pub fn instance<T, K>(memoizer: Memoizer<T, K>, id: &(impl Serialize + ?Sized)) -> Memoizer<T, K> {
    match memoizer.instance(id) {
        Ok(instance) => instance,
        Err(error) => {
            memoizer.cache().core.reporter.failed("key", &error);
            memoizer.unless(|| true)
        }
    }
}

/// What can be a part of a key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of the key",
    label = "this argument has no serde form",
    note = "leave it out of the key if the result does not depend on it: `skip(..)` with its name; \
            or say what the key is: `key = (a, &b.name)`; or derive `serde::Serialize` for it"
)]
pub trait Part: Serialize {}

#[diagnostic::do_not_recommend]
impl<A: Serialize + ?Sized> Part for A {}

/// Says what is wrong with a part of a key, once for all functions that a macro makes.
#[inline]
pub fn check<A: Part + ?Sized>(_: &A) {}

/// An argument that may be a part of a key.
#[derive(Debug)]
pub struct Argument<'a, A: ?Sized>(pub &'a A);

impl<'a, A: Serialize + ?Sized> Argument<'a, A> {
    /// Takes precedence over that of [`NoPart`], where it applies.
    #[inline]
    pub fn part(self) -> &'a A {
        self.0
    }
}

/// What cannot be a part of a key is told so by [`check`], and by nothing else.
pub trait NoPart: Sized {
    fn part(self) {}
}

impl<A: ?Sized> NoPart for Argument<'_, A> {}

/// What can be given to many callers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to more than one caller",
    label = "this value has no `Clone`",
    note = "return it in an `Arc`, which is then shared: `-> Arc<{Self}>`; or derive `Clone` for it"
)]
pub trait Given: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Given for T {}

/// Says what is wrong with the values of a function, before anything else does.
#[inline]
pub fn kept<T, K>(memoizer: Memoizer<T, K>) -> Memoizer<T, K>
where
    T: Send + Sync + 'static,
    K: Keep<T>,
{
    memoizer
}

/// The same of values that are given as clones.
#[inline]
pub fn given<T: Given, K>(_: &Memoizer<T, K>) {}

#[inline]
pub fn begin<'a, 's, A, T, K>(call: Call<'a, 's, '_, A, T, K>) -> Begun<'a, 's, T, K>
where
    A: Serialize + ?Sized,
    T: Send + Sync + 'static,
    K: Keep<T>,
{
    call.begin()
}

pub fn call<T, K, F, Fut>(begun: Begun<'_, '_, T, K>, compute: F) -> impl Future<Output = T>
where
    T: Given + Send + Sync + 'static,
    K: Keep<T>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = T>,
{
    begun.call(compute)
}

pub fn try_call<T, K, E, F, Fut>(
    begun: Begun<'_, '_, T, K>,
    compute: F,
) -> impl Future<Output = std::result::Result<T, E>>
where
    T: Given + Send + Sync + 'static,
    K: Keep<T>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = std::result::Result<T, E>>,
{
    begun.try_call(compute)
}

pub async fn call_shared<T, K, F, Fut>(begun: Begun<'_, '_, T, K>, compute: F) -> Arc<T>
where
    T: Send + Sync + 'static,
    K: Keep<T>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Arc<T>>,
{
    match begun.try_call_arc(async || Ok::<_, Infallible>(compute().await)).await {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

pub fn try_call_shared<T, K, E, F, Fut>(
    begun: Begun<'_, '_, T, K>,
    compute: F,
) -> impl Future<Output = std::result::Result<Arc<T>, E>>
where
    T: Send + Sync + 'static,
    K: Keep<T>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = std::result::Result<Arc<T>, E>>,
{
    begun.try_call_arc(compute)
}

/// Stores a result that is known, with the lifetime and the tags of the call.
pub async fn prime<A, T, K>(call: Call<'_, '_, '_, A, T, K>, value: impl Into<Arc<T>>) -> Result<()>
where
    A: Serialize + ?Sized,
    T: Send + Sync + 'static,
    K: Keep<T>,
{
    call.prime_shared(value.into()).await
}

/// Tells the compiler what a body returns before it looks at the body.
pub fn typed<T, Fut: Future<Output = T>>(body: Fut) -> Fut {
    body
}

/// Tags that do not borrow from arguments, which the function takes.
pub fn tags<'a, S: Into<Cow<'a, str>>>(tags: impl IntoIterator<Item = S>) -> impl Iterator<Item = String> {
    let owned: Vec<String> = tags.into_iter().map(|tag| tag.into().into_owned()).collect();
    owned.into_iter()
}

pub fn call_owned<T, K, F, Fut>(begun: Begun<'_, 'static, T, K>, compute: F) -> impl Future<Output = T>
where
    T: Given + Send + Sync + 'static,
    K: Keep<T>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    begun.call_owned(compute)
}

pub fn try_call_owned<T, K, E, F, Fut>(
    begun: Begun<'_, 'static, T, K>,
    compute: F,
) -> impl Future<Output = std::result::Result<T, E>>
where
    T: Given + Send + Sync + 'static,
    K: Keep<T>,
    E: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = std::result::Result<T, E>> + Send + 'static,
{
    begun.try_call_owned(compute)
}

pub async fn call_shared_owned<T, K, F, Fut>(begun: Begun<'_, 'static, T, K>, compute: F) -> Arc<T>
where
    T: Send + Sync + 'static,
    K: Keep<T>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Arc<T>> + Send + 'static,
{
    let compute = move || {
        let computed = compute();
        async move { Ok::<_, Infallible>(computed.await) }
    };
    match begun.try_call_arc_owned(compute).await {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

pub fn try_call_shared_owned<T, K, E, F, Fut>(
    begun: Begun<'_, 'static, T, K>,
    compute: F,
) -> impl Future<Output = std::result::Result<Arc<T>, E>>
where
    T: Send + Sync + 'static,
    K: Keep<T>,
    E: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = std::result::Result<Arc<T>, E>> + Send + 'static,
{
    begun.try_call_arc_owned(compute)
}
