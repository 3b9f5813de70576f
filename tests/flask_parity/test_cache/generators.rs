//! `test_cache.py`: generators, which are streams of a body here.

use std::convert::Infallible;

use axum::{
    Router,
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use axum_caching::{CacheLayer, CacheStatus};
use http::header;
use http_body_util::BodyExt;

use crate::{
    fixture::*,
    support::{Runs, app, cache, fetch, get, lines, send},
};

/// A body that is made of these chunks, one after the other.
fn stream<C: Into<Bytes> + Send + 'static>(chunks: impl IntoIterator<Item = C, IntoIter: Send + 'static>) -> Body {
    Body::from_stream(tokio_stream::iter(chunks.into_iter().map(|chunk| Ok::<_, Infallible>(chunk.into()))))
}

fn streaming<R: IntoResponse>(make: impl Fn(usize) -> R + Clone + Send + Sync + 'static) -> (Router, Runs) {
    let (cache, _) = cache();
    app(CacheLayer::new(&cache), move |_, run| make(run))
}

/// What is made while the body is read is kept once it was read to its end.
#[tokio::test]
async fn test_generator() {
    let made = Log::new();
    let log = made.clone();
    let (app, runs) = streaming(move |run| {
        let log = log.clone();
        stream((0..2).map(move |chunk| {
            log.push((run, chunk));
            format!("{run}.{chunk} ")
        }))
    });
    let first = fetch(&app, "/").await.1;
    assert_eq!(first, "1.0 1.1 ");
    assert_eq!(fetch(&app, "/").await, (CacheStatus::Hit, first));
    assert_eq!((made.all(), runs.count()), (vec![(1, 0), (1, 1)], 1));
}

/// The client sees the chunks when they are made; on a hit it sees one text.
#[tokio::test]
async fn test_generator_of_strings_is_joined() {
    let (app, runs) = streaming(|_| stream(["<p>", "hello", "</p>"]));
    for _ in 0..2 {
        assert_eq!(fetch(&app, "/").await.1, "<p>hello</p>");
    }
    assert_eq!(runs.count(), 1);
}

/// Bytes that are no text.
#[tokio::test]
async fn test_generator_of_bytes_is_joined() {
    let (app, runs) = streaming(|_| stream([&b"<p>\xff"[..], b"\x00", b"\xc3", b"\xa9</p>"]));
    for _ in 0..2 {
        let body = send(&app, get("/")).await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&*body, b"<p>\xff\x00\xc3\xa9</p>");
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn test_cached_view_returning_stream_template() {
    let (app, runs) = streaming(|_| -> Response {
        let chunks = ["<html><body>".to_owned(), format!("{}lo", "hel"), "</body></html>".to_owned()];
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], stream(chunks)).into_response()
    });
    for _ in 0..2 {
        let response = send(&app, get("/stream")).await;
        assert_eq!(lines(&response, "content-type"), ["text/html; charset=utf-8"]);
        assert_eq!(crate::support::text(response).await, "<html><body>hello</body></html>");
    }
    assert_eq!(runs.count(), 1);
}

/// An iterator is no value: the function collects it, once.
#[tokio::test]
async fn test_memoized_generator_of_strings_is_joined() {
    for (cache, _) in caches() {
        let (memo, runs) = (cache.memoizer("gen"), Runs::default());
        let generator = |prefix: &'static str| [prefix, "hello"].into_iter().inspect(|_| _ = runs.next());
        let generate = async |prefix| memo.call(prefix, async || generator(prefix).collect::<String>()).await;
        assert_eq!((generate("a").await, generate("a").await), ("ahello".into(), "ahello".into()));
        assert_eq!(generate("b").await, "bhello");
        assert_eq!(runs.count(), 4);
    }
}
