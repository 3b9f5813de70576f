//! Compare-and-set: one script on one key, which is all that a cluster allows and all that is needed.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, ErrorKind as Kind, RedisError, ServerErrorKind as Server, Value, cmd};

use super::{
    commands::millis,
    fault::{self, Refusal},
    link::Link,
    rungs::{Rung, Rungs},
};
use crate::error::{Error, ErrorKind, Result};

/// `GETRANGE` reads as much as is compared, however long the value is. What is absent begins with no token, not with
/// the empty one either.
const SCRIPT: &str = r"local token = ARGV[1]
if token == '' then
  if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
elseif redis.call('GETRANGE', KEYS[1], 0, #token - 1) ~= token then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1";

/// By which a server knows it that has seen it.
const SHA1: &str = "8c630ea68fb45c96c313ef847a5adcfaaab0310e";

fn with(mut command: Cmd, key: &str, token: &[u8], value: &[u8], ttl: Option<Duration>) -> Cmd {
    command.arg(1).arg(key).arg(token).arg(value);
    match millis(ttl) {
        Some(millis) => command.arg(millis),
        None => command.arg(""),
    };
    command
}

pub(super) fn eval(key: &str, token: &[u8], value: &[u8], ttl: Option<Duration>) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(SCRIPT);
    with(command, key, token, value, ttl)
}

pub(super) fn eval_sha(key: &str, token: &[u8], value: &[u8], ttl: Option<Duration>) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(SHA1);
    with(command, key, token, value, ttl)
}

/// Runs it: by its hash, which the server knows once it has seen it, or else as it is.
pub(super) async fn run(
    link: &Arc<Link>,
    rungs: &Rungs,
    key: &str,
    token: &[u8],
    value: &[u8],
    ttl: Option<Duration>,
) -> Result<bool> {
    if !rungs.has(Rung::Eval) {
        return Err(unsupported());
    }
    if rungs.has(Rung::EvalSha) {
        match link.write(&eval_sha(key, token, value, ttl)).await? {
            Ok(answer) => return said(&answer),
            Err(error) if error.kind() == Kind::Server(Server::NoScript) => {}
            Err(error) => match fault::refusal(&error) {
                Some(Refusal::Command) => rungs.lacks(Rung::EvalSha),
                _ => return Err(fault::translate(&error)),
            },
        }
    }
    match link.write(&eval(key, token, value, ttl)).await? {
        Ok(answer) => said(&answer),
        Err(error) => Err(refused(rungs, &error)),
    }
}

fn refused(rungs: &Rungs, error: &RedisError) -> Error {
    if fault::refusal(error) == Some(Refusal::Command) {
        rungs.lacks(Rung::Eval);
        return unsupported();
    }
    fault::translate(error)
}

fn unsupported() -> Error {
    Error::message(ErrorKind::Unsupported, "`compare_and_set` needs EVAL, which this user may not run")
}

fn said(answer: &Value) -> Result<bool> {
    match answer {
        Value::Int(stored) => Ok(*stored == 1),
        _ => Err(fault::unexpected()),
    }
}
