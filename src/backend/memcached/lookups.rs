//! What is read.

use std::num::NonZeroU64;

use bytes::Bytes;

use super::{
    MemcachedBackend, all,
    builder::LARGEST_READ,
    connection::Connection,
    item::{Item, is_over},
    key::{Listed, Name},
    pieces::{self, Pieces},
    protocol::{About, Batch, Reply, WireKey},
    server::Server,
    stamped::{Answered, Purpose},
};
use crate::{backend::BackendFuture, clock::Clock, error::Result, value::Value};

/// So many keys are asked for in one batch.
pub(super) const BATCH: usize = 256;

/// The key of an entry under the stamps of now.
pub(super) fn wire_key<'a>(clears: &super::clears::Clears, key: &str, name: &'a Name<'_>) -> WireKey<'a> {
    WireKey { stamp: Some(clears.stamp(key)), text: &name.text }
}

/// Whether a server has something under a key that is not over.
pub(super) fn is_live(clock: &Clock, reply: &Reply, whole: Option<&str>) -> bool {
    match reply {
        Reply::Done(about) => !is_over(about, clock.now()),
        Reply::Value(about, bytes) => {
            Item::read(about, bytes.clone(), whole).is_some_and(|item| item.end > clock.now())
        }
        _ => false,
    }
}

/// What a reply comes to, as far as it says.
enum Found {
    Nothing,
    Value(Value),
    /// An entry that names its pieces, and its `cas`.
    Pieces(Bytes, u64),
    /// Other bytes than ours, and their `cas`.
    Unreadable(u64),
}

impl MemcachedBackend {
    pub(super) async fn look_up(&self, key: &str) -> Result<Option<Value>> {
        let name = Name::new(key);
        let server = self.server(&name);
        let answered = server.stamped(Purpose::Read, |clears, batch| batch.get(wire_key(clears, key, &name))).await?;
        let Some(mut answered) = answered else { return Ok(None) };
        match self.found(server, answered.last(), &name, &answered.connection)? {
            Found::Nothing => Ok(None),
            Found::Value(value) => Ok(Some(value)),
            // Boxed, since hardly any value is one of these, and all would have the room for it.
            rest => Box::pin(self.rest(server, &answered, key, &name, rest)).await,
        }
    }

    fn found(&self, server: &Server, reply: Reply, name: &Name<'_>, connection: &Connection) -> Result<Found> {
        let (about, bytes) = match reply {
            Reply::Value(about, bytes) => (about, bytes),
            Reply::Absent => return Ok(Found::Nothing),
            other => return Err(server.unexpected(connection, &other)),
        };
        Ok(match Item::read(&about, bytes, name.whole) {
            None => Found::Unreadable(about.cas),
            // Left alone: an `add` stores over it.
            Some(item) if item.end <= self.0.clock.now() => Found::Nothing,
            Some(item) if item.in_pieces => Found::Pieces(item.value, about.cas),
            Some(item) => Found::Value(Value::from_bytes(item.value)),
        })
    }

    /// The value of what is in pieces. What lacks one, or cannot be read, is taken away: it would keep an `add` from the key.
    async fn rest(
        &self,
        server: &Server,
        answered: &Answered,
        key: &str,
        name: &Name<'_>,
        found: Found,
    ) -> Result<Option<Value>> {
        let cas = match found {
            Found::Nothing => return Ok(None),
            Found::Value(value) => return Ok(Some(value)),
            Found::Unreadable(cas) => cas,
            Found::Pieces(entry, cas) => match Pieces::read(entry) {
                // Somebody else's, who takes more.
                Some(pieces) if pieces.size > self.largest() => return Ok(None),
                Some(pieces) => match self.join(&pieces).await? {
                    Some(value) => return Ok(Some(Value::from_bytes(value))),
                    None => cas,
                },
                None => cas,
            },
        };
        if let Some(cas) = NonZeroU64::new(cas) {
            let mut batch = server.batch();
            batch.delete_still(wire_key(&answered.reading.clears, key, name), cas);
            // It was a miss before this too. The `cas` means something on this connection alone.
            let _ = server.ask(&answered.connection, &batch).await;
        }
        Ok(None)
    }

