//! The operations, and which server is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::{Cmd, RedisError, Value as Answer};

use super::{
    clear, commands,
    fault::{self, Refusal},
    link::Link,
    rungs::{Rung, Rungs},
    wire::{self, Wait, Wire},
};
use crate::{
    error::{Error, ErrorKind, Result},
    value::Value,
};

/// So many keys are asked for, or stored, in one go.
const BATCH: usize = 1_000;

/// So many bytes are sent in one go, if they are more than one value.
const BATCH_BYTES: usize = 4 << 20;

/// Where something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Primary,
    /// From one, if there are any.
    Replica,
}

/// What all clones of a backend share.
pub(super) struct Inner {
    pub(super) what: String,
    pub(super) primary: Arc<Link>,
    pub(super) replicas: Vec<Arc<Link>>,
    next_replica: AtomicUsize,
    pub(super) rungs: Arc<Rungs>,
    pub(super) scripts: bool,
    max_value: usize,
}

impl Inner {
    pub(super) fn new(
        what: String,
        primary: Arc<Link>,
        replicas: Vec<Arc<Link>>,
        rungs: Arc<Rungs>,
        scripts: bool,
        max_value: usize,
    ) -> Self {
        Self { what, primary, replicas, next_replica: AtomicUsize::new(0), rungs, scripts, max_value }
    }

    /// A replica that is connected, in turn, to read these keys from; `None` if any of them decides whether an entry
    /// holds. One that is not is connected to meanwhile, and not waited for: the primary has everything.
    fn replica_for(&self, keys: &[&str]) -> Option<Wire> {
        if self.replicas.is_empty() || keys.iter().any(|key| key.contains("@t/")) {
            return None;
        }
        let first = self.next_replica.fetch_add(1, Ordering::Relaxed) % self.replicas.len();
        let (before, from) = self.replicas.split_at(first);
        from.iter().chain(before).find_map(Link::wire_now)
    }

    async fn read(&self, from: Side, keys: &[&str], command: &Cmd) -> Result<Result<Answer, RedisError>> {
        if from == Side::Replica {
            if let Some(wire) = self.replica_for(keys) {
                if let Ok(answer) = wire.ask(command, Wait::Bounded).await {
                    return Ok(Ok(answer));
                }
            }
        }
        self.primary.read(command).await
    }

    pub(super) async fn get_from(&self, from: Side, key: &str) -> Result<Option<Value>> {
        let answer = self.read(from, &[key], &commands::of_key("GET", key)).await?;
        commands::value(answer.map_err(|error| fault::translate(&error))?)
    }

    pub(super) async fn write(&self, command: &Cmd) -> Result<Answer> {
        self.primary.write(command).await?.map_err(|error| fault::translate(&error))
    }

    /// Asks with a command that may be lacking; `None` if it is.
    pub(super) async fn try_read(
        &self,
        from: Side,
        rung: Rung,
        keys: &[&str],
        command: &Cmd,
    ) -> Result<Option<Answer>> {
        if !self.rungs.has(rung) {
            return Ok(None);
        }
        match self.read(from, keys, command).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if fault::refusal(&error) == Some(Refusal::Command) => {
                self.rungs.lacks(rung);
                Ok(None)
            }
            Err(error) => Err(fault::translate(&error)),
        }
    }

    pub(super) async fn get_many(&self, from: Side, keys: &[&str]) -> Result<Vec<Option<Value>>> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            let answers =
                match self.try_read(from, Rung::MGet, keys, &commands::of_keys("MGET", keys.iter().copied())).await? {
                    Some(Answer::Array(answers)) if answers.len() == keys.len() => answers,
                    Some(_) => return Err(fault::unexpected()),
                    None => {
                        let gets = keys.iter().map(|key| commands::of_key("GET", key)).collect();
                        let wire = self.primary.wire().await?;
                        wire::each(wire.ask_all(gets, Wait::Bounded).await.map_err(|error| fault::translate(&error))?)?
                    }
                };
            for answer in answers {
                values.push(commands::value(answer)?);
            }
        }
        Ok(values)
    }

    pub(super) async fn set_many(&self, entries: &[(&str, Value)], ttl: Option<Duration>) -> Result<()> {
        let mut commands = Vec::new();
        let mut bytes = 0;
        for (key, value) in entries {
            let value = self.bytes(value)?;
            bytes += value.len();
            commands.push(commands::set(key, &value, ttl));
            if commands.len() >= BATCH || bytes >= BATCH_BYTES {
                self.store_all(std::mem::take(&mut commands)).await?;
                bytes = 0;
            }
        }
        if commands.is_empty() { Ok(()) } else { self.store_all(commands).await }
    }

    async fn store_all(&self, commands: Vec<Cmd>) -> Result<()> {
        let wire = self.primary.wire().await?;
        let answers = wire.ask_all(commands, Wait::Unbounded).await.map_err(|error| fault::translate(&error))?;
        wire::each(answers).map(drop)
    }

    pub(super) async fn delete_many(&self, keys: &[&str]) -> Result<usize> {
        let mut deleted = 0;
        for keys in keys.chunks(BATCH) {
            deleted += clear::delete(&self.primary.wire().await?, &self.rungs, keys).await?;
        }
        Ok(deleted)
    }

    pub(super) async fn increment(&self, key: &str, by: i64) -> Result<i64> {
        let lacking =
            || Error::message(ErrorKind::Unsupported, "`increment` needs INCRBY, which this user may not run");
        if !self.rungs.has(Rung::IncrBy) {
            return Err(lacking());
        }
        let mut command = commands::of_key("INCRBY", key);
        command.arg(by);
        match self.primary.write(&command).await? {
            Ok(answer) => commands::integer(&answer),
            Err(error) if fault::refusal(&error) == Some(Refusal::Command) => {
                self.rungs.lacks(Rung::IncrBy);
                Err(lacking())
            }
            Err(error) => Err(fault::adding(&error)),
        }
    }

    pub(super) fn bytes(&self, value: &Value) -> Result<Bytes> {
        let bytes = value.to_bytes()?;
        if bytes.len() > self.max_value {
            let text = format!("{} bytes, expected {} at most (`max_value_bytes`)", bytes.len(), self.max_value);
            return Err(Error::message(ErrorKind::TooLarge, text));
        }
        Ok(bytes)
    }
}
