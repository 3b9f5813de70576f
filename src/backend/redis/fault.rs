//! What the client's errors are to a caller. Its texts are not shown: some repeat what was sent, passwords included.

use std::borrow::Cow;

use redis::{ErrorKind as Kind, RedisError, ServerErrorKind as Server};

use crate::error::{Error, ErrorKind};

/// What the server did not like about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has no such command, or this user may not run it.
    Command,
    /// This user may not use this key.
    Key,
}

/// Whether a server refused to run a command at all.
pub(super) fn refusal(error: &RedisError) -> Option<Refusal> {
    let detail = error.detail().unwrap_or_default();
    let names = |text: &str| detail.contains(text);
    match error.kind() {
        Kind::Server(Server::NoPerm) if names("command") || names("subcommand") => Some(Refusal::Command),
        Kind::Server(Server::NoPerm) => Some(Refusal::Key),
        // What a script may not run: "The user executing the script can't run this command or subcommand".
        _ if names("can't run this command") => Some(Refusal::Command),
        _ if names("can't access at least one of the keys") => Some(Refusal::Key),
        _ if names("unknown command") || names("Unknown Redis command called from script") => Some(Refusal::Command),
        _ => None,
    }
}

/// What a command inside a script answered, as a server before Redis 7 tells it: as an error of the script, with the code in
/// the text.
fn raised(error: &RedisError, code: &str) -> bool {
    let text = error.detail().filter(|text| error.code() == Some("ERR") && text.starts_with("Error running script"));
    text.is_some_and(|text| text.split(' ').any(|word| word.strip_prefix('-') == Some(code)))
}

/// Whether the server is a replica, which takes no writes.
pub(super) fn is_read_only(error: &RedisError) -> bool {
    matches!(error.kind(), Kind::Server(Server::ReadOnly)) || raised(error, "READONLY")
}

fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") || raised(error, "OOM")
}

/// An error of a connection that is being made.
pub(super) fn connecting(error: &RedisError) -> (ErrorKind, Cow<'static, str>) {
    let text = match error.kind() {
        Kind::AuthenticationFailed => "the server refuses the user name or the password".into(),
        Kind::MasterNameNotFoundBySentinel => "no sentinel knows a master of this name that is well".into(),
        Kind::NoValidReplicasFoundBySentinel => "no sentinel knows a replica that is well".into(),
        Kind::InvalidClientConfig => {
            return (ErrorKind::Config, "the settings of the connection do not go together".into());
        }
        _ if error.is_timeout() => "it was not ready in time".into(),
        Kind::Io => io(error).into(),
        _ => match error.code() {
            Some("NOAUTH" | "WRONGPASS") => "the server wants a user name and a password, and refuses these".into(),
            Some(code) => format!("the server answered {code} to the handshake").into(),
            None => "the server does not answer as a Redis server would".into(),
        },
    };
    (ErrorKind::Connect, text)
}

/// An error of a command.
pub(super) fn translate(error: &RedisError) -> Error {
    if let Some(refusal) = refusal(error) {
        let what = match refusal {
            Refusal::Command => "the server does not know the command, or this user may not run it",
            Refusal::Key => "this user may not use this key",
        };
        return Error::message(ErrorKind::Unsupported, what);
    }
    let (kind, text): (_, Cow<'static, str>) = match error.kind() {
        _ if error.is_timeout() => (ErrorKind::Timeout, "the server took longer than `response_timeout`".into()),
        Kind::Io => (ErrorKind::Connect, io(error).into()),
        Kind::ClusterConnectionNotFound => {
            (ErrorKind::Connect, "no node of the cluster serves the slot of the key".into())
        }
        Kind::Parse | Kind::UnexpectedReturnType => {
            (ErrorKind::Protocol, "the server does not answer as a Redis server would".into())
        }
        Kind::AuthenticationFailed => (ErrorKind::Connect, "the server refuses the user name or the password".into()),
        _ if is_read_only(error) => (ErrorKind::Connect, "the server is a replica, which cannot be written to".into()),
        _ if is_full(error) => (ErrorKind::TooLarge, "the server is full (`maxmemory`), and evicts nothing".into()),
        Kind::Server(
            kind @ (Server::BusyLoading
            | Server::MasterDown
            | Server::ClusterDown
            | Server::TryAgain
            | Server::Moved
            | Server::Ask),
        ) => (ErrorKind::Connect, format!("the server cannot answer now ({})", code_of(kind)).into()),
        _ => match error.code() {
            Some("WRONGTYPE") => (ErrorKind::Decode, "the key holds a list, a set or the like".into()),
            Some("NOAUTH" | "WRONGPASS") => (ErrorKind::Connect, "the server wants a user name and a password".into()),
            Some(code) => (ErrorKind::Other, format!("the server answered {code}").into()),
            None => (ErrorKind::Other, "the client failed".into()),
        },
    };
    Error::message(kind, text)
}

/// An error of `INCRBY`.
pub(super) fn adding(error: &RedisError) -> Error {
    let detail = error.detail().unwrap_or_default();
    if detail.contains("not an integer") || detail.contains("overflow") || error.code() == Some("WRONGTYPE") {
        return Error::message(
            ErrorKind::NotAnInteger,
            "the value is no integer, or the sum does not fit into 64 bits",
        );
    }
    translate(error)
}

pub(super) fn unexpected() -> Error {
    Error::message(ErrorKind::Protocol, "the server answered with another type than the command has")
}

fn code_of(kind: Server) -> &'static str {
    match kind {
        Server::BusyLoading => "LOADING",
        Server::MasterDown => "MASTERDOWN",
        Server::ClusterDown => "CLUSTERDOWN",
        Server::TryAgain => "TRYAGAIN",
        Server::Moved => "MOVED",
        Server::Ask => "ASK",
        _ => "an error",
    }
}

/// What the operating system says, which knows no secrets.
fn io(error: &RedisError) -> &'static str {
    if error.is_connection_refusal() {
        "nobody listens at the address"
    } else if error.is_connection_dropped() {
        "the connection was closed"
    } else {
        "the connection failed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn what_a_command_in_a_script_answers_is_known_on_servers_old_and_new() {
        let sha1 = "f_6b1bf486c81ceb7edf3c093f4c48582e38c0e791";
        let before_7 =
            |what: &str| format!("-ERR Error running script (call to {sha1}): @user_script:1: @user_script: 1: {what}");
        let full = "-OOM command not allowed when used memory > 'maxmemory'.";
        let replica = "-READONLY You can't write against a read only replica.";
        for (what, kind) in [(full, ErrorKind::TooLarge), (replica, ErrorKind::Connect)] {
            for line in [what.to_owned(), before_7(what)] {
                let error = answered(&line);
                assert_eq!(translate(&error).kind(), kind, "{line}");
                assert_eq!(is_read_only(&error), kind == ErrorKind::Connect, "{line}");
            }
        }
        for other in [before_7("attempt to index a nil value"), "-ERR value is not -OOM or -READONLY at all".to_owned()]
        {
            assert_eq!(translate(&answered(&other)).kind(), ErrorKind::Other, "{other}");
        }
    }
}
