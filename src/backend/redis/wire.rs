//! One connection, which all callers on one runtime share, and whether it is still of use.

use std::{sync::Arc, time::Duration};

use redis::{
    Cmd, ErrorKind as Kind, Pipeline, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
    cluster_routing::RoutingInfo,
};
use tokio::task::JoinSet;

use super::{
    fault,
    health::{Health, Witness},
};
use crate::error::Error;

/// A connection that is refused as a replica is made anew, but not more often than this.
const YOUNG: Duration = Duration::from_secs(1);

/// As often the client of a cluster of which a node hangs is made anew, since it does not ask the others by itself who
/// has its slots now. The nodes that are well have to wait for that.
const RENEWED: Duration = Duration::from_secs(5);

/// So many commands of one call are under way to a cluster.
const AT_ONCE: usize = 64;

#[derive(Clone)]
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

impl Connection {
    fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Asks something that everybody answers, if only by an error; in a cluster all masters.
    async fn ping(self, health: &Health) {
        let command = redis::cmd("PING");
        let answer = match &self {
            Self::Server { writes, .. } => writes.clone().send_packed_command(&command).await,
            Self::Cluster(cluster) => cluster.clone().req_packed_command(&command).await,
        };
        let _ = hear(health, self.is_cluster(), answer);
    }
}

impl Wire {
    /// Has to be called on the runtime that drives the connection.
    pub(super) fn new(connection: Connection, health: Arc<Health>) -> Self {
        let young = if connection.is_cluster() { RENEWED } else { Duration::ZERO };
        let (asks, hears) = (connection.clone(), Arc::clone(&health));
        let witness = Witness::new(&health, young, move || {
            let (asks, hears) = (asks.clone(), Arc::clone(&hears));
            async move { asks.ping(&hears).await }
        });
        Self(Arc::new(Line { connection, health, _witness: witness }))
    }

    /// Whether no calls can be made on it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.0.health.is_gone()
    }

    pub(super) fn age(&self) -> Duration {
        self.0.health.age()
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.0.connection.is_cluster()
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

    fn hear<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        hear(&self.0.health, self.is_cluster(), answer)
    }

    fn hear_error(&self, error: &RedisError) {
        hear_error(&self.0.health, self.is_cluster(), error);
    }
}

/// Notes what an answer says of the connection.
fn hear<T>(health: &Health, is_cluster: bool, answer: RedisResult<T>) -> RedisResult<T> {
    match &answer {
        Ok(_) => health.answered(),
        Err(error) => hear_error(health, is_cluster, error),
    }
    answer
}

fn hear_error(health: &Health, is_cluster: bool, error: &RedisError) {
    match error.kind() {
        _ if error.is_timeout() => {
            if is_cluster && health.age() > RENEWED {
                health.lost();
            }
        }
        // The client of a cluster makes its connections anew itself.
        _ if error.is_unrecoverable_error() && !is_cluster => health.lost(),
        Kind::Io => {}
        // It was the master, or its name leads elsewhere now.
        _ if fault::is_read_only(error) && health.age() > YOUNG => health.lost(),
        _ => health.answered(),
    }
}

fn closed() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into()
}

/// Each answer of a pipeline, or the first error.
pub(super) fn each(answers: Vec<Value>) -> Result<Vec<Value>, Error> {
    answers.into_iter().map(|answer| answer.extract_error().map_err(|error| fault::translate(&error))).collect()
}
