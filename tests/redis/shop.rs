//! An application of several nodes that knows what it may be answered: no page that was purged, and none that is torn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Path, routing::get};
use axum_caching::{Breaker, Cache, CacheLayer, CachePolicy, CacheStatus, RedisBackend};
use tokio::{task::JoinSet, time::sleep};

use crate::support::{self, send};

const PAGES: usize = 8;

/// What the nodes share beside the server: the data.
#[derive(Default)]
pub struct Data {
    /// The newest version of each page.
    versions: [AtomicU64; PAGES],
    /// Up to which version purges were acknowledged.
    purged: [AtomicU64; PAGES],
    pub hits: AtomicU64,
    pub misses: AtomicU64,
    pub purges: AtomicU64,
    pub refused: AtomicU64,
    /// While it is set a server may have brought back what was purged.
    pub lenient: AtomicBool,
    pub forgiven: AtomicU64,
    stop: AtomicBool,
}

/// One node: a cache over a backend of its own, and the application.
#[derive(Clone)]
pub struct Node {
    pub cache: Cache,
    app: Router,
}

fn text(page: usize, version: u64) -> String {
    let word = format!("{page}:{version};");
    let length = 200 + usize::try_from(version % 7).unwrap() * 3_000;
    word.repeat(length / word.len() + 1)
}

/// The version of a page that is whole.
#[track_caller]
fn version(page: usize, body: &str) -> u64 {
    let (first, _) = body.split_once(';').unwrap_or_else(|| panic!("a page is torn: {body:?}"));
    let version = first.strip_prefix(&format!("{page}:")).and_then(|version| version.parse().ok());
    let version = version.unwrap_or_else(|| panic!("page {page} is another: {first:?}"));
    assert!(body == text(page, version), "page {page} is torn");
    version
}

pub fn node(data: &Arc<Data>, backend: RedisBackend) -> Node {
    const PATIENCE: Duration = Duration::from_millis(150);
    let breaker = Breaker::default().open_for(Duration::from_millis(100));
    let cache = Cache::builder(backend).backend_timeout(PATIENCE).breaker(breaker).build();
    let data = Arc::clone(data);
    let handler = move |Path(page): Path<usize>| async move {
        let version = data.versions[page].load(Ordering::SeqCst);
        // The data was read; making a page of it takes a while.
        sleep(Duration::from_millis(version % 4)).await;
        (CachePolicy::ttl(Duration::from_secs(60)).tags([format!("page-{page}")]), text(page, version))
    };
    let layer = CacheLayer::new(&cache).ttl(Duration::from_secs(60));
    Node { app: Router::new().route("/{page}", get(handler)).layer(layer), cache }
}

async fn read(data: &Data, node: &Node, page: usize) {
    let lenient = data.lenient.load(Ordering::SeqCst);
    let purged = data.purged[page].load(Ordering::SeqCst);
    let response = send(&node.app, support::get(&format!("/{page}"))).await;
    assert_eq!(response.status(), 200, "a request failed because of the cache");
    let status = CacheStatus::of(&response).unwrap();
    let version = version(page, &support::text(response).await);
    let count = if matches!(status, CacheStatus::Hit) { &data.hits } else { &data.misses };
    count.fetch_add(1, Ordering::Relaxed);
    if version < purged {
        let excused = lenient || data.lenient.load(Ordering::SeqCst);
        assert!(
            excused,
            "page {page}: version {version} was served after that before {purged} was purged ({status:?})"
        );
        data.forgiven.fetch_add(1, Ordering::Relaxed);
    }
}

async fn write(data: &Data, node: &Node, page: usize) {
    let version = data.versions[page].fetch_add(1, Ordering::SeqCst) + 1;
    let purge = if version % 3 == 0 {
        node.cache.purge_tag(format!("page-{page}")).await
    } else {
        node.cache.delete_cached(&format!("/{page}")).await.map(drop)
    };
    let count = if purge.is_ok() { &data.purges } else { &data.refused };
    count.fetch_add(1, Ordering::Relaxed);
    if purge.is_ok() {
        data.purged[page].fetch_max(version, Ordering::SeqCst);
    }
}

/// Readers and a writer on each node, until [`Load::end`].
pub struct Load {
    pub data: Arc<Data>,
    nodes: Vec<Node>,
    running: JoinSet<()>,
}

impl Load {
    pub fn begin(data: Arc<Data>, nodes: Vec<Node>) -> Self {
        let mut running = JoinSet::new();
        for (seed, node) in nodes.iter().enumerate() {
            for reader in 0..4 {
                let (data, node) = (Arc::clone(&data), node.clone());
                running.spawn(async move {
                    let mut page = seed * 3 + reader;
                    while !data.stop.load(Ordering::Relaxed) {
                        page = (page * 5 + 3) % 97;
                        read(&data, &node, page % PAGES).await;
                        tokio::task::yield_now().await;
                    }
                });
            }
            let (data, node) = (Arc::clone(&data), node.clone());
            running.spawn(async move {
                let mut page = seed;
                while !data.stop.load(Ordering::Relaxed) {
                    page = (page * 7 + 5) % 101;
                    write(&data, &node, page % PAGES).await;
                    sleep(Duration::from_millis(3)).await;
                }
            });
        }
        Self { data, nodes, running }
    }

    /// Purges every page until that is acknowledged, as an application does that was told of an error.
    pub async fn purge_all(&self) {
        for page in 0..PAGES {
            let version = self.data.versions[page].load(Ordering::SeqCst);
            support::redis::eventually("a purge is acknowledged", async || {
                let cache = &self.nodes[0].cache;
                cache.delete_cached(&format!("/{page}")).await.is_ok()
                    && cache.purge_tag(format!("page-{page}")).await.is_ok()
            })
            .await;
            self.data.purged[page].fetch_max(version, Ordering::SeqCst);
        }
    }

    /// Until so many more pages came from the cache.
    pub async fn await_hits(&self, more: u64) {
        let before = self.data.hits.load(Ordering::Relaxed);
        support::redis::eventually("pages come from the cache again", async || {
            assert!(self.running.len() == self.nodes.len() * 5, "a reader or writer has ended");
            self.data.hits.load(Ordering::Relaxed) >= before + more
        })
        .await;
    }

    /// Ends it, and says what it was.
    pub async fn end(mut self, name: &str) {
        self.data.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.running.join_next().await {
            done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let data = &self.data;
        // Shown by `--nocapture`, for the record.
        #[expect(clippy::print_stdout, reason = "numbers of a run that is looked at")]
        {
            println!(
                "{name}: {} hits, {} misses, {} purges, {} refused, {} old after a rollback",
                of(&data.hits),
                of(&data.misses),
                of(&data.purges),
                of(&data.refused),
                of(&data.forgiven)
            );
        }
        assert!(of(&data.hits) > 100 && of(&data.purges) > 10, "nothing was tried");
    }
}
