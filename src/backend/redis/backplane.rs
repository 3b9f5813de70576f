//! Nodes that tell each other what they change, by pub/sub.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use redis::Cmd;
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    RedisBackend,
    inner::Inner,
    listening::{To, listen},
    wire::Wait,
};
use crate::backend::{Backplane, Listener};

/// So many messages wait to be sent; more are dropped.
const QUEUE: usize = 1_000;

/// So many are sent in one go.
const BATCH: usize = 100;

/// A [`Backplane`] over pub/sub of the server, the sentinels' master or the cluster of a [`RedisBackend`].
///
/// It listens on a connection of its own, which is made anew when it is lost, and sends over that of the backend. It needs
/// `SUBSCRIBE` and `PUBLISH`, and RESP3, which Redis has since version 6 and every Valkey: where one of them is lacking the
/// nodes do not hear of each other, and copies lag as they do without it. What others than such nodes change, nobody publishes:
/// [`RedisTracking`](super::RedisTracking) hears of it.
///
/// # Examples
///
/// ```
/// use axum_caching::{Cache, RedisBackend, TieredBackend};
///
/// let redis = RedisBackend::new("redis://localhost")?;
/// let tier = TieredBackend::builder(redis.clone()).backplane(redis.backplane("shop")).build();
/// assert!(format!("{tier:?}").contains(r#"RedisBackplane("axum-caching:shop")"#));
/// let cache = Cache::new(tier);
/// # Ok::<(), axum_caching::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisBackplane(Arc<Plane>);

struct Plane {
    inner: Arc<Inner>,
    channel: String,
    /// The way to the task that sends.
    queue: Mutex<Option<mpsc::Sender<Bytes>>>,
}

impl RedisBackend {
    /// A backplane over this server, for nodes that give it the same name. Nodes with different entries should have
    /// different names; they would drop copies for nothing.
    ///
    /// The channel is `axum-caching:` and the name; the database makes no difference to it. [`RedisBackplane`] has an
    /// example.
    pub fn backplane(&self, name: &str) -> RedisBackplane {
        let channel = format!("axum-caching:{name}");
        RedisBackplane(Arc::new(Plane { inner: Arc::clone(&self.inner), channel, queue: Mutex::default() }))
    }
}

impl Backplane for RedisBackplane {
    fn publish(&self, message: Bytes) {
        let mut queue = self.0.queue();
        let message = match queue.as_ref().map(|queue| queue.try_send(message.clone())) {
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) => return,
            // There is no task yet, or its runtime has ended.
            Some(Err(mpsc::error::TrySendError::Closed(message))) => message,
            None => message,
        };
        let Ok(runtime) = Handle::try_current() else { return };
        let (send, messages) = mpsc::channel(QUEUE);
        // There is room: it is new.
        let _ = send.try_send(message);
        *queue = Some(send);
        drop(runtime.spawn(send_all(Arc::clone(&self.0.inner), self.0.channel.clone(), messages)));
    }

    fn subscribe(&self, listener: Listener) {
        if let Ok(runtime) = Handle::try_current() {
            let to = To::Channel(self.0.channel.clone());
            drop(runtime.spawn(listen(Arc::clone(&self.0.inner), to, listener)));
        }
    }
}

impl Plane {
    // A panic under this lock is not possible; if it was, the queue is still a queue.
    fn queue(&self) -> MutexGuard<'_, Option<mpsc::Sender<Bytes>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what comes, until nobody can send any more. What the server does not take is lost.
async fn send_all(inner: Arc<Inner>, channel: String, mut messages: mpsc::Receiver<Bytes>) {
    let mut batch = Vec::new();
    while messages.recv_many(&mut batch, BATCH).await > 0 {
        let command = |message: Bytes| {
            let mut command = Cmd::new();
            command.arg("PUBLISH").arg(&channel).arg(&message[..]);
            command
        };
        let commands: Vec<_> = batch.drain(..).map(command).collect();
        if let Ok(wire) = inner.primary.wire().await {
            let _ = wire.ask_all(commands, Wait::Bounded).await;
        }
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisBackplane").field(&self.0.channel).finish()
    }
}
