use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::backend::{Backplane, Listener};

/// A [`Backplane`] within a process: each message is heard before [`publish`](Backplane::publish) returns.
///
/// Clones are the same one. A test [cuts](LocalBackplane::cut) it, as a network does.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, MemoryBackend, TieredBackend, Ttl, testing::{Chaos, LocalBackplane}};
///
/// let (server, backplane) = (Chaos::remote(MemoryBackend::default()), LocalBackplane::default());
/// let node = || Cache::new(TieredBackend::builder(server.clone()).backplane(backplane.clone()).build());
/// let (here, there) = (node(), node());
/// here.set("user:7", "Ada", Ttl::Default).await?;
/// assert_eq!(there.get::<String>("user:7").await?.as_deref(), Some("Ada"));
/// here.delete("user:7").await?;
/// assert_eq!(there.get::<String>("user:7").await?, None, "at once");
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct LocalBackplane(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    listeners: Vec<Arc<Listener>>,
    is_cut: bool,
    messages: Vec<Bytes>,
}

impl LocalBackplane {
    /// From here on messages get lost without anybody knowing, or are heard again.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, TieredBackend, Ttl, testing::{Chaos, LocalBackplane}};
    /// # let (server, backplane) = (Chaos::remote(MemoryBackend::default()), LocalBackplane::default());
    /// # let node = || Cache::new(TieredBackend::builder(server.clone()).backplane(backplane.clone()).build());
    /// # let (here, there) = (node(), node());
    /// here.set("user:7", "Ada", Ttl::Default).await?;
    /// there.get::<String>("user:7").await?;
    /// backplane.cut(true);
    /// here.delete("user:7").await?;
    /// assert!(there.get::<String>("user:7").await?.is_some(), "until its copy is no longer trusted");
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub fn cut(&self, is_cut: bool) {
        self.lock().is_cut = is_cut;
    }

    /// All messages that were published, those that got lost included.
    pub fn messages(&self) -> Vec<Bytes> {
        self.lock().messages.clone()
    }

    /// Has all nodes hear a message, whatever was said of it before.
    pub fn repeat(&self, message: &[u8]) {
        let listeners = self.lock().listeners.clone();
        for listener in &listeners {
            listener.hear(message);
        }
    }

    /// Drops all listeners, as a connection that breaks for good: the nodes subscribe anew.
    pub fn disconnect(&self) {
        // Dropped outside of the lock: a node may subscribe at once.
        let listeners = std::mem::take(&mut self.lock().listeners);
        drop(listeners);
    }

    /// How many nodes listen.
    pub fn listeners(&self) -> usize {
        self.lock().listeners.iter().filter(|listener| listener.is_wanted()).count()
    }

    // A list that somebody panicked over is still a list.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backplane for LocalBackplane {
    fn publish(&self, message: Bytes) {
        let mut state = self.lock();
        state.messages.push(message.clone());
        if state.is_cut {
            return;
        }
        drop(state);
        self.repeat(&message);
    }

    fn subscribe(&self, listener: Listener) {
        let mut state = self.lock();
        state.listeners.retain(|listener| listener.is_wanted());
        state.listeners.push(Arc::new(listener));
    }
}
