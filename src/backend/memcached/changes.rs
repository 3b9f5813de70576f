//! What is written.

use std::time::Duration;

use bytes::Bytes;

use super::{
    MemcachedBackend, all,
    item::{End, Label, OVERHEAD},
    key::{Listed, Name},
    lookups::{BATCH, is_live, wire_key},
    pieces::{self, Pieces},
    protocol::{Batch, Mode, Reply, Stored},
    server::Server,
    stamped::{ATTEMPTS, Answered, Purpose},
};
use crate::{
    backend::BackendFuture,
    error::{Error, ErrorKind, Result},
    stamps::fresh,
    value::Value,
};

/// So many bytes of values are sent in one batch.
const BYTES: usize = 4 << 20;

/// What is to be stored, as a server gets it.
pub(super) struct Ready {
    label: Label,
    body: Bytes,
}

impl Ready {
    fn stored(&self) -> Stored<'_> {
        let Label { head, flags, expires } = &self.label;
        Stored { head, body: &self.body, flags: *flags, expires: *expires }
    }
}

impl MemcachedBackend {
    /// What there is room for in an entry.
    fn room(&self) -> usize {
        self.0.item_limit - OVERHEAD
    }

    fn fits(&self, name: &Name<'_>, body: &Bytes) -> bool {
        body.len() + name.whole.map_or(0, str::len) <= self.room()
    }

    /// Makes an entry of a value; one that is split has its pieces on the servers after this.
    async fn prepare(&self, name: &Name<'_>, value: &Value, end: End) -> Result<Ready> {
        self.prepare_bytes(name, value.to_bytes()?, end).await
    }

    async fn prepare_bytes(&self, name: &Name<'_>, body: Bytes, end: End) -> Result<Ready> {
        let room = self.room();
        if self.fits(name, &body) {
            return Ok(Ready { label: end.label(name.whole, false), body });
        }
        if body.len() > self.0.split {
            return Err(Error::message(
                ErrorKind::TooLarge,
                format!(
                    "a value of {} bytes, and this MemcachedBackend takes {room} at most; see \
                     MemcachedBackendBuilder::item_limit and split_up_to",
                    body.len()
                ),
            ));
        }
        let label = end.label(name.whole, true);
        let body = Box::pin(self.split(&body, room, label.expires)).await?;
        Ok(Ready { label, body })
    }

    /// Stores the pieces of a value, and gives the entry that names them.
    async fn split(&self, value: &Bytes, room: usize, expires: u32) -> Result<Bytes> {
        let pieces = Pieces::of(value, room, u128::from(fresh()) << 64 | u128::from(fresh()));
        let keys = pieces.keys();
        let store = |(server, keys)| BackendFuture::new(store_parts(server, &pieces, keys, value, expires));
        let shares = self.by_server(keys.iter().enumerate(), |(_, key)| key.as_str());
        all(shares.into_iter().map(store).collect()).await?;
        Ok(pieces.write())
    }

    pub(super) async fn store(&self, key: &str, value: Value, ttl: Option<Duration>) -> Result<()> {
        let name = Name::new(key);
        let server = self.server(&name);
        let ready = self.prepare(&name, &value, End::after(&self.0.clock, ttl)).await?;
        let fill =
            |clears: &_, batch: &mut Batch| batch.set(wire_key(clears, key, &name), Mode::Always, &ready.stored());
        let mut answered = stored(server, server.stamped(Purpose::Store, fill).await?)?;
        match answered.last() {
            Reply::Done(_) => Ok(()),
            other => Err(server.unexpected(&answered.connection, &other)),
        }
    }

    pub(super) async fn store_many(&self, entries: &[(&str, Value)], ttl: Option<Duration>) -> Result<()> {
        let end = End::after(&self.0.clock, ttl);
        let keys = entries.iter().map(|(key, _)| *key);
        let store = |(server, keys)| BackendFuture::new(self.store_on(server, entries, keys, end));
        all(self.keys_by_server(keys).into_iter().map(store).collect()).await.map(drop)
    }

    /// Each value that can be stored is, also after one that cannot.
    async fn store_on(
        &self,
        server: &Server,
        entries: &[(&str, Value)],
        keys: Vec<Listed<'_>>,
        end: End,
    ) -> Result<()> {
        let (mut batch, mut bytes, mut failed) = (Vec::new(), 0, Ok(()));
        let mut keys = keys.into_iter().peekable();
        while let Some(one) = keys.next() {
            match self.prepare(&one.name, &entries[one.place].1, end).await {
                Ok(ready) => {
                    bytes += ready.body.len();
                    batch.push((one, ready));
                }
                Err(error) => failed = failed.and(Err(error)),
            }
            if batch.len() >= BATCH || bytes >= BYTES || keys.peek().is_none() {
                failed = failed.and(store_batch(server, &std::mem::take(&mut batch)).await);
                bytes = 0;
            }
        }
        failed
    }

