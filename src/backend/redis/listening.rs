//! A connection on which a node hears what was changed, made anew when it is lost.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, PushInfo, PushKind, RedisResult, Value as Answer, aio::MultiplexedConnection};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{inner::Inner, rungs::Rung, source::is_too_old};
use crate::backend::Listener;

/// How often a connection on which nothing comes is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(5);

/// The wait after a connection that was lost, or could not be had.
const PAUSE: Duration = Duration::from_millis(250);

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Nobody publishes there. Whoever subscribes to something is bounded by the server: what it has not read yet, for which
/// other connections may have as much as the server has memory.
const NOTHING: &str = "axum-caching:tracking";

/// What a node listens to.
pub(super) enum To {
    /// What the nodes publish on a channel.
    Channel(String),
    /// What the server says of the keys that begin so.
    Keys(String),
}

impl To {
    /// Has the server begin.
    async fn begin(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        match self {
            Self::Channel(channel) => connection.subscribe(channel).await,
            Self::Keys(prefix) => {
                let mut command = Cmd::new();
                command.arg("CLIENT").arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(prefix);
                connection.send_packed_command(&command).await.and_then(Answer::extract_error)?;
                // It is allowed to be forbidden.
                let _ = connection.subscribe(NOTHING).await;
                Ok(())
            }
        }
    }

    /// What the server says. It is called where the connection is read, so nothing piles up.
    fn hear(&self, push: &PushInfo, listener: &Listener) {
        match (self, &push.kind, &push.data[..]) {
            (Self::Channel(_), PushKind::Message, [_, Answer::BulkString(message)]) => listener.hear(message),
            (Self::Keys(_), PushKind::Invalidate, [Answer::Array(keys)]) => {
                listener.changed(keys.iter().filter_map(key));
            }
            // Nothing in place of keys: the server was emptied.
            (Self::Keys(_), PushKind::Invalidate, _) => listener.lose(),
            _ => {}
        }
    }

    /// Notes that it has begun, or that the server cannot do it.
    fn judge(&self, inner: &Inner, begun: bool) {
        match self {
            Self::Keys(_) if begun => inner.rungs.regained(Rung::Tracking),
            Self::Keys(_) => inner.rungs.lacks(Rung::Tracking),
            Self::Channel(_) => {}
        }
    }
}

/// A key that is no text is none of ours.
fn key(key: &Answer) -> Option<&str> {
    let Answer::BulkString(key) = key else { return None };
    std::str::from_utf8(key).ok()
}

/// Hands on what comes, over one connection after the other, until nobody listens any more.
pub(super) async fn listen(inner: Arc<Inner>, to: To, listener: Listener) {
    let (to, listener) = (Arc::new(to), Arc::new(listener));
    let mut pause = PAUSE;
    while listener.is_wanted() {
        if let Some(connection) = connect(&inner, &to, &listener).await {
            pause = PAUSE;
            // What was said until now was not heard.
            listener.lose();
            connection.last(&inner, &listener).await;
            listener.lose();
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A connection on which the server says what it is to say.
struct Connected {
    connection: MultiplexedConnection,
    lost: Arc<Notify>,
}

async fn connect(inner: &Inner, to: &Arc<To>, listener: &Arc<Listener>) -> Option<Connected> {
    let lost = Arc::new(Notify::new());
    let (tell, of, hears) = (Arc::clone(&lost), Arc::clone(to), Arc::clone(listener));
    let push = move |push: PushInfo| {
        match push.kind {
            PushKind::Disconnection => tell.notify_one(),
            _ => of.hear(&push, &hears),
        }
        Ok::<(), ()>(())
    };
    let mut connection = match inner.primary.listening(push).await {
        Ok(connection) => connection,
        Err(error) => {
            if is_too_old(&error) {
                to.judge(inner, false);
            }
            return None;
        }
    };
    match timeout(inner.primary.patience(), to.begin(&mut connection)).await {
        Ok(Ok(())) => to.judge(inner, true),
        Ok(Err(error)) if error.code().is_some() => {
            to.judge(inner, false);
            return None;
        }
        _ => return None,
    }
    Some(Connected { connection, lost })
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
