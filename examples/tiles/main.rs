//! A map of the Mandelbrot set to drag and zoom, whose tiles are computed on
//! request and kept by the cache.
//!
//! ```text
//! cargo run --release --example tiles
//! PORT=8080 cargo run --release --example tiles
//! CACHE_URL=file:///tmp/tiles cargo run --release --example tiles --features file
//! CACHE_URL=redis://127.0.0.1:6379 cargo run --release --example tiles --features redis
//! ```

mod image;
mod mandelbrot;

use std::collections::HashMap;
use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header, request};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_caching::{Cache, CacheConfig, CacheLayer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task;

use crate::image::{PALETTES, Palette};
use crate::mandelbrot::Tile;

const DEFAULT_PORT: u16 = 3000;
const DEFAULT_ITERATIONS: u32 = 500;
const DEFAULT_PALETTE: &str = "dusk";
const MIN_ITERATIONS: u32 = 16;
const MAX_ITERATIONS: u32 = 5000;

#[derive(Clone)]
struct App {
    cache: Cache,
    origin: Arc<Origin>,
}

/// What the tiles cost when they do not come from the cache.
struct Origin {
    calls: AtomicU64,
    micros: AtomicU64,
    /// Rendering keeps a core busy, so more at once than cores would only make
    /// every tile late.
    cores: Arc<Semaphore>,
}

type BadRequest = (StatusCode, String);

#[tokio::main]
#[expect(clippy::print_stderr, reason = "there is no other place to say it")]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), String> {
    let port = port()?;
    let config = CacheConfig::from_env().map_err(|error| error.to_string())?;
    let cache = config.build().map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
        .map_err(|error| format!("cannot listen on port {port}: {error}; set PORT to another"))?;
    let address = listener.local_addr().map_err(|error| format!("no local address: {error}"))?;

    print_welcome(address, &config);
    axum::serve(listener, router(cache)).await.map_err(|error| format!("the server stopped: {error}"))
}

#[expect(clippy::print_stdout, reason = "an address is of use when seen")]
fn print_welcome(address: SocketAddr, config: &CacheConfig) {
    println!("The map is at http://{address}/, and its tiles are kept at {config}\n");
    println!("A tile; the second time it comes with `hit_cache: True`:");
    println!("  curl -sD - -o tile.png 'http://{address}/tiles/3/3/3.png?iterations=1000'");
    println!("The numbers, and emptying the cache:");
    println!("  curl http://{address}/stats");
    println!("  curl -X POST http://{address}/purge");
}

fn port() -> Result<u16, String> {
    match env::var("PORT") {
        Ok(text) => text.parse().map_err(|_| format!("PORT is {text:?}, not a number from 0 to 65535")),
        Err(env::VarError::NotPresent) => Ok(DEFAULT_PORT),
        Err(error) => Err(format!("PORT: {error}")),
    }
}

fn router(cache: Cache) -> Router {
    let layer = CacheLayer::new(&cache)
        .ttl(Duration::from_secs(60 * 60))
        // A browser sends along the cookies of every application on localhost.
        .ignore_cookies()
        .response_hit_indication(true)
        .unless(|parts: &request::Parts| parts.headers.contains_key("x-no-cache"));

    let cores = thread::available_parallelism().map_or(1, usize::from);
    let app = App {
        cache,
        origin: Arc::new(Origin {
            calls: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            cores: Arc::new(Semaphore::new(cores)),
        }),
    };

    Router::new()
        .route("/tiles/{z}/{x}/{y}", get(tile))
        // Covers the routes above it only.
        .route_layer(layer)
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/stats", get(stats))
        .route("/purge", post(purge))
        .with_state(app)
}

async fn tile(
    State(app): State<App>,
    Path((z, x, y)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<impl IntoResponse, BadRequest> {
    let (iterations, palette) = parse_query(&query).map_err(bad_request)?;
    let tile = parse_tile(&z, &x, &y).map_err(bad_request)?;

    // A request dropped while it waits here costs nothing further.
    let core = Arc::clone(&app.origin.cores).acquire_owned().await.expect("the semaphore is never closed");
    let rendering = task::spawn_blocking(move || {
        // Moved in, as the work goes on even if the client has left.
        let _core = core;
        app.origin.calls.fetch_add(1, Ordering::Relaxed);
        let started = now();
        let png = image::encode(&tile.render(iterations, palette));
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        app.origin.micros.fetch_add(micros, Ordering::Relaxed);
        png
    });
    match rendering.await {
        Ok(Ok(png)) => Ok(([(header::CONTENT_TYPE, "image/png")], png)),
        Ok(Err(error)) => Err(internal_error(&error)),
        Err(error) => Err(internal_error(&error)),
    }
}

#[expect(clippy::disallowed_methods, reason = "what is shown is how long a tile really takes")]
fn now() -> Instant {
    Instant::now()
}

fn parse_tile(z: &str, x: &str, y: &str) -> Result<Tile, String> {
    let y = y.strip_suffix(".png").ok_or_else(|| format!("{y:?} should end in .png"))?;
    let z = z.parse().map_err(|_| not_a_number("zoom", z))?;
    let x = x.parse().map_err(|_| not_a_number("column", x))?;
    let y = y.parse().map_err(|_| not_a_number("row", y))?;
    Tile::new(z, x, y)
}

fn parse_query(query: &HashMap<String, String>) -> Result<(u32, &'static Palette), String> {
    // Each unknown parameter would be one more way to miss the cache.
    if let Some(name) = query.keys().find(|name| !matches!(name.as_str(), "iterations" | "palette")) {
        return Err(format!("unknown parameter {name:?}: there are iterations and palette"));
    }
    let iterations = match query.get("iterations") {
        Some(text) => {
            text.parse().ok().filter(|count| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(count)).ok_or_else(|| {
                format!("iterations is {text:?}, not a number from {MIN_ITERATIONS} to {MAX_ITERATIONS}")
            })?
        }
        None => DEFAULT_ITERATIONS,
    };
    let name = query.get("palette").map_or(DEFAULT_PALETTE, String::as_str);
    let palette = image::palette(name).ok_or_else(|| {
        let names = PALETTES.map(|palette| palette.name).join(", ");
        format!("no palette {name:?}: there are {names}")
    })?;
    Ok((iterations, palette))
}

fn not_a_number(what: &str, text: &str) -> String {
    format!("{what} {text:?} is not a whole number in range")
}

fn bad_request(mut message: String) -> BadRequest {
    message.push('\n');
    (StatusCode::BAD_REQUEST, message)
}

fn internal_error(error: &dyn std::error::Error) -> BadRequest {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
}

async fn stats(State(app): State<App>) -> impl IntoResponse {
    let stats = app.cache.stats();
    // A backend behind a network does not know.
    let usage = app.cache.usage();
    Json(serde_json::json!({
        "hits": stats.hits,
        "misses": stats.misses,
        "entries": usage.map(|usage| usage.entries),
        "bytes": usage.map(|usage| usage.weight),
        "origin_calls": app.origin.calls.load(Ordering::Relaxed),
        "origin_ms": app.origin.micros.load(Ordering::Relaxed) / 1000,
    }))
}

async fn purge(State(app): State<App>) -> Result<StatusCode, BadRequest> {
    match app.cache.clear().await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))),
    }
}
