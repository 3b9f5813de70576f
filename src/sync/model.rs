//! What loom does not have: a map, a waiting line for tasks, and something to run futures on. Each is made of loom's
//! own parts, since it explores only the orders of what goes through them.

use std::{
    collections::BTreeMap,
    future::Future,
    marker::PhantomData,
    mem,
    ops::{Deref, DerefMut},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
};

/// How often a thread that could go on is stopped for another, at most. All orders within it are explored. Of the rules
/// that were broken on purpose one takes three to be found out.
const PREEMPTIONS: usize = 3;

/// The stack of a thread, in words. loom's own are too small for the futures of a cache that is not optimized.
const STACK: usize = 0x1_0000;

/// Runs something in every order.
pub(crate) fn explore(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    let run = Arc::new(run);
    builder.check(move || {
        let run = Arc::clone(&run);
        join(spawn(move || run()));
    });
}

pub(crate) fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    loom::thread::Builder::new().stack_size(STACK).spawn(run).expect("loom starts threads")
}

pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("it did not panic")
}

/// Runs a future on the thread it is called on. loom's own wakes for nothing now and then, which hides a wake-up that
/// was lost.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let thread = Arc::new(Thread::default());
    let waker = Waker::from(Arc::clone(&thread));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut is_woken = lock(&thread.is_woken);
        while !mem::take(&mut *is_woken) {
            is_woken = thread.changed.wait(is_woken).expect("loom does not poison");
        }
    }
}

#[derive(Default)]
struct Thread {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        *lock(&self.is_woken) = true;
        self.changed.notify_one();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("loom does not poison")
}

/// tokio's `Notify`, as far as it is used: a call wakes all who came before it, those not polled yet included.
#[derive(Debug, Default)]
pub(crate) struct Notify(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    calls: usize,
    waiting: Vec<(usize, Waker)>,
    next: usize,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, calls: lock(&self.0).calls, place: None }
    }

    pub(crate) fn notify_waiters(&self) {
        let mut line = lock(&self.0);
        line.calls += 1;
        let waiting = mem::take(&mut line.waiting);
        drop(line);
        for (_, waker) in waiting {
            waker.wake();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    calls: usize,
    place: Option<usize>,
}

impl Notified<'_> {
    fn leave(&mut self, line: &mut Line) {
        if let Some(place) = self.place.take() {
            line.waiting.retain(|(other, _)| *other != place);
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut line = lock(&self.notify.0);
        self.leave(&mut line);
        if line.calls != self.calls {
            return Poll::Ready(());
        }
        line.next += 1;
        self.place = Some(line.next);
        let place = line.next;
        line.waiting.push((place, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.leave(&mut lock(&self.notify.0));
        }
    }
}

/// A `DashMap` of one shard, as far as it is used. It is ordered: loom repeats a run, and needs it to go the same way.
#[derive(Debug)]
pub(crate) struct DashMap<K: Ord, V, S = ()>(Mutex<BTreeMap<K, V>>, PhantomData<S>);

impl<K: Ord, V, S> Default for DashMap<K, V, S> {
    fn default() -> Self {
        Self(Mutex::default(), PhantomData)
    }
}

impl<K: Ord + Clone, V, S> DashMap<K, V, S> {
    pub(crate) fn entry(&self, key: K) -> Entry<'_, K, V> {
        let map = lock(&self.0);
        let is_there = map.contains_key(&key);
        let place = Place { map, key };
        if is_there { Entry::Occupied(place) } else { Entry::Vacant(place) }
    }

    /// The shard is locked until the last of them is gone.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Item<'_, K, V>> {
        let map = Rc::new(lock(&self.0));
        let keys: Vec<K> = map.keys().cloned().collect();
        keys.into_iter().map(move |key| Item { map: Rc::clone(&map), key })
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

pub(crate) enum Entry<'a, K: Ord, V> {
    Occupied(Place<'a, K, V>),
    Vacant(Place<'a, K, V>),
}

impl<'a, K: Ord + Clone, V> Entry<'a, K, V> {
    pub(crate) fn or_insert_with(self, make: impl FnOnce() -> V) -> Place<'a, K, V> {
        match self {
            Self::Occupied(place) => place,
            Self::Vacant(mut place) => {
                place.map.insert(place.key.clone(), make());
                place
            }
        }
    }

    pub(crate) fn or_default(self) -> Place<'a, K, V>
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

/// What is under a key, and the lock of the shard.
pub(crate) struct Place<'a, K: Ord, V> {
    map: MutexGuard<'a, BTreeMap<K, V>>,
    key: K,
}

impl<K: Ord, V> Place<'_, K, V> {
    pub(crate) fn get(&self) -> &V {
        &self.map[&self.key]
    }

    pub(crate) fn get_mut(&mut self) -> &mut V {
        self.map.get_mut(&self.key).expect("occupied")
    }

    pub(crate) fn remove(mut self) {
        self.map.remove(&self.key);
    }
}

impl<K: Ord, V> Deref for Place<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.get()
    }
}

impl<K: Ord, V> DerefMut for Place<'_, K, V> {
    fn deref_mut(&mut self) -> &mut V {
        self.get_mut()
    }
}

/// One of those that [`DashMap::iter`] gives.
pub(crate) struct Item<'a, K: Ord, V> {
    map: Rc<MutexGuard<'a, BTreeMap<K, V>>>,
    key: K,
}

impl<K: Ord, V> Item<'_, K, V> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Ord, V> Deref for Item<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.map[&self.key]
    }
}
