//! What is written takes away what was read: a result by its arguments, by a tag, and the page that was made of it.
//!
//! ```text
//! cargo run --example memo_invalidate
//!
//! curl -i localhost:3000/teams/1                 # hit_cache is missing: two names were read
//! curl -i localhost:3000/teams/1                 # hit_cache: True
//! curl -X PUT localhost:3000/users/7 -d 'Grace'  # user 7 is in team 1
//! curl -i localhost:3000/teams/1                 # read again: the page was made of the name
//! curl -X DELETE localhost:3000/teams/1/names    # all names of the team, by their tag
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, put},
};
use axum_caching::{Cache, CacheLayer, Memoizer, MemoryBackend};

#[derive(Clone)]
struct App {
    cache: Cache,
    /// Stands for a database: the members of each team.
    users: Arc<Mutex<BTreeMap<u32, (u32, String)>>>,
    names: Memoizer<Option<String>>,
}

impl App {
    fn new() -> Self {
        let cache = Cache::new(MemoryBackend::default());
        let users = [(7, (1, "Ada".to_owned())), (8, (1, "Barbara".to_owned())), (9, (2, "Edith".to_owned()))];
        Self { names: cache.memoizer("names"), cache, users: Arc::new(Mutex::new(users.into())) }
    }

    fn with_users<T>(&self, work: impl FnOnce(&mut BTreeMap<u32, (u32, String)>) -> T) -> T {
        work(&mut self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name of a user. Where it belongs is known before it is read, and is its tag.
    async fn name(&self, team: u32, id: u32) -> Option<String> {
        let tag = format!("team:{team}");
        let read = async || {
            println!("  reading user {id}");
            self.with_users(|users| users.get(&id).map(|(_, name)| name.clone()))
        };
        self.names.at(&id).tags([tag]).call(read).await
    }
}

async fn team(State(app): State<App>, Path(team): Path<u32>) -> String {
    let members =
        app.with_users(|users| users.iter().filter(|(_, (of, _))| *of == team).map(|(id, _)| *id).collect::<Vec<_>>());
    let mut lines = vec![format!("team {team}")];
    for id in members {
        lines.push(format!("- {}", app.name(team, id).await.unwrap_or_default()));
    }
    lines.join("\n") + "\n"
}

/// First the write, then the purge: whoever reads in between reads what is new.
async fn rename(State(app): State<App>, Path(id): Path<u32>, name: String) -> Result<StatusCode, StatusCode> {
    let is_there = app.with_users(|users| users.get_mut(&id).map(|user| user.1 = name).is_some());
    app.names.delete_memoized_for(&id).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(if is_there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

async fn forget(State(app): State<App>, Path(team): Path<u32>) -> Result<StatusCode, StatusCode> {
    app.cache.purge_tag(format!("team:{team}")).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(StatusCode::NO_CONTENT)
}

fn router(app: App) -> Router {
    let layer = CacheLayer::new(&app.cache).response_hit_indication(true);
    Router::new()
        .route("/teams/{team}", get(team).layer(layer))
        .route("/teams/{team}/names", delete(forget))
        .route("/users/{id}", put(rename))
        .with_state(app)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://localhost:{port}/teams/1");
    axum::serve(listener, router(App::new())).await
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn send(router: &Router, method: &str, uri: &str, body: &str) -> (bool, String) {
        let request = Request::builder().method(method).uri(uri).body(Body::from(body.to_owned())).expect("valid");
        let response = router.clone().oneshot(request).await.expect("infallible");
        let is_hit = response.headers().contains_key("hit_cache");
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (is_hit, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn what_is_written_is_seen_at_once() {
        let router = router(App::new());
        let old = "team 1\n- Ada\n- Barbara\n".to_owned();
        assert_eq!(send(&router, "GET", "/teams/1", "").await, (false, old.clone()));
        assert_eq!(send(&router, "GET", "/teams/1", "").await, (true, old));
        send(&router, "GET", "/teams/2", "").await;

        send(&router, "PUT", "/users/7", "Grace").await;
        let new = "team 1\n- Grace\n- Barbara\n".to_owned();
        assert_eq!(send(&router, "GET", "/teams/1", "").await, (false, new.clone()));
        assert!(send(&router, "GET", "/teams/2", "").await.0, "the other team has nothing to do with it");

        send(&router, "DELETE", "/teams/1/names", "").await;
        assert_eq!(send(&router, "GET", "/teams/1", "").await, (false, new));
        assert!(send(&router, "GET", "/teams/2", "").await.0);
    }
}
