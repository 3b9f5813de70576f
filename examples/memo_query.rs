//! A query of a database, memoized: read through the cache, and taken away by what is written.
//!
//! ```text
//! cargo run --example memo_query
//!
//! curl -w ' %{time_total}\n' localhost:3000/authors/1/books        # half a second
//! curl -w ' %{time_total}\n' localhost:3000/authors/1/books        # at once
//! curl -X POST localhost:3000/authors/1/books -d 'A new one'       # the list of author 1 is read again
//! curl -i localhost:3000/authors/3/books                           # 404: an error is not kept
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use axum_caching::{Cache, MemoryBackend, memoize};
use rusqlite::Connection;
use tokio::task::spawn_blocking;

#[derive(Clone)]
struct App {
    cache: Cache,
    database: Arc<Mutex<Connection>>,
    /// What makes a query slow.
    delay: Duration,
}

impl App {
    fn new(delay: Duration) -> Result<Self, rusqlite::Error> {
        let database = Connection::open_in_memory()?;
        database.execute_batch(
            "CREATE TABLE books (author INTEGER NOT NULL, title TEXT NOT NULL);
             INSERT INTO books VALUES (1, 'Sketch of the Analytical Engine'), (2, 'The Education of a Computer');",
        )?;
        let cache = Cache::new(MemoryBackend::default());
        Ok(Self { cache, database: Arc::new(Mutex::new(database)), delay })
    }

    /// A query blocks, so it runs where that is allowed.
    async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let database = Arc::clone(&self.database);
        let work = move || work(&database.lock().unwrap_or_else(PoisonError::into_inner));
        spawn_blocking(work).await.map_err(|_| Failure::Database)?.map_err(|_| Failure::Database)
    }
}

#[derive(Debug)]
enum Failure {
    Unknown,
    Database,
}

impl From<Failure> for StatusCode {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unknown => Self::NOT_FOUND,
            Failure::Database => Self::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The titles of an author. A thousand requests at once make one query; an error is not kept.
#[memoize(cache = app.cache, ttl = Duration::from_secs(60), skip(app))]
async fn titles(app: &App, author: u32) -> Result<Vec<String>, Failure> {
    println!("  query for the books of author {author}");
    tokio::time::sleep(app.delay).await;
    let read = move |database: &Connection| {
        let mut query = database.prepare("SELECT title FROM books WHERE author = ?1 ORDER BY title")?;
        query.query_map([author], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
    };
    let titles = app.query(read).await?;
    if titles.is_empty() { Err(Failure::Unknown) } else { Ok(titles) }
}

async fn books(State(app): State<App>, Path(author): Path<u32>) -> Result<Json<Vec<String>>, StatusCode> {
    Ok(Json(titles(&app, author).await?))
}

/// First the write, then the purge: a query that began before the write does not bring the old list back.
async fn add(State(app): State<App>, Path(author): Path<u32>, title: String) -> Result<StatusCode, StatusCode> {
    app.query(move |database| database.execute("INSERT INTO books VALUES (?1, ?2)", (author, title))).await?;
    titles::delete_memoized_for(&app.cache, author).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(StatusCode::CREATED)
}

fn router(app: App) -> Router {
    Router::new().route("/authors/{author}/books", get(books).post(add)).with_state(app)
}

#[tokio::main]
async fn main() -> Result<(), axum_caching::BoxError> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://localhost:{port}/authors/1/books");
    Ok(axum::serve(listener, router(App::new(Duration::from_millis(500))?)).await?)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn send(router: &Router, method: &str, uri: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(uri).body(Body::from(body.to_owned())).expect("valid");
        let response = router.clone().oneshot(request).await.expect("infallible");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn a_list_is_read_once_and_again_when_it_was_written() {
        let app = App::new(Duration::ZERO).expect("a database");
        let router = router(app.clone());
        let list = async || send(&router, "GET", "/authors/1/books", "").await.1;
        assert_eq!((list().await, list().await).1, r#"["Sketch of the Analytical Engine"]"#);
        assert_eq!(app.cache.stats().misses, 1);

        assert_eq!(send(&router, "POST", "/authors/1/books", "A new one").await.0, StatusCode::CREATED);
        assert_eq!(list().await, r#"["A new one","Sketch of the Analytical Engine"]"#);
        assert_eq!(app.cache.stats().misses, 2);

        for _ in 0..2 {
            assert_eq!(send(&router, "GET", "/authors/3/books", "").await.0, StatusCode::NOT_FOUND);
        }
        assert_eq!(app.cache.stats().misses, 4, "an error is not kept");
    }
}
