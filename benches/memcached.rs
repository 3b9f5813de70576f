//! What a hit of 4 KiB on a memcached server costs, beside the same bytes asked for on a bare socket.
//!
//! `cargo bench --bench memcached --features memcached`; needs `memcached`, which it starts itself.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::allow_attributes, reason = "a bench")]

#[path = "../tests/support/memcached.rs"]
#[allow(dead_code, unreachable_pub, reason = "a bench uses a part of it")]
mod memcached;

use std::{sync::Arc, time::Duration};

use axum_caching::{Backend, MemcachedBackend, Value};
use memcached::Memcached;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::Instant,
};

const BODY: usize = 4_096;
const CALLS: usize = 40_000;

/// Hits a second of many tasks, each of which makes one call after the other.
fn run<F: Future<Output = ()> + Send + 'static>(runtime: &Runtime, tasks: usize, calls: impl Fn(usize) -> F) -> f64 {
    let calls_each = CALLS / tasks;
    runtime.block_on(async {
        let began = Instant::now();
        let running: Vec<_> = (0..tasks).map(|_| tokio::spawn(calls(calls_each))).collect();
        for task in running {
            task.await.unwrap();
        }
        let all = u32::try_from(calls_each * tasks).unwrap();
        began.elapsed().as_secs_f64() * 1e6 / f64::from(all)
    })
}

async fn raw(address: String, calls: usize) {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = vec![0; BODY + 10 + 2];
    for _ in 0..calls {
        stream.write_all(b"mg raw v\r\n").await.unwrap();
        stream.read_exact(&mut answer[..BODY + "VA 4096\r\n\r\n".len()]).await.unwrap();
    }
}

async fn ours(backend: MemcachedBackend, calls: usize) {
    for _ in 0..calls {
        assert_eq!(backend.get("view//key").await.unwrap().unwrap().to_bytes().unwrap().len(), BODY);
    }
}

fn main() {
    let server = Memcached::on_tcp(&["-t", "1"]);
    server.say(&format!("ms raw {BODY}\r\n{}\r\n", "x".repeat(BODY)), "HD\r\n");
    let address = server.address().to_owned();
    for (name, runtime) in [
        ("one thread", Builder::new_current_thread().enable_all().build().unwrap()),
        ("two threads", Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()),
    ] {
        for connections in [1, 2, 4] {
            let backend = MemcachedBackend::builder().server(&address).connections(connections);
            let backend = backend.timeout(Duration::from_secs(5)).build().unwrap();
            runtime.block_on(backend.set("view//key", Value::from_bytes(vec![7; BODY]), None)).unwrap();
            for tasks in [1, 64] {
                let address = Arc::new(address.clone());
                let (mut raws, mut own) = (Vec::new(), Vec::new());
                // One after the other, several times, since the machine has other things to do.
                for _ in 0..7 {
                    raws.push(run(&runtime, tasks, |calls| raw(String::clone(&address), calls)));
                    own.push(run(&runtime, tasks, |calls| ours(backend.clone(), calls)));
                }
                raws.sort_by(f64::total_cmp);
                own.sort_by(f64::total_cmp);
                let (raw, own) = (raws[3], own[3]);
                println!(
                    "{name}, {connections} connections, {tasks} tasks: bare {raw:.1} µs a hit, backend {own:.1} µs, {:.2} ×",
                    own / raw
                );
            }
        }
    }
}
