//! Removing what begins with a prefix: a walk over all keys, without blocking the server.

use std::sync::Arc;

use redis::{
    Cmd, Value as Answer,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
    cmd,
};

use super::{
    commands::{beginning_with, count},
    fault::{self, Refusal},
    link::Link,
    rungs::{Rung, Rungs},
    wire::{Wait, Wire},
};
use crate::error::{Error, ErrorKind, Result};

/// The server looks at about so many keys at a time.
const PAGE: usize = 1_000;

fn scan(cursor: &[u8], pattern: &str) -> Cmd {
    let mut command = cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
    command
}

/// The next cursor, and keys.
type Page = (Vec<u8>, Vec<Vec<u8>>);

fn page(answer: Answer) -> Result<Page> {
    let Answer::Array(parts) = answer else { return Err(fault::unexpected()) };
    let Ok([Answer::BulkString(cursor), Answer::Array(keys)]) = <[Answer; 2]>::try_from(parts) else {
        return Err(fault::unexpected());
    };
    let keys = keys.into_iter().map(|key| match key {
        Answer::BulkString(key) => Ok(key),
        _ => Err(fault::unexpected()),
    });
    Ok((cursor, keys.collect::<Result<_>>()?))
}

/// Removes every key that begins with a prefix, from every master.
pub(super) async fn clear(link: &Arc<Link>, rungs: &Rungs, prefix: &str) -> Result<()> {
    let wire = link.wire().await?;
    // In a cluster nobody else looks whether it is there again.
    if !rungs.has(Rung::Scan) && !wire.is_cluster() {
        return Err(unsupported());
    }
    let walk = Walk { wire: &wire, rungs, prefix, pattern: beginning_with(prefix) };
    if !wire.is_cluster() {
        return walk.over(&At::Server, None).await;
    }
    // Each master has cursors of its own.
    let everywhere = At::Node(RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None)));
    let Answer::Map(masters) = walk.ask(&everywhere, b"0").await? else { return Err(fault::unexpected()) };
    rungs.regained(Rung::Scan);
    for (master, first) in masters {
        let (host, port) = address(&master).ok_or_else(fault::unexpected)?;
        let one = RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port });
        walk.over(&At::Node(one), Some(first)).await?;
    }
    Ok(())
}

/// Where a walk is.
enum At {
    Server,
    Node(RoutingInfo),
}

struct Walk<'a> {
    wire: &'a Wire,
    rungs: &'a Rungs,
    prefix: &'a str,
    pattern: String,
}

impl Walk<'_> {
    async fn ask(&self, at: &At, cursor: &[u8]) -> Result<Answer> {
        let command = scan(cursor, &self.pattern);
        let answer = match at {
            At::Server => self.wire.ask(&command, Wait::Bounded).await,
            At::Node(routing) => self.wire.route(command, routing.clone()).await,
        };
        answer.map_err(|error| {
            if fault::refusal(&error) == Some(Refusal::Command) {
                self.rungs.lacks(Rung::Scan);
                return unsupported();
            }
            fault::translate(&error)
        })
    }

    /// One server, of which the first page may be there.
    async fn over(&self, at: &At, first: Option<Answer>) -> Result<()> {
        let first = match first {
            Some(first) => first,
            None => self.ask(at, b"0").await?,
        };
        let (mut cursor, mut keys) = page(first)?;
        loop {
            keys.retain(|key| key.starts_with(self.prefix.as_bytes()));
            if !keys.is_empty() {
                delete(self.wire, self.rungs, &keys).await?;
            }
            if cursor == b"0" {
                return Ok(());
            }
            (cursor, keys) = page(self.ask(at, &cursor).await?)?;
        }
    }
}

/// Removes keys, and says how many of them were there.
pub(super) async fn delete<K: AsRef<[u8]>>(wire: &Wire, rungs: &Rungs, keys: &[K]) -> Result<usize> {
    let command = |name: &str| {
        let mut command = cmd(name);
        for key in keys {
            command.arg(key.as_ref());
        }
        command
    };
    if rungs.has(Rung::Unlink) {
        match wire.ask(&command("UNLINK"), Wait::Unbounded).await {
            Ok(answer) => return count(&answer),
            Err(error) if fault::refusal(&error) == Some(Refusal::Command) => rungs.lacks(Rung::Unlink),
            Err(error) => return Err(fault::translate(&error)),
        }
    }
    match wire.ask(&command("DEL"), Wait::Unbounded).await {
        Ok(answer) => count(&answer),
        Err(error) => Err(fault::translate(&error)),
    }
}

fn address(text: &Answer) -> Option<(String, u16)> {
    let Answer::BulkString(text) = text else { return None };
    let (host, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

fn unsupported() -> Error {
    Error::message(ErrorKind::Unsupported, "`clear` needs SCAN, which this user may not run")
}
