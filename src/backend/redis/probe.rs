//! A look at what a server can do, once a connection: nothing is changed by it, and `CONFIG`, `COMMAND` and `ACL` are not
//! needed.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, RedisResult, Value, cmd};
use tokio::time::timeout;

use super::{
    fault::{self, Refusal},
    rungs::{Rung, Rungs},
    script,
    wire::{Wait, Wire},
};

/// Nobody has stored anything under it.
const KEY: &str = "axum-caching:probe";

fn questions(of_cluster: bool) -> Vec<(Rung, Cmd)> {
    let mut scan = cmd("SCAN");
    scan.arg(0).arg("MATCH").arg(KEY).arg("COUNT").arg(1);
    let of_key = |name: &str| {
        let mut command = cmd(name);
        command.arg(KEY);
        command
    };
    // What is no number is refused, after the rights were looked at.
    let mut add = of_key("INCRBY");
    add.arg("nothing");
    let mut all = vec![
        (Rung::Eval, script::eval(KEY, b"x", b"", None)),
        (Rung::EvalSha, script::eval_sha(KEY, b"x", b"", None)),
        (Rung::Unlink, of_key("UNLINK")),
        (Rung::MGet, of_key("MGET")),
        (Rung::Exists, of_key("EXISTS")),
        (Rung::IncrBy, add),
    ];
    // In a cluster it would go to one of the nodes; `clear` asks them all.
    if !of_cluster {
        all.push((Rung::Scan, scan));
    }
    all
}

/// Finds out what is lacking. An error says why the connection is of no use.
pub(super) async fn look(wire: &Wire, rungs: &Arc<Rungs>, limit: Duration) -> Result<(), &'static str> {
    let (names, commands): (Vec<_>, Vec<_>) = questions(wire.is_cluster()).into_iter().unzip();
    let answers = match timeout(limit, ask(wire, commands)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => return Err(if error.is_io_error() { "the connection was closed" } else { UNLIKE }),
        Err(_) => return Err("the server took the connection and does not answer"),
    };
    for (rung, answer) in names.into_iter().zip(answers) {
        match answer.map_err(|error| fault::refusal(&error)) {
            Err(Some(Refusal::Command)) => rungs.lacks(rung),
            // The key is another user's. What follows is found out when it is used.
            Err(Some(Refusal::Key)) => {}
            _ => rungs.regained(rung),
        }
    }
    Ok(())
}

const UNLIKE: &str = "the server does not answer as a Redis server would";

async fn ask(wire: &Wire, commands: Vec<Cmd>) -> RedisResult<Vec<RedisResult<Value>>> {
    if wire.is_cluster() {
        let mut answers = Vec::with_capacity(commands.len());
        for command in &commands {
            answers.push(wire.ask(command, Wait::Bounded).await);
        }
        return Ok(answers);
    }
    let answers = wire.ask_all(commands, Wait::Bounded).await?;
    Ok(answers.into_iter().map(Value::extract_error).collect())
}