    pub(super) async fn store_if_absent(&self, key: &str, value: Value, ttl: Option<Duration>) -> Result<bool> {
        let name = Name::new(key);
        let server = self.server(&name);
        let body = value.to_bytes()?;
        // Its pieces would be sent before it is known whether they are of use.
        if !self.fits(&name, &body) && body.len() <= self.0.split && self.is_there_as(key, &name).await? {
            return Ok(false);
        }
        let ready = self.prepare_bytes(&name, body, End::after(&self.0.clock, ttl)).await?;
        for _ in 0..ATTEMPTS {
            let fill = |clears: &_, batch: &mut Batch| {
                batch.set(wire_key(clears, key, &name), Mode::IfAbsent, &ready.stored());
            };
            let mut answered = stored(server, server.stamped(Purpose::Store, fill).await?)?;
            match answered.last() {
                Reply::Done(_) => return Ok(true),
                Reply::Refused => {}
                other => return Err(server.unexpected(&answered.connection, &other)),
            }
            // Something is there, which may be over to the millisecond.
            let look = |clears: &_, batch: &mut Batch| batch.look(wire_key(clears, key, &name));
            let Some(mut answered) = server.stamped(Purpose::Read, look).await? else { continue };
            let reply = answered.last();
            let cas = match &reply {
                Reply::Absent => continue,
                Reply::Done(about) | Reply::Value(about, _) => about.cas,
                other => return Err(server.unexpected(&answered.connection, other)),
            };
            if is_live(&self.0.clock, &reply, name.whole) {
                return Ok(false);
            }
            if self.swap(server, &answered, key, &name, Mode::IfStill(cas), &ready).await? == Some(true) {
                return Ok(true);
            }
        }
        Err(contended(server))
    }

