//! Nodes that tell each other what has changed, so that their copies need not lag.

use std::{
    fmt,
    sync::{Weak, atomic::Ordering},
};

use bytes::Bytes;

use super::{
    Inner,
    message::{Changed, read},
};

/// A way to tell all nodes that share a backend what one of them has changed.
///
/// A [`TieredBackend`](super::TieredBackend) that has one says what it stored over, purged and cleared, and drops the
/// copies of what others say. Nothing depends on it that has to be right: a message that is lost, late, twice or out of
/// order costs the `lag` of a copy, or a read, and no more. So there is no acknowledgement, and nobody waits.
///
/// `RedisBackplane` is one over pub/sub, `RedisTracking` one where the server itself tells; `testing::LocalBackplane` is one
/// within a process.
///
/// # Examples
///
/// One that reaches the nodes in its own process:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::{Arc, Mutex};
/// use axum_caching::{Backplane, Cache, Listener, MemoryBackend, TieredBackend, Ttl, testing::Chaos};
/// use bytes::Bytes;
///
/// #[derive(Clone, Debug, Default)]
/// struct Here(Arc<Mutex<Vec<Listener>>>);
///
/// impl Backplane for Here {
///     fn publish(&self, message: Bytes) {
///         self.0.lock().unwrap().iter().for_each(|listener| listener.hear(&message));
///     }
///     fn subscribe(&self, listener: Listener) {
///         let mut listeners = self.0.lock().unwrap();
///         listeners.retain(Listener::is_wanted);
///         listeners.push(listener);
///     }
/// }
///
/// let (server, backplane) = (Chaos::remote(MemoryBackend::default()), Here::default());
/// let node = || TieredBackend::builder(server.clone()).backplane(backplane.clone()).build();
/// let (here, there) = (Cache::new(node()), Cache::new(node()));
/// here.set("user:7", "Ada", Ttl::Default).await?;
/// assert_eq!(there.get::<String>("user:7").await?.as_deref(), Some("Ada"));
/// here.delete("user:7").await?;
/// assert_eq!(there.get::<String>("user:7").await?, None);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
pub trait Backplane: fmt::Debug + Send + Sync + 'static {
    /// Sends a message to all nodes that listen, this one included or not. It returns at once: what cannot be sent soon
    /// is dropped. It does nothing where the backend itself tells of changes.
    fn publish(&self, message: Bytes);

    /// Hands what is sent from now on to a listener, for as long as that is [wanted](Listener::is_wanted) and the
    /// connection can be had; it is called on a tokio runtime, on which a task may be spawned. A listener that is dropped
    /// is replaced by a new one, with the next read.
    fn subscribe(&self, listener: Listener);
}

/// The end of a [`Backplane`] at which a node listens.
///
/// Dropped, it says that nothing will come any more: the node drops all its copies, and subscribes anew with its next
/// read.
///
/// # Examples
///
/// A task that receives messages:
///
/// ```
/// use axum_caching::Listener;
/// use bytes::Bytes;
/// use tokio::sync::mpsc::Receiver;
///
/// async fn receive(mut messages: Receiver<Bytes>, listener: Listener) {
///     while let Some(message) = messages.recv().await {
///         listener.hear(&message);
///     }
///     listener.lose(); // until it is connected again
/// }
/// # fn assert_send<T: Send>(_: T) {}
/// # let (_, messages) = tokio::sync::mpsc::channel(1);
/// # assert_send(|listener| receive(messages, listener));
/// ```
pub struct Listener(pub(super) Weak<Inner>);

impl Listener {
    /// Takes a message: drops the copies of what it says has changed. One of this node itself is known and ignored, and
    /// one that cannot be read takes all copies away.
    pub fn hear(&self, message: &[u8]) {
        let Some(inner) = self.0.upgrade() else { return };
        match read(message) {
            Some((node, _)) if node == inner.node => {}
            Some((_, Changed::Keys(keys))) => keys.iter().for_each(|key| inner.copies.forget(key)),
            Some((_, Changed::Prefix(prefix))) => inner.copies.forget_prefix(prefix),
            None => inner.copies.forget_prefix(""),
        }
    }

    /// Drops the copies of these keys, which somebody has changed, this node or another: for a [`Backplane`] that learns of
    /// changes from the backend itself, and not by messages.
    ///
    /// ```
    /// use axum_caching::Listener;
    ///
    /// fn hear(listener: &Listener, line: &str) {
    ///     match line.split_once(' ') {
    ///         Some(("changed", keys)) => listener.changed(keys.split(' ')),
    ///         _ => listener.lose(), // whatever it was
    ///     }
    /// }
    /// # let _: fn(&Listener, &str) = hear;
    /// ```
    pub fn changed<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        if let Some(inner) = self.0.upgrade() {
            keys.into_iter().for_each(|key| inner.copies.forget(key));
        }
    }

    /// Messages may have been missed, as those are that are sent while there is no connection: all copies are dropped.
    /// To be called when a connection is lost, and again when there is a new one.
    pub fn lose(&self) {
        if let Some(inner) = self.0.upgrade() {
            inner.copies.forget_prefix("");
        }
    }

    /// Whether there still is a node that listens.
    pub fn is_wanted(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.copies.forget_prefix("");
            inner.listens.store(false, Ordering::Release);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("is_wanted", &self.is_wanted()).finish()
    }
}
