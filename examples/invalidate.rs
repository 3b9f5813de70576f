//! A handler that writes, and then deletes the pages that show what it wrote.
//!
//! ```text
//! cargo run --example invalidate
//! curl -i http://127.0.0.1:3000/notes/1                       # twice: `hit_cache: True`
//! curl -i http://127.0.0.1:3000/notes                         # twice: `hit_cache: True`
//! curl -i -X PUT http://127.0.0.1:3000/notes/1 -d 'buy milk'  # 204
//! curl -i http://127.0.0.1:3000/notes/1                       # `buy milk`, and not a hit
//! curl -i http://127.0.0.1:3000/notes                         # not a hit either
//! ```
//!
//! The order counts: write first, then delete. A page that a handler made of what it read before the deletion is not
//! stored after it.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    collections::BTreeMap,
    env, io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use axum_caching::{Cache, CacheLayer, MemoryBackend, Query};
use tokio::net::TcpListener;

type Notes = Arc<Mutex<BTreeMap<u32, String>>>;

#[derive(Clone)]
struct App {
    notes: Notes,
    cache: Cache,
    /// Kept for its key: this layer does not put the query into it.
    list: CacheLayer,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/notes/1", listener.local_addr()?);
    axum::serve(listener, app()).await
}

fn app() -> Router {
    let cache = Cache::new(MemoryBackend::default());
    let note = CacheLayer::new(&cache).response_hit_indication(true);
    let list = note.clone().query_string(Query::none());
    let notes = Notes::new(Mutex::new(BTreeMap::from([(1, "buy bread".to_owned())])));
    Router::new()
        .route("/notes/{id}", get(read).put(write).layer(note))
        .route("/notes", get(read_all).layer(list.clone()))
        .with_state(App { notes, cache, list })
}

async fn read(State(app): State<App>, Path(id): Path<u32>) -> Response {
    let notes = app.notes.lock().unwrap_or_else(PoisonError::into_inner);
    notes.get(&id).map_or_else(|| StatusCode::NOT_FOUND.into_response(), |note| format!("{note}\n").into_response())
}

async fn read_all(State(app): State<App>) -> String {
    let notes = app.notes.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<String> = notes.iter().map(|(id, note)| format!("{id}: {note}\n")).collect();
    lines.concat()
}

async fn write(State(app): State<App>, Path(id): Path<u32>, uri: Uri, note: String) -> Result<StatusCode, Failed> {
    app.notes.lock().unwrap_or_else(PoisonError::into_inner).insert(id, note);
    // The path as it was on the wire. The layer of single notes has the default keys, so the cache finds them itself.
    app.cache.delete_cached(uri.path()).await?;
    app.list.delete_cached("/notes").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The write is done, and the old page may still be served: its client should know.
struct Failed(axum_caching::Error);

impl From<axum_caching::Error> for Failed {
    fn from(error: axum_caching::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("written, but the old page may be served: {}\n", self.0))
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt;

    use super::*;

    async fn send(app: &Router, request: Request<Body>) -> (bool, String) {
        let response = app.clone().oneshot(request).await.unwrap();
        let is_hit = response.headers().contains_key("hit_cache");
        (is_hit, String::from_utf8(to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap())
    }

    fn get(target: &str) -> Request<Body> {
        Request::get(target).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_write_deletes_the_pages_that_show_it() {
        let app = app();
        for page in ["/notes/1", "/notes?sort=id"] {
            send(&app, get(page)).await;
            assert!(send(&app, get(page)).await.0, "{page}");
        }

        send(&app, Request::put("/notes/1").body(Body::from("buy milk")).unwrap()).await;

        assert_eq!(send(&app, get("/notes/1")).await, (false, "buy milk\n".to_owned()));
        assert_eq!(send(&app, get("/notes?sort=id")).await, (false, "1: buy milk\n".to_owned()));
    }
}
