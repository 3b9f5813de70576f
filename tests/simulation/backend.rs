//! A server that all nodes share: what it is told takes effect some time later, and is answered some time after that.

use std::{fmt, time::Duration};

use axum_caching::{Backend, BackendFuture, Error, ErrorKind, Result, Value};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    setup::Class,
    table::name,
    world::{Fault, State, Step, World},
};

/// The connection of one node.
#[derive(Clone)]
pub struct Shared {
    pub world: World,
    pub node: usize,
    pub class: Class,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("node", &self.node).finish_non_exhaustive()
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::Connect, "the connection broke")
}

impl Shared {
    /// An operation is the server's once it was sent: it goes on if nobody waits for its answer any more.
    fn operate<'a, T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        effect: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> BackendFuture<'a, T> {
        let (node, world, label) = (self.node, self.world.clone(), format!("{}: {operation} {}", self.node, name(key)));
        BackendFuture::new(async move {
            let (answer, answered) = oneshot::channel();
            world.push(node, label, move |state, fault| {
                let is_cut_off = state.is_cut_off(node) && fault != Fault::Late;
                arrive(state, if is_cut_off { Fault::Before } else { fault }, effect, answer)
            });
            answered.await.unwrap_or_else(|_| Err(broken()))
        })
    }
}

/// The operation is at the server, or was lost on its way there, or was held up while its sender was told that it was
/// lost.
fn arrive<T: Send + 'static>(
    state: &mut State,
    fault: Fault,
    effect: impl FnOnce(&mut State) -> T + Send + 'static,
    answer: oneshot::Sender<Result<T>>,
) -> Option<Step> {
    let answered = match fault {
        Fault::Unsent if answer.is_closed() => return None,
        Fault::None | Fault::Unsent => Ok(effect(state)),
        Fault::Before => Err(broken()),
        Fault::After => {
            effect(state);
            Err(broken())
        }
        Fault::Late => {
            let _ = answer.send(Err(broken()));
            return Some(Step::new(move |state, _| {
                effect(state);
                None
            }));
        }
    };
    Some(Step::new(move |_, _| {
        // Whoever asked may be gone.
        let _ = answer.send(answered);
        None
    }))
}

impl Backend for Shared {
    fn compares(&self) -> bool {
        self.class == Class::Compares
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        let own = key.to_owned();
        self.operate("get", key, move |state| state.table.get(&own).map(Value::from_bytes))
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        let own: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        self.operate("get_many", keys.first().copied().unwrap_or_default(), move |state| {
            own.iter().map(|key| state.table.get(key).map(Value::from_bytes)).collect()
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        let (own, bytes) = (key.to_owned(), to_bytes(&value));
        self.world.note_store(&bytes);
        self.operate("set", key, move |state| state.table.set(own, bytes, ttl))
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        let (own, bytes) = (key.to_owned(), to_bytes(&value));
        self.operate("add", key, move |state| {
            let is_absent = state.table.get(&own).is_none();
            if is_absent {
                state.table.set(own, bytes, ttl);
            }
            is_absent
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        let own = key.to_owned();
        self.operate("delete", key, move |state| state.table.remove(&own))
    }

    fn increment<'a>(&'a self, _: &'a str, _: i64) -> BackendFuture<'a, i64> {
        BackendFuture::ready(Err(Error::new(ErrorKind::Unsupported, "nobody counts here")))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        let own = prefix.to_owned();
        self.operate("clear", prefix, move |state| state.table.clear(&own))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        if !self.compares() {
            return BackendFuture::ready(Err(Error::new(ErrorKind::Unsupported, "it does not compare")));
        }
        let (own, token, bytes) = (key.to_owned(), token.to_vec(), to_bytes(&value));
        self.world.note_store(&bytes);
        self.operate("compare_and_set", key, move |state| {
            let is_same = state.table.get(&own).is_some_and(|now| now.starts_with(&token));
            if is_same {
                state.table.set(own, bytes, ttl);
            }
            is_same
        })
    }
}

fn to_bytes(value: &Value) -> Bytes {
    value.to_bytes().expect("plain data")
}
