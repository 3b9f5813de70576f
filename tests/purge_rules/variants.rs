//! Representations of one page, which hang on the slot of its key.

use axum::body::Body;
use axum_caching::{Cache, CacheBody, CacheLayer, CachePolicy, CacheService, CacheStatus};
use http::{Request, Response};
use tokio::task::JoinHandle;
use tower::Layer;

use crate::{
    nodes::{MINUTE, Nodes},
    support::{
        answer, get_with,
        held::{Broken, Origin, Run, Runs, body, origin, settle, spawn},
        is_miss,
    },
};

/// The page of one process, of which there is one for each language.
struct Page {
    app: CacheService<Origin>,
    runs: Runs,
}

type Asked = JoinHandle<Result<Response<CacheBody<Body>>, Broken>>;

impl Page {
    fn of(cache: &Cache) -> Self {
        let (origin, runs) = origin();
        Self { app: CacheLayer::new(cache).layer(origin), runs }
    }

    fn ask(&self, language: &str) -> Asked {
        spawn(&self.app, request(language))
    }

    /// The page in a language, with this text if it has to be made.
    async fn read(&mut self, language: &str, text: &'static str) -> (CacheStatus, String) {
        let asked = self.ask(language);
        if self.runs.waiting().await > 0 {
            self.runs.next().await.answer(of_a_language(text));
        }
        settle().await;
        seen(asked).await
    }
}

fn request(language: &str) -> Request<Body> {
    get_with("/", &[("accept-language", language)])
}

fn of_a_language(text: &'static str) -> Response<Body> {
    answer(&[("vary", "accept-language")], text)
}

async fn seen(asked: Asked) -> (CacheStatus, String) {
    let response = asked.await.unwrap().expect("an answer");
    (CacheStatus::of(&response).unwrap(), body(response).await)
}

/// Ends a run with what lives shorter than other variants do, so that it hangs on their slot.
fn end(run: Run, text: &'static str) {
    run.answer((CachePolicy::ttl(MINUTE / 2), of_a_language(text)));
}

#[tokio::test]
async fn d14_a_purge_takes_away_a_variant_that_it_knows_nothing_of() {
    let nodes = Nodes::new();
    let (mut here, mut there) = (Page::of(&nodes.here.cache), Page::of(&nodes.there.cache));
    for language in ["de", "en", "fr"] {
        here.read(language, "old").await;
        assert_eq!(there.read(language, "not asked").await, (CacheStatus::Hit, "old".to_owned()));
    }
    nodes.there.cache.delete_cached("/").await.unwrap();
    // The slot is there again, and so is what hung on it before.
    assert_eq!(here.read("fr", "new").await.1, "new");
    for language in ["de", "en"] {
        for page in [&mut here, &mut there] {
            let (status, text) = page.read(language, "new").await;
            assert_eq!(text, "new", "{language}: {status:?}");
        }
    }
}

#[tokio::test]
async fn d14_a_variant_read_before_a_purge_does_not_hang_on_the_slot_that_was_made_after_it() {
    for purges_here in [true, false] {
        let nodes = Nodes::new();
        let (mut here, mut there) = (Page::of(&nodes.here.cache), Page::of(&nodes.there.cache));
        here.read("de", "old").await;
        let asked = here.ask("en");
        let run = here.runs.next().await;
        let purger = if purges_here { &nodes.here } else { &nodes.there };
        purger.cache.delete_cached("/").await.unwrap();
        let (status, _) = there.read("de", "new").await;
        assert!(is_miss(status));
        end(run, "old");
        settle().await;
        assert_eq!(seen(asked).await.1, "old", "it asked before");
        let (status, text) = there.read("en", "new").await;
        assert_eq!(text, "new", "purged here: {purges_here}, {status:?}");
    }
}

#[tokio::test]
async fn d14_who_joins_the_run_of_a_variant_after_a_purge_is_not_handed_the_answer() {
    let nodes = Nodes::new();
    let (mut here, mut there) = (Page::of(&nodes.here.cache), Page::of(&nodes.there.cache));
    here.read("de", "old").await;
    let asked = here.ask("en");
    let run = here.runs.next().await;
    nodes.there.cache.delete_cached("/").await.unwrap();
    there.read("de", "new").await;
    let follower = here.ask("en");
    settle().await;
    end(run, "old");
    settle().await;
    if here.runs.waiting().await > 0 {
        end(here.runs.next().await, "new");
    }
    assert_eq!(seen(asked).await.1, "old", "it asked before");
    assert_eq!(seen(follower).await.1, "new");
}
