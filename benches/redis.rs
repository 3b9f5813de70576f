//! A hit of 4 KiB on Redis: through the cache, and by the client alone.
//!
//! `cargo bench --bench redis --features redis` starts a server of its own. Each round measures all of them one after
//! the other, so what slows the machine down slows down all; "median" is that of the rounds' ratios, "best" that of the
//! best round of each, which is what counts where others use the machine. The client alone is there twice, as it is by
//! default and with a queue that is longer than there are tasks; ratios are to the one with the better median.
//!
//! `-- SUBJECT TASKS HITS` makes so many hits on one of them, for a counter of instructions such as callgrind: what twice
//! as many cost more, divided by so many, is the cost of a hit.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench"
)]

#[allow(dead_code, unreachable_pub, reason = "a part of it is used")]
#[path = "../tests/support/redis/mod.rs"]
mod servers;

use std::time::{Duration, Instant};

use axum::{Router, body::Body, routing::get};
use axum_caching::{Backend, Cache, CacheLayer, CacheStatus, RedisBackend, Ttl};
use http::Request;
use http_body_util::BodyExt;
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use servers::Server;
use tokio::task::JoinSet;
use tower::ServiceExt;

const BODY: usize = 4_096;
const ROUNDS: usize = 50;
const ROUND: Duration = Duration::from_millis(80);
const LONG_QUEUE: usize = 1_024;

/// What is measured.
#[derive(Clone)]
enum Subject {
    Client(MultiplexedConnection),
    Queued(MultiplexedConnection),
    Backend(RedisBackend),
    Cache(Cache),
    Layer(Router),
}

impl Subject {
    fn name(&self) -> &'static str {
        match self {
            Self::Client(_) => "redis::GET",
            Self::Queued(_) => "GET, queue",
            Self::Backend(_) => "Backend::get",
            Self::Cache(_) => "Cache::get",
            Self::Layer(_) => "CacheLayer",
        }
    }

    async fn hit(&mut self) -> usize {
        match self {
            Self::Client(client) | Self::Queued(client) => {
                let value: Vec<u8> = redis::cmd("GET").arg("raw").query_async(client).await.unwrap();
                value.len()
            }
            Self::Backend(backend) => backend.get("raw").await.unwrap().unwrap().to_bytes().unwrap().len(),
            Self::Cache(cache) => cache.get::<String>("value").await.unwrap().unwrap().len(),
            Self::Layer(app) => {
                let request = Request::get("/page").body(Body::empty()).unwrap();
                let response = app.clone().oneshot(request).await.unwrap();
                assert!(matches!(CacheStatus::of(&response), Some(CacheStatus::Hit)));
                response.into_body().collect().await.unwrap().to_bytes().len()
            }
        }
    }

    /// So many hits, by so many tasks.
    async fn hits(&self, tasks: usize, hits: usize) {
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            let mut subject = self.clone();
            running.spawn(async move {
                for _ in 0..hits / tasks {
                    assert_eq!(subject.hit().await, BODY);
                }
            });
        }
        running.join_all().await;
    }

    /// Hits a second, by so many tasks.
    async fn rate(&self, tasks: usize) -> f64 {
        let began = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            let mut subject = self.clone();
            running.spawn(async move {
                let mut hits = 0_u64;
                while began.elapsed() < ROUND {
                    assert_eq!(subject.hit().await, BODY);
                    hits += 1;
                }
                hits
            });
        }
        let hits: u64 = running.join_all().await.into_iter().sum();
        hits as f64 / began.elapsed().as_secs_f64()
    }
}

async fn subjects(server: &Server) -> [Subject; 5] {
    let text = "x".repeat(BODY);
    let client = Client::open(server.url()).unwrap();
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(2)));
    let mut raw = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let config = config.set_pipeline_buffer_size(LONG_QUEUE);
    let queued = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    redis::cmd("SET").arg("raw").arg(&text).exec_async(&mut raw).await.unwrap();

    let backend = RedisBackend::new(server.url()).unwrap();
    let cache = Cache::new(backend.clone());
    cache.set("value", &text, Ttl::Forever).await.unwrap();
    let page = move || async move { text };
    let app = Router::new().route("/page", get(page)).layer(CacheLayer::new(&cache).ttl(Duration::from_secs(3_600)));
    let request = Request::get("/page").body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    assert!(cache.close().await);
    [
        Subject::Client(raw),
        Subject::Queued(queued),
        Subject::Backend(backend),
        Subject::Cache(cache),
        Subject::Layer(app),
    ]
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = Server::start();
    let subjects = subjects(&server).await;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let [name, tasks, hits] = &args[..] {
        let subject = subjects.iter().find(|subject| subject.name() == name).unwrap();
        return subject.hits(tasks.parse().unwrap(), hits.parse().unwrap()).await;
    }
    println!("a hit of {BODY} bytes, {ROUNDS} rounds of {ROUND:?}; ratio: time for one, against the client alone");
    for tasks in [1, 64] {
        let mut rates: [Vec<f64>; 5] = Default::default();
        for round in 0..=ROUNDS {
            for (subject, rates) in subjects.iter().zip(&mut rates) {
                let rate = subject.rate(tasks).await;
                // The first one warms up.
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        let faster = usize::from(median(rates[1].clone()) > median(rates[0].clone()));
        let client = &rates[faster];
        for (subject, own) in subjects.iter().zip(&rates) {
            let ratio = median(client.iter().zip(own).map(|(client, own)| client / own).collect());
            let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
            println!(
                "{tasks:>3} tasks  {:<12} {:>8.0} hits/s  median {ratio:.2} x, best {:.2} x",
                subject.name(),
                best(own),
                best(client) / best(own),
            );
        }
    }
}