    pub(super) async fn store_over(
        &self,
        key: &str,
        token: &[u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> Result<bool> {
        let name = Name::new(key);
        let server = self.server(&name);
        let end = End::after(&self.0.clock, ttl);
        let mut ready = None;
        for _ in 0..ATTEMPTS {
            let fill = |clears: &_, batch: &mut Batch| batch.get(wire_key(clears, key, &name));
            let Some(mut answered) = server.stamped(Purpose::Read, fill).await? else { return Ok(false) };
            let (about, bytes) = match answered.last() {
                Reply::Value(about, bytes) => (about, bytes),
                Reply::Absent => return Ok(false),
                other => return Err(server.unexpected(&answered.connection, &other)),
            };
            let Some(item) = self.item(&about, bytes, &name) else { return Ok(false) };
            let is_under_token = if !item.in_pieces {
                item.value.starts_with(token)
            } else if let Some(pieces) = Pieces::read(item.value) {
                match pieces.knows(token) {
                    true => pieces.beginning.starts_with(token),
                    false if pieces.size > self.largest() => false,
                    false => self.join(&pieces).await?.is_some_and(|value| value.starts_with(token)),
                }
            } else {
                false
            };
            if !is_under_token {
                return Ok(false);
            }
            let ready = match &mut ready {
                Some(ready) => ready,
                none => none.insert(self.prepare(&name, &value, end).await?),
            };
            match self.swap(server, &answered, key, &name, Mode::IfStill(about.cas), ready).await? {
                Some(true) => return Ok(true),
                // It was cleared, or nobody knows what its `cas` means.
                None => return Ok(false),
                // Somebody else was there, whose entry may begin with the token too.
                Some(false) => {}
            }
        }
        Err(contended(server))
    }

    pub(super) async fn add_to(&self, key: &str, by: i64) -> Result<i64> {
        let name = Name::new(key);
        let server = self.server(&name);
        // Those who count in this process do not contend at the server.
        let _turn = server.turn(key).await;
        for _ in 0..16 * ATTEMPTS {
            let fill = |clears: &_, batch: &mut Batch| batch.get(wire_key(clears, key, &name));
            // The record of clears is made where there is none, since something will be stored.
            let mut answered = stored(server, server.stamped(Purpose::Store, fill).await?)?;
            let (mode, end, sum) = match answered.last() {
                Reply::Absent => (Mode::IfAbsent, End::after(&self.0.clock, None), by),
                Reply::Value(about, bytes) => {
                    let mode = Mode::IfStill(about.cas);
                    match self.item(&about, bytes, &name) {
                        None => (mode, End::after(&self.0.clock, None), by),
                        Some(item) => {
                            let sum = Value::from_bytes(item.value).as_integer().and_then(|was| was.checked_add(by));
                            let sum = sum.filter(|_| !item.in_pieces);
                            let sum = sum.ok_or_else(|| not_an_integer(by))?;
                            (mode, End::again(&self.0.clock, item.end), sum)
                        }
                    }
                }
                other => return Err(server.unexpected(&answered.connection, &other)),
            };
            let ready = self.prepare(&name, &Value::integer(sum), end).await?;
            if self.swap(server, &answered, key, &name, mode, &ready).await? == Some(true) {
                return Ok(sum);
            }
        }
        Err(contended(server))
    }

    /// Stores on the connection, and under the stamps, of what was read: a `cas` means nothing elsewhere. `None`: it was
    /// cleared meanwhile.
    async fn swap(
        &self,
        server: &Server,
        read: &Answered,
        key: &str,
        name: &Name<'_>,
        mode: Mode,
        ready: &Ready,
    ) -> Result<Option<bool>> {
        let fill = |clears: &_, batch: &mut Batch| batch.set(wire_key(clears, key, name), mode, &ready.stored());
        let replies = server.stamped_on(&read.connection, &read.reading, fill).await?;
        match replies.map(|mut replies| replies.pop()) {
            None => Ok(None),
            Some(Some(Reply::Done(_))) => Ok(Some(true)),
            Some(Some(Reply::Refused | Reply::Absent)) => Ok(Some(false)),
            Some(other) => Err(server.unexpected(&read.connection, &other.unwrap_or(Reply::Absent))),
        }
    }

    /// Removes keys; says how many were there.
    pub(super) async fn remove(&self, keys: &[&str]) -> Result<usize> {
        let remove = |(server, keys)| BackendFuture::new(self.remove_on(server, keys));
        let removed = all(self.keys_by_server(keys.iter().copied()).into_iter().map(remove).collect()).await?;
        Ok(removed.into_iter().sum())
    }

    async fn remove_on(&self, server: &Server, keys: Vec<Listed<'_>>) -> Result<usize> {
        let mut removed = 0;
        for some in keys.chunks(BATCH) {
            let fill = |clears: &_, batch: &mut Batch| {
                for one in some {
                    let key = wire_key(clears, one.key, &one.name);
                    batch.look(key);
                    batch.delete(key);
                }
            };
            let Some(answered) = server.stamped(Purpose::Delete, fill).await? else { continue };
            for (replies, one) in answered.replies.chunks(2).zip(some) {
                match replies {
                    [looked @ (Reply::Done(_) | Reply::Value(..) | Reply::Absent), Reply::Done(_)] => {
                        removed += usize::from(is_live(&self.0.clock, looked, one.name.whole));
                    }
                    [Reply::Done(_) | Reply::Value(..) | Reply::Absent, Reply::Absent] => {}
                    other => {
                        return Err(server.unexpected(&answered.connection, other.last().unwrap_or(&Reply::Absent)));
                    }
                }
            }
        }
        Ok(removed)
    }
}

/// A store makes the record of clears, so that there is always an answer.
fn stored(server: &Server, answered: Option<Answered>) -> Result<Answered> {
    answered.ok_or_else(|| server.error(ErrorKind::Other, "its record of clears does not stay"))
}

async fn store_batch(server: &Server, batch: &[(Listed<'_>, Ready)]) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let fill = |clears: &_, out: &mut Batch| {
        for (one, ready) in batch {
            out.set(wire_key(clears, one.key, &one.name), Mode::Always, &ready.stored());
        }
    };
    let answered = stored(server, server.stamped(Purpose::Store, fill).await?)?;
    match answered.replies.iter().find(|reply| !matches!(reply, Reply::Done(_))) {
        None => Ok(()),
        Some(other) => Err(server.unexpected(&answered.connection, other)),
    }
}

/// Stores the pieces of a value that belong to one server.
async fn store_parts(
    server: &Server,
    pieces: &Pieces,
    keys: Vec<(usize, &String)>,
    value: &[u8],
    expires: u32,
) -> Result<()> {
    for some in keys.chunks(pieces::AT_ONCE) {
        let mut batch = server.batch();
        for (place, key) in some {
            batch.set(pieces::key(key), Mode::Always, &pieces::stored(pieces.part(value, *place), expires));
        }
        let connection = server.connection().await?;
        let replies = server.ask(&connection, &batch).await?;
        if let Some(other) = replies.iter().find(|reply| !matches!(reply, Reply::Done(_))) {
            return Err(server.unexpected(&connection, other));
        }
    }
    Ok(())
}

fn not_an_integer(by: i64) -> Error {
    let message = format!("an integer to which {by} can be added was expected, and something else was found");
    Error::message(ErrorKind::NotAnInteger, message)
}

fn contended(server: &Server) -> Error {
    server.error(ErrorKind::Other, "others changed the entry with each attempt")
}
