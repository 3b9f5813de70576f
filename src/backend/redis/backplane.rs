//! Nodes that tell each other what they change, by pub/sub.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use redis::{Cmd, PushInfo, PushKind, Value as Answer, aio::MultiplexedConnection};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

use super::{RedisBackend, inner::Inner, wire::Wait};
use crate::backend::{Backplane, Listener};

/// So many messages wait to be sent; more are dropped.
const QUEUE: usize = 1_000;

/// So many are sent in one go.
const BATCH: usize = 100;

/// How often a connection on which nothing comes is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(5);

/// The wait after a connection that was lost, or could not be had.
const PAUSE: Duration = Duration::from_millis(250);

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A [`Backplane`] over pub/sub of the server, the sentinels' master or the cluster of a [`RedisBackend`].
///
/// It listens on a connection of its own, which is made anew when it is lost, and sends over that of the backend. It needs
/// `SUBSCRIBE` and `PUBLISH`, and RESP3, which Redis has since version 6 and every Valkey: where one of them is lacking the
/// nodes do not hear of each other, and copies lag as they do without it.
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
            drop(runtime.spawn(listen(Arc::clone(&self.0.inner), self.0.channel.clone(), listener)));
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

/// Hands on what comes, over one connection after the other, until nobody listens any more.
async fn listen(inner: Arc<Inner>, channel: String, listener: Listener) {
    let listener = Arc::new(listener);
    let mut pause = PAUSE;
    while listener.is_wanted() {
        if let Some(connection) = connect(&inner, &channel, &listener).await {
            pause = PAUSE;
            // What was sent until now was not heard.
            listener.lose();
            connection.last(&inner, &listener).await;
            listener.lose();
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A connection that is subscribed.
struct Connected {
    connection: MultiplexedConnection,
    lost: Arc<Notify>,
}

async fn connect(inner: &Inner, channel: &str, listener: &Arc<Listener>) -> Option<Connected> {
    let lost = Arc::new(Notify::new());
    let (tell, hears) = (Arc::clone(&lost), Arc::clone(listener));
    let push = move |push: PushInfo| {
        match (&push.kind, &push.data[..]) {
            (PushKind::Disconnection, _) => tell.notify_one(),
            (PushKind::Message, [_, Answer::BulkString(message)]) => hears.hear(message),
            _ => {}
        }
        Ok::<(), ()>(())
    };
    let mut connection = inner.primary.listening(push).await?;
    let subscribed = timeout(inner.primary.patience(), connection.subscribe(channel)).await;
    matches!(subscribed, Ok(Ok(()))).then_some(Connected { connection, lost })
}

impl Connected {
    /// Returns when the connection is lost, or nobody listens any more.
    async fn last(mut self, inner: &Inner, listener: &Listener) {
        loop {
            if timeout(QUIET, self.lost.notified()).await.is_ok() || !listener.is_wanted() {
                return;
            }
            let ping = Cmd::new().arg("PING").to_owned();
            let answer = timeout(inner.primary.patience(), self.connection.send_packed_command(&ping)).await;
            if !matches!(answer, Ok(Ok(_))) {
                return;
            }
        }
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisBackplane").field(&self.0.channel).finish()
    }
}
