//! Two processes over one server, and what they read through their caches.

use std::{future::Future, pin::Pin, time::Duration};

use axum_caching::{Cache, Memoizer, Profile, testing::ManualClock};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    server::{Class, Line, Server},
    support::held::{Broken, settle},
};

pub const MINUTE: Duration = Duration::from_secs(60);

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A value under the key `key`.
    Key,
    /// A result whose tag `tag` is known before its data is read.
    Early,
    /// A result whose tag `tag` is found in its data.
    Late,
    /// A result that is made of one of these, with a tag of its own.
    Around(&'static What),
}

pub const LATE: &What = &What::Late;
pub const EARLY: &What = &What::Early;

#[derive(Clone)]
pub struct Node {
    pub cache: Cache,
    pub line: Line,
}

/// Two processes that share a server.
pub struct Nodes {
    pub here: Node,
    pub there: Node,
    pub server: Server,
    pub clock: ManualClock,
}

/// A call whose run has read its data.
pub struct Run {
    pub call: JoinHandle<String>,
    go: oneshot::Sender<()>,
}

impl Nodes {
    /// Over a server that compares and sets.
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let server = Server::new(&clock);
        let node = || {
            let profile = Profile::ttl(MINUTE).stale_while_revalidate(MINUTE).stale_if_error(10 * MINUTE);
            let line = Line::new(&server, Class::Compares);
            // What a test stops is late for as long as it likes.
            let builder = Cache::builder(line.clone()).backend_timeout(365 * 24 * 60 * MINUTE);
            Node { cache: builder.clock(clock.clock()).profile(profile).build(), line }
        };
        Self { here: node(), there: node(), server, clock }
    }

    /// Late tags are stored once each process has seen them, and their lanes are there.
    pub async fn know_late_tags(&self) {
        for node in [&self.here, &self.there] {
            for text in ["a", "b", "c"] {
                node.delete(What::Late).await;
                node.read(What::Late, text).await;
            }
            assert_eq!(node.read(What::Late, "d").await, "c", "it is kept by now");
        }
        self.here.delete(What::Late).await;
    }
}

impl Node {
    /// A run whose data is read and that is not ended yet.
    pub async fn begin(&self, what: What, text: &'static str) -> Run {
        let (go, went) = oneshot::channel::<()>();
        let node = self.clone();
        let read = async move {
            let _ = went.await;
            text.to_owned()
        };
        let call = tokio::spawn(async move { node.ask(what, async { Ok(read.await) }).await.unwrap() });
        settle().await;
        Run { call, go }
    }

    /// What is read by who asks now: it is there, or its run gives this text.
    pub async fn read(&self, what: What, text: &'static str) -> String {
        let read = self.ask(what, async move { Ok(text.to_owned()) }).await;
        settle().await;
        read.unwrap()
    }

    /// What is served to who asks while the origin is broken.
    pub async fn kept(&self, what: What) -> Option<String> {
        self.ask(what, async { Err(Broken) }).await.ok()
    }

    fn ask<'a>(
        &'a self,
        what: What,
        read: impl Future<Output = Result<String, Broken>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<String, Broken>> + Send + 'a>> {
        Box::pin(async move {
            let memo = |name: &str| -> Memoizer<String> { self.cache.memoizer(name) };
            match what {
                What::Key => self.cache.try_get_or_compute("key", Profile::new(), || read).await,
                What::Early => memo("early").at(&7).tags(["tag"]).try_call(|| read).await,
                What::Late => {
                    let tagged = || async {
                        let text = read.await;
                        Memoizer::context().tag("tag");
                        text
                    };
                    memo("late").try_call(&7, tagged).await
                }
                What::Around(inner) => memo("around").try_call(&7, || self.ask(*inner, read)).await,
            }
        })
    }

    /// Takes it away.
    pub async fn purge(&self, what: What) {
        match what {
            What::Key => drop(self.cache.delete("key").await.unwrap()),
            What::Early | What::Late | What::Around(_) => self.cache.purge_tag("tag").await.unwrap(),
        }
    }

    /// Takes away this one result.
    pub async fn delete(&self, what: What) {
        let name = if what == What::Late { "late" } else { "early" };
        self.cache.memoizer::<String>(name).delete_memoized_for(&7).await.unwrap();
    }

    /// As [`purge`](Node::purge), in a task of its own.
    pub fn begin_purge(&self, what: What) -> JoinHandle<()> {
        let node = self.clone();
        tokio::spawn(async move { node.purge(what).await })
    }
}

impl Run {
    /// Lets the origin end, and what comes after that go as far as it can.
    pub async fn go(self) -> JoinHandle<String> {
        let _ = self.go.send(());
        settle().await;
        self.call
    }

    /// Lets it come to its end.
    pub async fn end(self) -> String {
        self.go().await.await.unwrap()
    }
}

/// Does something anew with each number that it is given, until it says that there are no more.
pub async fn at_each_place<F: Future<Output = usize>>(attempt: impl Fn(usize) -> F) {
    let mut place = 0;
    while place <= attempt(place).await {
        place += 1;
    }
    assert!(place > 1, "nothing was stopped");
}
