//! One connection, which all callers on one runtime share, and whether it is still of use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    Cmd, ErrorKind as Kind, Pipeline, RedisError, RedisResult, ServerErrorKind as Server, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
    cluster_routing::RoutingInfo,
};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::fault;
use crate::error::Error;

/// A connection that is refused as a replica is made anew, but not more often than this.
const YOUNG: Duration = Duration::from_secs(1);

/// As often the client of a cluster of which a node hangs is made anew, since it does not ask the others by itself who
/// has its slots now. The nodes that are well have to wait for that.
const RENEWED: Duration = Duration::from_secs(5);

/// So many commands of one call are under way to a cluster.
const AT_ONCE: usize = 64;

pub(super) enum Connection {
    Server { reads: MultiplexedConnection, writes: MultiplexedConnection },
    Cluster(ClusterConnection),
}

/// How long a caller stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// As long as `response_timeout` says.
    Bounded,
    /// Until there is an answer, or the connection is gone.
    Unbounded,
}

/// Its clones share the connection, which is closed when the last one is dropped.
#[derive(Clone)]
pub(super) struct Wire(Arc<Line>);

struct Line {
    connection: Connection,
    health: Arc<Health>,
    _witness: Witness,
}

/// What is known of a connection without asking.
pub(super) struct Health {
    gone: AtomicBool,
    born: Instant,
    patience: Duration,
    /// Since when answers are owed, in milliseconds since its birth and one more; 0 if none are.
    owed_since: AtomicU64,
    owed: AtomicU32,
}

/// A task that does nothing but end with its runtime, and the connection with it.
struct Witness(AbortHandle);

impl Witness {
    fn new(health: &Arc<Health>) -> Self {
        let on_drop = OnDrop(Arc::clone(health));
        let task = tokio::spawn(async move {
            let _on_drop = on_drop;
            std::future::pending::<()>().await;
        });
        Self(task.abort_handle())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct OnDrop(Arc<Health>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.lost();
    }
}

impl Health {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            gone: AtomicBool::new(false),
            born: Instant::now(),
            patience,
            owed_since: AtomicU64::new(0),
            owed: AtomicU32::new(0),
        }
    }

    pub(super) fn lost(&self) {
        self.gone.store(true, Ordering::Release);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn sent(&self) {
        self.owed.fetch_add(1, Ordering::Relaxed);
        if self.owed_since.load(Ordering::Relaxed) == 0 {
            self.owed_since.store(self.now(), Ordering::Relaxed);
        }
    }

    fn answered(&self) {
        self.owed.store(0, Ordering::Relaxed);
        self.owed_since.store(0, Ordering::Relaxed);
    }

    /// Whether it has owed answers for too long. One call says nothing: its caller may have left before the answer.
    fn is_stuck(&self) -> bool {
        let since = self.owed_since.load(Ordering::Relaxed);
        let late = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
        since != 0 && self.owed.load(Ordering::Relaxed) >= 2 && self.now().saturating_sub(since) > late
    }
}

impl Wire {
    /// Has to be called on the runtime that drives the connection.
    pub(super) fn new(connection: Connection, health: Arc<Health>) -> Self {
        let witness = Witness::new(&health);
        Self(Arc::new(Line { connection, health, _witness: witness }))
    }

    /// Whether calls can be made on it.
    pub(super) fn is_well(&self) -> bool {
        !self.0.health.gone.load(Ordering::Acquire) && !self.0.health.is_stuck()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.health.gone.load(Ordering::Acquire)
    }