    /// What was read, if it is an entry that is not over.
    pub(super) fn item(&self, about: &About, bytes: Bytes, name: &Name<'_>) -> Option<Item> {
        Item::read(about, bytes, name.whole).filter(|item| item.end > self.0.clock.now())
    }

    /// So large a value is put together, whoever split it.
    pub(super) fn largest(&self) -> usize {
        self.0.split.max(self.0.item_limit).max(LARGEST_READ)
    }

    /// The value of an entry that names its pieces. `None`: it is not there as a whole.
    pub(super) async fn join(&self, pieces: &Pieces) -> Result<Option<Bytes>> {
        let keys = pieces.keys();
        let mut parts: Vec<Option<Bytes>> = vec![None; keys.len()];
        let ask = |(server, keys)| BackendFuture::new(parts_on(server, keys));
        let shares = self.by_server(keys.iter().enumerate(), |(_, key)| key.as_str());
        let found = all(shares.into_iter().map(ask).collect()).await?;
        for (place, part) in found.into_iter().flatten() {
            parts[place] = Some(part);
        }
        Ok(pieces.join(&parts))
    }

    pub(super) async fn is_there(&self, key: &str) -> Result<bool> {
        self.is_there_as(key, &Name::new(key)).await
    }

    pub(super) async fn is_there_as(&self, key: &str, name: &Name<'_>) -> Result<bool> {
        let server = self.server(name);
        let answered = server.stamped(Purpose::Read, |clears, batch| batch.look(wire_key(clears, key, name))).await?;
        let Some(mut answered) = answered else { return Ok(false) };
        match answered.last() {
            Reply::Absent => Ok(false),
            reply @ (Reply::Done(_) | Reply::Value(..)) => Ok(is_live(&self.0.clock, &reply, name.whole)),
            other => Err(server.unexpected(&answered.connection, &other)),
        }
    }

    /// All servers are asked at once, each for all of its keys.
    pub(super) async fn look_up_many(&self, keys: &[&str]) -> Result<Vec<Option<Value>>> {
        let mut values: Vec<Option<Value>> = vec![None; keys.len()];
        let ask = |(server, keys)| BackendFuture::new(self.look_up_on(server, keys));
        let found = all(self.keys_by_server(keys.iter().copied()).into_iter().map(ask).collect()).await?;
        for (place, value) in found.into_iter().flatten() {
            values[place] = Some(value);
        }
        Ok(values)
    }

    async fn look_up_on(&self, server: &Server, keys: Vec<Listed<'_>>) -> Result<Vec<(usize, Value)>> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(BATCH) {
            let fill = |clears: &_, batch: &mut Batch| {
                for one in some {
                    batch.get(wire_key(clears, one.key, &one.name));
                }
            };
            let Some(mut answered) = server.stamped(Purpose::Read, fill).await? else { continue };
            for (one, reply) in some.iter().zip(std::mem::take(&mut answered.replies)) {
                let value = match self.found(server, reply, &one.name, &answered.connection)? {
                    Found::Nothing => None,
                    Found::Value(value) => Some(value),
                    rest => Box::pin(self.rest(server, &answered, one.key, &one.name, rest)).await?,
                };
                found.extend(value.map(|value| (one.place, value)));
            }
        }
        Ok(found)
    }
}

/// The pieces that one server has.
async fn parts_on(server: &Server, keys: Vec<(usize, &String)>) -> Result<Vec<(usize, Bytes)>> {
    let mut found = Vec::with_capacity(keys.len());
    for some in keys.chunks(pieces::AT_ONCE) {
        let mut batch = server.batch();
        for (_, key) in some {
            batch.get(pieces::key(key));
        }
        let connection = server.connection().await?;
        for ((place, _), reply) in some.iter().zip(server.ask(&connection, &batch).await?) {
            match reply {
                Reply::Value(_, part) => found.push((*place, part)),
                Reply::Absent => {}
                other => return Err(server.unexpected(&connection, &other)),
            }
        }
    }
    Ok(found)
}