    pub(super) fn age(&self) -> Duration {
        self.0.health.born.elapsed()
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.0.connection, Connection::Cluster(_))
    }

    /// Asks one node of a cluster, or several.
    pub(super) async fn route(&self, command: Cmd, routing: RoutingInfo) -> RedisResult<Value> {
        let Connection::Cluster(cluster) = &self.0.connection else { return self.ask(&command, Wait::Bounded).await };
        self.0.health.sent();
        let answer = cluster.clone().route_command(command, routing).await;
        self.hear(answer.and_then(Value::extract_error))
    }

    pub(super) async fn ask(&self, command: &Cmd, wait: Wait) -> RedisResult<Value> {
        self.0.health.sent();
        let answer = match &self.0.connection {
            Connection::Server { reads, writes } => {
                let mut connection = if wait == Wait::Bounded { reads.clone() } else { writes.clone() };
                connection.send_packed_command(command).await
            }
            Connection::Cluster(cluster) => cluster.clone().req_packed_command(command).await,
        };
        self.hear(answer.and_then(Value::extract_error))
    }

    /// Asks many things in one go, and gives each answer; those of a cluster go to their nodes side by side.
    pub(super) async fn ask_all(&self, commands: Vec<Cmd>, wait: Wait) -> RedisResult<Vec<Value>> {
        match &self.0.connection {
            Connection::Server { reads, writes } => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                let count = commands.len();
                for command in commands {
                    pipeline.add_command(command);
                }
                self.0.health.sent();
                let mut connection = if wait == Wait::Bounded { reads.clone() } else { writes.clone() };
                let answers = self.hear(connection.send_packed_commands(&pipeline, 0, count).await)?;
                // An error among them is one of a command, and may say something of the server all the same.
                let error = answers.iter().find_map(|answer| match answer {
                    Value::ServerError(error) => Some(RedisError::from(error.clone())),
                    _ => None,
                });
                if let Some(error) = error {
                    self.hear_error(&error);
                }
                Ok(answers)
            }
            Connection::Cluster(_) => {
                let mut answers = vec![Value::Nil; commands.len()];
                let mut tasks = JoinSet::new();
                let mut commands = commands.into_iter().enumerate();
                let mut failed = None;
                loop {
                    // Each has its time from when it is sent, so they are not sent all at once.
                    let room = if failed.is_none() { AT_ONCE - tasks.len() } else { 0 };
                    for (index, command) in commands.by_ref().take(room) {
                        let wire = self.clone();
                        tasks.spawn(async move { (index, wire.ask(&command, wait).await) });
                    }
                    let Some(done) = tasks.join_next().await else { return failed.map_or(Ok(answers), Err) };
                    match done.map_err(|_| closed()).and_then(|(index, answer)| Ok((index, answer?))) {
                        Ok((index, answer)) => answers[index] = answer,
                        Err(error) if wait == Wait::Bounded => return Err(error),
                        // The others were sent, and may land until they are answered.
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
            }
        }
    }

    /// Notes what an answer says of the connection.
    fn hear<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        match &answer {
            Ok(_) => self.0.health.answered(),
            Err(error) => self.hear_error(error),
        }
        answer
    }

    fn hear_error(&self, error: &RedisError) {
        let is_cluster = self.is_cluster();
        match error.kind() {
            _ if error.is_timeout() => {
                if is_cluster && self.age() > RENEWED {
                    self.0.health.lost();
                }
            }
            // The client of a cluster makes its connections anew itself.
            _ if error.is_unrecoverable_error() && !is_cluster => self.0.health.lost(),
            Kind::Io => {}
            // It was the master, or its name leads elsewhere now.
            Kind::Server(Server::ReadOnly) if self.age() > YOUNG => self.0.health.lost(),
            _ => self.0.health.answered(),
        }
    }
}

fn closed() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into()
}

/// Each answer of a pipeline, or the first error.
pub(super) fn each(answers: Vec<Value>) -> Result<Vec<Value>, Error> {
    answers.into_iter().map(|answer| answer.extract_error().map_err(|error| fault::translate(&error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_gone_with_its_runtime() {
        let health = Arc::new(Health::new(Duration::from_secs(1)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let witness = runtime.block_on(async { Witness::new(&health) });
        assert!(!health.gone.load(Ordering::Acquire));
        drop(runtime);
        assert!(health.gone.load(Ordering::Acquire));
        drop(witness);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_stuck_that_owes_two_answers_for_too_long() {
        let health = Health::new(Duration::from_secs(2));
        health.sent();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!health.is_stuck(), "its caller may have left before the answer");
        health.sent();
        assert!(health.is_stuck());
        health.answered();
        assert!(!health.is_stuck());
        health.sent();
        health.sent();
        assert!(!health.is_stuck(), "not yet");
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(health.is_stuck());
    }
}
